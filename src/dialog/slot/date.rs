//! Days: "March fifteenth nineteen eighty five", "3/15/85", "next Friday", "el quince de marzo".

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::Date;

use super::lexicon::{Lexicon, find};
use super::number::chunk;
use super::text::{Kind, Token, answer_tokens, any_phrase_at, cut_closing, phrase_at};
use super::{Language, Parsed, Value, When};

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
    let (pieces, _) = reader.read();
    let calendar = Calendar { when, language, today };
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

/// A day within a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    pub day: Date,
    /// In bytes of the transcript.
    pub span: Range<usize>,
    /// A month's name, slashes or a word such as "tomorrow": not just numbers.
    pub evident: bool,
}

/// The days in a sentence, in order.
pub(super) fn sightings(text: &str, when: When, language: Language, today: Date) -> Vec<Sighting> {
    let lexicon = Lexicon::of(language);
    let said = answer_tokens(text, lexicon);
    let reader = Reader {
        said: &said,
        lexicon,
        today,
    };
    let (pieces, places) = reader.read();
    let calendar = Calendar { when, language, today };
    let mut found = Vec::new();
    let mut start = 0;
    for part in pieces.split(|piece| *piece == Piece::Stranger) {
        let end = start + part.len();
        let joins = |at: usize| match (places.get(start + at), places.get(start + at + 1)) {
            (Some(first), Some(second)) => {
                let between = said.get(first.end..second.start).unwrap_or_default();
                between.len() < 2 && !between.iter().any(Token::is_mark)
            }
            _ => false,
        };
        if let Some((window, day)) = calendar.window(part, &joins)
            && let Some(window_places) = places.get(start + window.start..start + window.end)
            && let (Some(first), Some(last)) = (window_places.first(), window_places.last())
            && let (Some(from), Some(to)) = (said.get(first.start), said.get(last.end - 1))
        {
            let pieces = part.get(window).unwrap_or_default();
            let span = from.span.start..to.span.end;
            let evident = is_evident(pieces, text.get(span.clone()).unwrap_or_default());
            found.push(Sighting { day, span, evident });
        }
        start = end + 1;
    }
    found
}

/// Three numbers as long as a date's.
fn is_triple(pieces: Option<&[Piece]>) -> bool {
    let sizes: Vec<usize> = joined(pieces.unwrap_or_default())
        .iter()
        .map(|number| number.digits.len())
        .collect();
    matches!(sizes.as_slice(), [1..=2, 1..=2, 2 | 4] | [4, 1..=2, 1..=2])
}

/// Whether it can be nothing but a date.
fn is_evident(pieces: &[Piece], written: &str) -> bool {
    let named = |piece: &Piece| matches!(piece, Piece::Month(_) | Piece::Day(_) | Piece::Weekday(_));
    let groups: Vec<&str> = written.split(|c: char| !c.is_ascii_digit()).collect();
    let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_triple = matches!(sizes.as_slice(), [1..=2, 1..=2, 4] | [4, 1..=2, 1..=2]);
    let is_slashed = matches!(sizes.as_slice(), [1..=2, 1..=2, 2]) && written.contains('/');
    pieces.iter().any(named) || is_triple || is_slashed
}

/// Whether the text has only one part of a date: "the sixteenth", "1986", "April 3rd".
pub(super) fn names_part(text: &str, language: Language, today: Date) -> bool {
    let lexicon = Lexicon::of(language);
    let said = answer_tokens(text, lexicon);
    let reader = Reader {
        said: &said,
        lexicon,
        today,
    };
    let (pieces, _) = reader.read();
    let by_itself = |piece: &Piece| matches!(piece, Piece::Day(_) | Piece::Weekday(_));
    let has_month = pieces.iter().any(|piece| matches!(piece, Piece::Month(_)));
    let numbers = joined(&pieces);
    !pieces.iter().any(by_itself)
        && (numbers.len() < 2 || has_month && numbers.iter().all(Number::is_day))
        && numbers.iter().all(|number| number.digits.len() <= 4)
}

