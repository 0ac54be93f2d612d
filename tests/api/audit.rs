//! The audit trail as auditors see it, who was refused, and break-glass.

use reqwest::Method;
use serde_json::{Value, json};
use tieline::store::{Anchor, AuditRecord, NewApiKey, NewCall, Scope};

use crate::desk::{Desk, Reply};
use crate::phone::Phone;
use crate::support::soon;

async fn call(desk: &Desk) {
    let new = NewCall {
        call_sid: "CA1".to_owned(),
        from: Some("+15550177123".to_owned()),
        agent: "front-desk".to_owned(),
        ..NewCall::default()
    };
    desk.store.begin_call(&new).await.expect("begun");
}

async fn events(desk: &Desk, action: &str) -> Vec<AuditRecord> {
    let mut events = desk.store.audit_events(200).await.expect("listed");
    events.retain(|event| event.action == action);
    events
}

#[tokio::test]
async fn auditors_page_through_the_trail_and_see_nothing_else() {
    let desk = Desk::new().await;
    let (auditor, phi) = (
        desk.key(&[Scope::Audit]).await,
        desk.key(&[Scope::Read, Scope::Phi]).await,
    );
    call(&desk).await;
    for _ in 0..3 {
        desk.get("/api/calls/CA1", &phi).await.ok();
    }
    let found = desk
        .get("/api/audit?action=api-read&subject=CA1&limit=2", &auditor)
        .await
        .ok();
    let items = found["items"].as_array().expect("items");
    assert_eq!(items.len(), 2);
    for item in items {
        assert_eq!(
            (&item["subject"], &item["outcome"], &item["detail"], &item["origin"]),
            (&json!("CA1"), &json!("allowed"), &json!("call"), &json!("127.0.0.1"))
        );
        assert!(item["actor"].as_str().is_some_and(|actor| actor.starts_with("test (")));
    }
    let next = found["next_cursor"].as_str().expect("more");
    let rest = desk
        .get(
            &format!("/api/audit?action=api-read&subject=CA1&limit=2&cursor={next}"),
            &auditor,
        )
        .await
        .ok();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["next_cursor"], Value::Null);
    // That it was read is in it, and the head is where the chain ends.
    let all = desk.get("/api/audit", &auditor).await.ok();
    assert_eq!(
        (&all["items"][0]["action"], &all["items"][0]["detail"]),
        (&json!("api-read"), &json!("audit trail"))
    );
    let head: Anchor = all["head"].as_str().expect("a head").parse().expect("an anchor");
    assert_eq!(all["items"][0]["mac"], head.mac);
    let whole = desk.store.verify_audit(Some(&head)).await.expect("readable");
    assert_eq!(whole.faults, Vec::<String>::new());
    for path in [
        "/api/calls",
        "/api/calls/CA1",
        "/api/customers",
        "/api/keys",
        "/api/break-glass/list",
    ] {
        assert_eq!(desk.get(path, &auditor).await.problem(403).0, "scope", "{path}");
    }
    for bad in [
        "cursor=x",
        "cursor=-1",
        "cursor=",
        "limit=0",
        "limit=201",
        "action=a%20b",
        "subject=%00",
        "subject=",
        "colour=red",
    ] {
        assert_eq!(
            desk.get(&format!("/api/audit?{bad}"), &auditor).await.status,
            400,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn refusals_are_written_down_without_what_was_sent() {
    let desk = Desk::new().await;
    let read = desk.key(&[Scope::Read]).await;
    let new = NewApiKey {
        name: "gone".to_owned(),
        scopes: [Scope::Read].into(),
        lifetime: None,
    };
    let (gone, secret) = desk.store.create_api_key(&new).await.expect("a key");
    desk.store.revoke_api_key(&gone.id).await.expect("revoked");
    let wrong = format!("tl_15550177123x_{}", "a".repeat(43));
    desk.get("/api/calls", &wrong).await.problem(401);
    desk.get("/api/calls", secret.expose()).await.problem(401);
    desk.get("/api/customers/482615", &read).await.problem(403);
    let logins = events(&desk, "api-login").await;
    let told: Vec<(&str, &str, &str)> = logins
        .iter()
        .map(|event| (event.subject.as_str(), event.outcome.as_str(), event.detail.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (&read[3..15], "allowed", ""),
            (gone.id.as_str(), "refused", "the key was revoked"),
            ("", "refused", "the key is unknown"),
        ]
    );
    assert!(logins.iter().all(|event| event.origin == "127.0.0.1"));
    let refused = events(&desk, "api-access").await;
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (refused[0].outcome.as_str(), refused[0].detail.as_str()),
        ("refused", "lacks phi: GET /api/customers/{customer_number}")
    );
    let all = format!("{:?}", desk.store.audit_events(200).await.expect("listed"));
    assert!(!all.contains("15550177123") && !all.contains("482615"), "{all}");
    // A flood of strangers leaves most of the day to others, and asks the database nothing.
    for _ in 0..40 {
        desk.get("/api/calls", &wrong).await.problem(401);
    }
    let strangers = events(&desk, "api-login").await;
    let strangers = strangers.iter().filter(|event| event.detail == "the key is unknown");
    assert!((10..=25).contains(&strangers.count()), "a burst of them");
}

#[tokio::test]
async fn whoever_breaks_the_glass_sees_what_is_private_for_a_while_and_is_seen() {
    let desk = Desk::new().await;
    let (desk_key, admin) = (
        desk.key(&[Scope::Read, Scope::BreakGlass]).await,
        desk.key(&[Scope::Admin]).await,
    );
    call(&desk).await;
    let from = async || desk.get("/api/calls/CA1", &desk_key).await.ok()["call"]["from"].clone();
    assert_eq!(from().await, "+*********23");
    desk.get("/api/customers", &desk_key).await.problem(403);
    let good = json!({"reason": "the caller has collapsed", "minutes": 15});
    for (body, field) in [
        (json!({"reason": "because", "minutes": 15}), "reason"),
        (json!({"reason": "x".repeat(501), "minutes": 15}), "reason"),
        (json!({"reason": "the caller has collapsed", "minutes": 0}), "minutes"),
        (json!({"reason": "the caller has collapsed", "minutes": 61}), "minutes"),
        (json!({"minutes": 15}), "reason"),
    ] {
        let reply = desk.post("/api/break-glass", &desk_key, &body).await;
        assert_eq!(reply.problem(422).1.as_deref(), Some(field), "{}", reply.text);
    }
    let phi = desk.key(&[Scope::Phi, Scope::BreakGlass]).await;
    desk.post("/api/break-glass", &phi, &good).await.problem(409);
    desk.post("/api/break-glass", &admin, &good).await.problem(403);
    assert_eq!(from().await, "+*********23", "nothing has come of all that");

    let broken = desk.post("/api/break-glass", &desk_key, &good).await;
    assert_eq!(broken.status, 201, "{}", broken.text);
    let id = broken.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(from().await, "+15550177123");
    desk.get("/api/customers/482615", &desk_key).await.ok();
    let read = events(&desk, "api-read").await;
    assert_eq!(read[1].detail, format!("call, break-glass {id}"));
    assert_eq!(read[0].detail, format!("customer, break-glass {id}"));
    let listed = desk.get("/api/break-glass/list", &admin).await.ok();
    assert_eq!((&listed["open"], &listed["items"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(listed["items"][0]["reason"], "the caller has collapsed");

    // It ends by itself.
    let raw = desk.fresh.raw().await;
    sqlx::query("UPDATE break_glass SET begun_at_ms = begun_at_ms - 900001, ends_at_ms = ends_at_ms - 900001")
        .execute(&raw)
        .await
        .expect("a quarter of an hour later");
    assert_eq!(from().await, "+*********23");
    desk.get("/api/customers/482615", &desk_key).await.problem(403);
    assert_eq!(desk.get("/api/break-glass/list", &admin).await.ok()["open"], 0);
    assert_eq!(events(&desk, "break-glass").await.len(), 1);
    let whole = desk.store.verify_audit(None).await.expect("readable");
    assert_eq!(whole.faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_glass_that_is_taken_back_ends_what_is_being_watched() {
    let desk = Desk::new().await;
    let (desk_key, admin) = (
        desk.key(&[Scope::Read, Scope::BreakGlass]).await,
        desk.key(&[Scope::Admin]).await,
    );
    let good = json!({"reason": "the caller has collapsed", "minutes": 60});
    let broken = desk.post("/api/break-glass", &desk_key, &good).await.ok();
    let mut events = soon("the stream", desk.request(Method::GET, "/api/events", &desk_key).send())
        .await
        .expect("an answer");
    assert_eq!(events.status(), 200);
    let _phone = Phone::greeted(&desk.server, "CA1").await;
    let seen = async {
        let mut text = String::new();
        while !text.contains("event: agent") {
            let chunk = events.chunk().await.expect("readable").expect("it goes on");
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
    };
    soon("what was said", seen).await;
    let path = format!("/api/break-glass/{}/revoke", broken["id"].as_str().expect("an id"));
    let revoked = Reply::of(desk.request(Method::POST, &path, &admin)).await.ok();
    assert!(revoked["revoked_at"].is_string() && revoked["is_open"] == false);
    let _other = Phone::greeted(&desk.server, "CA2").await;
    let ended = async {
        let mut text = String::new();
        while let Some(chunk) = events.chunk().await.expect("readable") {
            text.push_str(&String::from_utf8_lossy(&chunk));
        }
        text
    };
    let after = soon("the end of the stream", ended).await;
    assert!(!after.contains("CA2"), "{after}");
    let unknown = Reply::of(desk.request(Method::POST, "/api/break-glass/none/revoke", &admin)).await;
    unknown.problem(404);
}
