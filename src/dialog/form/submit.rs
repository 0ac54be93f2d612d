//! The LLM's part: it talks, and hands in forms. Ids, numbers, dates, yes and no come from the caller's own words, never from the model.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{Asked, Dialog, Step, words};
use crate::dialog::agent::{Form, Part, SlotSpec};
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
            _ if self.warn(text, today, &mut step) => {}
            Asked::Tool { .. } => self.heard(text, today, &mut step),
            _ if words::asks_for_person(text, language, &self.agent.hand_over.says) => self.hand_over(&mut step),
            _ if words::says_goodbye(text, language) => self.goodbye(&mut step),
            // The model might say that it is so, and a later "yes" would still act.
            _ if self.cancels(text) => self.finish_form(&mut step),
            Asked::Confirm if self.confirmed(text, today, &mut step) => {}
            Asked::Which => self.correcting(text, today, &mut step),
            Asked::Slot { .. } if self.disowned(text) => self.proceed(today, &mut step),
            Asked::Slot { name, heard } if self.take(&name, &heard, text, today) => self.proceed(today, &mut step),
            Asked::Slot { name, heard } if self.begins_answer(&name, &heard, text, today) => {
                step.say(self.agent.phrases.go_on.clone());
            }
            Asked::Confirm | Asked::Slot { .. } if self.is_idle() => self.heard(text, today, &mut step),
            Asked::Confirm | Asked::Slot { .. } => return None,
            Asked::Open | Asked::More if self.is_done(text, today) => self.goodbye(&mut step),
            Asked::Open | Asked::More => {
                if self.route(text, today, &mut step) {
                    return Some(self.ended(step));
                }
                let is_news = self.note(text, today);
                let wanting = self.run.is_some() && (self.has_all(today) || !is_news && self.is_idle());
                if !wanting {
                    return None;
                }
                self.proceed(today, &mut step);
            }
        }
        self.chats = 0;
        Some(self.ended(step))
    }

    /// Whether the LLM has answered often enough without bringing the form further. Counts this time.
    fn is_idle(&mut self) -> bool {
        self.chats = self.chats.saturating_add(1);
        self.chats > MAX_CHATS
    }

    /// Whether what the caller said last is for a form that is being filled.
    pub fn is_filling(&self) -> bool {
        self.run.is_some() && self.chats == 0
    }

    /// The LLM has answered in words. What must not be mistaken for an answer to them is asked again.
    pub fn chatted(&mut self, today: Date) -> Option<Step> {
        let again = match &self.asked {
            Asked::Confirm => true,
            Asked::Slot { name, .. } => {
                let spec = self.form().and_then(|form| form.slot(name));
                spec.is_some_and(|spec| spec.kind == Slot::YesNo)
            }
            Asked::More => {
                self.asked = Asked::Open;
                false
            }
            Asked::Open | Asked::Which | Asked::Tool { .. } => false,
        };
        again.then(|| {
            let mut step = Step::new();
            self.proceed(today, &mut step);
            self.ended(step)
        })
    }

    /// Takes what a sentence says of the form it is about. `false` if nothing.
    fn note(&mut self, text: &str, today: Date) -> bool {
        let agent = Arc::clone(&self.agent);
        if let Some(form) = self.run.as_ref().and_then(|run| agent.forms.get(run.form)) {
            let corrected = words::corrects(text, agent.language) && self.correct(form, text, today);
            return corrected || self.absorb(form, text, today);
        }
        let wanted = agent.forms.iter().position(|form| {
            // "No, thanks" is about nothing.
            let tells = |spec: &SlotSpec| is_exact(&spec.kind) && spec.kind != Slot::YesNo;
            let finds = |spec: &SlotSpec| tells(spec) && spec.kind.find(text, agent.language, today).is_some();
            self.wants(form, text, today) > 0 || form.slots.iter().any(finds)
        });
        if let Some(form) = wanted {
            self.begin(form, text, today);
        }
        wanted.is_some()
    }

    /// Whether the form needs nothing more from the caller.
    fn has_all(&self, today: Date) -> bool {
        let (Some(form), Some(run)) = (self.form(), &self.run) else {
            return false;
        };
        let context = self.context(today);
        form.slots.iter().all(|spec| {
            let needed = !spec.optional && spec.when.as_ref().is_none_or(|when| when.holds(&context));
            !needed || run.slots.contains_key(&spec.name)
        })
    }

    /// The LLM hands in a form, in answer to `text`: asks for what is missing, asks whether it is right, or acts.
    pub fn submit(&mut self, name: &str, args: &Map<String, Json>, text: &str, today: Date) -> Submitted {
        let agent = Arc::clone(&self.agent);
        let Some(index) = agent.forms.iter().position(|form| form.name == name) else {
            let known: Vec<&str> = agent.forms.iter().map(|form| form.name.as_str()).collect();
            let known = known.join(", ");
            return Err(Unfit { known });
        };
        if self.run.as_ref().is_none_or(|run| run.form != index) {
            self.begin(index, text, today);
        }
        for spec in agent.forms[index].slots.iter().filter(|spec| !is_exact(&spec.kind)) {
            let given = args.get(&spec.name).and_then(text_of);
            let value = given.and_then(|given| read(spec, &given, agent.language, today));
            let old = self.run.as_ref().and_then(|run| run.slots.get(&spec.name));
            if let Some(value) = value.filter(|value| Some(value) != old) {
                self.fill(&spec.name, value);
            }
        }
        let mut step = Step::new();
        self.proceed(today, &mut step);
        self.chats = 0;
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
    pub fn known(&self) -> Vec<Part> {
        let Some((form, run)) = self.form().zip(self.run.as_ref()) else {
            return Vec::new();
        };
        let mut parts = vec![Part::Own(format!("The caller is about {}.", form.name))];
        for spec in &form.slots {
            parts.push(Part::Own(format!("\n{}: ", spec.label)));
            let Some(value) = run.slots.get(&spec.name) else {
                parts.push(Part::Own("not known yet".to_owned()));
                continue;
            };
            let spoken = spec.speak(value, self.agent.language);
            let is_own = matches!(value, Value::Choice(_) | Value::YesNo(_));
            parts.push(if is_own {
                Part::Own(spoken)
            } else {
                Part::Filled(spoken)
            });
            parts.push(Part::Own(" (from the caller)".to_owned()));
        }
        parts
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
        // The caller says yes.
        Slot::YesNo => true,
        Slot::Number { .. } | Slot::Choice(_) | Slot::Name | Slot::Address | Slot::Text => false,
    }
}

fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.trim().chars().take(MAX_TEXT).collect()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(yes) => Some(yes.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
    .filter(|text: &String| !text.is_empty() && !BLANKS.contains(&text.to_lowercase().as_str()))
}

fn read(spec: &SlotSpec, given: &str, language: Language, today: Date) -> Option<Value> {
    let own = given.to_owned();
    match &spec.kind {
        Slot::Choice(choices) if choices.iter().any(|choice| choice.value == given) => Some(Value::Choice(own)),
        Slot::Name => Some(Value::Name(own)),
        Slot::Address => Some(Value::Address(own)),
        Slot::Text => Some(Value::Text(own)),
        Slot::Digits { .. }
        | Slot::Id(_)
        | Slot::Phone { .. }
        | Slot::Date(_)
        | Slot::YesNo
        | Slot::Number { .. }
        | Slot::Money
        | Slot::Choice(_)
        | Slot::Email => spec.kind.parse(given, language, today).value,
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
                Slot::Digits { .. } | Slot::Id(_) | Slot::Phone { .. } | Slot::Date(_) | Slot::Money => {
                    json!({ "type": "string" })
                }
                Slot::Email | Slot::Name | Slot::Address | Slot::Text => json!({ "type": "string" }),
            };
            property["description"] = spec.label.clone().into();
            (spec.name.clone(), property)
        })
        .collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Characters of one argument that are read.
const MAX_TEXT: usize = 500;
/// Answers of the LLM in a row, after which the form's own question is asked.
const MAX_CHATS: u8 = 2;
/// What models write where they know nothing.
const BLANKS: &[&str] = &[
    "unknown",
    "n/a",
    "na",
    "none",
    "null",
    "nil",
    "undefined",
    "tbd",
    "?",
    "-",
    "string",
    "not provided",
    "not specified",
    "not given",
    "not known",
    "unspecified",
    "missing",
    "desconocido",
    "desconocida",
    "ninguno",
    "ninguna",
];
