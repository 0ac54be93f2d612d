//! A slot's value within a longer sentence.

use std::ops::Range;

use super::code::Heard;
use super::lexicon::Lexicon;
use super::pattern::Pattern;
use super::text::{Kind, Token, answer_tokens, any_phrase_at, tokens};
use super::{Date, Language, Slot, Value, When, address, amount, choice, date, free, phone, start, yes_no};

/// A value and where it was said.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Found {
    /// The value.
    pub value: Value,
    /// The words it was said in, in bytes of the text; what stands around them may hold other slots.
    pub span: Range<usize>,
}

private_debug!(Found);

impl Slot {
    /// The slot's value anywhere in `text`, where it may be nothing else. For an answer to this slot's own question ask
    /// [`Slot::parse`], which knows that it was asked.
    ///
    /// * Of several values the corrected one counts ("MB123456, no sorry, MB123457"); without a correction there is none.
    /// * Digits of a date are no code. Short digits, ids without their letters and 7-digit telephone numbers must be announced
    ///   ("my pin is"), birthdays in numbers too. What was announced as another kind is not taken.
    /// * Yes or no only where the sentence begins with it; a name only after "my name is", or as two words with capitals after
    ///   "this is"; an amount only with its currency; a number only if it is the only one. Free text is never found.
    pub fn find(&self, text: &str, language: Language, today: Date) -> Option<Found> {
        let text = start(text);
        let scene = Scene {
            text,
            lexicon: Lexicon::of(language),
            language,
            today,
        };
        match self {
            Self::Digits { min, max } => scene.code(&Code::Line(&Pattern::digits(*min, *max)), Value::Digits),
            Self::Id(pattern) => scene.code(&Code::Id(pattern), Value::Id),
            Self::Phone { local } => scene.phone(*local),
            Self::Date(when) => scene.date(*when),
            Self::YesNo => yes_no::leading_answer(text, language).map(|(yes, span)| Found {
                value: Value::YesNo(yes),
                span,
            }),
            Self::Number { min, max } => scene.number(*min, *max),
            Self::Money => amount::find_money(text, language).map(|(cents, span)| Found {
                value: Value::Money(cents),
                span,
            }),
            Self::Choice(choices) => choice::find_choice(text, choices, language).map(|(value, span)| Found {
                value: Value::Choice(value),
                span,
            }),
            Self::Email => free::find_email(text, language).map(|(address, span)| Found {
                value: Value::Email(address),
                span,
            }),
            Self::Name => free::find_name(text, language).map(|(name, span)| Found {
                value: Value::Name(name),
                span,
            }),
            Self::Address => {
                let found = address::find_address(text, language);
                scene.last_corrected(found).map(|(address, span)| Found {
                    value: Value::Address(address),
                    span,
                })
            }
            Self::Text => None,
        }
    }
}

/// What a number was announced as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    Phone,
    Id,
    Date,
}

/// The code looked for.
enum Code<'a> {
    Line(&'a Pattern),
    Id(&'a Pattern),
}

struct Scene<'a> {
    text: &'a str,
    lexicon: &'static Lexicon,
    language: Language,
    today: Date,
}

