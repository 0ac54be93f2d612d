//! What is read character by character: phone numbers, ids, e-mail addresses and URLs.

use super::number::{cardinal, digits, grouped_digits};
use super::scan::{Said, Scan};
use super::word::is_pronounced;

/// "john.doe@example.com", "www.example.com/help", with or without a scheme.
pub(super) fn link(scan: &Scan, at: usize) -> Option<Said> {
    if !scan.is(at, |c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let mut end = scan.short_run(at, |c| {
        c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '(' | ')' | '[' | ']' | '|')
    });
    while end > at
        && scan
            .before(end)
            .is_some_and(|c| matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '/'))
    {
        end -= 1;
    }
    let text = scan.text(at, end);
    let body = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .unwrap_or(&text);
    let is_link = is_email(body) || body.len() < text.len() || is_domain(body);
    // The trimmed slash belongs to the link and is not worth a word.
    let end = if scan.is_char(end, '/') { end + 1 } else { end };
    is_link.then(|| Said {
        end,
        words: link_words(body),
    })
}

/// "+1 (555) 123-4567", "(555) 123-4567", "+15551234567".
pub(super) fn phone(scan: &Scan, at: usize) -> Option<Said> {
    let is_international = scan.is_char(at, '+') && scan.is(at + 1, |c| c.is_ascii_digit() || c == '(');
    let has_area_code = scan.is_char(at, '(') && scan.digits(at + 1) == at + 4 && scan.is_char(at + 4, ')');
    if !is_international && !has_area_code {
        return None;
    }
    let (mut groups, mut end, mut next, mut total) = (Vec::new(), at, at + 1, 0);
    loop {
        let group_end = scan.short_run(next, |c| c.is_ascii_digit());
        if group_end == next || total + group_end - next > MAX_PHONE_DIGITS {
            break;
        }
        total += group_end - next;
        groups.push(scan.text(next, group_end));
        end = group_end;
        // At most ") " or " (" stand between two groups.
        next = group_end;
        while next - group_end < 2
            && scan.is(next, |c| {
                matches!(c, ' ' | '-' | '.' | '(' | ')' | '\u{a0}' | '\u{2011}')
            })
        {
            next += 1;
        }
        if total >= MIN_PHONE_DIGITS && groups.last().is_some_and(|group| group.len() >= 4) && scan.is_char(end, ' ') {
            break;
        }
    }
    let is_phone = total
        >= if is_international {
            MIN_INTERNATIONAL_DIGITS
        } else {
            MIN_PHONE_DIGITS
        };
    if !is_phone || !scan.is_edge(end) {
        return None;
    }
    let mut words: Vec<String> = Vec::new();
    for group in &groups {
        // "+15551234567": one is the country code of every number of this length.
        match group
            .strip_prefix('1')
            .filter(|rest| rest.len() == 10 && is_international)
        {
            Some(rest) => words.extend(["one".to_owned(), grouped_digits(rest)]),
            None => words.push(grouped_digits(group)),
        }
    }
    let plus = if is_international { "plus " } else { "" };
    Some(Said {
        end,
        words: format!("{plus}{}", words.join(", ")),
    })
}

/// "555-0123", "555-123-4567", "555.123.4567", "123-45-6789", "94107-1234".
pub(super) fn digit_groups(scan: &Scan, at: usize) -> Option<Said> {
    let mark = scan
        .get(scan.digits(at))
        .filter(|c| matches!(c, '-' | '.' | ' ' | '\u{2011}'))?;
    let limit = scan.short_run(at, |c| c.is_ascii_digit() || c == mark);
    let (mut groups, mut end, mut next) = (Vec::new(), at, at);
    while next < limit {
        let group_end = scan.digits(next).min(limit);
        if group_end == next {
            break;
        }
        groups.push(scan.text(next, group_end));
        end = group_end;
        next = if scan.is_char(group_end, mark) {
            group_end + 1
        } else {
            limit
        };
        // With spaces between, another number may simply follow.
        if matches!(mark, ' ') && groups.len() == 3 {
            break;
        }
    }
    let lengths: Vec<usize> = groups.iter().map(String::len).collect();
    let has_zero = groups.iter().any(|group| group.len() > 1 && group.starts_with('0'));
    let is_code = match (mark, lengths.as_slice()) {
        (_, [3, 3, 4]) | ('-' | '\u{2011}', [3, 4] | [5, 4]) => true,
        ('-' | '\u{2011}', [_, _]) => has_zero || lengths.iter().any(|len| *len > 4),
        ('-' | '\u{2011}', groups) => groups.len() > 2,
        _ => false,
    };
    if !is_code || !scan.is_edge(end) || (scan.is_char(end, '-') && scan.is(end + 1, |c| c.is_ascii_alphabetic())) {
        return None;
    }
    let words: Vec<String> = groups.iter().map(|group| grouped_digits(group)).collect();
    Some(Said {
        end,
        words: words.join(", "),
    })
}

