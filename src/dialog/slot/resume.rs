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
    /// Reads `text` as what follows `begun`, the beginning of an answer from earlier turns (not empty, [`Slot::parse`] calls it
    /// incomplete). A caller who starts again from the beginning is understood by `text` alone; so is one whose two parts
    /// make no answer together, and then the beginning is forgotten.
    pub fn resume(&self, begun: &str, text: &str, language: Language, today: Date) -> Resumed {
        let alone = self.parse(text, language, today);
        let by_itself = Resumed {
            parsed: alone,
            text: text.to_owned(),
        };
        if by_itself.parsed.progress == Progress::Complete {
            return by_itself;
        }
        // A full stop would be part of an address, and closes other answers.
        let begun =
            begun.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | ',' | '…' | '!' | '?' | '-'));
        let both = format!("{begun} {}", text.trim_start());
        let parsed = self.parse(&both, language, today);
        if parsed.progress == Progress::Impossible {
            // A question or a refusal does not make the beginning worthless.
            let text = if by_itself.parsed.progress == Progress::Impossible {
                begun.to_owned()
            } else {
                by_itself.text
            };
            return Resumed { text, ..by_itself };
        }
        Resumed { parsed, text: both }
    }
}
