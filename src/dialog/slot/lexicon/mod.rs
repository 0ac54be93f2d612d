//! The words of each language, as [`tokens`](super::text::tokens) leaves them: lower case, no accents.

mod en;
mod es;
mod forms;
mod polarity;

use super::Language;
pub(super) use forms::Forms;
pub(super) use polarity::Polarity;

/// One language's words.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// Before and between what counts: "my number is".
    pub fillers: &'static [&'static str],
    /// As fillers, but what stands around them still belongs together: "uh".
    pub hesitations: &'static [&'static str],
    /// Nothing follows them.
    pub closings: &'static [&'static str],
    /// What follows replaces the end of what came before: "sorry, I meant".
    pub replaces: &'static [&'static str],
    /// What follows replaces all: "scratch that".
    pub restarts: &'static [&'static str],
    /// 0 to 29, where they are one word.
    pub small: &'static [(&'static str, u64)],
    /// 20 to 90.
    pub tens: &'static [(&'static str, u64)],
    /// Between tens and units: "y".
    pub tens_and: Option<&'static str>,
    /// Whole hundreds in one word: "doscientos".
    pub hundreds: &'static [(&'static str, u64)],
    /// What multiplies what stands before it: "hundred", "mil".
    pub scales: &'static [(&'static str, u64)],
    /// After hundreds: "and".
    pub hundred_and: Option<&'static str>,
    /// First, second …
    pub ordinals: &'static [(&'static str, u64)],
    /// Words that sound like a digit; one only among others.
    pub digit_sounds: &'static [(&'static str, char)],
    /// Names of letters that are nothing else.
    pub letters: &'static [(&'static str, char)],
    /// Words that sound like a letter; one only among others.
    pub letter_sounds: &'static [(&'static str, char)],
    /// Names of letters in two words.
    pub long_letters: &'static [(&'static str, char)],
    /// Bravo, Charlie …
    pub spelling: &'static [(&'static str, char)],
    /// "B as in boy".
    pub as_in: &'static [&'static str],
    /// "double seven".
    pub multipliers: &'static [(&'static str, usize)],
    /// January first.
    pub months: &'static [&'static [&'static str]],
    /// Monday first.
    pub weekdays: &'static [&'static [&'static str]],
    /// Around dates.
    pub date_fillers: &'static [&'static str],
    /// Days from today.
    pub relative_days: &'static [(&'static str, i32)],
    /// Times of a day, which would mean a day otherwise: "la mañana".
    pub day_times: &'static [&'static str],
    /// "next month", where it is not said so: days as in `spans`, a year is [`YEAR`].
    pub stretches: &'static [(&'static str, i32)],
    /// "from" of "a week from Friday".
    pub counted_from: &'static [&'static str],
    /// "before" of "two days before Friday".
    pub counted_to: &'static [&'static str],
    /// "next", "próximo".
    pub next: &'static [&'static str],
    /// "last", "pasado".
    pub last: &'static [&'static str],
    /// "days", "weeks", "months" in days; months are 0.
    pub spans: &'static [(&'static str, i32)],
    /// "in" of "in two weeks".
    pub within: &'static [&'static str],
    /// "two weeks from now".
    pub from_now: &'static [&'static str],
    /// "two weeks ago".
    pub ago: &'static [&'static str],
    /// A yes.
    pub yes: &'static [&'static str],
    /// A no.
    pub no: &'static [&'static str],
    /// Neither.
    pub unsure: &'static [&'static str],
    /// "the first one" of a list, by position; the last is -1.
    pub positions: &'static [(&'static str, i32)],
    /// "dollars", "bucks".
    pub majors: &'static [&'static str],
    /// "cents".
    pub minors: &'static [&'static str],
    /// "12,50" is twelve and a half, "1.250" more than a thousand.
    pub decimal_comma: bool,
    /// "at" of an address.
    pub at: &'static [&'static str],
    /// "dot".
    pub dot: &'static [&'static str],
    /// "my name is".
    pub name_is: &'static [&'static str],
    /// How a yes or no is told.
    pub polarity: &'static Polarity,
    /// What forms ask for beyond one answer.
    pub forms: &'static Forms,
}

impl Lexicon {
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &en::WORDS,
            Language::Es => &es::WORDS,
        }
    }

    pub(super) fn is_filler(&self, word: &str) -> bool {
        self.fillers.contains(&word)
    }

    pub(super) fn hesitates(&self, word: &str) -> bool {
        self.hesitations.contains(&word)
    }
}

/// In `stretches`.
pub(super) const YEAR: i32 = 365;

/// What `word` stands for in a table.
pub(super) fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}
