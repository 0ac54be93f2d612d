//! Customers and task orders, and requests that are repeated.

use std::collections::HashSet;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tieline::store::{Claim, Record, Scope};

use crate::desk::{Desk, Reply};
use crate::fresh::count;

async fn once(desk: &Desk, path: &str, key: &str, idempotency_key: &str, body: &Value) -> Reply {
    let request = desk.request(Method::POST, path, key).json(body);
    Reply::of(request.header("Idempotency-Key", idempotency_key)).await
}

#[tokio::test]
async fn customers_are_made_found_and_changed() {
    let desk = Desk::new().await;
    let key = desk.key(&[Scope::Phi]).await;
    let all = desk.get("/api/customers?limit=2", &key).await.ok();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2));
    let next = all["next_cursor"].as_str().expect("more");
    let rest = desk.get(&format!("/api/customers?cursor={next}"), &key).await.ok();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));

    let new = json!({"name": "Ann Lee", "phone": "+15550199001", "email": null});
    let made = desk.post("/api/customers", &key, &new).await;
    assert_eq!(made.status, 201);
    let path = format!(
        "/api/customers/{}",
        made.json()["customer_number"].as_str().expect("a number")
    );
    let change = json!({"email": "ann@example.org", "phone": null});
    let changed = desk.patch(&path, &key, &change).await.ok();
    assert_eq!(
        (&changed["email"], &changed["phone"]),
        (&json!("ann@example.org"), &Value::Null)
    );
    let found = desk.get(&path, &key).await.ok();
    assert_eq!((&found, &found["name"]), (&changed, &json!("Ann Lee")));
    desk.patch("/api/customers/999999", &key, &change).await.problem(404);

    // The audit trail names them by what stands for them.
    let number = found["customer_number"].as_str().expect("a number");
    let stands = desk.store.key_id(Record::Customer(number)).expect("a reference");
    let events = desk.store.audit_events(50).await.expect("listed");
    let acts = events.iter().filter(|event| event.subject == stands);
    let acts: Vec<&str> = acts.map(|event| event.action.as_str()).collect();
    assert_eq!(acts, ["api-read", "api-change", "api-create"]);
    assert!(events.iter().all(|event| !format!("{event:?}").contains(number)));

    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "Ann", "phone": "5550199"}), "phone"),
        (json!({"name": "Ann", "phone": "+1 555 019 9001"}), "phone"),
        (json!({"name": "Zebra\u{0}"}), "name"),
        (json!({"name": "Zebra".repeat(200)}), "name"),
        (json!({"phone": "+15550199001"}), "name"),
        (json!({"name": ["Zebra"]}), "name"),
        (json!({"name": "Ann", "colour": "Zebra"}), "colour"),
    ] {
        let reply = desk.post("/api/customers", &key, &body).await;
        assert_eq!(reply.problem(422).1.as_deref(), Some(field), "{}", reply.text);
        assert!(!reply.text.contains("Zebra"), "{}", reply.text);
    }
    desk.patch(&path, &key, &json!({"name": null})).await.problem(422);
}

#[tokio::test]
async fn orders_are_made_found_and_moved_on() {
    let desk = Desk::new().await;
    let key = desk.key(&[Scope::Phi]).await;
    let order = |customer: &str| {
        json!({"customer_number": customer, "service_type": "plumbing", "description": "the sink leaks",
            "location": "kitchen", "urgency": "high"})
    };
    let made = desk.post("/api/task-orders", &key, &order("482615")).await.ok();
    desk.post("/api/task-orders", &key, &order("573904")).await.ok();
    let refused = desk.post("/api/task-orders", &key, &order("424242")).await;
    assert_eq!(refused.problem(422).1.as_deref(), Some("customer_number"));
    let path = format!("/api/task-orders/{}", made["order_number"].as_str().expect("a number"));
    let moved = desk.patch(&path, &key, &json!({"status": "scheduled"})).await.ok();
    assert_eq!(moved["status"], "scheduled");
    assert_eq!(desk.get(&path, &key).await.ok(), moved);
    let unknown = desk.patch(&path, &key, &json!({"status": "lost"})).await;
    assert_eq!(unknown.problem(422).1.as_deref(), Some("status"));
    for (query, expected) in [
        ("customer_number=482615", 1),
        ("status=open", 1),
        ("call_sid=CA1", 0),
        ("limit=1", 1),
    ] {
        let found = desk.get(&format!("/api/task-orders?{query}"), &key).await.ok();
        assert_eq!(found["items"].as_array().map(Vec::len), Some(expected), "{query}");
    }
    desk.get("/api/task-orders/0000000", &key).await.problem(404);
}

