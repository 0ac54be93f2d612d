//! What the agent reads back, and what a tool is given.

use super::lexicon::Lexicon;
use super::{Language, Value};

impl Value {
    /// The value as the agent says it: ids in groups, dates with the month's name. English text is written as
    /// [`spoken`](crate::speech::spoken) reads it well. The slot's parser understands it.
    pub fn speak(&self, language: Language) -> String {
        match self {
            Self::Digits(text) | Self::Id(text) => spelled(text),
            Self::Phone(text) => match (text.strip_prefix("+1"), text.strip_prefix('+')) {
                (Some(home), _) => spelled(home),
                (None, Some(abroad)) => format!("{} {}", plus(language), spelled(abroad)),
                (None, None) => spelled(text),
            },
            Self::Date(date) => {
                let months = Lexicon::of(language).months;
                let month = usize::try_from(date.month() - 1).ok().and_then(|at| months.get(at));
                let month = month.and_then(|names| names.first()).copied().unwrap_or_default();
                let (day, year) = (date.day(), date.year());
                match language {
                    Language::En => format!("{} {day}{}, {year}", capitalised(month), ordinal_ending(day)),
                    Language::Es => format!("{day} de {month} de {year}"),
                }
            }
            Self::YesNo(yes) => match (yes, language) {
                (true, Language::En) => "yes",
                (true, Language::Es) => "sí",
                (false, _) => "no",
            }
            .to_owned(),
            Self::Number(number) => grouped(*number),
            Self::Money(cents) => money(*cents, language),
            Self::Email(address) => match language {
                // `spoken` reads it.
                Language::En => address.clone(),
                Language::Es => address.replace('@', " arroba ").replace('.', " punto "),
            },
            Self::Choice(text) | Self::Name(text) | Self::Address(text) | Self::Text(text) => text.clone(),
        }
    }

    /// For a tool's arguments: days as YYYY-MM-DD, money in cents, telephone numbers in E.164.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Digits(text)
            | Self::Id(text)
            | Self::Phone(text)
            | Self::Choice(text)
            | Self::Email(text)
            | Self::Name(text)
            | Self::Address(text)
            | Self::Text(text) => text.as_str().into(),
            Self::Date(date) => date.to_string().into(),
            Self::YesNo(yes) => (*yes).into(),
            Self::Number(number) | Self::Money(number) => (*number).into(),
        }
    }
}

/// "MB123456" is "M B, 1 2 3, 4 5 6".
fn spelled(text: &str) -> String {
    let groups: Vec<String> = groups(text)
        .into_iter()
        .map(|group| group.chars().map(String::from).collect::<Vec<_>>().join(" "))
        .collect();
    groups.join(", ")
}

/// Runs of letters, and of digits by threes; no digit stays alone.
pub(super) fn groups(text: &str) -> Vec<&str> {
    let mut groups = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let run = rest
            .find(|c: char| c.is_ascii_digit() != is_digit)
            .unwrap_or(rest.len());
        let len = match run {
            0..=4 => run,
            _ if is_digit => 3,
            _ => 4,
        };
        let (group, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
        groups.push(group);
        rest = after;
    }
    groups
}

fn money(cents: u64, language: Language) -> String {
    let (whole, rest) = (grouped(cents / 100), cents % 100);
    match (language, rest) {
        (Language::En, 0) => format!("${whole}"),
        (Language::En, _) => format!("${whole}.{rest:02}"),
        (Language::Es, 0) => format!("{whole} dólares"),
        (Language::Es, _) => format!("{whole} dólares con {rest} centavos"),
    }
}

/// "1,050".
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const fn ordinal_ending(day: i8) -> &'static str {
    match (day / 10, day % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

const fn plus(language: Language) -> &'static str {
    match language {
        Language::En => "plus",
        Language::Es => "más",
    }
}

/// With a capital at its beginning.
pub(in crate::dialog) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
