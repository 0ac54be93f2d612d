//! What Twilio reports beside the stream, and what is made of webhooks that are late or come again.

use std::time::Duration;

use tieline::store::{NewCall, Store};
use tieline::turn::policy::Policy;
use tieline::twilio::status::{AnsweredBy, CallStatus};
use tokio_tungstenite::tungstenite::Message;

use crate::log::Log;
use crate::phone::{Phone, Seen};
use crate::support::{AUTH_TOKEN, Setup, TestServer, form_with, fresh_store, policy, token_in, until};

async fn server(store: Option<&Store>) -> TestServer {
    TestServer::start(Setup {
        auth_token: Some(AUTH_TOKEN),
        store: store.cloned(),
        ..Setup::default()
    })
    .await
}

async fn report(server: &TestServer, path: &str, call_sid: &str, fields: &[(&str, &str)]) {
    let answer = server.post(path, &form_with(call_sid, fields), Some(AUTH_TOKEN)).await;
    assert_eq!(answer, (204, String::new()), "{path} {fields:?}");
}

fn is_hung_up(answer: &(u16, String)) -> bool {
    answer.0 == 200 && answer.1.contains("<Response><Hangup/></Response>")
}

#[tokio::test]
async fn states_move_forward_however_they_are_reported() {
    let (store, _dir) = fresh_store().await;
    let server = server(Some(&store)).await;
    let end = [
        ("CallStatus", "completed"),
        ("CallDuration", "42"),
        ("Price", "-0.0085"),
        ("PriceUnit", "USD"),
    ];
    report(&server, "/voice/status", "CA1", &[("CallStatus", "ringing")]).await;
    report(&server, "/voice/status", "CA1", &[("CallStatus", "initiated")]).await;
    for _ in 0..3 {
        report(&server, "/api/phone/status", "CA1", &end).await;
    }
    for late in ["in-progress", "failed", "tomorrow", ""] {
        report(&server, "/voice/status", "CA1", &[("CallStatus", late)]).await;
    }
    let state = store.call_state("CA1").await.expect("answered").expect("known");
    assert_eq!(
        (state.status, state.duration_s),
        (Some(CallStatus::Completed), Some(42))
    );
    let price = state.price.expect("a price");
    assert_eq!((price.micros, price.currency()), (8_500, "USD"));
    assert_eq!(server.app.progress.status_of("CA1"), Some(CallStatus::Completed));
}

#[tokio::test]
async fn a_call_that_is_reported_over_ends_although_its_stream_says_nothing() {
    let (store, _dir) = fresh_store().await;
    let server = server(Some(&store)).await;
    let mut phone = Phone::greeted(&server, "CA1").await;
    let mut other = Phone::greeted(&server, "CA2").await;
    report(&server, "/voice/status", "CA1", &[("CallStatus", "in-progress")]).await;
    assert_eq!(phone.exchange().await.number, 1);
    report(&server, "/voice/status", "CA1", &[("CallStatus", "completed")]).await;
    phone.closed().await;
    until("the end", || server.app.registry.live() == 1).await;
    let call = store.call("CA1").await.expect("answered").expect("there").call;
    assert_eq!(call.outcome.as_deref(), Some("caller"));
    assert!(call.ended_at.is_some());
    assert_eq!(other.exchange().await.number, 1, "another call goes on");
    other.hang_up().await;
}

