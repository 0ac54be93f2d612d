//! Answers on the keypad.

use super::pattern::{Fit, Pattern};
use super::{Date, Language, Parsed, Slot, Value, date, phone};

impl Slot {
    /// Reads the keys pressed so far (`0-9`, `*`, `#`). "#" ends the answer, "*" starts it over.
    ///
    /// | slot | keys |
    /// |---|---|
    /// | digits, phone | as they are; 11 of a phone with the leading 1 |
    /// | id | its digits: "123456" for `MB\d{6}`; its fixed letters are added |
    /// | date | MMDDYYYY, in Spanish DDMMYYYY; six digits and "#" have a two-digit year |
    /// | yes or no | 1, 2 |
    /// | choice | its place in the list, from 1 |
    /// | number | as it is |
    /// | money | whole units; "*" is the decimal point: "12*50#" |
    ///
    /// Incomplete until nothing can follow or "#" was pressed. Impossible: too many keys, or a slot that has no keypad form (an
    /// id of free letters, e-mail, name, address, text).
    pub fn keyed(&self, keys: &str, language: Language, today: Date) -> Parsed {
        let (keys, ended) = match keys.split_once('#') {
            Some((keys, _)) => (keys, true),
            None => (keys, false),
        };
        let digits = if *self == Self::Money {
            keys
        } else {
            keys.rsplit('*').next().unwrap_or_default()
        };
        let is_wrong = digits.contains(|c: char| !c.is_ascii_digit() && c != '*');
        if is_wrong || digits.len() > MAX_KEYS {
            return Parsed::IMPOSSIBLE;
        }
        let parsed = match self {
            Self::Digits { min, max } => fitted(Pattern::digits(*min, *max).keyed(digits), Value::Digits),
            Self::Id(pattern) => fitted(pattern.keyed(digits), Value::Id),
            Self::Phone { local } if digits.is_empty() || starts_number(digits) => {
                phone::phone(digits, *local, language)
            }
            Self::Date(when) if ended => date::keyed(digits, *when, language, today),
            Self::Date(when) if digits.len() > 6 => date::date(digits, *when, language, today),
            Self::Date(_) if !digits.is_empty() || ended => Parsed::BEGUN,
            Self::YesNo => match digits {
                "1" => Parsed::complete(Value::YesNo(true)),
                "2" => Parsed::complete(Value::YesNo(false)),
                "" => Parsed::BEGUN,
                _ => Parsed::IMPOSSIBLE,
            },
            Self::Number { min, max } => number(digits, *min, *max),
            Self::Money => money(digits),
            Self::Choice(choices) => match number(digits, 1, u64::try_from(choices.len()).unwrap_or(u64::MAX)) {
                Parsed {
                    progress,
                    value: Some(Value::Number(place)),
                } => Parsed {
                    progress,
                    value: usize::try_from(place - 1)
                        .ok()
                        .and_then(|at| choices.get(at))
                        .map(|choice| Value::Choice(choice.value.clone())),
                },
                other => other,
            },
            Self::Date(_) => Parsed::BEGUN,
            Self::Phone { .. } | Self::Email | Self::Name | Self::Address | Self::Text => Parsed::IMPOSSIBLE,
        };
        match parsed.value {
            Some(value) if ended => Parsed::complete(value),
            None if ended => Parsed::IMPOSSIBLE,
            value => Parsed { value, ..parsed },
        }
    }
}

fn fitted(fit: Fit, value: impl FnOnce(String) -> Value) -> Parsed {
    match fit {
        Fit::Full(text) => Parsed::complete(value(text)),
        Fit::Enough(text) => Parsed::usable(value(text)),
        Fit::Beginning => Parsed::BEGUN,
        Fit::Misfit => Parsed::IMPOSSIBLE,
    }
}

/// Area codes begin with 2 to 9.
fn starts_number(digits: &str) -> bool {
    !digits.starts_with('0')
}

/// Complete when no further digit makes a smaller number than `max`.
fn number(digits: &str, min: u64, max: u64) -> Parsed {
    if digits.is_empty() {
        return Parsed::BEGUN;
    }
    match digits.parse::<u64>() {
        Ok(value) if value > max => Parsed::IMPOSSIBLE,
        Ok(value) => {
            let goes_on = value.checked_mul(10).is_some_and(|longer| longer <= max) && value > 0;
            match (goes_on, value >= min) {
                (true, true) => Parsed::usable(Value::Number(value)),
                (true, false) => Parsed::BEGUN,
                (false, true) => Parsed::complete(Value::Number(value)),
                (false, false) => Parsed::IMPOSSIBLE,
            }
        }
        Err(_) => Parsed::IMPOSSIBLE,
    }
}

/// "12*50" is 12.50.
fn money(keys: &str) -> Parsed {
    let (whole, cents) = keys.split_once('*').unwrap_or((keys, ""));
    let part = |digits: &str| {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse::<u64>().ok()
        }
    };
    let value = match cents.len() {
        0 | 2 => part(whole).and_then(|whole| whole.checked_mul(100)?.checked_add(part(cents)?)),
        1 => return Parsed::BEGUN,
        _ => None,
    };
    match value {
        _ if keys.is_empty() || keys == "*" => Parsed::BEGUN,
        Some(value) if cents.len() == 2 => Parsed::complete(Value::Money(value)),
        Some(value) => Parsed::usable(Value::Money(value)),
        None => Parsed::IMPOSSIBLE,
    }
}

const MAX_KEYS: usize = 40;
