//! Break-glass, and what lets keys see more or less.

use std::time::Duration;

use tieline::store::{ApiKey, NewApiKey, Scope};

use crate::fresh::{Fresh, found_in, on_both};

on_both! {
    a_glass_holds_for_its_key_until_it_ends
    the_reason_is_sealed_and_looked_after
    the_first_use_in_an_hour_is_a_login
}

const HOUR: Duration = Duration::from_secs(3_600);

async fn key(store: &tieline::store::Store, scopes: &[Scope]) -> (ApiKey, String) {
    let new = NewApiKey {
        name: "desk".to_owned(),
        scopes: scopes.iter().copied().collect(),
        lifetime: None,
    };
    let (key, secret) = store.create_api_key(&new).await.expect("a key");
    (key, secret.expose().to_owned())
}

async fn a_glass_holds_for_its_key_until_it_ends(fresh: Fresh) {
    let (store, other) = (fresh.open().await, fresh.open().await);
    let (ours, secret) = key(&store, &[Scope::Operate, Scope::BreakGlass]).await;
    let (_, others) = key(&store, &[Scope::Operate, Scope::BreakGlass]).await;
    let now = async |secret: &str| {
        let found = other.authenticate(secret, "192.0.2.1").await.expect("answered");
        found.expect("good")
    };
    assert!(!now(&secret).await.may(Scope::Phi));
    let glass = store
        .break_glass(&ours, "a caller does not answer any more", HOUR, "192.0.2.1")
        .await
        .expect("broken");
    assert!(glass.is_open && glass.key_id == ours.id);
    // On another server, and for this key alone.
    assert!(now(&secret).await.may(Scope::Phi) && !now(&others).await.may(Scope::Phi));
    assert!(
        store
            .key_now(&ours.id)
            .await
            .expect("answered")
            .expect("good")
            .may(Scope::Phi)
    );
    let raw = fresh.raw().await;
    sqlx::query("UPDATE break_glass SET begun_at_ms = begun_at_ms - 3600001, ends_at_ms = ends_at_ms - 3600001")
        .execute(&raw)
        .await
        .expect("an hour later");
    assert!(!now(&secret).await.may(Scope::Phi));
    let next = store
        .break_glass(&ours, "once more, for the same reason", HOUR, "")
        .await;
    let next = next.expect("broken");
    assert_eq!(now(&secret).await.glass.as_ref(), Some(&next.id));
    let revoked = store.revoke_glass(&next.id, "admin (1)", "192.0.2.2").await;
    assert!(!revoked.expect("revoked").expect("there").is_open);
    assert!(!now(&secret).await.may(Scope::Phi));
    assert!(
        store
            .revoke_glass("none", "admin (1)", "")
            .await
            .expect("answered")
            .is_none()
    );
    let events = store.audit_events(50).await.expect("listed");
    let told = events.iter().filter(|event| event.action == "break-glass");
    let told: Vec<(&str, &str, &str)> = told
        .map(|event| (event.subject.as_str(), event.outcome.as_str(), event.detail.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (next.id.as_str(), "revoked", ""),
            (next.id.as_str(), "allowed", "60 minutes"),
            (glass.id.as_str(), "allowed", "60 minutes")
        ]
    );
    // A key that has lost its permission has lost what it took.
    store
        .break_glass(&ours, "a caller does not answer", HOUR, "")
        .await
        .expect("broken");
    sqlx::query("UPDATE api_keys SET scopes = 'operate'")
        .execute(&raw)
        .await
        .expect("written");
    assert!(!now(&secret).await.may(Scope::Phi));
}

async fn the_reason_is_sealed_and_looked_after(fresh: Fresh) {
    let store = fresh.open().await;
    let (ours, _) = key(&store, &[Scope::BreakGlass]).await;
    let reason = "Brunhilde Quagmire does not answer";
    let glass = store.break_glass(&ours, reason, HOUR, "").await.expect("broken");
    assert_eq!(
        found_in(&fresh.everything().await, &["Brunhilde", "Quagmire"]),
        Vec::<&str>::new()
    );
    let listed = store.glasses(10).await.expect("listed");
    assert!(listed.len() == 1 && listed[0].reason == reason && listed[0].is_open);
    assert_eq!(store.verify().await.expect("readable").faults, Vec::<String>::new());
    let raw = fresh.raw().await;
    sqlx::query("UPDATE break_glass SET reason_sealed = '1:x'")
        .execute(&raw)
        .await
        .expect("written");
    let altered = format!(
        "break_glass.reason_sealed of {} was altered, or belongs to another record",
        glass.id
    );
    assert_eq!(store.verify().await.expect("readable").faults, [altered]);
    // It is seen all the same, and ends when somebody says so.
    let listed = store.glasses(10).await.expect("listed");
    assert!(listed.len() == 1 && listed[0].is_open && listed[0].reason.is_empty());
    let revoked = store.revoke_glass(&glass.id, "admin (1)", "").await;
    assert!(!revoked.expect("revoked").expect("there").is_open);
    assert!(!store.glasses(10).await.expect("listed")[0].is_open);
    sqlx::query("DELETE FROM break_glass")
        .execute(&raw)
        .await
        .expect("written");
    let found = store.verify().await.expect("readable").faults;
    assert_eq!(
        found,
        [format!(
            "break_glass: the row of break-glass/{} is missing; was it deleted by hand?",
            glass.id
        )]
    );
}

async fn the_first_use_in_an_hour_is_a_login(fresh: Fresh) {
    let store = fresh.open().await;
    let (ours, secret) = key(&store, &[Scope::Read]).await;
    let logins = async || {
        let events = store.audit_events(50).await.expect("listed");
        let logins = events.into_iter().filter(|event| event.action == "api-login");
        logins.collect::<Vec<_>>()
    };
    let asked = (0..8).map(|_| store.authenticate(&secret, "192.0.2.7"));
    for answer in futures_util::future::join_all(asked).await {
        answer.expect("answered").expect("good");
    }
    let found = logins().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].subject.as_str(), found[0].origin.as_str()),
        (ours.id.as_str(), "192.0.2.7")
    );
    assert_eq!(found[0].actor, format!("desk ({})", ours.id));
    let raw = fresh.raw().await;
    sqlx::query("UPDATE api_keys SET last_used_at_ms = last_used_at_ms - 3600000")
        .execute(&raw)
        .await
        .expect("an hour later");
    store
        .authenticate(&secret, "192.0.2.7")
        .await
        .expect("answered")
        .expect("good");
    assert_eq!(logins().await.len(), 2);
}
