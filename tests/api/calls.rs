//! The record of calls: pages, filters, and who sees what.

use serde_json::{Value, json};
use tieline::store::{AuditRecord, Because, Item, NewCall, Person, Scope, ToolRun, Turn, Who};
use tieline::twilio::status::{CallStatus, Report};

use crate::desk::Desk;

const SAID: &str = "my name is Zebra";

async fn record(desk: &Desk, call_sid: &str, agent: &str, outcome: Option<&str>) {
    let store = &desk.store;
    let new = NewCall {
        call_sid: call_sid.to_owned(),
        from: Some("+15550177123".to_owned()),
        to: Some("+15550100200".to_owned()),
        agent: agent.to_owned(),
    };
    store.begin_call(&new).await.expect("begun");
    if let Some(outcome) = outcome {
        store.end_call(call_sid, outcome).await.expect("ended");
    }
}

/// What the audit trail has of things that were seen.
async fn reads(desk: &Desk) -> Vec<AuditRecord> {
    let mut events = desk.store.audit_events(50).await.expect("listed");
    events.retain(|event| event.action == "api-read");
    events
}

fn sids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .map(|call| call["call_sid"].as_str().expect("a sid").to_owned())
        .collect()
}

#[tokio::test]
async fn pages_hold_every_call_once_and_filters_leave_out_the_others() {
    let desk = Desk::new().await;
    let key = desk.key(&[Scope::Read]).await;
    for n in 0..7 {
        let agent = if n % 2 == 0 { "front-desk" } else { "eligibility" };
        record(&desk, &format!("CA{n}"), agent, (n < 5).then_some("caller")).await;
    }
    // All in one millisecond: then the sid decides.
    let raw = desk.fresh.raw().await;
    sqlx::query("UPDATE calls SET started_at_ms = 1800000000000 WHERE call_sid <> 'CA6'")
        .execute(&raw)
        .await
        .expect("written");
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = desk.get(&format!("/api/calls?limit=3{cursor}"), &key).await.ok();
        all.extend(sids(&page));
        assert!(sids(&page).len() <= 3);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(sorted, ["CA0", "CA1", "CA2", "CA3", "CA4", "CA5", "CA6"]);
    for (query, expected) in [
        ("agent=eligibility", vec!["CA1", "CA3", "CA5"]),
        ("outcome=caller&agent=front-desk", vec!["CA0", "CA2", "CA4"]),
        ("status=in-progress", vec!["CA5", "CA6"]),
        ("status=completed&outcome=goodbye", vec![]),
        (
            "from=2027-01-15T08:00:00Z&to=2027-01-15T08:00:00.001Z&status=in-progress",
            vec!["CA5"],
        ),
        ("to=2027-01-15T08:00:00Z", vec!["CA6"]),
    ] {
        let mut found = sids(&desk.get(&format!("/api/calls?{query}"), &key).await.ok());
        found.sort();
        assert_eq!(found, expected, "{query}");
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("cursor=AAAA", "cursor"),
        ("from=yesterday", "from"),
        ("agent=a%00b", "agent"),
        ("status=ended", "status"),
        ("agent=a&agent=b", "agent"),
    ] {
        let reply = desk.get(&format!("/api/calls?{query}"), &key).await;
        assert_eq!(
            reply.problem(400),
            ("bad-request".to_owned(), Some(field.to_owned())),
            "{query}"
        );
    }
    desk.get("/api/calls?agnet=front-desk", &key).await.problem(400);
}

