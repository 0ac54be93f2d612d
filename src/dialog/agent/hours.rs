//! When a line is open: `[line.hours]`.
//!
//! What counts is the clock on the wall of the line's time zone. Where daylight saving time skips an hour, it is skipped here; where an
//! hour comes twice, the line is open in both or in neither.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use super::line::Way;

/// Opening hours of a line, and what callers get outside them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// By its IANA name, such as `America/New_York`.
    #[serde(deserialize_with = "time_zone")]
    pub time_zone: TimeZone,
    /// Days with their times; a day that is not named is closed.
    pub open: Vec<Opening>,
    /// Days on which other times hold, or none: whole days of the calendar, also where the evening before goes on past midnight.
    #[serde(default)]
    pub holidays: Vec<Holiday>,
    /// What follows the closed message. Default: goodbye.
    #[serde(default)]
    pub then: Way,
}

/// Some days of the week, and when they are open: `mon-fri 09:00-12:00 13:00-17:00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    days: Vec<Weekday>,
    spans: Vec<Span>,
}

/// A day that is unlike others of its weekday: `2026-11-26`, or `12-25` in every year; times may follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holiday {
    year: Option<i16>,
    month: i8,
    day: i8,
    spans: Vec<Span>,
}

/// Minutes of a day, the last one not included. One that ends before it begins goes on past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: u16,
    to: u16,
}

impl Hours {
    /// Whether the line is open.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let local = at.to_zoned(self.time_zone.clone()).datetime();
        let (date, minute) = (local.date(), minute(local.hour(), local.minute()));
        if self.spans(date).any(|span| span.holds(minute)) {
            return true;
        }
        let before = date.yesterday().ok().filter(|_| self.holiday(date).is_none());
        before.is_some_and(|date| self.spans(date).any(|span| span.spills(minute)))
    }

    /// The times that begin on a day.
    fn spans(&self, date: Date) -> impl Iterator<Item = Span> {
        let holiday = self.holiday(date);
        let usual = self.open.iter().filter(move |opening| {
            let weekday = date.weekday();
            holiday.is_none() && opening.days.contains(&weekday)
        });
        let usual = usual.flat_map(|opening| &opening.spans);
        holiday
            .into_iter()
            .flat_map(|holiday| &holiday.spans)
            .chain(usual)
            .copied()
    }

    /// Of two for one day that of the year counts.
    fn holiday(&self, date: Date) -> Option<&Holiday> {
        let on_it = |holiday: &&Holiday| {
            (holiday.month, holiday.day) == (date.month(), date.day())
                && holiday.year.is_none_or(|year| year == date.year())
        };
        let found = self.holidays.iter().filter(on_it);
        found.max_by_key(|holiday| holiday.year.is_some())
    }
}

impl Span {
    /// On the day on which it begins.
    fn holds(self, minute: u16) -> bool {
        minute >= self.from && (minute < self.to || self.to <= self.from)
    }

    /// On the day after it.
    fn spills(self, minute: u16) -> bool {
        self.to <= self.from && minute < self.to
    }

    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let span = Self {
            from: clock(from)?,
            to: clock(to)?,
        };
        (span.from < DAY && span.from != span.to).then_some(span)
    }
}

impl Opening {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let mut days = Vec::new();
        for part in words.next()?.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut day, last) = (weekday(first)?, weekday(last)?);
            while day != last {
                days.push(day);
                day = day.next();
            }
            days.push(last);
        }
        let spans: Vec<Span> = words.map(Span::parse).collect::<Option<_>>()?;
        (!spans.is_empty()).then_some(Self { days, spans })
    }
}

impl Holiday {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let day = words.next()?;
        let spans = words.map(Span::parse).collect::<Option<_>>()?;
        let mut parts = day.split('-').rev();
        let (date, month) = (parts.next()?, parts.next()?);
        let year = match parts.next() {
            Some(year) => Some(number(year, 4)?),
            None => None,
        };
        if parts.next().is_some() {
            return None;
        }
        let (month, date) = (number(month, 2)?, number(date, 2)?);
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(date).ok()?);
        let year = year.map(i16::try_from).transpose().ok()?;
        // A leap year: the 29th of February comes in some years only.
        Date::new(year.unwrap_or(LEAP_YEAR), month, day).ok()?;
        Some(Self {
            year,
            month,
            day,
            spans,
        })
    }
}

