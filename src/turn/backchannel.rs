//! "Uh-huh": what a listener says to show that they listen, and that must not stop the speaker.

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
    "um", "umm", "oh", "ohh", "ooh", "ah", "ahh", "gotcha", // Spanish
    "ajá", "aja", "sí", "si", "claro", "vale", "ya", "bueno",
];
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

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            is_backchannel(&text);
        }
    }
}
