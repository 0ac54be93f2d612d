//! What the pieces of a date come to.

use jiff::ToSpan;
use jiff::civil::Date;

use super::super::lexicon::YEAR;
use super::super::{Language, Parsed, Value, When};
use super::{Number, Piece};

/// What the pieces are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Day(Date),
    /// It may go on.
    Usable(Date),
    Begun,
    Never,
}

impl Found {
    pub(super) fn parsed(self, closed: bool) -> Parsed {
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
pub(super) enum Year {
    Unsaid,
    Begun,
    Said(i16),
    /// Of two digits, in the present century.
    Short(i16),
    /// "nineteen eighty": it may go on.
    Open(i16),
    Wrong,
}

pub(super) struct Calendar {
    pub when: When,
    pub language: Language,
    pub today: Date,
    /// Nothing follows: "19" is a year, and not the beginning of one.
    pub ended: bool,
}

impl Calendar {
    pub(super) fn new(when: When, language: Language, today: Date) -> Self {
        Self {
            when,
            language,
            today,
            ended: false,
        }
    }

    pub(super) fn judge(&self, pieces: &[Piece]) -> Found {
        if let Some(at) = pieces.iter().position(|piece| matches!(piece, Piece::After(_))) {
            return self.after(pieces, at);
        }
        if let Some(span) = pieces.iter().find_map(|piece| {
            if let Piece::Vague(span) = piece {
                Some(*span)
            } else {
                None
            }
        }) {
            let rest: Vec<Piece> = pieces
                .iter()
                .filter(|piece| **piece != Piece::Vague(span))
                .cloned()
                .collect();
            return self.within(span, &rest);
        }
        if let Some(day) = pieces
            .iter()
            .find_map(|piece| if let Piece::Day(day) = piece { Some(*day) } else { None })
        {
            return if is_of_one_mind(pieces, day) {
                self.allowed(Found::Day(day), day)
            } else {
                Found::Begun
            };
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
        match weekdays(pieces).as_slice() {
            [weekday] => self.weekday(*weekday, pieces),
            _ => Found::Begun,
        }
    }

    /// "A week from Friday".
    fn after(&self, pieces: &[Piece], at: usize) -> Found {
        let (before, rest) = (
            pieces.get(..at).unwrap_or_default(),
            pieces.get(at + 1..).unwrap_or_default(),
        );
        let Some(Piece::After(Some(days))) = pieces.get(at) else {
            return Found::Begun;
        };
        let base = match self.judge(rest) {
            Found::Day(day) | Found::Usable(day) if before.is_empty() => day,
            Found::Day(_) | Found::Usable(_) | Found::Begun | Found::Never => return Found::Begun,
        };
        match base.checked_add(days.days()) {
            Ok(day) => self.allowed(Found::Day(day), day),
            Err(_) => Found::Never,
        }
    }

    /// A day of next week, month or year.
    fn within(&self, span: i32, rest: &[Piece]) -> Found {
        let numbers = joined(rest);
        let then = match (span, rest, numbers.as_slice()) {
            (7 | 14, [Piece::Weekday(weekday)], _) => {
                let now = i32::from(self.today.weekday().to_monday_zero_offset());
                // Where weeks may begin on Sunday, it is of this week or the next.
                let in_doubt = self.language == Language::En && (now == SUNDAY || *weekday == SUNDAY);
                let day = self.today.checked_add((span - now + weekday).days()).ok();
                day.filter(|_| !in_doubt)
            }
            (0, [Piece::Number(_)], [day]) if day.is_day() => {
                let month = self.today.first_of_month().checked_add(1.month()).ok();
                let day = day.value().and_then(|day| i8::try_from(day).ok());
                month
                    .zip(day)
                    .and_then(|(month, day)| Date::new(month.year(), month.month(), day).ok())
            }
            (
                YEAR,
                [.., Piece::Month(month), Piece::Number(_)] | [Piece::Number(_), Piece::Month(month), ..],
                [day],
            ) if day.is_day() && rest.len() == 2 => {
                let day = day.value().and_then(|day| i8::try_from(day).ok());
                day.and_then(|day| Date::new(self.today.year() + 1, *month, day).ok())
            }
            _ => None,
        };
        then.map_or(Found::Begun, |day| self.allowed(Found::Day(day), day))
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
    pub(super) fn line(&self, digits: &str) -> Found {
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

    pub(super) fn year(&self, parts: &[Number]) -> Year {
        let digits: String = parts.iter().map(|part| part.digits.as_str()).collect();
        let open = parts.last().is_some_and(|last| last.open);
        let said = |year| if open { Year::Open(year) } else { Year::Said(year) };
        let Ok(value) = digits.parse::<i16>() else {
            return if digits.is_empty() { Year::Unsaid } else { Year::Wrong };
        };
        match digits.len() {
            // "nineteen", "twenty": the century.
            2 if (value == 19 || value == 20) && !self.ended => Year::Begun,
            2 => {
                let century = self.today.year() / 100 * 100;
                let recent = self.when == When::Future || century + value <= self.today.year();
                match (recent, open) {
                    // No appointment is so far off: a date of birth.
                    (true, _) if century + value > self.today.year() + MAX_AHEAD => Year::Wrong,
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

    pub(super) fn day(&self, year: Year, month: i8, day: Option<i16>) -> Found {
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

    pub(super) fn allowed(&self, found: Found, day: Date) -> Found {
        match self.when {
            When::Past if day > self.today => Found::Never,
            When::Future if day < self.today => Found::Never,
            When::Past | When::Future | When::Any => found,
        }
    }
}

/// Whether what is said beside a day, as "tomorrow" is one, agrees with it.
pub(super) fn is_of_one_mind(pieces: &[Piece], day: Date) -> bool {
    pieces.iter().all(|piece| match piece {
        Piece::Day(other) => *other == day,
        Piece::Weekday(weekday) => *weekday == i32::from(day.weekday().to_monday_zero_offset()),
        Piece::Month(month) => *month == day.month(),
        Piece::Number(_) | Piece::Next | Piece::Last => true,
        Piece::Vague(_) | Piece::After(_) | Piece::Replace | Piece::Stranger => true,
    })
}

/// Each once.
pub(super) fn weekdays(pieces: &[Piece]) -> Vec<i32> {
    let mut named = Vec::new();
    for piece in pieces {
        if let Piece::Weekday(day) = piece
            && !named.contains(day)
        {
            named.push(*day);
        }
    }
    named
}

pub(super) fn joined(pieces: &[Piece]) -> Vec<Number> {
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
pub(super) fn zero_joined(numbers: &[Number]) -> Vec<Number> {
    let mut joined: Vec<Number> = Vec::new();
    for number in numbers {
        match joined.last_mut() {
            Some(last) if last.digits == "0" && number.digits.len() == 1 => last.digits.push_str(&number.digits),
            _ => joined.push(number.clone()),
        }
    }
    joined
}

const SUNDAY: i32 = 6;
/// Years to come of a year of two digits.
const MAX_AHEAD: i16 = 30;
