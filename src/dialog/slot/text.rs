//! What Whisper wrote, as tokens: words, runs of digits, and marks. Shared by all parsers.

use std::ops::Range;

use super::lexicon::Lexicon;

/// What a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Digits,
    /// One character: a comma, a point, a slash, "$", "@" …
    Mark,
}

/// A piece of the transcript, in lower case and without accents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub text: String,
    pub kind: Kind,
    /// Nothing stands between it and the one before.
    pub glued: bool,
    /// All its letters were capitals.
    pub caps: bool,
    /// Where it stands, in bytes of the transcript.
    pub span: Range<usize>,
}

impl Token {
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(super) fn is_mark(&self) -> bool {
        self.kind == Kind::Mark
    }
}

/// Cuts `text` into tokens. Dashes are gaps: they mean nothing that the tokens do not say.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut glued = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let end = at + c.len_utf8();
        if c.is_whitespace() || matches!(c, '-' | '–' | '—' | '\u{2011}' | '…') {
            glued = false;
            continue;
        }
        let kind = kind(c);
        let apostrophe = matches!(c, '\'' | '’');
        let inside = apostrophe
            && glued
            && tokens.last().is_some_and(|token| token.kind == Kind::Word)
            && chars.peek().is_some_and(|(_, next)| next.is_alphabetic());
        match tokens.last_mut() {
            Some(token) if inside => token.text.push('\''),
            Some(token) if glued && token.kind == kind && kind != Kind::Mark => {
                token.caps &= c.is_uppercase();
                token.text.extend(fold(c));
                token.span.end = end;
            }
            _ => tokens.push(Token {
                text: fold(c).collect(),
                kind,
                glued,
                caps: c.is_uppercase(),
                span: at..end,
            }),
        }
        glued = true;
    }
    tokens
}

/// The tokens of an answer: what only asks for a moment ("hold on one second") is not part of it.
pub(super) fn answer_tokens(text: &str, lexicon: &Lexicon) -> Vec<Token> {
    let mut tokens = tokens(text);
    let mut at = 0;
    while at < tokens.len() {
        match any_phrase_at(&tokens, at, lexicon.forms.waits) {
            Some(end) => drop(tokens.drain(at..end)),
            None => at += 1,
        }
    }
    tokens
}

/// The caller asks for a moment and has said nothing that could be the answer.
pub(super) fn only_waits(text: &str, lexicon: &Lexicon) -> bool {
    let tokens = tokens(text);
    tokens.iter().all(|token| token.kind != Kind::Digits)
        && (0..tokens.len()).any(|at| any_phrase_at(&tokens, at, lexicon.forms.waits).is_some())
}

fn kind(c: char) -> Kind {
    if c.is_ascii_digit() {
        Kind::Digits
    } else if c.is_alphabetic() {
        Kind::Word
    } else {
        Kind::Mark
    }
}

/// Lower case, without the accents that Spanish has and Whisper forgets.
fn fold(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().map(|c| match c {
        'á' | 'à' => 'a',
        'é' | 'è' => 'e',
        'í' => 'i',
        'ó' => 'o',
        'ú' | 'ü' => 'u',
        'ñ' => 'n',
        _ => c,
    })
}

/// Where `phrase` (words with single spaces) ends if it stands at `at`. Marks between its words do not matter.
pub(super) fn phrase_at(tokens: &[Token], at: usize, phrase: &str) -> Option<usize> {
    let mut next = at;
    for (index, word) in phrase.split(' ').enumerate() {
        while index > 0 && tokens.get(next).is_some_and(Token::is_mark) {
            next += 1;
        }
        if !tokens.get(next)?.is(word) {
            return None;
        }
        next += 1;
    }
    Some(next)
}

/// The longest of `phrases` that stands at `at`: where it ends.
pub(super) fn any_phrase_at(tokens: &[Token], at: usize, phrases: &[&str]) -> Option<usize> {
    phrases.iter().filter_map(|phrase| phrase_at(tokens, at, phrase)).max()
}

/// Cuts closing phrases ("that's it", "thank you") and marks off the end. Whether there was one.
pub(super) fn cut_closing(tokens: &mut Vec<Token>, closings: &[&str]) -> bool {
    let mut closed = false;
    loop {
        let end = tokens
            .iter()
            .rposition(|token| !token.is_mark())
            .map_or(0, |last| last + 1);
        let start = closings.iter().find_map(|phrase| {
            let len = phrase.split(' ').count();
            let start = end.checked_sub(len)?;
            (phrase_at(tokens, start, phrase)? == end).then_some(start)
        });
        let Some(start) = start else { return closed };
        tokens.truncate(start);
        closed = true;
    }
}
