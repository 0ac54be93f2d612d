//! Who gets in.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tieline::store::{NewApiKey, Role, Scope};

use crate::desk::{Desk, Reply};

#[tokio::test]
async fn only_a_good_key_gets_in() {
    let desk = Desk::new().await;
    let good = desk.key(&[Scope::Read]).await;
    assert_eq!(desk.get("/api/calls", &good).await.status, 200);

    let new = |lifetime| NewApiKey {
        name: "other".to_owned(),
        scopes: [Scope::Read].into(),
        lifetime,
    };
    let (_, expired) = desk
        .store
        .create_api_key(&new(Some(Duration::ZERO)))
        .await
        .expect("a key");
    let (revoked, taken_back) = desk.store.create_api_key(&new(None)).await.expect("a key");
    assert_eq!(desk.get("/api/calls", taken_back.expose()).await.status, 200);
    desk.store
        .revoke_api_key(&revoked.id)
        .await
        .expect("revoked")
        .expect("a key");
    let other_secret = desk.key(&[Scope::Read]).await;
    let mixed = format!("{}{}", &good[..16], &other_secret[16..]);
    for (key, why) in [
        ("", "The header Authorization holds no bearer key"),
        ("zebra", "Refused: the key is unknown"),
        (mixed.as_str(), "Refused: the key is unknown"),
        (&good[..good.len() - 1], "Refused: the key is unknown"),
        (&good.to_uppercase(), "Refused: the key is unknown"),
        (expired.expose(), "Refused: the key has expired"),
        (taken_back.expose(), "Refused: the key was revoked"),
    ] {
        let reply = desk.get("/api/calls", key).await;
        assert_eq!(reply.problem(401), ("unauthorised".to_owned(), None));
        assert_eq!(reply.json()["detail"], why, "{key}");
        assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="tieline""#);
        assert!(key.is_empty() || !reply.text.contains(key));
    }
    let none = Reply::of(desk.server.http.get(desk.server.url("/api/calls"))).await;
    assert_eq!(none.json()["detail"], "No API key was sent");
    none.problem(401);
    let basic = desk
        .server
        .http
        .get(desk.server.url("/api/calls"))
        .basic_auth("tl", Some(&good));
    Reply::of(basic).await.problem(401);
}

#[tokio::test]
async fn every_route_needs_a_key_with_its_scope() {
    let desk = Desk::new().await;
    let document = Reply::of(desk.server.http.get(desk.server.url("/api/openapi.json")))
        .await
        .ok();
    let mut guarded = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if ["/api/openapi.json", "/api/docs"].contains(&path.as_str()) {
                continue;
            }
            let scope = operation["security"][0]["key"][0].as_str().expect("a scope").to_owned();
            let scope: Scope = scope.parse().expect("a scope of ours");
            let by_admin = matches!(scope, Scope::Read | Scope::Operate);
            let others: Vec<Scope> = Scope::ALL
                .into_iter()
                .filter(|other| *other != scope && (*other != Scope::Admin || !by_admin))
                .collect();
            let key = desk.key(&others).await;
            let path = path.replace(['{', '}'], "");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let bare = desk.server.http.request(method.clone(), desk.server.url(&path));
            assert_eq!(Reply::of(bare).await.status, 401, "{method} {path}");
            let reply = Reply::of(desk.request(method.clone(), &path, &key)).await;
            assert_eq!(reply.problem(403).0, "scope", "{method} {path}");
            assert!(reply.header("www-authenticate").contains("insufficient_scope"));
            guarded += 1;
        }
    }
    assert!(guarded >= 20, "{guarded}");
}

/// What each role may do, by the scope that a route needs. Written down here once more, so that a change is seen.
const ROLES: &[(Role, &[&str])] = &[
    (Role::Viewer, &["read"]),
    (Role::Reviewer, &["read", "phi"]),
    (Role::Operator, &["read", "operate"]),
    (Role::Admin, &["read", "operate", "admin"]),
    (Role::Auditor, &["audit"]),
];

#[tokio::test]
async fn each_role_gets_through_the_doors_that_are_its_own() {
    let desk = Desk::new().await;
    let document = Reply::of(desk.server.http.get(desk.server.url("/api/openapi.json")))
        .await
        .ok();
    for (role, allowed) in ROLES {
        let scopes: Vec<Scope> = role.scopes().into_iter().collect();
        let key = desk.key(&scopes).await;
        let (mut through, mut refused) = (0, 0);
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let Some(scope) = operation["security"][0]["key"][0].as_str() else {
                    continue;
                };
                let path = path.replace(['{', '}'], "");
                let method: Method = method.to_uppercase().parse().expect("a method");
                let answer = desk
                    .request(method.clone(), &path, &key)
                    .send()
                    .await
                    .expect("an answer");
                // Nothing is named that there is, so whoever gets through is told that.
                let status = answer.status().as_u16();
                assert_ne!(status, 401, "{method} {path}");
                assert_eq!(
                    status == 403,
                    !allowed.contains(&scope),
                    "{} {method} {path}: {status}",
                    role.name()
                );
                if status == 403 {
                    refused += 1;
                } else {
                    through += 1;
                }
            }
        }
        assert!(through > 0 && refused > 5, "{}: {through}, {refused}", role.name());
    }
}

#[tokio::test]
async fn keys_are_listed_with_their_last_use_and_revoked() {
    let desk = Desk::new().await;
    let admin = desk.key(&[Scope::Admin]).await;
    let other = desk.key(&[Scope::Read, Scope::Phi]).await;
    let listed = desk.get("/api/keys", &admin).await;
    let keys = listed.ok();
    let by_key = |key: &str| {
        let items = keys["items"].as_array().expect("items").iter();
        let mut ours = items.filter(|item| key.starts_with(&format!("tl_{}_", item["id"].as_str().expect("an id"))));
        ours.next().expect("listed").clone()
    };
    let (first, second) = (by_key(&admin), by_key(&other));
    assert!(
        first["last_used_at"].is_string() && second["last_used_at"].is_null(),
        "{keys}"
    );
    assert_eq!(second["scopes"], json!(["read", "phi"]));
    // The secret itself may have underscores.
    let secret = other.splitn(3, '_').nth(2).expect("a secret");
    assert!(!listed.text.contains(secret) && !listed.text.contains("hash"));

    let id = second["id"].as_str().expect("an id");
    assert!(other.starts_with(&format!("tl_{id}_")));
    assert_eq!(desk.get("/api/agents", &other).await.status, 200);
    let revoked = Reply::of(desk.request(Method::POST, &format!("/api/keys/{id}/revoke"), &admin)).await;
    assert!(revoked.ok()["revoked_at"].is_string());
    desk.get("/api/agents", &other).await.problem(401);
    let unknown = Reply::of(desk.request(Method::POST, "/api/keys/000000000000/revoke", &admin)).await;
    assert_eq!(unknown.problem(404).0, "not-found");
}
