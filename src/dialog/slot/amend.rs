//! Corrections of a value that was read back.

use super::code::Heard;
use super::lexicon::{Lexicon, find};
use super::pattern::{Fit, Pattern};
use super::speak::groups;
use super::text::{Kind, Token, answer_tokens, any_phrase_at, tokens};
use super::{Date, Language, Slot, Value, When, date, start, yes_no};

impl Slot {
    /// `previous` as `text` corrects it, or nothing where that is unclear.
    ///
    /// * A whole new value ("no, MB123457") replaces the old one.
    /// * Of digits, a part replaces what it names: "it ends in 567", "the last digit is 8", "the third digit is 4", "six, not five". Else it
    ///   replaces the group of the same length that is most like it, the last one if none is more so.
    /// * Of dates, the day, the month or the year that was said.
    /// * Of two values the one that is not `previous` counts: "April, not March".
    pub fn amend(&self, previous: &Value, text: &str, language: Language, today: Date) -> Option<Value> {
        let text = start(text);
        let lexicon = Lexicon::of(language);
        let code = |whole: &str, body: &str, letters: bool, pattern: &Pattern| {
            if self.tells_another(text, language, today) {
                return None;
            }
            let prefix = whole.strip_suffix(body).unwrap_or_default();
            let new = Correction::new(text, lexicon, letters).amended(body)?;
            fits(pattern, &format!("{prefix}{new}"))
        };
        match (self, previous) {
            (Self::Digits { min, max }, Value::Digits(old)) => self
                .whole(previous, text, language, today)
                .or_else(|| code(old, old, false, &Pattern::digits(*min, *max)).map(Value::Digits)),
            (Self::Id(pattern), Value::Id(old)) => self.whole(previous, text, language, today).or_else(|| {
                let body = old.strip_prefix(&pattern.prefix()).unwrap_or(old);
                code(old, body, pattern.has_free_letters(), pattern).map(Value::Id)
            }),
            (Self::Phone { .. }, Value::Phone(old)) => self.whole(previous, text, language, today).or_else(|| {
                let body = old.strip_prefix("+1").or_else(|| old.strip_prefix('+')).unwrap_or(old);
                let line = Pattern::digits(body.len(), body.len());
                code(body, body, false, &line)
                    .and_then(|new| Some(format!("{}{new}", old.strip_suffix(body)?)))
                    .map(Value::Phone)
            }),
            (Self::Date(when), Value::Date(old)) => versions(text, lexicon).into_iter().find_map(|text| {
                let whole = self
                    .parse(text, language, today)
                    .value
                    .filter(|_| !is_part_of_date(text, language, today));
                let day = || date::amended(*old, text, *when, language, today).map(Value::Date);
                whole.or_else(day).filter(|new| new != previous)
            }),
            (Self::YesNo, Value::YesNo(_)) => {
                // "No, yes."
                let whole = self.parse(text, language, today).value;
                let is_yes = |text: &&str| yes_no::is_plain_yes(text, lexicon);
                let turned = || versions(text, lexicon).into_iter().find(is_yes);
                whole.or_else(|| turned().map(|_| Value::YesNo(true)))
            }
            (Self::Name, Value::Name(old)) => versions(text, lexicon).into_iter().find_map(|text| {
                let name = self.parse(text, language, today).value?;
                let Value::Name(written) = &name else { return None };
                let words = |name: &str| name.split(' ').count();
                let is_name = written.split(' ').all(|word| word.starts_with(char::is_uppercase));
                (is_name && words(written) >= words(old).min(2) && name != *previous).then_some(name)
            }),
            (Self::Number { .. }, Value::Number(_))
            | (Self::Money, Value::Money(_))
            | (Self::Choice(_), Value::Choice(_))
            | (Self::Email, Value::Email(_))
            | (Self::Address, Value::Address(_)) => versions(text, lexicon).into_iter().find_map(|text| {
                let new = self.parse(text, language, today).value;
                new.filter(|new| new != previous)
            }),
            _ => None,
        }
    }

    /// The digits are of a date, or of a telephone where an id is corrected.
    fn tells_another(&self, text: &str, language: Language, today: Date) -> bool {
        let lexicon = Lexicon::of(language);
        let of_phone = matches!(self, Self::Phone { .. });
        let said = tokens(text);
        let mut words = said.iter().map(|token| token.text.as_str());
        words.any(|word| {
            lexicon.forms.date_words.contains(&word) || !of_phone && lexicon.forms.phone_words.contains(&word)
        }) || date::sightings(text, When::Any, language, today)
            .iter()
            .any(|date| date.evident)
    }

