//! Live calls: who is there, what can be done, and watching them.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tieline::call::switchboard::Switchboard;
use tieline::config::{Config, Outbound, Strings};
use tieline::store::Scope;
use tieline::twilio::rest::{CallUpdate, Carrier, CarrierError, NewCall};

use crate::desk::{Desk, Reply};
use crate::phone::Phone;
use crate::support::{GREETING, Setup, soon, until};

#[tokio::test]
async fn a_live_call_is_listed_spoken_in_and_hung_up() {
    let desk = Desk::new().await;
    let (read, operate) = (desk.key(&[Scope::Read]).await, desk.key(&[Scope::Operate]).await);
    let none = desk.get("/api/phone/active-calls", &read).await.ok();
    assert_eq!((&none["count"], &none["active_calls"]), (&json!(0), &json!([])));
    let mut phone = Phone::greeted(&desk.server, "CA1").await;
    let active = desk.get("/api/phone/active-calls", &read).await.ok();
    let call = &active["active_calls"][0];
    assert_eq!(
        (&active["count"], &call["call_sid"], &call["direction"]),
        (&json!(1), &json!("CA1"), &json!("inbound"))
    );
    assert_eq!(
        (&call["from"], &call["agent"]),
        (&json!("+*********23"), &json!("test-desk"))
    );

    let said = desk
        .post(
            "/api/calls/CA1/say",
            &operate,
            &json!({"text": "Please hold the line."}),
        )
        .await;
    assert_eq!(said.status, 202, "{}", said.text);
    until("the words", || {
        desk.server.tts.jobs().iter().any(|job| job.contains("hold the line"))
    })
    .await;
    for (body, status) in [
        (json!({"text": " "}), 422),
        (json!({"text": "x".repeat(1001)}), 422),
        (json!({}), 422),
    ] {
        desk.post("/api/calls/CA1/say", &operate, &body).await.problem(status);
    }
    let bad = desk
        .post("/api/calls/CA1/transfer", &operate, &json!({"to": "my aunt"}))
        .await;
    assert_eq!(bad.problem(422).1.as_deref(), Some("to"));

    let ended = Reply::of(desk.request(Method::POST, "/api/calls/CA1/hangup", &operate)).await;
    assert_eq!((ended.status, ended.json()), (202, json!({"call_sid": "CA1"})));
    phone.closed().await;
    until("the end", || desk.server.app.registry.live() == 0).await;
    let again = Reply::of(desk.request(Method::POST, "/api/calls/CA1/hangup", &operate)).await;
    assert_eq!(again.problem(404).0, "not-found");
    let audited = desk.store.audit_events(50).await.expect("listed");
    let acts: Vec<&str> = audited.iter().map(|event| event.action.as_str()).collect();
    assert!(acts.contains(&"api-say") && acts.contains(&"api-hang-up"), "{acts:?}");
    assert!(audited.iter().all(|event| !event.detail.contains("hold the line")));
}

#[tokio::test]
async fn a_call_is_not_placed_where_nobody_can_place_one() {
    let desk = Desk::new().await;
    let operate = desk.key(&[Scope::Operate]).await;
    let refused = desk
        .post("/api/phone/outbound-call", &operate, &json!({"to": "+15550177123"}))
        .await;
    assert_eq!(refused.problem(409).0, "conflict");
    assert!(
        refused.json()["remedy"]
            .as_str()
            .is_some_and(|text| text.contains("PUBLIC_URL"))
    );
}

/// A carrier on which every call rings.
#[derive(Default)]
struct Ringing(Mutex<Vec<String>>);

impl Carrier for Ringing {
    fn create_call(&self, call: NewCall) -> BoxFuture<'_, Result<String, CarrierError>> {
        let mut rung = self.0.lock().expect("no panic under the lock");
        rung.push(call.to);
        Box::pin(std::future::ready(Ok(format!("CA{}", rung.len()))))
    }

    fn update_call<'a>(&'a self, _: &'a str, _: CallUpdate) -> BoxFuture<'a, Result<(), CarrierError>> {
        Box::pin(std::future::ready(Err(CarrierError::Malformed)))
    }

    fn send_message<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<String, CarrierError>> {
        Box::pin(std::future::ready(Err(CarrierError::Malformed)))
    }

    fn recording<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<u8>, CarrierError>> {
        Box::pin(std::future::ready(Err(CarrierError::Malformed)))
    }

    fn delete_recording<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), CarrierError>> {
        Box::pin(std::future::ready(Err(CarrierError::Malformed)))
    }
}

/// Two calls a day to numbers that begin with +1555, at this hour.
fn rules() -> Outbound {
    let hour = Timestamp::now().as_second() / 3_600 % 24;
    let hours = format!("{:02}:00-{:02}:00", (hour + 23) % 24, (hour + 2) % 24);
    let settings = [
        ("PUBLIC_URL", "https://phone.example.org"),
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "t0ken"),
        ("TWILIO_PHONE_NUMBER", "+15550100200"),
        ("OUTBOUND_ALLOW", "+1555*"),
        ("OUTBOUND_PER_DAY", "2"),
        ("OUTBOUND_HOURS", hours.as_str()),
    ];
    let strings: Strings = settings.into_iter().collect();
    Config::parse(&strings).expect("valid").outbound
}

