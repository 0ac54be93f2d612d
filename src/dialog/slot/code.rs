//! What is said character by character: digits, ids, telephone numbers.

use std::ops::Range;

use super::lexicon::{Lexicon, find};
use super::number::chunk;
use super::pattern::{Fit, Pattern, Sound, sounds_alike};
use super::text::{Kind, Token, answer_tokens, any_phrase_at, cut_closing};
use super::{Language, Parsed, Value};
use crate::turn::event::Progress;

/// Digits, with `min < max` usable from `min` on.
pub(super) fn digits(text: &str, min: usize, max: usize, language: Language) -> Parsed {
    let pattern = Pattern::digits(min, max);
    let heard = Heard::new(text, language, None);
    heard.parse(&mut |sounds| pattern.fit(sounds)).map(Value::Digits)
}

/// An id of the form `pattern`.
pub(super) fn id(text: &str, pattern: &Pattern, language: Language) -> Parsed {
    let heard = Heard::new(text, language, Some(&pattern.prefix()));
    heard.parse(&mut |sounds| pattern.fit(sounds)).map(Value::Id)
}

/// A code that begins with a letter and ends in a digit among other letters: "an MRI, MB123456".
fn spelled_within(
    items: &[Item],
    spans: &[Range<usize>],
    fit: &mut dyn FnMut(&[Sound]) -> Fit,
) -> Option<(String, Range<usize>)> {
    let is_letter = |item: &Item| matches!(item, Item::Sound(sound) if sound.is_letter());
    let is_sound = |item: &&Item| matches!(item, Item::Sound(_));
    let ends = |end: usize| {
        let is_digit = items
            .get(end - 1)
            .is_some_and(|item| is_sound(&item) && !is_letter(item));
        is_digit && items.iter().skip(end).find(is_sound).is_none_or(is_letter)
    };
    let may_be_letter = |item: &Item| match item {
        Item::Sound(sound) => {
            sound.skip.is_some() && sound.ways.iter().any(|(way, _)| way.starts_with(char::is_alphabetic))
        }
        Item::Filler | Item::Gap | Item::Stranger | Item::Replace | Item::Restart => false,
    };
    // Not in the middle of a word, nor behind what may be its first letter.
    let follows = |at: usize| spans.get(at - 1) == spans.get(at) || items.get(at - 1).is_some_and(may_be_letter);
    let begins = |at: usize| items.get(at).is_some_and(is_letter) && (at == 0 || !follows(at));
    let starts = (0..items.len()).filter(|at| items.len() <= MAX_LETTERS && begins(*at));
    for start in starts {
        for end in (start + 1..=items.len()).rev().filter(|end| ends(*end)) {
            if let Fit::Full(code) = fit(&sounds(items.get(start..end)?)) {
                return Some((code, start..end));
            }
        }
    }
    None
}

/// A transcript, reduced to what may be part of a code.
#[derive(Debug)]
pub(super) struct Heard {
    items: Vec<Item>,
    /// Where each item stands, in bytes of the transcript.
    spans: Vec<Range<usize>>,
    closed: bool,
    /// The last number word could go on: "fifty".
    open: bool,
    /// It ends in the middle of something: "double".
    dangling: bool,
    /// A question or a refusal, unless there is a code in it.
    declines: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Sound(Sound),
    /// A filler, between which and a sound-alike no context exists.
    Filler,
    /// A comma, or the edge of a written group of digits.
    Gap,
    /// A word that belongs to no code.
    Stranger,
    /// What follows replaces the end of what stands before.
    Replace,
    /// What follows replaces all that stands before.
    Restart,
}

/// A code parser's answer before its value is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub progress: Progress,
    pub code: Option<String>,
}

impl Found {
    const IMPOSSIBLE: Self = Self {
        progress: Progress::Impossible,
        code: None,
    };
    const INCOMPLETE: Self = Self {
        progress: Progress::Incomplete,
        code: None,
    };

