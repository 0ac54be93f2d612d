//! Whole numbers and money.

use std::ops::Range;

use super::choice::only_fillers;
use super::lexicon::{Lexicon, find};
use super::number::chunk;
use super::text::{Kind, Token, answer_tokens, any_phrase_at, cut_closing, tokens};
use super::{Language, Parsed, Value};
use crate::turn::shape::{Shape, shape};

/// One number from `min` to `max`. Two different ones are undecided.
pub(super) fn number(text: &str, min: u64, max: u64, language: Language) -> Parsed {
    let heard = Heard::new(text, language);
    let mut amounts = heard.amounts;
    amounts.dedup();
    match amounts.as_slice() {
        _ if heard.strangers > MAX_STRANGERS || heard.unclear => Parsed::IMPOSSIBLE,
        [] if heard.begun => Parsed::BEGUN,
        [] => Parsed::IMPOSSIBLE,
        [one] if one.cents.is_some() || !(min..=max).contains(&one.value) => Parsed::IMPOSSIBLE,
        [one] if heard.goes_on => Parsed::usable(Value::Number(one.value)),
        [one] => Parsed::complete(Value::Number(one.value)),
        _ => Parsed::BEGUN,
    }
}

/// An amount in cents. "Fifty" alone is usable; "fifty dollars" is complete.
pub(super) fn money(text: &str, language: Language) -> Parsed {
    let heard = Heard::new(text, language);
    let between = heard.between(text);
    let mut amounts = heard.amounts;
    amounts.dedup();
    let total = match amounts.as_slice() {
        _ if heard.strangers > MAX_STRANGERS || heard.unclear => return Parsed::IMPOSSIBLE,
        [] if heard.begun => return Parsed::BEGUN,
        [] => return Parsed::IMPOSSIBLE,
        [one] => (one.in_cents(), one.unit != Unit::Bare || one.cents.is_some()),
        [major, minor] if major.unit == Unit::Major && minor.unit == Unit::Minor && minor.value < 100 => {
            (major.in_cents().saturating_add(minor.value), true)
        }
        // "fifty dollars twenty", but not "$50 every 2 weeks".
        [major, bare]
            if major.unit == Unit::Major && bare.unit == Unit::Bare && between != Between::Words && is_cents(bare) =>
        {
            (major.in_cents().saturating_add(bare.value), true)
        }
        [bare, minor] if bare.unit == Unit::Bare && minor.unit == Unit::Minor => {
            (bare.in_cents().saturating_add(minor.value), true)
        }
        // "twelve fifty".
        [bare, cents]
            if bare.unit == Unit::Bare
                && cents.unit == Unit::Bare
                && between == Between::Nothing
                && is_cents(cents) =>
        {
            (bare.in_cents().saturating_add(cents.value), false)
        }
        _ => return Parsed::BEGUN,
    };
    match total {
        (cents, true) if !heard.goes_on => Parsed::complete(Value::Money(cents)),
        (cents, _) if heard.closed => Parsed::complete(Value::Money(cents)),
        (cents, _) => Parsed::usable(Value::Money(cents)),
    }
}

/// The only amount with a currency in a sentence, in cents, and where it stands.
pub(super) fn find_money(text: &str, language: Language) -> Option<(u64, Range<usize>)> {
    let heard = Heard::new(text, language);
    if heard.unclear {
        return None;
    }
    let mut found: Vec<(u64, Range<usize>)> = Vec::new();
    let mut is_major = false;
    for (amount, span) in heard.amounts.iter().zip(heard.spans) {
        match (amount.unit, found.last_mut()) {
            (Unit::Bare, _) => is_major = false,
            (Unit::Minor, Some((cents, whole))) if is_major => {
                *cents = cents.saturating_add(amount.value);
                whole.end = span.end;
                is_major = false;
            }
            (Unit::Major | Unit::Minor, _) => {
                is_major = amount.unit == Unit::Major;
                found.push((amount.in_cents(), span));
            }
        }
    }
    let (first, span) = found.first()?;
    found
        .iter()
        .all(|(cents, _)| cents == first)
        .then(|| (*first, span.clone()))
}

