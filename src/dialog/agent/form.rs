//! What an agent collects, and what it does with it: `[[forms]]`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};

use super::kind::{Kind, RawChoice, RawKind};
use super::template::{Expr, Template};
use crate::dialog::slot::{Language, Slot, Value};

/// A form: slots to fill, a summary to confirm, and what is done then.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// `a-z`, `0-9` and `_`; the LLM knows it as the name of a tool.
    #[serde(deserialize_with = "identifier")]
    pub name: String,
    /// What it is for, for the LLM.
    pub description: String,
    /// Words by which callers ask for it. The last word of each may be cut short with `*`. Default none.
    #[serde(default)]
    pub says: Vec<String>,
    /// Done before anything is asked, such as looking up who calls. Default nothing.
    #[serde(default)]
    pub before: Vec<Act>,
    /// What is asked for, in this order.
    pub slots: Vec<SlotSpec>,
    /// Said when all is known, as a question that yes answers. Without it the form acts at once.
    #[serde(default)]
    pub confirm: Option<Template>,
    /// What is done then, in this order.
    #[serde(default)]
    pub actions: Vec<Act>,
}

/// One thing to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSpec {
    /// `a-z`, `0-9` and `_`: its name in templates, and the parameter of tools that it is given to.
    pub name: String,
    /// What it is.
    pub kind: Slot,
    /// How the agent says each choice.
    pub spoken: BTreeMap<String, String>,
    /// What callers and the LLM call it: "the member id".
    pub label: String,
    /// The question.
    pub ask: Template,
    /// The question when the answer was not understood.
    pub reask: Option<Template>,
    /// It is asked only if this holds.
    pub when: Option<Expr>,
    /// Whether a caller may do without it ("I do not have one").
    pub optional: bool,
    /// The sentence with which the caller began is its value, if it says more than the form's words.
    pub opening: bool,
    /// Where a value may come from before it is asked, such as `caller.phone`.
    pub prefill: Option<Expr>,
    /// Done as soon as it is filled.
    pub look_up: Option<Act>,
}

/// A tool and what follows from its outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// Its name.
    pub tool: String,
    /// It is done only if this holds.
    #[serde(default)]
    pub when: Option<Expr>,
    /// Its arguments. Default: the slots of the parameters' names.
    #[serde(default)]
    pub args: BTreeMap<String, Expr>,
    /// By the tool's outcome.
    pub results: BTreeMap<String, Reaction>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reaction {
    /// What is said of it.
    pub say: Option<Template>,
    /// The name under which templates find the tool's data from now on.
    pub save_as: Option<String>,
    /// Slots that were wrong and are asked again, a few times. After that an optional one is done without, for the others
    /// the caller is handed over.
    pub ask_again: Vec<String>,
    /// What comes next.
    pub then: Then,
}

/// What comes after a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The form goes on.
    #[default]
    Continue,
    /// The form is done, whatever is left of it.
    Done,
    /// A person takes over.
    HandOver,
    /// The call ends.
    End,
}

impl SlotSpec {
    /// How the agent says a value of it.
    pub fn speak(&self, value: &Value, language: Language) -> String {
        let plain = value.speak(language);
        self.spoken.get(&plain).cloned().unwrap_or(plain)
    }
}