#[tokio::test]
async fn what_was_said_is_for_those_who_may_read_it_and_reading_is_audited() {
    let desk = Desk::new().await;
    let (read, phi) = (
        desk.key(&[Scope::Read]).await,
        desk.key(&[Scope::Read, Scope::Phi]).await,
    );
    record(&desk, "CA1", "front-desk", None).await;
    let turn = Turn {
        number: 1,
        said: SAID.to_owned(),
        heard: "Good day, Zebra.".to_owned(),
        outcome: "completed".to_owned(),
        ledger: json!({"stt_ms": 120.5}),
    };
    desk.store.save_turn("CA1", &turn).await.expect("saved");
    let run = ToolRun {
        turn: 1,
        tool: "find_customer".to_owned(),
        args: json!({"name": "Zebra"}),
        outcome: "found".to_owned(),
        duration_ms: 7,
    };
    desk.store.save_tool_run("CA1", &run).await.expect("saved");

    let masked = desk.get("/api/calls/CA1", &read).await;
    let call = masked.ok();
    assert_eq!(call["call"]["from"], "+*********23");
    assert_eq!(
        call["turns"][0],
        json!({"number": 1, "outcome": "completed", "ledger": {"stt_ms": 120.5}})
    );
    assert_eq!(
        call["tools"][0],
        json!({"turn": 1, "tool": "find_customer", "outcome": "found", "duration_ms": 7})
    );
    for path in ["/api/calls", "/api/phone/call-status/CA1", "/api/phone/active-calls"] {
        let text = desk.get(path, &read).await.text;
        assert!(!text.contains("Zebra") && !text.contains("0177123"), "{path}: {text}");
    }
    assert!(!masked.text.contains("Zebra") && !masked.text.contains("0177123"));
    assert!(reads(&desk).await.is_empty(), "nothing private was seen");

    let call = desk.get("/api/calls/CA1", &phi).await.ok();
    assert_eq!(call["call"]["from"], "+15550177123");
    assert_eq!(call["turns"][0]["said"], SAID);
    assert_eq!(call["tools"][0]["args"], json!({"name": "Zebra"}));
    let status = desk.get("/api/phone/call-status/CA1", &phi).await.ok();
    assert_eq!(
        (&status["status"], &status["agent"]),
        (&json!("in-progress"), &json!("front-desk"))
    );
    let audited = reads(&desk).await;
    assert_eq!(audited.len(), 2);
    assert!(
        audited
            .iter()
            .all(|event| event.subject == "CA1" && event.origin == "127.0.0.1")
    );
    assert!(audited[0].actor.starts_with("test ("), "{}", audited[0].actor);

    // The carrier reports calls that had no stream too.
    let report = Report::of(CallStatus::NoAnswer);
    desk.store.save_status("CA2", &report).await.expect("saved");
    let status = desk.get("/api/phone/call-status/CA2", &read).await.ok();
    assert_eq!(
        (&status["status"], &status["agent"]),
        (&json!("no-answer"), &Value::Null)
    );

    for path in [
        "/api/calls/CA9",
        "/api/phone/call-status/CA9",
        "/api/calls/a%00b",
        "/api/agents/nobody",
    ] {
        assert_eq!(desk.get(path, &read).await.problem(404).0, "not-found", "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_audited_is_not_shown() {
    let desk = Desk::new().await;
    let phi = desk.key(&[Scope::Read, Scope::Phi]).await;
    record(&desk, "CA1", "front-desk", None).await;
    let order = json!({"customer_number": "482615", "service_type": "plumbing", "description": "Dana's sink leaks",
        "location": "kitchen", "urgency": "high"});
    let order = desk.post("/api/task-orders", &phi, &order).await.ok();
    let order = format!("/api/task-orders/{}", order["order_number"].as_str().expect("a number"));
    let raw = desk.fresh.raw().await;
    sqlx::query("DROP TABLE audit_events")
        .execute(&raw)
        .await
        .expect("dropped");
    for path in [
        "/api/calls/CA1",
        "/api/calls",
        "/api/customers",
        "/api/customers/482615",
        "/api/events",
    ] {
        let reply = desk.get(path, &phi).await;
        assert_eq!(reply.problem(503).0, "unavailable", "{path}");
        assert!(!reply.text.contains("Dana") && !reply.text.contains("0177123"));
    }
    // What is changed is shown as well.
    for (path, change) in [
        ("/api/customers/482615", json!({"email": null})),
        (order.as_str(), json!({"status": "scheduled"})),
    ] {
        let reply = desk.patch(path, &phi, &change).await;
        assert_eq!(reply.problem(503).0, "unavailable", "{path}");
        assert!(!reply.text.contains("Dana"), "{path}");
    }
}

#[tokio::test]
async fn agents_as_their_files_have_them() {
    let desk = Desk::new().await;
    let key = desk.key(&[Scope::Read]).await;
    let agents = desk.get("/api/agents", &key).await.ok();
    assert_eq!(agents["items"][0]["name"], "test-desk");
    assert_eq!(agents["items"][0]["default"], true);
    let agent = desk.get("/api/agents/test-desk", &key).await.ok();
    assert_eq!(
        (&agent["greeting"], &agent["system_prompt"]),
        (&json!("Hello from the test desk."), &json!("You are a test."))
    );
}

#[tokio::test]
async fn what_was_deleted_is_said_to_be_gone() {
    let desk = Desk::new().await;
    let key = desk.key(&[Scope::Phi, Scope::Read]).await;
    for sid in ["CA1", "CA2"] {
        record(&desk, sid, "front-desk", Some("caller")).await;
    }
    let order = json!({"customer_number": "482615", "service_type": "plumbing", "description": "the sink leaks",
        "location": "kitchen", "urgency": "high"});
    let order = desk.post("/api/task-orders", &key, &order).await.ok();
    let order = format!("/api/task-orders/{}", order["order_number"].as_str().expect("a number"));
    let because = Because {
        who: Who {
            actor: "test",
            origin: "",
        },
        action: "delete",
        detail: "test",
    };
    let found = desk.store.belongings(Person::Customer("482615")).await.expect("found");
    let items = [
        &found.items[..],
        &[Item::Content("CA1".to_owned()), Item::Call("CA2".to_owned())],
    ]
    .concat();
    desk.store.retire(&items, because).await.expect("deleted");
    for path in ["/api/calls/CA1", "/api/calls/CA2", "/api/customers/482615", &order] {
        let reply = desk.get(path, &key).await;
        assert_eq!(reply.problem(410).0, "gone", "{path}");
        let detail = reply.json()["detail"].to_string();
        assert!(detail.contains(" was deleted on 20"), "{detail}");
    }
    desk.patch("/api/customers/482615", &key, &json!({"name": "Ann"}))
        .await
        .problem(410);
    desk.patch(&order, &key, &json!({"status": "scheduled"}))
        .await
        .problem(410);
    desk.get("/api/calls/CA9", &key).await.problem(404);
    let page = desk.get("/api/calls", &key).await.ok();
    assert_eq!(sids(&page), ["CA1"], "what is left of it is in the list");
    assert_eq!(
        (&page["items"][0]["deleted"], &page["items"][0]["from"]),
        (&json!(true), &Value::Null)
    );
}
