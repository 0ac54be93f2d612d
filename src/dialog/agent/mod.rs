//! The agent file: who answers, what it says first, and what it says when something goes wrong.
//!
//! One TOML file per agent, `agents/<name>.toml`. [`parse`] is pure; [`load`] reads the file.

mod check;
mod form;
mod hours;
mod kind;
mod line;
mod phrases;
mod recording;
mod set;
mod template;
mod tools;

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Deserializer};
use toml::Spanned;

pub use form::{Act, Form, OWN_TOOLS, OwnTool, Reaction, SlotSpec, Then};
pub use hours::{Holiday, Hours, Opening};
pub use line::{Blocked, Choice, Line, Menu, Queue, Voicemail, Way};
pub use phrases::Phrases;
pub use recording::{Consent, Recording};
pub use set::{Agents, SetError};
pub use template::{Context, Expr, Part, Template};

use crate::dialog::slot::{Language, Slot};
use crate::dialog::tool::spec::HttpToolSpec;

/// An agent, as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// What `AGENT` selects it by: `a-z`, `0-9` and `-`, the same as the file's name.
    pub name: String,
    /// What it speaks. Default English, unless `STT_LANGUAGE` is another.
    pub language: Language,
    /// Whether the file says so: then callers are taken to speak it, whatever `STT_LANGUAGE` is.
    pub language_given: bool,
    /// By language code: the agent that takes over when the caller speaks that language.
    pub translations: BTreeMap<String, String>,
    /// Numbers at which it answers, with + and country code. Default none: where `AGENT` says.
    pub numbers: Vec<String>,
    /// Spoken first. It should say that an automated assistant answers.
    pub greeting: String,
    /// Spoken before the greeting, such as a consent notice; callers cannot interrupt it. Default none.
    pub notice: String,
    /// What the LLM is told before the conversation.
    pub system_prompt: Template,
    /// Fixed sentences.
    pub phrases: Phrases,
    /// What callers are asked for, if it is always the same and there are no forms: they are not cut off in the middle of it.
    /// Default none.
    pub expect: Option<Slot>,
    /// What it collects and does.
    pub forms: Vec<Form>,
    /// What it can answer without the LLM.
    pub answers: Vec<Answer>,
    /// Other agents for what it does not do itself.
    pub routes: Vec<Route>,
    /// Tools of its own, called over HTTP.
    pub tools: Vec<HttpToolSpec>,
    /// When a person takes over.
    pub hand_over: HandOver,
    /// Calls that we place.
    pub outgoing: Outgoing,
    /// Help for the transcriber.
    pub stt: SttHints,
    /// Bounds of the conversation.
    pub limits: Limits,
    /// What happens before it answers at its numbers. Default: nothing.
    pub line: Option<Line>,
    /// How its calls are recorded, where the server records any. Default: they are not.
    pub recording: Option<Recording>,
}

impl Agent {
    /// Whether it can go on without an LLM.
    pub fn guides(&self) -> bool {
        !(self.forms.is_empty() && self.routes.is_empty() && self.answers.is_empty())
    }

