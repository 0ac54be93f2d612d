//! What in a sentence may tell who somebody is. Rather too much than too little: what is not understood as one thing is taken as another.

use std::ops::Range;

use super::lexicon::Lexicon;
use super::number::chunk;
use super::text::{Kind, Token, tokens};
use super::{Date, Language, When, address, date, free};

/// A kind of what is private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Private {
    /// An e-mail address.
    Email,
    /// A street address.
    Address,
    /// Somebody's name.
    Name,
    /// A day, of birth perhaps.
    Date,
    /// An id, a telephone number, an amount: three digits or more, in whatever way they are said.
    Number,
}

/// All of it in `text`, in order and apart, in bytes. `today` is the day at the caller's place.
///
/// A name is found where it is introduced ("my name is"), or as two words with capitals within a sentence; `names` tells that the text answers a
/// question for one.
pub fn private_spans(text: &str, names: bool, language: Language, today: Date) -> Vec<(Private, Range<usize>)> {
    let lexicon = Lexicon::of(language);
    let mut found: Vec<(Private, Range<usize>)> = Vec::new();
    // Each takes what is left by those before it.
    let mut take = |kind, spans: Vec<Range<usize>>| {
        for span in spans {
            let left = without(text, span, &found);
            found.extend(left.into_iter().map(|span| (kind, span)));
        }
    };
    take(
        Private::Email,
        all(text, |rest| Some(free::find_email(rest, language)?.1)),
    );
    let addresses = address::find_address(text, language);
    take(Private::Address, addresses.into_iter().map(|(_, span)| span).collect());
    let days = date::sightings(text, When::Any, language, today);
    let (evident, others): (Vec<_>, Vec<_>) = days.into_iter().partition(|day| day.evident);
    take(Private::Date, evident.into_iter().map(|day| day.span).collect());
    let said = tokens(text);
    take(Private::Number, numbers(text, &said, lexicon));
    take(Private::Date, others.into_iter().map(|day| day.span).collect());
    take(
        Private::Name,
        all(text, |rest| Some(free::find_name(rest, language)?.1)),
    );
    take(Private::Name, capitals(text, &said, names, lexicon));
    found.sort_by_key(|(_, span)| span.start);
    found
}

/// What of a span is nobody's yet, without marks and spaces around it.
fn without(text: &str, span: Range<usize>, taken: &[(Private, Range<usize>)]) -> Vec<Range<usize>> {
    let mut left = vec![span];
    for (_, taken) in taken {
        let parts = left.into_iter().flat_map(|part| {
            [
                part.start..part.end.min(taken.start),
                part.start.max(taken.end)..part.end,
            ]
        });
        left = parts.filter(|part| !part.is_empty()).collect();
    }
    let trimmed = left.into_iter().filter_map(|part| {
        let said = text.get(part.clone())?;
        let start = part.start + said.find(char::is_alphanumeric)?;
        let tail = said.trim_end_matches(|c: char| !c.is_alphanumeric());
        Some(start..part.start + tail.len())
    });
    trimmed.collect()
}

/// Where `find` finds something, again and again behind what it has found.
fn all(text: &str, find: impl Fn(&str) -> Option<Range<usize>>) -> Vec<Range<usize>> {
    let (mut spans, mut at) = (Vec::new(), 0);
    // What finds the last of several goes on before it.
    let mut end = text.len();
    while let Some(span) = text.get(at..end).and_then(&find) {
        let span = span.start + at..span.end + at;
        if text.get(span.end..end).and_then(&find).is_some() {
            at = span.end;
        } else {
            end = span.start;
        }
        spans.push(span);
    }
    spans
}

/// Lines of digits, numbers and single letters, with three digits or more.
fn numbers(text: &str, said: &[Token], lexicon: &Lexicon) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut at = 0;
    while at < said.len() {
        let (mut digits, mut end, mut next) = (0, at, at);
        while let Some((count, after)) = part(said, next, lexicon) {
            digits += count;
            next = after;
            // A mark belongs to it only if something follows.
            if count > 0 || !said.get(after - 1).is_some_and(Token::is_mark) {
                end = after;
            }
        }
        if digits >= MIN_DIGITS {
            spans.push(whole(text, said[at].span.start..said[end - 1].span.end));
        }
        at = next.max(at + 1);
    }
    spans
}

/// With what it is written together with: "ab-" of "ab-1234".
fn whole(text: &str, span: Range<usize>) -> Range<usize> {
    let belongs = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let before: usize = text[..span.start]
        .chars()
        .rev()
        .take_while(|c| belongs(*c))
        .map(char::len_utf8)
        .sum();
    let after: usize = text[span.end..]
        .chars()
        .take_while(|c| belongs(*c))
        .map(char::len_utf8)
        .sum();
    span.start - before..span.end + after
}

/// How many digits the part of a number at `at` has, and where the next begins.
fn part(said: &[Token], at: usize, lexicon: &Lexicon) -> Option<(usize, usize)> {
    let token = said.get(at)?;
    let word = token.text.as_str();
    match token.kind {
        Kind::Digits => Some((word.len(), at + 1)),
        Kind::Mark => matches!(word, "." | "," | "/" | ":" | "+" | "(" | ")" | "#").then_some((0, at + 1)),
        Kind::Word => {
            if let Some(number) = chunk(said, at, lexicon) {
                return Some((number.value.max(1).ilog10() as usize + 1, number.next));
            }
            let is = |words: &[(&str, char)]| words.iter().any(|(name, _)| *name == word);
            let times = lexicon.multipliers.iter().find(|(name, _)| *name == word);
            if let Some((_, times)) = times {
                return Some((times - 1, at + 1));
            }
            let is_oh = matches!(word, "o" | "oh");
            // "to" and "for" are seldom digits, but may stand between them.
            let is_digit = is_oh || is(lexicon.digit_sounds);
            let is_letter = word.chars().count() == 1
                || token.caps && word.len() <= 3
                || is(lexicon.letters)
                || is(lexicon.spelling);
            (is_digit || is_letter).then_some((usize::from(is_oh), at + 1))
        }
    }
}

