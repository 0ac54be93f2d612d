//! What may be dialled: hand-overs, calls that we place, text messages. All of it is off until it is named.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::parse::{self, Bad, Reader};
use super::twilio::{e164, mask_digits};

/// Where calls and messages may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// The only numbers that callers are handed over to, E.164; the first is the usual one. Default none.
    pub transfer_numbers: Vec<String>,
    /// Whom we may call. Default nobody.
    pub allow: Vec<Allowed>,
    /// Calls that we place in 24 hours. Default 50.
    pub per_day: u32,
    /// When, by the clock of `time_zone`. Default 08:00 to 20:00.
    pub hours: Hours,
    /// Whose clock, and whose day where an agent's line has no hours of its own. Default UTC.
    pub time_zone: TimeZone,
    /// Whether text messages are sent. Default no.
    pub sms: bool,
    /// Text messages in 24 hours. Default 50.
    pub sms_per_day: u32,
    /// To whom beside the caller, E.164. Default nobody.
    pub sms_numbers: Vec<String>,
}

/// A number that may be called, or all that begin in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Exactly this, E.164.
    Number(String),
    /// All numbers that begin so: `+1212`.
    Prefix(String),
}

/// A part of every day. If it ends before it begins, it goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from: Time,
    to: Time,
}

impl Allowed {
    /// Whether a number is meant by it.
    pub fn holds(&self, number: &str) -> bool {
        match self {
            Self::Number(allowed) => number == allowed,
            Self::Prefix(prefix) => number.starts_with(prefix.as_str()),
        }
    }
}

impl Hours {
    /// Whether a time of day is in it; the end is not.
    pub fn hold(&self, time: Time) -> bool {
        if self.from <= self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

impl Outbound {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            transfer_numbers: reader.optional("TRANSFER_NUMBERS", list(e164)).unwrap_or_default(),
            allow: reader.optional("OUTBOUND_ALLOW", list(allowed)).unwrap_or_default(),
            per_day: reader.or_default("OUTBOUND_PER_DAY", parse::number(0, 1_000_000)),
            hours: reader.or_default("OUTBOUND_HOURS", hours),
            time_zone: reader.or_default("TIME_ZONE", time_zone),
            sms: reader.or_default("SMS", parse::on_or_off),
            sms_per_day: reader.or_default("SMS_PER_DAY", parse::number(0, 1_000_000)),
            sms_numbers: reader.optional("SMS_NUMBERS", list(e164)).unwrap_or_default(),
        }
    }

    /// Whether anything is allowed that needs the carrier's API.
    pub fn is_wanted(&self) -> bool {
        self.sms || !self.transfer_numbers.is_empty() || !self.allow.is_empty()
    }

    /// Whether it is an hour for calls.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let local: civil::DateTime = now.to_zoned(self.time_zone.clone()).datetime();
        self.hours.hold(local.time())
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let numbers = |list: &[String]| {
            let shown: Vec<String> = list.iter().map(|number| mask_digits(number)).collect();
            if shown.is_empty() {
                "none".to_owned()
            } else {
                shown.join(",")
            }
        };
        let allow: Vec<String> = self
            .allow
            .iter()
            .map(|allowed| match allowed {
                Allowed::Number(number) => mask_digits(number),
                Allowed::Prefix(prefix) => format!("{prefix}*"),
            })
            .collect();
        let Hours { from, to } = self.hours;
        lines.extend([
            ("TRANSFER_NUMBERS", numbers(&self.transfer_numbers)),
            (
                "OUTBOUND_ALLOW",
                if allow.is_empty() {
                    "none".to_owned()
                } else {
                    allow.join(",")
                },
            ),
            ("OUTBOUND_PER_DAY", self.per_day.to_string()),
            (
                "OUTBOUND_HOURS",
                format!("{}-{}", from.strftime("%H:%M"), to.strftime("%H:%M")),
            ),
            ("TIME_ZONE", self.time_zone.iana_name().unwrap_or("UTC").to_owned()),
            ("SMS", if self.sms { "on" } else { "off" }.to_owned()),
            ("SMS_PER_DAY", self.sms_per_day.to_string()),
            ("SMS_NUMBERS", numbers(&self.sms_numbers)),
        ]);
    }
}

