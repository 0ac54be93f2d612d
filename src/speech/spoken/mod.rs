//! Rewrites written forms into the words a TTS says sensibly on the phone. English.
//!
//! At each start of a token the rules are tried in order; the first that fits says its words. All else passes through.

mod calendar;
mod code;
mod number;
mod quantity;
mod scan;
mod word;

use scan::{Said, Scan, is_dash};

/// [`spoken`] for English. Other languages are read as they are written, but for the commas in figures, which are English.
pub fn spoken_in(text: &str, language: &str) -> String {
    if language == "en" {
        return spoken(text);
    }
    let chars: Vec<char> = text.chars().collect();
    let is_digit = |n: Option<usize>| n.and_then(|n| chars.get(n)).is_some_and(char::is_ascii_digit);
    let groups =
        |n: usize| is_digit(n.checked_sub(1)) && (1..=3).all(|next| is_digit(Some(n + next))) && !is_digit(Some(n + 4));
    let kept = chars.iter().enumerate().filter(|(n, c)| **c != ',' || !groups(*n));
    kept.map(|(_, c)| c).collect()
}

/// Gives `text` as it is spoken: "$50 on 3/15" becomes "fifty dollars on March fifteenth".
pub fn spoken(text: &str) -> String {
    let scan = Scan::new(text);
    let mut line = Line::default();
    let (mut at, mut said_end) = (0, 0);
    while let Some(c) = scan.get(at) {
        // What directly follows a rewritten form is a new token too: "$5each2".
        let is_start = at == said_end || !scan.before(at).is_some_and(char::is_alphanumeric) || !c.is_alphanumeric();
        if let Some(said) = is_start.then(|| rewrite(&scan, at)).flatten() {
            line.say(&said.words);
            at = said.end.max(at + 1);
            said_end = at;
        } else if c.is_alphanumeric() {
            let end = word_end(&scan, at);
            line.pass(&scan.text(at, end));
            at = end;
        } else {
            symbol(&scan, at, c, &mut line);
            at += 1;
        }
    }
    line.text.truncate(line.text.trim_end().len());
    line.text
}

fn rewrite(scan: &Scan, at: usize) -> Option<Said> {
    let rules = match scan.get(at)? {
        c if c.is_ascii_digit() => DIGIT_RULES,
        c if c.is_alphabetic() => LETTER_RULES,
        _ => SYMBOL_RULES,
    };
    rules.iter().find_map(|rule| rule(scan, at))
}

/// Past a word with its inner apostrophes.
fn word_end(scan: &Scan, at: usize) -> usize {
    let mut end = scan.run(at, char::is_alphanumeric);
    while scan.is(end, is_apostrophe) && scan.is(end + 1, char::is_alphabetic) {
        let part_end = scan.run(end + 1, char::is_alphabetic);
        // "a'B12" holds an id that the rules must see.
        if !scan.is_edge(part_end) {
            break;
        }
        end = part_end;
    }
    end
}

/// A character that is no part of a word and that no rule took.
fn symbol(scan: &Scan, at: usize, c: char, line: &mut Line) {
    let (before, after) = (scan.before(at), scan.get(at + 1));
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    match c {
        _ if c.is_whitespace() => line.space(),
        '&' => line.say("and"),
        '@' => line.say("at"),
        '%' => line.say("percent"),
        '=' => line.say("equals"),
        '°' => line.say("degrees"),
        '+' if line.said || after.is_some_and(|c| c.is_ascii_digit()) || is_word(before) => line.say("plus"),
        '~' if after.is_some_and(|c| c.is_ascii_digit() || c == '$') => line.say("about"),
        '/' if line.said && after.is_some_and(char::is_alphabetic) && before.is_some_and(|c| c.is_ascii_digit()) => {
            line.say("per");
        }
        '\'' | '’' if is_word(before) && is_word(after) => line.mark(c),
        '/' | '|' | '_' | '<' | '>' | '\\' => line.space(),
        _ if is_dash(c) => dash(scan, at, c, line),
        _ if DROPPED.contains(c) => {}
        _ => line.mark(c),
    }
}

/// A range, a minus, a compound or plain punctuation.
fn dash(scan: &Scan, at: usize, c: char, line: &mut Line) {
    let is_amount = |at: usize| scan.is(at, |c| c.is_ascii_digit() || matches!(c, '$' | '€' | '£'));
    let is_spaced = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '"'));
    let before = scan.before(at);
    let spaced_range = before == Some(' ')
        && scan.is_char(at + 1, ' ')
        && is_amount(at + 2)
        && at.checked_sub(2).is_some_and(|at| scan.is_digit(at));
    if spaced_range || (line.said && !is_spaced(before) && is_amount(at + 1)) {
        line.say("to");
    } else if is_spaced(before) && is_amount(at + 1) {
        line.say("minus");
    } else if c == '-'
        && ((line.said && scan.is(at + 1, char::is_alphanumeric)) || (!is_spaced(before) && is_amount(at + 1)))
    {
        line.space();
    } else {
        line.mark(c);
    }
}

/// The spoken line, with its spaces in the right places.
#[derive(Debug, Default)]
struct Line {
    text: String,
    /// The last thing in the line was rewritten, so a word needs a space before it.
    said: bool,
}

impl Line {
    fn say(&mut self, words: &str) {
        if !self.text.is_empty() {
            self.space();
        }
        self.text.push_str(words);
        self.said = true;
    }

    /// A word as it was written.
    fn pass(&mut self, word: &str) {
        if self.said {
            self.space();
        }
        self.text.push_str(word);
        self.said = false;
    }

    fn mark(&mut self, c: char) {
        self.text.push(c);
        self.said = false;
    }

    fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
    }
}

/// ".5" at the start of a token.
fn point(scan: &Scan, at: usize) -> Option<Said> {
    let is_start = scan.before(at).is_none_or(|c| !c.is_alphanumeric() && c != '.');
    if scan.is_char(at, '.') && is_start {
        quantity::number(scan, at)
    } else {
        None
    }
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

type Rule = fn(&Scan, usize) -> Option<Said>;

/// The first rule that fits wins: specific forms before general ones.
const DIGIT_RULES: &[Rule] = &[
    code::link,
    quantity::money,
    quantity::fraction,
    calendar::numeric_date,
    calendar::clock,
    calendar::ordinal_number,
    calendar::decade_number,
    code::digit_groups,
    quantity::ratio,
    quantity::measured,
    code::id,
    quantity::number,
];
const LETTER_RULES: &[Rule] = &[
    code::link,
    calendar::named_date,
    word::dotted_letters,
    word::abbreviation,
    code::id,
    word::acronym,
];
const SYMBOL_RULES: &[Rule] = &[quantity::money, quantity::fraction, code::phone, code::hash, point];

/// Quotes, brackets and markup that would only make the voice stumble.
const DROPPED: &str = "\"“”„‘’'«»()[]{}*`^#~•";

#[cfg(test)]
mod tests;
