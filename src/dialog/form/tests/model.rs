//! With an LLM: it talks and hands in forms; what must be right comes from the caller.

use serde_json::{Map, Value as Json, json};

use super::{Phone, TODAY};
use crate::dialog::agent::Part;

fn args(args: Json) -> Map<String, Json> {
    args.as_object().cloned().unwrap_or_default()
}

impl Phone {
    /// The caller says a line that the LLM is to answer.
    fn overhears(&mut self, text: &str) {
        if let Some(step) = self.dialog.overhear(text, TODAY) {
            panic!("{text:?} was answered without the LLM: {:?}", step.say);
        }
    }

    /// The caller says a line that the form answers before the LLM is asked.
    fn answers(&mut self, text: &str) -> String {
        let step = self.dialog.overhear(text, TODAY);
        let step = step.unwrap_or_else(|| panic!("{text:?} went to the LLM"));
        self.follow(step)
    }

    fn submits(&mut self, form: &str, given: Json) -> String {
        let step = self.dialog.submit(form, &args(given), "", TODAY);
        let step = step.unwrap_or_else(|error| panic!("{error}"));
        self.follow(step)
    }
}

#[test]
fn ids_and_dates_are_the_callers_and_never_the_models() {
    let mut phone = Phone::rings("eligibility", None);
    phone.overhears("Hi there, how is it going?");
    let invented = json!({ "member_id": "MB999999", "date_of_birth": "2000-01-01", "procedure": "mri" });
    assert!(
        phone
            .submits("check_eligibility", invented)
            .contains("What is the member id?")
    );
    assert!(phone.answers("MB123456").contains("date of birth"));
    let summary = phone.answers("March 15th, 1985");
    assert!(
        summary.contains("an M R I") && summary.contains("Is that right?"),
        "{summary}"
    );
    assert!(phone.calls.is_empty());
    assert!(phone.answers("Yes.").contains("an M R I is covered"));
    assert_eq!(phone.args("check_eligibility")["member_id"], "MB123456");
}

#[test]
fn what_the_caller_said_before_is_kept() {
    let mut phone = Phone::rings("eligibility", None);
    phone.overhears("Hello, my member id is MB123456.");
    let known: String = phone.dialog.known().iter().map(Part::text).collect();
    assert!(
        known.contains("the member id: M B, 1 2 3, 4 5 6 (from the caller)"),
        "{known}"
    );
    assert!(phone.submits("check_eligibility", json!({})).contains("date of birth"));
}

#[test]
fn a_model_cannot_say_yes_for_the_caller() {
    let mut phone = Phone::rings("eligibility", None);
    phone.overhears("It is about member MB123456, born March 15th, 1985.");
    let given = json!({ "procedure": "mri" });
    assert!(
        phone
            .submits("check_eligibility", given.clone())
            .contains("Is that right?")
    );
    for _ in 0..3 {
        assert!(
            phone
                .submits("check_eligibility", given.clone())
                .contains("Is that right?")
        );
    }
    assert!(phone.calls.is_empty());
    phone.overhears("What is the weather like?");
    assert!(phone.answers("Yes.").contains("an M R I is covered"));
}

#[test]
fn yes_and_no_are_the_callers_and_never_the_models() {
    let mut phone = Phone::own(DIRECTIONS);
    phone.overhears("How do I find you?");
    assert_eq!(
        phone.submits("directions", json!({ "wants_text": true })),
        "Shall I send you a text?"
    );
    assert!(phone.answers("No.").contains("anything else"));
    assert!(phone.calls.is_empty());
    phone.submits("directions", json!({ "wants_text": true }));
    assert!(phone.calls.is_empty());
    phone.answers("Yes.");
    assert_eq!(phone.count("send_sms"), 1);
}

const DIRECTIONS: &str = r#"
name = "directions"
greeting = "Hello."
system_prompt = "Be brief."

[[forms]]
name = "directions"
description = "Sends the way."

[[forms.slots]]
name = "wants_text"
kind = "yes-no"
label = "whether they want a text"
ask = "Shall I send you a text?"

[[forms.actions]]
tool = "send_sms"
when = "raw.wants_text"
args = { text = "'The way: https://example.org/way'" }
results = {}
"#;

#[test]
fn what_was_cancelled_is_not_done_by_a_later_yes() {
    let mut phone = Phone::rings("eligibility", None);
    phone.overhears("It is about member MB123456, born March 15th, 1985.");
    assert!(
        phone
            .submits("check_eligibility", json!({ "procedure": "mri" }))
            .contains("Is that right?")
    );
    assert!(phone.answers("Never mind.").contains("anything else"));
    phone.overhears("Yes.");
    assert!(phone.calls.is_empty());
}

#[test]
fn bad_arguments_cost_a_question_and_an_unknown_form_is_told() {
    let mut phone = Phone::rings("eligibility", None);
    let bad = json!({ "procedure": ["mri"], "colour": 7, "member_id": { "a": 1 } });
    assert!(
        phone
            .submits("check_eligibility", bad)
            .contains("What is the member id?")
    );
    let error = phone.dialog.submit("delete_everything", &Map::new(), "", TODAY).err();
    assert_eq!(
        error.map(|error| error.to_string()).as_deref(),
        Some("there is no tool of this name; there are: check_eligibility")
    );
}

#[test]
fn a_person_is_asked_for_past_the_model() {
    let mut phone = Phone::rings("eligibility", None);
    assert!(phone.answers("I want a real person.").contains("A member of our team"));
    assert!(phone.is_handed_over());
}

#[test]
fn when_the_model_fails_the_call_goes_on_with_what_is_known() {
    let mut phone = Phone::rings("eligibility", None);
    phone.overhears("I would like to check coverage for MB123456.");
    let step = phone
        .dialog
        .take_over("I would like to check coverage for MB123456.", TODAY);
    assert!(phone.follow(step).contains("date of birth"));
    phone.holds(&[
        ("March 15th, 1985", &["M R I"]),
        ("An office visit.", &["M B, 1 2 3, 4 5 6", "Is that right?"]),
        ("Yes.", &["an office visit is covered"]),
    ]);
    let mut phone = Phone::rings("front-desk", None);
    phone.overhears("What are your opening hours?");
    let step = phone.dialog.take_over("What are your opening hours?", TODAY);
    assert!(phone.follow(step).contains("nine to five"));
}

#[test]
fn forms_are_tools_with_a_schema() {
    let phone = Phone::rings("service-request", None);
    let tools = phone.dialog.tools();
    let [(name, description, schema)] = tools.as_slice() else {
        panic!("one form")
    };
    assert_eq!(name, "service_request");
    assert!(!description.is_empty());
    assert_eq!(
        schema["properties"]["urgency"]["enum"],
        json!(["low", "normal", "urgent"])
    );
    assert_eq!(schema["additionalProperties"], false);
}
