//! Calls that we place: answered by a person, by a machine, and refused.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tieline::call::command::AnsweredBy;
use tieline::call::opening::Direction;
use tieline::call::outgoing::{OutboundRequest, RefusedOutbound};
use tieline::call::registry::Parties;
use tieline::call::trace::TraceEvent;
use tieline::dialog::agent::Agents;

use crate::line::{AGENT, Line, rules, switchboard};
use crate::phone::{Phone, Seen};
use crate::support::{form_with, token_in, until};
use crate::twilio::{Fault, OUR_NUMBER, field};

const CALLED: &str = "+15551230001";
const ALLOWED: &[(&str, &str)] = &[("OUTBOUND_ALLOW", "+1555123*")];

fn request(to: &str) -> OutboundRequest {
    let context = json!({ "name": "Ms. Miller" });
    OutboundRequest {
        actor: "front office".to_owned(),
        origin: "192.0.2.1".to_owned(),
        to: to.to_owned(),
        agent: "line".to_owned(),
        context: context.as_object().expect("an object").clone(),
        leave_message: true,
    }
}

fn agents(line: &Line) -> Arc<Agents> {
    Arc::clone(&line.server.staff.borrow().agents)
}

/// A call that was placed and answered. Gives its sid and its stream.
async fn answered(line: &mut Line, request: OutboundRequest) -> (String, Phone) {
    let placed = line
        .switchboard
        .place(&agents(line), request)
        .await
        .expect("it is allowed");
    let asked = line.twilio.arrival().await;
    let url = field(&asked, "Url").expect("a webhook");
    assert!(!url.contains("Miller") && !url.contains("555123"), "{url}");
    assert_eq!(field(&asked, "AsyncAmd").as_deref(), Some("true"));
    let fields = [("From", OUR_NUMBER), ("To", CALLED), ("Direction", "outbound-api")];
    let twiml = line.webhook(&url, &placed.call_sid, &fields).await;
    // Only the call that was placed gets this conversation.
    assert!(line.webhook(&url, "CAother", &fields).await.contains("<Hangup"));
    let phone = Phone::connected(&line.server, &placed.call_sid, &token_in(&twiml)).await;
    (placed.call_sid, phone)
}

#[tokio::test]
async fn a_person_who_is_called_hears_the_agent() {
    let mut line = Line::open(ALLOWED).await;
    let (sid, mut phone) = answered(&mut line, request(CALLED)).await;
    assert_eq!(phone.turn().await.heard, "Hello Ms. Miller, your car is ready.");
    let live = line.server.app.registry.live_calls();
    assert!(live.len() == 1 && live[0].direction == Direction::Outbound && live[0].to.as_deref() == Some(CALLED));
    let told = line.server.app.registry.answered_by(&sid, AnsweredBy::Human);
    told.expect("the call is live");
    line.server.stt.hear(&["what are your hours"]);
    assert_eq!(phone.exchange().await.heard, "We are open all day. Anything else?");
    phone.hang_up().await;
    line.ended(&sid, "caller").await;
    line.audited(("outbound-call", "placed", "*01")).await;
}

#[tokio::test]
async fn a_machine_is_told_the_message_or_hung_up_on() {
    for leave_message in [true, false] {
        let mut line = Line::open(ALLOWED).await;
        let wanted = OutboundRequest {
            leave_message,
            ..request(CALLED)
        };
        let (sid, mut phone) = answered(&mut line, wanted).await;
        phone.turn().await;
        let registry = &line.server.app.registry;
        registry.answered_by(&sid, AnsweredBy::MachineStart).expect("live");
        registry.answered_by(&sid, AnsweredBy::MachineEndBeep).expect("live");
        if leave_message {
            assert_eq!(phone.turn().await.heard, "Ms. Miller, please call us back.");
        }
        phone.closed().await;
        line.ended(&sid, "machine").await;
        assert!(line.webhook("/voice/fallback", &sid, &[]).await.contains("<Hangup"));
    }
}

/// What Twilio posts to `AsyncAmdStatusCallback`.
async fn callback(line: &Line, sid: &str, by: &str) -> u16 {
    let fields = [("AnsweredBy", by), ("MachineDetectionDuration", "4100")];
    line.server.post("/voice/amd", &form_with(sid, &fields), None).await.0
}

#[tokio::test]
async fn the_callback_that_names_a_machine_is_what_acts() {
    for leave_message in [true, false] {
        let mut line = Line::open(ALLOWED).await;
        let wanted = OutboundRequest {
            leave_message,
            ..request(CALLED)
        };
        let (sid, mut phone) = answered(&mut line, wanted).await;
        phone.turn().await;
        let report = form_with(&sid, &[("CallStatus", "in-progress")]);
        assert_eq!(line.server.post("/voice/status", &report, None).await.0, 204);
        assert!(line.server.app.registry.is_live(&sid));
        assert_eq!(callback(&line, &sid, "machine_end_beep").await, 204);
        if leave_message {
            assert_eq!(phone.turn().await.heard, "Ms. Miller, please call us back.");
        }
        phone.closed().await;
        line.ended(&sid, "machine").await;
        let state = line.store.call_state(&sid).await.expect("readable").expect("known");
        assert_eq!(state.answered_by, Some(AnsweredBy::MachineEndBeep));
    }
}