    /// The languages its callers may speak, its own first; none if only `STT_LANGUAGE` knows.
    pub fn languages(&self) -> Vec<&'static str> {
        let own = self.language_given.then(|| self.language.code());
        let others = self.translations.keys().filter_map(|code| Language::named(code));
        own.into_iter().chain(others.map(Language::code)).collect()
    }

    /// What it says without the LLM wherever nothing has to be filled in.
    pub fn frequent_texts(&self) -> impl Iterator<Item = &str> {
        let phrases = &self.phrases;
        let own = [
            &phrases.menu,
            &phrases.anything_else,
            &phrases.not_understood,
            &phrases.which_wrong,
            &phrases.go_on,
            &phrases.take_time,
            &phrases.checking,
        ];
        let slots = self.forms.iter().flat_map(|form| &form.slots);
        let questions = slots.flat_map(|slot| std::iter::once(&slot.ask).chain(&slot.reask));
        let questions = questions.filter(|text| text.is_fixed()).map(Template::source);
        let answers = self.answers.iter().map(|answer| answer.say.as_str());
        own.into_iter().map(String::as_str).chain(questions).chain(answers)
    }

    /// What it says whatever happens: made into audio before the first call, so that it can be said when an engine fails.
    pub fn fixed_texts(&self) -> impl Iterator<Item = &str> {
        let phrases = &self.phrases;
        [
            &self.notice,
            &self.greeting,
            &phrases.still_there,
            &phrases.apology,
            &phrases.not_heard,
            &phrases.too_long,
            &phrases.goodbye,
            &phrases.hand_over,
            &phrases.no_one_free,
        ]
        .into_iter()
        .chain(self.line_texts())
        .chain(
            self.recording
                .iter()
                .flat_map(|recording| [&recording.notice, &recording.question]),
        )
        .map(String::as_str)
    }

    /// What is said before it answers.
    fn line_texts(&self) -> impl Iterator<Item = &String> {
        let phrases = &self.phrases;
        let line = self.line.iter();
        line.flat_map(|line| {
            let menu = line.menu.iter().flat_map(|menu| [&menu.say, &phrases.wrong_key]);
            let closed = line.hours.iter().map(|_| &phrases.closed);
            let message = line.ways().any(|way| *way == Way::Voicemail).then_some([
                &phrases.leave_message,
                &phrases.message_kept,
                &phrases.message_empty,
                &phrases.message_lost,
            ]);
            menu.chain(closed).chain(message.into_iter().flatten())
        })
    }
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(deserialize_with = "name")]
    name: String,
    #[serde(default, deserialize_with = "language")]
    language: Option<Language>,
    #[serde(default)]
    translations: BTreeMap<Code, Name>,
    #[serde(default)]
    numbers: Vec<Number>,
    #[serde(deserialize_with = "sentence")]
    greeting: String,
    #[serde(default)]
    notice: String,
    system_prompt: Template,
    #[serde(default)]
    phrases: phrases::Given,
    #[serde(default, deserialize_with = "kind::slot")]
    expect: Option<Slot>,
    #[serde(default)]
    forms: Vec<Spanned<Form>>,
    #[serde(default)]
    answers: Vec<Answer>,
    #[serde(default)]
    routes: Vec<Spanned<Route>>,
    #[serde(default)]
    tools: Vec<Spanned<HttpToolSpec>>,
    #[serde(default)]
    hand_over: HandOver,
    #[serde(default)]
    outgoing: Outgoing,
    #[serde(default)]
    sms: Sms,
    #[serde(default)]
    stt: SttHints,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    line: Option<Line>,
    #[serde(default)]
    recording: Option<Recording>,
}

impl From<Raw> for Agent {
    fn from(raw: Raw) -> Self {
        let language_given = raw.language.is_some() || !raw.translations.is_empty();
        let language = raw.language.unwrap_or(Language::En);
        Self {
            name: raw.name,
            language,
            language_given,
            translations: raw
                .translations
                .into_iter()
                .map(|(code, name)| (code.0, name.0))
                .collect(),
            numbers: raw.numbers.into_iter().map(|number| number.0).collect(),
            greeting: raw.greeting,
            notice: raw.notice,
            system_prompt: raw.system_prompt,
            phrases: raw.phrases.over(language),
            expect: raw.expect,
            forms: raw.forms.into_iter().map(Spanned::into_inner).collect(),
            answers: raw.answers,
            routes: raw.routes.into_iter().map(Spanned::into_inner).collect(),
            tools: raw.tools.into_iter().map(Spanned::into_inner).collect(),
            hand_over: raw.hand_over,
            outgoing: raw.outgoing,
            stt: raw.stt,
            limits: raw.limits,
            line: raw.line,
            recording: raw.recording,
        }
    }
}

/// A question that the agent answers without the LLM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Words by which callers ask it. The last word of each may be cut short with `*`.
    #[serde(deserialize_with = "some_words")]
    pub says: Vec<String>,
    /// The answer.
    #[serde(deserialize_with = "sentence")]
    pub say: String,
    /// It comes before anything else, whatever is awaited and with an LLM too: what to do in an emergency. Default false.
    #[serde(default)]
    pub urgent: bool,
}