impl Scene<'_> {
    fn code(&self, code: &Code<'_>, value: impl FnOnce(String) -> Value) -> Option<Found> {
        let (pattern, letters) = match code {
            Code::Line(pattern) => (*pattern, false),
            Code::Id(pattern) => (*pattern, true),
        };
        let prefix = pattern.prefix();
        let heard = self.heard(letters.then_some(prefix.as_str()));
        let mut found = heard.candidates(&mut |sounds| pattern.fit(sounds));
        found.retain(|(code, span)| {
            let announced = self.announced(span.start);
            let written = self.text.get(span.clone()).unwrap_or_default();
            let is_spelled = code.contains(|c: char| c.is_ascii_alphabetic()) && starts_with_letter(written);
            match announced {
                _ if is_spelled => true,
                _ if self.follows_letters(span.start) || self.counts(span) => false,
                Some(Announced::Id) => true,
                Some(Announced::Phone | Announced::Date) => false,
                None => code.len() >= MIN_UNANNOUNCED && !letters,
            }
        });
        found.reverse();
        self.last_corrected(found).map(|(code, span)| Found {
            value: value(code),
            span,
        })
    }

    fn phone(&self, local: bool) -> Option<Found> {
        let mut found = phone::candidates(&self.heard(None), local);
        found.retain(|(_, span)| !self.follows_letters(span.start) && !self.counts(span));
        found.retain(|(number, span)| match self.announced(span.start) {
            Some(Announced::Phone) => true,
            Some(Announced::Id | Announced::Date) => false,
            None => number.starts_with('+'),
        });
        self.last_corrected(found).map(|(number, span)| Found {
            value: Value::Phone(number),
            span,
        })
    }

    fn date(&self, when: When) -> Option<Found> {
        let sightings = date::sightings(self.text, when, self.language, self.today);
        let found: Vec<_> = sightings
            .into_iter()
            .filter(|found| match self.announced(found.span.start) {
                Some(Announced::Date) => true,
                Some(Announced::Phone | Announced::Id) | None => found.evident,
            })
            .collect();
        let born: Vec<_> = found
            .iter()
            .filter(|found| self.announced(found.span.start) == Some(Announced::Date))
            .cloned()
            .collect();
        // A day of birth beside a day of treatment.
        let found = if when == When::Past && !born.is_empty() {
            born
        } else {
            found
        };
        let found = found.into_iter().map(|found| (found.day, found.span)).collect();
        self.last_corrected(found).map(|(day, span)| Found {
            value: Value::Date(day),
            span,
        })
    }

    fn number(&self, min: u64, max: u64) -> Option<Found> {
        let dates = date::sightings(self.text, When::Any, self.language, self.today);
        let found = amount::numbers(self.text, self.language);
        let free = found
            .into_iter()
            .filter(|(_, span)| !dates.iter().any(|date| overlaps(&date.span, span)));
        let free = free.filter(|(_, span)| !self.follows_letters(span.start)).collect();
        self.last_corrected(free)
            .filter(|(number, _)| (min..=max).contains(number))
            .map(|(number, span)| Found {
                value: Value::Number(number),
                span,
            })
    }

    /// The codes of the sentence, without its dates.
    fn heard(&self, letters: Option<&str>) -> Heard {
        let mut said = answer_tokens(self.text, self.lexicon);
        let dates = date::sightings(self.text, When::Any, self.language, self.today);
        for date in dates
            .iter()
            .filter(|date| date.evident || self.announced(date.span.start) == Some(Announced::Date))
        {
            for token in said.iter_mut().filter(|token| overlaps(&token.span, &date.span)) {
                TAKEN.clone_into(&mut token.text);
                token.kind = Kind::Word;
            }
        }
        Heard::of(said, self.lexicon, letters, false)
    }

    /// Of values in the order in which they were said: the only one, or the last if it corrects those before it.
    fn last_corrected<T: PartialEq>(&self, mut found: Vec<(T, Range<usize>)>) -> Option<(T, Range<usize>)> {
        let last = found.pop()?;
        let agrees = found.iter().all(|(value, _)| *value == last.0);
        let before = found.last().map_or(0, |(_, span)| span.end);
        let between = tokens(self.text.get(before..last.1.start).unwrap_or_default());
        let corrects = (0..between.len()).any(|at| {
            any_phrase_at(&between, at, self.lexicon.replaces).is_some()
                || any_phrase_at(&between, at, self.lexicon.restarts).is_some()
        });
        (agrees || corrects).then_some(last)
    }

    /// What the nearest telling word before `at` says of the number there.
    fn announced(&self, at: usize) -> Option<Announced> {
        let before = tokens(tail(self.text.get(..at).unwrap_or_default()));
        before.iter().rev().take(MAX_ANNOUNCEMENT).find_map(|token| {
            let is_in = |words: &[&str]| words.contains(&token.text.as_str());
            match () {
                () if is_in(self.lexicon.forms.phone_words) => Some(Announced::Phone),
                () if is_in(self.lexicon.forms.id_words) => Some(Announced::Id),
                () if is_in(self.lexicon.forms.date_words) => Some(Announced::Date),
                () => None,
            }
        })
    }

    /// "AB 1234": the digits are part of something else.
    fn follows_letters(&self, at: usize) -> bool {
        let before = self.text.get(..at).unwrap_or_default();
        let said = tokens(tail(before));
        said.last().is_some_and(|last| {
            let is_short = last.text.len() <= 3 && last.caps && !self.lexicon.is_filler(&last.text);
            let is_glued = before.ends_with(char::is_alphanumeric);
            last.kind == Kind::Word && (is_short || is_glued) || last.is("$") || last.is("€")
        })
    }

    /// "2000 dollars", "12345 days": an amount.
    fn counts(&self, span: &Range<usize>) -> bool {
        let after = self.text.get(span.end..).unwrap_or_default();
        tokens(head(after)).first().is_some_and(|next| {
            let word = next.text.as_str();
            let is_span = self.lexicon.spans.iter().any(|(name, _)| *name == word);
            is_span
                || self.lexicon.majors.contains(&word)
                || self.lexicon.minors.contains(&word)
                || is_glued(next, after)
        })
    }
}

fn is_glued(next: &Token, after: &str) -> bool {
    next.kind == Kind::Word && after.starts_with(char::is_alphanumeric)
}

fn starts_with_letter(written: &str) -> bool {
    written.starts_with(char::is_alphabetic)
}

fn overlaps(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The last bytes: what announces a number stands near it.
fn tail(text: &str) -> &str {
    let mut at = text.len().saturating_sub(MAX_NEAR);
    while !text.is_char_boundary(at) {
        at += 1;
    }
    text.get(at..).unwrap_or_default()
}

fn head(text: &str) -> &str {
    let mut at = text.len().min(MAX_NEAR);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.get(..at).unwrap_or_default()
}

/// Stands for words that a date is made of; no lexicon has it.
const TAKEN: &str = "#";
/// Shorter lines of digits are amounts, years or house numbers unless they were announced.
const MIN_UNANNOUNCED: usize = 7;
const MAX_ANNOUNCEMENT: usize = 8;
const MAX_NEAR: usize = 80;
