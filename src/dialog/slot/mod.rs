//! What the agent waits for, and what of it the caller has said. English and Spanish, as Whisper writes them.
//!
//! [`Slot::parse`] looks at the transcript of a turn so far. Its answer has two parts that endpointing and forms use apart:
//!
//! | progress | value | meaning |
//! |---|---|---|
//! | `Complete` | yes | nothing more can come: answer at once |
//! | `Incomplete` | yes | usable, but it may go on ("fifty" of "fifty six", 6 digits of 6 to 8): take it if the pause lasts |
//! | `Incomplete` | no | a good beginning, a filler, or a correction that was only announced: wait |
//! | `Impossible` | no | this is something else: a question, a refusal, too many digits |
//!
//! A form also asks [`Slot::find`] (a value anywhere in a longer sentence), [`Slot::amend`] (a correction of what was read back),
//! [`Slot::resume`] (an answer that goes on in the next turn), [`Slot::keyed`] (the keypad), and says what it has with
//! [`Value::speak`].

mod address;
mod amend;
mod amount;
mod choice;
mod code;
mod date;
mod find;
mod free;
mod keyed;
mod lexicon;
mod number;
mod pattern;
mod phone;
mod private;
mod resume;
mod speak;
mod stutter;
mod text;
mod yes_no;

pub use find::Found;
pub use jiff::civil::Date;
pub use pattern::{MAX_LEN, Pattern, PatternError};
pub use private::{Private, private_spans};
pub use resume::Resumed;
pub(in crate::dialog) use yes_no::affirms;

pub(in crate::dialog) use speak::capitalised;

use crate::speech::Answer;
use crate::turn::event::Progress;
use lexicon::Lexicon;

/// What the caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English; dates are month first.
    En,
    /// Spanish; dates are day first.
    Es,
}

private_debug!(Value, Parsed);

impl Language {
    /// Its ISO 639-1 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
        }
    }

    /// By its ISO 639-1 code.
    pub fn named(code: &str) -> Option<Self> {
        [Self::En, Self::Es]
            .into_iter()
            .find(|language| language.code() == code)
    }

    /// By its ISO 639-1 code. English for those without parsers of their own, because digits are written alike.
    pub fn of(code: &str) -> Self {
        match code {
            "es" => Self::Es,
            _ => Self::En,
        }
    }
}

/// One thing the agent waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// A line of `min` to `max` digits, such as a PIN. Complete at `max`, or from `min` on with a closing phrase ("that's it").
    Digits {
        /// The fewest.
        min: usize,
        /// The most, at most [`MAX_LEN`].
        max: usize,
    },
    /// An id of a known form. Letters that all ids begin with may be left out by the caller; the value has them.
    Id(Pattern),
    /// A telephone number: 10 digits, 11 with the leading 1, or "+" and 8 to 15.
    Phone {
        /// Whether 7 digits are enough. Otherwise they are the beginning of 10.
        local: bool,
    },
    /// A day.
    Date(When),
    /// An answer to a yes-or-no question.
    YesNo,
    /// A whole number.
    Number {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// An amount of money.
    Money,
    /// One of several.
    Choice(Vec<Choice>),
    /// An e-mail address.
    Email,
    /// A person's name.
    Name,
    /// A street address: a house number and a street, with what follows them.
    Address,
    /// Anything. Complete unless its end calls for more.
    Text,
}

/// Which days a date may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Today or before, with its year: a date of birth.
    Past,
    /// Today or later; without a year the next such day.
    Future,
    /// Any; without a year this year's, and incomplete.
    Any,
}

/// One possible answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The value.
    pub value: String,
    /// Words by which callers name it. The value itself need not be among them.
    pub says: Vec<String>,
}

