//! The file of a set of calls.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};

/// Calls and what they share. The file's header describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallSet {
    /// Names for what the agent asks, for [`Line::when`].
    #[serde(default)]
    questions: BTreeMap<String, Pattern>,
    /// When the agent says this and nothing else fits, callers say again what they said last.
    pub again: Pattern,
    /// What any caller answers where the call's own lines do not fit, by language.
    #[serde(default)]
    spare: BTreeMap<String, Vec<Line>>,
    /// The calls, in the file's order.
    pub calls: Vec<ScriptedCall>,
}

/// One call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// Unique.
    pub name: String,
    /// Who answers.
    pub agent: String,
    /// The caller's number. Default: one that no other call has; empty: withheld.
    pub from: Option<String>,
    /// Why it cannot be held by voice, such as a language without a voice.
    pub text_only: Option<String>,
    /// What the caller says. The first line answers the greeting; the others say `when`.
    pub lines: Vec<Line>,
    /// What must have come of it.
    pub expect: Expected,
}

/// Something the caller says or types.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What it answers: one of the set's questions, or a pattern.
    when: Option<String>,
    /// Spoken.
    say: Option<String>,
    /// The same as Whisper writes it.
    text: Option<String>,
    /// Typed on the keypad.
    keys: Option<String>,
    #[serde(skip)]
    fits: Option<Pattern>,
}

/// What a line is, one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// Words.
    Words {
        /// As they are spoken.
        say: &'a str,
        /// As they are written down.
        text: &'a str,
    },
    /// Keys.
    Keys(&'a str),
}

/// What must have come of a call. What is not mentioned may be anything, but for orders: there are these and no others.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// Each is in what the agent said.
    pub says: Vec<Pattern>,
    /// None is in what the agent said.
    pub never: Vec<Pattern>,
    /// In what the agent said last.
    pub last: Option<Pattern>,
    /// `tool outcome`, in the order they ran.
    pub tools: Vec<String>,
    /// How the call ended. Default: the caller hung up.
    pub end: Option<String>,
    /// Task orders that came of it.
    pub orders: Vec<ExpectedOrder>,
}

/// A row of the database.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedOrder {
    /// In the customer's number, name and telephone, with a blank between.
    pub customer: Pattern,
    /// The whole of it.
    pub service_type: String,
    /// In it.
    pub description: Option<Pattern>,
    /// In it.
    pub location: Pattern,
    /// The whole of it.
    pub urgency: String,
}

/// A regular expression, whatever the case.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Why a set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// No set at all.
    #[error(transparent)]
    Toml(#[from] toml::de::Error),
    /// A call that cannot be held.
    #[error("call {call}: {fault}")]
    Call {
        /// Its name.
        call: String,
        /// What is wrong.
        fault: String,
    },
}

impl CallSet {
    /// Reads a set.
    ///
    /// # Errors
    ///
    /// It is no TOML, a pattern is none, or a call does not make sense.
    pub fn parse(text: &str) -> Result<Self, SetError> {
        let mut set: Self = toml::from_str(text)?;
        let mut names = BTreeSet::new();
        for call in &mut set.calls {
            let fault = |fault: String| SetError::Call {
                call: call.name.clone(),
                fault,
            };
            if !names.insert(call.name.clone()) {
                return Err(fault("there is another of this name".to_owned()));
            }
            if call.lines.first().is_none_or(|line| line.when.is_some()) {
                return Err(fault("the first line answers the greeting and has no when".to_owned()));
            }
            if call.lines.iter().skip(1).any(|line| line.when.is_none()) {
                return Err(fault("a line without when".to_owned()));
            }
            for line in &mut call.lines {
                line.resolve(&set.questions).map_err(fault)?;
            }
        }
        for (language, lines) in &mut set.spare {
            for line in lines {
                line.resolve(&set.questions).map_err(|fault| SetError::Call {
                    call: format!("spare {language}"),
                    fault,
                })?;
            }
        }
        Ok(set)
    }

