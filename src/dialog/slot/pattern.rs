//! What an id looks like, and the best way to hear a line of sounds as one.

use std::collections::BTreeMap;
use std::str::{Chars, FromStr};

use thiserror::Error;

/// An id's form: a small part of the regex language. Capital letters and digits stand for themselves, `\d` for a digit,
/// `[A-Z]`, `[A-Z0-9]` for one of several, `?`, `{6}`, `{2,4}` repeat what stands before them. "-" and spaces are ignored.
///
/// ```
/// use tieline::dialog::slot::Pattern;
///
/// let pattern: Pattern = r"MB\d{6}".parse().expect("a pattern");
/// assert_eq!(pattern.max_len(), 8);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    steps: Vec<Step>,
}

/// Why a text is no [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PatternError {
    /// This character has no meaning here.
    #[error("{0:?} means nothing at this place of an id pattern")]
    Unexpected(char),
    /// The text ends within a class or a repetition.
    #[error("the id pattern ends within a class or a repetition")]
    Unfinished,
    /// Nothing to match, more than [`MAX_LEN`] characters, or an upside-down range.
    #[error("an id has 1 to {MAX_LEN} characters")]
    Length,
}

/// One character of the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    set: Set,
    optional: bool,
}

/// Some of 0–9 and A–Z, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set(u64);

/// Something heard: the ways to take it, each with what it costs to believe in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sound {
    /// Digits and capital letters.
    pub ways: Vec<(String, u32)>,
    /// What it costs to take it for nothing.
    pub skip: Option<u32>,
}

/// How sounds fill a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fit {
    /// To its last character.
    Full(String),
    /// All that is required; more may follow.
    Enough(String),
    /// It may become an id.
    Beginning,
    /// It will not.
    Misfit,
}

impl Pattern {
    /// Between `min` and `max` digits.
    pub(super) fn digits(min: usize, max: usize) -> Self {
        let max = max.clamp(1, MAX_LEN);
        Self {
            steps: (0..max)
                .map(|index| Step {
                    set: Set::DIGITS,
                    optional: index >= min,
                })
                .collect(),
        }
    }

    /// The longest id.
    pub fn max_len(&self) -> usize {
        self.steps.len()
    }

    /// The best way to hear `sounds`: the most of the pattern first, then the least cost.
    pub(super) fn fit(&self, sounds: &[Sound]) -> Fit {
        let prefix = self.prefix();
        let mut states = BTreeMap::from([(0, (0, String::new()))]);
        // Single letters are left out only beside others: the "3" of "3123456" is no B.
        let first = sounds.iter().find(|sound| sound.skip.is_none());
        let spells = first.is_some_and(|sound| sound.ways.iter().any(|(way, _)| way.starts_with(char::is_alphabetic)));
        if !prefix.is_empty() {
            keep(&mut states, prefix.len(), LEFT_OUT_COST, prefix.clone());
        }
        for sound in sounds {
            for (at, letter) in prefix.chars().enumerate().filter(|_| spells) {
                if let Some((cost, heard)) = states.get(&at).cloned() {
                    let heard = heard + letter.encode_utf8(&mut [0; 4]);
                    keep(&mut states, at + 1, cost + LEFT_OUT_COST, heard);
                }
            }
            let mut next = BTreeMap::new();
            for (at, (cost, heard)) in &states {
                for (way, way_cost) in &sound.ways {
                    self.take(*at, cost + way_cost, heard, way, &mut next);
                }
                if let Some(skip) = sound.skip {
                    keep(&mut next, *at, cost + skip, heard.clone());
                }
            }
            states = next;
        }
        let rank = |at: usize| match self.steps.get(at..).unwrap_or_default() {
            [] => 2,
            rest if rest.iter().all(|step| step.optional) => 1,
            _ => 0,
        };
        let best = states
            .into_iter()
            .max_by_key(|(at, (cost, _))| (rank(*at), u32::MAX - cost, *at));
        match best.map(|(at, (_, heard))| (rank(at), heard)) {
            Some((2, heard)) => Fit::Full(heard),
            Some((1, heard)) if !heard.is_empty() => Fit::Enough(heard),
            Some(_) => Fit::Beginning,
            None => Fit::Misfit,
        }
    }

