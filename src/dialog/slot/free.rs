//! What has no closed form: e-mail addresses, names, text.

use super::lexicon::{Lexicon, find};
use super::number::chunk;
use super::text::{Kind, any_phrase_at, cut_closing, tokens};
use super::{Language, Parsed, Value};
use crate::turn::shape::{Shape, shape};

/// "john dot smith at gmail dot com", "j.smith42@example.com". Complete when its top-level domain is a common one.
pub(super) fn email(text: &str, language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let mut tokens = tokens(text);
    cut_closing(&mut tokens, lexicon.closings);
    while tokens.last().is_some_and(|token| token.is_mark()) {
        tokens.pop();
    }
    let mut at = 0;
    while let Some(next) = any_phrase_at(&tokens, at, lexicon.name_is) {
        at = next;
        while tokens.get(at).is_some_and(|token| token.is_mark()) {
            at += 1;
        }
    }
    let mut address = String::new();
    let mut words = 0;
    while let Some(token) = tokens.get(at) {
        let word = token.text.as_str();
        at += 1;
        match token.kind {
            Kind::Mark if word == "." && token.glued => address.push('.'),
            Kind::Mark if matches!(word, "@" | "_" | "+") => address.push_str(word),
            Kind::Mark => {}
            _ if lexicon.at.contains(&word) => address.push('@'),
            _ if lexicon.dot.contains(&word) => address.push('.'),
            _ if matches!(word, "underscore" | "guionbajo") => address.push('_'),
            _ if matches!(word, "dash" | "hyphen" | "guion") => address.push('-'),
            _ if lexicon.hesitates(word) => {}
            Kind::Digits => address.push_str(word),
            Kind::Word => {
                words += 1;
                if let Some(number) = chunk(&tokens, at - 1, lexicon).filter(|number| !number.ordinal) {
                    address.push_str(&number.value.to_string());
                    at = number.next;
                } else {
                    address.push_str(&word.replace('\'', ""));
                }
            }
        }
    }
    let Some((user, host)) = address.split_once('@') else {
        return if words > MAX_USER_WORDS || text.trim_end().ends_with('?') {
            Parsed::IMPOSSIBLE
        } else {
            Parsed::BEGUN
        };
    };
    let is_wrong = user.is_empty() || host.contains('@') || host.contains("..") || !address.is_ascii();
    let common = host
        .rsplit_once('.')
        .is_some_and(|(name, top)| !name.is_empty() && TOP_LEVEL.contains(&top));
    if is_wrong {
        Parsed::IMPOSSIBLE
    } else if common {
        Parsed::complete(Value::Email(address))
    } else {
        Parsed::BEGUN
    }
}

/// One word may go on with a surname.
pub(super) fn name(text: &str, language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let said = tokens(text);
    if text.trim_end().ends_with('?') || (0..said.len()).any(|at| any_phrase_at(&said, at, lexicon.unsure).is_some()) {
        return Parsed::IMPOSSIBLE;
    }
    let mut words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .collect();
    loop {
        let line = tokens(&words.join(" "));
        // Tokens and words are counted alike as long as no mark stands within a word.
        let lead = any_phrase_at(&line, 0, lexicon.name_is)
            .or_else(|| line.first().filter(|token| lexicon.hesitates(&token.text)).map(|_| 1));
        match lead {
            Some(count) => words.drain(..count.min(words.len())),
            None => break,
        };
    }
    let has_digit = words.iter().any(|word| word.contains(|c: char| c.is_numeric()));
    let has_number = words
        .iter()
        .any(|word| find(lexicon.small, &word.to_lowercase()).is_some());
    match words.len() {
        0 => Parsed::BEGUN,
        _ if has_digit || has_number => Parsed::IMPOSSIBLE,
        1 => Parsed::usable(Value::Name(words.join(" "))),
        2..=5 if shape(text) == Shape::Open => Parsed::usable(Value::Name(words.join(" "))),
        2..=5 => Parsed::complete(Value::Name(words.join(" "))),
        _ => Parsed::IMPOSSIBLE,
    }
}

/// Anything that was said.
pub(super) fn text(text: &str) -> Parsed {
    let said = text.trim();
    if !said.contains(char::is_alphanumeric) {
        return Parsed::BEGUN;
    }
    let value = Value::Text(said.to_owned());
    match shape(said) {
        Shape::Finished => Parsed::complete(value),
        Shape::Open | Shape::Reciting => Parsed::usable(value),
    }
}

/// More words before an "at" are a sentence, unless they are single letters; those are short enough to fit.
const MAX_USER_WORDS: usize = 20;
const TOP_LEVEL: &[&str] = &[
    "com", "org", "net", "edu", "gov", "mil", "info", "biz", "io", "dev", "app", "ai", "co", "us", "uk", "ca", "mx",
    "es", "ar", "cl", "pe", "de", "fr", "eu", "me", "tv", "health",
];
