//! Days: "March fifteenth nineteen eighty five", "3/15/85", "next Friday", "el quince de marzo".

mod calendar;
mod sentence;

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::Date;

use super::lexicon::{Lexicon, find};
use super::number::chunk;
use super::text::{Kind, Token, answer_tokens, any_phrase_at, cut_closing, phrase_at};
use super::{Language, Parsed, When};
use calendar::{Calendar, Found};
pub(super) use sentence::{amended, names_part, sightings};

/// A day as `when` allows it.
pub(super) fn date(text: &str, when: When, language: Language, today: Date) -> Parsed {
    let lexicon = Lexicon::of(language);
    let mut said = answer_tokens(text, lexicon);
    let closed = cut_closing(&mut said, lexicon.closings);
    while said.last().is_some_and(Token::is_mark) {
        said.pop();
    }
    let reader = Reader {
        said: &said,
        lexicon,
        today,
    };
    let (mut pieces, _) = reader.read();
    // Whisper writes the end of a date twice at times: "March 15, 1985, 1985".
    while let [.., Piece::Number(year), Piece::Number(again)] = pieces.as_slice()
        && year.digits.len() == 4
        && year.digits == again.digits
    {
        pieces.pop();
    }
    let calendar = Calendar::new(when, language, today);
    let parts: Vec<&[Piece]> = pieces.split(|piece| *piece == Piece::Stranger).collect();
    let judge = |part: &[Piece]| calendar.judge(&corrected(part));
    if let [all] = parts.as_slice() {
        let is_question = text.trim_end().ends_with('?') && !all.iter().any(|piece| *piece != Piece::Replace);
        let refuses = !all.is_empty() && all.iter().all(|piece| *piece == Piece::Replace);
        let found = if is_question || refuses {
            Found::Never
        } else {
            judge(all)
        };
        return found.parsed(closed);
    }
    // Prose around a date: "can I come next Friday in the afternoon".
    let whole = parts
        .iter()
        .rev()
        .map(|part| judge(part))
        .find(|found| matches!(found, Found::Day(_)));
    whole.unwrap_or(Found::Never).parsed(closed)
}

/// All the keys of a day.
pub(super) fn keyed(digits: &str, when: When, language: Language, today: Date) -> Parsed {
    let calendar = Calendar {
        when,
        language,
        today,
        ended: true,
    };
    calendar.line(digits).parsed(true)
}

/// What a transcript has of a date.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// January is 1.
    Month(i8),
    Number(Number),
    /// Monday is 0.
    Weekday(i32),
    /// A day by itself: "tomorrow".
    Day(Date),
    Next,
    Last,
    /// "next week", in days as the lexicon has them.
    Vague(i32),
    /// "a week from", in days; `None` if it cannot be counted from a day.
    After(Option<i64>),
    Replace,
    Stranger,
}

/// One written run of digits or one spoken number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number {
    digits: String,
    /// Spoken last, and could go on: "eighty".
    open: bool,
    ordinal: bool,
}

impl Number {
    fn value(&self) -> Option<i16> {
        self.digits.parse().ok()
    }

    fn is_month(&self) -> bool {
        self.digits.len() <= 2 && !self.ordinal && self.value().is_some_and(|month| (1..=12).contains(&month))
    }

    fn may_be_year(&self) -> bool {
        let is_full = self.digits.len() == 4 && (self.digits.starts_with("19") || self.digits.starts_with("20"));
        self.digits.len() == 2 || is_full
    }

    /// "1585" is 15 and 85.
    fn split(&self) -> Option<(Self, Self)> {
        let (first, second) = (self.digits.len() == 4).then(|| self.digits.split_at_checked(2))??;
        let part = |digits: &str| Self {
            digits: digits.to_owned(),
            ..self.clone()
        };
        Some((part(first), part(second)))
    }

    fn is_day(&self) -> bool {
        self.digits.len() <= 2 && self.value().is_some_and(|day| (1..=31).contains(&day))
    }
}