    /// Follows the characters of `way` from the step `at`.
    fn take(&self, at: usize, cost: u32, heard: &str, way: &str, next: &mut BTreeMap<usize, (u32, String)>) {
        let mut paths = vec![(at, cost, heard.to_owned())];
        for c in way.chars() {
            let mut longer = Vec::new();
            for (at, cost, heard) in paths {
                for (index, step) in self.steps.iter().enumerate().skip(at) {
                    if let Some((taken, taken_cost)) = step.set.take(c) {
                        let mut heard = heard.clone();
                        heard.push(taken);
                        longer.push((index + 1, cost + taken_cost, heard));
                        break;
                    }
                    if !step.optional {
                        break;
                    }
                }
            }
            paths = longer;
        }
        for (at, cost, heard) in paths {
            keep(next, at, cost, heard);
        }
    }

    /// The letters that all ids begin with, if a digit follows them. Callers leave them out ("one two three" for MB123), and
    /// Whisper mishears them ("and B 123").
    pub(super) fn prefix(&self) -> String {
        let literal = |step: &&Step| step.set.only().is_some_and(|c| c.is_ascii_alphabetic()) && !step.optional;
        let prefix: String = self
            .steps
            .iter()
            .take_while(literal)
            .filter_map(|step| step.set.only())
            .collect();
        let digits_follow = self.steps.get(prefix.len()).is_some_and(|step| step.set == Set::DIGITS);
        if digits_follow { prefix } else { String::new() }
    }

    /// Whether a caller may have to say letters that are not always the same.
    pub(super) fn has_free_letters(&self) -> bool {
        let letters = |step: &Step| step.set.only().is_none() && step.set != Set::DIGITS || step.optional;
        self.steps
            .iter()
            .any(|step| letters(step) && ('A'..='Z').any(|c| step.set.has(c)))
    }

    /// How the characters themselves fill it.
    pub(super) fn fit_exactly(&self, code: &str) -> Fit {
        let sounds: Vec<Sound> = code.chars().map(Sound::certain).collect();
        self.fit(&sounds)
    }

    /// The id that has these digits, typed on a keypad; its fixed letters are added.
    pub(super) fn keyed(&self, digits: &str) -> Fit {
        let mut heard = String::new();
        let mut steps = self.steps.iter();
        for digit in digits.chars() {
            loop {
                let Some(step) = steps.next() else {
                    return Fit::Misfit;
                };
                if step.set.has(digit) {
                    heard.push(digit);
                    break;
                }
                match step.set.only() {
                    Some(letter) if !step.optional => heard.push(letter),
                    _ if step.optional => {}
                    _ => return Fit::Misfit,
                }
            }
        }
        let mut rest = steps.as_slice();
        if !digits.is_empty() {
            while let [step, after @ ..] = rest
                && let Some(letter) = step.set.only().filter(|c| c.is_ascii_alphabetic() && !step.optional)
            {
                heard.push(letter);
                rest = after;
            }
        }
        let has_digits = |step: &Step| ('0'..='9').any(|c| step.set.has(c));
        if digits.is_empty() || rest.iter().any(|step| !step.optional) {
            let can_go_on = rest
                .iter()
                .all(|step| step.optional || has_digits(step) || step.set.only().is_some());
            if can_go_on { Fit::Beginning } else { Fit::Misfit }
        } else if rest.iter().any(has_digits) {
            Fit::Enough(heard)
        } else {
            Fit::Full(heard)
        }
    }
}

fn keep(states: &mut BTreeMap<usize, (u32, String)>, at: usize, cost: u32, heard: String) {
    match states.get(&at) {
        Some((old, _)) if *old <= cost => {}
        _ => {
            states.insert(at, (cost, heard));
        }
    }
}

impl Set {
    const DIGITS: Self = Self((1 << 10) - 1);

    fn one(c: char) -> Option<Self> {
        bit(c).map(|bit| Self(1 << bit))
    }

