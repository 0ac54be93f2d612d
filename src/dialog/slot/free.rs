//! What has no closed form: e-mail addresses, names, text.

use std::ops::Range;

use super::lexicon::{Lexicon, find};
use super::number::chunk;
use super::text::{Kind, Token, any_phrase_at, cut_closing, only_waits, tokens};
use super::{Language, Parsed, Value};
use crate::turn::shape::{Shape, shape};

/// "john dot smith at gmail dot com", "j.smith42@example.com". Complete when its top-level domain is a common one.
pub(super) fn email(text: &str, language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let text = match written(text, lexicon) {
        Written::Whole(parsed) => return parsed,
        Written::From(text) => text,
    };
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
    let before_at = words_before_at(tokens.get(at..).unwrap_or_default(), lexicon);
    let mut is_prose = false;
    while let Some(token) = tokens.get(at) {
        let word = token.text.as_str();
        let written = is_written(&tokens, at);
        at += 1;
        match token.kind {
            _ if written && !token.is_mark() => address.push_str(word),
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
                is_prose |= before_at > 1 && !address.contains('@') && PROSE.contains(&word);
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
    let is_wrong = is_prose || user.is_empty() || host.contains('@') || host.contains("..") || !address.is_ascii();
    if is_wrong {
        Parsed::IMPOSSIBLE
    } else if ends_commonly(host) {
        Parsed::complete(Value::Email(address))
    } else {
        Parsed::BEGUN
    }
}

/// One word may go on with a surname. Whisper writes most names with capitals; other words are only taken if the pause lasts, unless
/// "my name is" announces them.
pub(super) fn name(text: &str, language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let said = tokens(text);
    if only_waits(text, lexicon) {
        return Parsed::BEGUN;
    }
    if text.trim_end().ends_with('?') || (0..said.len()).any(|at| any_phrase_at(&said, at, lexicon.unsure).is_some()) {
        return Parsed::IMPOSSIBLE;
    }
    let mut kept = said;
    // "John Smith, thank you."
    cut_closing(&mut kept, lexicon.closings);
    let end = kept
        .iter()
        .rfind(|token| !token.is_mark())
        .map_or(0, |last| last.span.end);
    let mut words: Vec<&str> = text
        .get(..end)
        .unwrap_or_default()
        .split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .collect();
    let mut announced = false;
    loop {
        let line = tokens(&words.join(" "));
        // Tokens and words are counted alike as long as no mark stands within a word.
        announced |= any_phrase_at(&line, 0, lexicon.forms.introduces_name).is_some();
        let lead = any_phrase_at(&line, 0, lexicon.name_is)
            .or_else(|| line.first().filter(|token| lexicon.hesitates(&token.text)).map(|_| 1));
        match lead {
            Some(count) => words.drain(..count.min(words.len())),
            None => break,
        };
    }
    let refuses = words.iter().enumerate().any(|(at, word)| {
        let plain = word.to_lowercase().replace('’', "'");
        let is_written_small = at == 0 || word.starts_with(char::is_lowercase);
        is_written_small && lexicon.forms.speech_words.contains(&plain.as_str())
    });
    let has_digit = words.iter().any(|word| word.contains(|c: char| c.is_numeric()));
    let has_number = words
        .iter()
        .any(|word| find(lexicon.small, &word.to_lowercase()).is_some());
    let in_capitals = words.iter().filter(|word| word.starts_with(char::is_uppercase)).count();
    let is_written = announced || in_capitals > 1;
    let value = || Value::Name(words.join(" "));
    match words.len() {
        0 => Parsed::BEGUN,
        _ if has_digit || has_number || refuses => Parsed::IMPOSSIBLE,
        1 => Parsed::usable(value()),
        2..=5 if shape(text, language.code()) == Shape::Open || !is_written => Parsed::usable(value()),
        2..=5 => Parsed::complete(value()),
        _ => Parsed::IMPOSSIBLE,
    }
}

/// What a text has of an address that is written with its "@".
enum Written<'a> {
    Whole(Parsed),
    /// The rest is spoken, from here on.
    From(&'a str),
}

fn written<'a>(text: &'a str, lexicon: &Lexicon) -> Written<'a> {
    let said = tokens(text);
    let is_joint = |token: Option<&Token>| {
        token.is_some_and(|token| {
            let word = token.text.as_str();
            lexicon.dot.contains(&word) || JOINTS.contains(&word)
        })
    };
    if let Some(span) = written_email(text)
        && !text[..span.start].contains('@')
        && let Some((user, host)) = text[span.clone()].split_once('@')
        && !user.is_empty()
        && !host.is_empty()
        // "jane dot doe@gmail.com".
        && !is_joint(said.iter().rfind(|token| token.span.end <= span.start))
    {
        let (before, after) = (user.replace('-', ""), text[span.end..].trim_start());
        let is_spelled = user.split('-').all(|part| part.chars().count() == 1);
        let user = if is_spelled { &before } else { user };
        let address = format!("{user}@{host}").to_lowercase();
        let is_sound = !address.contains("..") && !address.starts_with('.');
        if !ends_commonly(host) || !is_sound || is_joint(tokens(after).first()) {
            return Written::From(&text[span.start..]);
        }
        let mut rest = tokens(after);
        cut_closing(&mut rest, lexicon.closings);
        let value = Value::Email(address);
        return Written::Whole(if rest.iter().all(Token::is_mark) {
            Parsed::complete(value)
        } else {
            Parsed::usable(value)
        });
    }
    // "Send it to jane dot doe at gmail dot com".
    let end = said.iter().rposition(|token| is_at(token, lexicon)).unwrap_or(0);
    let start = (0..end)
        .filter_map(|at| any_phrase_at(&said, at, lexicon.forms.introduces_email))
        .rfind(|start| *start < end);
    let start = start
        .and_then(|start| said.get(start))
        .map_or(0, |token| token.span.start);
    Written::From(&text[start..])
}

