//! Yes or no, and one of several.

use std::ops::Range;

use super::lexicon::{Lexicon, find};
use super::text::{Token, any_phrase_at, phrase_at, tokens};
use super::{Choice, Language, Parsed, Value};
use crate::speech::Answer;
use crate::turn::shape::{Shape, shape};

/// The last plain yes or no counts ("yeah, no"); what follows it does not ("yes, I don't mind").
pub(super) fn yes_no(text: &str, language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let tokens = tokens(text);
    let mut answer = None;
    let mut answer_end = 0;
    let mut at = 0;
    while at < tokens.len() {
        if let Some(next) = any_phrase_at(&tokens, at, lexicon.unsure) {
            if answer.is_none() {
                return Parsed::IMPOSSIBLE;
            }
            at = next;
            continue;
        }
        let yes = any_phrase_at(&tokens, at, lexicon.yes);
        let no = any_phrase_at(&tokens, at, lexicon.no);
        // "no problem" is longer than "no", "not right" than nothing.
        let found = if yes > no {
            yes.map(|next| (true, next))
        } else {
            no.map(|next| (false, next))
        };
        if let Some((is_yes, next)) = found {
            let plain = tokens.get(at).is_some_and(|token| PLAIN.contains(&token.text.as_str()));
            let corrects = at > 0 && any_phrase_at(&tokens, at - 1, lexicon.replaces) == Some(at);
            if answer.is_none() || (plain && next - at == 1) || corrects {
                answer = Some(is_yes);
            }
            (at, answer_end) = (next, next);
        } else {
            at += 1;
        }
    }
    // "It is." would call for more elsewhere.
    let ends_in_answer = tokens.iter().skip(answer_end).all(|token| token.is("."));
    let asks = text.trim_end().ends_with('?');
    match answer {
        Some(_) if asks && text.split_whitespace().count() > MAX_ASKED => Parsed::IMPOSSIBLE,
        Some(is_yes) if shape(text, language.code()) == Shape::Open && !ends_in_answer => {
            Parsed::usable(Value::YesNo(is_yes))
        }
        Some(is_yes) => Parsed::complete(Value::YesNo(is_yes)),
        None if !asks && only_fillers(&tokens, lexicon) => Parsed::BEGUN,
        None => Parsed::IMPOSSIBLE,
    }
}