/// The plain numbers of a sentence and where they stand. "One" may be "the first one".
pub(super) fn numbers(text: &str, language: Language) -> Vec<(u64, Range<usize>)> {
    let heard = Heard::new(text, language);
    let plain = |amount: &Amount| amount.unit == Unit::Bare && amount.cents.is_none();
    let found = heard
        .amounts
        .iter()
        .zip(heard.spans)
        .filter(|(amount, _)| plain(amount));
    let spoken_one = |amount: &Amount, span: &Range<usize>| amount.value == 1 && span.len() > 1;
    found
        .filter(|(amount, span)| !spoken_one(amount, span))
        .map(|(amount, span)| (amount.value, span))
        .collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bare,
    /// Dollars.
    Major,
    /// Cents.
    Minor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Amount {
    value: u64,
    /// Of "12.50".
    cents: Option<u64>,
    unit: Unit,
}

impl Amount {
    fn in_cents(self) -> u64 {
        match self.unit {
            Unit::Minor => self.value,
            Unit::Bare | Unit::Major => self.value.saturating_mul(100).saturating_add(self.cents.unwrap_or(0)),
        }
    }
}

fn is_cents(bare: &Amount) -> bool {
    bare.cents.is_none() && (10..100).contains(&bare.value)
}

/// What stands between two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    And,
    /// Or behind them: the second may count something else.
    Words,
}

/// The numbers of a transcript.
struct Heard {
    amounts: Vec<Amount>,
    /// Where each stands, in bytes of the transcript.
    spans: Vec<Range<usize>>,
    /// Words that belong to no number.
    strangers: usize,
    /// A number is written, or goes on, as no amount is: "12.505", "5k", "and a half".
    unclear: bool,
    /// Only fillers: the number is to come.
    begun: bool,
    goes_on: bool,
    closed: bool,
}

impl Heard {
    fn new(text: &str, language: Language) -> Self {
        let lexicon = Lexicon::of(language);
        let mut all = answer_tokens(text, lexicon);
        let closed = cut_closing(&mut all, lexicon.closings);
        let said = after_correction(&all, lexicon);
        let mut heard = Self {
            amounts: Vec::new(),
            spans: Vec::new(),
            strangers: 0,
            unclear: said.iter().any(|token| HALVES.contains(&token.text.as_str())),
            begun: only_fillers(said, lexicon) && !text.trim_end().ends_with('?'),
            goes_on: !closed && shape(text, language.code()) == Shape::Open,
            closed,
        };
        let mut at = 0;
        while let Some(first) = said.get(at) {
            at = heard.read(said, at, lexicon).max(at + 1);
            let end = said.get(at - 1).map_or(first.span.end, |last| last.span.end);
            heard.spans.resize(heard.amounts.len(), first.span.start..end);
        }
        if heard.amounts.is_empty() {
            heard.sound_alike(said, lexicon);
        }
        heard
    }

    /// What stands between the first two numbers, where it matters.
    fn between(&self, text: &str) -> Between {
        let [first, second, ..] = self.spans.as_slice() else {
            return Between::Nothing;
        };
        let words = tokens(text.get(first.end..second.start).unwrap_or_default());
        let mut words = words.iter().filter(|token| !token.is_mark());
        match (words.next(), words.next()) {
            _ if self.strangers > 0 => Between::Words,
            (None, _) => Between::Nothing,
            (Some(and), None) if JOINS.contains(&and.text.as_str()) => Between::And,
            _ => Between::Words,
        }
    }

    fn read(&mut self, said: &[Token], at: usize, lexicon: &Lexicon) -> usize {
        let Some(token) = said.get(at) else { return at + 1 };
        let number = match token.kind {
            Kind::Digits => {
                let number = written(said, at, lexicon);
                let goes_on = number.and_then(|(.., next)| said.get(next));
                let is_multiple = goes_on.is_some_and(|next| next.glued && (next.is("k") || next.is("m")));
                if number.is_none() || is_multiple {
                    self.unclear = true;
                    return at + 1;
                }
                number
            }
            Kind::Word => chunk(said, at, lexicon)
                .filter(|chunk| !chunk.ordinal)
                // "un", "una" are articles too, unless they count the currency.
                .filter(|chunk| {
                    chunk.value != 1 || !lexicon.is_filler(&token.text) || is_unit(said, chunk.next, lexicon)
                })
                .map(|chunk| (chunk.value, None, chunk.next)),
            Kind::Mark => return at + 1,
        };
        let Some((value, cents, next)) = number else {
            let word = token.text.as_str();
            let known = lexicon.is_filler(word) || lexicon.hesitates(word) || is_unit(said, at, lexicon);
            self.strangers += usize::from(!known);
            return at + 1;
        };
        let symbol = at
            .checked_sub(1)
            .and_then(|at| said.get(at))
            .is_some_and(|token| token.is("$"));
        let (unit, next) = match said.get(next) {
            Some(token) if lexicon.majors.contains(&token.text.as_str()) => (Unit::Major, next + 1),
            Some(token) if lexicon.minors.contains(&token.text.as_str()) => (Unit::Minor, next + 1),
            _ if symbol => (Unit::Major, next),
            _ => (Unit::Bare, next),
        };
        self.amounts.push(Amount { value, cents, unit });
        next
    }