    pub(super) fn map(self, value: impl FnOnce(String) -> Value) -> Parsed {
        Parsed {
            progress: self.progress,
            value: self.code.map(value),
        }
    }
}

impl Heard {
    /// `letters`: those that the code always begins with, if it has letters at all, so that "see" may be a C.
    pub(super) fn new(text: &str, language: Language, letters: Option<&str>) -> Self {
        let lexicon = Lexicon::of(language);
        Self::of(
            answer_tokens(text, lexicon),
            lexicon,
            letters,
            text.trim_end().ends_with('?'),
        )
    }

    /// From tokens, of which some may have been taken by others.
    pub(super) fn of(mut tokens: Vec<Token>, lexicon: &'static Lexicon, letters: Option<&str>, asks: bool) -> Self {
        let closed = cut_closing(&mut tokens, lexicon.closings);
        while tokens.last().is_some_and(Token::is_mark) {
            tokens.pop();
        }
        let is_unsure = (0..tokens.len()).any(|at| any_phrase_at(&tokens, at, lexicon.unsure).is_some());
        let mut reader = Reader {
            tokens: &tokens,
            lexicon,
            letters: letters.is_some(),
            prefix: letters.unwrap_or_default(),
            items: Vec::new(),
            open: false,
            dangling: false,
        };
        let mut spans = Vec::new();
        let mut at = 0;
        while let Some(first) = tokens.get(at) {
            at = reader.read(at).max(at + 1);
            let end = tokens.get(at - 1).map_or(first.span.end, |last| last.span.end);
            spans.resize(reader.items.len(), first.span.start..end);
        }
        let Reader {
            mut items,
            open,
            dangling,
            ..
        } = reader;
        weigh(&mut items);
        Self {
            items,
            spans,
            closed,
            open: open && !closed,
            dangling,
            declines: asks || is_unsure,
        }
    }

    /// Looks for one code in what was heard; `fit` tells how sounds fill it.
    pub(super) fn parse(&self, fit: &mut dyn FnMut(&[Sound]) -> Fit) -> Found {
        let parts: Vec<&[Item]> = self.items.split(|item| *item == Item::Stranger).collect();
        let Some((last, earlier)) = parts.split_last() else {
            return Found::IMPOSSIBLE;
        };
        if earlier.is_empty() {
            return self.part(last, true, fit);
        }
        // Prose around a code: "the card here reads MB123456, if that helps".
        for part in parts.iter().rev() {
            let found = self.part(part, std::ptr::eq(*part, *last), fit);
            if found.progress == Progress::Complete && length(part) >= MIN_IN_PROSE {
                return found;
            }
        }
        let found = self.part(last, true, fit);
        if found.progress == Progress::Incomplete && length(last) >= MIN_BEGUN_IN_PROSE {
            found
        } else {
            Found::IMPOSSIBLE
        }
    }

    /// All codes within prose and where they stand, the last one first.
    pub(super) fn candidates(&self, fit: &mut dyn FnMut(&[Sound]) -> Fit) -> Vec<(String, Range<usize>)> {
        let mut found = Vec::new();
        let mut end = self.items.len();
        while end > 0 {
            let before = self.items.get(..end).unwrap_or_default();
            let part_start = (0..end).rev().find(|at| self.parts_prose(*at)).map_or(0, |at| at + 1);
            let part = before.get(part_start..).unwrap_or_default();
            let code = self.part(part, end == self.items.len(), fit).code;
            let (code, within) = match code {
                Some(code) => (Some(code), 0..part.len()),
                None => spelled_within(part, self.spans.get(part_start..end).unwrap_or_default(), fit)
                    .map_or((None, 0..0), |(code, within)| (Some(code), within)),
            };
            let start = part_start + within.start;
            let part = part.get(within).unwrap_or_default();
            let certain = |item: &Item| matches!(item, Item::Sound(sound) if sound.skip.is_none());
            if let Some(code) = code.filter(|_| length(part) >= MIN_IN_PROSE)
                && let Some(first) = part.iter().position(certain)
                && let Some(last) = part.iter().rposition(certain)
                && let (Some(from), Some(to)) = (self.spans.get(start + first), self.spans.get(start + last))
            {
                found.push((code, from.start..to.end));
            }
            end = part_start.saturating_sub(1);
        }
        found
    }