#[tokio::test]
async fn a_webhook_that_comes_again_opens_no_call() {
    let server = server(None).await;
    // Before the stream it is a retry.
    let token = server.token("CA1").await;
    assert_eq!(server.token("CA1").await, token);
    // While the call is live it disturbs nothing.
    let mut phone = Phone::greeted(&server, "CA1").await;
    for path in ["/voice/incoming", "/api/phone/incoming"] {
        assert!(is_hung_up(&server.webhook(path, "CA1").await), "{path}");
    }
    assert_eq!(server.app.registry.live(), 1);
    assert_eq!(phone.exchange().await.number, 1);
    phone.hang_up().await;
    until("the end", || server.app.registry.live() == 0).await;
    // And afterwards.
    assert!(is_hung_up(&server.webhook("/voice/incoming", "CA1").await));
    // A call that never had a stream is over when Twilio says so.
    report(&server, "/voice/status", "CA2", &[("CallStatus", "no-answer")]).await;
    for path in ["/voice/incoming", "/voice/fallback", "/voice/stream-ended"] {
        assert!(is_hung_up(&server.webhook(path, "CA2").await), "{path}");
    }
    for path in ["/voice/fallback", "/voice/stream-ended"] {
        for status in ["completed", "failed", "canceled"] {
            let fields = form_with("CA3", &[("CallStatus", status)]);
            assert!(
                is_hung_up(&server.post(path, &fields, Some(AUTH_TOKEN)).await),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn another_server_knows_from_the_database_what_became_of_a_call() {
    let (store, _dir) = fresh_store().await;
    for (call_sid, outcome) in [("CA1", Some("goodbye")), ("CA2", Some("lost")), ("CA3", None)] {
        let new = NewCall {
            call_sid: call_sid.to_owned(),
            agent: "front-desk".to_owned(),
            ..NewCall::default()
        };
        store.begin_call(&new).await.expect("begun");
        if let Some(outcome) = outcome {
            store.end_call(call_sid, outcome).await.expect("ended");
        }
    }
    let server = server(Some(&store)).await;
    for call in ["CA1", "CA2", "CA3"] {
        assert!(is_hung_up(&server.webhook("/voice/incoming", call).await), "{call}");
    }
    for path in ["/voice/fallback", "/voice/stream-ended"] {
        assert!(is_hung_up(&server.webhook(path, "CA1").await), "{path}");
        for lost in ["CA2", "CA3", "CA4"] {
            let (status, twiml) = server.webhook(path, lost).await;
            assert_eq!(status, 200);
            token_in(&twiml);
        }
    }
    report(&server, "/voice/status", "CA2", &[("CallStatus", "completed")]).await;
    let elsewhere = TestServer::start(Setup {
        store: Some(store.clone()),
        ..Setup::default()
    })
    .await;
    assert!(is_hung_up(&elsewhere.webhook("/voice/fallback", "CA2").await));
}

#[tokio::test]
async fn a_stream_that_ended_is_followed_by_what_became_of_its_call() {
    let server = server(None).await;
    let phone = Phone::greeted(&server, "CA1").await;
    drop(phone);
    until("the loss is noticed", || server.app.registry.live() == 0).await;
    let (_, twiml) = server.webhook("/voice/stream-ended", "CA1").await;
    let mut again = Phone::dial(&server, "CA1").await;
    again.start(&token_in(&twiml)).await;
    assert!(matches!(again.next().await, Seen::Media(_)));
    again.raw(Message::Close(None)).await;
    again.closed().await;
    for event in ["stream-started", "stream-stopped", "stream-error", "odd", ""] {
        let fields = [
            ("StreamSid", "MZ1"),
            ("StreamEvent", event),
            ("StreamError", "31920\n\u{1b}[0m"),
        ];
        report(&server, "/voice/stream-status", "CA1", &fields).await;
    }
}

#[tokio::test]
async fn a_stream_that_was_replaced_leaves_the_call_and_its_record_to_its_successor() {
    let (store, _dir) = fresh_store().await;
    let server = TestServer::start(Setup {
        auth_token: Some(AUTH_TOKEN),
        store: Some(store.clone()),
        // A stream without audio does not end by itself.
        policy: Policy {
            media_timeout: Duration::from_secs(3_600),
            ..policy()
        },
        ..Setup::default()
    })
    .await;
    let mut first = Phone::greeted(&server, "CA1").await;
    // Twilio has lost the stream, and this side has not noticed.
    let (_, twiml) = server.webhook("/voice/fallback", "CA1").await;
    first.closed().await;
    let call = store.call("CA1").await.expect("answered").expect("there").call;
    assert_eq!((call.outcome, call.ended_at), (None, None), "the call goes on");
    let mut second = Phone::connected(&server, "CA1", &token_in(&twiml)).await;
    second.turn().await;
    assert_eq!(second.exchange().await.number, 1);
    assert!(server.app.registry.is_live("CA1"));
    second.hang_up().await;
    until("the end", || server.app.registry.live() == 0).await;
    let call = store.call("CA1").await.expect("answered").expect("there").call;
    assert_eq!(call.outcome.as_deref(), Some("caller"));
}

#[tokio::test]
async fn who_answered_is_kept() {
    let (store, _dir) = fresh_store().await;
    let server = server(Some(&store)).await;
    for by in ["machine_end_beep", "human", "a ghost", ""] {
        let fields = [("AnsweredBy", by), ("MachineDetectionDuration", "2300")];
        report(&server, "/voice/amd", "CA1", &fields).await;
    }
    let beep = AnsweredBy::MachineEndBeep;
    let state = store.call_state("CA1").await.expect("answered").expect("known");
    assert_eq!(
        (state.answered_by, state.status, state.begun),
        (Some(beep), None, false)
    );
}

#[tokio::test]
async fn a_recordings_state_is_told_by_its_id_alone() {
    let (log, _guard) = Log::of_this_thread();
    let server = server(None).await;
    let url = ("RecordingUrl", "http://127.0.0.1:1/recording");
    for (sid, status) in [
        ("RE1/../x", "completed"),
        ("CA1", "completed"),
        ("RE1", "stolen"),
        ("RE1", "completed"),
    ] {
        let fields = [("RecordingSid", sid), ("RecordingStatus", status), url];
        report(&server, "/voice/recording-status", "CA1", &fields).await;
    }
    let log = log.text();
    assert!(log.contains("recording RE1 of call CA1: completed"), "{log}");
    assert!(!log.contains("recording CA1") && !log.contains("stolen"), "{log}");
    assert!(!log.contains("RE1/../x") && !log.contains("127.0.0.1:1"), "{log}");
}
