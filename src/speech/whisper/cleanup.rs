//! From what Whisper writes to what the caller said.
//!
//! Figures are never dropped here: people do say "Five. Five.", and who waits for an id knows better what fits.

use crate::turn::shape::is_number_word;

/// Drops sounds, and copies of the text that [`super::repeat`] cannot notice by tokens.
pub(super) fn clean(written: &str) -> String {
    let text = without_annotations(written);
    let text = without_restart(&text);
    without_copies(text).to_owned()
}

/// Drops what Whisper writes about sounds: `[BLANK_AUDIO]`, `(coughs)`, `*music*`, `♪`. In "(555) 123" nothing but the marks.
fn without_annotations(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let (mut closing, mut note) = (None, String::new());
    for c in text.chars().filter(|c| *c != '♪') {
        match (closing, c) {
            (Some(end), c) if c == end => {
                closing = None;
                kept.push_str(&figures(&std::mem::take(&mut note)));
            }
            (Some(_), c) => note.push(c),
            (None, '[') => closing = Some(']'),
            (None, '(') => closing = Some(')'),
            (None, '*') => closing = Some('*'),
            (None, c) => kept.push(c),
        }
    }
    kept.push_str(&figures(&note));
    let words: Vec<&str> = kept.split_whitespace().collect();
    let text = words.join(" ");
    if text.chars().any(char::is_alphanumeric) {
        text
    } else {
        String::new()
    }
}

/// A note that is none, because it has digits.
fn figures(note: &str) -> String {
    if note.contains(char::is_numeric) {
        format!(" {note} ")
    } else {
        String::new()
    }
}

/// Drops an unfinished last sentence that only begins the text again.
fn without_restart(text: &str) -> &str {
    let sentences = sentences(text);
    let Some((rest, before)) = sentences.split_last().filter(|(last, _)| !last.ends_with(SENTENCE_END)) else {
        return text;
    };
    let whole = &text[..before.iter().map(|sentence| sentence.len()).sum()];
    let (first, again) = (words(whole), words(rest));
    let begins_again = !again.is_empty() && first.len() > again.len() && first.starts_with(&again);
    if begins_again && !has_figures(&again) {
        whole
    } else {
        text
    }
}

/// Keeps the first of equal copies that make up the whole text: "Yes. Yes." Spoken repetitions have no sentence between
/// them ("no, no"), or lose nothing by it.
fn without_copies(text: &str) -> &str {
    let sentences = sentences(text);
    let spoken: Vec<Vec<String>> = sentences.iter().map(|sentence| words(sentence)).collect();
    let copies = (1..=sentences.len() / 2).find(|&period| {
        sentences.len().is_multiple_of(period) && spoken.chunks(period).all(|copy| copy == &spoken[..period])
    });
    let first = copies.filter(|&period| {
        let words = spoken[..period].concat();
        let is_spelled = words.iter().all(|word| word.chars().count() == 1);
        !is_spelled && !has_figures(&words)
    });
    first.map_or(text, |period| {
        text[..sentences[..period].iter().map(|sentence| sentence.len()).sum()].trim_end()
    })
}

/// The sentences with their ends. What goes on behind a mark is none: "5.5", "A.B.".
fn sentences(text: &str) -> Vec<&str> {
    let ends = text.char_indices().filter(|&(at, c)| {
        let goes_on = text[at + c.len_utf8()..].starts_with(char::is_alphanumeric);
        SENTENCE_END.contains(&c) && !goes_on
    });
    let mut start = 0;
    let mut sentences = Vec::new();
    for end in ends.map(|(at, c)| at + c.len_utf8()).chain([text.len()]) {
        if end > start {
            sentences.push(&text[start..end]);
        }
        start = end;
    }
    sentences
}

fn has_figures(words: &[String]) -> bool {
    let mut words = words.iter();
    words.any(|word| word.contains(char::is_numeric) || is_number_word(word))
}

fn words(text: &str) -> Vec<String> {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

const SENTENCE_END: [char; 3] = ['.', '?', '!'];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sounds_and_copies_are_dropped_and_words_kept() {
        for (written, kept) in [
            (" [BLANK_AUDIO]", ""),
            ("(coughing) Hello  there.", "Hello there."),
            (" ♪ *music* ♪", ""),
            ("...", ""),
            ("unclosed [noise", "unclosed"),
            (" from an unknown caller. From", "from an unknown caller."),
            (" Yes. Yes.", "Yes."),
            (" Yes. yes! Yes.", "Yes."),
            (" The audio is enabled. The Audio is enabled.", "The audio is enabled."),
            (" I know. You know. I know. You know.", "I know. You know."),
        ] {
            assert_eq!(clean(written), kept, "{written}");
        }
    }

    #[test]
    fn what_was_said_twice_is_kept() {
        for text in [
            "Yes.",
            "I see. I see you",
            "My number is five. My name is",
            "No punctuation at all",
            "five five",
            "No, no.",
            "Yes. Yes. I do.",
            "It costs 3.5 or 3.5",
        ] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn figures_and_letters_are_kept_however_they_repeat() {
        for text in [
            "5.5",
            "$55.55",
            "10.10",
            "Five. Five.",
            "Cinco. Cinco.",
            "Veintidós. Veintidós.",
            "12. 12.",
            "5. 5. 5. 5.",
            "Number 7. Number 7.",
            "555.123.555",
            "5 to 7.5",
            "five is it. Five",
            "A.B.A.B.",
            "B. B.",
        ] {
            assert_eq!(clean(text), text);
        }
        assert_eq!(clean("(555) 123 0(44)"), "555 123 0 44");
        assert_eq!(clean("It is [555"), "It is 555");
    }

    fn digits(text: &str) -> Vec<char> {
        let mut digits: Vec<char> = text.chars().filter(char::is_ascii_digit).collect();
        digits.sort_unstable();
        digits
    }

    proptest! {
        /// Parts that repeat, so that copies and restarts come about.
        #[test]
        fn no_digit_is_lost(parts in prop::collection::vec(prop::sample::select(vec![
            "5", "5.", "12", "five", "yes", "is", ". ", ".", "? ", "!", " ", " ", "(", ")", "[", "]", "*", "♪", "é",
        ]), 0..12), copies in 1_usize..4) {
            let text = parts.concat().repeat(copies);
            prop_assert_eq!(digits(&clean(&text)), digits(&text));
        }
    }
}
