//! The REST client by itself: what it asks, and what it does when Twilio fails.

use std::time::Duration;

use tieline::twilio::rest::{CallUpdate, Carrier as _, CarrierError, NewCall};

use crate::twilio::{Fault, KEY, OUR_NUMBER, SECRET, Twilio, field};

pub(crate) fn call() -> NewCall {
    NewCall {
        to: "+15551230001".to_owned(),
        from: OUR_NUMBER.to_owned(),
        url: "https://voice.example.org/voice/outgoing?id=x&y=1".to_owned(),
        status_callback: "https://voice.example.org/voice/status".to_owned(),
        answered_by: Some("https://voice.example.org/voice/amd".to_owned()),
        ring: Duration::from_secs(30),
        time_limit: Duration::from_secs(3_600),
    }
}

fn posts(twilio: &Twilio) -> usize {
    twilio.asked().iter().filter(|asked| asked.method == "POST").count()
}

#[tokio::test]
async fn a_call_that_twilio_has_no_time_for_is_placed_later() {
    let twilio = Twilio::start().await;
    twilio.fail([Fault::Status(429, 20_429), Fault::Status(429, 20_429)]);
    let sid = twilio.client().create_call(call()).await.expect("placed");
    assert!(sid.starts_with("CA") && posts(&twilio) == 3, "{sid}");
    twilio.fail([Fault::Status(429, 20_429); 4]);
    assert_eq!(twilio.client().create_call(call()).await, Err(CarrierError::Busy));
    assert_eq!(posts(&twilio), 7);
}

#[tokio::test]
async fn a_call_is_never_placed_twice() {
    for fault in [Fault::Status(500, 0), Fault::Cut] {
        let twilio = Twilio::start().await;
        // One like it that was placed long ago, and one to somebody else.
        twilio.placed_before(OUR_NUMBER, "+15551230001", "Mon, 02 Jun 2025 10:00:00 +0000");
        twilio.fail([fault]);
        assert!(twilio.client().create_call(call()).await.is_err(), "{fault:?}");
        let asked = twilio.asked();
        assert_eq!(posts(&twilio), 1, "{fault:?}");
        assert!(
            asked[1].method == "GET" && asked[1].path.contains("Calls.json?To=%2B15551230001&StartTime%3E="),
            "{}",
            asked[1].path
        );
    }
    for fault in [Fault::DoneAndCut, Fault::DoneAnd(502), Fault::Garbage] {
        let twilio = Twilio::start().await;
        if matches!(fault, Fault::Garbage) {
            let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
            let now = jiff::fmt::rfc2822::to_string(&now).expect("a date");
            twilio.placed_before(OUR_NUMBER, "+15551230001", &now);
        }
        twilio.fail([fault]);
        let sid = twilio.client().create_call(call()).await.expect("it was placed");
        assert!(sid.starts_with("CA") && posts(&twilio) == 1, "{fault:?}: {sid}");
    }
    let twilio = Twilio::start().await;
    twilio.fail([Fault::Silence]);
    let hasty = twilio.client_with(Duration::from_millis(200));
    assert_eq!(hasty.create_call(call()).await, Err(CarrierError::Unanswered));
    assert_eq!(posts(&twilio), 1);
}

#[tokio::test]
async fn a_refusal_tells_its_code_and_no_number() {
    let twilio = Twilio::start().await;
    twilio.fail([Fault::Status(400, 21_211)]);
    let error = twilio.client().create_call(call()).await.expect_err("a bad number");
    assert_eq!(
        error,
        CarrierError::Refused {
            status: 400,
            code: 21_211
        }
    );
    assert_eq!(posts(&twilio), 1, "a refusal is not asked again");
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("555") && !shown.contains(SECRET) && !shown.contains(KEY),
        "{shown}"
    );
    let nobody = Twilio::start().await;
    let client = nobody.client();
    let address = nobody.address;
    drop(nobody);
    // The port is still taken by the task; another one is nobody's.
    assert_ne!(address.port(), 1);
    assert!(client.update_call("../CA1", CallUpdate::HangUp).await == Err(CarrierError::Malformed));
}

