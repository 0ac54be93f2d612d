//! An LLM outside of the house learns nothing of who calls, and is none the worse for it.

use serde_json::{Value, json};
use tieline::dialog::conversation::Ending;
use tieline::dialog::form::CallFacts;
use tieline::dialog::llm::{CallRequest, Delta, Message, Prompt};
use tieline::dialog::slot::{Date, Language, Slot, Value as Filled};
use tieline::dialog::tool::{ToolCall, ToolResult};

use crate::dialog::{Base, Call, ELIGIBILITY, KNOWN, SERVICE, call, coverage, member, words};
use crate::dialog_faults::PATIENT;

#[tokio::test]
async fn what_tells_who_the_caller_is_does_not_leave() {
    let base = Base::new().await;
    let mut phone = Call::begin(ELIGIBILITY, &base, "CA1", PATIENT).await.redacting();
    phone.server.answer([words("Hello NAME_1, gladly. Who is the member?")]);
    let said = phone
        .says("Hello, my name is Dana Whitfield, my number is 212 555 0101, and I was born on March 15, 1985.")
        .await;
    assert_eq!(said, "Hello Dana Whitfield, gladly. Who is the member?");
    phone
        .server
        .answer([call("check_eligibility", &coverage("NUMBER_2", "DATE_1", "mri"))]);
    let first = phone.says("Well, my card says MB123456.").await;
    phone.server.answer_always(words("NUMBER_2 it is. Anything else?"));
    let all = phone.goes_on(first, member).await;
    assert_eq!(phone.end, Some(Ending::Goodbye), "{all:#?}");
    let args = Value::Object(phone.tools[0].call.args.clone());
    assert_eq!(args, coverage("MB123456", "1985-03-15", "mri"), "{all:#?}");

    let asked = phone.server.asked();
    assert!(asked.len() >= 2, "the LLM was asked");
    let sent = asked
        .iter()
        .map(|asked| asked.body.to_string())
        .collect::<String>()
        .to_lowercase();
    let number = KNOWN.trim_start_matches("+1");
    for private in [
        "dana",
        "whitfield",
        "555 0101",
        number,
        "mb123456",
        "123456",
        "march",
        "1985",
    ] {
        assert!(!sent.contains(private), "{private} has left: {sent}");
    }
    assert!(
        sent.contains("name_1") && sent.contains("number_2") && sent.contains("date_1"),
        "{sent}"
    );
}

#[tokio::test]
async fn what_is_known_leaves_without_what_was_said_in_it() {
    let base = Base::new().await;
    let prompt = "system_prompt = \"\"\"\n";
    let agent = SERVICE.replacen(prompt, &format!("{prompt}Told before: {{{{ context.note }}}}. "), 1);
    let mut phone = Call::begin(&agent, &base, "CA1", PATIENT).await.redacting();
    phone.knows(
        "context",
        &json!({ "note": "Jane Roe asked on May 3, 1971, from 646 555 0147" }),
    );
    phone.server.answer_always(words("I see."));
    let said = "Hi, my heater is broken, call me at 212 555 0182, born March 15 1985";
    phone.says(said).await;
    phone.says("What does it cost?").await;

    let asked = phone.server.asked();
    let last = asked.last().expect("the LLM was asked").json();
    let last = last["messages"][0]["content"].as_str().unwrap_or_default();
    // It is in the instructions, as the description.
    assert!(last.contains("my heater is broken, call me at NUMBER_"), "{last}");
    assert!(last.contains("Told before: NAME_1 asked on DATE_"), "{last}");
    for sent in asked.iter().map(|asked| asked.body.to_string()) {
        for private in ["0182", "1985", "March", "Jane", "Roe", "1971", "0147"] {
            assert!(!sent.contains(private), "{private} has left: {sent}");
        }
    }
}

/// A `{:?}` that somebody adds to a log line some day tells nothing.
#[test]
fn debug_shows_nothing_that_was_said() {
    const SAID: &str = "Zoe 482615";
    let said = || SAID.to_owned();
    let today = Date::constant(2026, 11, 21);
    let object = json!({ "name": SAID }).as_object().cloned().unwrap_or_default();
    let request = CallRequest {
        id: said(),
        name: said(),
        arguments: said(),
    };
    let messages = vec![
        Message::Caller(said()),
        Message::Agent(said()),
        Message::Calls(vec![request.clone()]),
        Message::Result {
            id: said(),
            content: said(),
        },
    ];
    let shown = [
        format!("{:?}", Filled::Name(said())),
        format!("{:?}", Filled::Money(482_615)),
        format!("{:?}", Slot::Text.parse(SAID, Language::En, today)),
        format!("{:?}", Slot::Name.find("My name is Zoe Zoe.", Language::En, today)),
        format!("{messages:?}"),
        format!("{:?}", Delta::Sentence(said())),
        format!("{:?}", Delta::Call(request)),
        format!(
            "{:?}",
            CallFacts {
                id: said(),
                from: Some(said()),
            }
        ),
        format!(
            "{:?}",
            ToolCall {
                tool: said(),
                args: object.clone(),
                key: said(),
            }
        ),
        format!(
            "{:?}",
            ToolResult {
                outcome: said(),
                data: object,
            }
        ),
        format!(
            "{:?}",
            Prompt {
                system: said(),
                messages,
                tools: Vec::new(),
            }
        ),
    ];
    for shown in shown {
        let tells = shown.contains("Zoe") || shown.contains(|c: char| c.is_ascii_digit());
        assert!(!tells && shown.contains("(…)"), "{shown}");
    }
}
