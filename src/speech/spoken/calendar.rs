//! Dates and times of day.

use super::number::{cardinal, decade, ordinal, year};
use super::scan::{Said, Scan, is_blank, is_dash};

/// "1985-03-15", "3/15/1985", "3/15/85", "3/15".
pub(super) fn numeric_date(scan: &Scan, at: usize) -> Option<Said> {
    let first_end = scan.digits(at);
    let mark = scan.get(first_end).filter(|c| matches!(c, '-' | '/'))?;
    let second_end = scan.digits(first_end + 1);
    let first = scan.value(at, first_end)?;
    let second = scan.value(first_end + 1, second_end)?;
    if second_end - first_end > 3 {
        return None;
    }
    if !scan.is_char(second_end, mark) {
        let is_plain = mark == '/' && is_end(scan, second_end);
        let words = month_day(first, second).filter(|_| is_plain)?;
        return Some(Said { end: second_end, words });
    }
    let third_end = scan.digits(second_end + 1);
    let third = scan.value(second_end + 1, third_end)?;
    if !is_end(scan, third_end) {
        return None;
    }
    let words = match (first_end - at, third_end - second_end - 1) {
        (4, 1 | 2) => format!("{}, {}", month_day(second, third)?, year(first)),
        (1 | 2, 4) => format!(
            "{}, {}",
            month_day(first, second).or_else(|| month_day(second, first))?,
            year(third)
        ),
        // "10-11-12" may be any code.
        (1 | 2, 2) if mark == '/' => {
            let short_year = if third < 10 {
                format!("oh {}", cardinal(third))
            } else {
                cardinal(third)
            };
            format!(
                "{}, {short_year}",
                month_day(first, second).or_else(|| month_day(second, first))?
            )
        }
        _ => return None,
    };
    Some(Said { end: third_end, words })
}

/// "March 15, 1985", "Mar. 15th", "March 3-5", "March 1985".
pub(super) fn named_date(scan: &Scan, at: usize) -> Option<Said> {
    let name_end = scan.short_run(at, |c| c.is_ascii_alphabetic());
    let name = scan.text(at, name_end);
    let (full, is_short) = MONTHS.iter().find_map(|(full, shorts)| {
        (*full == name)
            .then_some((*full, false))
            .or_else(|| shorts.contains(&name.as_str()).then_some((*full, true)))
    })?;
    let gap = if is_short && scan.is_char(name_end, '.') {
        name_end + 1
    } else {
        name_end
    };
    if !scan.is(gap, is_blank) || !scan.is_digit(gap + 1) {
        return None;
    }
    let day_end = scan.digits(gap + 1);
    let day = scan.value(gap + 1, day_end)?;
    if day_end - gap - 1 == 4 {
        let words = format!("{full} {}", year(day));
        return is_end(scan, day_end).then_some(Said { end: day_end, words });
    }
    if !(1..=31).contains(&day) {
        return None;
    }
    let mut words = format!("{full} {}", ordinal(day));
    let mut end = ordinal_suffix(scan, day_end).unwrap_or(day_end);
    if scan.is(end, is_dash) {
        let last_end = scan.digits(end + 1);
        let last = scan.value(end + 1, last_end).filter(|last| (day..=31).contains(last))?;
        words.push_str(&format!(" to {}", ordinal(last)));
        end = ordinal_suffix(scan, last_end).unwrap_or(last_end);
    }
    if !is_end(scan, end) || scan.is_char(end, ':') || scan.is_char(end, '%') {
        return None;
    }
    let year_at = scan.past_space(if scan.is_char(end, ',') { end + 1 } else { end });
    let year_end = scan.digits(year_at);
    if year_at > end
        && year_end - year_at == 4
        && is_end(scan, year_end)
        && let Some(value) = scan.value(year_at, year_end)
    {
        words.push_str(&format!(", {}", year(value)));
        end = year_end;
    }
    Some(Said { end, words })
}

