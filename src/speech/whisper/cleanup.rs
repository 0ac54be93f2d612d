//! From what Whisper writes to what the caller said.

/// Drops sounds, and copies of the text that [`super::repeat`] cannot notice by tokens.
pub(super) fn clean(written: &str) -> String {
    let text = without_annotations(written);
    let text = without_restart(&text);
    without_copies(text).to_owned()
}

/// Drops what Whisper writes about sounds: `[BLANK_AUDIO]`, `(coughs)`, `*music*`, `♪`.
fn without_annotations(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut closing = None;
    for c in text.chars() {
        match (closing, c) {
            (Some(end), c) if c == end => closing = None,
            (Some(_), _) | (None, '♪') => {}
            (None, '[') => closing = Some(']'),
            (None, '(') => closing = Some(')'),
            (None, '*') => closing = Some('*'),
            (None, c) => kept.push(c),
        }
    }
    let words: Vec<&str> = kept.split_whitespace().collect();
    let text = words.join(" ");
    if text.chars().any(char::is_alphanumeric) {
        text
    } else {
        String::new()
    }
}

/// Drops an unfinished last sentence that only begins the text again.
fn without_restart(text: &str) -> &str {
    let Some(end) = text.rfind(SENTENCE_END).map(|at| at + 1) else {
        return text;
    };
    let (whole, rest) = text.split_at(end);
    let (first, again) = (words(whole), words(rest));
    if !again.is_empty() && first.len() > again.len() && first.starts_with(&again) {
        whole
    } else {
        text
    }
}

/// Keeps the first of equal copies that make up the whole text: "Yes. Yes." Spoken repetitions have no sentence between
/// them ("five five"), or lose nothing by it.
fn without_copies(text: &str) -> &str {
    let sentences: Vec<&str> = text.split_inclusive(SENTENCE_END).collect();
    let spoken: Vec<Vec<String>> = sentences.iter().map(|sentence| words(sentence)).collect();
    let copies = (1..=sentences.len() / 2).find(|&period| {
        sentences.len().is_multiple_of(period) && spoken.chunks(period).all(|copy| copy == &spoken[..period])
    });
    copies.map_or(text, |period| {
        text[..sentences[..period].iter().map(|sentence| sentence.len()).sum()].trim_end()
    })
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
            (" 3D audio enabled. 3D Audio enabled.", "3D audio enabled."),
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
}