/// What cannot be written down is asked for again; it was acted on when it came first.
#[tokio::test]
async fn the_callback_acts_before_it_is_written_down_and_once() {
    let mut line = Line::open(ALLOWED).await;
    let (sid, mut phone) = answered(&mut line, request(CALLED)).await;
    phone.turn().await;
    line.store.close().await;
    assert_eq!(callback(&line, &sid, "machine_end_silence").await, 500);
    assert_eq!(callback(&line, &sid, "machine_end_silence").await, 500);
    assert_eq!(phone.turn().await.heard, "Ms. Miller, please call us back.");
    let after = phone.until("the close", |seen| match seen {
        Seen::Closed(code) => Some(Ok(*code)),
        Seen::Event(TraceEvent::Agent { text, .. }) => Some(Err(text.clone())),
        Seen::Media(_) | Seen::Mark(_) | Seen::Clear | Seen::Event(_) => None,
    });
    after.await.expect("nothing is said after the message");
}

#[tokio::test]
async fn the_callback_of_a_call_whose_stream_is_not_there_yet_waits_for_it() {
    let line = Line::open(ALLOWED).await;
    let placed = line.switchboard.place(&agents(&line), request(CALLED)).await;
    let sid = placed.expect("allowed").call_sid;
    let url = field(&line.twilio.asked()[0], "Url").expect("a webhook");
    let token = token_in(&line.webhook(&url, &sid, &[]).await);
    assert_eq!(callback(&line, &sid, "fax").await, 204);
    let mut phone = Phone::connected(&line.server, &sid, &token).await;
    phone.closed().await;
    line.ended(&sid, "machine").await;
}

#[tokio::test]
async fn nobody_who_is_called_waits_for_a_line() {
    let queue = format!("{AGENT}\n[line.queue]\n");
    let line = Line::with(ALLOWED, &queue, None).await;
    let registry = &line.server.app.registry;
    for n in 0..registry.max_calls() {
        let expected = registry.expect(&format!("CA{n}"), "", Parties::default(), now());
        expected.expect("there is room");
    }
    let placed = line.switchboard.place(&agents(&line), request(CALLED)).await;
    let sid = placed.expect("allowed").call_sid;
    let url = field(&line.twilio.asked()[0], "Url").expect("a webhook");
    let fields = [("From", OUR_NUMBER), ("To", CALLED), ("Direction", "outbound-api")];
    let twiml = line.webhook(&url, &sid, &fields).await;
    assert!(twiml.contains("<Response><Hangup/></Response>"), "{twiml}");
    // A caller does.
    assert!(
        line.webhook("/voice/incoming", "CAcaller", &[])
            .await
            .contains("<Redirect")
    );
}

#[tokio::test]
async fn whoever_was_called_is_not_greeted_as_a_caller_after_a_restart() {
    let mut line = Line::open(ALLOWED).await;
    let (sid, mut phone) = answered(&mut line, request(CALLED)).await;
    phone.turn().await;
    drop(phone);
    until("the loss is noticed", || line.server.app.registry.live() == 0).await;
    let fields = [("From", OUR_NUMBER), ("To", CALLED), ("Direction", "outbound-api")];
    let restarted = line.restarted().await;
    let dial = [("DialCallStatus", "no-answer")];
    for (path, more) in [
        ("/voice/fallback", [].as_slice()),
        ("/voice/stream-ended", &[]),
        ("/voice/after-transfer?id=x", &dial),
    ] {
        let form = form_with(&sid, &[fields.as_slice(), more].concat());
        let (status, twiml) = restarted.post(path, &form, None).await;
        assert!(
            status == 200 && twiml.contains("<Say>") && twiml.contains("</Say><Hangup/>"),
            "{path}: {twiml}"
        );
    }
    // Where it is known it goes on as it began.
    let twiml = line.webhook("/voice/fallback", &sid, &fields).await;
    let mut phone = Phone::connected(&line.server, &sid, &token_in(&twiml)).await;
    assert_eq!(phone.turn().await.heard, "Hello Ms. Miller, your car is ready.");
    phone.hang_up().await;
}

#[tokio::test]
async fn a_flood_is_refused_also_after_a_restart() {
    let settings = [("OUTBOUND_ALLOW", "+1555123*"), ("OUTBOUND_PER_DAY", "3")];
    let line = Line::open(&settings).await;
    let agents = agents(&line);
    let flood = (0..20).map(|n| line.switchboard.place(&agents, request(&format!("+155512300{n:02}"))));
    let placed = futures_util::future::join_all(flood).await;
    assert_eq!(placed.iter().filter(|placed| placed.is_ok()).count(), 3);
    let too_many = |placed: &&Result<_, RefusedOutbound>| matches!(placed, Err(RefusedOutbound::TooMany));
    assert_eq!(placed.iter().filter(too_many).count(), 17);
    let restarted = switchboard(&line.twilio, &line.store, rules(&settings));
    let refused = restarted.place(&agents, request(CALLED)).await;
    assert!(matches!(refused, Err(RefusedOutbound::TooMany)));
    assert_eq!(line.twilio.asked().len(), 3, "Twilio has heard of no other");
    let audit = line.audit().await;
    let of = |outcome: &str| audit.iter().filter(|(_, found, _)| found == outcome).count();
    assert_eq!((of("placed"), of("refused"), of("counted")), (3, 18, 3));
}