struct Reader<'a> {
    said: &'a [Token],
    lexicon: &'static Lexicon,
    today: Date,
}

impl Reader<'_> {
    /// The pieces, and the tokens that each is made of.
    fn read(&self) -> (Vec<Piece>, Vec<Range<usize>>) {
        let (mut pieces, mut places) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < self.said.len() {
            let (piece, next) = self.piece(at);
            let next = next.max(at + 1);
            if let Some(piece) = piece {
                pieces.push(piece);
                places.push(at..next);
            }
            at = next;
        }
        (pieces, places)
    }

    fn piece(&self, at: usize) -> (Option<Piece>, usize) {
        let (said, lexicon) = (self.said, self.lexicon);
        let Some(token) = said.get(at).filter(|token| !token.is_mark()) else {
            return (None, at + 1);
        };
        let word = token.text.as_str();
        let phrase = |phrases| any_phrase_at(said, at, phrases);
        if let Some((day, next)) = self.relative(at) {
            return (Some(Piece::Day(day)), next);
        }
        if let Some((days, next)) = self.counted(at) {
            return (Some(Piece::After(days)), next);
        }
        if let Some(next) = phrase(lexicon.day_times) {
            return (None, next);
        }
        let mut stretches = lexicon.stretches.iter();
        if let Some((span, next)) = stretches.find_map(|(words, span)| Some((*span, phrase_at(said, at, words)?))) {
            return (Some(Piece::Vague(span)), next);
        }
        if let Some(month) = position(lexicon.months, word) {
            return (i8::try_from(month + 1).ok().map(Piece::Month), at + 1);
        }
        if let Some(day) = position(lexicon.weekdays, word.strip_suffix("'s").unwrap_or(word)) {
            return (i32::try_from(day).ok().map(Piece::Weekday), at + 1);
        }
        if let Some(next) = phrase(lexicon.next) {
            let vague = said.get(next).and_then(|token| find(lexicon.spans, &token.text));
            return match vague {
                Some(span) => (Some(Piece::Vague(span)), next + 1),
                None => (Some(Piece::Next), next),
            };
        }
        if let Some(next) = phrase(lexicon.last) {
            return (Some(Piece::Last), next);
        }
        if let Some(next) = phrase(lexicon.replaces).max(phrase(lexicon.restarts)) {
            return (Some(Piece::Replace), next);
        }
        if let Some((number, next)) = self.number(at) {
            return (Some(Piece::Number(number)), next);
        }
        let known = lexicon.is_filler(word) || lexicon.hesitates(word) || lexicon.date_fillers.contains(&word);
        ((!known).then_some(Piece::Stranger), at + 1)
    }

    fn number(&self, at: usize) -> Option<(Number, usize)> {
        let token = self.said.get(at)?;
        if token.kind == Kind::Digits {
            let suffix = self
                .said
                .get(at + 1)
                .filter(|next| next.glued && next.kind == Kind::Word);
            let ordinal = suffix.is_some_and(|next| ["st", "nd", "rd", "th", "ro", "o"].contains(&next.text.as_str()));
            let number = Number {
                digits: token.text.clone(),
                open: false,
                ordinal,
            };
            return Some((number, if ordinal { at + 2 } else { at + 1 }));
        }
        if find(self.lexicon.digit_sounds, &token.text) == Some('0') {
            let number = Number {
                digits: "0".to_owned(),
                open: false,
                ordinal: false,
            };
            // "Oh, March fifteenth": an "oh" is a zero only before a digit.
            return self
                .number(at + 1)
                .filter(|(next, _)| next.digits.len() == 1)
                .map(|_| (number, at + 1));
        }
        // "un", "una" are articles; "mil" begins with no article.
        let is_article = self.lexicon.is_filler(&token.text) && find(self.lexicon.small, &token.text).is_some();
        let chunk = chunk(self.said, at, self.lexicon).filter(|_| !is_article)?;
        let number = Number {
            digits: chunk.value.to_string(),
            open: chunk.open && chunk.next >= self.said.len(),
            ordinal: chunk.ordinal,
        };
        Some((number, chunk.next))
    }

    /// "tomorrow", "in two weeks", "three days ago", "a week from today".
    fn relative(&self, at: usize) -> Option<(Date, usize)> {
        let (said, lexicon) = (self.said, self.lexicon);
        let named = lexicon
            .relative_days
            .iter()
            .find_map(|(phrase, days)| phrase_at(said, at, phrase).map(|next| (*days, next)));
        if let Some((days, next)) = named {
            return Some((self.today.checked_add(days.days()).ok()?, next));
        }
        let within = any_phrase_at(said, at, lexicon.within);
        let start = within.unwrap_or(at);
        let (count, next) = self.count(start)?;
        let span = find(lexicon.spans, &said.get(next)?.text)?;
        let next = next + 1;
        let back = any_phrase_at(said, next, lexicon.ago);
        let from_now = any_phrase_at(said, next, lexicon.from_now);
        // "Two weeks" alone is a span, not a day.
        let end = within.map(|_| next).max(back).max(from_now)?;
        let sign = if back.is_some() { -1 } else { 1 };
        let span = match span {
            0 => (sign * count).months(),
            days => (sign * count * i64::from(days)).days(),
        };
        Some((self.today.checked_add(span).ok()?, end))
    }

    /// "a week from", "two days before" something that is no "today".
    fn counted(&self, at: usize) -> Option<(Option<i64>, usize)> {
        let (said, lexicon) = (self.said, self.lexicon);
        let (count, next) = self.count(at)?;
        let span = find(lexicon.spans, &said.get(next)?.text)?;
        let next = next + 1;
        let to = any_phrase_at(said, next, lexicon.counted_to).map(|end| (None, end));
        let from = any_phrase_at(said, next, lexicon.counted_from);
        let days = (span > 0).then_some(count * i64::from(span));
        to.or_else(|| from.map(|end| (days, end)))
    }

    fn count(&self, at: usize) -> Option<(i64, usize)> {
        let token = self.said.get(at)?;
        let (count, next) = match token.kind {
            Kind::Digits => (token.text.parse().ok()?, at + 1),
            Kind::Word if ["a", "an", "un", "una"].contains(&token.text.as_str()) => (1, at + 1),
            Kind::Word => {
                let chunk = chunk(self.said, at, self.lexicon).filter(|chunk| !chunk.ordinal)?;
                (i64::try_from(chunk.value).ok()?, chunk.next)
            }
            Kind::Mark => return None,
        };
        // Spans of jiff panic beyond their range.
        (count <= MAX_COUNT).then_some((count, next))
    }
}