/// The choice that is named, by its words or by its place in the list. After a correction the last one.
pub(super) fn choice(text: &str, choices: &[Choice], language: Language) -> Parsed {
    let lexicon = Lexicon::of(language);
    let tokens = tokens(text);
    let start = (0..tokens.len())
        .filter_map(|at| any_phrase_at(&tokens, at, lexicon.replaces).filter(|next| *next < tokens.len()))
        .max()
        .unwrap_or(0);
    let corrected = tokens.get(start..).unwrap_or_default();
    let mut named = named(corrected, choices);
    if named.is_empty() && start > 0 {
        named = self::named(&tokens, choices);
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

/// A yes or no that the sentence begins with, and where it stands in bytes. Other words than a plain "yes" must stand alone.
pub(super) fn leading_answer(text: &str, language: Language) -> Option<(bool, Range<usize>)> {
    let lexicon = Lexicon::of(language);
    let said = tokens(text);
    let mut at = said
        .iter()
        .position(|token| !token.is_mark() && !lexicon.hesitates(&token.text))?;
    let first = at;
    let mut answer = None;
    while let Some(token) = said.get(at) {
        let yes = any_phrase_at(&said, at, lexicon.yes);
        let no = any_phrase_at(&said, at, lexicon.no);
        let unsure = any_phrase_at(&said, at, lexicon.unsure);
        let next = yes.max(no);
        if let Some(next) = next.filter(|next| unsure < Some(*next)) {
            let is_plain = next == at + 1 && lexicon.forms.plain_answers.contains(&token.text.as_str());
            let stands_alone = said.get(next).is_none_or(Token::is_mark);
            if !(is_plain || stands_alone) {
                break;
            }
            answer = Some((yes > no, next));
            at = next;
        } else if token.is_mark() || lexicon.hesitates(&token.text) {
            at += 1;
        } else {
            break;
        }
    }
    let (is_yes, end) = answer?;
    Some((is_yes, said.get(first)?.span.start..said.get(end - 1)?.span.end))
}

/// The only choice that is named by its words, or the last one after a correction, and where in bytes.
pub(super) fn find_choice(text: &str, choices: &[Choice], language: Language) -> Option<(String, Range<usize>)> {
    let lexicon = Lexicon::of(language);
    let said = tokens(text);
    let start = (0..said.len())
        .filter_map(|at| any_phrase_at(&said, at, lexicon.replaces))
        .max()
        .unwrap_or(0);
    let rest = said.get(start..).unwrap_or_default();
    let (said, named) = match mentions(rest, choices) {
        named if named.is_empty() && start > 0 => (said.as_slice(), mentions(&said, choices)),
        named => (rest, named),
    };
    let (from, to, choice) = *named.first()?;
    if named.iter().any(|(_, _, other)| *other != choice) {
        return None;
    }
    let span = said.get(from)?.span.start..said.get(to - 1)?.span.end;
    Some((choice.value.clone(), span))
}

/// The phrases that name a choice, but for long ones.
pub(super) fn answer(choice: &Choice) -> Answer {
    let short = |phrase: &&String| phrase.split_whitespace().count() <= ALIKE_WORDS;
    Answer::wanted(choice.says.iter().filter(short).cloned())
}

/// "Correct." and "wrong.", told from the usual answers, which are understood well enough, and which anything short sounds like.
pub(super) fn yes_no_answers(language: Language) -> Vec<Answer> {
    let forms = Lexicon::of(language).forms;
    let phrases = |list: &[&str]| list.iter().map(|phrase| (*phrase).to_owned()).collect::<Vec<_>>();
    let usual = Answer {
        phrases: phrases(forms.usual_answers),
        is_wanted: false,
    };
    let groups = [
        Answer::wanted(phrases(forms.confirms)),
        Answer::wanted(phrases(forms.denies)),
        usual,
    ];
    groups.into_iter().filter(|answer| !answer.phrases.is_empty()).collect()
}

fn named<'a>(said: &[Token], choices: &'a [Choice]) -> Vec<&'a Choice> {
    let mut named: Vec<&Choice> = Vec::new();
    for (_, _, choice) in mentions(said, choices) {
        if !named.contains(&choice) {
            named.push(choice);
        }
    }
    named
}

/// Choices named anywhere: from, to, which. Where one phrase lies within another ("support" in "technical support"), the longer
/// one counts.
fn mentions<'a>(said: &[Token], choices: &'a [Choice]) -> Vec<(usize, usize, &'a Choice)> {
    let mut found: Vec<(usize, usize, &Choice)> = Vec::new();
    for choice in choices {
        for phrase in phrases(choice) {
            found.extend((0..said.len()).filter_map(|at| Some((at, phrase_at(said, at, &phrase)?, choice))));
        }
    }
    let within = |from: usize, to: usize| {
        let mut others = found.iter();
        others.any(|(start, end, _)| *start <= from && to <= *end && end - start > to - from)
    };
    found
        .iter()
        .copied()
        .filter(|(from, to, _)| !within(*from, *to))
        .collect()
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

/// Said later, they take back what was said first.
const PLAIN: &[&str] = &["yes", "yeah", "no", "nope", "yep", "si"];
/// Longer answers hold other words, some of which are like anything.
const ALIKE_WORDS: usize = 3;
/// Shorter phrases are like too much.
const ALIKE_LETTERS: usize = 6;
/// One of four letters may differ.
const ALIKE: f64 = 0.75;
/// "Yes?" answers; a longer question asks.
const MAX_ASKED: usize = 3;