fn is_at(token: &Token, lexicon: &Lexicon) -> bool {
    token.is("@") || lexicon.at.contains(&token.text.as_str())
}

fn words_before_at(tokens: &[Token], lexicon: &Lexicon) -> usize {
    let before = tokens.iter().take_while(|token| !is_at(token, lexicon));
    before.filter(|token| !token.is_mark()).count()
}

fn ends_commonly(host: &str) -> bool {
    host.rsplit_once('.')
        .is_some_and(|(name, top)| !name.is_empty() && TOP_LEVEL.contains(&top.to_lowercase().as_str()))
}

/// Part of an address as it is written: "er" of "john.er@gmail.com" is no hesitation, "ten" no number.
fn is_written(tokens: &[Token], at: usize) -> bool {
    let joins = |at: usize| {
        tokens
            .get(at)
            .is_some_and(|mark| matches!(mark.text.as_str(), "." | "@" | "_" | "+") && mark.glued)
    };
    let is_glued = |at: usize| tokens.get(at).is_some_and(|token| token.glued && !token.is_mark());
    let after_mark = at > 0 && tokens.get(at - 1).is_some_and(Token::is_mark) && joins(at - 1) && is_glued(at);
    after_mark || joins(at + 1) && is_glued(at + 2)
}

/// An address with its "@", or after "my email is" up to its top-level domain; where it stands, in bytes.
pub(super) fn find_email(text: &str, language: Language) -> Option<(String, Range<usize>)> {
    let lexicon = Lexicon::of(language);
    let span = written_email(text).or_else(|| {
        let said = tokens(text);
        let start = (0..said.len())
            .filter_map(|at| any_phrase_at(&said, at, lexicon.forms.introduces_email))
            .next_back()?;
        let at = (start..said.len()).find(|at| {
            said.get(*at)
                .is_some_and(|token| lexicon.at.contains(&token.text.as_str()))
        })?;
        let end = (at..said.len().saturating_sub(1)).find(|dot| {
            let is_dot = said
                .get(*dot)
                .is_some_and(|token| token.is(".") || lexicon.dot.contains(&token.text.as_str()));
            is_dot
                && said
                    .get(dot + 1)
                    .is_some_and(|top| TOP_LEVEL.contains(&top.text.as_str()))
        })? + 1;
        Some(said.get(start)?.span.start..said.get(end)?.span.end)
    })?;
    match email(text.get(span.clone())?, language).value {
        Some(Value::Email(address)) => Some((address, span)),
        _ => None,
    }
}

