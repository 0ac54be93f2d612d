//! Commands to live calls.

use tieline::call::command::{Command, CommandError};
use tieline::call::opening::Direction;

use crate::line::{Line, PERSON};
use crate::phone::{Phone, Seen};
use crate::support::{FROM, until};
use crate::twilio::{Fault, field};

#[tokio::test]
async fn a_live_call_says_what_it_is_told_and_ends() {
    let line = Line::open(&[]).await;
    let registry = &line.server.app.registry;
    assert_eq!(registry.command("CA1", Command::HangUp), Err(CommandError::NotLive));
    let mut phone = Phone::greeted(&line.server, "CA1").await;
    let live = registry.live_calls();
    let [live] = live.as_slice() else {
        panic!("{} calls", live.len())
    };
    assert!(live.from.as_deref() == Some(FROM) && live.agent.as_deref() == Some("line"));
    assert_eq!((live.call_sid.as_str(), live.direction), ("CA1", Direction::Inbound));
    let say = Command::Say("The doctor is on the way.".to_owned());
    registry.command("CA1", say.clone()).expect("told");
    assert_eq!(phone.turn().await.heard, "The doctor is on the way.");
    // The conversation goes on, and knows it.
    line.server.stt.hear(&["what are your hours"]);
    assert_eq!(phone.exchange().await.heard, "We are open all day. Anything else?");
    registry.command("CA1", Command::HangUp).expect("told");
    phone.closed().await;
    let kept = line.ended("CA1", "operator").await;
    assert!(kept.turns.iter().any(|turn| turn.heard == "The doctor is on the way."));
    assert!(line.webhook("/voice/fallback", "CA1", &[]).await.contains("<Hangup"));
    assert_eq!(registry.command("CA1", say), Err(CommandError::NotLive));
    assert!(registry.live_calls().is_empty());
}

#[tokio::test]
async fn a_call_is_handed_over_by_command_and_only_where_it_may_be() {
    let mut line = Line::open(&[("TRANSFER_NUMBERS", "+15550188001,+15550188002")]).await;
    let mut phone = Phone::greeted(&line.server, "CA1").await;
    let transfer = |to: Option<&str>| {
        let to = to.map(str::to_owned);
        line.server.app.registry.command("CA1", Command::Transfer { to })
    };
    transfer(Some("+19005550199")).expect("told");
    line.audited(("transfer", "refused", "*99")).await;
    line.server.stt.hear(&["what are your hours"]);
    assert_eq!(
        phone.exchange().await.heard,
        "We are open all day. Anything else?",
        "nothing has happened"
    );
    transfer(Some("+15550188002")).expect("told");
    assert_eq!(phone.turn().await.heard, "A person takes over.");
    let asked = line.twilio.arrival().await;
    let twiml = field(&asked, "Twiml").expect("a document");
    assert!(twiml.contains("+15550188002") && !twiml.contains(PERSON), "{twiml}");
    phone.stop().await;
    phone.closed().await;
    line.ended("CA1", "hand-over").await;
}

/// The caller has asked for a person, and hears that one takes over: somebody else's order comes too late.
#[tokio::test]
async fn an_order_to_hand_over_does_not_lead_elsewhere_who_is_leaving() {
    let mut line = Line::open(&[("TRANSFER_NUMBERS", "+15550188001,+15550188002")]).await;
    let mut phone = Phone::greeted(&line.server, "CA1").await;
    line.server.stt.hear(&["I want to talk to a real person"]);
    phone.echo = false;
    phone.say().await;
    until_mark(&mut phone).await;
    // More than may wait for the call: when the last is taken, the first was carried out.
    for _ in 0..10 {
        let to = Some("+15550188002".to_owned());
        let transfer = Command::Transfer { to };
        until("the call takes an order", || {
            line.server.app.registry.command("CA1", transfer.clone()) != Err(CommandError::Busy)
        })
        .await;
    }
    let name = phone.marks.pop_front().expect("a mark");
    phone.mark(&name).await;
    let asked = line.twilio.arrival().await;
    let twiml = field(&asked, "Twiml").expect("a document");
    assert!(twiml.contains(PERSON) && !twiml.contains("+15550188002"), "{twiml}");
    phone.stop().await;
    phone.closed().await;
}

async fn until_mark(phone: &mut Phone) {
    let seen = phone.until("a mark", |seen| matches!(seen, Seen::Mark(_)).then_some(()));
    seen.await;
}

/// The operator is impatient, and Twilio has not answered yet.
#[tokio::test]
async fn a_second_order_to_hand_over_changes_nothing() {
    let line = Line::open(&[("TRANSFER_NUMBERS", "+15550188001,+15550188002")]).await;
    let mut phone = Phone::greeted(&line.server, "CA1").await;
    line.twilio.fail([Fault::Silence]);
    let registry = &line.server.app.registry;
    let transfer = |to: &str| {
        let to = Some(to.to_owned());
        registry.command("CA1", Command::Transfer { to })
    };
    transfer(PERSON).expect("told");
    assert_eq!(phone.turn().await.heard, "A person takes over.");
    until("Twilio is asked", || line.twilio.asked().len() == 1).await;
    // More than may wait for the call: when the last is taken, the first was carried out.
    for _ in 0..10 {
        until("the call takes an order", || {
            transfer("+15550188002") != Err(CommandError::Busy)
        })
        .await;
    }
    phone.stop().await;
    phone.closed().await;
    line.ended("CA1", "hand-over").await;
    let asked = line.twilio.asked();
    assert_eq!(asked.len(), 1);
    let twiml = field(&asked[0], "Twiml").expect("a document");
    assert!(twiml.contains(PERSON), "{twiml}");
}
