//! Cuts streamed LLM text into speakable sentences, as early as it is safe.
//!
//! Every decision looks at one character at a time, so the pieces cannot depend on how the stream was chunked.

mod clean;

use clean::Cleaner;

/// Turns text deltas into sentences for TTS; one splitter per reply.
#[derive(Debug)]
pub struct SentenceSplitter {
    cleaner: Cleaner,
    cutter: Cutter,
}

impl SentenceSplitter {
    /// A splitter whose pieces hold at most `max_chars` characters (at least [`MIN_MAX_CHARS`]).
    pub fn new(max_chars: usize) -> Self {
        Self {
            cleaner: Cleaner::default(),
            cutter: Cutter::new(max_chars.max(MIN_MAX_CHARS)),
        }
    }

    /// Lets the first piece end at a comma ("Sure,"), so that the first audio comes sooner. The voice makes a pause there anyway.
    #[must_use]
    pub fn with_first_clause(mut self, first_clause: bool) -> Self {
        self.cutter.first_clause = first_clause;
        self
    }

    /// Takes the next delta and appends the pieces it completed to `out`.
    pub fn push(&mut self, delta: &str, out: &mut Vec<String>) {
        let cutter = &mut self.cutter;
        for c in delta.chars() {
            self.cleaner.push(c, &mut |c| cutter.push(c, out));
        }
    }

    /// Ends the reply: gives what is left, and is ready for the next reply.
    ///
    /// The last piece may exceed `max_chars` by the few characters of a markup tag that never closed.
    pub fn finish(&mut self) -> Option<String> {
        let cutter = &mut self.cutter;
        self.cleaner.finish(&mut |c| cutter.append(c));
        cutter.finish()
    }
}

impl Default for SentenceSplitter {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_CHARS)
    }
}

/// The boundary rules; sees clean text only.
#[derive(Debug)]
struct Cutter {
    max_chars: usize,
    first_clause: bool,
    /// No piece of this reply was emitted yet.
    first: bool,
    /// Trimmed at its start, whitespace squeezed to single spaces.
    piece: String,
    chars: usize,
}

impl Cutter {
    fn new(max_chars: usize) -> Self {
        Self {
            max_chars,
            first_clause: false,
            first: true,
            piece: String::new(),
            chars: 0,
        }
    }

    fn push(&mut self, c: char, out: &mut Vec<String>) {
        let boundary = c == '\n'
            || if c.is_whitespace() {
                self.ends_before_space()
            } else {
                ends_before_char(&self.piece, c)
            };
        if boundary {
            let piece = std::mem::take(&mut self.piece);
            self.chars = 0;
            self.emit(&piece, out);
        }
        self.append(c);
        if self.chars > self.max_chars {
            self.cut(out);
        }
    }

    fn append(&mut self, c: char) {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c != ' ' || !(self.piece.is_empty() || self.piece.ends_with(' ')) {
            self.piece.push(c);
            self.chars += 1;
        }
    }

    fn finish(&mut self) -> Option<String> {
        let piece = std::mem::take(&mut self.piece);
        self.chars = 0;
        self.first = true;
        let piece = piece.trim();
        is_speakable(piece).then(|| piece.to_owned())
    }

    fn emit(&mut self, piece: &str, out: &mut Vec<String>) {
        let piece = piece.trim();
        if is_speakable(piece) {
            self.first = false;
            out.push(piece.to_owned());
        }
    }

    /// Whether the piece is complete now that whitespace follows it.
    fn ends_before_space(&self) -> bool {
        let body = self.piece.trim_end_matches(is_closer);
        if body.ends_with([';', ':']) && self.chars >= LONG_CLAUSE_CHARS {
            return true;
        }
        if self.first_clause && self.first && ends_clause(body) {
            return true;
        }
        if body.ends_with(['!', '?', '。', '！', '？']) {
            return true;
        }
        body.ends_with('.') && !is_ellipsis(body) && stop_kind(body) == Stop::Sentence
    }

    /// Cuts an overlong piece at the last clause boundary, else the last space, else hard.
    fn cut(&mut self, out: &mut Vec<String>) {
        let limit = self
            .piece
            .char_indices()
            .nth(self.max_chars)
            .map_or(self.piece.len(), |(at, _)| at);
        let space = self.piece[..limit].rfind(' ');
        let clause = self.piece[..limit]
            .match_indices(' ')
            .map(|(at, _)| at)
            .rfind(|&at| self.piece[..at].ends_with([',', ';', ':', '-', '–', '—']))
            // A very early clause would only shift the run-on to the next piece.
            .filter(|&at| at * MIN_CLAUSE_SHARE >= limit);
        // A text that fills the limit exactly and is followed by a space needs no earlier cut.
        let whole = self.piece[limit..].starts_with(' ').then_some(limit);
        let at = clause.or(whole).or(space).unwrap_or(limit);
        let rest = self.piece[at..].trim_start().to_owned();
        let piece = std::mem::replace(&mut self.piece, rest);
        self.chars = self.piece.chars().count();
        self.emit(&piece[..at], out);
    }
}

