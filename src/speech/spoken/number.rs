//! English words for numbers.

/// "one thousand fifty"; no "and", as American speakers read it.
pub(super) fn cardinal(n: u64) -> String {
    let mut words = Vec::new();
    let mut rest = n;
    for &(value, name) in SCALES {
        if rest >= value {
            below_thousand(rest / value, &mut words);
            words.push(name);
            rest %= value;
        }
    }
    below_thousand(rest, &mut words);
    if words.is_empty() {
        words.push("zero");
    }
    words.join(" ")
}

/// "twenty second".
pub(super) fn ordinal(n: u64) -> String {
    let words = cardinal(n);
    let (head, last) = words
        .rsplit_once(' ')
        .map_or(("", words.as_str()), |(head, last)| (head, last));
    let last = match IRREGULAR_ORDINALS.iter().find(|(cardinal, _)| *cardinal == last) {
        Some((_, ordinal)) => (*ordinal).to_owned(),
        None => match last.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{last}th"),
        },
    };
    if head.is_empty() {
        last
    } else {
        format!("{head} {last}")
    }
}

/// "nineteen eighty five", "nineteen oh five", "two thousand five", "twenty twenty six".
pub(super) fn year(n: u64) -> String {
    let (century, rest) = (n / 100, n % 100);
    match (century, rest) {
        (11..=99, 0) if century % 10 != 0 => format!("{} hundred", cardinal(century)),
        (11..=99, 1..=9) if century % 10 != 0 => format!("{} oh {}", cardinal(century), cardinal(rest)),
        (11..=99, 10..) => format!("{} {}", cardinal(century), cardinal(rest)),
        _ => cardinal(n),
    }
}

/// "nineteen eighties", "eighties", "two thousands".
pub(super) fn decade(n: u64) -> String {
    let words = year(n);
    match words.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{words}s"),
    }
}

/// "one two three"; what is no ASCII digit is skipped.
pub(super) fn digits(digits: &str) -> String {
    let words: Vec<&str> = digits
        .chars()
        .filter_map(|c| c.to_digit(10))
        .filter_map(|d| SMALL.get(d as usize).copied())
        .collect();
    words.join(" ")
}

/// Digits in groups a listener can write down, with a comma as a short pause between them.
pub(super) fn grouped_digits(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut rest, mut groups) = (chars.as_slice(), Vec::new());
    let fours = chars.len() >= 8 && chars.len().is_multiple_of(4);
    while !rest.is_empty() {
        let size = match rest.len() {
            4 | 5 => rest.len().min(if groups.is_empty() { 5 } else { 4 }),
            _ if fours => 4,
            len => len.min(3),
        };
        let (group, tail) = rest.split_at(size);
        groups.push(digits(&group.iter().collect::<String>()));
        rest = tail;
    }
    groups.join(", ")
}

fn below_thousand(n: u64, words: &mut Vec<&'static str>) {
    let name = |table: &[&'static str], at: u64| usize::try_from(at).ok().and_then(|at| table.get(at).copied());
    let (hundreds, rest) = (n / 100, n % 100);
    if hundreds > 0 {
        words.extend(name(SMALL, hundreds));
        words.push("hundred");
    }
    if rest >= 20 {
        words.extend(name(TENS, rest / 10));
    }
    let unit = if rest < 20 { rest } else { rest % 10 };
    if unit > 0 {
        words.extend(name(SMALL, unit));
    }
}

const SMALL: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: &[&str] = &[
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
/// Enough for every number of [`super::quantity::MAX_WORD_DIGITS`] digits.
const SCALES: &[(u64, &str)] = &[
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
];
const IRREGULAR_ORDINALS: &[(&str, &str)] = &[
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("five", "fifth"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("twelve", "twelfth"),
];
