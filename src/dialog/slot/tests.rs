//! Tables of what Whisper writes, and properties. Rows say `C value` (complete), `I value` or `I` (incomplete), `X` (impossible).

mod amendments;
mod codes;
mod dates;
mod keys;
mod others;
mod properties;
mod readback;
mod sentences;
mod whisper;
mod yes_no;

use super::*;

/// A Saturday.
fn today() -> Date {
    Date::constant(2026, 11, 21)
}

/// The parser's answer in the notation of the tables.
fn answer(slot: &Slot, text: &str, language: Language) -> String {
    noted(slot.parse(text, language, today()))
}

fn noted(Parsed { progress, value }: Parsed) -> String {
    let progress = match progress {
        Progress::Complete => "C",
        Progress::Incomplete => "I",
        Progress::Impossible => "X",
    };
    [Some(progress.to_owned()), value.as_ref().map(plain)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Digits(text)
        | Value::Id(text)
        | Value::Phone(text)
        | Value::Choice(text)
        | Value::Email(text)
        | Value::Name(text)
        | Value::Address(text)
        | Value::Text(text) => text.clone(),
        Value::Date(date) => date.to_string(),
        Value::YesNo(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) | Value::Money(number) => number.to_string(),
    }
}

fn check(slot: &Slot, language: Language, rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(text, wanted)| {
            let got = answer(slot, text, language);
            (got != *wanted).then(|| format!("{text:?}: {got:?}, not {wanted:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{slot:?}\n{}", wrong.join("\n"));
}

fn id(pattern: &str) -> Slot {
    Slot::Id(pattern.parse().expect("a pattern"))
}

fn choices(values: &[(&str, &[&str])]) -> Slot {
    let choice = |(value, says): &(&str, &[&str])| Choice {
        value: (*value).to_owned(),
        says: says.iter().map(|phrase| (*phrase).to_owned()).collect(),
    };
    Slot::Choice(values.iter().map(choice).collect())
}
