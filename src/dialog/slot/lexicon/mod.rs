//! The words of each language, as [`tokens`](super::text::tokens) leaves them: lower case, no accents.

mod en;
mod es;

use super::Language;

/// One language's words.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// Before and between what counts: "my number is".
    pub fillers: &'static [&'static str],
    /// As fillers, but what stands around them still belongs together: "uh".
    pub hesitations: &'static [&'static str],
    /// Nothing follows them.
    pub closings: &'static [&'static str],
    /// Asks for a moment: "let me grab".
    pub waits: &'static [&'static str],
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
    /// "at" of an address.
    pub at: &'static [&'static str],
    /// "dot".
    pub dot: &'static [&'static str],
    /// "my name is".
    pub name_is: &'static [&'static str],
    /// Of those, what announces a name in the middle of a sentence.
    pub introduces_name: &'static [&'static str],
    /// "my e-mail is".
    pub introduces_email: &'static [&'static str],
    /// What the number that follows is: of a telephone.
    pub phone_words: &'static [&'static str],
    /// Of an id, an account or a card.
    pub id_words: &'static [&'static str],
    /// A date.
    pub date_words: &'static [&'static str],
    /// Answers that stand at the start of a sentence whatever follows.
    pub plain_answers: &'static [&'static str],
    /// "six, not five", "six instead of five".
    pub negates: &'static [&'static str],
    /// "digit" of "the third digit".
    pub digit_nouns: &'static [&'static str],
    /// "it ends in", "the last digits are".
    pub ends_in: &'static [&'static str],
    /// "567 at the end".
    pub at_end: &'static [&'static str],
    /// "it starts with".
    pub starts_with: &'static [&'static str],
    /// "Street", "calle".
    pub streets: &'static [&'static str],
    /// Whether the house number follows the street: "calle Mayor 12".
    pub street_first: bool,
    /// Directions behind a street: "Northwest".
    pub directions: &'static [&'static str],
    /// "apartment", "suite".
    pub units: &'static [&'static str],
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

/// What `word` stands for in a table.
pub(super) fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}
