//! What the agent waits for, as the set names it.

use anyhow::Context as _;

use crate::dialog::slot::{Date, Language, Pattern, Slot, When};
use crate::turn::event::Progress;

/// `none`, `phone`, `digits:6`, `id:MB######`, `date`, `yesno`.
pub(super) fn parse(text: &str) -> anyhow::Result<Option<Slot>> {
    let (kind, form) = text.split_once(':').unwrap_or((text, ""));
    Ok(Some(match kind {
        "none" => return Ok(None),
        "phone" => Slot::Phone { local: false },
        "digits" => {
            let digits = form.parse().context("digits:N")?;
            Slot::Digits {
                min: digits,
                max: digits,
            }
        }
        "id" => Slot::Id(form.replace('#', r"\d").parse::<Pattern>()?),
        "date" => Slot::Date(When::Past),
        "yesno" => Slot::YesNo,
        _ => anyhow::bail!("{text:?} is no slot: none, phone, digits:N, id:PATTERN, date, yesno"),
    }))
}

/// What is known of the slot from the turn so far.
pub(super) fn progress(slot: &Slot, text: &str) -> Progress {
    slot.parse(text, LANGUAGE, TODAY).progress
}

/// What the turns are spoken in.
pub(super) const LANGUAGE: Language = Language::En;
/// The same on every day, or a table could not be taken again.
const TODAY: Date = Date::constant(2026, 11, 21);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_read_and_judge_transcripts() {
        let slot = |text| parse(text).expect("a slot").expect("awaited");
        assert_eq!(progress(&slot("phone"), "555-0142"), Progress::Incomplete);
        assert_eq!(progress(&slot("phone"), "555-014-2271."), Progress::Complete);
        assert_eq!(
            progress(&slot("id:MB######"), "M B one two three"),
            Progress::Incomplete
        );
        assert_eq!(progress(&slot("digits:6"), "471902"), Progress::Complete);
        assert_eq!(progress(&slot("date"), "March 15th"), Progress::Incomplete);
        assert_eq!(progress(&slot("yesno"), "Yes."), Progress::Complete);
        assert_eq!(parse("none").expect("nothing"), None);
        for bad in ["soon", "digits:x", "id:", "id"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
