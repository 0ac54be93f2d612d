//! Amounts: money, percentages, units, fractions, decimals, plain numbers.

use super::number::{cardinal, digits, grouped_digits, ordinal, year};
use super::scan::{Said, Scan, is_blank, is_dash};

/// A written number: "1,050.25" has the digits "1050" and the fraction "25".
struct Number {
    end: usize,
    digits: String,
    is_grouped: bool,
    /// The digits after each point; more than one in a version or an IP address.
    fractions: Vec<String>,
}

impl Number {
    fn read(scan: &Scan, at: usize) -> Option<Self> {
        let mut end = scan.digits(at);
        let mut digits = scan.text(at, end);
        let mut is_grouped = false;
        while (1..=3).contains(&(end - at)) || is_grouped {
            let is_group = scan.is_char(end, ',') && scan.short_run(end + 1, |c| c.is_ascii_digit()) == end + 4;
            if !is_group {
                break;
            }
            digits.push_str(&scan.text(end + 1, end + 4));
            end += 4;
            is_grouped = true;
        }
        let mut fractions = Vec::new();
        while scan.is_char(end, '.') && scan.is_digit(end + 1) {
            let fraction_end = scan.digits(end + 1);
            fractions.push(scan.text(end + 1, fraction_end));
            end = fraction_end;
        }
        (!digits.is_empty() || !fractions.is_empty()).then_some(Self {
            end,
            digits,
            is_grouped,
            fractions,
        })
    }

    fn value(&self) -> Option<u64> {
        self.digits
            .parse()
            .ok()
            .filter(|_| self.digits.len() <= MAX_WORD_DIGITS)
    }

    fn is_one(&self) -> bool {
        self.digits == "1" && self.fractions.is_empty()
    }

    fn words(&self) -> String {
        let mut words = match self.value() {
            Some(value) => cardinal(value),
            None => grouped_digits(&self.digits),
        };
        if self.digits.is_empty() {
            words.clear();
        }
        for fraction in &self.fractions {
            words.push_str(" point ");
            words.push_str(&digits(fraction));
        }
        words.trim_start().to_owned()
    }
}

/// "$1,050", "$12.05", "€20", "$5-10", "$1.5 million", "20 €".
pub(super) fn money(scan: &Scan, at: usize) -> Option<Said> {
    let symbol = scan.get(at)?;
    let Some(currency) = currency(symbol) else {
        let number = Number::read(scan, at)?;
        let symbol_at = scan.past_space(number.end);
        let currency = currency(scan.get(symbol_at)?)?;
        let is_price = !scan.is_digit(symbol_at + 1);
        return is_price.then(|| Said {
            end: symbol_at + 1,
            words: price(&number, currency),
        });
    };
    let minus = scan.is(at + 1, is_dash);
    let number = Number::read(scan, if minus { at + 2 } else { scan.past_space(at + 1) })?;
    let sign = if minus { "minus " } else { "" };
    let mut end = number.end;
    let mut words = price(&number, currency);
    if let Some((scale_end, scale)) = scale(scan, end) {
        end = scale_end;
        words = format!("{} {scale} {}", number.words(), currency.many);
    } else if scan.is(end, is_dash) && scan.is_digit(end + 1) {
        let last = Number::read(scan, end + 1)?;
        end = last.end;
        words = format!("{} to {} {}", number.words(), last.words(), currency.many);
    }
    Some(Said {
        end,
        words: format!("{sign}{words}"),
    })
}

/// "1/2", "2 3/4", "120/80", "24/7", "½".
pub(super) fn fraction(scan: &Scan, at: usize) -> Option<Said> {
    if let Some((_, words)) = VULGAR.iter().find(|(c, _)| scan.is_char(at, *c)) {
        return Some(Said {
            end: at + 1,
            words: (*words).to_owned(),
        });
    }
    let first_end = scan.digits(at);
    let first = scan.value(at, first_end)?;
    if scan.is(first_end, is_blank) && scan.is_digit(first_end + 1) {
        let (end, words) = proper_fraction(scan, first_end + 1)?;
        return Some(Said {
            end,
            words: format!("{} and {words}", cardinal(first)),
        });
    }
    let (end, words) = proper_fraction(scan, at)?;
    (scan.is_part(end) || !is_dated(scan, at)).then_some(Said { end, words })
}

/// "on 1/3", "Monday, 1/3", "from 1/3 to 1/4": days, whatever else the figures could be.
fn is_dated(scan: &Scan, at: usize) -> bool {
    let after_day_word = |at: usize| {
        let before = scan.word_before(at);
        before.is_some_and(|(_, word)| BEFORE_DATE.contains(&word.to_lowercase().as_str()))
    };
    let starts_range = || {
        let (to, _) = scan.word_before(at).filter(|(_, word)| word == "to")?;
        let (second, _) = scan.word_before(to)?;
        let (first, _) = scan.word_before(second).filter(|_| scan.before(second) == Some('/'))?;
        Some(after_day_word(first))
    };
    after_day_word(at) || starts_range() == Some(true)
}

