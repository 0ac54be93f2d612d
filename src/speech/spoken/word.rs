//! Abbreviations and acronyms.

use super::code::spell;
use super::scan::{Said, Scan, is_dash};

/// "Dr.", "e.g.", "No. 5", "Mon-Fri", "St.", "w/".
pub(super) fn abbreviation(scan: &Scan, at: usize) -> Option<Said> {
    let end = scan.short_run(at, char::is_alphabetic);
    let word = scan.text(at, end);
    let is_dotted = scan.is_char(end, '.');
    let past_dot = if is_dotted { end + 1 } else { end };
    if word == "w" && scan.is_char(end, '/') {
        let (end, words) = if scan.is_char(end + 1, 'o') && scan.is_edge(end + 2) {
            (end + 2, "without")
        } else {
            (end + 1, "with")
        };
        return Some(Said {
            end,
            words: words.to_owned(),
        });
    }
    if !scan.is_edge(end) {
        return None;
    }
    if word.eq_ignore_ascii_case("no") && is_dotted {
        let next = scan.past_space(past_dot);
        return (next > past_dot && scan.is_digit(next)).then(|| Said {
            end: past_dot,
            words: "number".to_owned(),
        });
    }
    if let Some(words) = day(scan, at, end, &word) {
        let is_range = scan.is(end, is_dash) && scan.is(end + 1, char::is_alphabetic);
        let end = if is_range { end + 1 } else { past_dot };
        return Some(Said {
            end,
            words: if is_range {
                format!("{words} to")
            } else {
                words.to_owned()
            },
        });
    }
    let is_title = TITLES.contains(&word.as_str());
    let &(_, name, needs_dot) = ABBREVIATIONS.iter().find(|(short, _, _)| *short == word)?;
    if needs_dot && !is_dotted {
        return None;
    }
    let name = match word.as_str() {
        "St" if is_saint(scan, at, past_dot) => "Saint",
        "Dr" if !is_dotted && !scan.capital_follows(end) => return None,
        _ => name,
    };
    let keeps_stop = is_dotted && !is_title && scan.is_last(past_dot);
    Some(Said {
        end: if keeps_stop { end } else { past_dot },
        words: name.to_owned(),
    })
}

/// "e.g.", "p.m.", "U.S.": letters with dots between.
pub(super) fn dotted_letters(scan: &Scan, at: usize) -> Option<Said> {
    let mut end = at;
    let mut letters = String::new();
    while let Some(letter) = scan
        .get(end)
        .filter(char::is_ascii_alphabetic)
        .filter(|_| scan.is_char(end + 1, '.'))
    {
        letters.push(letter);
        end += 2;
    }
    if letters.len() < 2 || !scan.is_edge(end) {
        return None;
    }
    let mut words = match letters.to_ascii_lowercase().as_str() {
        "eg" => "for example".to_owned(),
        "ie" => "that is".to_owned(),
        _ => spell(&letters),
    };
    if scan.is_last(end) || (scan.capital_follows(end) && matches!(letters.as_str(), "am" | "pm")) {
        words.push('.');
    }
    Some(Said { end, words })
}

/// "MRI", "MRIs", "AM".
pub(super) fn acronym(scan: &Scan, at: usize) -> Option<Said> {
    let end = scan.short_run(at, |c| c.is_ascii_uppercase());
    let word = scan.text(at, end);
    if let Some((_, name)) = ROMAN
        .iter()
        .find(|(roman, _)| *roman == word)
        .filter(|_| scan.is_edge(end))
    {
        return Some(Said {
            end,
            words: (*name).to_owned(),
        });
    }
    if !(2..=4).contains(&word.len()) || is_pronounced(&word) || scan.shouting {
        return None;
    }
    let quote = if scan.is(end, |c| matches!(c, '\'' | '’')) {
        end + 1
    } else {
        end
    };
    if scan.is_char(quote, 's') && scan.is_edge(quote + 1) {
        return Some(Said {
            end: quote + 1,
            words: format!("{}'s", spell(&word)),
        });
    }
    let is_contraction = quote > end && !scan.is_edge(quote);
    (scan.is_edge(end) && !is_contraction).then(|| Said {
        end,
        words: spell(&word),
    })
}

