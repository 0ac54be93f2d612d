//! Days within a sentence, and corrections of a day.

use std::ops::Range;

use jiff::civil::Date;

use super::super::lexicon::Lexicon;
use super::super::text::{Token, answer_tokens};
use super::super::{Language, When};
use super::calendar::{Calendar, Found, Year, is_of_one_mind, joined, weekdays};
use super::{Number, Piece, Reader, corrected};

/// A day within a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialog::slot) struct Sighting {
    pub day: Date,
    /// In bytes of the transcript.
    pub span: Range<usize>,
    /// A month's name, slashes or a word such as "tomorrow": not just numbers.
    pub evident: bool,
}

/// The days in a sentence, in order.
pub(in crate::dialog::slot) fn sightings(text: &str, when: When, language: Language, today: Date) -> Vec<Sighting> {
    let lexicon = Lexicon::of(language);
    let said = answer_tokens(text, lexicon);
    let reader = Reader {
        said: &said,
        lexicon,
        today,
    };
    let (pieces, places) = reader.read();
    let calendar = Calendar::new(when, language, today);
    let mut found = Vec::new();
    let mut start = 0;
    for part in pieces.split(|piece| *piece == Piece::Stranger) {
        let end = start + part.len();
        let joins = |at: usize| match (places.get(start + at), places.get(start + at + 1)) {
            (Some(first), Some(second)) => {
                let between = said.get(first.end..second.start).unwrap_or_default();
                let glued = said.get(second.start).is_some_and(|token| token.glued);
                let separates = |token: &Token| token.is_mark() && !token.is("/") && !(token.is(".") && glued);
                between.len() < 2 && !between.iter().any(separates)
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
            let evident = is_evident(pieces, text.get(span.clone()).unwrap_or_default(), when);
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
fn is_evident(pieces: &[Piece], written: &str, when: When) -> bool {
    // Nobody is born "last Friday".
    let named = |piece: &Piece| match piece {
        Piece::Month(_) => true,
        Piece::Day(_) | Piece::Weekday(_) => when != When::Past,
        Piece::Number(_) | Piece::Next | Piece::Last | Piece::Vague(_) | Piece::After(_) => false,
        Piece::Replace | Piece::Stranger => false,
    };
    let groups: Vec<&str> = written.split(|c: char| !c.is_ascii_digit()).collect();
    let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_triple = matches!(sizes.as_slice(), [1..=2, 1..=2, 4] | [4, 1..=2, 1..=2]);
    let is_slashed = matches!(sizes.as_slice(), [1..=2, 1..=2, 2]) && written.contains('/');
    pieces.iter().any(named) || is_triple || is_slashed
}

/// Whether the text has only one part of a date: "the sixteenth", "1986", "April 3rd".
pub(in crate::dialog::slot) fn names_part(text: &str, language: Language, today: Date) -> bool {
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
pub(in crate::dialog::slot) fn amended(
    previous: Date,
    text: &str,
    when: When,
    language: Language,
    today: Date,
) -> Option<Date> {
    let lexicon = Lexicon::of(language);
    let said = answer_tokens(text, lexicon);
    let reader = Reader {
        said: &said,
        lexicon,
        today,
    };
    let (pieces, _) = reader.read();
    let calendar = Calendar::new(when, language, today);
    if pieces.contains(&Piece::Stranger) {
        return None;
    }
    let pieces: Vec<Piece> = pieces.into_iter().filter(|piece| *piece != Piece::Replace).collect();
    let numbers = joined(&pieces);
    let month = pieces.iter().find_map(|piece| {
        if let Piece::Month(month) = piece {
            Some(i16::from(*month))
        } else {
            None
        }
    });
    let by_itself = |piece: &Piece| {
        matches!(
            piece,
            Piece::Day(_) | Piece::Weekday(_) | Piece::Vague(_) | Piece::After(_)
        )
    };
    let (day, month, years) = match numbers.as_slice() {
        _ if pieces.iter().any(by_itself) || pieces.is_empty() => return None,
        // "4/16".
        [first, second] if month.is_none() && first.is_month() && second.is_day() => {
            let (month, day) = match language {
                Language::En => (first, second),
                Language::Es => (second, first),
            };
            (day.value(), month.value(), NO_YEAR)
        }
        // "15, 1985" is "March fifteenth, nineteen eighty five" without what was not heard of it.
        [day, year] if day.is_day() && month.is_none() && year.digits == previous.year().to_string() => {
            (day.value(), month, NO_YEAR)
        }
        [day, years @ ..] if day.is_day() && (month.is_some() || years.is_empty() || day.ordinal) => {
            (day.value(), month, years)
        }
        years => (None, month, years),
    };
    let year = match calendar.year(years) {
        Year::Said(year) | Year::Short(year) | Year::Open(year) => year,
        Year::Unsaid => previous.year(),
        Year::Begun | Year::Wrong => return None,
    };
    let day = day.map_or_else(|| Some(previous.day()), |day| i8::try_from(day).ok())?;
    let month = month.map_or_else(|| Some(previous.month()), |month| i8::try_from(month).ok())?;
    let day = Date::new(year, month, day).ok()?;
    match calendar.allowed(Found::Day(day), day) {
        Found::Day(day) => Some(day),
        Found::Usable(_) | Found::Begun | Found::Never => None,
    }
}

impl Calendar {
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
        // Of "a week from Friday" and "the Friday of next week" a part means another day.
        if part
            .iter()
            .any(|piece| matches!(piece, Piece::Vague(_) | Piece::After(_)))
            || is_divided(part)
        {
            return None;
        }
        // The last one is the corrected one.
        let Some(anchor) = part.iter().rposition(anchors) else {
            // "MB 123456, 3/15/1985".
            let triples = (0..part.len()).rev().map(|start| start..start + 3);
            return triples
                .filter(|range| is_triple(part.get(range.clone())) && joins(range.start) && joins(range.start + 1))
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
        // "March 15" of "March 15, 2085" is not meant.
        let goes_on = |end: usize| matches!(part.get(end), Some(Piece::Number(number)) if number.may_be_year());
        let whole = ranges.into_iter().filter(|range| !goes_on(range.end));
        whole.into_iter().find_map(|range| day(&range).map(|day| (range, day)))
    }
}

/// "Friday in two weeks", "between Monday and Friday": it may be either, or another.
fn is_divided(part: &[Piece]) -> bool {
    let weekdays = weekdays(part);
    let day = part
        .iter()
        .find_map(|piece| if let Piece::Day(day) = piece { Some(*day) } else { None });
    weekdays.len() > 1 || weekdays.len() == 1 && day.is_some_and(|day| !is_of_one_mind(part, day))
}

const NO_YEAR: &[Number] = &[];
/// Of one date, with a correction.
const MAX_PIECES: usize = 8;
