//! Telephone numbers: North American ones, and those with a "+" of other countries.

use std::ops::Range;

use super::code::{Found, Heard};
use super::pattern::Pattern;
use super::{Language, Parsed, Value};
use crate::turn::event::Progress;

/// A number of 10 digits, of 11 with the 1 before it, of 7 where `local`, and after a "+" of 8 to 15.
pub(super) fn phone(text: &str, local: bool, language: Language) -> Parsed {
    let heard = Heard::new(text, language, None);
    let start: String = text.chars().filter(|c| !c.is_whitespace()).take(1).collect();
    let foreign = start == "+"
        || FOREIGN
            .iter()
            .any(|word| text.trim_start().to_lowercase().starts_with(word));
    let forms: &[(&str, Form)] = if foreign { ABROAD } else { HOME };
    let mut best = Found {
        progress: Progress::Impossible,
        code: None,
    };
    let mut best_form = Form::Ten;
    for (pattern, form) in forms {
        if *form == Form::Local && !local {
            continue;
        }
        let Ok(pattern) = pattern.parse::<Pattern>() else {
            continue;
        };
        let found = heard.parse(&mut |sounds| pattern.fit(sounds));
        if rank(&found) > rank(&best) {
            (best, best_form) = (found, *form);
        }
    }
    best.map(|digits| Value::Phone(best_form.number(&digits)))
}

/// The numbers within prose and where they stand, in order.
pub(super) fn candidates(heard: &Heard, local: bool) -> Vec<(String, Range<usize>)> {
    let mut found: Vec<(String, Range<usize>)> = Vec::new();
    for (pattern, form) in HOME.iter().filter(|(_, form)| *form != Form::Local || local) {
        if let Ok(pattern) = pattern.parse::<Pattern>() {
            let codes = heard.candidates(&mut |sounds| pattern.fit(sounds));
            found.extend(codes.into_iter().map(|(digits, span)| (form.number(&digits), span)));
        }
    }
    found.sort_by_key(|(_, span)| span.start);
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Local,
    Ten,
    /// With its country code.
    Whole,
}

impl Form {
    fn number(self, digits: &str) -> String {
        match self {
            Self::Local => digits.to_owned(),
            Self::Ten => format!("+1{digits}"),
            Self::Whole => format!("+{digits}"),
        }
    }
}

const fn rank(found: &Found) -> u8 {
    match (found.progress, found.code.is_some()) {
        (Progress::Complete, _) => 3,
        (Progress::Incomplete, true) => 2,
        (Progress::Incomplete, false) => 1,
        (Progress::Impossible, _) => 0,
    }
}

const FOREIGN: &[&str] = &["plus", "mas ", "más"];
/// Area codes begin with 2 to 9; the exchange is not judged, as examples use 555-0123.
const HOME: &[(&str, Form)] = &[
    (r"[2-9]\d{9}", Form::Ten),
    (r"1[2-9]\d{9}", Form::Whole),
    (r"[2-9]\d{6}", Form::Local),
];
const ABROAD: &[(&str, Form)] = &[(r"1[2-9]\d{9}", Form::Whole), (r"[2-9]\d{7,14}", Form::Whole)];