/// "#48213", "#5", "#AB12".
pub(super) fn hash(scan: &Scan, at: usize) -> Option<Said> {
    if !scan.is_char(at, '#') {
        return None;
    }
    let end = scan.digits(at + 1);
    let said = if end > at + 1 && scan.is_edge(end) && !scan.is_char(end, '-') {
        let words = match scan.value(at + 1, end).filter(|_| end - at <= 3) {
            Some(value) => cardinal(value),
            None => grouped_digits(&scan.text(at + 1, end)),
        };
        Said { end, words }
    } else {
        digit_groups(scan, at + 1).or_else(|| id(scan, at + 1))?
    };
    let is_named = scan
        .word_before(at)
        .is_some_and(|(_, word)| NAMED.contains(&word.to_lowercase().as_str()));
    Some(if is_named {
        said
    } else {
        Said {
            end: said.end,
            words: format!("number {}", said.words),
        }
    })
}

/// "MB123456", "AB-12", "A1C": letters spelled, digits one by one. "65-year-old" is no id, "room5" is half of one.
pub(super) fn id(scan: &Scan, at: usize) -> Option<Said> {
    let first_end = scan.run(at, |c| c.is_ascii_alphanumeric());
    if first_end == at {
        return None;
    }
    let mut end = scan
        .short_run(at, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .max(first_end);
    while scan.before(end).is_some_and(|c| matches!(c, '-' | '_')) {
        end -= 1;
    }
    let mut text = scan.text(at, end);
    if text.split(['-', '_']).any(is_word) {
        end = first_end;
        text = scan.text(at, end);
    }
    let is_mixed = text.contains(|c: char| c.is_ascii_digit()) && text.contains(|c: char| c.is_ascii_alphabetic());
    if !is_mixed || !scan.is_edge(end) {
        return None;
    }
    // The pause helps in a long id and only hurts in "B12".
    let is_long = text.len() > MAX_UNBROKEN_ID && !runs(&text).any(is_said);
    let pause = if is_long || text.contains(['-', '_']) {
        ", "
    } else {
        " "
    };
    Some(Said {
        end,
        words: runs(&text).map(run_words).collect::<Vec<_>>().join(pause),
    })
}

/// One character after the other, letters in upper case.
pub(super) fn spell(letters: &str) -> String {
    let letters: Vec<String> = letters.chars().map(|c| c.to_ascii_uppercase().to_string()).collect();
    letters.join(" ")
}

/// The runs of letters and of digits in an ASCII text.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_digit = rest.chars().next()?.is_ascii_digit();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() || c.is_ascii_digit() != is_digit)
            .unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        Some(run)
    })
}

fn run_words(run: &str) -> String {
    if run.starts_with(|c: char| c.is_ascii_digit()) {
        grouped_digits(run)
    } else if is_said(run) {
        run.to_owned()
    } else {
        spell(run)
    }
}

/// Letters inside a mixed token that form a word ("room5").
fn is_said(run: &str) -> bool {
    run.len() > 2 && is_word(run) && run.contains(['a', 'e', 'i', 'o', 'u', 'y'])
}

/// A part of a compound ("year", "COVID") rather than of an id.
fn is_word(part: &str) -> bool {
    let is_alphabetic = part.len() > 1 && part.chars().all(|c| c.is_ascii_alphabetic());
    is_alphabetic && (part.contains(|c: char| c.is_ascii_lowercase()) || is_pronounced(part))
}

fn is_email(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'))
}

/// "www.…" or a host whose last label is a known top-level domain.
fn is_domain(text: &str) -> bool {
    let host = text.split(['/', '?', '#', ':']).next().unwrap_or(text);
    let is_host = host.contains('.')
        && host
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    let last = host.rsplit('.').next().unwrap_or(host).to_ascii_lowercase();
    is_host && (host.to_ascii_lowercase().starts_with("www.") || TOP_LEVEL.contains(&last.as_str()))
}

fn link_words(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = if c.is_ascii_alphanumeric() {
            rest.find(|next: char| !next.is_ascii_alphanumeric() || next.is_ascii_digit() != c.is_ascii_digit())
                .unwrap_or(rest.len())
        } else {
            c.len_utf8()
        };
        let (part, tail) = rest.split_at(end);
        rest = tail;
        match LINK_SYMBOLS.iter().find(|(symbol, _)| *symbol == c) {
            Some((_, name)) => words.push((*name).to_owned()),
            None if c.is_ascii_digit() => words.push(digits(part)),
            None if part.eq_ignore_ascii_case("www") => words.push(spell(part)),
            None if c.is_ascii_alphabetic() => words.push(part.to_owned()),
            None => {}
        }
    }
    words.join(" ")
}

const LINK_SYMBOLS: &[(char, &str)] = &[
    ('.', "dot"),
    ('@', "at"),
    ('-', "dash"),
    ('_', "underscore"),
    ('+', "plus"),
    ('/', "slash"),
    (':', "colon"),
    ('?', "question mark"),
    ('=', "equals"),
    ('&', "and"),
    ('#', "hash"),
    ('%', "percent"),
];
const TOP_LEVEL: &[&str] = &[
    "com", "org", "net", "gov", "edu", "io", "ai", "co", "us", "uk", "ca", "de", "eu", "info", "app", "dev", "health",
];
/// Words after which '#' adds nothing.
const NAMED: &[&str] = &["number", "id", "no"];
const MAX_UNBROKEN_ID: usize = 4;
const MIN_PHONE_DIGITS: usize = 10;
const MIN_INTERNATIONAL_DIGITS: usize = 8;
/// E.164.
const MAX_PHONE_DIGITS: usize = 15;