impl Form {
    /// A slot by its name.
    pub fn slot(&self, name: &str) -> Option<&SlotSpec> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    /// Every tool with what follows, wherever it is called.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        let look_ups = self.slots.iter().filter_map(|slot| slot.look_up.as_ref());
        self.before.iter().chain(look_ups).chain(&self.actions)
    }

    /// The first fault between its parts: where in the file, and what.
    pub(super) fn fault(&self) -> Option<(usize, String)> {
        let name = &self.name;
        let mut slots = BTreeSet::new();
        let twice = self.slots.iter().find(|slot| !slots.insert(slot.name.as_str()));
        let start = self.slots.first().map_or(0, |slot| slot.ask.names().0);
        if let Some(slot) = twice {
            let at = slot.ask.names().0;
            return Some((at, format!("form {name}: there are two slots called {}", slot.name)));
        }
        if self.slots.is_empty() {
            return Some((start, format!("form {name}: slots: expected at least one")));
        }
        let saved = self.acts().flat_map(|act| act.results.values());
        let saved = saved.filter_map(|reaction| reaction.save_as.as_deref());
        let known: BTreeSet<&str> = slots
            .iter()
            .copied()
            .chain(saved)
            .chain(GIVEN.iter().copied())
            .collect();
        for (at, used) in self.names() {
            if let Some(unknown) = used.iter().find(|used| !known.contains(used.as_str())) {
                let known = known.iter().copied().collect::<Vec<_>>().join(", ");
                return Some((
                    at,
                    format!("form {name}: nothing is called {unknown}; there are: {known}"),
                ));
            }
        }
        for act in self.acts() {
            for (outcome, reaction) in &act.results {
                if let Some(unknown) = reaction.ask_again.iter().find(|slot| !slots.contains(slot.as_str())) {
                    let at = reaction.say.as_ref().map_or(start, |say| say.names().0);
                    let place = format!("form {name}, {} of {}: ask_again", outcome, act.tool);
                    return Some((at, format!("{place}: there is no slot {unknown}")));
                }
            }
        }
        None
    }

    fn names(&self) -> Vec<(usize, BTreeSet<String>)> {
        let mut names: Vec<_> = self.confirm.iter().map(Template::names).collect();
        for slot in &self.slots {
            names.push(slot.ask.names());
            names.extend(slot.reask.as_ref().map(Template::names));
            names.extend(slot.when.iter().chain(&slot.prefill).map(Expr::names));
        }
        for act in self.acts() {
            names.extend(act.when.iter().chain(act.args.values()).map(Expr::names));
            let says = act.results.values().filter_map(|reaction| reaction.say.as_ref());
            names.extend(says.map(Template::names));
        }
        names
    }
}

impl<'de> Deserialize<'de> for SlotSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            #[serde(deserialize_with = "identifier")]
            name: String,
            kind: Kind,
            pattern: Option<String>,
            min: Option<u64>,
            max: Option<u64>,
            local: Option<bool>,
            choices: Option<Vec<RawChoice>>,
            label: String,
            ask: Template,
            reask: Option<Template>,
            when: Option<Expr>,
            #[serde(default)]
            optional: bool,
            #[serde(default)]
            opening: bool,
            prefill: Option<Expr>,
            look_up: Option<Act>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let wrong = <D::Error as serde::de::Error>::custom;
        if GIVEN.contains(&raw.name.as_str()) {
            return Err(wrong(format!(
                "a slot cannot be called {}, which means something else",
                raw.name
            )));
        }
        let choices = raw.choices.iter().flatten();
        let spoken = choices.map(|choice| {
            let say = choice.say.clone().unwrap_or_else(|| choice.value.replace('_', " "));
            (choice.value.clone(), say)
        });
        let spoken = spoken.collect();
        let kind = RawKind {
            kind: raw.kind,
            pattern: raw.pattern,
            min: raw.min,
            max: raw.max,
            local: raw.local,
            choices: raw.choices,
        };
        if raw.opening && raw.kind != Kind::Text {
            return Err(wrong(format!("slot {}: opening is for kind = \"text\" only", raw.name)));
        }
        let kind = kind
            .slot()
            .map_err(|message| wrong(format!("slot {}: {message}", raw.name)))?;
        Ok(Self {
            name: raw.name,
            kind,
            spoken,
            label: raw.label,
            ask: raw.ask,
            reask: raw.reask,
            when: raw.when,
            optional: raw.optional,
            opening: raw.opening,
            prefill: raw.prefill,
            look_up: raw.look_up,
        })
    }
}

pub(super) fn identifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if good {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!(
            "{text:?} is not a name: expected a-z, 0-9 and _, such as member_id"
        )))
    }
}

/// Names that every template knows: values as tools get them, the last tool's data, who calls, the agent's language, today.
const GIVEN: &[&str] = &["raw", "result", "caller", "language", "today"];
