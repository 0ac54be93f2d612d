//! The agent file: who answers, what it says first, and what it says when something goes wrong.
//!
//! One TOML file per agent, `agents/<name>.toml`. [`parse`] is pure; [`load`] reads the file.

use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Deserializer};

use crate::dialog::expect;
use crate::dialog::slot::Slot;

/// An agent, as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// What `AGENT` selects it by: `a-z`, `0-9` and `-`, the same as the file's name.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Spoken first. It should say that an automated assistant answers.
    #[serde(deserialize_with = "sentence")]
    pub greeting: String,
    /// Spoken before the greeting, such as a consent notice; callers cannot interrupt it. Default none.
    #[serde(default)]
    pub notice: String,
    /// What the LLM is told before the conversation.
    #[serde(deserialize_with = "sentence")]
    pub system_prompt: String,
    /// Fixed sentences; each has an English default.
    #[serde(default)]
    pub phrases: Phrases,
    /// What callers are asked for, if it is always the same: they are not cut off in the middle of it. Default none.
    #[serde(default, deserialize_with = "expect::slot")]
    pub expect: Option<Slot>,
    /// Help for the transcriber.
    #[serde(default)]
    pub stt: SttHints,
    /// Bounds of the conversation.
    #[serde(default)]
    pub limits: Limits,
}

/// What the agent says without the LLM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phrases {
    /// An engine failed or was too slow; the caller may try again.
    #[serde(deserialize_with = "sentence")]
    pub apology: String,
    /// Before the agent hangs up.
    #[serde(deserialize_with = "sentence")]
    pub goodbye: String,
    /// There was speech, and no words could be made out.
    #[serde(deserialize_with = "sentence")]
    pub not_heard: String,
    /// Nobody has said anything for `SILENCE_PROMPT`.
    #[serde(deserialize_with = "sentence")]
    pub still_there: String,
    /// The call is refused, as all lines are taken.
    #[serde(deserialize_with = "sentence")]
    pub busy: String,
    /// The call has reached `MAX_CALL` and ends.
    #[serde(deserialize_with = "sentence")]
    pub too_long: String,
}

impl Default for Phrases {
    fn default() -> Self {
        Self {
            apology: "I am sorry, something went wrong on my side. Could you say that again?".to_owned(),
            goodbye: "Thank you for calling. Goodbye.".to_owned(),
            not_heard: "Sorry, I did not catch that.".to_owned(),
            still_there: "Are you still there?".to_owned(),
            busy: "All our lines are busy at the moment. Please call again in a few minutes.".to_owned(),
            too_long: "We have reached the time limit for this call. Please call again if you need more. Goodbye."
                .to_owned(),
        }
    }
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
    /// Messages of the conversation that the LLM is given, the latest ones, 2 to 200. Default 20: ten exchanges, which keeps
    /// the first token of a small local model fast.
    #[serde(deserialize_with = "max_history")]
    pub max_history: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_history: 20 }
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
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        AgentError::Invalid {
            file: file.to_owned(),
            line,
            message,
        }
    })
}

/// Whether a text can name an agent: `[a-z0-9-]+`, so never a path.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn available(dir: &Path) -> String {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .filter(|name| is_name(name))
        .collect();
    names.sort();
    if names.is_empty() {
        "there are none".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    }
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
        assert!(agent.system_prompt.contains("medical advice"));
        assert!(agent.stt.vocabulary.is_some());
    }

    #[test]
    fn everything_but_three_fields_has_a_default() {
        let agent = parse(SMALLEST, "x").expect("the smallest file");
        assert_eq!(agent.phrases, Phrases::default());
        assert_eq!(agent.stt, SttHints::default());
        assert_eq!(agent.limits, Limits { max_history: 20 });
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
                ..Phrases::default()
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
                ":4: unknown field `voice`, expected one of `name`, `greeting`",
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