/// Whether people say a word in capitals as a word.
pub(super) fn is_pronounced(word: &str) -> bool {
    PRONOUNCED.contains(&word)
}

/// A day's name; "Sat" and "Sun" are words too, so they need a range next to them.
fn day(scan: &Scan, at: usize, end: usize, word: &str) -> Option<&'static str> {
    let (_, name) = DAYS.iter().find(|(shorts, _)| shorts.contains(&word))?;
    let is_range = scan.is(end, is_dash) || scan.before(at).is_some_and(is_dash);
    (is_range || !matches!(word, "Sat" | "Sun")).then_some(*name)
}

/// "at St. Mary's" is a saint, "123 Main St. Springfield" a street.
fn is_saint(scan: &Scan, at: usize, end: usize) -> bool {
    let follows_name = scan.before(at).is_some_and(char::is_whitespace)
        && scan
            .word_before(at)
            .is_some_and(|(_, word)| word.starts_with(|c: char| c.is_uppercase() || c.is_numeric()));
    scan.capital_follows(end) && !follows_name
}

/// Short form, words, whether it needs its dot to be meant.
const ABBREVIATIONS: &[(&str, &str, bool)] = &[
    ("Dr", "Doctor", false),
    ("Mr", "Mister", false),
    ("Mrs", "Missus", false),
    ("Ms", "Miz", false),
    ("Prof", "Professor", true),
    ("Jr", "Junior", false),
    ("Sr", "Senior", false),
    ("St", "Street", false),
    ("Ave", "Avenue", false),
    ("Blvd", "Boulevard", false),
    ("Rd", "Road", false),
    ("Ln", "Lane", false),
    ("Hwy", "Highway", false),
    ("Apt", "Apartment", false),
    ("apt", "apartment", true),
    ("Ste", "Suite", false),
    ("Mt", "Mount", true),
    ("Inc", "Incorporated", true),
    ("Ltd", "Limited", true),
    ("Corp", "Corporation", true),
    ("Co", "Company", true),
    ("Dept", "Department", false),
    ("dept", "department", false),
    ("appt", "appointment", false),
    ("vs", "versus", false),
    ("etc", "et cetera", false),
    ("approx", "approximately", false),
    ("Approx", "Approximately", false),
    ("ext", "extension", false),
    ("Ext", "Extension", false),
    ("Tel", "telephone", true),
];
/// Always followed by a name, so their dot never ends a sentence.
const TITLES: &[&str] = &["Dr", "Mr", "Mrs", "Ms", "Prof", "Mt"];
const DAYS: &[(&[&str], &str)] = &[
    (&["Mon"], "Monday"),
    (&["Tue", "Tues"], "Tuesday"),
    (&["Wed"], "Wednesday"),
    (&["Thu", "Thur", "Thurs"], "Thursday"),
    (&["Fri"], "Friday"),
    (&["Sat"], "Saturday"),
    (&["Sun"], "Sunday"),
];
const ROMAN: &[(&str, &str)] = &[("II", "two"), ("III", "three")];
/// Acronyms said as words, and the short words people write in capitals for emphasis.
const PRONOUNCED: &[&str] = &[
    "NASA", "PIN", "PINS", "OK", "ZIP", "HIPAA", "COVID", "AIDS", "SIM", "RAM", "NATO", "CHIP", "PET", "CAT", "VIN",
    "NOT", "NOW", "NO", "YES", "ALL", "AND", "OR", "THE", "DO", "IS", "ARE", "YOU", "YOUR", "CAN", "FREE", "NEW",
    "MUST", "ONLY", "CALL", "STOP", "MAY", "WILL", "IN", "ON", "OF", "TO", "FOR", "VERY", "ONE", "BUT",
];