/// Several of something, separated by commas.
fn list<T>(one: impl Fn(&str) -> Result<T, Bad>) -> impl Fn(&str) -> Result<Vec<T>, Bad> {
    move |value| value.split(',').map(|item| one(item.trim())).collect()
}

fn allowed(value: &str) -> Result<Allowed, Bad> {
    let Some(prefix) = value.strip_suffix('*') else {
        return e164(value).map(Allowed::Number);
    };
    let digits = prefix.strip_prefix('+').unwrap_or_default();
    // A country code at least: "+*" would be everybody.
    let good = (1..=14).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if good && !digits.starts_with('0') {
        Ok(Allowed::Prefix(prefix.to_owned()))
    } else {
        Err(
            Bad::new("numbers in E.164 form, or how they begin with * behind it, separated by commas")
                .example("+1212*,+15551234567")
                .shown_as(format!("{:?}", mask_digits(value))),
        )
    }
}

fn hours(value: &str) -> Result<Hours, Bad> {
    let time = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        let good = hour.len() == 2 && minute.len() == 2;
        Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0)
            .ok()
            .filter(|_| good)
    };
    let hours = value.split_once('-').and_then(|(from, to)| {
        Some(Hours {
            from: time(from.trim())?,
            to: time(to.trim())?,
        })
    });
    hours
        .filter(|hours| hours.from != hours.to)
        .ok_or_else(|| Bad::new("two different times of day, HH:MM-HH:MM"))
}

fn time_zone(value: &str) -> Result<TimeZone, Bad> {
    if value == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(value).map_err(|_| Bad::new("the name of a time zone").example("America/New_York"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_called_is_named() {
        let list = list(allowed)("+1212*, +15551234567").expect("good");
        for (number, holds) in [
            ("+12125550100", true),
            ("+15551234567", true),
            ("+155512345678", false),
            ("+1555123456", false),
            ("+19005550100", false),
        ] {
            assert_eq!(list.iter().any(|allowed| allowed.holds(number)), holds, "{number}");
        }
        for bad in ["*", "+*", "1212*", "+0*", "+12a*", "", "+1212**", "+1 212*"] {
            assert!(allowed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_are_those_of_the_place() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a timestamp");
        let outbound = |hours_text: &str, zone: &str| Outbound {
            transfer_numbers: Vec::new(),
            allow: Vec::new(),
            per_day: 1,
            hours: hours(hours_text).expect("hours"),
            time_zone: time_zone(zone).expect("a zone"),
            sms: false,
            sms_per_day: 1,
            sms_numbers: Vec::new(),
        };
        let day = outbound("08:00-20:00", "America/New_York");
        // In winter New York is five hours behind, in summer four.
        for (now, open) in [
            ("2026-01-15T12:59:59Z", false),
            ("2026-01-15T13:00:00Z", true),
            ("2026-01-16T00:59:59Z", true),
            ("2026-01-16T01:00:00Z", false),
            ("2026-07-15T12:00:00Z", true),
            ("2026-07-15T11:59:59Z", false),
        ] {
            assert_eq!(day.is_open(at(now)), open, "{now}");
        }
        let night = outbound("22:00-06:00", "UTC");
        assert!(night.is_open(at("2026-01-15T23:00:00Z")) && night.is_open(at("2026-01-15T05:59:00Z")));
        assert!(!night.is_open(at("2026-01-15T06:00:00Z")));
        for bad in [
            "8-20",
            "08:00",
            "08:00-08:00",
            "25:00-26:00",
            "8:00-20:00",
            "08:00-20:60",
        ] {
            assert!(hours(bad).is_err(), "{bad}");
        }
        assert!(time_zone("Mars/Olympus").is_err());
    }
}
