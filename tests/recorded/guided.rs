//! A whole call, from the first ring to what is written of it.

use tokio::sync::watch;

use crate::exchange::{At, Caller, Exchange, speech};
use crate::http_server::{Answer, HttpServer};
use crate::log::Log;
use crate::support::{AUTH_TOKEN, FROM, Server, Setup, soon, until};

/// What Whisper makes of each line; the member id is typed.
const LINES: [&str; 5] = [
    "Hi, this is about a quokka, I would like to know about my coverage.",
    "March 15th, 1985.",
    "An MRI.",
    "Yes, that's right.",
    "No, thank you.",
];

#[tokio::test]
async fn a_form_is_filled_by_voice_and_keypad_over_http_alone() {
    let log = Log::of_the_process();
    let exchange = Exchange::start().await;
    let server = Server::start(&exchange, Setup::default()).await;
    server.stt.hear(&LINES);
    let mut caller = Caller::rings(&server, &exchange, "CAwhole").await;
    assert_eq!(caller.played.len(), 1, "the greeting, in one piece");
    assert!(caller.answer.contains(r#"playBeep="false""#), "{}", caller.answer);
    assert_eq!(
        server.app.registry.live(),
        1,
        "the call has its place between its requests"
    );

    caller.says(speech(1_500)).await;
    caller.types("123456").await;
    for _ in 1..LINES.len() {
        assert!(matches!(caller.at, At::Recorded { .. }), "{:?}", caller.at);
        caller.says(speech(1_500)).await;
    }
    assert_eq!(caller.at, At::Over);
    assert_eq!(
        caller.played.len(),
        1 + LINES.len() + 1,
        "each reply is one piece of audio"
    );
    assert!(
        caller
            .played
            .iter()
            .all(|audio| audio.iter().any(|sample| sample.abs() > 0.1))
    );
    assert_eq!(caller.pauses.load(std::sync::atomic::Ordering::SeqCst), 0);

    let kept = server.over("CAwhole").await;
    assert_eq!(kept.call.outcome.as_deref(), Some("goodbye"));
    assert_eq!(
        (kept.call.from.as_deref(), kept.call.agent.as_str()),
        (Some(FROM), "eligibility")
    );
    let runs: Vec<_> = kept
        .tool_runs
        .iter()
        .map(|run| (run.tool.as_str(), run.outcome.as_str()))
        .collect();
    assert_eq!(runs, [("check_eligibility", "eligible")]);
    let said: Vec<&str> = kept.turns.iter().map(|turn| turn.said.as_str()).collect();
    let [covered, birth, procedure, yes, no] = LINES;
    assert_eq!(said, ["", covered, "(keypad) 123456", birth, procedure, yes, no]);
    let heard: Vec<&str> = kept.turns.iter().map(|turn| turn.heard.as_str()).collect();
    for (heard, words) in heard.iter().zip([
        "automated eligibility line",
        "What is the member id?",
        "date of birth",
        "Is this for an M R I",
        "Is that right?",
        "copay is $50",
        "Goodbye",
    ]) {
        assert!(heard.contains(words), "{words}: {heard}");
    }
    assert!(kept.turns.iter().all(|turn| turn.outcome == "completed"));
    assert!(kept.turns[1].ledger["stt_ms"].is_number(), "{}", kept.turns[1].ledger);

    server.all_deleted().await;
    exchange.is_clean();
    until("the call's place", || server.app.registry.live() == 0).await;
    nothing_is_played_twice(&server, &caller).await;
    let tokens = caller
        .clips
        .iter()
        .filter_map(|url| url.rsplit('/').next()?.strip_suffix(".wav"));
    let number = FROM.trim_start_matches('+');
    let said = [
        "quokka",
        "MB123456",
        "Jordan",
        "Gold PPO",
        "1985-03-15",
        number,
        AUTH_TOKEN,
    ];
    log.tells_of_the_call_without("CAwhole", &said.into_iter().chain(tokens).collect::<Vec<_>>());
}

async fn nothing_is_played_twice(server: &Server, caller: &Caller<'_>) {
    for url in &caller.clips {
        let again = soon("the audio", server.http.get(url).send()).await.expect("an answer");
        assert_eq!(again.status(), 404);
    }
    let guessed = server.url("/voice/audio/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.wav");
    let again = soon("the audio", server.http.get(guessed).send())
        .await
        .expect("an answer");
    assert_eq!(
        (again.status().as_u16(), &again.headers()["cache-control"]),
        (404, &"no-store".parse().expect("a value"))
    );
}

/// Books at an API.
fn booking(api: &HttpServer) -> String {
    format!(
        r#"
name = "line"
greeting = "Hello from the booking line."
system_prompt = "You are a test."

[[tools]]
name = "book"
description = "Books."
method = "POST"
url = "http://{}/book"
timeout = "20s"
[tools.parameters]
type = "object"
required = ["code"]
properties.code = {{ type = "string" }}

[[forms]]
name = "booking"
description = "Books a visit."
says = ["book*"]
confirm = "The code is {{{{ code }}}}. Is that right?"

[[forms.slots]]
name = "code"
kind = "digits"
min = 4
max = 4
label = "the code"
ask = "What is the code?"

[[forms.actions]]
tool = "book"
[forms.actions.results.ok]
say = "Booked."
"#,
        api.address
    )
}

#[tokio::test]
async fn a_tool_that_runs_as_the_caller_hangs_up_is_written_down() {
    let exchange = Exchange::start().await;
    let mut api = HttpServer::start().await;
    let held = watch::Sender::new(false);
    let booked = Answer::Full(200, "application/json", b"{}".to_vec());
    api.answer([Answer::Held(held.subscribe(), Box::new(booked))]);
    let setup = Setup {
        agent: Some(booking(&api)),
        ..Setup::default()
    };
    let server = Server::start(&exchange, setup).await;
    server.stt.hear(&["I want to book a visit", "Yes."]);
    let mut caller = Caller::rings(&server, &exchange, "CAtool").await;
    caller.says(speech(1_500)).await;
    caller.types("1234").await;
    let hangs_up = async {
        api.arrival().await;
        let recorder = server.app.recorder.as_ref().expect("calls are recorded");
        recorder.hung_up("CAtool");
        held.send_replace(true);
    };
    tokio::join!(caller.says(speech(1_500)), hangs_up);
    assert_eq!(caller.at, At::Over);
    let kept = server.over("CAtool").await;
    assert_eq!(kept.call.outcome.as_deref(), Some("caller"));
    assert_eq!(kept.turns.last().expect("turns").outcome, "cut-off");
    let runs: Vec<_> = kept
        .tool_runs
        .iter()
        .map(|run| (run.turn, run.outcome.as_str()))
        .collect();
    assert_eq!(runs, [(3, "ok")]);
    let audited = server.store.audit_events(10).await.expect("readable");
    assert_eq!(audited.iter().filter(|event| event.action == "tool").count(), 1);
    server.all_deleted().await;
}
