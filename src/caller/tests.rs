//! The whole call against a small server that speaks the protocol, over real sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use super::*;
use crate::twilio::{signature, twiml};

const TOKEN: &str = "2f7c1a90b4e3d6587f0e9a1b2c3d4e5f";

/// The server answers 200 ms after the speech; the rest is room for a busy machine, where frames bunch.
const LATENCY_MS: std::ops::Range<f64> = 100.0..800.0;

/// What the test server does besides answering.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manners {
    Good,
    /// Sends every kind of wrong message first.
    Bad,
    /// Closes after the first answer.
    HangsUp,
    /// Has no trace.
    Untraced,
}

struct Server {
    manners: Manners,
    authority: String,
    call_sid: Mutex<String>,
    messages: Mutex<Vec<Value>>,
    /// Media messages so far.
    frames: watch::Sender<usize>,
}

async fn serve(manners: Manners) -> Arc<Server> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
    let authority = listener.local_addr().expect("address").to_string();
    let server = Arc::new(Server {
        manners,
        authority,
        call_sid: Mutex::default(),
        messages: Mutex::default(),
        frames: watch::Sender::new(0),
    });
    let router = Router::new()
        .route("/voice/incoming", post(incoming))
        .route("/voice/stream", get(stream))
        .route("/voice/trace/{call}", get(trace))
        .with_state(Arc::clone(&server));
    tokio::spawn(async move { axum::serve(listener, router).await });
    server
}

async fn incoming(State(server): State<Arc<Server>>, headers: HeaderMap, body: Bytes) -> Response {
    let form = signature::form_pairs(&body);
    let url = format!("http://{}/voice/incoming", server.authority);
    if !signed(&headers, &[url], signature::Body::Form(&form)) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let call = form
        .iter()
        .find(|(name, _)| name == "CallSid")
        .expect("CallSid")
        .1
        .clone();
    *server.call_sid.lock().await = call;
    let stream = format!("ws://{}/voice/stream", server.authority);
    let xml = twiml::connect_stream(&twiml::Connect {
        stream: &stream,
        parameters: &[("tok", "q3f")],
        fallback: "/fallback",
        ..twiml::Connect::default()
    })
    .expect("TwiML");
    ([(header::CONTENT_TYPE, "text/xml")], xml).into_response()
}

