//! Answers that take several turns: "MB12" … "3456".

use super::{Date, Language, Parsed, Slot};
use crate::turn::event::Progress;

/// An answer so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// What the parser says of all of it.
    pub parsed: Parsed,
    /// What was said of it, for the next [`Slot::resume`].
    pub text: String,
}

impl Slot {
    /// Reads `text` as what follows `begun`, the beginning of an answer from earlier turns ([`Slot::parse`] calls it incomplete).
    ///
    /// A caller who starts again from the beginning ("MB12" … "MB123456") is understood by `text` alone. So is one whose two parts
    /// make no answer together: then the beginning is forgotten, unless `text` is something else, such as a question.
    pub fn resume(&self, begun: &str, text: &str, language: Language, today: Date) -> Resumed {
        let alone = self.parse(text, language, today);
        // A full stop would be part of an address, and closes other answers.
        let begun =
            begun.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | ',' | '…' | '!' | '?' | '-'));
        let both = format!("{begun} {}", text.trim_start());
        let joined = self.parse(&both, language, today);
        let is_whole = alone.progress == Progress::Complete
            && (joined.progress != Progress::Complete || !self.ends_like_a_whole() || repeats(text, begun));
        let text = match (joined.progress, alone.progress) {
            _ if is_whole => text,
            (Progress::Impossible, Progress::Impossible) => begun,
            (Progress::Impossible, Progress::Complete | Progress::Incomplete) => text,
            (Progress::Complete | Progress::Incomplete, _) => {
                return Resumed {
                    parsed: joined,
                    text: both,
                };
            }
        };
        Resumed {
            parsed: alone,
            text: text.to_owned(),
        }
    }

    /// Whether the end of an answer may look like a whole one: "555 0123" of a telephone number, the second half of a sentence.
    const fn ends_like_a_whole(&self) -> bool {
        match self {
            Self::Digits { .. }
            | Self::Id(_)
            | Self::Phone { .. }
            | Self::Number { .. }
            | Self::Money
            | Self::Name
            | Self::Text => true,
            Self::Date(_) | Self::YesNo | Self::Choice(_) | Self::Email | Self::Address => false,
        }
    }
}

/// Whether `text` says the beginning again.
fn repeats(text: &str, begun: &str) -> bool {
    let mut said = text
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase);
    let mut begun = begun
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase);
    begun.all(|c| said.next() == Some(c))
}