#[tokio::test]
async fn a_repeated_request_is_answered_again_and_not_done_again() {
    let desk = Desk::new().await;
    let (key, other) = (desk.key(&[Scope::Phi]).await, desk.key(&[Scope::Phi]).await);
    let body = json!({"name": "Ann Lee"});
    let before = count(&desk.fresh.raw().await, "SELECT count(*) FROM customers").await;
    // At the same time: one is first, the others hear of it or are told to wait.
    let replies = join_all((0..8).map(|_| once(&desk, "/api/customers", &key, "one", &body))).await;
    let mut numbers = HashSet::new();
    for reply in replies {
        if reply.status == 201 {
            numbers.insert(reply.json()["customer_number"].to_string());
        } else {
            assert_eq!(reply.problem(409).0, "being-answered");
            assert!(!reply.header("retry-after").is_empty());
        }
    }
    assert_eq!(numbers.len(), 1);
    let again = once(&desk, "/api/customers", &key, "one", &body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert!(numbers.contains(&again.json()["customer_number"].to_string()));
    let seen = desk.store.audit_events(1).await.expect("listed").remove(0);
    assert_eq!(
        (seen.action.as_str(), seen.detail.as_str()),
        ("api-read", "repeated answer")
    );

    let different = once(&desk, "/api/customers", &key, "one", &json!({"name": "Bob Lee"})).await;
    assert_eq!(
        different.problem(422),
        ("idempotency-key".to_owned(), Some("Idempotency-Key".to_owned()))
    );
    once(&desk, "/api/task-orders", &key, "one", &body).await.problem(422);
    // Keys of one client are nothing to another.
    assert_eq!(once(&desk, "/api/customers", &other, "one", &body).await.status, 201);
    let after = count(&desk.fresh.raw().await, "SELECT count(*) FROM customers").await;
    assert_eq!(after - before, 2);

    // What was refused is refused again, without a look at it.
    let bad = json!({"name": ""});
    once(&desk, "/api/customers", &key, "two", &bad).await.problem(422);
    let again = once(&desk, "/api/customers", &key, "two", &bad).await;
    assert_eq!(
        (again.problem(422).1.as_deref(), again.header("idempotency-replayed")),
        (Some("name"), "true")
    );
    for bad in ["", "a b", &"x".repeat(201)] {
        let reply = once(&desk, "/api/customers", &key, bad, &body).await;
        assert_eq!(reply.problem(400).1.as_deref(), Some("Idempotency-Key"), "{bad:?}");
    }
}

/// An answer of 503 gives the claim up, and the commit before it may have been done.
#[tokio::test]
async fn what_was_done_before_its_claim_was_given_up_is_not_done_again() {
    let desk = Desk::new().await;
    let (key, other) = (desk.key(&[Scope::Phi]).await, desk.key(&[Scope::Phi]).await);
    let customer = json!({"name": "Ann Lee"});
    let order = json!({"customer_number": "482615", "service_type": "plumbing", "description": "the sink leaks",
        "location": "kitchen", "urgency": "high"});
    for (path, number, body, changed) in [
        (
            "/api/customers",
            "customer_number",
            &customer,
            json!({"name": "Bob Lee"}),
        ),
        ("/api/task-orders", "order_number", &order, {
            let mut changed = order.clone();
            changed["urgency"] = json!("low");
            changed
        }),
    ] {
        let made = async |key: &str, body: &Value| {
            let reply = once(&desk, path, key, "one", body).await;
            let given_up = sqlx::query("DELETE FROM api_requests");
            given_up.execute(&desk.fresh.raw().await).await.expect("deleted");
            reply.ok()[number].clone()
        };
        let first = made(&key, body).await;
        assert_eq!(made(&key, body).await, first, "{path}");
        assert_ne!(made(&key, &changed).await, first, "{path}: another request");
        assert_ne!(made(&other, body).await, first, "{path}: another client");
    }
}

#[tokio::test]
async fn what_was_not_possible_may_be_tried_again_and_what_is_open_may_not() {
    let desk = Desk::new().await;
    let key = desk.key(&[Scope::Operate]).await;
    let id = &key[3..15];
    // Another server claimed it and died.
    assert!(matches!(
        desk.store.claim_request(id, "dead", "hash").await,
        Ok(Claim::Ours)
    ));
    let other = once(&desk, "/api/calls/CA1/hangup", &key, "dead", &json!({})).await;
    assert_eq!(other.problem(422).0, "idempotency-key");

    let raw = desk.fresh.raw().await;
    sqlx::query("ALTER TABLE audit_events RENAME TO gone")
        .execute(&raw)
        .await
        .expect("renamed");
    once(&desk, "/api/calls/CA1/hangup", &key, "later", &json!({}))
        .await
        .problem(503);
    sqlx::query("ALTER TABLE gone RENAME TO audit_events")
        .execute(&raw)
        .await
        .expect("renamed");
    let tried = once(&desk, "/api/calls/CA1/hangup", &key, "later", &json!({})).await;
    assert_eq!(
        (tried.problem(404).0.as_str(), tried.header("idempotency-replayed")),
        ("not-found", "")
    );
}