/// "120/80" as a ratio, once nothing better fits; "24/7" is an idiom.
pub(super) fn ratio(scan: &Scan, at: usize) -> Option<Said> {
    let first_end = scan.digits(at);
    let second_end = scan.digits(first_end + 1);
    let first = scan.value(at, first_end)?;
    let second = scan.value(first_end + 1, second_end)?;
    if !scan.is_char(first_end, '/') || !scan.is_edge(second_end) {
        return None;
    }
    let between = if (first, second) == (24, 7) { " " } else { " over " };
    Some(Said {
        end: second_end,
        words: format!("{}{between}{}", cardinal(first), cardinal(second)),
    })
}

/// "20%", "5mg", "98.6°F", "5k".
pub(super) fn measured(scan: &Scan, at: usize) -> Option<Said> {
    let number = Number::read(scan, at)?;
    let end = number.end;
    let after = scan.past_space(end);
    if scan.is_char(after, '%') {
        return Some(Said {
            end: after + 1,
            words: format!("{} percent", number.words()),
        });
    }
    if scan.is_char(after, '°') {
        let (degrees_end, scale) = match scan.get(after + 1).filter(|_| scan.is_edge(after + 2)) {
            Some('F') => (after + 2, " Fahrenheit"),
            Some('C') => (after + 2, " Celsius"),
            _ => (after + 1, ""),
        };
        return Some(Said {
            end: degrees_end,
            words: format!("{} degrees{scale}", number.words()),
        });
    }
    if let Some((unit_end, unit)) = unit(scan, after, number.is_one()) {
        return Some(Said {
            end: unit_end,
            words: format!("{} {unit}", number.words()),
        });
    }
    if scan.is_char(end, 'k') && scan.is_edge(end + 1) {
        return Some(Said {
            end: end + 1,
            words: format!("{} thousand", number.words()),
        });
    }
    None
}

/// "3.5", "1,234", "42", "1985", "48213".
pub(super) fn number(scan: &Scan, at: usize) -> Option<Said> {
    let number = Number::read(scan, at).map(|number| {
        if scan.is_edge(number.end) {
            number
        } else {
            whole(scan, at)
        }
    })?;
    scan.is_edge(number.end).then(|| Said {
        end: number.end,
        words: plain_words(scan, at, &number),
    })
}

/// The first digits alone, where what follows the comma or the point turned out to be no number ("1.5a").
fn whole(scan: &Scan, at: usize) -> Number {
    let end = scan.digits(at);
    Number {
        end,
        digits: scan.text(at, end),
        is_grouped: false,
        fractions: Vec::new(),
    }
}

/// A number without unit: an amount, a year, or digits to read out.
fn plain_words(scan: &Scan, at: usize, number: &Number) -> String {
    if number.is_grouped || !number.fractions.is_empty() {
        return number.words();
    }
    let text = &number.digits;
    let is_code = text.len() >= 5 || (text.len() >= 2 && text.starts_with('0')) || EMERGENCY.contains(&text.as_str());
    if is_code || (text.len() >= 3 && follows_code_word(scan, at)) {
        return grouped_digits(text);
    }
    match number.value() {
        Some(value @ 1100..=2099) => year(value),
        Some(_) | None => number.words(),
    }
}

/// "ending in 4821", "PIN 4821", "code is 4821".
fn follows_code_word(scan: &Scan, at: usize) -> bool {
    let is_code = |word: &str| CODE_WORDS.contains(&word.to_lowercase().as_str());
    let Some((start, word)) = scan.word_before(at) else {
        return false;
    };
    is_code(&word)
        || (matches!(word.as_str(), "is" | "in" | "was")
            && scan.word_before(start).is_some_and(|(_, word)| is_code(&word)))
}

fn proper_fraction(scan: &Scan, at: usize) -> Option<(usize, String)> {
    let first_end = scan.digits(at);
    let second_end = scan.digits(first_end + 1);
    let over = scan.value(at, first_end)?;
    let under = scan
        .value(first_end + 1, second_end)
        .filter(|under| [2, 3, 4, 8].contains(under))?;
    let goes_on = scan.is(second_end, |c| matches!(c, '/' | '-' | '.')) && scan.is_digit(second_end + 1);
    if !scan.is_char(first_end, '/') || over == 0 || over >= under || goes_on || !scan.is_edge(second_end) {
        return None;
    }
    let part = match under {
        2 => "half".to_owned(),
        4 => "quarter".to_owned(),
        _ => ordinal(under),
    };
    Some((
        second_end,
        format!("{} {part}{}", cardinal(over), if over == 1 { "" } else { "s" }),
    ))
}