/// "9:30 AM", "17:00", "9am", "5 p.m.".
pub(super) fn clock(scan: &Scan, at: usize) -> Option<Said> {
    let hour_end = scan.digits(at);
    let hour = scan
        .value(at, hour_end)
        .filter(|hour| *hour <= 24 && hour_end - at <= 2)?;
    let Some(minute) = two_digits_after_colon(scan, hour_end) else {
        let (end, half) = meridiem(scan, hour_end)?;
        let words = format!("{} {half}", cardinal(hour));
        return (1..=12).contains(&hour).then_some(Said { end, words });
    };
    let minute_end = hour_end + 3;
    let second = two_digits_after_colon(scan, minute_end);
    let end = if second.is_some() { minute_end + 3 } else { minute_end };
    if !scan.is_char(end, ':') && (scan.is_edge(end) || meridiem(scan, end).is_some()) {
        let (end, half) = match meridiem(scan, end) {
            Some((end, half)) => (end, half),
            None if (13..24).contains(&hour) => (end, "P M".to_owned()),
            None if hour == 0 || hour == 24 => (end, "A M".to_owned()),
            None => (end, String::new()),
        };
        let hour = cardinal(if hour % 12 == 0 { 12 } else { hour % 12 });
        let mut words = match minute {
            0 if half.is_empty() && second.is_none() => format!("{hour} o'clock"),
            0 => hour,
            1..=9 => format!("{hour} oh {}", cardinal(minute)),
            _ => format!("{hour} {}", cardinal(minute)),
        };
        if let Some(second) = second.filter(|second| *second > 0) {
            words.push_str(&format!(" and {} seconds", cardinal(second)));
        }
        if !half.is_empty() {
            words.push_str(&format!(" {half}"));
        }
        return Some(Said { end, words });
    }
    None
}

/// "1st", "22nd".
pub(super) fn ordinal_number(scan: &Scan, at: usize) -> Option<Said> {
    let digits_end = scan.digits(at);
    let end = ordinal_suffix(scan, digits_end)?;
    Some(Said {
        end,
        words: ordinal(scan.value(at, digits_end)?),
    })
}

/// "1980s", "80s".
pub(super) fn decade_number(scan: &Scan, at: usize) -> Option<Said> {
    let end = scan.digits(at);
    let value = scan
        .value(at, end)
        .filter(|value| matches!(end - at, 2 | 4) && value % 10 == 0 && *value > 0)?;
    (scan.is_char(end, 's') && scan.is_edge(end + 1)).then(|| Said {
        end: end + 1,
        words: decade(value),
    })
}

/// " AM", "p.m." after a number; its last dot stays if it also ends the sentence.
fn meridiem(scan: &Scan, at: usize) -> Option<(usize, String)> {
    let start = scan.past_space(at);
    let half = scan
        .get(start)
        .map(|c| c.to_ascii_uppercase())
        .filter(|c| matches!(c, 'A' | 'P'))?;
    let dotted = scan.is_char(start + 1, '.');
    let m = if dotted { start + 2 } else { start + 1 };
    if !scan.is(m, |c| c.eq_ignore_ascii_case(&'m')) || !scan.is_edge(m + 1) {
        return None;
    }
    let stop = dotted && scan.is_char(m + 1, '.');
    let end = if stop { m + 2 } else { m + 1 };
    let keeps_stop = stop && (scan.is_last(end) || scan.capital_follows(end));
    Some((end, format!("{half} M{}", if keeps_stop { "." } else { "" })))
}

fn two_digits_after_colon(scan: &Scan, at: usize) -> Option<u64> {
    let is_pair = scan.is_char(at, ':') && scan.digits(at + 1) == at + 3;
    scan.value(at + 1, at + 3).filter(|value| is_pair && *value < 60)
}

fn ordinal_suffix(scan: &Scan, at: usize) -> Option<usize> {
    let suffix = scan.text(at, at + 2).to_ascii_lowercase();
    (matches!(suffix.as_str(), "st" | "nd" | "rd" | "th") && scan.is_edge(at + 2)).then_some(at + 2)
}

fn month_day(month: u64, day: u64) -> Option<String> {
    let (name, _) = MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    (1..=31).contains(&day).then(|| format!("{name} {}", ordinal(day)))
}

/// Whether a date may end here: no word and no longer number goes on.
fn is_end(scan: &Scan, at: usize) -> bool {
    let goes_on = scan.is(at, |c| is_dash(c) || matches!(c, '/' | '.' | ',')) && scan.is_digit(at + 1);
    scan.is_edge(at) && !goes_on
}

/// Name and short forms; "May" has none.
const MONTHS: &[(&str, &[&str])] = &[
    ("January", &["Jan"]),
    ("February", &["Feb"]),
    ("March", &["Mar"]),
    ("April", &["Apr"]),
    ("May", &[]),
    ("June", &["Jun"]),
    ("July", &["Jul"]),
    ("August", &["Aug"]),
    ("September", &["Sep", "Sept"]),
    ("October", &["Oct"]),
    ("November", &["Nov"]),
    ("December", &["Dec"]),
];
