//! One of several.

use std::ops::Range;

use super::lexicon::{Lexicon, find};
use super::text::{Token, any_phrase_at, phrase_at, tokens};
use super::yes_no::{is_negator, is_torn};
use super::{Choice, Language, Parsed, Value};
use crate::speech::Answer;
use crate::turn::shape::{Shape, shape};

/// The choice that is named, by its words or by its place in the list. After a correction the last one.
pub(super) fn choice(text: &str, choices: &[Choice], language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let tokens = tokens(text);
    let (start, mentions) = corrected(&tokens, choices, lexicon);
    let corrected = tokens.get(start..).unwrap_or_default();
    let mut named: Vec<&Choice> = Vec::new();
    for mention in mentions.iter().filter(|mention| !mention.negated) {
        if !named.contains(&mention.choice) {
            named.push(mention.choice);
        }
    }
    if named.is_empty() && mentions.iter().any(|mention| mention.negated) {
        return Parsed::IMPOSSIBLE;
    }
    if named.is_empty() {
        named.extend(placed(corrected, choices, lexicon));
    }
    if named.is_empty()
        && let Some(alike) = alike(corrected, choices)
    {
        // A guess: the caller may go on, and hears it read back.
        return Parsed::usable(Value::Choice(alike.value.clone()));
    }
    let asks = text.trim_end().ends_with('?');
    match named.as_slice() {
        [choice] if shape(text, language.code()) == Shape::Open => Parsed::usable(Value::Choice(choice.value.clone())),
        [choice] => Parsed::complete(Value::Choice(choice.value.clone())),
        [] if !asks && (only_fillers(&tokens, lexicon) || begins(&tokens, choices)) => Parsed::BEGUN,
        [] => Parsed::IMPOSSIBLE,
        // "Sales or billing" is undecided.
        _ if asks => Parsed::IMPOSSIBLE,
        _ => Parsed::BEGUN,
    }
}

/// The only choice that is named by its words, or the last one after a correction, and where in bytes.
pub(super) fn find_choice(text: &str, choices: &[Choice], language: Language) -> Option<(String, Range<usize>)> {
    let said = tokens(text);
    let (_, mentions) = corrected(&said, choices, Lexicon::of(language));
    let mut named = mentions.iter().filter(|mention| !mention.negated);
    let Mention { from, to, choice, .. } = named.next()?;
    if named.any(|other| other.choice != *choice) {
        return None;
    }
    let span = said.get(*from)?.span.start..said.get(to - 1)?.span.end;
    Some((choice.value.clone(), span))
}

/// The phrases that name a choice, but for long ones.
pub(super) fn answer(choice: &Choice) -> Answer {
    let short = |phrase: &&String| phrase.split_whitespace().count() <= ALIKE_WORDS;
    Answer::wanted(choice.says.iter().filter(short).cloned())
}

/// A choice that is named.
struct Mention<'a> {
    from: usize,
    to: usize,
    choice: &'a Choice,
    /// "Not urgent" of urgent.
    negated: bool,
}

/// Where the last correction ends, and the choices named behind it; all that are named if there are none.
fn corrected<'a>(said: &[Token], choices: &'a [Choice], lexicon: &Lexicon) -> (usize, Vec<Mention<'a>>) {
    let all = mentions(said, choices, lexicon);
    let ends = (0..said.len()).filter(|at| !all.iter().any(|mention| (mention.from..mention.to).contains(at)));
    let ends = ends.filter_map(|at| any_phrase_at(said, at, lexicon.replaces).filter(|next| *next < said.len()));
    let start = ends.max().unwrap_or(0);
    if all.iter().any(|mention| mention.from >= start && !mention.negated) {
        let behind = all.into_iter().filter(|mention| mention.from >= start).collect();
        return (start, behind);
    }
    (start, all)
}