    /// What callers of a language fall back on.
    pub fn spare(&self, language: &str) -> &[Line] {
        self.spare.get(language).map_or(&[], Vec::as_slice)
    }
}

impl ScriptedCall {
    /// The caller's number, if it is shown. `place` is the call's place in the set.
    pub fn number(&self, place: usize) -> Option<String> {
        match self.from.as_deref() {
            Some("") => None,
            Some(from) => Some(from.to_owned()),
            None => Some(format!("+1212555{:04}", NOBODYS + place)),
        }
    }
}

impl Line {
    fn resolve(&mut self, questions: &BTreeMap<String, Pattern>) -> Result<(), String> {
        if self.say.is_some() == self.keys.is_some() || (self.text.is_some() && self.say.is_none()) {
            return Err("a line has either say, perhaps with text, or keys".to_owned());
        }
        self.fits = match &self.when {
            None => None,
            Some(when) => Some(match questions.get(when) {
                Some(question) => question.clone(),
                None => Pattern::new(when)?,
            }),
        };
        Ok(())
    }

    /// Whether it answers what the agent said.
    pub fn answers(&self, agent: &str) -> bool {
        self.fits.as_ref().is_some_and(|fits| fits.matches(agent))
    }

    /// Whether it answers the greeting, whatever that is.
    pub fn opens(&self) -> bool {
        self.fits.is_none()
    }

    /// What it is.
    pub fn said(&self) -> Said<'_> {
        let say = self.say.as_deref().unwrap_or_default();
        match &self.keys {
            Some(keys) => Said::Keys(keys),
            None => Said::Words {
                say,
                text: self.text.as_deref().unwrap_or(say),
            },
        }
    }
}

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    ///
    /// It is no regular expression; the message is one line.
    pub fn new(text: &str) -> Result<Self, String> {
        let compiled = RegexBuilder::new(text).case_insensitive(true).build();
        compiled
            .map(Self)
            .map_err(|_| format!("{text:?} is no regular expression"))
    }

    /// Whether it is anywhere in a text.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The last digits of the first call's number; 555-02xx is nobody's among the seed data.
const NOBODYS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let set = |calls: &str| format!("again = 'again'\n[questions]\nid = 'id\\?'\n{calls}");
        let call = "[[calls]]\nname = 'a'\nagent = 'x'\nexpect = {}\n";
        for (text, part) in [
            (set(&format!("{call}lines = []")), "first line"),
            (
                set(&format!("{call}lines = [{{ say = 'x', when = 'id' }}]")),
                "first line",
            ),
            (
                set(&format!("{call}lines = [{{ say = 'x' }}, {{ say = 'y' }}]")),
                "without when",
            ),
            (
                set(&format!("{call}lines = [{{ say = 'x', keys = '1' }}]")),
                "either say",
            ),
            (set(&format!("{call}lines = [{{ text = 'x' }}]")), "either say"),
            (
                set(&format!(
                    "{call}lines = [{{ say = 'x' }}]\n{call}lines = [{{ say = 'x' }}]"
                )),
                "another of this name",
            ),
            (
                set(&format!("{call}lines = [{{ say = 'x' }}, {{ say = 'y', when = '(' }}]")),
                "no regular expression",
            ),
            (set("[[calls]]\nname = 'a'"), "missing field"),
        ] {
            let error = CallSet::parse(&text).expect_err(part).to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
        let good = set(&format!(
            "{call}lines = [{{ say = 'x' }}, {{ keys = '1#', when = 'id' }}]"
        ));
        let set = CallSet::parse(&good).expect("a good set");
        let lines = &set.calls[0].lines;
        assert!(lines[0].opens() && lines[1].answers("Your ID?") && !lines[1].answers("Your date?"));
        assert_eq!(lines[1].said(), Said::Keys("1#"));
        assert_eq!(set.calls[0].number(7).as_deref(), Some("+12125550207"));
    }
}
