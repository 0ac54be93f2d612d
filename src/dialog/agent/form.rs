//! What an agent collects, and what it does with it: `[[forms]]`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::kind::{Kind, RawChoice, RawKind};
use super::template::{Expr, Template};
use crate::dialog::slot::{Language, Slot, Value};

/// A form: slots to fill, a summary to confirm, and what is done then.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    /// `a-z`, `0-9` and `_`; the LLM knows it as the name of a tool.
    #[serde(deserialize_with = "form_name")]
    pub name: String,
    /// What it is for, for the LLM.
    #[serde(deserialize_with = "super::sentence")]
    pub description: String,
    /// Words by which callers ask for it. The last word of each may be cut short with `*`. Default none.
    #[serde(default)]
    pub says: Vec<String>,
    /// Done before anything is asked, such as looking up who calls. Default nothing.
    #[serde(default)]
    pub before: Vec<Act>,
    /// What is asked for, in this order.
    #[serde(deserialize_with = "some_slots")]
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
    /// Where the name stands in the file.
    pub(super) at: usize,
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
    /// A recording pauses while it is awaited and read back, such as the number of a card.
    pub sensitive: bool,
}

/// A tool and what follows from its outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Its name.
    pub tool: String,
    /// Where the name stands in the file.
    pub(super) at: usize,
    /// It is done only if this holds.
    pub when: Option<Expr>,
    /// Its arguments. Default: the slots of the parameters' names.
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
    #[serde(deserialize_with = "save_as")]
    pub save_as: Option<String>,
    /// Slots that were wrong and are asked again, a few times. After that an optional one is done without, for the others
    /// the caller is handed over.
    pub ask_again: Vec<String>,
    /// What comes next.
    pub then: Then,
    /// Where its outcome stands in the file.
    #[serde(skip)]
    pub(super) at: usize,
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

impl Act {
    /// The names under which it keeps what it finds.
    pub fn saves(&self) -> impl Iterator<Item = &str> {
        self.results.values().filter_map(|reaction| reaction.save_as.as_deref())
    }
}

/// A tool of the LLM's, for what a form says with `then`.
#[derive(Debug, Clone, Copy)]
pub struct OwnTool {
    /// The LLM's name for it.
    pub name: &'static str,
    /// What it does, for the LLM.
    pub description: &'static str,
    /// What it is in a form.
    pub then: Then,
}

impl SlotSpec {
    /// The names under which its look-up keeps what it finds.
    pub fn finds(&self) -> impl Iterator<Item = &str> {
        self.look_up.iter().flat_map(Act::saves)
    }

    /// How the agent says a value of it.
    pub fn speak(&self, value: &Value, language: Language) -> String {
        let mut plain = value.speak(language);
        if let Value::Text(_) = value {
            // It stands within a sentence of the agent's.
            plain.truncate(plain.trim_end_matches(['.', ' ']).len());
        }
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
        if let Some(slot) = self.slots.iter().find(|slot| !slots.insert(slot.name.as_str())) {
            return Some((
                slot.at,
                format!("form {name}: there are two slots called {}", slot.name),
            ));
        }
        if let Some(slot) = self.slots.iter().find(|slot| GIVEN.contains(&slot.name.as_str())) {
            let means = format!("a slot cannot be called {}, which means something else", slot.name);
            return Some((slot.at, format!("form {name}: {means}")));
        }
        for act in self.acts() {
            for (outcome, reaction) in &act.results {
                let place = format!("form {name}, {outcome} of {}", act.tool);
                if let Some(unknown) = reaction.ask_again.iter().find(|slot| !slots.contains(slot.as_str())) {
                    return Some((reaction.at, format!("{place}: ask_again: there is no slot {unknown}")));
                }
                let saved = reaction.save_as.as_deref().unwrap_or_default();
                if slots.contains(saved) || GIVEN.contains(&saved) {
                    let why = format!("save_as: {saved} means something else already");
                    return Some((reaction.at, format!("{place}: {why}")));
                }
            }
        }
        None
    }

