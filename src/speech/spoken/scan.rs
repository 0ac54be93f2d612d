//! The text as characters, with the bounded look-around the rules need.

/// A rewritten stretch: it reaches up to `end` and is said as `words`.
#[derive(Debug)]
pub(super) struct Said {
    pub end: usize,
    pub words: String,
}

/// The text under rewriting. No look-ahead is longer than its token or [`MAX_LOOK`], which keeps the whole linear.
#[derive(Debug)]
pub(super) struct Scan {
    chars: Vec<char>,
    /// Several words and no lower-case letter: capitals mean nothing here.
    pub shouting: bool,
}

impl Scan {
    pub(super) fn new(text: &str) -> Self {
        let shouting = !text.contains(char::is_lowercase)
            && text
                .split_whitespace()
                .filter(|word| word.chars().all(char::is_alphabetic))
                .count()
                > 2;
        Self {
            chars: text.chars().collect(),
            shouting,
        }
    }

    pub(super) fn get(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    pub(super) fn before(&self, at: usize) -> Option<char> {
        at.checked_sub(1).and_then(|at| self.get(at))
    }

    pub(super) fn is(&self, at: usize, test: impl Fn(char) -> bool) -> bool {
        self.get(at).is_some_and(test)
    }

    pub(super) fn is_char(&self, at: usize, wanted: char) -> bool {
        self.get(at) == Some(wanted)
    }

    pub(super) fn is_digit(&self, at: usize) -> bool {
        self.is(at, |c| c.is_ascii_digit())
    }

    /// Whether no word goes on at `at`.
    pub(super) fn is_edge(&self, at: usize) -> bool {
        !self.is(at, char::is_alphanumeric)
    }

    /// Where the run of characters that pass `test` ends.
    pub(super) fn run(&self, at: usize, test: impl Fn(char) -> bool) -> usize {
        let rest = self.chars.get(at..).unwrap_or_default();
        at + rest.iter().take_while(|c| test(**c)).count()
    }

    /// As [`Self::run`], but looks at no more than [`MAX_LOOK`] characters.
    pub(super) fn short_run(&self, at: usize, test: impl Fn(char) -> bool) -> usize {
        let rest = self.chars.get(at..).unwrap_or_default();
        at + rest.iter().take(MAX_LOOK).take_while(|c| test(**c)).count()
    }

    pub(super) fn digits(&self, at: usize) -> usize {
        self.run(at, |c| c.is_ascii_digit())
    }

    pub(super) fn text(&self, from: usize, to: usize) -> String {
        self.chars.get(from..to).unwrap_or_default().iter().collect()
    }

    /// The number in `from..to` if it is digits only and small enough.
    pub(super) fn value(&self, from: usize, to: usize) -> Option<u64> {
        if to.saturating_sub(from) > 15 {
            None
        } else {
            self.text(from, to).parse().ok()
        }
    }

    /// Past one space, if there is one.
    pub(super) fn past_space(&self, at: usize) -> usize {
        if self.is(at, is_blank) { at + 1 } else { at }
    }

    /// The word before `at`, lower case, and where it starts.
    pub(super) fn word_before(&self, at: usize) -> Option<(usize, String)> {
        let mut end = at;
        while at - end < 4 && self.before(end).is_some_and(|c| !c.is_alphanumeric()) {
            end -= 1;
        }
        let mut start = end;
        while end - start < 24 && self.before(start).is_some_and(char::is_alphanumeric) {
            start -= 1;
        }
        (start < end).then(|| (start, self.text(start, end)))
    }

    /// Whether only closing marks follow up to the end of the text.
    pub(super) fn is_last(&self, at: usize) -> bool {
        self.get(self.short_run(at, |c| !c.is_alphanumeric())).is_none()
    }

    /// Whether " of" follows.
    pub(super) fn is_part(&self, at: usize) -> bool {
        self.is(at, is_blank) && self.text(at + 1, at + 3) == "of" && self.is_edge(at + 3)
    }

    /// Whether a space and a capital follow.
    pub(super) fn capital_follows(&self, at: usize) -> bool {
        self.is(at, char::is_whitespace) && self.is(at + 1, char::is_uppercase)
    }
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}')
}

pub(super) fn is_dash(c: char) -> bool {
    matches!(c, '-' | '–' | '—' | '\u{2011}' | '−')
}

/// Longer tokens are no e-mail address and no id.
const MAX_LOOK: usize = 128;