fn signed(headers: &HeaderMap, urls: &[String], body: signature::Body<'_>) -> bool {
    let header = headers
        .get("x-twilio-signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    signature::verify(&[TOKEN], signature::Algorithm::Sha1, urls, body, header)
}

async fn trace(State(server): State<Arc<Server>>, Path(call): Path<String>, headers: HeaderMap) -> Response {
    let known =
        *server.call_sid.lock().await == call && headers.get("authorization").is_some_and(|v| v == "Bearer q3f");
    if !known || server.manners == Manners::Untraced {
        return StatusCode::NOT_FOUND.into_response();
    }
    let events = [
        json!({"type": "agent", "turn": 0, "text": "Hello."}),
        json!({"type": "turn", "turn": 0, "latency": {"voice_to_voice_ms": null}}),
        json!({"type": "caller", "turn": 1, "text": "a tone"}),
        json!({"type": "agent", "turn": 1, "text": "Beep."}),
        json!({"type": "heard", "turn": 1, "text": "Beep."}),
        json!({"type": "turn", "turn": 1, "latency": {"endpoint_ms": 200, "voice_to_voice_ms": 201.5}}),
        json!({"type": "end"}),
    ];
    // The greeting's events at once, those of the turn when it is under way.
    let body = futures_util::stream::unfold((0, server), move |(n, server)| {
        let event = events.get(n).cloned();
        async move {
            let event = event?;
            if n >= 2 {
                server.frames.subscribe().wait_for(|frames| *frames >= 90).await.ok()?;
            }
            Some((Ok::<_, Infallible>(format!("data: {event}\n\n")), (n + 1, server)))
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response()
}

async fn stream(State(server): State<Arc<Server>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let urls = signature::candidates(&format!("ws://{}/voice/stream", server.authority));
    if !signed(&headers, &urls, signature::Body::None) {
        return StatusCode::FORBIDDEN.into_response();
    }
    upgrade.on_upgrade(move |socket| answer(server, socket))
}

/// Greets with 400 ms of tone, and answers with 600 ms of it 200 ms after each speech. Clears when interrupted.
async fn answer(server: Arc<Server>, mut socket: WebSocket) {
    let (mut sid, mut silent_frames, mut spoken, mut answers) = (String::new(), 0, false, 0);
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        server.messages.lock().await.push(message.clone());
        match message["event"].as_str().expect("event") {
            "start" => {
                sid = message["streamSid"].as_str().expect("sid").to_owned();
                if server.manners == Manners::Bad {
                    misbehave(&mut socket, &sid).await;
                }
                tone(&mut socket, &sid, 20, "greeting").await;
            }
            "media" => {
                server.frames.send_modify(|frames| *frames += 1);
                let payload = BASE64
                    .decode(message["media"]["payload"].as_str().expect("payload"))
                    .expect("base64");
                if line::is_audible(&payload) {
                    if !spoken && answers > 0 {
                        let clear = json!({"event": "clear", "streamSid": sid}).to_string();
                        socket.send(Message::text(clear)).await.expect("sent");
                    }
                    (spoken, silent_frames) = (true, 0);
                } else {
                    silent_frames += 1;
                }
                if spoken && silent_frames == 10 {
                    (spoken, answers) = (false, answers + 1);
                    tone(&mut socket, &sid, 30, &format!("a{answers}")).await;
                }
            }
            "mark" if server.manners == Manners::HangsUp && message["mark"]["name"] == "a1" => return,
            _ => {}
        }
    }
}

async fn tone(socket: &mut WebSocket, sid: &str, frames: usize, mark: &str) {
    let payload = BASE64.encode([0xA0, 0xA0, 0xA0, 0xA0, 0x20, 0x20, 0x20, 0x20].repeat(20 * frames));
    let media = json!({"event": "media", "streamSid": sid, "media": {"payload": payload}}).to_string();
    let mark = json!({"event": "mark", "streamSid": sid, "mark": {"name": mark}}).to_string();
    for message in [media, mark] {
        let _ = socket.send(Message::text(message)).await;
    }
}

async fn misbehave(socket: &mut WebSocket, sid: &str) {
    let wrong = [
        json!({"event": "media", "streamSid": sid, "media": {"payload": BASE64.encode([0xFF; 150])}}).to_string(),
        json!({"event": "media", "streamSid": "MZ0", "media": {"payload": ""}}).to_string(),
        json!({"event": "mark", "streamSid": sid}).to_string(),
        json!({"event": "clear", "streamSid": sid, "sequenceNumber": "1"}).to_string(),
        json!({"event": "clear", "streamSid": sid, "sequenceNumber": "2"}).to_string(),
        "hello".to_owned(),
    ];
    for text in wrong {
        socket.send(Message::text(text)).await.expect("sent");
    }
    socket.send(Message::binary(vec![0; 160])).await.expect("sent");
}

fn plan(server: &Server, turns: usize) -> Plan {
    let tone: Vec<f32> = (0..4000).map(|n| 0.3 * (n as f32 * 0.4).sin()).collect();
    let utterance = Utterance::from_samples("tone".to_owned(), &tone, 8000, Level::Dbfs(-22.0)).expect("speech");
    Plan {
        target: Target::Webhook {
            url: format!("http://{}/voice/incoming", server.authority),
            public_url: None,
        },
        auth_token: Some(TOKEN.to_owned()),
        account_sid: "AC1".to_owned(),
        from: "+15005550006".to_owned(),
        to: "+15005550001".to_owned(),
        turns: vec![utterance; turns],
        pace: Pace {
            quiet: Duration::from_millis(300),
            ..Pace::default()
        },
    }
}

async fn call(plan: Plan) -> (Report, Vec<Happened>) {
    let mut events = Vec::new();
    let report = place_call(plan, &mut |event| events.push(event.happened))
        .await
        .expect("call");
    (report, events)
}

#[tokio::test]
async fn a_call_is_held_measured_and_traced() {
    let server = serve(Manners::Good).await;
    let (report, events) = call(plan(&server, 2)).await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.greeting.agent_text.as_deref(), Some("Hello."));
    assert_eq!(report.turns.len(), 2);
    for turn in &report.turns {
        let latency = turn.voice_to_voice_ms.expect("answer");
        assert!(LATENCY_MS.contains(&latency), "{latency}");
        assert!(turn.audible_ms.expect("audible") >= latency && !turn.cut_in);
    }
    let first = &report.turns[0];
    assert_eq!(
        (first.caller_text.as_deref(), first.agent_heard.as_deref()),
        (Some("a tone"), Some("Beep."))
    );
    assert_eq!(first.ledger.as_ref().expect("ledger")["voice_to_voice_ms"], 201.5);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Happened::Speaks { turn: 2, .. }))
    );

    let agent_ms = report
        .recording
        .samples()
        .filter(|[_, agent]| agent.abs() > 1000)
        .count()
        / 8;
    assert_eq!(agent_ms, 400 + 2 * 600);
    let caller_ms = report.recording.samples().filter(|[caller, _]| *caller != 0).count() / 8;
    assert!((900..=1000).contains(&caller_ms), "{caller_ms}");
    protocol_holds(&server.messages.lock().await, report.seconds);
}

