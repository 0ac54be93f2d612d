//! Number words: "twenty three", "nineteen hundred and five", "ochenta y cinco".

use super::lexicon::{Lexicon, find};
use super::text::{Kind, Token};

/// A stretch of number words that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub value: u64,
    /// Where it ends.
    pub next: usize,
    /// The next word could still change it: "fifty" becomes "fifty six".
    pub open: bool,
    /// "fifteenth".
    pub ordinal: bool,
}

/// Reads the number words at `at`. Neighbours that do not combine are left: "one twenty three" is 1, then 23.
pub(super) fn chunk(tokens: &[Token], at: usize, lexicon: &Lexicon) -> Option<Chunk> {
    let mut total = 0_u64;
    let mut limit = u64::MAX;
    let mut group = match scale(tokens, at, lexicon) {
        // "mil", "hundred": one of them.
        Some(_) => below_thousand_from(tokens, plain(1, at, true), lexicon),
        None => below_thousand(tokens, at, lexicon)?,
    };
    loop {
        let times = scale(tokens, group.next, lexicon).filter(|times| *times > 100 && *times < limit);
        let Some(times) = times.filter(|_| group.value > 0 && !group.ordinal) else {
            let value = total.saturating_add(group.value);
            return Some(Chunk { value, ..group });
        };
        total = total.saturating_add(group.value.saturating_mul(times));
        limit = times;
        let next = group.next + 1;
        match tail(tokens, next, lexicon, below_thousand) {
            Some(tail) => group = tail,
            None => return Some(plain(total, next, true)),
        }
    }
}

fn below_thousand(tokens: &[Token], at: usize, lexicon: &Lexicon) -> Option<Chunk> {
    if let Some(value) = word(tokens, at).and_then(|word| find(lexicon.hundreds, word)) {
        return Some(with_tail(tokens, value, at + 1, lexicon));
    }
    below_hundred(tokens, at, lexicon).map(|small| below_thousand_from(tokens, small, lexicon))
}

/// `small`, with "hundred" if that follows.
fn below_thousand_from(tokens: &[Token], small: Chunk, lexicon: &Lexicon) -> Chunk {
    let is_hundred = scale(tokens, small.next, lexicon) == Some(100) && small.value > 0 && !small.ordinal;
    if is_hundred {
        with_tail(tokens, small.value * 100, small.next + 1, lexicon)
    } else {
        small
    }
}

/// Whole hundreds and what follows them.
fn with_tail(tokens: &[Token], hundreds: u64, next: usize, lexicon: &Lexicon) -> Chunk {
    match tail(tokens, next, lexicon, below_hundred) {
        Some(tail) => Chunk {
            value: hundreds + tail.value,
            ..tail
        },
        None => plain(hundreds, next, true),
    }
}

/// What may follow hundreds and thousands. "eight hundred five five five" is 800 and three digits.
fn tail(
    tokens: &[Token],
    at: usize,
    lexicon: &Lexicon,
    read: fn(&[Token], usize, &Lexicon) -> Option<Chunk>,
) -> Option<Chunk> {
    let (start, joined) = past_and(tokens, at, lexicon);
    read(tokens, start, lexicon).filter(|tail| {
        let is_digit = tail.value < 10 && !joined && is_number(tokens, tail.next, lexicon);
        tail.value > 0 && !is_digit
    })
}

const fn plain(value: u64, next: usize, open: bool) -> Chunk {
    Chunk {
        value,
        next,
        open,
        ordinal: false,
    }
}

fn below_hundred(tokens: &[Token], at: usize, lexicon: &Lexicon) -> Option<Chunk> {
    let first = word(tokens, at)?;
    let chunk = |value, next, open, ordinal| Chunk {
        value,
        next,
        open,
        ordinal,
    };
    if let Some(value) = find(lexicon.small, first) {
        return Some(chunk(value, at + 1, false, false));
    }
    if let Some(value) = find(lexicon.ordinals, first) {
        return Some(chunk(value, at + 1, false, true));
    }
    let tens = find(lexicon.tens, first)?;
    let and = lexicon.tens_and;
    let start = match and {
        Some(and) if word(tokens, at + 1) == Some(and) => at + 2,
        Some(_) => return Some(chunk(tens, at + 1, at + 1 == tokens.len(), false)),
        None => at + 1,
    };
    let unit = word(tokens, start).and_then(|word| {
        let cardinal = find(lexicon.small, word).map(|value| (value, false));
        cardinal
            .or_else(|| find(lexicon.ordinals, word).map(|value| (value, true)))
            .filter(|(value, _)| (1..10).contains(value))
    });
    Some(match unit {
        Some((unit, ordinal)) => chunk(tens + unit, start + 1, false, ordinal),
        None => chunk(tens, start.min(tokens.len()), start >= tokens.len(), false),
    })
}

/// Past the "and" of "five hundred and five", if a number follows it.
fn past_and(tokens: &[Token], at: usize, lexicon: &Lexicon) -> (usize, bool) {
    let joined = lexicon.hundred_and.is_some() && word(tokens, at) == lexicon.hundred_and;
    if joined && is_number(tokens, at + 1, lexicon) {
        (at + 1, true)
    } else {
        (at, false)
    }
}

fn is_number(tokens: &[Token], at: usize, lexicon: &Lexicon) -> bool {
    tokens.get(at).is_some_and(|token| {
        token.kind == Kind::Digits
            || token.kind == Kind::Word
                && [lexicon.small, lexicon.tens, lexicon.hundreds]
                    .iter()
                    .any(|table| find(table, &token.text).is_some())
    })
}

fn scale(tokens: &[Token], at: usize, lexicon: &Lexicon) -> Option<u64> {
    word(tokens, at).and_then(|word| find(lexicon.scales, word))
}

fn word(tokens: &[Token], at: usize) -> Option<&str> {
    tokens
        .get(at)
        .filter(|token| token.kind == Kind::Word)
        .map(|token| token.text.as_str())
}
