//! Whatever the LLM does, the caller hears something and the call goes on.

use std::time::Duration;

use tieline::turn::policy::Policy;
use tokio::net::TcpListener;

use crate::http_server::{Answer, HttpServer, USUAL, chunk, owned, tokens};
use crate::phone::Phone;
use crate::support::{APOLOGY, Setup, TestServer, policy, until};

/// A stalled LLM is given up soon.
fn impatient() -> Setup {
    Setup {
        policy: Policy {
            reply_deadline: Duration::from_millis(1_200),
            ..policy()
        },
        ..Setup::default()
    }
}

/// The first reply goes wrong after `said`, however often it is asked for; the next one is fine, and the one after it too.
async fn survives(setup: Setup, answer: Answer, said: &str) -> HttpServer {
    let (server, llm) = TestServer::with_llm(setup).await;
    llm.answer_always(answer);
    let mut phone = Phone::greeted(&server, "CA1").await;
    let turn = phone.exchange().await;
    llm.answer_always(tokens(&[USUAL]));
    assert_eq!(turn.outcome, "failed");
    assert_eq!(turn.heard, format!("{said} {APOLOGY}").trim());
    for _ in 0..2 {
        let next = phone.exchange().await;
        assert_eq!((next.outcome.as_str(), next.heard.as_str()), ("completed", USUAL));
    }
    phone.hang_up().await;
    llm
}

/// [`survives`] for several answers at once, each with what is said before the apology.
async fn all_survive(cases: Vec<(Answer, &str)>) {
    let cases = cases
        .into_iter()
        .map(|(answer, said)| survives(impatient(), answer, said));
    futures_util::future::join_all(cases).await;
}

#[tokio::test]
async fn a_good_reply_is_asked_for_and_heard() {
    let llm = HttpServer::start().await;
    let server = TestServer::start(Setup {
        llm: Some(llm.url()),
        llm_key: Some("sk-test"),
        ..Setup::default()
    })
    .await;
    server.stt.hear(&["good morning"]);
    llm.answer([tokens(&["Good ", "mor", "ning. How", " can I help?"])]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    let turn = phone.exchange().await;
    assert_eq!(turn.agent, ["Good morning.", "How can I help?"]);
    assert_eq!(turn.heard, "Good morning. How can I help?");
    phone.exchange().await;
    let asked = llm.asked();
    assert_eq!(asked[0].path, "/v1/chat/completions");
    assert_eq!(asked[0].header("authorization"), Some("Bearer sk-test"));
    let (first, second) = (asked[0].json(), asked[1].json());
    assert_eq!(
        (&first["stream"], &first["model"], &first["max_tokens"]),
        (&true.into(), &"fake".into(), &50.into())
    );
    let lines = |request: &serde_json::Value| -> Vec<(String, String)> {
        let messages = request["messages"].as_array().expect("messages");
        let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
        messages
            .iter()
            .map(|message| (text(&message["role"]), text(&message["content"])))
            .collect()
    };
    let line = |role: &str, text: &str| (role.to_owned(), text.to_owned());
    let begun = vec![
        line("system", "You are a test."),
        line("assistant", "Hello from the test desk."),
        line("user", "good morning"),
    ];
    assert_eq!(lines(&first), begun);
    let gone_on = [
        line("assistant", "Good morning. How can I help?"),
        line("user", crate::engines::USUAL),
    ];
    assert_eq!(lines(&second), [begun, gone_on.to_vec()].concat());
    phone.hang_up().await;
}

#[tokio::test]
async fn without_an_llm_every_turn_is_answered_with_the_apology() {
    let server = TestServer::start(Setup::default()).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    for _ in 0..2 {
        let turn = phone.exchange().await;
        assert_eq!((turn.outcome.as_str(), turn.heard.as_str()), ("failed", APOLOGY));
    }
    phone.hang_up().await;
}

#[tokio::test]
async fn an_llm_that_refuses_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let server = TestServer::start(Setup {
        llm: Some(format!("http://{address}/v1")),
        ..Setup::default()
    })
    .await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    for _ in 0..2 {
        let turn = phone.exchange().await;
        assert_eq!((turn.outcome.as_str(), turn.heard.as_str()), ("failed", APOLOGY));
    }
    phone.hang_up().await;
}

#[tokio::test]
async fn an_llm_that_answers_with_an_error() {
    let error = br#"{"error": {"message": "no", "type": "x", "param": null, "code": null}}"#;
    let case = |status| (Answer::Full(status, "application/json", error.to_vec()), "");
    all_survive([401, 404, 429, 500, 503].map(case).into()).await;
}

#[tokio::test]
async fn an_llm_that_answers_with_an_error_page() {
    let case = |status| (Answer::Full(status, "text/html", b"<h1>Oh dear</h1>".to_vec()), "");
    all_survive([400, 502].map(case).into()).await;
}

