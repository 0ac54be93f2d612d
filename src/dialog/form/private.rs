//! What the conversation knows of people.

use serde_json::{Map, Value as Json};

use super::Dialog;
use crate::dialog::redact::{Known, known_in};
use crate::dialog::slot::{Private, Value};

impl Dialog {
    /// What the form that is being filled has so far, by slot.
    pub fn filled(&self) -> Json {
        let slots = self.run.iter().flat_map(|run| &run.slots);
        slots
            .map(|(name, value)| (name.clone(), value.to_json()))
            .collect::<Map<_, _>>()
            .into()
    }

    /// What must not leave the house: what was said for the form, what tools found, the caller's number.
    pub fn private(&self) -> Vec<Known> {
        let mut known = Vec::new();
        if let Some((form, run)) = self.form().zip(self.run.as_ref()) {
            for spec in &form.slots {
                let value = run.slots.get(&spec.name);
                known.extend(value.and_then(|value| {
                    Some(Known {
                        kind: kind(value)?,
                        value: text(&value.to_json()),
                        spoken: Some(spec.speak(value, self.agent.language)),
                    })
                }));
            }
        }
        for facts in self.saved.values().chain(&self.denied) {
            known.extend(known_in(facts));
        }
        known.extend(self.call.from.iter().map(|from| Known {
            kind: Private::Number,
            value: from.clone(),
            spoken: None,
        }));
        known
    }
}

/// `None` of what tells nothing of who somebody is.
fn kind(value: &Value) -> Option<Private> {
    match value {
        Value::Digits(_) | Value::Id(_) | Value::Phone(_) => Some(Private::Number),
        Value::Date(_) => Some(Private::Date),
        Value::Email(_) => Some(Private::Email),
        Value::Name(_) => Some(Private::Name),
        Value::Address(_) => Some(Private::Address),
        Value::YesNo(_) | Value::Number(_) | Value::Money(_) | Value::Choice(_) | Value::Text(_) => None,
    }
}

fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}