/// What the full stop at the end of a text means.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Sentence,
    Abbreviation,
    /// An abbreviation if a digit follows ("No. 5"), else a sentence.
    UnlessDigit,
    /// A sentence if a capital follows ("etc. We").
    IfCapital,
}

/// Whether the piece ended before `c`, which is no whitespace.
fn ends_before_char(piece: &str, c: char) -> bool {
    if let Some(before) = piece.strip_suffix(' ') {
        let body = before.trim_end_matches(is_closer);
        if is_ellipsis(body) {
            return starts_sentence(c);
        }
        return body.ends_with('.')
            && match stop_kind(body) {
                Stop::UnlessDigit => !(c.is_numeric() || c == '#'),
                Stop::IfCapital => starts_sentence(c),
                Stop::Sentence | Stop::Abbreviation => false,
            };
    }
    if piece.ends_with(['。', '！', '？']) {
        return c.is_alphanumeric();
    }
    piece.ends_with(['!', '?']) && c.is_alphanumeric() && !looks_like_link(last_word(piece))
}

fn starts_sentence(c: char) -> bool {
    c.is_uppercase() || matches!(c, '"' | '“' | '(' | '¿' | '¡')
}

fn stop_kind(body: &str) -> Stop {
    let word = last_word(body)
        .trim_start_matches(|c: char| !c.is_alphanumeric())
        .trim_end_matches('.');
    if is_initials(word) {
        return Stop::Abbreviation;
    }
    let word = word.to_lowercase();
    let is_in = |list: &[&str]| list.contains(&word.as_str());
    if is_in(ABBREVIATIONS) {
        Stop::Abbreviation
    } else if is_in(BEFORE_DIGIT) {
        Stop::UnlessDigit
    } else if is_in(BEFORE_LOWERCASE) {
        Stop::IfCapital
    } else {
        Stop::Sentence
    }
}

/// "J" or letters with dots between: "e.g", "U.S", "p.m". A lone "I" is the pronoun.
fn is_initials(word: &str) -> bool {
    let mut letters = word.split('.');
    let all_single = letters.all(|part| {
        let mut chars = part.chars();
        chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none()
    });
    all_single && (word.contains('.') || (word.chars().all(char::is_uppercase) && word != "I"))
}

fn is_ellipsis(body: &str) -> bool {
    body.ends_with("..") || body.ends_with('…')
}

/// A comma that ends a clause; "March 15," and "1, 2" do not.
fn ends_clause(body: &str) -> bool {
    body.strip_suffix([',', ';', ':'])
        .is_some_and(|before| before.ends_with(char::is_alphabetic))
}

fn looks_like_link(word: &str) -> bool {
    word.contains(['/', '@', '=']) || word.starts_with("www.")
}

fn last_word(text: &str) -> &str {
    text.rsplit(' ').next().unwrap_or(text)
}

fn is_speakable(piece: &str) -> bool {
    piece.contains(char::is_alphanumeric)
}

fn is_closer(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}')
}

/// A run-on is cut here, about 15 s of speech.
pub const DEFAULT_MAX_CHARS: usize = 220;
/// Below this a piece is no sentence, only a stutter.
pub const MIN_MAX_CHARS: usize = 16;

/// From this length on a colon or semicolon ends a piece.
const LONG_CLAUSE_CHARS: usize = 80;
/// A clause cut keeps at least one part in so many of the limit.
const MIN_CLAUSE_SHARE: usize = 3;

/// Lower case, without the last dot. Single letters with dots ("p.m.") need no entry.
const ABBREVIATIONS: &[&str] = &[
    "dr", "mr", "mrs", "ms", "mx", "prof", "st", "ave", "blvd", "rd", "ln", "hwy", "apt", "ste", "mt", "inc", "ltd",
    "corp", "co", "vs", "approx", "dept", "jr", "sr", "gov", "gen", "rep", "sen", "hon", "rev", "capt", "col", "lt",
    "sgt", "messrs", "ph.d", "appt", "tel",
];
const BEFORE_DIGIT: &[&str] = &[
    "no", "nos", "ext", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "fig",
    "vol", "pp",
];
const BEFORE_LOWERCASE: &[&str] = &["etc", "esp", "est", "min", "max", "hr", "hrs"];

#[cfg(test)]
mod tests;
