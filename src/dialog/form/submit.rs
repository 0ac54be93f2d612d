//! The LLM's part: it talks, and hands in forms. Ids, numbers and dates come from the caller's own words, never from the model.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{Asked, Dialog, Step, words};
use crate::dialog::agent::{Form, SlotSpec};
use crate::dialog::slot::{Date, Language, Slot, Value};

/// What came of a form the LLM handed in.
pub type Submitted = Result<Step, Unfit>;

/// Why there is no such form; told to the LLM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no tool of this name; there are: {known}")]
pub struct Unfit {
    known: String,
}

impl Dialog {
    /// The caller has said `text`. `None` if the LLM should answer; what of it belongs into a form is taken.
    pub fn overhear(&mut self, text: &str, today: Date) -> Option<Step> {
        let mut step = Step::new();
        let language = self.agent.language;
        match self.asked.clone() {
            Asked::Tool { .. } => self.heard(text, today, &mut step),
            _ if words::asks_for_person(text, language, &self.agent.hand_over.says) => self.hand_over(&mut step),
            // The model might say that it is so, and a later "yes" would still act.
            _ if self.cancels(text) => self.finish_form(&mut step),
            Asked::Confirm => {
                if !self.confirmed(text, today, &mut step) {
                    return None;
                }
            }
            Asked::Which => self.correcting(text, today, &mut step),
            Asked::Slot { name, heard } => {
                if !self.take(&name, &heard, text, today) {
                    return None;
                }
                self.proceed(today, &mut step);
            }
            Asked::Open | Asked::More => {
                self.note(text, today);
                return None;
            }
        }
        Some(self.ended(step))
    }

    /// Takes what a sentence says of the form it is about.
    fn note(&mut self, text: &str, today: Date) {
        let agent = Arc::clone(&self.agent);
        if self.run.is_none() {
            let wanted = agent.forms.iter().position(|form| {
                let says = form.says.iter().any(|says| words::mentions(text, says));
                let finds =
                    |spec: &SlotSpec| is_exact(&spec.kind) && spec.kind.find(text, agent.language, today).is_some();
                says || form.slots.iter().any(finds)
            });
            if let Some(form) = wanted {
                self.begin(form, text, today);
            }
        } else if let Some(form) = self.run.as_ref().and_then(|run| agent.forms.get(run.form)) {
            if !words::corrects(text, agent.language) || !self.correct(form, text, today) {
                self.absorb(form, text, today);
            }
        }
    }

    /// The LLM hands in a form: asks for what is missing, asks whether it is right, or acts.
    pub fn submit(&mut self, name: &str, args: &Map<String, Json>, today: Date) -> Submitted {
        let agent = Arc::clone(&self.agent);
        let Some(index) = agent.forms.iter().position(|form| form.name == name) else {
            let known: Vec<&str> = agent.forms.iter().map(|form| form.name.as_str()).collect();
            let known = known.join(", ");
            return Err(Unfit { known });
        };
        if self.run.as_ref().is_none_or(|run| run.form != index) {
            self.begin(index, "", today);
        }
        for spec in &agent.forms[index].slots {
            let given = args.get(&spec.name).and_then(text_of);
            if let Some(given) = given.filter(|_| !is_exact(&spec.kind))
                && let Some(value) = read(spec, &given, agent.language, today)
                && self
                    .run
                    .as_ref()
                    .is_some_and(|run| run.slots.get(&spec.name) != Some(&value))
            {
                self.fill(&spec.name, value);
            }
        }
        let mut step = Step::new();
        self.proceed(today, &mut step);
        Ok(self.ended(step))
    }

    /// The forms as the LLM's tools: name, description, and a JSON schema of the arguments.
    pub fn tools(&self) -> Vec<(String, String, Json)> {
        let forms = self.agent.forms.iter();
        forms
            .map(|form| (form.name.clone(), form.description.clone(), schema(form)))
            .collect()
    }

    /// What is known so far, for the LLM's instructions.
    pub fn known(&self) -> String {
        let Some((form, run)) = self.form().zip(self.run.as_ref()) else {
            return String::new();
        };
        let mut lines = format!("The caller is about {}.", form.name);
        for spec in &form.slots {
            let value = run
                .slots
                .get(&spec.name)
                .map(|value| spec.speak(value, self.agent.language));
            let known = value.map_or_else(
                || "not known yet".to_owned(),
                |value| format!("{value} (from the caller)"),
            );
            lines.push_str(&format!("\n{}: {known}", spec.label));
        }
        lines
    }

    /// The LLM has failed and this dialog goes on: the caller said `text`.
    pub fn take_over(&mut self, text: &str, today: Date) -> Step {
        let mut step = Step::new();
        match (&self.asked, &self.run) {
            // What it says of the form was taken; ask for the rest.
            (Asked::Open | Asked::More, Some(_)) => self.proceed(today, &mut step),
            _ => self.heard(text, today, &mut step),
        }
        self.ended(step)
    }
}

/// Whether a model must not be trusted with it.
fn is_exact(kind: &Slot) -> bool {
    match kind {
        Slot::Digits { .. } | Slot::Id(_) | Slot::Phone { .. } | Slot::Date(_) | Slot::Money | Slot::Email => true,
        Slot::Number { .. } | Slot::YesNo | Slot::Choice(_) | Slot::Name | Slot::Address | Slot::Text => false,
    }
}

fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.trim().chars().take(MAX_TEXT).collect()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(yes) => Some(yes.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
    .filter(|text: &String| !text.is_empty())
}

fn read(spec: &SlotSpec, given: &str, language: Language, today: Date) -> Option<Value> {
    let own = given.to_owned();
    match &spec.kind {
        Slot::Choice(choices) if choices.iter().any(|choice| choice.value == given) => Some(Value::Choice(own)),
        Slot::YesNo if given == "true" || given == "false" => Some(Value::YesNo(given == "true")),
        Slot::Name => Some(Value::Name(own)),
        Slot::Address => Some(Value::Address(own)),
        Slot::Text => Some(Value::Text(own)),
        kind => kind.parse(given, language, today).value,
    }
}

fn schema(form: &Form) -> Json {
    let properties: Map<String, Json> = form
        .slots
        .iter()
        .map(|spec| {
            let mut property = match &spec.kind {
                Slot::YesNo => json!({ "type": "boolean" }),
                Slot::Number { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
                Slot::Choice(choices) => {
                    let values: Vec<&str> = choices.iter().map(|choice| choice.value.as_str()).collect();
                    json!({ "type": "string", "enum": values })
                }
                _ => json!({ "type": "string" }),
            };
            property["description"] = spec.label.clone().into();
            (spec.name.clone(), property)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Characters of one argument that are read.
const MAX_TEXT: usize = 500;