/// Another agent, and how callers get to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name.
    #[serde(deserialize_with = "name")]
    pub agent: String,
    /// Words by which callers ask for it, beside those of its forms. Default none.
    #[serde(default)]
    pub says: Vec<String>,
    /// The key that leads to it. Default none.
    #[serde(default, deserialize_with = "key")]
    pub key: Option<char>,
}

/// When a person takes over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandOver {
    /// Words by which callers ask for one, beside the usual ("operator", "a real person").
    pub says: Vec<String>,
    /// Where to, E.164; one of `TRANSFER_NUMBERS`. Default the first of those.
    #[serde(deserialize_with = "some_number")]
    pub to: Option<String>,
    /// Whether who answers there hears what it is about and takes the call by pressing 1. Default true: no answering machine can.
    pub warm: Option<bool>,
    /// What they hear. Default the agent's name and the form that is being filled.
    pub summary: Option<Template>,
}

/// Text messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sms {
    /// Whether they may hold what was said in the call.
    private: bool,
}

/// How calls are opened that we place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outgoing {
    /// Whether calls may be placed for this agent. Default false.
    pub allowed: bool,
    /// Spoken first, instead of `greeting`; may use `context`.
    pub greeting: Option<Template>,
    /// What an answering machine is told, if the one who places the call wants a message left; may use `context`.
    pub message: Option<Template>,
}

/// Help for the transcriber.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SttHints {
    /// Names and terms callers use, as running text: Whisper's initial prompt. Default none; a few dozen words at most.
    pub vocabulary: Option<String>,
}

/// Bounds of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How often one question is asked before a person takes over, or the question is left out if it may be, 1 to 10. Default 3.
    #[serde(deserialize_with = "attempts")]
    pub attempts: u8,
    /// Messages of the conversation that the LLM is given, the latest ones, 2 to 200. Default 20: ten exchanges, which keeps
    /// the first token of a small local model fast.
    #[serde(deserialize_with = "max_history")]
    pub max_history: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attempts: 3,
            max_history: 20,
        }
    }
}

/// Why an agent cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The name asked for could not be a file of ours.
    #[error("{name:?} is not an agent's name: expected a-z, 0-9 and -, such as front-desk")]
    Name {
        /// What was asked for.
        name: String,
    },
    /// There is no such file.
    #[error(
        "there is no agent {name} in {dir}; {available}. Set AGENT to an agent there is, or write {dir}/{name}.toml"
    )]
    Missing {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        dir: String,
        /// "there are: a, b" or "there are none".
        available: String,
    },
    /// The file is there and cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a good agent.
    #[error("{file}:{line}: {message}")]
    Invalid {
        /// The file, as the caller named it.
        file: String,
        /// Line number from 1.
        line: usize,
        /// What is wrong and what is allowed, on one line.
        message: String,
    },
    /// The file of one agent holds another, as happens to copies.
    #[error("{file}: says name = {found:?}, but the file is called {expected}.toml. Write name = {expected:?}")]
    NameMismatch {
        /// The file.
        file: String,
        /// The name in it.
        found: String,
        /// The name of the file.
        expected: String,
    },
}

/// Reads `<dir>/<name>.toml`. The name is checked first, so that it cannot lead out of the directory.
pub fn load(dir: &Path, name: &str) -> Result<Agent, AgentError> {
    if !is_name(name) {
        return Err(AgentError::Name { name: name.to_owned() });
    }
    let path = dir.join(format!("{name}.toml"));
    let file = path.display().to_string();
    let text = fs::read_to_string(&path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            AgentError::Missing {
                name: name.to_owned(),
                dir: dir.display().to_string(),
                available: available(dir),
            }
        } else {
            AgentError::Unreadable {
                file: file.clone(),
                source,
            }
        }
    })?;
    let agent = parse(&text, &file)?;
    if agent.name == name {
        Ok(agent)
    } else {
        Err(AgentError::NameMismatch {
            file,
            found: agent.name,
            expected: name.to_owned(),
        })
    }
}