    /// A stranger, or the second of two fillers: "and I have" goes on with something else.
    fn parts_prose(&self, at: usize) -> bool {
        let mut before = self.items.iter().take(at).rev();
        match self.items.get(at) {
            Some(Item::Stranger) => true,
            Some(Item::Filler) => before.find(|item| **item != Item::Gap) == Some(&Item::Filler),
            Some(Item::Sound(_) | Item::Gap | Item::Replace | Item::Restart) | None => false,
        }
    }

    /// A stretch without strangers.
    fn part(&self, items: &[Item], is_last: bool, fit: &mut dyn FnMut(&[Sound]) -> Fit) -> Found {
        let Corrected { sounds, pending } = corrected(items, fit);
        if sounds.is_empty() {
            let is_refusal = items.iter().all(|item| matches!(item, Item::Replace | Item::Gap)) && pending;
            return if self.declines || is_refusal {
                Found::IMPOSSIBLE
            } else {
                Found::INCOMPLETE
            };
        }
        let unsure = is_last && (self.dangling || pending);
        let fitted = match fit(&sounds) {
            Fit::Misfit => without_repeat(&sounds, fit),
            fitted @ (Fit::Full(_) | Fit::Enough(_) | Fit::Beginning) => fitted,
        };
        match fitted {
            Fit::Misfit => Found::IMPOSSIBLE,
            Fit::Full(_) | Fit::Enough(_) if unsure => Found::INCOMPLETE,
            Fit::Beginning => Found::INCOMPLETE,
            Fit::Full(code) => Found {
                progress: if is_last && self.open {
                    Progress::Incomplete
                } else {
                    Progress::Complete
                },
                code: Some(code),
            },
            Fit::Enough(code) => Found {
                progress: if self.closed {
                    Progress::Complete
                } else {
                    Progress::Incomplete
                },
                code: Some(code),
            },
        }
    }
}

struct Corrected {
    sounds: Vec<Sound>,
    /// A correction was announced, but not said yet.
    pending: bool,
}

/// Carries out "no, five six", "scratch that": what comes after replaces as much of the end of what came before, or all
/// of it if it is a whole code or as long.
fn corrected(items: &[Item], fit: &mut dyn FnMut(&[Sound]) -> Fit) -> Corrected {
    let mut said: Vec<Sound> = Vec::new();
    let mut pending = false;
    let mut restart = false;
    let mut rest = items;
    loop {
        let end = rest
            .iter()
            .position(|item| matches!(item, Item::Replace | Item::Restart))
            .unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        let new = sounds(part);
        if !new.is_empty() {
            if pending && !restart && !matches!(fit(&new), Fit::Full(_)) && size(&new) < size(&said) {
                cut(&mut said, first_group(part));
                said.extend(new);
            } else if pending {
                said = new;
            } else {
                said.extend(new);
            }
            (pending, restart) = (false, false);
        }
        let Some((mark, after)) = after.split_first() else {
            return Corrected { sounds: said, pending };
        };
        pending = true;
        restart |= *mark == Item::Restart;
        rest = after;
    }
}

fn sounds(items: &[Item]) -> Vec<Sound> {
    items
        .iter()
        .filter_map(|item| {
            if let Item::Sound(sound) = item {
                Some(sound.clone())
            } else {
                None
            }
        })
        .collect()
}

/// Characters before the first gap.
fn first_group(items: &[Item]) -> usize {
    let start = items
        .iter()
        .position(|item| matches!(item, Item::Sound(_)))
        .unwrap_or(0);
    let group: Vec<Item> = items
        .iter()
        .skip(start)
        .take_while(|item| **item != Item::Gap)
        .cloned()
        .collect();
    size(&sounds(&group))
}

