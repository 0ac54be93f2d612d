//! The agent file: who answers, what it says first, and what it says when something goes wrong.
//!
//! One TOML file per agent, `agents/<name>.toml`. [`parse`] is pure; [`load`] reads the file.

mod form;
mod kind;
mod phrases;
mod set;
mod template;
mod tools;

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Deserializer};

pub use form::{Act, Form, Reaction, SlotSpec, Then};
pub use phrases::Phrases;
pub use set::{Agents, SetError};
pub use template::{Context, Expr, Template};

use crate::dialog::slot::{Language, Slot};
use crate::dialog::tool::spec::HttpToolSpec;

/// An agent, as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, from = "Raw")]
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
    /// Help for the transcriber.
    pub stt: SttHints,
    /// Bounds of the conversation.
    pub limits: Limits,
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
        ]
        .into_iter()
        .map(String::as_str)
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
    translations: BTreeMap<String, String>,
    #[serde(default)]
    numbers: Vec<String>,
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
    forms: Vec<Form>,
    #[serde(default)]
    answers: Vec<Answer>,
    #[serde(default)]
    routes: Vec<Route>,
    #[serde(default)]
    tools: Vec<HttpToolSpec>,
    #[serde(default)]
    hand_over: HandOver,
    #[serde(default)]
    stt: SttHints,
    #[serde(default)]
    limits: Limits,
}

impl From<Raw> for Agent {
    fn from(raw: Raw) -> Self {
        let language_given = raw.language.is_some() || !raw.translations.is_empty();
        let language = raw.language.unwrap_or(Language::En);
        Self {
            name: raw.name,
            language,
            language_given,
            translations: raw.translations,
            numbers: raw.numbers,
            greeting: raw.greeting,
            notice: raw.notice,
            system_prompt: raw.system_prompt,
            phrases: raw.phrases.over(language),
            expect: raw.expect,
            forms: raw.forms,
            answers: raw.answers,
            routes: raw.routes,
            tools: raw.tools,
            hand_over: raw.hand_over,
            stt: raw.stt,
            limits: raw.limits,
        }
    }
}

/// A question that the agent answers without the LLM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Words by which callers ask it. The last word of each may be cut short with `*`.
    pub says: Vec<String>,
    /// The answer.
    #[serde(deserialize_with = "sentence")]
    pub say: String,
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
    #[serde(default)]
    pub key: Option<char>,
}

/// When a person takes over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HandOver {
    /// Words by which callers ask for one, beside the usual ("operator", "a real person").
    pub says: Vec<String>,
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
    /// How often one question is asked before a person takes over, or the question is left out if it may be. Default 3.
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
    let agent: Agent =
        toml::from_str(text).map_err(|error| invalid(error.span().map_or(0, |span| span.start), error.message()))?;
    let mut forms = agent.forms.iter();
    match forms.find_map(|form| form.fault().or_else(|| tools::fault(form, &agent.tools))) {
        Some((at, message)) => Err(invalid(at, &message)),
        None => Ok(agent),
    }
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