#[tokio::test]
async fn who_must_not_be_called_is_not() {
    let line = Line::open(ALLOWED).await;
    let agents = agents(&line);
    let place = |request| line.switchboard.place(&agents, request);
    for to in ["+19005550199", "+1555124000", "+44555123000"] {
        let refused = place(request(to)).await;
        assert!(matches!(refused, Err(RefusedOutbound::NotAllowed)), "{to}");
    }
    for to in ["911", "15551230001", "sip:x@y", "+1555123000\n1", ""] {
        let refused = place(request(to)).await;
        assert!(matches!(refused, Err(RefusedOutbound::NotANumber)), "{to:?}");
    }
    let nobody = OutboundRequest {
        agent: "nobody".to_owned(),
        ..request(CALLED)
    };
    assert!(matches!(place(nobody).await, Err(RefusedOutbound::NoAgent)));
    let mut long = request(CALLED);
    long.context.insert("x".to_owned(), "y".repeat(20_000).into());
    assert!(matches!(place(long).await, Err(RefusedOutbound::TooMuchContext)));
    assert!(line.twilio.asked().is_empty());
    line.audited(("outbound-call", "refused", "*99 not-allowed")).await;
    let audit = format!("{:?}", line.audit().await);
    assert!(!audit.contains("5555"), "{audit}");
    let nowhere = switchboard(&line.twilio, &line.store, rules(&[]));
    let refused = nowhere.place(&agents, request(CALLED)).await;
    assert!(
        matches!(refused, Err(RefusedOutbound::NotAllowed)),
        "by default nobody is called"
    );
    let hours = [
        ("OUTBOUND_ALLOW", "+1555123*"),
        ("OUTBOUND_HOURS", "08:00-20:00"),
        ("TIME_ZONE", "America/New_York"),
    ];
    let daily = switchboard(&line.twilio, &line.store, rules(&hours));
    let at = |time: &str| time.parse().expect("a time");
    let night = daily
        .place_at(&agents, request(CALLED), at("2026-01-15T12:59:00Z"))
        .await;
    assert!(matches!(night, Err(RefusedOutbound::QuietHours)));
    let day = daily
        .place_at(&agents, request(CALLED), at("2026-01-15T13:01:00Z"))
        .await;
    assert!(day.is_ok());
}

/// Twilio says that it failed, its list does not have the call yet, and the telephone rings.
#[tokio::test]
async fn a_call_that_rings_although_it_failed_is_answered_as_it_should_be() {
    for faults in [
        vec![Fault::DoneAnd(500), Fault::Late],
        vec![Fault::DoneAndCut, Fault::Late],
        vec![Fault::DoneAnd(503), Fault::Status(403, 20_003)],
    ] {
        let line = Line::open(ALLOWED).await;
        line.twilio.fail(faults.clone());
        let placed = line.switchboard.place(&agents(&line), request(CALLED)).await;
        assert!(
            matches!(&placed, Err(RefusedOutbound::Carrier(error)) if error.may_be_done()),
            "{faults:?}"
        );
        line.audited(("outbound-call", "unclear", "*01 carrier")).await;
        let asked = line.twilio.asked();
        let posts = asked.iter().filter(|asked| asked.method == "POST").count();
        assert_eq!((asked.len(), posts), (2, 1), "{faults:?}");
        let url = field(&asked[0], "Url").expect("a webhook");
        let token = token_in(&line.webhook(&url, "CA1", &[]).await);
        let mut phone = Phone::connected(&line.server, "CA1", &token).await;
        assert_eq!(phone.turn().await.heard, "Hello Ms. Miller, your car is ready.");
        phone.hang_up().await;
    }
    // The list has it: it is placed.
    let line = Line::open(ALLOWED).await;
    line.twilio.fail([Fault::DoneAnd(500)]);
    let placed = line.switchboard.place(&agents(&line), request(CALLED)).await;
    assert!(placed.expect("placed").call_sid.starts_with("CA"));
    line.audited(("outbound-call", "placed", "*01")).await;
}

#[tokio::test]
async fn a_call_that_twilio_refuses_is_told_and_audited() {
    let line = Line::open(ALLOWED).await;
    line.twilio.fail([Fault::Status(400, 21_215)]);
    let refused = line.switchboard.place(&agents(&line), request(CALLED)).await;
    assert!(matches!(refused, Err(RefusedOutbound::Carrier(_))));
    line.audited(("outbound-call", "failed", "*01 carrier")).await;
    until("one request", || line.twilio.asked().len() == 1).await;
    let url = field(&line.twilio.asked()[0], "Url").expect("a webhook");
    assert!(
        line.webhook(&url, "CA1", &[]).await.contains("<Hangup"),
        "nothing is kept of it"
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether a place is taken is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}
