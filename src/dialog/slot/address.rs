//! Street addresses: "twelve harbour street apartment four b", "calle Mayor 12, piso 3".

use std::ops::Range;

use super::choice::only_fillers;
use super::lexicon::{Lexicon, find};
use super::number::chunk;
use super::text::{Kind, Token, any_phrase_at, cut_closing, tokens};
use super::{Language, Parsed, Value};
use crate::turn::shape::{Shape, shape};

/// Complete with a house number, a street word and an end that calls for nothing more.
pub(super) fn address(text: &str, language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let mut said = tokens(text);
    cut_closing(&mut said, lexicon.closings);
    while said.last().is_some_and(Token::is_mark) {
        said.pop();
    }
    let street = streets(&said, lexicon).into_iter().next_back();
    let asks = text.trim_end().ends_with('?');
    let Some(street) = street else {
        let has_street = said
            .iter()
            .any(|token| lexicon.forms.streets.contains(&token.text.as_str()));
        let is_part = has_street || numbers(&said, lexicon).next().is_some();
        let mut lead = 0;
        while let Some(next) = any_phrase_at(&said, lead, lexicon.name_is) {
            lead = next;
        }
        let begun = only_fillers(said.get(lead..).unwrap_or_default(), lexicon) || is_part && said.len() <= MAX_PART;
        let is_unsure = (0..said.len()).any(|at| any_phrase_at(&said, at, lexicon.unsure).is_some());
        return if begun && !asks && !is_unsure {
            Parsed::BEGUN
        } else {
            Parsed::IMPOSSIBLE
        };
    };
    let end = said.len();
    let dangles = said
        .last()
        .is_some_and(|last| lexicon.forms.units.contains(&last.text.as_str()));
    match tidied(text, &said, street.start..end, lexicon) {
        _ if asks || end - street.start > MAX_WORDS => Parsed::IMPOSSIBLE,
        address if shape(text, language.code()) == Shape::Open || dangles => Parsed::usable(Value::Address(address)),
        address => Parsed::complete(Value::Address(address)),
    }
}

/// An address in the middle of a sentence: the street, its direction, flat and town. Where it stands, in bytes.
pub(super) fn find_address(text: &str, language: Language) -> Vec<(String, Range<usize>)> {
    let lexicon = Lexicon::of(language);
    let said = tokens(text);
    let mut found = Vec::new();
    for street in streets(&said, lexicon) {
        let end = tail(text, &said, street.end, lexicon);
        if let (Some(first), Some(last)) = (said.get(street.start), said.get(end - 1)) {
            let span = first.span.start..last.span.end;
            found.push((tidied(text, &said, street.start..end, lexicon), span));
        }
    }
    found
}

/// Token ranges of "12 Harbour Street", in order.
fn streets(said: &[Token], lexicon: &Lexicon) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, token) in said.iter().enumerate() {
        let is_street = lexicon.forms.streets.contains(&token.text.as_str());
        if !is_street || found.last().is_some_and(|last| at < last.end) {
            continue;
        }
        let range = if lexicon.forms.street_first {
            numbers(
                said.get(..said.len().min(at + MAX_NAME + 2)).unwrap_or_default(),
                lexicon,
            )
            .find(|number| number.start > at + 1)
            .map(|number| at..number.end)
        } else {
            let from = at.saturating_sub(MAX_NAME + 3);
            let before = said.get(from..at).unwrap_or_default();
            numbers(before, lexicon)
                .map(|number| from + number.start..from + number.end)
                // A name stands between them; "5 streets" has none. "I am on 5th street" has no number.
                .filter(|number| number.end < at && at - number.end <= MAX_NAME)
                .filter(|number| !(number.end..at).any(|at| ends_name(said, at)))
                .last()
                .map(|number| number.start..at + 1)
                .or_else(|| ordinal_house(said, from, at).map(|number| number..at + 1))
        };
        found.extend(range);
    }
    found
}

/// "12th Harbor Street", as Whisper writes "twelve Harbor Street": a street that is numbered has no other name.
fn ordinal_house(said: &[Token], from: usize, street: usize) -> Option<usize> {
    let name_follows = |at: usize| (at + 2..street).any(|at| said.get(at).is_some_and(|token| !token.is_mark()));
    (from..street)
        .rev()
        .find(|&at| is_ordinal(said, at) && name_follows(at) && !(at + 2..street).any(|at| ends_name(said, at)))
}

/// "42nd": digits and what makes them an ordinal.
fn is_ordinal(said: &[Token], at: usize) -> bool {
    said.get(at).is_some_and(|token| token.kind == Kind::Digits)
        && said
            .get(at + 1)
            .is_some_and(|after| after.glued && ORDINAL_ENDS.contains(&after.text.as_str()))
}

/// No street's name goes over a sentence's end.
fn ends_name(said: &[Token], at: usize) -> bool {
    said.get(at)
        .is_some_and(|token| token.is("?") || token.is("!") || token.is("and"))
}

