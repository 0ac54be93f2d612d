//! The audit trail, and what is counted by it.

use tieline::store::{AuditEvent, StoreError};

use crate::fresh::{Fresh, on_both};

on_both! {
    events_are_kept_in_order
    no_more_than_allowed_get_through_at_once
}

fn event<'a>(action: &'a str, outcome: &'a str) -> AuditEvent<'a> {
    AuditEvent {
        actor: "agent",
        action,
        subject: "CA1",
        outcome,
        detail: "*01",
        origin: "call",
    }
}

async fn events_are_kept_in_order(fresh: Fresh) {
    let store = fresh.open().await;
    for outcome in ["refused", "dialled", "accepted"] {
        store.audit(&event("transfer", outcome)).await.expect("written");
    }
    let found = store.audit_events(2).await.expect("readable");
    let outcomes: Vec<&str> = found.iter().map(|event| event.outcome.as_str()).collect();
    assert_eq!(outcomes, ["accepted", "dialled"]);
    assert!(
        found[0].seq == 3
            && found[1].seq == 2
            && found[0].origin == "call"
            && found[0].subject == "CA1"
            && found[0].detail == "*01"
    );
    let bad = store.audit(&event("transfer", "a\0b")).await;
    assert!(matches!(bad, Err(StoreError::BadText { field: "outcome" })));
}

async fn no_more_than_allowed_get_through_at_once(fresh: Fresh) {
    let (one, other) = (fresh.open().await, fresh.open().await);
    let asked = (0..24).map(|n| {
        let store = if n % 2 == 0 { one.clone() } else { other.clone() };
        async move { store.audit_within(&event("outbound-call", "counted"), 5).await }
    });
    let told = futures_util::future::join_all(asked).await;
    let through = told.into_iter().filter(|told| *told.as_ref().expect("counted")).count();
    assert_eq!(through, 5);
    assert!(
        !one.audit_within(&event("outbound-call", "counted"), 5)
            .await
            .expect("counted")
    );
    // Of other kinds there is none yet.
    assert!(one.audit_within(&event("sms", "counted"), 1).await.expect("counted"));
    assert!(!other.audit_within(&event("sms", "counted"), 0).await.expect("counted"));
}