/// Around the last "@".
fn written_email(text: &str) -> Option<Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let at = text.rfind('@')?;
    let user = text.get(..at)?;
    let start = user.trim_end_matches(is_part).len();
    let host = text.get(at + 1..)?;
    let end = host.find(|c| !is_part(c)).unwrap_or(host.len());
    let host = host.get(..end)?.trim_end_matches('.');
    Some(start..at + 1 + host.len())
}

/// "My name is John Smith, and": where it stands, in bytes. Whisper writes names with capitals; where it did not, the name ends
/// at the next mark.
pub(super) fn find_name(text: &str, language: Language) -> Option<(String, Range<usize>)> {
    let lexicon = Lexicon::of(language);
    let said = tokens(text);
    let last = |phrases| {
        (0..said.len())
            .filter_map(|at| any_phrase_at(&said, at, phrases))
            .next_back()
    };
    let introduced = last(lexicon.forms.introduces_name);
    let start = introduced.or_else(|| last(lexicon.forms.hints_name))?;
    let written = |at: usize| {
        said.get(at)
            .and_then(|token| text.get(token.span.clone()))
            .unwrap_or_default()
    };
    let is_capital = |at: usize| written(at).starts_with(char::is_uppercase);
    let capitals = is_capital(start);
    let mut end = start;
    while let Some(token) = said.get(end) {
        let initial = token.is(".") && end > start && written(end - 1).chars().count() == 1;
        let is_name = token.kind == Kind::Word && (is_capital(end) || !capitals) && !token.is("i");
        if !(is_name || initial) || end - start >= MAX_NAME {
            break;
        }
        end += 1;
    }
    let stops = said.get(end).is_none_or(Token::is_mark);
    let is_day = |token: &Token| {
        let names = lexicon.months.iter().chain(lexicon.weekdays);
        names.flat_map(|names| names.iter()).any(|name| token.is(name))
    };
    let words = said.get(start..end)?;
    // "This is Monday March".
    let is_hint = capitals && words.len() > 1 && !words.iter().any(is_day);
    if words.is_empty() || !(capitals || stops) || introduced.is_none() && !is_hint {
        return None;
    }
    let span = said.get(start)?.span.start..said.get(end - 1)?.span.end;
    match name(text.get(span.clone())?, language).value {
        Some(Value::Name(name)) => Some((name, span)),
        _ => None,
    }
}

/// Anything that was said.
pub(super) fn text(text: &str, language: Language) -> Parsed {
    let said = text.trim();
    if !said.contains(char::is_alphanumeric) {
        return Parsed::BEGUN;
    }
    let value = Value::Text(said.to_owned());
    match shape(said, language.code()) {
        Shape::Finished => Parsed::complete(value),
        Shape::Open | Shape::Reciting => Parsed::usable(value),
    }
}

/// Between the parts of an address, as they are said.
const JOINTS: &[&str] = &["underscore", "guionbajo", "dash", "hyphen", "guion", "plus"];
/// Among other words before an "at" these are no part of an address.
const PROSE: &[&str] = &[
    "please", "send", "it", "to", "you", "can", "could", "would", "my", "email", "mail", "address", "write", "is",
    "use", "me", "por", "favor", "mi", "correo", "es", "al", "envielo", "mandelo", "puede",
];
/// More words before an "at" are a sentence, unless they are single letters; those are short enough to fit.
const MAX_USER_WORDS: usize = 20;
/// Words of a name.
const MAX_NAME: usize = 5;
const TOP_LEVEL: &[&str] = &[
    "com", "org", "net", "edu", "gov", "mil", "info", "biz", "io", "dev", "app", "ai", "co", "us", "uk", "ca", "mx",
    "es", "ar", "cl", "pe", "de", "fr", "eu", "me", "tv", "health",
];