#[tokio::test]
async fn an_llm_that_stalls_before_the_first_token() {
    let mut llm = survives(impatient(), Answer::Stall(vec![]), "").await;
    // Given up also means hung up: a stalled connection is not kept.
    for _ in 0..3 {
        llm.departure().await;
    }
}

#[tokio::test]
async fn an_llm_that_stalls_after_a_sentence() {
    let mut llm = survives(impatient(), Answer::Stall(owned(&["We are. ", "And the"])), "We are.").await;
    for _ in 0..3 {
        llm.departure().await;
    }
}

#[tokio::test]
async fn an_llm_that_sends_something_else_than_events() {
    let nonsense = || b"\x00\x01 all work and no play \xff\n\n".repeat(20);
    let whole = br#"{"choices":[{"message":{"role":"assistant","content":"not streamed"}}]}"#;
    all_survive(vec![
        (Answer::Full(200, "text/event-stream", nonsense()), ""),
        (Answer::Full(200, "application/octet-stream", nonsense()), ""),
        (Answer::Full(200, "application/json", whole.to_vec()), ""),
    ])
    .await;
}

#[tokio::test]
async fn an_llm_that_says_nothing() {
    all_survive(vec![(tokens(&[]), ""), (tokens(&["", " ", "\n\n"]), "")]).await;
}

#[tokio::test]
async fn an_llm_whose_chunk_is_no_json() {
    let events = vec![chunk("We are. "), chunk("Ne"), "{\"choices\": [".to_owned()];
    let error = r#"{"error": {"message": "out of memory", "code": 500}}"#.to_owned();
    all_survive(vec![
        (Answer::Events(events), "We are."),
        (Answer::Events(vec![error]), ""),
    ])
    .await;
}

#[tokio::test]
async fn an_llm_whose_connection_breaks() {
    let begun = Answer::Reset(owned(&["We are. ", "And the"]));
    all_survive(vec![(Answer::Reset(vec![]), ""), (begun, "We are.")]).await;
}

#[tokio::test]
async fn an_llm_that_keeps_the_line_open_with_empty_tokens() {
    survives(impatient(), Answer::Endless(String::new()), "").await;
}

#[tokio::test]
async fn an_llm_that_never_ends_is_cut_off() {
    let (server, mut llm) = TestServer::with_llm(Setup::default()).await;
    llm.answer([Answer::Endless("And so on. ".to_owned())]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    let spoken_before = server.tts.jobs().len();
    phone.say().await;
    llm.departure().await;
    until("all sentences", || server.tts.jobs().len() - spoken_before >= 12).await;
    // The caller has had enough.
    let turn = phone.exchange().await;
    assert_eq!(turn.outcome, "interrupted");
    assert_eq!(phone.turn().await.heard, USUAL);
    assert_eq!(
        server.tts.jobs().len() - spoken_before,
        13,
        "twelve sentences and the next reply"
    );
    phone.hang_up().await;
}

#[tokio::test]
async fn a_hangup_drops_the_request() {
    let (server, mut llm) = TestServer::with_llm(Setup::default()).await;
    llm.answer([Answer::Stall(vec![])]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.say().await;
    llm.arrival().await;
    phone.hang_up().await;
    llm.departure().await;
}

#[tokio::test]
async fn a_caller_who_goes_on_before_the_reply_takes_the_turn_back() {
    let (server, mut llm) = TestServer::with_llm(Setup::default()).await;
    server.stt.hear(&["I need", "I need an appointment"]);
    llm.answer([Answer::Stall(vec![])]);
    let mut phone = Phone::greeted(&server, "CA1").await;
    phone.say().await;
    llm.arrival().await;
    let turn = phone.exchange().await;
    assert_eq!(
        (turn.caller.as_deref(), turn.heard.as_str()),
        (Some("I need an appointment"), USUAL)
    );
    llm.departure().await;
    let texts = llm.asked()[1].json()["messages"].to_string();
    assert!(!texts.contains("\"I need\""), "{texts}");
    phone.hang_up().await;
}

#[tokio::test]
async fn an_llm_that_is_overloaded_for_a_moment_is_asked_again() {
    for status in [500, 503] {
        let (server, llm) = TestServer::with_llm(Setup::default()).await;
        llm.answer([Answer::Full(status, "text/plain", b"busy".to_vec())]);
        let mut phone = Phone::greeted(&server, "CA1").await;
        let turn = phone.exchange().await;
        assert_eq!((turn.outcome.as_str(), turn.heard.as_str()), ("completed", USUAL));
        assert_eq!(llm.asked().len(), 2);
        phone.hang_up().await;
    }
}
