//! What callers hear of a recording, and whether they are asked: `[recording]`.

use serde::Deserialize;

/// How calls are recorded, where the server records any (`RECORDING=on`). An agent without it is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Raw")]
pub struct Recording {
    /// Whether callers are told, or asked.
    pub consent: Consent,
    /// Says that the call is recorded; spoken behind `notice`.
    pub notice: String,
    /// What they are asked then. Empty if they are only told.
    pub question: String,
}

/// What it takes to record a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// The caller has heard the notice, and stays.
    #[default]
    Notice,
    /// The caller has said yes.
    Ask,
}

impl Consent {
    /// As in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Ask => "ask",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    consent: Consent,
    #[serde(deserialize_with = "super::sentence")]
    notice: String,
    #[serde(default)]
    question: String,
}

impl TryFrom<Raw> for Recording {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, &'static str> {
        let question = raw.question.trim().to_owned();
        match (raw.consent, question.is_empty()) {
            (Consent::Ask, true) => Err(
                "recording: consent = \"ask\" needs a question, such as \"Say no, or press 2, if you do not want that; \
                 otherwise say yes, or press 1.\"",
            ),
            (Consent::Notice, false) => {
                Err("recording: nobody waits for an answer to question unless consent = \"ask\"")
            }
            (consent, _) => Ok(Self {
                consent,
                notice: raw.notice,
                question,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_that_the_call_is_recorded_and_asks_only_where_an_answer_is_awaited() {
        let parse = |text: &str| toml::from_str::<Recording>(text).map_err(|error| error.message().to_owned());
        let told = parse("notice = ' Recorded. '").expect("good");
        assert_eq!((told.consent, told.notice.as_str()), (Consent::Notice, "Recorded."));
        let asked = parse("consent = 'ask'\nnotice = 'Recorded.'\nquestion = 'May we?'").expect("good");
        assert_eq!((asked.consent, asked.question.as_str()), (Consent::Ask, "May we?"));
        for (text, part) in [
            ("", "notice"),
            ("notice = ' '", "empty"),
            ("notice = 'x'\nconsent = 'ask'", "needs a question"),
            ("notice = 'x'\nquestion = 'May we?'", "nobody waits"),
            ("notice = 'x'\nconsent = 'silence'", "notice"),
            ("notice = 'x'\nasks = true", "asks"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
