//! How much and how often.

use reqwest::Method;
use serde_json::json;
use tieline::config::ApiLimits;
use tieline::store::Scope;

use crate::desk::{Desk, Reply};
use crate::support::{AUTH_TOKEN, Setup, form};

fn limits(per_key: u32, per_address: u32) -> Setup {
    Setup {
        auth_token: Some(AUTH_TOKEN),
        api: ApiLimits {
            per_key,
            per_address,
            proxies: vec!["127.0.0.1/32".parse().expect("a network")],
        },
        ..Setup::default()
    }
}

/// Asks until it is too much; how often it was not.
async fn ask(desk: &Desk, key: &str, from: &str) -> (u32, Option<Reply>) {
    for n in 0..20 {
        let request = desk
            .request(Method::GET, "/api/agents", key)
            .header("x-forwarded-for", from);
        let reply = Reply::of(request).await;
        if reply.status == 429 {
            return (n, Some(reply));
        }
    }
    (20, None)
}

#[tokio::test]
async fn a_key_may_ask_so_often() {
    let desk = Desk::with(limits(3, 1_000)).await;
    let (one, other) = (desk.key(&[Scope::Read]).await, desk.key(&[Scope::Read]).await);
    let (asked, refused) = ask(&desk, &one, "192.0.2.1").await;
    // One more every twenty seconds.
    assert!((3..=5).contains(&asked), "{asked}");
    let refused = refused.expect("a refusal");
    assert_eq!(refused.problem(429).0, "too-many");
    let wait: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(
        ask(&desk, &one, "192.0.2.2").await.0 <= 1,
        "from elsewhere it is the same key"
    );
    assert!(ask(&desk, &other, "192.0.2.1").await.0 >= 3);
}

#[tokio::test]
async fn an_address_may_ask_so_often_and_twilio_as_it_likes() {
    let desk = Desk::with(limits(1_000, 3)).await;
    let key = desk.key(&[Scope::Read]).await;
    // Without a good key too: nobody can try many.
    let (asked, _) = ask(&desk, "zebra", "192.0.2.1").await;
    assert!((3..=5).contains(&asked), "{asked}");
    assert!(ask(&desk, &key, "192.0.2.1").await.0 <= 1);
    assert!(
        ask(&desk, &key, "192.0.2.9, 192.0.2.1").await.0 <= 1,
        "the proxy's own word counts"
    );
    assert!(ask(&desk, &key, "192.0.2.7").await.0 >= 3);
    for n in 0..10 {
        let fields = form(&format!("CA{n}"));
        let (status, _) = desk.server.post("/voice/incoming", &fields, Some(AUTH_TOKEN)).await;
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn bodies_are_json_and_not_large() {
    let desk = Desk::new().await;
    let key = desk.key(&[Scope::Phi]).await;
    let post = |body: String, content_type: &str| {
        let request = desk.request(Method::POST, "/api/customers", &key).body(body);
        Reply::of(request.header("content-type", content_type))
    };
    let json = "application/json";
    let large = json!({"name": "x".repeat(70_000)}).to_string();
    assert_eq!(post(large.clone(), json).await.problem(413).0, "too-large");
    let keyed = desk.request(Method::POST, "/api/customers", &key).body(large);
    let keyed = keyed.header("content-type", json).header("idempotency-key", "k");
    assert_eq!(Reply::of(keyed).await.problem(413).0, "too-large");
    for body in ["", "{", "[1,2", "[\"Ann\"]", "{\"name\":\"a\"}x", "\u{1}"] {
        assert_eq!(post(body.to_owned(), json).await.problem(400).0, "not-json", "{body}");
    }
    assert_eq!(
        post("name=Ann".to_owned(), "application/x-www-form-urlencoded")
            .await
            .problem(415)
            .0,
        "media-type"
    );
    assert_eq!(
        post(json!({"name": "Ann"}).to_string(), "Application/JSON; charset=utf-8")
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let desk = Desk::new().await;
    let key = desk.key(&Scope::ALL).await;
    for path in ["/api/nothing", "/api/calls/CA1/sing", "/api/phone/nothing", "/api/"] {
        assert_eq!(desk.get(path, &key).await.problem(404).0, "no-route", "{path}");
    }
    let reply = Reply::of(desk.request(Method::DELETE, "/api/customers/482615", &key)).await;
    assert_eq!(reply.problem(405).0, "method");
    let allow = reply.header("allow");
    assert!(allow.contains("GET") && allow.contains("PATCH"), "{allow}");
    // The webhooks beside it are what they were.
    let (status, body) = desk.server.webhook("/api/phone/incoming", "CA1").await;
    assert!(status == 200 && body.contains("<Connect"), "{status} {body}");
}