/// Where the address that has its street before `at` ends: past directions, flats, and towns with capitals.
fn tail(text: &str, said: &[Token], street_end: usize, lexicon: &Lexicon) -> usize {
    let mut end = street_end;
    loop {
        let mut at = end;
        while said
            .get(at)
            .is_some_and(|token| token.is(",") || token.is(".") && token.glued || token.is("#"))
        {
            at += 1;
        }
        let Some(token) = said.get(at) else { return end };
        let word = token.text.as_str();
        if lexicon.forms.directions.contains(&word) {
            end = at + 1;
        } else if lexicon.forms.units.contains(&word) {
            let next = at + 1;
            let number = chunk(said, next, lexicon).map(|chunk| chunk.next);
            let Some(past) = number.or_else(|| said.get(next).filter(|token| !token.is_mark()).map(|_| next + 1))
            else {
                return end;
            };
            let letter = said
                .get(past)
                .is_some_and(|token| token.text.len() == 1 && token.kind == Kind::Word && !token.is("i"));
            end = past + usize::from(letter);
        } else if at > end && said.get(at - 1).is_some_and(|mark| mark.is(",")) && is_town(text, token, lexicon) {
            end = at + 1;
            while said.get(end).is_some_and(|token| is_town(text, token, lexicon)) {
                end += 1;
            }
        } else {
            return end;
        }
        if end - street_end > MAX_WORDS {
            return end;
        }
    }
}

fn is_town(text: &str, token: &Token, lexicon: &Lexicon) -> bool {
    let written = text.get(token.span.clone()).unwrap_or_default();
    written.starts_with(char::is_uppercase) && !lexicon.is_filler(&token.text) && !lexicon.hesitates(&token.text)
}

/// Token ranges of numbers: "12", "sixteen hundred", "one twenty three".
fn numbers<'a>(said: &'a [Token], lexicon: &'a Lexicon) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < said.len() {
            let (_, next) = number(said, at, lexicon);
            let range = at..next;
            at = next.max(at + 1);
            if !range.is_empty() {
                return Some(range);
            }
        }
        None
    })
}

/// The digits at `at` and where they end: neighbours are read in one ("one twenty three" is 123). "42nd" is a word.
fn number(said: &[Token], at: usize, lexicon: &Lexicon) -> (String, usize) {
    let (mut digits, mut next) = (String::new(), at);
    while let Some(token) = said.get(next) {
        if token.kind == Kind::Digits {
            let follows = !digits.is_empty();
            if is_ordinal(said, next) || follows {
                break;
            }
            digits.push_str(&token.text);
            next += 1;
            break;
        }
        let zero = find(lexicon.digit_sounds, &token.text).filter(|digit| *digit == '0' && !digits.is_empty());
        let is_article = token.text.starts_with("un") && lexicon.is_filler(&token.text);
        if zero.is_some() {
            digits.push('0');
            next += 1;
        } else if let Some(chunk) = chunk(said, next, lexicon).filter(|chunk| !chunk.ordinal && !is_article) {
            digits.push_str(&chunk.value.to_string());
            next = chunk.next;
        } else {
            break;
        }
    }
    (digits, next)
}

/// The text of these tokens: number words as digits, one space where there were several.
fn tidied(text: &str, said: &[Token], range: Range<usize>, lexicon: &Lexicon) -> String {
    let mut address = String::new();
    let mut at = range.start;
    while at < range.end
        && let Some(token) = said.get(at)
    {
        let between = match at.checked_sub(1).and_then(|before| said.get(before)) {
            Some(before) if at > range.start => text.get(before.span.end..token.span.start).unwrap_or_default(),
            _ => "",
        };
        let (mut digits, mut next) = number(said, at, lexicon);
        if at == range.start && is_ordinal(said, at) {
            (digits, next) = (token.text.clone(), at + 2);
        }
        let is_flat = |token: &Token| token.kind == Kind::Word && token.text.len() == 1;
        let after_unit = at > range.start + 1
            && said
                .get(at - 2)
                .is_some_and(|unit| lexicon.forms.units.contains(&unit.text.as_str()))
            && said.get(at - 1).is_some_and(|flat| !flat.is_mark());
        let joins = between.is_empty() || after_unit && is_flat(token);
        if !joins {
            address.push(if between.contains('-') && between.len() == 1 {
                '-'
            } else {
                ' '
            });
        }
        if digits.is_empty() || next > range.end {
            let written = text.get(token.span.clone()).unwrap_or_default();
            if after_unit && is_flat(token) {
                address.push_str(&written.to_uppercase());
            } else {
                address.push_str(written);
            }
            at += 1;
        } else {
            address.push_str(&digits);
            at = next;
        }
    }
    address.trim().to_owned()
}

const ORDINAL_ENDS: &[&str] = &["st", "nd", "rd", "th"];
/// Words of a street's name: "Martin Luther King Junior Boulevard".
const MAX_NAME: usize = 5;
/// Tokens of half an address.
const MAX_PART: usize = 10;
const MAX_WORDS: usize = 24;
