//! Text messages: after a yes, to the caller, so many a day, each once.

use tieline::dialog::agent::parse;

use crate::line::{AGENT, Line};
use crate::phone::Phone;
use crate::support::FROM;
use crate::twilio::field;

/// Offers a message; `phone` goes somewhere else.
fn texting(phone: &str) -> String {
    format!(
        r#"{AGENT}
[[forms]]
name = "directions"
description = "Sends the way to us as a text message."
says = ["way"]
confirm = "May I send it to your telephone?"

[[forms.slots]]
name = "by_car"
kind = "yes-no"
label = "whether they come by car"
ask = "Do you come by car?"

[[forms.actions]]
tool = "send_sms"
args = {{ text = "'The way to us: https://example.org/way'"{phone} }}
[forms.actions.results.sent]
say = "It is on its way."
[forms.actions.results.not_sent]
say = "I cannot send it now."
"#
    )
}

async fn asks(line: &Line, call_sid: &str, answer: &str) -> String {
    line.server.stt.hear(&["Tell me the way", "Yes.", answer]);
    let mut phone = Phone::greeted(&line.server, call_sid).await;
    assert_eq!(phone.exchange().await.heard, "Do you come by car?");
    assert_eq!(phone.exchange().await.heard, "May I send it to your telephone?");
    let said = phone.exchange().await.heard;
    phone.hang_up().await;
    said
}

#[tokio::test]
async fn a_message_goes_to_who_has_said_yes_and_not_too_often() {
    let settings = [("SMS", "on"), ("SMS_PER_DAY", "1")];
    let line = Line::with(&settings, &texting(""), None).await;
    let said = asks(&line, "CA1", "No.").await;
    assert!(!said.contains("on its way") && line.twilio.asked().is_empty(), "{said}");
    let said = asks(&line, "CA2", "Yes.").await;
    assert_eq!(said, "It is on its way. Anything else?");
    let asked = line.twilio.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].path.ends_with("/Messages.json"));
    assert_eq!(field(&asked[0], "To").as_deref(), Some(FROM));
    let said = asks(&line, "CA3", "Yes.").await;
    assert_eq!(said, "I cannot send it now. Anything else?");
    assert_eq!(line.twilio.asked().len(), 1);
    let audit = line.audit().await;
    let outcomes: Vec<(&str, &str)> = audit.iter().map(|(_, b, c)| (b.as_str(), c.as_str())).collect();
    assert_eq!(
        outcomes,
        [("counted", "*23"), ("sent", "*23"), ("refused", "*23 too-many")]
    );
}

#[tokio::test]
async fn a_message_to_a_stranger_is_refused_and_off_is_off() {
    let stranger = texting(", phone = \"'+19005550199'\"");
    let line = Line::with(&[("SMS", "on")], &stranger, None).await;
    assert!(asks(&line, "CA1", "Yes.").await.starts_with("I cannot send it now."));
    line.audited(("sms", "refused", "*99 not-allowed")).await;
    assert!(line.twilio.asked().is_empty());
    let off = Line::with(&[], &texting(""), None).await;
    assert!(asks(&off, "CA1", "Yes.").await.starts_with("I cannot send it now."));
    assert!(off.twilio.asked().is_empty());
}

#[test]
fn an_agent_that_sends_without_asking_or_tells_what_was_said_is_refused() {
    let good = texting("");
    parse(&good, "x").expect("a good file");
    let unasked = good.replace("confirm = \"May I send it to your telephone?\"\n", "");
    let when = unasked.replace("tool = \"send_sms\"\n", "tool = \"send_sms\"\nwhen = \"raw.by_car\"\n");
    parse(&when, "x").expect("a yes of its own");
    let telling = good.replace("'The way to us: https://example.org/way'", "'By car: ' ~ by_car");
    let private = telling.replace("[outgoing]", "[sms]\nprivate = true\n\n[outgoing]");
    parse(&private, "x").expect("as the file wants it");
    for (file, what) in [(unasked, "the caller's yes"), (telling, "would tell by_car")] {
        let error = parse(&file, "x").expect_err(what).to_string();
        assert!(error.contains(what), "{error}");
    }
}