fn size(sounds: &[Sound]) -> usize {
    sounds.iter().map(Sound::size).sum()
}

fn length(items: &[Item]) -> usize {
    size(&sounds(items))
}

/// Takes `count` characters off the end.
fn cut(sounds: &mut Vec<Sound>, count: usize) {
    let mut left = count;
    while left > 0 {
        let Some(last) = sounds.pop() else { return };
        left = left.saturating_sub(last.size());
    }
}

/// Whisper writes short audio and the last group of a code twice ("Four, four", "555 0123 0123"), and callers repeat themselves:
/// what is too long may be exactly complete without its repeated end.
fn without_repeat(sounds: &[Sound], fit: &mut dyn FnMut(&[Sound]) -> Fit) -> Fit {
    let mut all = sounds;
    while let Some(once) = (1..=all.len() / 2).rev().find_map(|len| {
        let (once, last) = all.split_at(all.len() - len);
        let is_all = once.len() == len;
        (once.ends_with(last) && (len >= MIN_REPEATED || is_all)).then_some(once)
    }) {
        match fit(once) {
            Fit::Misfit => all = once,
            fitted @ Fit::Full(_) => return fitted,
            // Half of it twice may be a beginning said twice.
            fitted @ (Fit::Enough(_) | Fit::Beginning) if once.len() * 2 == sounds.len() => return fitted,
            Fit::Enough(_) | Fit::Beginning => return Fit::Misfit,
        }
    }
    Fit::Misfit
}

impl Sound {
    pub(super) fn certain(way: impl Into<String>) -> Self {
        Self {
            ways: vec![(way.into(), 0)],
            skip: None,
        }
    }

    /// A word that sounds like `ways`; [`weigh`] prices it.
    fn alike(ways: &[char]) -> Self {
        Self {
            ways: ways.iter().map(|way| (way.to_string(), 0)).collect(),
            skip: Some(0),
        }
    }

    /// Nothing but a letter.
    fn is_letter(&self) -> bool {
        self.skip.is_none() && self.ways.iter().all(|(way, _)| way.starts_with(char::is_alphabetic))
    }

    fn size(&self) -> usize {
        match self.skip {
            Some(0) => 0,
            _ => self.ways.first().map_or(0, |(way, _)| way.len()),
        }
    }
}

/// Prices what sounds alike by its neighbours: between sounds it is one, beside one it may be, alone it is a filler.
fn weigh(items: &mut [Item]) {
    let is_sound = |item: Option<&Item>| matches!(item, Some(Item::Sound(_)));
    for at in 0..items.len() {
        if !matches!(items.get(at), Some(Item::Sound(Sound { skip: Some(_), .. }))) {
            continue;
        }
        let beside = |item: &&Item| **item != Item::Gap;
        let before = items.iter().take(at).rev().find(beside);
        let after = items.iter().skip(at + 1).find(beside);
        let is_edge = |item: Option<&Item>| item.is_none_or(|item| matches!(item, Item::Replace | Item::Restart));
        let fits_before = is_sound(before) || is_edge(before);
        let fits_after = is_sound(after) || is_edge(after);
        let anywhere = is_sound(before) || is_sound(after) || items.len() == 1;
        let Some(Item::Sound(sound)) = items.get_mut(at) else {
            continue;
        };
        if fits_before && fits_after && anywhere {
            sound.skip = Some(SKIP_COST);
        } else if anywhere {
            for (_, cost) in &mut sound.ways {
                *cost = SKIP_COST;
            }
        } else if let Some(item) = items.get_mut(at) {
            *item = Item::Filler;
        }
    }
}

/// Turns tokens into items.
struct Reader<'a> {
    tokens: &'a [Token],
    lexicon: &'static Lexicon,
    letters: bool,
    prefix: &'a str,
    items: Vec<Item>,
    open: bool,
    dangling: bool,
}

