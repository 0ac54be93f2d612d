//! An LLM endpoint that breaks: what is told, what is tried again, and when it is left alone.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tieline::dialog::llm::breaker::{FAILURES, FIRST_REST, LONGEST_REST};
use tieline::dialog::llm::{Delta, LlmClient, LlmError, Timing};

use crate::llm_calls::{chunk, client, client_at, prompt, read, reply, say, stream};
use crate::script::{Answer, Server, soon};

thread_local! {
    /// Each test has a thread of its own.
    static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

#[expect(clippy::disallowed_methods, reason = "a clock that tests can set forward")]
fn clock() -> Instant {
    Instant::now() + AHEAD.get()
}

fn pass(time: Duration) {
    AHEAD.set(AHEAD.get() + time);
}

fn clocked(server: &Server, stall: Duration) -> LlmClient {
    client(server).with_timing(Timing { stall, clock })
}

fn begun(text: &str) -> String {
    chunk(&say(text), &Value::Null)
}

fn good() -> Answer {
    Answer::stream(&stream(&[say("Hello.")], "stop"))
}

fn refused(status: u16, headers: &str) -> Answer {
    let body = r#"{"error": {"message": "secret words of a caller"}}"#;
    Answer::new(
        status,
        &format!("Content-Type: application/json\r\n{headers}"),
        body.as_bytes(),
    )
}

fn hello() -> Vec<Result<Delta, LlmError>> {
    vec![Ok(Delta::FirstToken), Ok(Delta::Sentence("Hello.".to_owned()))]
}

fn first() -> Delta {
    Delta::Sentence("We are open.".to_owned())
}

#[tokio::test]
async fn what_is_no_stream_of_chunks_is_nonsense() {
    let whole = json!({"choices": [{"message": {"role": "assistant", "content": "not streamed"}}]}).to_string();
    let answers = [
        Answer::new(
            200,
            "Content-Type: application/json; charset=utf-8\r\n",
            whole.as_bytes(),
        ),
        Answer::new(200, "Content-Type: text/html\r\n", b"<h1>Welcome</h1>"),
        Answer::new(200, "Content-Type: text/plain\r\n", b"hello"),
        Answer::new(200, "", b""),
        Answer::stream("data: {\"choices\": [\n\n"),
        Answer::stream("data: {\"error\": {\"message\": \"out of memory\"}}\n\n"),
        Answer::stream("data: {\"choices\": \"none\"}\n\n"),
        Answer::stream("data: \u{0}\u{1}\n\n"),
        Answer::stream(&format!("data: {}", "x".repeat(300 << 10))),
        Answer::stream("").then_repeat(&"x".repeat(1 << 10)),
    ];
    for answer in answers {
        assert_eq!(read(answer).await, (vec![], Some(LlmError::Nonsense)));
    }
}

#[tokio::test]
async fn what_was_said_before_a_fault_stays_said() {
    let text = begun("We are open. And the");
    let call = chunk(
        &json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "find", "arguments": "{}"}}]}),
        &Value::Null,
    );
    let (told, error) = read(Answer::stream(&format!("{text}data: {{\n\n"))).await;
    assert_eq!((told, error), (vec![first()], Some(LlmError::Nonsense)));
    // A call before the fault may not have been complete.
    let (told, error) = read(Answer::stream(&format!("{text}{call}")).then_reset()).await;
    assert_eq!(told, [first()]);
    assert!(matches!(error, Some(LlmError::Unreachable(_))), "{error:?}");
    let (told, error) = read(Answer::new(
        200,
        "Content-Length: 9999\r\n",
        format!("{text}{call}").as_bytes(),
    ))
    .await;
    assert_eq!(told, [first()]);
    assert!(matches!(error, Some(LlmError::Unreachable(_))), "{error:?}");
}

#[tokio::test]
async fn a_model_that_does_not_stop_is_stopped() {
    let (told, error) = read(Answer::stream("").then_repeat(&begun("And so on. "))).await;
    assert_eq!((told.len(), error), (12, None));
    for endless in [
        begun(""),
        begun("<think>"),
        chunk(&json!({"reasoning_content": "hm"}), &Value::Null),
    ] {
        let (told, error) = read(Answer::stream("").then_repeat(&endless.repeat(50))).await;
        assert_eq!((told, error), (vec![], Some(LlmError::Nonsense)), "{endless}");
    }
}

#[tokio::test]
async fn a_fault_that_may_pass_is_tried_once_more() {
    for fault in [
        refused(500, ""),
        refused(503, "Retry-After: 0\r\n"),
        refused(429, ""),
        refused(429, "Retry-After: 0.2\r\n"),
        Answer::hang_up(),
        Answer::hang_up().then_reset(),
    ] {
        let server = Server::start([fault, good()]).await;
        assert_eq!(reply(&client(&server)).await, hello());
        assert_eq!(server.asked().len(), 2);
    }
    let server = Server::start([refused(500, ""), refused(502, ""), good()]).await;
    assert_eq!(reply(&client(&server)).await, [Err(LlmError::Refused(502))]);
    assert_eq!(server.asked().len(), 2, "and not twice");
}