/// `text` as a correction of `previous`: "the sixteenth", "April", "1986" replace their part of it.
pub(super) fn amended(previous: Date, text: &str, when: When, language: Language, today: Date) -> Option<Date> {
    let lexicon = Lexicon::of(language);
    let said = answer_tokens(text, lexicon);
    let reader = Reader {
        said: &said,
        lexicon,
        today,
    };
    let (pieces, _) = reader.read();
    let calendar = Calendar { when, language, today };
    if pieces.contains(&Piece::Stranger) {
        return None;
    }
    let pieces: Vec<Piece> = pieces.into_iter().filter(|piece| *piece != Piece::Replace).collect();
    let numbers = joined(&pieces);
    let month = pieces.iter().find_map(|piece| {
        if let Piece::Month(month) = piece {
            Some(*month)
        } else {
            None
        }
    });
    let by_itself = |piece: &Piece| matches!(piece, Piece::Day(_) | Piece::Weekday(_) | Piece::Vague);
    let (day, years) = match numbers.as_slice() {
        _ if pieces.iter().any(by_itself) || pieces.is_empty() => return None,
        [day, years @ ..] if day.is_day() && (month.is_some() || years.is_empty() || day.ordinal) => {
            (day.value(), years)
        }
        years => (None, years),
    };
    let year = match calendar.year(years) {
        Year::Said(year) | Year::Short(year) | Year::Open(year) => year,
        Year::Unsaid => previous.year(),
        Year::Begun | Year::Wrong => return None,
    };
    let day = day.map_or_else(|| Some(previous.day()), |day| i8::try_from(day).ok())?;
    let day = Date::new(year, month.unwrap_or_else(|| previous.month()), day).ok()?;
    match calendar.allowed(Found::Day(day), day) {
        Found::Day(day) => Some(day),
        Found::Usable(_) | Found::Begun | Found::Never => None,
    }
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
    /// "next week".
    Vague,
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
        if let Some(month) = position(lexicon.months, word) {
            return (i8::try_from(month + 1).ok().map(Piece::Month), at + 1);
        }
        if let Some(day) = position(lexicon.weekdays, word.strip_suffix("'s").unwrap_or(word)) {
            return (i32::try_from(day).ok().map(Piece::Weekday), at + 1);
        }
        if let Some(next) = phrase(lexicon.next) {
            let vague = said
                .get(next)
                .is_some_and(|token| find(lexicon.spans, &token.text).is_some());
            return if vague {
                (Some(Piece::Vague), next + 1)
            } else {
                (Some(Piece::Next), next)
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

/// What the pieces are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Day(Date),
    /// It may go on.
    Usable(Date),
    Begun,
    Never,
}

impl Found {
    fn parsed(self, closed: bool) -> Parsed {
        match self {
            Self::Day(date) => Parsed::complete(Value::Date(date)),
            Self::Usable(date) if closed => Parsed::complete(Value::Date(date)),
            Self::Usable(date) => Parsed::usable(Value::Date(date)),
            Self::Begun => Parsed::BEGUN,
            Self::Never => Parsed::IMPOSSIBLE,
        }
    }
}

/// A year, as far as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Year {
    Unsaid,
    Begun,
    Said(i16),
    /// Of two digits, in the present century.
    Short(i16),
    /// "nineteen eighty": it may go on.
    Open(i16),
    Wrong,
}

struct Calendar {
    when: When,
    language: Language,
    today: Date,
}

impl Calendar {
    fn judge(&self, pieces: &[Piece]) -> Found {
        if let Some(day) = pieces
            .iter()
            .find_map(|piece| if let Piece::Day(day) = piece { Some(*day) } else { None })
        {
            return self.allowed(Found::Day(day), day);
        }
        let month_at = pieces.iter().position(|piece| matches!(piece, Piece::Month(_)));
        if let Some(at) = month_at
            && let Some(Piece::Month(month)) = pieces.get(at)
        {
            let before = joined(pieces.get(..at).unwrap_or_default());
            let after = joined(pieces.get(at + 1..).unwrap_or_default());
            return self.with_month(*month, &before, &after);
        }
        let all = joined(pieces);
        if !all.is_empty() {
            return self.numeric(&all);
        }
        let weekday = pieces.iter().find_map(|piece| {
            if let Piece::Weekday(day) = piece {
                Some(*day)
            } else {
                None
            }
        });
        match weekday {
            Some(weekday) => self.weekday(weekday, pieces),
            None => Found::Begun,
        }
    }

    /// The longest run of pieces that makes a day, and the day.
    ///
    /// `joins` tells whether a piece and the next stand together.
    fn window(&self, part: &[Piece], joins: &dyn Fn(usize) -> bool) -> Option<(Range<usize>, Date)> {
        let day = |range: &Range<usize>| match self.judge(&corrected(part.get(range.clone())?)) {
            Found::Day(day) | Found::Usable(day) => Some(day),
            Found::Begun | Found::Never => None,
        };
        let is_number = |piece: &&Piece| matches!(piece, Piece::Number(_));
        let month = part.iter().rposition(|piece| matches!(piece, Piece::Month(_)));
        let before_month = part.get(..month.unwrap_or(0)).unwrap_or_default();
        // "MB 12 34, March 15".
        let day_joins =
            month.is_none_or(|at| at == 0 || before_month.iter().all(|piece| !is_number(&piece)) || joins(at - 1));
        if part.len() <= MAX_PIECES && before_month.iter().filter(is_number).count() < 2 && day_joins {
            let all = 0..part.len();
            if let Some(day) = day(&all) {
                return Some((all, day));
            }
        }
        let anchors = |piece: &Piece| matches!(piece, Piece::Month(_) | Piece::Day(_) | Piece::Weekday(_));
        // The last one is the corrected one.
        let Some(anchor) = part.iter().rposition(anchors) else {
            // "MB 123456, 3/15/1985".
            let triples = (0..part.len()).rev().map(|start| start..start + 3);
            return triples
                .filter(|range| is_triple(part.get(range.clone())))
                .find_map(|range| day(&range).map(|day| (range, day)));
        };
        let day_before = anchor.checked_sub(1).filter(|at| joins(*at));
        let before = day_before.filter(|at| match part.get(*at) {
            Some(Piece::Number(number)) => number.ordinal || self.language == Language::Es,
            Some(Piece::Next | Piece::Last) => true,
            _ => false,
        });
        let starts = before.into_iter().chain([anchor]).chain(day_before);
        let ranges = starts.flat_map(|start| {
            (anchor + 1..=part.len().min(anchor + MAX_PIECES))
                .rev()
                .map(move |end| start..end)
        });
        ranges.into_iter().find_map(|range| day(&range).map(|day| (range, day)))
    }

    fn weekday(&self, weekday: i32, pieces: &[Piece]) -> Found {
        let now = i32::from(self.today.weekday().to_monday_zero_offset());
        let ahead = match (weekday - now).rem_euclid(7) {
            0 => 7,
            days => days,
        };
        let days = if self.when == When::Past || pieces.contains(&Piece::Last) {
            ahead - if ahead == 7 { 14 } else { 7 }
        } else if pieces.contains(&Piece::Next) && self.language == Language::En {
            // In English the one of next week; "el próximo viernes" is the coming one.
            7 - now + weekday
        } else {
            ahead
        };
        match self.today.checked_add(days.days()) {
            Ok(day) => self.allowed(Found::Day(day), day),
            Err(_) => Found::Never,
        }
    }

    fn with_month(&self, month: i8, before: &[Number], after: &[Number]) -> Found {
        let is_day = Number::is_day;
        match (before, after) {
            ([], []) => Found::Begun,
            // "1985 March 15".
            ([year], [day, rest @ ..]) if year.digits.len() == 4 && rest.is_empty() && is_day(day) => {
                self.day(self.year(before), month, day.value())
            }
            // Whisper: "15th March 15".
            ([day], [again]) if is_day(day) && again.digits == day.digits => self.day(Year::Unsaid, month, day.value()),
            ([.., day], years) if is_day(day) => self.day(self.year(years), month, day.value()),
            ([], [year]) if year.digits.len() > 2 => match self.year(after) {
                // Whisper writes "March 1585" for March 15, 85.
                Year::Wrong => match year.split() {
                    Some((day, year)) if day.is_day() => self.day(self.year(&[year]), month, day.value()),
                    _ => Found::Never,
                },
                Year::Unsaid | Year::Begun | Year::Said(_) | Year::Short(_) | Year::Open(_) => Found::Begun,
            },
            // "March twenty" may become "twenty fifth".
            ([], [day]) if day.open && is_day(day) && !day.ordinal => {
                match self.day(Year::Unsaid, month, day.value()) {
                    Found::Day(date) => Found::Usable(date),
                    found @ (Found::Usable(_) | Found::Begun | Found::Never) => found,
                }
            }
            ([], [day, years @ ..]) if is_day(day) => self.day(self.year(years), month, day.value()),
            _ => Found::Never,
        }
    }

    /// Numbers without a month's name.
    fn numeric(&self, numbers: &[Number]) -> Found {
        let all: String = numbers.iter().map(|number| number.digits.as_str()).collect();
        let is_line = numbers.len() == 1 || numbers.iter().all(|number| number.digits.len() == 1) && numbers.len() > 5;
        if let [day] = numbers
            && all.len() <= 2
        {
            return self.day_of_month(day);
        }
        if is_line {
            return self.line(&all);
        }
        // A year by itself, digit by digit, rather than 1/9/85.
        let is_year = numbers.len() == 4 && all.len() == 4 && (all.starts_with("19") || all.starts_with("20"));
        if is_year {
            return Found::Begun;
        }
        let groups = zero_joined(numbers);
        let value = |at: usize| groups.get(at).and_then(Number::value);
        if groups.first().is_some_and(|year| year.digits.len() == 4) {
            let year = self.year(groups.get(..1).unwrap_or_default());
            return match (value(1).map(i8::try_from), groups.len()) {
                (_, 4..) => Found::Never,
                (Some(Ok(month @ 1..=12)), 3) => self.day(year, month, value(2)),
                (Some(Ok(1..=12)), 2) => Found::Begun,
                _ => Found::Never,
            };
        }
        let (Some(first), Some(second)) = (value(0), value(1)) else {
            return self.line(&all);
        };
        let day_first = match self.language {
            Language::En => first > 12,
            Language::Es => second <= 12,
        };
        let (month, day) = if day_first { (second, first) } else { (first, second) };
        let year = self.year(groups.get(2..).unwrap_or_default());
        match i8::try_from(month) {
            Ok(month) if year != Year::Wrong => self.day(year, month, Some(day)),
            _ => self.line(&all),
        }
    }

    /// "the 15th"; "3" may be the beginning of "3/15".
    fn day_of_month(&self, day: &Number) -> Found {
        let Some(value) = day
            .value()
            .and_then(|day| i8::try_from(day).ok())
            .filter(|day| (0..=31).contains(day))
        else {
            return Found::Never;
        };
        if !day.ordinal || self.when != When::Future {
            return Found::Begun;
        }
        let next = (0..3).find_map(|months: i32| {
            let month = self.today.first_of_month().checked_add(months.months()).ok()?;
            let day = Date::new(month.year(), month.month(), value).ok()?;
            (day >= self.today).then_some(day)
        });
        next.map_or(Found::Never, Found::Usable)
    }

    /// All digits in one run: MMDDYYYY, MMDDYY, YYYYMMDD; in Spanish the day first.
    fn line(&self, digits: &str) -> Found {
        let number = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<i16>().ok());
        let month_day = match self.language {
            Language::En => (number(0, 2), number(2, 4)),
            Language::Es => (number(2, 4), number(0, 2)),
        };
        let found = match (digits.len(), month_day) {
            (6 | 8, (Some(month), day)) => {
                let year = Number {
                    digits: digits.get(4..).unwrap_or_default().to_owned(),
                    open: false,
                    ordinal: false,
                };
                let year = self.year(&[year]);
                i8::try_from(month).map_or(Found::Never, |month| self.day(year, month, day))
            }
            (0..=5 | 7, _) => Found::Begun,
            _ => Found::Never,
        };
        match (found, digits.len(), number(0, 4), number(4, 6)) {
            (Found::Never, 8, Some(year @ 1850..=2150), Some(month @ 1..=12)) => {
                self.day(Year::Said(year), i8::try_from(month).unwrap_or(0), number(6, 8))
            }
            _ => found,
        }
    }

    fn year(&self, parts: &[Number]) -> Year {
        let digits: String = parts.iter().map(|part| part.digits.as_str()).collect();
        let open = parts.last().is_some_and(|last| last.open);
        let said = |year| if open { Year::Open(year) } else { Year::Said(year) };
        let Ok(value) = digits.parse::<i16>() else {
            return if digits.is_empty() { Year::Unsaid } else { Year::Wrong };
        };
        match digits.len() {
            // "nineteen", "twenty": the century.
            2 if value == 19 || value == 20 => Year::Begun,
            2 => {
                let century = self.today.year() / 100 * 100;
                let recent = self.when == When::Future || century + value <= self.today.year();
                match (recent, open) {
                    (true, false) => Year::Short(century + value),
                    (true, true) => Year::Open(century + value),
                    (false, _) => said(century + value - 100),
                }
            }
            4 if (1850..=2150).contains(&value) => said(value),
            1 | 3 => Year::Begun,
            _ => Year::Wrong,
        }
    }

    fn day(&self, year: Year, month: i8, day: Option<i16>) -> Found {
        let Some(day) = day.and_then(|day| i8::try_from(day).ok()) else {
            return Found::Never;
        };
        // In a leap year: the year decides later.
        if Date::new(2000, month, day).is_err() {
            return Found::Never;
        }
        let date = |year: i16| Date::new(year, month, day).ok();
        match year {
            Year::Wrong => Found::Never,
            Year::Begun => Found::Begun,
            // No birthday is to come this year.
            Year::Short(year) if self.when == When::Past && date(year).is_some_and(|day| day > self.today) => {
                self.day(Year::Said(year - 100), month, Some(i16::from(day)))
            }
            Year::Said(year) | Year::Short(year) => {
                date(year).map_or(Found::Never, |day| self.allowed(Found::Day(day), day))
            }
            Year::Open(year) => date(year).map_or(Found::Begun, |day| self.allowed(Found::Usable(day), day)),
            Year::Unsaid => match self.when {
                When::Past => Found::Begun,
                When::Any => date(self.today.year()).map_or(Found::Begun, Found::Usable),
                When::Future => (0..9)
                    .filter_map(|ahead| date(self.today.year() + ahead))
                    .find(|day| *day >= self.today)
                    .map_or(Found::Never, Found::Day),
            },
        }
    }

    fn allowed(&self, found: Found, day: Date) -> Found {
        match self.when {
            When::Past if day > self.today => Found::Never,
            When::Future if day < self.today => Found::Never,
            When::Past | When::Future | When::Any => found,
        }
    }
}

fn joined(pieces: &[Piece]) -> Vec<Number> {
    let numbers = pieces.iter().filter_map(|piece| {
        if let Piece::Number(number) = piece {
            Some(number.clone())
        } else {
            None
        }
    });
    numbers.collect()
}

/// "oh three" is "03".
fn zero_joined(numbers: &[Number]) -> Vec<Number> {
    let mut joined: Vec<Number> = Vec::new();
    for number in numbers {
        match joined.last_mut() {
            Some(last) if last.digits == "0" && number.digits.len() == 1 => last.digits.push_str(&number.digits),
            _ => joined.push(number.clone()),
        }
    }
    joined
}

/// Of one date, with a correction.
const MAX_PIECES: usize = 8;
/// Longer spans are no appointment.
const MAX_COUNT: i64 = 1000;