impl Reader<'_> {
    /// Reads what stands at `at`; where to go on.
    fn read(&mut self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else {
            return at + 1;
        };
        match token.kind {
            Kind::Mark => {
                if matches!(token.text.as_str(), "," | "." | ";" | "!" | "?" | ":") {
                    self.items.push(Item::Gap);
                }
                at + 1
            }
            Kind::Digits => {
                self.written(&token.text);
                at + 1
            }
            Kind::Word => self.word(at, token),
        }
    }

    fn written(&mut self, digits: &str) {
        let is_group = digits.len() > 1;
        self.items.extend(is_group.then_some(Item::Gap));
        self.items
            .extend(digits.chars().map(|digit| Item::Sound(Sound::certain(digit))));
        self.items.extend(is_group.then_some(Item::Gap));
    }

    fn word(&mut self, at: usize, token: &Token) -> usize {
        let (tokens, lexicon) = (self.tokens, self.lexicon);
        if let Some(next) = any_phrase_at(tokens, at, lexicon.restarts) {
            self.items.push(Item::Restart);
            return next;
        }
        if let Some((letter, next)) = self.letter(at).filter(|_| self.letters) {
            self.items.push(Item::Sound(Sound::certain(letter)));
            return next;
        }
        if let Some(times) = find(lexicon.multipliers, &token.text) {
            return self.multiplied(at + 1, times);
        }
        if let Some(next) = any_phrase_at(tokens, at, lexicon.replaces) {
            self.items.push(Item::Replace);
            return next;
        }
        if let Some(chunk) = chunk(tokens, at, lexicon).filter(|chunk| !chunk.ordinal) {
            self.items.push(Item::Sound(Sound::certain(chunk.value.to_string())));
            self.open = chunk.open && chunk.next >= tokens.len();
            return chunk.next;
        }
        self.other(at, token);
        at + 1
    }

    /// A word that is no number: a sound-alike, a filler, letters, or a stranger.
    fn other(&mut self, at: usize, token: &Token) {
        let word = token.text.as_str();
        let digit = find(self.lexicon.digit_sounds, word);
        let letter = find(self.lexicon.letter_sounds, word).filter(|_| self.letters);
        let ways: Vec<char> = digit.into_iter().chain(letter).collect();
        let glued = token.glued
            || self
                .tokens
                .get(at + 1)
                .is_some_and(|next| next.glued && next.kind == Kind::Digits);
        if !(ways.is_empty() || self.letters && glued) {
            self.items.push(Item::Sound(Sound::alike(&ways)));
        } else if self.letters && self.is_spelled(at, token, glued) {
            self.items.extend(
                word.chars()
                    .map(|c| Item::Sound(Sound::certain(c.to_ascii_uppercase()))),
            );
        } else if !self.lexicon.hesitates(word) {
            // "Emby" for MB: nothing is lost, for the letters may be left out.
            let known = self.lexicon.is_filler(word) || sounds_like(word, self.prefix);
            self.items.push(if known { Item::Filler } else { Item::Stranger });
        }
    }

    /// "MB", "mb", "Ab 12", the "mb" of "mb123".
    fn is_spelled(&self, at: usize, token: &Token, glued: bool) -> bool {
        let word = token.text.as_str();
        let forms = self.lexicon.forms;
        let announces = [forms.date_words, forms.phone_words]
            .iter()
            .any(|words| words.contains(&word));
        let known = self.lexicon.is_filler(word) || self.lexicon.hesitates(word) || announces;
        let digits_follow = self.tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Digits);
        let is_short = word.len() <= 3 && (digits_follow || !word.contains(['a', 'e', 'i', 'o', 'u']));
        word.len() <= MAX_SPELLED
            && word.chars().all(|c| c.is_ascii_alphabetic())
            && (glued || !known && (is_short || token.caps && word.len() > 1))
    }

    /// The letter at `at`: "B", "bee", "bravo", "double u", each also "as in boy".
    fn letter(&self, at: usize) -> Option<(char, usize)> {
        let (tokens, lexicon) = (self.tokens, self.lexicon);
        let word = tokens.get(at)?.text.as_str();
        let long = lexicon
            .long_letters
            .iter()
            .find_map(|(name, letter)| any_phrase_at(tokens, at, &[name]).map(|next| (*letter, next)));
        let mut single = word.chars();
        let plain = single
            .next()
            .filter(|c| single.next().is_none() && c.is_ascii_alphabetic());
        let weak = find(lexicon.letter_sounds, word);
        let certain = long
            .or_else(|| find(lexicon.letters, word).map(|letter| (letter, at + 1)))
            .or_else(|| {
                plain
                    .filter(|_| weak.is_none())
                    .map(|c| (c.to_ascii_uppercase(), at + 1))
            });
        let (letter, next) = certain
            .or_else(|| weak.map(|letter| (letter, at + 1)))
            .unwrap_or(('\0', at));
        if letter != '\0'
            && let Some(word_at) = any_phrase_at(tokens, next, lexicon.as_in)
            && let Some(example) = tokens
                .get(word_at)
                .filter(|token| token.kind == Kind::Word && token.text.len() > 2)
            && let Some(initial) = example.text.chars().next().filter(char::is_ascii_alphabetic)
        {
            let initial = initial.to_ascii_uppercase();
            // The example is heard better than the letter, but only "as in" announces one for sure.
            if initial == letter || word_at - next > 1 {
                return Some((initial, word_at + 1));
            }
        }
        certain.or_else(|| find(lexicon.spelling, word).map(|letter| (letter, at + 1)))
    }

    /// "double seven", "triple oh": what is to be repeated stands at `at`.
    fn multiplied(&mut self, at: usize, times: usize) -> usize {
        let Some(token) = self.tokens.get(at) else {
            self.dangling = true;
            return at;
        };
        let word = token.text.as_str();
        let mut single = word.chars();
        let written = single.next().filter(|c| single.next().is_none() && c.is_ascii_digit());
        let digit = written
            .or_else(|| {
                find(self.lexicon.small, word).and_then(|value| char::from_digit(u32::try_from(value).ok()?, 10))
            })
            .or_else(|| find(self.lexicon.digit_sounds, word));
        if let Some(digit) = digit {
            let digits: String = std::iter::repeat_n(digit, times).collect();
            let mut sound = Sound::certain(digits);
            if self.letters && digit == '0' && written.is_none() {
                sound.ways.push((std::iter::repeat_n('O', times).collect(), 0));
            }
            self.items.push(Item::Sound(sound));
            return at + 1;
        }
        // Whisper: "double 77", "double 74".
        if token.kind == Kind::Digits {
            let first = word.chars().next().unwrap_or('0');
            let rest: String = word.chars().skip_while(|c| *c == first).collect();
            self.items
                .extend(std::iter::repeat_n(first, times).map(|digit| Item::Sound(Sound::certain(digit))));
            self.written(&rest);
            return at + 1;
        }
        if let Some((letter, next)) = self.letter(at).filter(|_| self.letters) {
            let letters: String = std::iter::repeat_n(letter, times).collect();
            self.items.push(Item::Sound(Sound::certain(letters)));
            return next;
        }
        self.items.push(Item::Stranger);
        at
    }
}

/// Whether the consonants of a word are these letters, as a telephone lets them be heard: "envy" for MB.
fn sounds_like(word: &str, letters: &str) -> bool {
    let consonants: Vec<char> = word.chars().filter(|c| !"aeiouy".contains(*c)).collect();
    let alike = |(a, b): (&char, char)| sounds_alike(*a, b);
    !letters.is_empty() && consonants.len() == letters.len() && consonants.iter().zip(letters.chars()).all(alike)
}

/// Fewer digits within prose are an amount or a date, not a code.
const MIN_IN_PROSE: usize = 4;
const MIN_BEGUN_IN_PROSE: usize = 3;
/// A single digit twice is two digits.
const MIN_REPEATED: usize = 2;
/// A stretch that may be searched for a code among letters.
const MAX_LETTERS: usize = 40;
const SKIP_COST: u32 = 2;
const MAX_SPELLED: usize = 6;