/// Choices named anywhere. Where one phrase lies within another ("support" in "technical support"), the longer one counts.
fn mentions<'a>(said: &[Token], choices: &'a [Choice], lexicon: &Lexicon) -> Vec<Mention<'a>> {
    let mut found: Vec<(usize, usize, &Choice)> = Vec::new();
    for choice in choices {
        for phrase in phrases(choice) {
            let places = (0..said.len()).filter_map(|at| Some((at, phrase_at(said, at, &phrase)?, choice)));
            // "No, es urgente" is not "no es urgente".
            found.extend(places.filter(|(from, to, _)| !is_torn(said, *from, *to, lexicon)));
        }
    }
    let within = |from: usize, to: usize| {
        let mut others = found.iter();
        others.any(|(start, end, _)| *start <= from && to <= *end && end - start > to - from)
    };
    let outer = found.iter().filter(|(from, to, _)| !within(*from, *to));
    outer
        .map(|(from, to, choice)| Mention {
            from: *from,
            to: *to,
            choice,
            negated: is_negated(said, *from, lexicon),
        })
        .collect()
}

/// A "not" reaches to `at`, over articles and the like. "No water" says that it is about water.
fn is_negated(said: &[Token], at: usize, lexicon: &Lexicon) -> bool {
    let links = lexicon.polarity.links;
    let before = said.get(..at).unwrap_or_default().iter().rev();
    let mut before = before.skip_while(|token| links.contains(&token.text.as_str()));
    before.next().is_some_and(|token| is_negator(token, lexicon))
}

fn placed<'a>(said: &[Token], choices: &'a [Choice], lexicon: &Lexicon) -> Option<&'a Choice> {
    let place = (0..said.len()).find_map(|at| {
        lexicon
            .positions
            .iter()
            .find_map(|(phrase, place)| phrase_at(said, at, phrase).map(|_| *place))
    })?;
    match usize::try_from(place) {
        Ok(place) => choices.get(place.checked_sub(1)?),
        Err(_) => choices.last(),
    }
}

/// The one choice that a short answer sounds much like: "Heading." for "heating", "Letrical" for "electrical".
fn alike<'a>(said: &[Token], choices: &'a [Choice]) -> Option<&'a Choice> {
    let words: Vec<&str> = said
        .iter()
        .filter(|token| !token.is_mark())
        .map(|token| token.text.as_str())
        .collect();
    if words.len() > ALIKE_WORDS {
        return None;
    }
    let mut close: Vec<(f64, &Choice)> = Vec::new();
    for choice in choices {
        let phrases: Vec<String> = phrases(choice)
            .filter(|phrase| phrase.chars().count() >= ALIKE_LETTERS)
            .collect();
        let likeness = phrases.iter().flat_map(|phrase| {
            words
                .iter()
                .map(move |word| strsim::normalized_levenshtein(word, phrase))
        });
        if let Some(best) = likeness.max_by(f64::total_cmp).filter(|best| *best >= ALIKE) {
            close.push((best, choice));
        }
    }
    match close.as_slice() {
        [(_, choice)] => Some(choice),
        _ => None,
    }
}

/// The text ends in the first words of a longer phrase: "technical" of "technical support".
fn begins(said: &[Token], choices: &[Choice]) -> bool {
    let said: Vec<&Token> = said.iter().filter(|token| !token.is_mark()).collect();
    choices.iter().flat_map(phrases).any(|phrase| {
        let words: Vec<&str> = phrase.split(' ').collect();
        (1..words.len()).any(|len| {
            said.len() >= len
                && said
                    .iter()
                    .skip(said.len() - len)
                    .zip(&words)
                    .all(|(token, word)| token.is(word))
        })
    })
}

/// In the form in which tokens are compared.
fn phrases(choice: &Choice) -> impl Iterator<Item = String> {
    choice.says.iter().chain([&choice.value]).map(|phrase| {
        let words: Vec<String> = tokens(phrase).into_iter().map(|token| token.text).collect();
        words.join(" ")
    })
}

pub(super) fn only_fillers(tokens: &[Token], lexicon: &Lexicon) -> bool {
    tokens.iter().all(|token| {
        token.is_mark()
            || lexicon.is_filler(&token.text)
            || lexicon.hesitates(&token.text)
            || find(lexicon.digit_sounds, &token.text) == Some('0')
    })
}

/// Longer answers hold other words, some of which are like anything.
const ALIKE_WORDS: usize = 3;
/// Shorter phrases are like too much.
const ALIKE_LETTERS: usize = 6;
/// One of four letters may differ.
const ALIKE: f64 = 0.75;