fn language<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Language>, D::Error> {
    let code = String::deserialize(deserializer)?;
    match Language::named(&code) {
        Some(language) => Ok(Some(language)),
        None => Err(serde::de::Error::custom(format!(
            "{code:?} is not a language agents speak: expected en or es"
        ))),
    }
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
mod tests {
    use super::*;

    const FRONT_DESK: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/agents/front-desk.toml"));

    const SMALLEST: &str = "name = \"a-1\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n";

    fn fault(text: &str) -> String {
        parse(text, "agents/x.toml").expect_err("a faulty file").to_string()
    }

    #[test]
    fn the_front_desk_is_good_and_says_that_it_is_automated() {
        let agent = parse(FRONT_DESK, "agents/front-desk.toml").expect("the file that ships");
        assert_eq!(agent.name, "front-desk");
        assert!(agent.greeting.contains("automated assistant"), "{}", agent.greeting);
        assert!(agent.system_prompt.source().contains("medical advice"));
        assert!(agent.stt.vocabulary.is_some());
    }

    #[test]
    fn everything_but_three_fields_has_a_default() {
        let agent = parse(SMALLEST, "x").expect("the smallest file");
        assert_eq!(agent.phrases, Phrases::of(Language::En));
        assert_eq!(agent.stt, SttHints::default());
        assert_eq!(agent.limits, Limits::default());
    }

    #[test]
    fn sections_override_single_fields() {
        let text = format!(
            "{SMALLEST}[phrases]\nbusy = \" Busy. \"\n[limits]\nmax_history = 6\n[stt]\nvocabulary = \"Tess\"\n"
        );
        let agent = parse(&text, "x").expect("a good file");
        assert_eq!(
            agent.phrases,
            Phrases {
                busy: "Busy.".to_owned(),
                ..Phrases::of(Language::En)
            }
        );
        assert_eq!(agent.limits.max_history, 6);
        assert_eq!(agent.stt.vocabulary.as_deref(), Some("Tess"));
    }

    #[test]
    fn faults_name_file_line_and_what_is_allowed() {
        let cases = [
            (
                format!("{SMALLEST}voice = \"joe\"\n"),
                ":4: unknown field `voice`, expected one of `name`, `language`",
            ),
            (
                format!("{SMALLEST}[phrases]\nsorry = \"x\"\n"),
                ":5: unknown field `sorry`, expected one of `apology`",
            ),
            (
                format!("{SMALLEST}\n[limits]\nmax_history = 1\n"),
                ":6: 1 is out of bounds: expected 2 to 200 messages",
            ),
            (SMALLEST.replace("\"Hello.\"", "\"  \""), ":2: this text is empty"),
            (
                SMALLEST.replace("a-1", "../a"),
                ":1: \"../a\" is not a name: expected a-z, 0-9 and -",
            ),
            (
                SMALLEST.replace("\"Hello.\"", "7"),
                ":2: invalid type: integer `7`, expected a string",
            ),
            (
                SMALLEST.replace("greeting", "# greeting"),
                ":1: missing field `greeting`",
            ),
            (SMALLEST.replace("brief.\"", "brief."), ":3: "),
        ];
        for (text, expected) in cases {
            let message = fault(&text);
            assert!(message.starts_with(&format!("agents/x.toml{expected}")), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn what_is_awaited_is_a_kind_of_slot_with_its_bounds() {
        let with = |expect: &str| format!("{SMALLEST}[expect]\n{expect}\n");
        let slot = |expect: &str| parse(&with(expect), "x").expect("a good file").expect;
        assert_eq!(slot("kind = \"phone\""), Some(Slot::Phone { local: false }));
        assert_eq!(
            slot("kind = \"digits\"\nmin = 4\nmax = 6"),
            Some(Slot::Digits { min: 4, max: 6 })
        );
        assert!(matches!(slot("kind = \"id\"\npattern = 'MB\\d{6}'"), Some(Slot::Id(_))));
        let cases = [
            ("kind = \"digits\"\nmin = 6\nmax = 4", "min = 6, max = 4: expected"),
            (
                "kind = \"colour\"",
                "unknown variant `colour`, expected one of `digits`, `id`",
            ),
            ("kind = \"id\"\npattern = '('", "pattern \"(\": "),
        ];
        for (expect, expected) in cases {
            let message = fault(&with(expect));
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn load_stays_in_its_directory_and_says_what_there_is() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let write = |file: &str| fs::write(dir.path().join(file), SMALLEST).expect("a writable directory");
        write("a-1.toml");
        write("copy.toml");
        assert_eq!(load(dir.path(), "a-1").expect("a good file").greeting, "Hello.");
        for name in ["../a-1", "", "a/b", "A", "a.toml"] {
            assert!(matches!(load(dir.path(), name), Err(AgentError::Name { .. })), "{name}");
        }
        let message = load(dir.path(), "none").expect_err("no such agent").to_string();
        assert!(message.contains("there are: a-1, copy"), "{message}");
        let message = load(dir.path(), "copy")
            .expect_err("a copy with the old name")
            .to_string();
        assert!(message.ends_with("Write name = \"copy\""), "{message}");
    }
}