    fn has(self, c: char) -> bool {
        bit(c).is_some_and(|bit| self.0 & (1 << bit) != 0)
    }

    /// The only character in it.
    fn only(self) -> Option<char> {
        (self.0.count_ones() == 1)
            .then(|| ('0'..='9').chain('A'..='Z').find(|c| self.has(*c)))
            .flatten()
    }

    /// What of this set `c` was, and at what cost: telephone lines make M and N, B and D, O and 0 the same.
    fn take(self, c: char) -> Option<(char, u32)> {
        if self.has(c) {
            return Some((c, 0));
        }
        let twin = match c {
            'O' => '0',
            '0' => 'O',
            _ => '\0',
        };
        if self.has(twin) {
            return Some((twin, 1));
        }
        let only = self.only()?;
        sounds_alike(c, only).then_some((only, ALIKE_COST))
    }
}

/// Whether two letters are one on the phone.
pub(super) fn sounds_alike(a: char, b: char) -> bool {
    let (a, b) = (a.to_ascii_uppercase(), b.to_ascii_uppercase());
    a == b || ALIKE.iter().any(|group| group.contains(a) && group.contains(b))
}

fn bit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => Some(u32::from(c) - u32::from('0')),
        'A'..='Z' => Some(u32::from(c) - u32::from('A') + 10),
        _ => None,
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut steps: Vec<Step> = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let set = match c {
                '-' | ' ' => continue,
                '\\' => match chars.next() {
                    Some('d') => Set::DIGITS,
                    Some(c) => return Err(PatternError::Unexpected(c)),
                    None => return Err(PatternError::Unfinished),
                },
                '[' => class(&mut chars)?,
                '?' | '{' => {
                    let last = steps.pop().ok_or(PatternError::Unexpected(c))?;
                    let (min, max) = if c == '?' { (0, 1) } else { repetition(&mut chars)? };
                    steps.extend((0..max).map(|index| Step {
                        optional: index >= min,
                        ..last
                    }));
                    continue;
                }
                _ => Set::one(c).ok_or(PatternError::Unexpected(c))?,
            };
            steps.push(Step { set, optional: false });
        }
        if (1..=MAX_LEN).contains(&steps.len()) && steps.iter().any(|step| !step.optional) {
            Ok(Self { steps })
        } else {
            Err(PatternError::Length)
        }
    }
}

/// The rest of "[A-Z0-9]".
fn class(chars: &mut Chars<'_>) -> Result<Set, PatternError> {
    let (text, rest) = chars.as_str().split_once(']').ok_or(PatternError::Unfinished)?;
    *chars = rest.chars();
    let text: Vec<char> = text.chars().collect();
    let mut set = 0;
    let mut rest = text.as_slice();
    while let [first, after @ ..] = rest {
        let (last, after) = match after {
            ['-', last, after @ ..] => (*last, after),
            _ => (*first, after),
        };
        for c in *first..=last {
            set |= Set::one(c).ok_or(PatternError::Unexpected(c))?.0;
        }
        rest = after;
    }
    if set == 0 {
        Err(PatternError::Unfinished)
    } else {
        Ok(Set(set))
    }
}

/// The rest of "{6}" and "{2,4}".
fn repetition(chars: &mut Chars<'_>) -> Result<(usize, usize), PatternError> {
    let (text, rest) = chars.as_str().split_once('}').ok_or(PatternError::Unfinished)?;
    *chars = rest.chars();
    let (min, max) = text.split_once(',').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse().map_err(|_| PatternError::Unfinished);
    let (min, max) = (number(min)?, number(max)?);
    if min <= max && (1..=MAX_LEN).contains(&max) {
        Ok((min, max))
    } else {
        Err(PatternError::Length)
    }
}

/// The longest id.
pub const MAX_LEN: usize = 40;
/// Above every confusion of single letters: who says letters at all means them.
const LEFT_OUT_COST: u32 = 5;
const ALIKE_COST: u32 = 3;
/// Letters that sound the same on the phone.
const ALIKE: &[&str] = &["MN", "BDPTVEGCZ3", "FS", "AKJ8", "QU", "IY"];