/// Reads an agent from the text of a file; `file` is only for messages.
pub fn parse(text: &str, file: &str) -> Result<Agent, AgentError> {
    let invalid = |at: usize, message: &str| {
        let before = &text.as_bytes()[..at.min(text.len())];
        AgentError::Invalid {
            file: file.to_owned(),
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            message: message.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    };
    let raw: Raw = toml::from_str(text).map_err(|error| invalid(place(text, &error), error.message()))?;
    match check::fault(&raw) {
        Some((at, message)) => Err(invalid(at, &message)),
        None => Ok(raw.into()),
    }
}

/// Where a fault is. What a table as a whole lacks is reported at the first of several `[[tables]]`, and which one it is shows when
/// those after it are left out.
fn place(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start);
    let header = text
        .get(start..)
        .and_then(|rest| rest.lines().next())
        .unwrap_or_default();
    if !header.starts_with("[[") {
        return start;
    }
    let mut at = start;
    for (found, _) in text.match_indices(header).filter(|(found, _)| *found > start) {
        let shorter = toml::from_str::<Raw>(text.get(..found).unwrap_or_default());
        if shorter.is_err_and(|shorter| shorter.message() == error.message()) {
            return at;
        }
        at = found;
    }
    at
}

/// Whether a text can name an agent: `[a-z0-9-]+`, so never a path.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn available(dir: &Path) -> String {
    let names = names(dir);
    if names.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    }
}

/// The agents of a directory, by their files' names.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .filter(|name| is_name(name))
        .collect();
    names.sort();
    names
}

/// An agent's name.
#[derive(Deserialize)]
struct Name(#[serde(deserialize_with = "name")] String);

/// A language's code.
#[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Code(#[serde(deserialize_with = "code")] String);

/// A telephone number.
#[derive(Deserialize)]
struct Number(#[serde(deserialize_with = "number")] String);

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_name(&text) {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!(
            "{text:?} is not a name: expected a-z, 0-9 and -, such as front-desk"
        )))
    }
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits = text.strip_prefix('+').unwrap_or_default();
    let good = (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if good && !digits.starts_with('0') {
        Ok(text)
    } else {
        Err(serde::de::Error::custom(format!(
            "{text:?} is not a telephone number: expected + and country code, without spaces, such as +12125550100"
        )))
    }
}

fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    number(deserializer).map(Some)
}

fn key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<char>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(key), None) if key.is_ascii_digit() => Ok(Some(key)),
        _ => Err(serde::de::Error::custom(format!(
            "{text:?} is not a key that callers can press here: expected \"0\" to \"9\""
        ))),
    }
}

fn some_words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let says = Vec::<String>::deserialize(deserializer)?;
    if says.iter().any(|says| !says.trim().is_empty()) {
        return Ok(says);
    }
    Err(serde::de::Error::custom("says: expected at least one phrase"))
}

fn attempts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let attempts = u8::deserialize(deserializer)?;
    if (1..=10).contains(&attempts) {
        return Ok(attempts);
    }
    Err(serde::de::Error::custom(format!(
        "{attempts} is out of bounds: expected 1 to 10 attempts"
    )))
}

fn sentence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(serde::de::Error::custom(
            "this text is empty: expected at least one sentence",
        ));
    }
    Ok(trimmed.to_owned())
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match Language::named(&text) {
        Some(_) => Ok(text),
        None => Err(serde::de::Error::custom(format!(
            "{text:?} is not a language agents speak: expected en or es"
        ))),
    }
}

fn language<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Language>, D::Error> {
    code(deserializer).map(|code| Language::named(&code))
}

fn max_history<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let messages = usize::deserialize(deserializer)?;
    if HISTORY.contains(&messages) {
        return Ok(messages);
    }
    let (min, max) = (HISTORY.start(), HISTORY.end());
    Err(serde::de::Error::custom(format!(
        "{messages} is out of bounds: expected {min} to {max} messages"
    )))
}

/// Below, the LLM forgets the question it answers; above, a small model's context is full.
const HISTORY: std::ops::RangeInclusive<usize> = 2..=200;

#[cfg(test)]
mod tests;
