//! What the carrier reports of calls, however often and in whatever order it does.

use tieline::store::{NewCall, StoreError};
use tieline::twilio::status::{AnsweredBy, CallStatus, Price, Report};

use crate::fresh::{Fresh, count, on_both};

on_both! {
    reports_in_any_order_leave_the_last_state
    the_first_end_stays_and_its_details_arrive_late
    an_end_closes_the_call
    reports_at_the_same_time_leave_one_row
    an_answer_is_kept_with_or_without_a_status
}

fn ended(duration_s: u32) -> Report {
    Report {
        duration_s: Some(duration_s),
        ..Report::of(CallStatus::Completed)
    }
}

async fn reports_in_any_order_leave_the_last_state(fresh: Fresh) {
    let store = fresh.open().await;
    assert!(store.call_state("CA1").await.expect("answered").is_none());
    use CallStatus::{Completed, InProgress, Initiated, Ringing};
    for (n, order) in [
        [Initiated, Ringing, InProgress, Completed],
        [Completed, InProgress, Ringing, Initiated],
        [Ringing, Completed, Initiated, InProgress],
    ]
    .iter()
    .enumerate()
    {
        let sid = format!("CA{n}");
        for status in order {
            // As retries do.
            for _ in 0..2 {
                let report = Report::of(*status);
                let report = if *status == Completed { ended(42) } else { report };
                store.save_status(&sid, &report).await.expect("saved");
            }
        }
        let state = store.call_state(&sid).await.expect("answered").expect("known");
        assert_eq!(
            (state.status, state.duration_s),
            (Some(Completed), Some(42)),
            "{order:?}"
        );
        assert!(!state.begun && state.outcome.is_none());
    }
    assert!(matches!(
        store.save_status(" ", &ended(1)).await,
        Err(StoreError::BadText { field: "call_sid" })
    ));
}

async fn the_first_end_stays_and_its_details_arrive_late(fresh: Fresh) {
    let store = fresh.open().await;
    let price = Price::parse("-0.00850", "USD");
    let reports = [
        Report::of(CallStatus::Completed),
        Report {
            price: Price::parse("-9", "EUR"),
            ..Report::of(CallStatus::Failed)
        },
        ended(7),
        Report { price, ..ended(9) },
        Report::of(CallStatus::Completed),
    ];
    for report in &reports {
        store.save_status("CA1", report).await.expect("saved");
    }
    let state = store.call_state("CA1").await.expect("answered").expect("known");
    assert_eq!(
        (state.status, state.duration_s, state.price),
        (Some(CallStatus::Completed), Some(7), price)
    );
    assert!(price.is_some_and(|price| price.micros == 8_500));
}

async fn an_end_closes_the_call(fresh: Fresh) {
    let store = fresh.open().await;
    let new = NewCall {
        call_sid: "CA1".to_owned(),
        agent: "front-desk".to_owned(),
        ..NewCall::default()
    };
    store.begin_call(&new).await.expect("begun");
    let report = Report::of(CallStatus::InProgress);
    store.save_status("CA1", &report).await.expect("saved");
    let call = store.call("CA1").await.expect("answered").expect("there").call;
    assert!(call.ended_at.is_none());
    store.save_status("CA1", &ended(3)).await.expect("saved");
    let closed = store.call("CA1").await.expect("answered").expect("there").call;
    assert!(closed.ended_at.is_some() && closed.outcome.is_none());
    // The stream's own end comes last, and knows best how it was.
    store.end_call("CA1", "goodbye").await.expect("ended");
    store.save_status("CA1", &ended(3)).await.expect("saved");
    let call = store.call("CA1").await.expect("answered").expect("there").call;
    assert!(call.ended_at == closed.ended_at && call.outcome.as_deref() == Some("goodbye"));
    let state = store.call_state("CA1").await.expect("answered").expect("known");
    assert!(state.begun && state.outcome.as_deref() == Some("goodbye"));
}

async fn reports_at_the_same_time_leave_one_row(fresh: Fresh) {
    let store = fresh.open().await;
    let saving = CallStatus::ALL.iter().cycle().take(36).map(|status| {
        let (store, status) = (store.clone(), *status);
        tokio::spawn(async move { store.save_status("CA1", &Report::of(status)).await })
    });
    for saved in saving.collect::<Vec<_>>() {
        saved.await.expect("no panic").expect("saved");
    }
    assert_eq!(count(&fresh.raw().await, "SELECT count(*) FROM call_status").await, 1);
    let state = store.call_state("CA1").await.expect("answered").expect("known");
    assert!(state.status.is_some_and(CallStatus::is_final));
}

async fn an_answer_is_kept_with_or_without_a_status(fresh: Fresh) {
    let store = fresh.open().await;
    for by in [AnsweredBy::MachineStart, AnsweredBy::Human] {
        store.save_answered_by("CA1", by).await.expect("saved");
    }
    let state = store.call_state("CA1").await.expect("answered").expect("known");
    assert_eq!(
        (state.status, state.answered_by),
        (None, Some(AnsweredBy::MachineStart))
    );
    let report = Report::of(CallStatus::Queued);
    store.save_status("CA1", &report).await.expect("saved");
    let state = store.call_state("CA1").await.expect("answered").expect("known");
    assert_eq!(
        (state.status, state.answered_by),
        (Some(CallStatus::Queued), Some(AnsweredBy::MachineStart))
    );
}
