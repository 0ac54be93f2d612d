//! A language model that says the same few things in turn, at a fixed speed: so that a measurement is about everything else.
//!
//! OpenAI's streamed chat completions, and only these; a word is a token. Each token is due at a time counted from the
//! request's arrival, so a late one does not delay the next.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// What it says, and how fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cadence {
    /// Request → first token.
    pub(super) first_token: Duration,
    /// Token → token.
    pub(super) token: Duration,
    /// One a request, from the first again after the last.
    pub(super) replies: Vec<String>,
}

/// Serves on a free loopback port for as long as the program runs; returns the base URL.
pub(super) async fn start(cadence: Cadence) -> anyhow::Result<String> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind(any).await.context("no port for the stub LLM")?;
    let address = listener.local_addr().context("the stub LLM has no address")?;
    anyhow::ensure!(!cadence.replies.is_empty(), "the stub LLM has nothing to say");
    let replies = cadence.replies.iter().map(|reply| events(&cadence, reply).into());
    let stub = Arc::new(Stub {
        replies: replies.collect(),
        asked: AtomicUsize::new(0),
    });
    let router = Router::new().route("/v1/chat/completions", post(chat)).with_state(stub);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/v1"))
}

struct Stub {
    replies: Vec<Arc<[Event]>>,
    asked: AtomicUsize,
}

async fn chat(State(stub): State<Arc<Stub>>) -> Response {
    let arrived = now();
    let turn = stub.asked.fetch_add(1, Ordering::Relaxed);
    let events = Arc::clone(&stub.replies[turn % stub.replies.len()]);
    let body = stream::iter(0..events.len()).then(move |index| {
        let event = events[index].clone();
        async move {
            tokio::time::sleep_until(arrived + event.due).await;
            Ok::<_, Infallible>(event.text)
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

/// One server-sent event, and when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    due: Duration,
    text: String,
}

fn events(cadence: &Cadence, reply: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut due = cadence.first_token;
    for (index, token) in tokens(reply).enumerate() {
        if index > 0 {
            due += cadence.token;
        }
        let delta = json!({ "role": "assistant", "content": token });
        events.push(Event {
            due,
            text: framed(&delta, None),
        });
    }
    // The end comes with the last token.
    let end = framed(&json!({}), Some("stop")) + "data: [DONE]\n\n";
    events.push(Event { due, text: end });
    events
}

/// Words, each with the space before it.
fn tokens(reply: &str) -> impl Iterator<Item = String> {
    reply.split_whitespace().enumerate().map(|(index, word)| {
        if index == 0 {
            word.to_owned()
        } else {
            format!(" {word}")
        }
    })
}

fn framed(delta: &serde_json::Value, finish_reason: Option<&str>) -> String {
    let chunk = json!({
        "id": "chatcmpl-stub",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": MODEL,
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }],
    });
    format!("data: {chunk}\n\n")
}

#[expect(clippy::disallowed_methods, reason = "the stub keeps time as a real endpoint would")]
fn now() -> Instant {
    Instant::now()
}

/// What the stub calls itself.
pub(super) const MODEL: &str = "stub";

#[cfg(test)]
mod tests {
    use super::*;

    fn cadence() -> Cadence {
        Cadence {
            first_token: Duration::from_millis(100),
            token: Duration::from_millis(20),
            replies: Vec::new(),
        }
    }

    #[test]
    fn the_first_token_has_its_time_and_each_next_one_a_token_more() {
        let due: Vec<u128> = events(&cadence(), "Sure, I can. We")
            .iter()
            .map(|event| event.due.as_millis())
            .collect();
        assert_eq!(due, [100, 120, 140, 160, 160]);
        assert_eq!(events(&cadence(), "").len(), 1);
    }

    #[test]
    fn events_are_framed_as_openai_frames_them() {
        let reply = "We are open from nine to five.";
        let whole: String = events(&cadence(), reply).into_iter().map(|event| event.text).collect();
        let data: Vec<&str> = whole
            .split_terminator("\n\n")
            .map(|event| event.strip_prefix("data: ").expect("data"))
            .collect();
        let (done, chunks) = data.split_last().expect("events");
        assert_eq!(*done, "[DONE]");
        let chunks: Vec<serde_json::Value> = chunks
            .iter()
            .map(|chunk| serde_json::from_str(chunk).expect("JSON"))
            .collect();
        let said: String = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(said, reply);
        let reasons: Vec<_> = chunks
            .iter()
            .map(|chunk| &chunk["choices"][0]["finish_reason"])
            .collect();
        let (last, before) = reasons.split_last().expect("chunks");
        assert_eq!(*last, "stop");
        assert!(before.iter().all(|reason| reason.is_null()));
    }

    #[tokio::test]
    async fn the_replies_come_whole_and_in_turn() {
        let url = start(Cadence {
            first_token: Duration::ZERO,
            token: Duration::ZERO,
            replies: vec!["Yes.".to_owned(), "No.".to_owned()],
        })
        .await
        .expect("stub");
        let client = reqwest::Client::new();
        for said in ["\"Yes.\"", "\"No.\"", "\"Yes.\""] {
            let request = client.post(format!("{url}/chat/completions")).body("{}");
            let answer = request.send().await.expect("answer");
            assert_eq!(answer.headers()["content-type"], "text/event-stream");
            let text = answer.text().await.expect("text");
            assert!(text.contains(said) && text.ends_with("data: [DONE]\n\n"), "{text}");
        }
    }
}