#[tokio::test]
async fn a_call_is_ended_and_one_that_has_ended_is_as_good_as_ended() {
    let twilio = Twilio::start().await;
    let client = twilio.client();
    twilio.fail([Fault::Status(503, 0), Fault::Cut]);
    client
        .update_call("CA1", CallUpdate::HangUp)
        .await
        .expect("ended at the third attempt: to end it twice ends it once");
    twilio.fail([Fault::Status(400, 21_220)]);
    client
        .update_call("CA1", CallUpdate::HangUp)
        .await
        .expect("ended before");
    twilio.fail([Fault::Status(404, 20_404)]);
    assert!(client.update_call("CA1", CallUpdate::HangUp).await.is_err());
    let asked = twilio.asked();
    assert_eq!(asked.len(), 5);
    assert!(
        asked
            .iter()
            .all(|asked| field(asked, "Status").as_deref() == Some("completed"))
    );
}

/// A second one would ring the person twice.
#[tokio::test]
async fn a_document_is_given_to_a_call_once() {
    let document = "<Response><Dial>+15550188001</Dial></Response>".to_owned();
    let update = || CallUpdate::Twiml(document.clone());
    for fault in [
        Fault::Status(503, 0),
        Fault::DoneAnd(500),
        Fault::Cut,
        Fault::DoneAndCut,
    ] {
        let twilio = Twilio::start().await;
        twilio.fail([fault]);
        let error = twilio.client().update_call("CA1", update()).await.expect_err("unclear");
        assert!(error.may_be_done(), "{fault:?}: {error}");
        assert_eq!(posts(&twilio), 1, "{fault:?}");
    }
    let twilio = Twilio::start().await;
    // This says that nothing was done.
    twilio.fail([Fault::Status(429, 20_429)]);
    let client = twilio.client();
    client.update_call("CA1", update()).await.expect("changed");
    let asked = twilio.asked();
    assert_eq!((asked.len(), field(&asked[1], "Twiml")), (2, Some(document)));
    let long = "é".repeat(4_001);
    assert_eq!(
        client.update_call("CA1", CallUpdate::Twiml(long)).await,
        Err(CarrierError::Malformed)
    );
}

#[tokio::test]
async fn a_recording_is_fetched_by_its_sid_and_deleted() {
    let twilio = Twilio::start().await;
    let client = twilio.client();
    twilio.record(vec![7; 100_000]);
    twilio.fail([Fault::Status(500, 0)]);
    assert_eq!(client.recording("RE1").await.expect("a recording"), vec![7; 100_000]);
    client.delete_recording("RE1").await.expect("deleted");
    twilio.fail([Fault::Status(404, 20_404)]);
    let gone = client.delete_recording("RE1").await;
    assert!(
        matches!(gone, Err(CarrierError::Refused { status: 404, .. })),
        "{gone:?}"
    );
    twilio.record(vec![0; (64 << 20) + 1]);
    assert_eq!(client.recording("RE1").await, Err(CarrierError::TooLarge));
    for bad in ["https://evil.example/RE1", "RE1/../../Keys", "", "RE1?x"] {
        assert_eq!(client.recording(bad).await, Err(CarrierError::Malformed), "{bad}");
    }
}

#[tokio::test]
async fn a_message_is_sent_once_whatever_becomes_of_the_answer() {
    let twilio = Twilio::start().await;
    let client = twilio.client();
    twilio.fail([Fault::DoneAndCut]);
    assert_eq!(
        client.send_message("+15551230001", "Hello").await,
        Err(CarrierError::Unanswered)
    );
    assert_eq!(posts(&twilio), 1);
    client.send_message("+15551230001", "Hello & bye").await.expect("sent");
    assert_eq!(field(&twilio.asked()[1], "Body").as_deref(), Some("Hello & bye"));
    let long = "x".repeat(1_601);
    assert_eq!(
        client.send_message("+15551230001", &long).await,
        Err(CarrierError::Malformed)
    );
}