fn price(number: &Number, currency: &Currency) -> String {
    let whole = number.value();
    let [cents] = number.fractions.as_slice() else {
        let unit = if number.is_one() { currency.one } else { currency.many };
        return format!("{} {unit}", number.words());
    };
    let Some(cents) = cents.parse::<u64>().ok().filter(|_| cents.len() == 2) else {
        return format!("{} {}", number.words(), currency.many);
    };
    let minor = if cents == 1 {
        currency.minor_one
    } else {
        currency.minor_many
    };
    let minor = format!("{} {minor}", cardinal(cents));
    let unit = if whole == Some(1) { currency.one } else { currency.many };
    let major = whole.map_or_else(|| grouped_digits(&number.digits), cardinal);
    match (whole.unwrap_or_else(|| u64::from(!number.digits.is_empty())), cents) {
        (_, 0) => format!("{major} {unit}"),
        (0, _) => minor,
        _ => format!("{major} {unit} and {minor}"),
    }
}

/// " million", "K" after a price.
fn scale(scan: &Scan, at: usize) -> Option<(usize, &'static str)> {
    let start = scan.past_space(at);
    let end = scan.short_run(start, char::is_alphabetic);
    let word = scan.text(start, end);
    let (_, name) = SCALES
        .iter()
        .find(|(short, name)| *name == word || (start == at && short.contains(&word.as_str())))?;
    scan.is_edge(end).then_some((end, *name))
}

fn unit(scan: &Scan, at: usize, is_one: bool) -> Option<(usize, &'static str)> {
    let end = scan.short_run(at, |c| c.is_ascii_alphabetic());
    let word = scan.text(at, end);
    let (_, one, many) = UNITS.iter().find(|(short, _, _)| *short == word)?;
    let name = if is_one { *one } else { *many };
    // "5 min." keeps its dot only at the end of the sentence.
    let is_dotted = scan.is_char(end, '.') && !scan.is_last(end) && !scan.capital_follows(end + 1);
    scan.is_edge(end)
        .then_some((if is_dotted { end + 1 } else { end }, name))
}

struct Currency {
    symbol: char,
    one: &'static str,
    many: &'static str,
    minor_one: &'static str,
    minor_many: &'static str,
}

fn currency(symbol: char) -> Option<&'static Currency> {
    CURRENCIES.iter().find(|currency| currency.symbol == symbol)
}

/// Longer numbers are read digit by digit.
const MAX_WORD_DIGITS: usize = 15;
const CURRENCIES: &[Currency] = &[
    Currency {
        symbol: '$',
        one: "dollar",
        many: "dollars",
        minor_one: "cent",
        minor_many: "cents",
    },
    Currency {
        symbol: '€',
        one: "euro",
        many: "euros",
        minor_one: "cent",
        minor_many: "cents",
    },
    Currency {
        symbol: '£',
        one: "pound",
        many: "pounds",
        minor_one: "penny",
        minor_many: "pence",
    },
];
const SCALES: &[(&[&str], &str)] = &[
    (&["k", "K"], "thousand"),
    (&["m", "M"], "million"),
    (&["b", "B", "bn"], "billion"),
    (&[], "trillion"),
];
const UNITS: &[(&str, &str, &str)] = &[
    ("mg", "milligram", "milligrams"),
    ("mcg", "microgram", "micrograms"),
    ("g", "gram", "grams"),
    ("kg", "kilogram", "kilograms"),
    ("lb", "pound", "pounds"),
    ("lbs", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("ml", "milliliter", "milliliters"),
    ("mL", "milliliter", "milliliters"),
    ("mm", "millimeter", "millimeters"),
    ("cm", "centimeter", "centimeters"),
    ("km", "kilometer", "kilometers"),
    ("ft", "foot", "feet"),
    ("mi", "mile", "miles"),
    ("mph", "mile per hour", "miles per hour"),
    ("sec", "second", "seconds"),
    ("min", "minute", "minutes"),
    ("mins", "minute", "minutes"),
    ("hr", "hour", "hours"),
    ("hrs", "hour", "hours"),
    ("yr", "year", "years"),
    ("yrs", "year", "years"),
];
const VULGAR: &[(char, &str)] = &[('½', "one half"), ('¼', "one quarter"), ('¾', "three quarters")];
/// Service numbers nobody reads as an amount.
const EMERGENCY: &[&str] = &["911", "988"];
const CODE_WORDS: &[&str] = &[
    "pin",
    "code",
    "id",
    "number",
    "ending",
    "ends",
    "digits",
    "extension",
    "ext",
    "zip",
];
/// What stands before a day, and hardly before a part of something.
const BEFORE_DATE: &[&str] = &[
    "on",
    "by",
    "until",
    "till",
    "since",
    "from",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "mon",
    "tue",
    "tues",
    "wed",
    "thu",
    "thur",
    "thurs",
    "fri",
    "sat",
    "sun",
];