/// Two words or more with capitals within a sentence; where a name was asked for, every word with a capital.
fn capitals(text: &str, said: &[Token], names: bool, lexicon: &Lexicon) -> Vec<Range<usize>> {
    let has_capital = |token: &Token| {
        let written = text.get(token.span.clone()).unwrap_or_default();
        token.kind == Kind::Word
            && written.starts_with(char::is_uppercase)
            && written.chars().count() > 1
            && !token.text.contains('\'')
            && !PLAIN.contains(&token.text.as_str())
            && !lexicon
                .months
                .iter()
                .chain(lexicon.weekdays)
                .any(|day| day.contains(&token.text.as_str()))
    };
    let mut spans = Vec::new();
    let mut at = 0;
    while at < said.len() {
        let end = (at..said.len())
            .find(|&next| !has_capital(&said[next]))
            .unwrap_or(said.len());
        let begins = at == 0 || said[at - 1].is_mark() && !said[at - 1].is(",");
        let enough = if names { 1 } else { 2 };
        // The first word of a sentence has its capital from there.
        let start = if begins && !names { at + 1 } else { at };
        if end >= start + enough {
            spans.push(said[start].span.start..said[end - 1].span.end);
        }
        at = end.max(at + 1);
    }
    spans
}

const MIN_DIGITS: usize = 3;
/// Written with a capital though they are no names.
const PLAIN: &[&str] = &[
    "mr", "mrs", "ms", "dr", "yes", "no", "ok", "okay", "sure", "hello", "hi", "english", "spanish", "the", "my", "it",
    "is", "this", "that", "si", "hola", "me", "mi", "el", "la", "senor", "senora",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str, names: bool) -> Vec<(Private, String)> {
        let today = jiff::civil::date(2026, 11, 21);
        let spans = private_spans(text, names, Language::En, today);
        spans
            .into_iter()
            .map(|(kind, span)| (kind, text[span].to_owned()))
            .collect()
    }

    #[test]
    fn what_tells_who_somebody_is_is_found() {
        use Private::{Address, Date, Email, Name, Number};
        for (text, expected) in [
            ("My member id is MB123456.", vec![(Number, "MB123456")]),
            (
                "It's M B one two three four five six, please.",
                vec![(Number, "M B one two three four five six")],
            ),
            (
                "four eight two, six one five",
                vec![(Number, "four eight two, six one five")],
            ),
            (
                "You can reach me at 212-555-0182 or at home.",
                vec![(Number, "212-555-0182")],
            ),
            ("my pin is double seven oh four", vec![(Number, "double seven oh four")]),
            ("I was born on March 15th, 1985.", vec![(Date, "March 15th, 1985")]),
            ("my name is Maria Gonzalez and I am ill", vec![(Name, "Maria Gonzalez")]),
            ("I'm calling for Mary Jones about a bill.", vec![(Name, "Mary Jones")]),
            (
                "I am calling about Peter Miller, and Anna Kowalski too.",
                vec![(Name, "Peter Miller"), (Name, "Anna Kowalski")],
            ),
            ("write to jane.doe@example.com", vec![(Email, "jane.doe@example.com")]),
            (
                "March 15th, 1985 and 4826, no 4827",
                vec![(Date, "March 15th, 1985"), (Number, "4826"), (Number, "4827")],
            ),
            ("I live at 12 Harbour Street.", vec![(Address, "12 Harbour Street")]),
        ] {
            let expected: Vec<(Private, String)> = expected
                .into_iter()
                .map(|(kind, text)| (kind, text.to_owned()))
                .collect();
            assert_eq!(found(text, false), expected, "{text}");
        }
        assert_eq!(found("Jones.", true), [(Name, "Jones".to_owned())]);
    }

    #[test]
    fn plain_talk_stays() {
        for text in [
            "What are your opening hours?",
            "Are you open on Saturday, from nine to five?",
            "Do I need an MRI for two weeks?",
            "I have 2 children and it takes ten minutes.",
            "Hello. My Heating does not work.",
        ] {
            let found = found(text, false);
            assert!(
                found.iter().all(|(kind, _)| *kind == Private::Date),
                "{text}: {found:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn spans_are_in_order_and_within(text in "((?s).|[0-9]{1,4}[a-zA-Z ,]{1,3}){0,60}", names: bool) {
            let today = jiff::civil::date(2026, 11, 21);
            for language in [Language::En, Language::Es] {
                let spans = private_spans(&text, names, language, today);
                let mut last = 0;
                for (_, span) in spans {
                    prop_assert!(span.start >= last && text.get(span.clone()).is_some_and(|said| !said.is_empty()));
                    last = span.end;
                }
            }
        }

        #[test]
        fn no_long_number_is_left(digits in "[0-9]{3,12}", before in "[a-z ]{0,20}", gap in "[- ]") {
            let spoken: Vec<String> = digits.chars().map(String::from).collect();
            let text = format!("{before} {} ok", spoken.join(&gap));
            let today = jiff::civil::date(2026, 11, 21);
            let mut left = text.clone();
            for (_, span) in private_spans(&text, false, Language::En, today).into_iter().rev() {
                left.replace_range(span, "");
            }
            prop_assert!(left.bytes().filter(u8::is_ascii_digit).count() < 3, "{text} → {left}");
        }
    }
}
