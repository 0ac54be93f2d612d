//! "Uh-huh": what a listener says to show that they listen, and that must not stop the speaker.

use std::time::Duration;

/// Whether the whole transcript is at most three backchannels: "Uh-huh.", "Okay. Okay.", "Sí, claro." A question is none.
pub fn is_backchannel(text: &str) -> bool {
    if text.contains(['?', '¿']) {
        return false;
    }
    let words: Vec<String> = text.split(is_gap).map(normal).filter(|word| !word.is_empty()).collect();
    // "Uh-uh" is a no, and who hesitates twice wants to speak.
    if words.is_empty() || words.windows(2).any(|pair| pair == ["uh", "uh"]) {
        return false;
    }
    let mut rest = words.as_slice();
    for _ in 0..MAX_TOKENS {
        let Some(len) = leading(rest) else { return false };
        rest = rest.get(len..).unwrap_or_default();
        if rest.is_empty() {
            return true;
        }
    }
    false
}

/// Whether a transcript of speech of some `length` is likely no words at all. Transcribers write a hum as whatever it resembles:
/// "and", "mama", "I'm um". They are unsure of it then, and a hum is short.
///
/// Agents that stop must be believed to have been stopped, so a word that means it counts however unsure it is.
pub fn is_unclear(text: &str, certainty: f32, length: Duration) -> bool {
    let means_it = |word: &str| word.contains(char::is_numeric) || MEANT.contains(&word);
    certainty < CLEAR && length <= LONGEST_HUM && !text.split(is_gap).map(normal).any(|word| means_it(&word))
}

/// How many words the backchannel at the start takes.
fn leading(words: &[String]) -> Option<usize> {
    if let [first, second, ..] = words
        && PAIRS.contains(&(first.as_str(), second.as_str()))
    {
        return Some(2);
    }
    words.first().filter(|word| WORDS.contains(&word.as_str())).map(|_| 1)
}

/// Lower case, letters only, and no letter more than twice in a row: "Mm-hmmm" is "mmhmm".
fn normal(word: &str) -> String {
    let mut normal = String::with_capacity(word.len());
    for c in word
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
    {
        if !normal.ends_with(&[c, c].iter().collect::<String>()) {
            normal.push(c);
        }
    }
    normal
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | '.' | '!' | ';' | '…' | '—' | '–')
}

const MAX_TOKENS: usize = 3;
/// As [`normal`] leaves them. "yes" is left out: callers answer with it.
const WORDS: &[&str] = &[
    "uhhuh", "uhhu", "ahhah", "ahha", "aha", "mmhmm", "mmhm", "mhmm", "mhm", "mm", "m", "mmm", "hmm", "hm", "huh",
    "okay", "ok", "k", "okey", "right", "yeah", "yea", "yep", "yup", "sure", "alright", "cool", "great", "uh", "uhh",
    "um", "umm", "oh", "ohh", "ooh", "ah", "ahh", "ow", "wow", "gotcha", // Spanish
    "ajá", "aja", "sí", "si", "claro", "vale", "ya", "bueno",
];
/// Words for which an interrupter must be heard.
const MEANT: &[&str] = &[
    "stop", "wait", "no", "nope", "nah", "hold", "hang", "excuse", "what", "sorry", "pardon", "help", "hello",
    "cancel", "operator", "agent", "bye", "goodbye", // Spanish
    "alto", "espera", "espere", "perdón", "perdone", "qué", "ayuda", "hola", "cancela", "cancele", "adiós", "operador",
];
/// Below this a short transcript is doubtful: the geometric mean of its tokens' probabilities. BENCHMARKS.md has the clips.
const CLEAR: f32 = 0.6;
/// First to last voiced window. People's "mm-hmm" has 300 to 600 ms.
const LONGEST_HUM: Duration = Duration::from_millis(600);
const PAIRS: &[(&str, &str)] = &[
    ("i", "see"),
    ("got", "it"),
    ("all", "right"),
    ("go", "on"),
    ("uh", "huh"),
    ("mm", "hmm"),
    ("mm", "hm"),
    ("m", "hmm"),
    ("ah", "ha"),
    ("makes", "sense"),
    ("o", "k"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn listening_is_told_from_speaking() {
        for text in [
            "Uh-huh.",
            "uh huh",
            "Mm-hmm.",
            "Mm-hmmm.",
            "Mmhmm.",
            "Mhm,",
            "Mm.",
            "Mmm.",
            "Hmm.",
            "Hmmm...",
            "Okay.",
            "OK",
            "O.K.",
            "Okay. Okay.",
            "Okay, okay, okay.",
            "Right.",
            "Right, right.",
            "Yeah.",
            "Yeah, yeah.",
            "Yep.",
            "Sure.",
            "I see.",
            "Oh, I see.",
            "Got it.",
            "Okay, got it.",
            "Alright.",
            "All right.",
            "All right, okay.",
            "Cool.",
            "Great!",
            "Uh.",
            "Um,",
            "Oh.",
            "Ah.",
            "Ahh.",
            "Aha.",
            "Ah-ha.",
            "Go on.",
            "Yeah, go on.",
            "Ajá.",
            "Sí.",
            "Sí, sí, claro.",
            "Vale.",
            "Ya, ya.",
            "Bueno.",
            "Claro.",
            "Makes sense.",
        ] {
            assert!(is_backchannel(text), "{text:?} is one");
        }
        for text in [
            "",
            " ",
            "...",
            "No.",
            "Stop.",
            "Wait.",
            "What?",
            "Hello?",
            "Yes, please.",
            "Yes.",
            "Uh-uh.",
            "Uh, uh.",
            "Okay?",
            "Right?",
            "Huh?",
            "Okay, stop.",
            "Okay, but I have a question.",
            "Okay. Okay. Okay. Okay.",
            "Go on vacation.",
            "I see a problem.",
            "Uh, no.",
            "Sí, por favor.",
            "¿Bueno?",
            "No, sí.",
            "Right now.",
            "Two.",
            "Sure thing, thanks.",
        ] {
            assert!(!is_backchannel(text), "{text:?} is none");
        }
    }

    #[test]
    fn a_short_and_unsure_transcript_is_a_hum_unless_it_says_stop() {
        let ms = Duration::from_millis;
        for (text, certainty, length) in [
            ("Mama, mama,", 0.58, 400),
            ("I'll", 0.42, 240),
            ("in terms of", 0.2, 600),
        ] {
            assert!(is_unclear(text, certainty, ms(length)), "{text:?}");
        }
        for (text, certainty, length) in [
            ("Operator.", 0.8, 560),
            ("in a month,", 0.79, 440),
            ("and make an", 0.33, 620),
            ("Nope.", 0.3, 240),
            ("cancel that", 0.3, 560),
            ("5, 5,", 0.5, 240),
            ("No, no", 0.4, 300),
            ("and", f32::NAN, 300),
        ] {
            assert!(!is_unclear(text, certainty, ms(length)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>(), certainty in any::<f32>(), ms in any::<u64>()) {
            is_backchannel(&text);
            is_unclear(&text, certainty, Duration::from_millis(ms));
        }
    }
}