/// What was said, typed.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Value {
    /// `0-9` only.
    Digits(String),
    /// Capital letters and digits, as the pattern has them.
    Id(String),
    /// "+" and digits, or 7 digits where the slot allows that.
    Phone(String),
    /// A day of the Gregorian calendar.
    Date(Date),
    /// Yes is true.
    YesNo(bool),
    /// A whole number.
    Number(u64),
    /// In cents; the currency is the agent's.
    Money(u64),
    /// The choice's value.
    Choice(String),
    /// In lower case.
    Email(String),
    /// As it was written, without "my name is".
    Name(String),
    /// As it was written, with numbers as digits and without "I live at".
    Address(String),
    /// As it was written.
    Text(String),
}

/// What a slot's parser says of a transcript.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Parsed {
    /// Whether more is to come.
    pub progress: Progress,
    /// What can be taken. Always there when complete, never when impossible.
    pub value: Option<Value>,
}

impl Slot {
    /// Reads `text`, the caller's whole turn so far. `today` is the day at the caller's place. Never panics.
    pub fn parse(&self, text: &str, language: Language, today: Date) -> Parsed {
        let text = start(text);
        let parsed = self.parse_start(text, language, today);
        if parsed.progress == Progress::Impossible
            && let Some(value) = self.parse_without_stutter(text, language, today)
        {
            return Parsed::usable(value);
        }
        let waits = parsed.progress == Progress::Impossible && text::only_waits(text, Lexicon::of(language));
        if waits { Parsed::BEGUN } else { parsed }
    }

    /// Of "two one two, five five five" Whisper writes "2125555" at times, or eights without end. The caller may go on, and hears what was
    /// taken.
    fn parse_without_stutter(&self, text: &str, language: Language, today: Date) -> Option<Value> {
        let is_code = matches!(self, Self::Digits { .. } | Self::Id(_) | Self::Phone { .. });
        let mut fewer = stutter::mended(text).filter(|_| is_code);
        fewer.find_map(|fewer| self.parse_start(&fewer, language, today).value)
    }

    fn parse_start(&self, text: &str, language: Language, today: Date) -> Parsed {
        match self {
            Self::Digits { min, max } => code::digits(text, *min, *max, language),
            Self::Id(pattern) => code::id(text, pattern, language),
            Self::Phone { local } => phone::phone(text, *local, language),
            Self::Date(when) => date::date(text, *when, language, today),
            Self::YesNo => yes_no::yes_no(text, language),
            Self::Number { min, max } => amount::number(text, *min, *max, language),
            Self::Money => amount::money(text, language),
            Self::Choice(choices) => choice::choice(text, choices, language),
            Self::Email => free::email(text, language),
            Self::Name => free::name(text, language),
            Self::Address => address::address(text, language),
            Self::Text => free::text(text, language),
        }
    }
}

impl Slot {
    /// Short answers, for the transcriber: of a choice all that name it, in its order; of yes or no words that it is known to mishear.
    pub fn answers(&self, language: Language) -> Vec<Answer> {
        match self {
            Self::Choice(choices) => choices.iter().map(choice::answer).collect(),
            Self::YesNo => yes_no::yes_no_answers(language),
            Self::Digits { .. }
            | Self::Id(_)
            | Self::Phone { .. }
            | Self::Date(_)
            | Self::Number { .. }
            | Self::Money
            | Self::Email
            | Self::Name
            | Self::Address
            | Self::Text => Vec::new(),
        }
    }
}

impl Parsed {
    const IMPOSSIBLE: Self = Self {
        progress: Progress::Impossible,
        value: None,
    };
    const BEGUN: Self = Self {
        progress: Progress::Incomplete,
        value: None,
    };

    const fn complete(value: Value) -> Self {
        Self {
            progress: Progress::Complete,
            value: Some(value),
        }
    }

    const fn usable(value: Value) -> Self {
        Self {
            progress: Progress::Incomplete,
            value: Some(value),
        }
    }
}

/// No answer is longer than [`MAX_TEXT`] bytes, and time must not grow with what a broken transcriber writes.
fn start(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

const MAX_TEXT: usize = 2000;

#[cfg(test)]
mod tests;