#[tokio::test]
async fn a_fault_that_stays_is_told_at_once() {
    for (status, headers) in [
        (400, ""),
        (401, ""),
        (404, ""),
        (429, "Retry-After: 1\r\n"),
        (429, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n"),
        (503, "Retry-After: 30\r\n"),
        (503, "Retry-After: -1e999\r\n"),
        (302, "Location: http://127.0.0.1:9/v1\r\n"),
    ] {
        let server = Server::start([refused(status, headers), good()]).await;
        assert_eq!(reply(&client(&server)).await, [Err(LlmError::Refused(status))]);
        assert_eq!(server.asked().len(), 1, "{status} {headers}");
    }
}

#[tokio::test]
async fn a_break_after_the_first_token_is_not_tried_again() {
    let server = Server::start([Answer::stream(&begun("We are open. ")).then_reset(), good()]).await;
    let told = reply(&client(&server)).await;
    assert_eq!(told[..2], [Ok(Delta::FirstToken), Ok(first())]);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_told_within_the_budget_and_errors_hold_no_secrets() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let client_of_nobody = client_at(&format!("http://{address}/v1"));
    let begun = clock();
    let told = reply(&client_of_nobody).await;
    assert!(matches!(told[..], [Err(LlmError::Unreachable(_))]), "{told:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
    let server = Server::start([refused(500, ""), refused(500, "")]).await;
    let shown = format!("{told:?} {:?} {client_of_nobody:?}", reply(&client(&server)).await);
    for secret in ["sk-hidden", "secret words", "Hello?"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn a_silent_endpoint_is_given_up() {
    for (answer, before) in [
        (Answer::silence(), vec![]),
        (Answer::stream("").then_hold(), vec![]),
        (
            Answer::stream(&begun("We are open. And")).then_hold(),
            vec![Ok(Delta::FirstToken), Ok(first())],
        ),
        (Answer::stream(": ping\n\n").then_hold(), vec![]),
    ] {
        let server = Server::start([answer]).await;
        let mut stream = Box::pin(clocked(&server, Duration::from_millis(100)).reply(prompt()));
        let mut told = Vec::new();
        while told.len() < before.len() {
            told.push(soon(stream.next()).await.expect("an item"));
        }
        assert_eq!(told, before);
        assert_eq!(soon(stream.next()).await, Some(Err(LlmError::Stalled)));
        assert_eq!(soon(stream.next()).await, None);
    }
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_left_alone_and_tried_again_later() {
    let server = Server::start([]).await;
    let client = clocked(&server, LONGEST_REST);
    for _ in 0..FAILURES {
        server.answer([refused(401, "")]);
        assert_eq!(reply(&client).await, [Err(LlmError::Refused(401))]);
    }
    server.answer([refused(404, ""), good(), good()]);
    assert_eq!(
        reply(&client.clone()).await,
        [Err(LlmError::Resting)],
        "clones share it"
    );
    assert_eq!(server.asked().len() as u32, FAILURES);
    pass(FIRST_REST);
    assert_eq!(reply(&client).await, [Err(LlmError::Refused(404))], "the probe");
    pass(FIRST_REST);
    assert_eq!(reply(&client).await, [Err(LlmError::Resting)], "twice as long now");
    pass(FIRST_REST);
    assert_eq!(reply(&client).await, hello());
    assert_eq!(reply(&client).await, hello());
}

#[tokio::test]
async fn a_request_nobody_waits_for_counts_only_when_it_was_given_up() {
    let mut server = Server::start([]).await;
    let client = clocked(&server, LONGEST_REST);
    for (waited, resting) in [(Duration::from_secs(1), false), (Duration::from_secs(5), true)] {
        for _ in 0..FAILURES {
            server.answer([Answer::silence()]);
            let mut stream = Box::pin(client.reply(prompt()));
            let asking = tokio::select! { item = stream.next() => item, () = server.arrival() => None };
            assert_eq!(asking, None);
            pass(waited);
            drop(stream);
        }
        server.answer([good()]);
        let told = reply(&client).await;
        assert_eq!(told == [Err(LlmError::Resting)], resting, "{told:?}");
        if !resting {
            server.arrival().await;
        }
    }
    // One conversation that the model does not take is not the endpoint's fault.
    pass(FIRST_REST);
    assert_eq!(reply(&client).await, hello());
    for _ in 0..=FAILURES {
        server.answer([refused(400, "")]);
        assert_eq!(reply(&client).await, [Err(LlmError::Refused(400))]);
    }
}