#[tokio::test]
async fn calls_are_placed_once_and_only_where_they_may_go() {
    let carrier = Arc::new(Ringing::default());
    let desk = Desk::made(|store| {
        let line: Arc<dyn Carrier> = Arc::clone(&carrier) as _;
        let number = Some("+15550100200".to_owned());
        let base = "https://phone.example.org".to_owned();
        let switchboard = Switchboard::new(line, Some(store.clone()), rules(), base, number);
        Setup {
            switchboard: Some(Arc::new(switchboard)),
            agent: Some(CALLS_OUT.to_owned()),
            ..Setup::default()
        }
    })
    .await;
    let operate = desk.key(&[Scope::Operate]).await;
    let place = async |key: &str, body: &Value| {
        let request = desk
            .request(Method::POST, "/api/phone/outbound-call", &operate)
            .json(body);
        Reply::of(request.header("Idempotency-Key", key)).await
    };
    let body = json!({"to": "+15550177123", "context": {"visit": "Monday"}});
    let placed = place("one", &body).await;
    assert_eq!((placed.status, placed.json()), (201, json!({"call_sid": "CA1"})));
    assert_eq!(place("one", &body).await.text, placed.text);
    for (n, (body, field)) in [
        (json!({"to": "+19005550100"}), Some("to")),
        (json!({"to": "911"}), Some("to")),
        (json!({"to": "+15550177123", "agent": "nobody"}), Some("agent")),
        (
            json!({"to": "+15550177123", "leave_message": true}),
            Some("leave_message"),
        ),
        (
            json!({"to": "+15550177123", "context": {"much": "x".repeat(20_000)}}),
            Some("context"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = place(&format!("bad {n}").replace(' ', "-"), &body).await;
        assert_eq!(refused.problem(422).1.as_deref(), field, "{}", refused.text);
    }
    assert_eq!(place("two", &body).await.status, 201);
    assert_eq!(place("three", &body).await.problem(409).0, "conflict");
    assert_eq!(*carrier.0.lock().expect("no panic under the lock"), ["+15550177123"; 2]);
    let audited = desk.store.audit_events(50).await.expect("listed");
    let refused = audited.iter().filter(|event| event.outcome == "refused").count();
    assert!(
        refused >= 4 && audited.iter().all(|event| event.actor.starts_with("test (")),
        "{audited:?}"
    );
}

/// An agent that places calls and has no message for machines.
const CALLS_OUT: &str = r#"
name = "test-desk"
greeting = "Hello from the test desk."
system_prompt = "You are a test."
[outgoing]
allowed = true
"#;

/// The events of an open stream, one by one.
async fn watch(desk: &Desk, key: &str) -> impl Stream<Item = (String, Value)> + Unpin {
    let request = desk.request(Method::GET, "/api/events", key).send();
    let answer = soon("the stream", request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let chunks = answer.bytes_stream().map(|chunk| chunk.unwrap_or_default());
    Box::pin(
        chunks
            .scan(String::new(), |rest, chunk| {
                rest.push_str(&String::from_utf8_lossy(&chunk));
                let whole = rest.rfind("\n\n").map_or(0, |end| end + 2);
                let events: Vec<String> = rest
                    .drain(..whole)
                    .collect::<String>()
                    .split("\n\n")
                    .map(str::to_owned)
                    .collect();
                std::future::ready(Some(futures_util::stream::iter(events)))
            })
            .flatten()
            .filter_map(|event| {
                let line = |start: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(start))
                        .map(str::to_owned)
                };
                let found = line("event: ").zip(line("data: "));
                std::future::ready(found.map(|(name, data)| (name, serde_json::from_str(&data).expect("JSON"))))
            }),
    )
}

async fn next(events: &mut (impl Stream<Item = (String, Value)> + Unpin)) -> (String, Value) {
    soon("an event", events.next()).await.expect("an event")
}

#[tokio::test]
async fn calls_are_watched_with_words_only_by_those_who_may() {
    let desk = Desk::new().await;
    let read = desk.key(&[Scope::Read]).await;
    let phi = desk.key(&[Scope::Read, Scope::Phi]).await;
    let mut plain = watch(&desk, &read).await;
    let mut words = watch(&desk, &phi).await;
    let phone = Phone::greeted(&desk.server, "CA1").await;
    phone.hang_up().await;

    let (name, start) = next(&mut plain).await;
    assert_eq!(
        (name.as_str(), &start["agent"], &start["call_sid"]),
        ("start", &json!("test-desk"), &json!("CA1"))
    );
    assert!(start["at"].is_string() && start["type"] == "start");
    let (name, turn) = next(&mut plain).await;
    assert_eq!(
        (name.as_str(), &turn["turn"], &turn["outcome"]),
        ("turn", &json!(0), &json!("completed"))
    );
    assert!(turn["latency"].is_object() && !turn.to_string().contains("Hello"));
    assert_eq!(next(&mut plain).await.0, "end");

    let mut seen = Vec::new();
    loop {
        let (name, event) = next(&mut words).await;
        if name == "heard" {
            assert_eq!(event["text"], GREETING);
        }
        seen.push(name);
        if seen.last().is_some_and(|name| name == "end") {
            break;
        }
    }
    assert_eq!(seen, ["start", "agent", "heard", "turn", "end"]);
}

#[tokio::test]
async fn a_revoked_key_sees_no_further_event() {
    let desk = Desk::new().await;
    let read = desk.key(&[Scope::Read]).await;
    let mut events = watch(&desk, &read).await;
    let _phone = Phone::greeted(&desk.server, "CA1").await;
    assert_eq!(next(&mut events).await.0, "start");
    assert_eq!(next(&mut events).await.0, "turn");
    desk.store
        .revoke_api_key(&read[3..15])
        .await
        .expect("revoked")
        .expect("a key");
    let _other = Phone::greeted(&desk.server, "CA2").await;
    assert!(soon("the end of the stream", events.next()).await.is_none());
}