/// What Twilio promises about the messages it sends.
fn protocol_holds(messages: &[Value], seconds: f64) {
    assert_eq!(
        (&messages[0]["event"], &messages[1]["event"]),
        (&json!("connected"), &json!("start"))
    );
    assert_eq!(messages[1]["start"]["customParameters"], json!({"tok": "q3f"}));
    assert_eq!(messages.last().expect("messages")["event"], "stop");
    for (n, message) in messages.iter().enumerate().skip(1) {
        assert_eq!(message["sequenceNumber"], n.to_string());
    }
    let media: Vec<_> = messages.iter().filter(|message| message["event"] == "media").collect();
    for (n, message) in media.iter().enumerate() {
        assert_eq!(message["media"]["timestamp"], (20 * (n + 1)).to_string());
    }
    assert!((media.len() as f64 * 0.02 - seconds).abs() < 0.001);
    let marks: Vec<_> = messages
        .iter()
        .filter_map(|message| message["mark"]["name"].as_str())
        .collect();
    assert_eq!(marks, ["greeting", "a1", "a2"]);
}

#[tokio::test]
async fn a_barge_in_clears_and_returns_the_mark() {
    let server = serve(Manners::Untraced).await;
    let mut plan = plan(&server, 2);
    plan.pace.barge_after = Some(Duration::from_millis(200));
    let (report, events) = call(plan).await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let second = &report.turns[1];
    assert!(second.barge && !second.cut_in);
    assert!(second.barge_to_clear_ms.expect("clear") < 500.0);
    assert!(LATENCY_MS.contains(&second.voice_to_voice_ms.expect("answer")));
    let refusals = events
        .iter()
        .filter(|event| matches!(event, Happened::TraceRefused { .. }))
        .count();
    assert_eq!(refusals, 1);
    assert!(report.turns[0].ledger.is_none());
}

#[tokio::test]
async fn every_fault_of_the_server_is_listed() {
    let server = serve(Manners::Bad).await;
    let (report, _) = call(plan(&server, 1)).await;
    let expected = [
        "media message of 150 bytes",
        "media message for another stream (\"MZ0\")",
        "mark message without mark.name",
        "clear message with the additional field sequenceNumber (2 times",
        "not a JSON object",
        "binary frame",
    ];
    assert_eq!(report.errors.len(), expected.len(), "{:?}", report.errors);
    for (error, expected) in report.errors.iter().zip(expected) {
        assert!(error.contains(expected), "{error}");
    }
    assert!(report.turns[0].voice_to_voice_ms.is_some());
}

#[tokio::test]
async fn an_agent_that_hangs_up_early_is_a_fault() {
    let server = serve(Manners::HangsUp).await;
    let (report, _) = call(plan(&server, 2)).await;
    assert_eq!(report.turns.len(), 1);
    assert!(
        report
            .errors
            .iter()
            .any(|error| error.starts_with("turn 2: the server closed")),
        "{:?}",
        report.errors
    );
}

#[tokio::test]
async fn a_refused_call_says_why() {
    let server = serve(Manners::Good).await;
    let place = async |plan: Plan| place_call(plan, &mut |_| {}).await.expect_err("refused").to_string();
    let unsigned = Plan {
        auth_token: None,
        ..plan(&server, 0)
    };
    assert!(place(unsigned).await.contains("403: the signature was refused"));
    let url = format!("http://{}/nowhere", server.authority);
    let lost = Plan {
        target: Target::Webhook { url, public_url: None },
        ..plan(&server, 0)
    };
    assert!(place(lost).await.contains("404"));
    let url = format!("ws://{}/voice/stream", server.authority);
    let stream = Plan {
        target: Target::Stream { url },
        auth_token: Some("wrong".to_owned()),
        ..plan(&server, 0)
    };
    assert!(place(stream).await.contains("did not open: HTTP error: 403"));
    for url in ["http://h", "wss://127.0.0.1:1/x"] {
        let target = Target::Stream { url: url.to_owned() };
        assert!(
            place(Plan {
                target,
                ..plan(&server, 0)
            })
            .await
            .contains(url)
        );
    }
}