fn position(names: &[&[&str]], word: &str) -> Option<usize> {
    names.iter().position(|names| names.contains(&word))
}

/// Carries out "March 15, no, 16": each piece replaces the last one of its kind.
fn corrected(pieces: &[Piece]) -> Vec<Piece> {
    let mut parts = pieces.split(|piece| *piece == Piece::Replace);
    let mut said = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let has_month = |pieces: &[Piece]| pieces.iter().any(|piece| matches!(piece, Piece::Month(_)));
        let by_itself = part
            .iter()
            .any(|piece| matches!(piece, Piece::Day(_) | Piece::Weekday(_)));
        let as_much = part.len() >= said.len() && has_month(part) == has_month(&said);
        if !part.is_empty() && (by_itself || as_much || has_month(part) && part.len() > 1) {
            said = part.to_vec();
            continue;
        }
        for piece in part {
            match said.iter_mut().rev().find(|old| same_kind(old, piece)) {
                Some(old) => *old = piece.clone(),
                None => said.push(piece.clone()),
            }
        }
    }
    said
}

fn same_kind(old: &Piece, new: &Piece) -> bool {
    match (old, new) {
        (Piece::Month(_), Piece::Month(_)) => true,
        (Piece::Number(old), Piece::Number(new)) => (old.digits.len() > 2) == (new.digits.len() > 2),
        _ => false,
    }
}

/// Longer spans are no appointment.
const MAX_COUNT: i64 = 1000;