impl<'de> Deserialize<'de> for Opening {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is not an opening time: expected days (mon tue wed thu fri sat sun) and times, such as \
                 \"mon-fri 09:00-12:00 13:00-17:00\"; all day is 00:00-24:00, past midnight 22:00-02:00"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Holiday {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "{text:?} is not a holiday: expected year-month-day, or month-day for every year, perhaps with times, such as \
                 \"2026-11-26\", \"12-25\" or \"12-24 09:00-12:00\""
            ))
        })
    }
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let text = String::deserialize(deserializer)?;
    // Names are no paths, and "EST" would never change its clocks.
    let named = text.contains('/') || text == "UTC";
    TimeZone::get(&text).ok().filter(|_| named).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "{text:?} is not a time zone: expected an IANA name, such as America/New_York, Europe/Madrid or UTC"
        ))
    })
}

fn weekday(text: &str) -> Option<Weekday> {
    let place = DAYS.iter().position(|day| *day == text)?;
    Weekday::from_monday_zero_offset(i8::try_from(place).ok()?).ok()
}

/// `9:30` or `09:30`, up to `24:00`.
fn clock(text: &str) -> Option<u16> {
    let (hour, past) = text.split_once(':')?;
    let hour = number(hour, 2).or_else(|| number(hour, 1))?;
    let past = number(past, 2).filter(|past| *past < 60)?;
    Some(hour * 60 + past).filter(|minute| *minute <= DAY)
}