    /// The first text with a name that is not `known`.
    pub(super) fn stranger(&self, known: &BTreeSet<&str>) -> Option<(usize, String)> {
        let slots = self.slots.iter().map(|slot| slot.name.as_str());
        let own: BTreeSet<&str> = slots.chain(known.iter().copied()).collect();
        self.names().into_iter().find_map(|(at, used)| {
            let unknown = used.iter().find(|used| !own.contains(used.as_str()))?;
            let own = own.iter().copied().collect::<Vec<_>>().join(", ");
            let message = format!("form {}: nothing is called {unknown}; there are: {own}", self.name);
            Some((at, message))
        })
    }

    /// The names under which it saves what tools found.
    pub(super) fn saved(&self) -> impl Iterator<Item = &str> {
        let reactions = self.acts().flat_map(|act| act.results.values());
        reactions.filter_map(|reaction| reaction.save_as.as_deref())
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
            name: Spanned<Identifier>,
            kind: Kind,
            pattern: Option<String>,
            min: Option<u64>,
            max: Option<u64>,
            local: Option<bool>,
            choices: Option<Vec<RawChoice>>,
            #[serde(deserialize_with = "super::sentence")]
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
            #[serde(default)]
            sensitive: bool,
        }
        let raw = Raw::deserialize(deserializer)?;
        let wrong = <D::Error as serde::de::Error>::custom;
        let at = raw.name.span().start;
        let name = raw.name.into_inner().0;
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
            return Err(wrong(format!("slot {name}: opening is for kind = \"text\" only")));
        }
        let kind = kind
            .slot()
            .map_err(|message| wrong(format!("slot {name}: {message}")))?;
        Ok(Self {
            name,
            at,
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
            sensitive: raw.sensitive,
        })
    }
}

impl<'de> Deserialize<'de> for Act {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            tool: Spanned<String>,
            #[serde(default)]
            when: Option<Expr>,
            #[serde(default)]
            args: BTreeMap<String, Expr>,
            results: BTreeMap<Spanned<String>, Reaction>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let results = raw.results.into_iter().map(|(outcome, reaction)| {
            let at = outcome.span().start;
            (outcome.into_inner(), Reaction { at, ..reaction })
        });
        Ok(Self {
            at: raw.tool.span().start,
            tool: raw.tool.into_inner(),
            when: raw.when,
            args: raw.args,
            results: results.collect(),
        })
    }
}

#[derive(Deserialize)]
struct Identifier(#[serde(deserialize_with = "identifier")] String);

fn identifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.len() <= MAX_NAME
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    if good {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!(
            "{text:?} is not a name: expected a-z, 0-9 and _, such as member_id, at most {MAX_NAME} characters"
        )))
    }
}

/// The LLM knows it beside the tools that every agent has.
fn form_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = identifier(deserializer)?;
    if OWN_TOOLS.iter().any(|own| own.name == name) {
        return Err(serde::de::Error::custom(format!(
            "a form cannot be called {name}, which every agent has as a tool of the LLM"
        )));
    }
    Ok(name)
}

fn save_as<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    identifier(deserializer).map(Some)
}

fn some_slots<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SlotSpec>, D::Error> {
    let slots = Vec::deserialize(deserializer)?;
    if slots.is_empty() {
        return Err(serde::de::Error::custom("slots: expected at least one"));
    }
    Ok(slots)
}

/// Names that every template knows: values as tools get them, the last tool's data, who calls, the agent's language, today.
pub(super) const GIVEN: &[&str] = &["raw", "result", "caller", "context", "language", "today"];
/// What the LLM of every agent may call beside forms.
pub const OWN_TOOLS: &[OwnTool] = &[
    OwnTool {
        name: "end_call",
        description: "Says goodbye and ends the call, when the caller is done.",
        then: Then::End,
    },
    OwnTool {
        name: "transfer_call",
        description: "Hands the caller over to a person, when they ask for one or cannot be helped.",
        then: Then::HandOver,
    },
];
/// LLM endpoints take no longer ones.
const MAX_NAME: usize = 64;
