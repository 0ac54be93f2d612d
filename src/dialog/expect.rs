//! The answer an agent waits for, as its file describes it: `[expect]`.

use serde::{Deserialize, Deserializer};

use crate::dialog::slot::{MAX_LEN, Slot, When};

/// One of the kinds of [`Slot`] that say whether more is to come.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Expect {
    Digits {
        min: usize,
        max: usize,
    },
    Id {
        pattern: String,
    },
    Phone {
        #[serde(default)]
        local: bool,
    },
    DateOfBirth,
    Date,
    YesNo,
}

/// For `#[serde(deserialize_with)]`.
pub(super) fn slot<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Slot>, D::Error> {
    let wrong = |message: String| Err(serde::de::Error::custom(message));
    Ok(Some(match Expect::deserialize(deserializer)? {
        Expect::Digits { min, max } if min == 0 || min > max || max > MAX_LEN => {
            return wrong(format!(
                "min = {min}, max = {max}: expected at least 1, min not above max, and at most {MAX_LEN} digits"
            ));
        }
        Expect::Digits { min, max } => Slot::Digits { min, max },
        Expect::Id { pattern } => match pattern.parse() {
            Ok(parsed) => Slot::Id(parsed),
            Err(error) => return wrong(format!("pattern {pattern:?}: {error}")),
        },
        Expect::Phone { local } => Slot::Phone { local },
        Expect::DateOfBirth => Slot::Date(When::Past),
        Expect::Date => Slot::Date(When::Any),
        Expect::YesNo => Slot::YesNo,
    }))
}