    /// "To." and "For." are all that was heard of "two" and "four".
    fn sound_alike(&mut self, said: &[Token], lexicon: &Lexicon) {
        let mut words = said.iter().filter(|token| !token.is_mark());
        let (Some(word), None) = (words.next(), words.next()) else {
            return;
        };
        let digit = find(lexicon.digit_sounds, &word.text).filter(|digit| *digit != '0');
        let Some(value) = digit.and_then(|digit| digit.to_digit(10)) else {
            return;
        };
        self.amounts.push(Amount {
            value: u64::from(value),
            cents: None,
            unit: Unit::Bare,
        });
        (self.strangers, self.goes_on) = (0, false);
    }
}

/// "1,250", "12.50", "2.5 million", in Spanish "1.250,50" too: value and cents, and where it ends. `None` if it can be read in two ways, or in none.
fn written(said: &[Token], at: usize, lexicon: &Lexicon) -> Option<(u64, Option<u64>, usize)> {
    let part = |next: usize, mark: &str| {
        let follows = said.get(next).is_some_and(|token| token.is(mark) && token.glued);
        let digits = said.get(next + 1).filter(|token| follows && token.glued);
        digits.filter(|token| token.kind == Kind::Digits)
    };
    let mut digits = said.get(at)?.text.clone();
    let mut next = at + 1;
    let mut grouping = "";
    let groupings: &[&'static str] = if lexicon.decimal_comma { &[",", "."] } else { &[","] };
    for mark in groupings {
        // Only up to three digits stand before the first mark.
        while let Some(group) = part(next, mark)
            .filter(|group| group.text.len() == 3 && (grouping == *mark || grouping.is_empty() && digits.len() <= 3))
        {
            digits.push_str(&group.text);
            grouping = *mark;
            next += 2;
        }
    }
    let mut cents = None;
    for mark in groupings.iter().chain(&["."]).filter(|mark| **mark != grouping) {
        let decimal = *mark == "." || lexicon.decimal_comma;
        if let Some(fraction) = part(next, mark).filter(|_| decimal && cents.is_none()) {
            cents = Some(match fraction.text.len() {
                1 => fraction.text.parse::<u64>().ok()?.checked_mul(10)?,
                2 => fraction.text.parse().ok()?,
                _ => return None,
            });
            next += 2;
        }
    }
    if part(next, ".").is_some() || cents.is_some() && part(next, ",").is_some() {
        return None;
    }
    let mut value: u64 = digits.parse().ok()?;
    while let Some(scale) = said.get(next).and_then(|token| find(lexicon.scales, &token.text)) {
        let all = value
            .checked_mul(100)?
            .checked_add(cents.unwrap_or(0))?
            .checked_mul(scale)?;
        (value, cents) = (all / 100, Some(all % 100).filter(|cents| *cents > 0));
        next += 1;
    }
    Some((value, cents, next))
}

fn is_unit(said: &[Token], at: usize, lexicon: &Lexicon) -> bool {
    said.get(at).is_some_and(|token| {
        let word = token.text.as_str();
        lexicon.majors.contains(&word) || lexicon.minors.contains(&word)
    })
}

/// What was said after the last "no", "sorry, I meant".
pub(super) fn after_correction<'a>(said: &'a [Token], lexicon: &Lexicon) -> &'a [Token] {
    let start = (0..said.len())
        .filter_map(|at| {
            let next = any_phrase_at(said, at, lexicon.replaces).max(any_phrase_at(said, at, lexicon.restarts))?;
            said.iter().skip(next).any(|token| !token.is_mark()).then_some(next)
        })
        .max()
        .unwrap_or(0);
    said.get(start..).unwrap_or_default()
}

const JOINS: &[&str] = &["and", "con", "y"];
const HALVES: &[&str] = &["half", "quarter", "medio", "media"];
/// "Two adults and three children" answers another question.
const MAX_STRANGERS: usize = 3;