    /// A whole new code.
    fn whole(&self, previous: &Value, text: &str, language: Language, today: Date) -> Option<Value> {
        let lexicon = Lexicon::of(language);
        versions(text, lexicon)
            .into_iter()
            .find_map(|text| self.parse(text, language, today).value.filter(|new| new != previous))
    }
}

/// A day of the month alone is a part of the date that was read back, not the next such day.
fn is_part_of_date(text: &str, language: Language, today: Date) -> bool {
    date::names_part(text, language, today)
}

/// What may be meant of "X, not Y", "not Y, X", "no, X", the likeliest first.
fn versions<'a>(text: &'a str, lexicon: &Lexicon) -> Vec<&'a str> {
    let said = tokens(text);
    let first = (0..said.len())
        .find(|at| !is_preface(&said, *at, lexicon))
        .unwrap_or(said.len());
    // "MB123457, sorry."
    let last = (first..said.len()).rev().find(|at| !is_preface(&said, *at, lexicon));
    let text = last.and_then(|at| text.get(..said.get(at)?.span.end)).unwrap_or(text);
    let at_byte = |at: usize| said.get(at).map_or(text.len(), |token| token.span.start);
    let mut versions = Vec::new();
    // Behind "no," a "no" negates; the first one answers.
    let negation = (0..said.len()).find(|at| {
        let next = any_phrase_at(&said, *at, lexicon.forms.negates);
        next.is_some_and(|next| !(*at < first && said.get(next).is_none_or(Token::is_mark)))
    });
    if let Some(at) = negation {
        if at > first {
            versions.extend(text.get(at_byte(first)..at_byte(at)));
        }
        let mark = (at..said.len()).find(|at| {
            said.get(*at)
                .is_some_and(|token| token.is_mark() || BUT.contains(&token.text.as_str()))
        });
        versions.extend(mark.and_then(|mark| text.get(at_byte(mark + 1)..)));
        if at > first {
            return versions;
        }
    }
    versions.extend(text.get(at_byte(first)..));
    versions
}

/// "No, sorry, it's".
fn is_preface(said: &[Token], at: usize, lexicon: &Lexicon) -> bool {
    said.get(at).is_some_and(|token| {
        let word = token.text.as_str();
        token.is_mark()
            || lexicon.hesitates(word) && word.len() > 1
            || lexicon.replaces.contains(&word)
            || lexicon.no.contains(&word)
    })
}

fn fits(pattern: &Pattern, code: &str) -> Option<String> {
    match pattern.fit_exactly(code) {
        Fit::Full(code) | Fit::Enough(code) => Some(code),
        Fit::Beginning | Fit::Misfit => None,
    }
}

/// A correction of characters.
struct Correction {
    said: Vec<Token>,
    lexicon: &'static Lexicon,
    letters: bool,
}

impl Correction {
    fn new(text: &str, lexicon: &'static Lexicon, letters: bool) -> Self {
        let mut said = answer_tokens(text, lexicon);
        // "Es un 6": no one before the six.
        let figure = |token: &Token| token.kind == Kind::Digits || find(lexicon.small, &token.text).is_some();
        let article = |pair: &[Token]| matches!(pair, [a, b] if (a.is("un") || a.is("una")) && figure(b));
        while let Some(at) = said.windows(2).position(article) {
            said.remove(at);
        }
        Self { said, lexicon, letters }
    }

    /// `old` with what was said of it.
    fn amended(&self, old: &str) -> Option<String> {
        let (new, wrong) = self.new_and_wrong();
        let at_phrase = |phrases| (0..new.len()).find_map(|at| any_phrase_at(new, at, phrases));
        let at_end = (0..new.len()).find(|at| any_phrase_at(new, *at, self.lexicon.forms.at_end).is_some());
        let end = at_phrase(self.lexicon.forms.ends_in).map(|next| next..new.len());
        if let Some(end) = end.or_else(|| at_end.map(|at| 0..at)) {
            let new = self.heard(new.get(end)?)?;
            let kept = old.len().checked_sub(new.len())?;
            return Some(format!("{}{new}", old.get(..kept)?));
        }
        if let Some(next) = at_phrase(self.lexicon.forms.starts_with) {
            let new = self.heard(new.get(next..)?)?;
            return Some(format!("{new}{}", old.get(new.len()..)?));
        }
        if let Some((place, next)) = self.place(new) {
            let new = self.heard(new.get(next..)?).filter(|new| new.len() == 1)?;
            return Some(format!("{}{new}{}", old.get(..place - 1)?, old.get(place..)?));
        }
        let new = self.heard(new)?;
        if let Some(wrong) = wrong {
            let wrong = self.heard(wrong)?;
            let (at, _) = old.match_indices(&wrong).next()?;
            let is_only = old.rmatch_indices(&wrong).next() == Some((at, &wrong));
            return is_only.then(|| {
                format!(
                    "{}{new}{}",
                    old.get(..at).unwrap_or_default(),
                    old.get(at + wrong.len()..).unwrap_or_default()
                )
            });
        }
        aligned(old, &new)
    }

