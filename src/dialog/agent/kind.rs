//! The kinds of things an agent waits for, as its file writes them: `kind = "id"` and what belongs to it.

use serde::{Deserialize, Deserializer};

use crate::dialog::slot::{Choice, MAX_LEN, Slot, When};

/// One kind's name and all that any kind may have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKind {
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) pattern: Option<String>,
    #[serde(default)]
    pub(super) min: Option<u64>,
    #[serde(default)]
    pub(super) max: Option<u64>,
    #[serde(default)]
    pub(super) local: Option<bool>,
    #[serde(default)]
    pub(super) choices: Option<Vec<RawChoice>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Digits,
    Id,
    Phone,
    DateOfBirth,
    Date,
    FutureDate,
    YesNo,
    Number,
    Money,
    Choice,
    Email,
    Name,
    Address,
    Text,
}

/// One possible answer and the words by which callers name it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChoice {
    pub(super) value: String,
    /// How the agent says it; default the value.
    #[serde(default)]
    pub(super) say: Option<String>,
    #[serde(default)]
    says: Vec<String>,
}

impl RawKind {
    /// What is wrong is said on one line.
    pub(super) fn slot(self) -> Result<Slot, String> {
        let Self {
            kind,
            pattern,
            min,
            max,
            local,
            choices,
        } = self;
        let extra = [
            ("pattern", pattern.is_some(), kind == Kind::Id),
            ("min", min.is_some(), matches!(kind, Kind::Digits | Kind::Number)),
            ("max", max.is_some(), matches!(kind, Kind::Digits | Kind::Number)),
            ("local", local.is_some(), kind == Kind::Phone),
            ("choices", choices.is_some(), kind == Kind::Choice),
        ];
        for (field, given, wanted) in extra {
            if given && !wanted {
                return Err(format!("{field} does not belong to this kind"));
            }
            if wanted && !given && field != "local" {
                return Err(format!("{field} is missing for this kind"));
            }
        }
        let (min, max) = (min.unwrap_or_default(), max.unwrap_or_default());
        Ok(match kind {
            Kind::Digits => {
                let (min, max) = (min as usize, max as usize);
                if min == 0 || min > max || max > MAX_LEN {
                    return Err(format!(
                        "min = {min}, max = {max}: expected at least 1, min not above max, and at most {MAX_LEN} digits"
                    ));
                }
                Slot::Digits { min, max }
            }
            Kind::Id => {
                let pattern = pattern.unwrap_or_default();
                Slot::Id(
                    pattern
                        .parse()
                        .map_err(|error| format!("pattern {pattern:?}: {error}"))?,
                )
            }
            Kind::Phone => Slot::Phone {
                local: local.unwrap_or_default(),
            },
            Kind::DateOfBirth => Slot::Date(When::Past),
            Kind::Date => Slot::Date(When::Any),
            Kind::FutureDate => Slot::Date(When::Future),
            Kind::YesNo => Slot::YesNo,
            Kind::Number if min > max => return Err(format!("min = {min} is above max = {max}")),
            Kind::Number => Slot::Number { min, max },
            Kind::Money => Slot::Money,
            Kind::Choice => {
                let choices = choices.unwrap_or_default();
                if choices.len() < 2 {
                    return Err("choices: expected two at least".to_owned());
                }
                let mut values: Vec<&str> = choices.iter().map(|choice| choice.value.as_str()).collect();
                values.sort_unstable();
                if let Some(pair) = values.windows(2).find(|pair| pair[0] == pair[1]) {
                    return Err(format!("choices: there are two with the value {:?}", pair[0]));
                }
                let choice = |RawChoice { value, says, .. }: RawChoice| Choice { value, says };
                Slot::Choice(choices.into_iter().map(choice).collect())
            }
            Kind::Email => Slot::Email,
            Kind::Name => Slot::Name,
            Kind::Address => Slot::Address,
            Kind::Text => Slot::Text,
        })
    }
}

/// For `#[serde(deserialize_with)]`.
pub(super) fn slot<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Slot>, D::Error> {
    let slot = RawKind::deserialize(deserializer)?.slot();
    slot.map(Some).map_err(serde::de::Error::custom)
}