/// A number of so many digits.
fn number(text: &str, digits: usize) -> Option<u16> {
    let good = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

fn minute(hour: i8, minute: i8) -> u16 {
    u16::from(hour.unsigned_abs()) * 60 + u16::from(minute.unsigned_abs())
}

const DAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// In minutes.
const DAY: u16 = 24 * 60;
const LEAP_YEAR: i16 = 2024;

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(zone: &str, open: &str, holidays: &str) -> Hours {
        let text = format!("time_zone = {zone:?}\nopen = [{open}]\nholidays = [{holidays}]\n");
        toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn check(hours: &Hours, cases: &[(&str, bool)]) {
        for (at, open) in cases {
            let when: Timestamp = at.parse().unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(hours.is_open(when), *open, "{at}");
        }
    }

    #[test]
    fn days_and_times_are_those_of_the_zone() {
        // 2026-11-20 is a Friday; New York is at -05:00 then.
        let week = hours(
            "America/New_York",
            r#""mon-fri 9:00-12:00 13:00-17:30", "sun,wed 20:00-21:00""#,
            "",
        );
        check(
            &week,
            &[
                ("2026-11-20T13:59:59Z", false),
                ("2026-11-20T14:00:00Z", true),
                ("2026-11-20T16:59:59Z", true),
                ("2026-11-20T17:00:00Z", false),
                ("2026-11-20T18:00:00Z", true),
                ("2026-11-20T22:29:59Z", true),
                ("2026-11-20T22:30:00Z", false),
                ("2026-11-21T15:00:00Z", false),
                // Sunday there, Monday in UTC.
                ("2026-11-23T01:30:00Z", true),
                ("2026-11-22T15:00:00Z", false),
                ("2026-11-26T01:30:00Z", true),
            ],
        );
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let night = hours("UTC", r#""fri 22:00-02:00", "sun 00:00-24:00""#, "");
        check(
            &night,
            &[
                ("2026-11-20T21:59:00Z", false),
                ("2026-11-20T22:00:00Z", true),
                ("2026-11-21T01:59:00Z", true),
                ("2026-11-21T02:00:00Z", false),
                ("2026-11-20T01:00:00Z", false),
                ("2026-11-21T23:59:59Z", false),
                ("2026-11-22T00:00:00Z", true),
                ("2026-11-22T23:59:59Z", true),
                ("2026-11-23T00:00:00Z", false),
            ],
        );
        // From Sunday into Monday, over the end of the list of days.
        let around = hours("UTC", r#""sat-mon 23:00-01:00""#, "");
        check(
            &around,
            &[
                ("2026-11-23T00:30:00Z", true),
                ("2026-11-24T00:30:00Z", true),
                ("2026-11-25T00:30:00Z", false),
                ("2026-11-21T00:30:00Z", false),
            ],
        );
    }

    #[test]
    fn daylight_saving_time_moves_the_hours_with_the_wall_clock() {
        // On 2026-03-08 New York goes from 02:00 to 03:00, on 2026-11-01 from 02:00 back to 01:00.
        let day = hours("America/New_York", r#""mon-sun 09:00-17:00""#, "");
        check(
            &day,
            &[
                ("2026-03-07T14:00:00Z", true),
                ("2026-03-07T13:59:00Z", false),
                ("2026-03-08T13:00:00Z", true),
                ("2026-03-08T12:59:00Z", false),
                ("2026-11-01T13:30:00Z", false),
                ("2026-11-01T14:00:00Z", true),
            ],
        );
        let skipped = hours("America/New_York", r#""sun 02:15-02:45""#, "");
        check(
            &skipped,
            &[
                ("2026-03-08T06:59:59Z", false),
                ("2026-03-08T07:00:00Z", false),
                ("2026-03-15T06:30:00Z", true),
            ],
        );
        let twice = hours("America/New_York", r#""sun 01:00-02:00""#, "");
        check(
            &twice,
            &[
                ("2026-11-01T04:59:00Z", false),
                ("2026-11-01T05:30:00Z", true),
                ("2026-11-01T06:30:00Z", true),
                ("2026-11-01T07:00:00Z", false),
            ],
        );
        let through = hours("America/New_York", r#""sat 22:00-04:00""#, "");
        check(
            &through,
            &[
                ("2026-03-08T07:59:00Z", true),
                ("2026-03-08T08:00:00Z", false),
                ("2026-11-01T08:59:00Z", true),
            ],
        );
    }

    #[test]
    fn holidays_are_whole_days_of_the_calendar() {
        let always = r#""mon-sun 00:00-24:00""#;
        let days = hours(
            "Europe/Madrid",
            always,
            r#""12-25", "2026-11-26", "12-24 09:00-12:00", "2027-12-24", "02-29""#,
        );
        check(
            &days,
            &[
                ("2026-12-24T22:59:00Z", false),
                ("2026-12-24T08:00:00Z", true),
                ("2026-12-24T11:00:00Z", false),
                ("2026-12-24T23:00:00Z", false),
                ("2026-12-25T22:59:00Z", false),
                ("2026-12-25T23:00:00Z", true),
                ("2026-11-25T22:59:00Z", true),
                ("2026-11-25T23:00:00Z", false),
                ("2027-11-26T12:00:00Z", true),
                ("2027-12-25T12:00:00Z", false),
                // The year's own entry counts.
                ("2027-12-24T09:00:00Z", false),
                ("2028-02-29T12:00:00Z", false),
                ("2027-03-01T12:00:00Z", true),
            ],
        );
        let nights = hours("UTC", r#""mon-sun 22:00-02:00""#, r#""12-25", "12-31 20:00-03:00""#);
        check(
            &nights,
            &[
                ("2026-12-24T23:00:00Z", true),
                ("2026-12-25T01:00:00Z", false),
                ("2026-12-25T23:00:00Z", false),
                ("2026-12-26T01:00:00Z", false),
                ("2026-12-26T22:00:00Z", true),
                ("2026-12-31T20:30:00Z", true),
                ("2027-01-01T02:30:00Z", true),
                ("2027-01-02T02:30:00Z", false),
                // A holiday takes no part of the night before.
                ("2026-12-31T01:00:00Z", false),
            ],
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "mon",
            "09:00-17:00",
            "mon 9-17",
            "mon 09:00",
            "mon 09:00-09:00",
            "mon 24:00-02:00",
            "mon 09:60-10:00",
            "mon 009:00-10:00",
            "mon 10:00-24:01",
            "Mon 09:00-17:00",
            "mon- 09:00-17:00",
            "mon,,tue 09:00-17:00",
            "mon-tue-wed 09:00-17:00",
            "mon +9:00-17:00",
            "",
        ] {
            assert_eq!(Opening::parse(bad), None, "{bad}");
        }
        for bad in [
            "",
            "25",
            "12-32",
            "13-01",
            "2026-02-29",
            "26-11-26",
            "2026-11-26-1",
            "12-5",
            "12-25 9-10",
            "christmas",
        ] {
            assert_eq!(Holiday::parse(bad), None, "{bad}");
        }
    }
}