    /// "Six, not five", "not five, six", "not 56": what is right and what is wrong.
    fn new_and_wrong(&self) -> (&[Token], Option<&[Token]>) {
        let said = self.said.as_slice();
        let first = (0..said.len())
            .find(|at| !is_preface(said, *at, self.lexicon))
            .unwrap_or(said.len());
        let negation = (0..said.len()).find_map(|at| {
            let next = any_phrase_at(said, at, self.lexicon.forms.negates)?;
            let answers = at < first && said.get(next).is_none_or(Token::is_mark);
            (!answers && said.get(next..)?.iter().any(|token| !token.is_mark())).then_some((at, next))
        });
        let part = |from: usize, to: usize| said.get(from..to).unwrap_or_default();
        let Some((at, next)) = negation else {
            return (part(first, said.len()), None);
        };
        if part(0, at).iter().any(|token| self.is_figure(token)) {
            return (part(first.min(at), at), Some(part(next, said.len())));
        }
        let mark = (next..said.len()).find(|at| {
            said.get(*at)
                .is_some_and(|token| token.is_mark() || BUT.contains(&token.text.as_str()))
        });
        match mark {
            Some(mark) if part(mark, said.len()).iter().any(|token| self.is_figure(token)) => {
                (part(mark + 1, said.len()), Some(part(next, mark)))
            }
            // Spanish "no" only answers here; English "not five" says what is wrong alone.
            _ if self
                .lexicon
                .replaces
                .contains(&said.get(at).map_or("", |token| token.text.as_str())) =>
            {
                (part(next, said.len()), None)
            }
            _ => (&[], None),
        }
    }

    fn is_figure(&self, token: &Token) -> bool {
        let word = token.text.as_str();
        let tables = [self.lexicon.small, self.lexicon.tens];
        token.kind == Kind::Digits
            || tables.iter().any(|table| find(table, word).is_some())
            || find(self.lexicon.multipliers, word).is_some()
            || self.letters && (word.len() == 1 || find(self.lexicon.letters, word).is_some())
    }

    /// "The third digit is": its place from 1, and where what is said of it begins.
    fn place(&self, said: &[Token]) -> Option<(usize, usize)> {
        (0..said.len()).find_map(|at| {
            let token = said.get(at)?;
            // "4th" are two tokens.
            let (place, next) = match token.kind {
                Kind::Digits => (token.text.parse().ok(), at + 2),
                Kind::Word | Kind::Mark => (find(self.lexicon.ordinals, &token.text), at + 1),
            };
            let noun = &said.get(next)?.text;
            let is_digit = self.lexicon.forms.digit_nouns.contains(&noun.as_str());
            let place = usize::try_from(place?).ok().filter(|place| *place > 0)?;
            is_digit.then_some((place, next + 1))
        })
    }

    /// The characters said, if nothing else was.
    fn heard(&self, said: &[Token]) -> Option<String> {
        let any: Pattern = if self.letters {
            "[A-Z0-9]{1,40}".parse().ok()?
        } else {
            Pattern::digits(1, super::MAX_LEN)
        };
        let heard = Heard::of(said.to_vec(), self.lexicon, self.letters.then_some(""), false);
        heard.parse(&mut |sounds| any.fit(sounds)).code
    }
}

/// `new` in the place of that group of `old` that is most like it, of the last one if none is more so. Nothing if it is there
/// already.
fn aligned(old: &str, new: &str) -> Option<String> {
    let last = old.len().checked_sub(new.len())?;
    let mut starts = vec![last];
    let mut at = 0;
    for group in groups(old) {
        if group.len() == new.len() {
            starts.push(at);
        }
        at += group.len();
    }
    if new.len() >= MIN_SLID {
        starts.extend(0..last);
    }
    let differing = |at: usize| {
        let old = old.get(at..at + new.len())?;
        Some(old.chars().zip(new.chars()).filter(|(old, new)| old != new).count())
    };
    let least = starts.iter().filter_map(|at| differing(*at)).min()?;
    // Unlike everything: the last group.
    let at = starts
        .into_iter()
        .find(|at| differing(*at) == Some(least) && (least <= 1 || *at == last))
        .unwrap_or(last);
    (least > 0).then(|| Some(format!("{}{new}{}", old.get(..at)?, old.get(at + new.len()..)?)))?
}

const BUT: &[&str] = &["but", "it's", "sino"];
/// So many digits are recognised at any place.
const MIN_SLID: usize = 3;
