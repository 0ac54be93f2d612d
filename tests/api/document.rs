//! The OpenAPI document: whole, stable, and shown without help from elsewhere.

use serde_json::Value;

use crate::desk::{Desk, Reply};

/// All there is; a route that is added is written down here and in the snapshot.
const ROUTES: &[&str] = &[
    "GET /api/agents",
    "GET /api/agents/{name}",
    "GET /api/audit",
    "GET /api/break-glass/list",
    "GET /api/calls",
    "GET /api/calls/{call_sid}",
    "GET /api/calls/{call_sid}/recording",
    "GET /api/customers",
    "GET /api/customers/{customer_number}",
    "GET /api/docs",
    "GET /api/events",
    "GET /api/keys",
    "GET /api/openapi.json",
    "GET /api/phone/active-calls",
    "GET /api/phone/call-status/{call_sid}",
    "GET /api/task-orders",
    "GET /api/task-orders/{order_number}",
    "PATCH /api/customers/{customer_number}",
    "PATCH /api/task-orders/{order_number}",
    "POST /api/break-glass",
    "POST /api/break-glass/{id}/revoke",
    "POST /api/calls/{call_sid}/hangup",
    "POST /api/calls/{call_sid}/recording",
    "POST /api/calls/{call_sid}/say",
    "POST /api/calls/{call_sid}/transfer",
    "POST /api/customers",
    "POST /api/keys/{id}/revoke",
    "POST /api/phone/outbound-call",
    "POST /api/task-orders",
];

async fn document(desk: &Desk) -> Reply {
    Reply::of(desk.server.http.get(desk.server.url("/api/openapi.json"))).await
}

#[tokio::test]
async fn the_document_lists_every_route_and_is_stable() {
    let (one, other) = (Desk::new().await, Desk::new().await);
    let reply = document(&one).await;
    let json = reply.ok();
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(json["openapi"], "3.1.0");
    let mut listed = Vec::new();
    for (path, item) in json["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            listed.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    listed.sort();
    assert_eq!(listed, ROUTES);
    assert_eq!(reply.text, document(&other).await.text);
    let text = reply.text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!("openapi", text);
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let desk = Desk::new().await;
    let json = document(&desk).await.ok();
    let mut open = vec![&json];
    let mut references = 0;
    while let Some(value) = open.pop() {
        if let Some(reference) = value.get("$ref").and_then(|reference| reference.as_str()) {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(json.pointer(pointer).is_some(), "{reference}");
            references += 1;
        }
        match value {
            Value::Object(fields) => open.extend(fields.values()),
            Value::Array(items) => open.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(references > 50, "{references}");
}

#[tokio::test]
async fn the_viewer_needs_nothing_from_elsewhere() {
    let desk = Desk::new().await;
    let page = Reply::of(desk.server.http.get(desk.server.url("/api/docs"))).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for elsewhere in ["http:", "https:", "src=\"//", "innerHTML", "import("] {
        assert!(!page.text.contains(elsewhere), "{elsewhere}");
    }
}
