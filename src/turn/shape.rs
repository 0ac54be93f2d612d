//! Whether what was heard sounds finished, where nothing in particular is awaited. English and Spanish.
//!
//! Words decide: Whisper puts a full stop after almost everything ("My member ID is.").

mod words;

use words::{HESITATIONS, Words};

/// How a transcript ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing calls for more.
    Finished,
    /// It ends in something that does: "um", "and", "my number is", "hold on".
    Open,
    /// It ends in digits, letters or part of a date, which may be one group of several. Also a bare "Two.": wait somewhat
    /// longer, not forever.
    Reciting,
}

/// Judges the end of `text` in a `language`, an ISO 639-1 code; one that is not known is taken for English. Empty text is
/// [`Shape::Finished`].
pub fn shape(text: &str, language: &str) -> Shape {
    let (text, lists) = (text.trim_end(), Words::of(language));
    let words = words(text);
    let Some(last) = words.last() else {
        return Shape::Finished;
    };
    if text.ends_with([',', '-', '–', '—', '…', ':', ';']) || text.ends_with("...") || waits(&words, lists) {
        return Shape::Open;
    }
    if recites(&words, last, nth_last(&words, 1), lists) {
        return Shape::Reciting;
    }
    if is_open(&words, has_full_stop(text), text.ends_with('?'), lists) {
        Shape::Open
    } else {
        Shape::Finished
    }
}

/// Whether the transcriber set a mark that ends a sentence. It says little by itself, but of people's prompts 9 in 10 ends
/// have one and 4 in 10 pauses in the middle (`tieline bench turns --evidence`).
pub fn has_full_stop(text: &str) -> bool {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '”' | '\'' | '’' | ')'));
    text.ends_with(['.', '!', '?', '。', '？', '！']) && !text.ends_with("...")
}

/// Whether a word, in lower case, is a number or part of one: English and Spanish.
pub fn is_number_word(word: &str) -> bool {
    words::is_number(word)
}

/// A word of the transcript.
struct Word<'a> {
    /// Without the marks around it.
    written: &'a str,
    /// In lower case.
    plain: String,
}

/// The last words; no rule looks further back.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words: Vec<_> = text
        .split(|c: char| c.is_whitespace() || matches!(c, '…' | '—' | ','))
        .rev()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '$'))
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .map(|written| Word {
            written,
            plain: written.to_lowercase().replace('’', "'"),
        })
        .collect();
    words.reverse();
    words
}

/// A word counted from the last, in lower case.
fn nth_last<'a>(words: &'a [Word<'_>], n: usize) -> &'a str {
    words.iter().rev().nth(n).map_or("", |word| word.plain.as_str())
}

/// The caller asked for a moment, or is thinking aloud.
fn waits(words: &[Word<'_>], lists: &Words) -> bool {
    lists.waiting.iter().any(|phrase| {
        let len = phrase.split(' ').count();
        words.len() >= len
            && words
                .iter()
                .skip(words.len() - len)
                .map(|word| word.plain.as_str())
                .eq(phrase.split(' '))
    })
}

fn recites(words: &[Word<'_>], last: &Word<'_>, before: &str, lists: &Words) -> bool {
    let plain = last.plain.as_str();
    if last.written.ends_with(|c: char| c.is_ascii_digit()) {
        return !is_amount(last.written) && !ends_a_date(words, lists);
    }
    // "M.B.", "twenty-three".
    if plain.contains('.') && plain.split('.').all(is_letter) {
        return !["a.m", "p.m", "u.s"].contains(&plain);
    }
    let tail = plain.rsplit('-').next().unwrap_or(plain);
    if lists.numbers.contains(&tail) {
        return !["one", "uno"].contains(&tail) || !lists.before_one.contains(&before);
    }
    if is_spelled(before, lists) && (is_spelled(tail, lists) || lists.number_sounds.contains(&tail)) {
        return true;
    }
    if let [.., how, word] = words
        && lists.as_in.contains(&how.plain.as_str())
        && words.iter().rev().nth(2).is_some_and(|spelled| {
            let spelled = if spelled.plain == "as" {
                words.iter().rev().nth(3)
            } else {
                Some(spelled)
            };
            spelled.is_some_and(|spelled| is_letter(&spelled.plain) && word.plain.starts_with(&spelled.plain))
        })
    {
        return true;
    }
    if lists.months.contains(&plain) {
        let is_name = plain != "may" && plain != "march" || last.written.starts_with(char::is_uppercase);
        return is_name && !lists.before_month.contains(&before);
    }
    let ordinal = tail
        .trim_end_matches("st")
        .trim_end_matches("nd")
        .trim_end_matches("rd")
        .trim_end_matches("th");
    if tail.len() > ordinal.len() && !ordinal.is_empty() && ordinal.chars().all(|c| c.is_ascii_digit()) {
        return true;
    }
    if lists.ordinals.contains(&tail) {
        return lists.months.contains(&before) || lists.numbers.contains(&before);
    }
    is_letter(tail) && !["a", "i", "o", "y", "e", "u"].contains(&tail)
}

/// "$50", "9:30", "3.5": what is said as a whole.
fn is_amount(word: &str) -> bool {
    word.contains(['$', '€', '£', ':'])
}

/// "3/15/1985", "March 15, 1985", "15 de marzo de 1985".
fn ends_a_date(words: &[Word<'_>], lists: &Words) -> bool {
    let last = words.last().map_or("", |word| word.written);
    let is_year = last.len() == 4
        && last.chars().all(|c| c.is_ascii_digit())
        && (last.starts_with("19") || last.starts_with("20"));
    let parts: Vec<_> = last.split(['/', '-', '.']).collect();
    let is_numeric = parts.len() == 3 && parts.iter().all(|part| matches!(part.len(), 1 | 2 | 4));
    is_numeric
        && parts.iter().map(|part| part.len()).sum::<usize>() <= 8
        && (last.contains('/') || parts.iter().any(|part| part.len() == 4))
        || is_year
            && words
                .iter()
                .rev()
                .skip(1)
                .take(3)
                .any(|word| lists.months.contains(&word.plain.as_str()))
            && words
                .iter()
                .rev()
                .skip(1)
                .take(4)
                .any(|word| word.plain.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_open(words: &[Word<'_>], stopped: bool, asks: bool, lists: &Words) -> bool {
    let (plain, before) = (nth_last(words, 0), nth_last(words, 1));
    // "the", "and" cannot end even a question; "for" can.
    if lists.always_open.contains(&plain) || HESITATIONS.contains(&plain) {
        return true;
    }
    if asks {
        return false;
    }
    let after_pronoun = stopped && PRONOUNS.contains(&before);
    match plain {
        "so" => !["think", "guess", "hope", "say", "said", "believe"].contains(&before),
        "is" | "was" | "are" | "were" | "am" => words.len() <= 2 || !PRONOUNS.contains(&before),
        "es" => !["lo", "así", "asi", "eso"].contains(&before),
        "have" | "got" => before == "i" && !(stopped && ["all", "one", "yes"].contains(&nth_last(words, 2))),
        "on" => !["go", "come", "from", "going"].contains(&before),
        "in" => !["log", "come", "sign", "logged"].contains(&before),
        // "I don't feel well.", "It took a while."
        "well" => words.len() == 1,
        "while" => before != "a",
        // "Yes, I can.", but "I wonder if you could."
        "can" | "could" | "would" => !after_pronoun || nth_last(words, 2) == "if",
        // "That's all I need.", but "I need."
        "need" | "want" | "wanted" => words.len() <= 2 || !after_pronoun,
        // "Es todo lo que necesito.", "No la tengo."
        verb if lists.verbs.contains(&verb) => !(stopped && BEFORE_VERB.contains(&before)),
        _ => lists.open.contains(&plain),
    }
}

/// A digit, a letter or a number word, as they follow each other in an id.
fn is_spelled(word: &str, lists: &Words) -> bool {
    is_letter(word) || lists.numbers.contains(&word) || word.ends_with(|c: char| c.is_ascii_digit())
}

fn is_letter(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none()
}

const MAX_WORDS: usize = 6;
const PRONOUNS: &[&str] = &["i", "you", "he", "she", "it", "we", "they", "there", "that"];
/// Of Spanish verbs that have their object before them, or need none.
const BEFORE_VERB: &[&str] = &["que", "lo", "la", "los", "las", "sí", "si", "no", "así", "asi"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn full_stops_are_seen_behind_closing_marks() {
        for text in ["Yes.", "Is it?", "He said \"no.\" ", "¡Claro!", "はい。"] {
            assert!(has_full_stop(text), "{text}");
        }
        for text in ["", "There are no more", "I would,", "Well...", "Press #"] {
            assert!(!has_full_stop(text), "{text}");
        }
    }

    #[test]
    fn ends_are_told_apart() {
        let mut wrong = Vec::new();
        for (language, wanted, texts) in [
            ("en", Shape::Open, OPEN_TEXTS),
            ("en", Shape::Reciting, RECITED),
            ("en", Shape::Finished, FINISHED),
            ("es", Shape::Open, OPEN_SPANISH),
            ("es", Shape::Reciting, RECITED_SPANISH),
            ("es", Shape::Finished, FINISHED_SPANISH),
        ] {
            for text in texts {
                let got = shape(text, language);
                if got != wanted {
                    wrong.push(format!("{language} {text:?}: {got:?}, not {wanted:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in any::<String>()) {
            shape(&text, "en");
            shape(&text, "es");
        }
    }

    const OPEN_TEXTS: &[&str] = &[
        "My member ID is.",
        "It's",
        "It's.",
        "It is.",
        "Yeah, it's.",
        "Um.",
        "I'd like to schedule, uh.",
        "I'd like to.",
        "I want to",
        "I need to talk to the.",
        "I have a question about my.",
        "I was calling because.",
        "And",
        "Yes, and.",
        "So.",
        "I'm calling for the.",
        "I'd like to book an appointment,",
        "I'd like to book an appointment -",
        "Well...",
        "My name is...",
        "Let me see.",
        "Hold on.",
        "One second.",
        "Okay, just a moment.",
        "It's at the end of.",
        "My number's.",
        "Hi, this is.",
        "Could I speak to the?",
        "The date of birth is.",
        "I mean.",
        "It's double",
        "Well.",
        "I can",
        "I would",
        "I need.",
        "I want.",
        "I have.",
        "Can I have, um.",
        "I was wondering if you could.",
        "While.",
        "We would",
    ];
    const RECITED: &[&str] = &[
        "Two.",
        "Seven.",
        "Building 5.",
        "555.",
        "My number is 555.",
        "MB-123",
        "MB 1 2 3",
        "One, two, three.",
        "five five five oh",
        "twenty-three",
        "It's M.B.",
        "M B",
        "M as in Mary",
        "B as in boy.",
        "It's March.",
        "March 15th.",
        "March fifteenth.",
        "the 15th",
        "5-5-5-0-1-2",
        "5 5 to",
        "555-0123",
        "March 15",
        "B for Bravo",
    ];
    const FINISHED: &[&str] = &[
        "",
        "Yes.",
        "No.",
        "I'd like to book an appointment.",
        "What time do you open?",
        "What is it for?",
        "Where are you from?",
        "I think so.",
        "Yes, I am.",
        "Yes, it is.",
        "I don't know what it is.",
        "That one.",
        "I want the other one.",
        "$50.",
        "At 9:30.",
        "3/15/1985",
        "March 15, 1985.",
        "I was there in March.",
        "You may.",
        "Thank you.",
        "Hello?",
        "What?",
        "Oh.",
        "Two, please.",
        "MB 123456, thanks.",
        "That's it.",
        "I don't know.",
        "Come on.",
        "I can't log in.",
        "It's for my son.",
        "I don't feel well.",
        "I'm not doing well.",
        "Yes, I can.",
        "Yes, I would.",
        "I wish I could.",
        "That's all I need.",
        "That's what I want.",
        "That's all I wanted.",
        "That's all I have.",
        "Yes, I have.",
        "I live in LA.",
        "I moved to LA.",
        "I've been there once.",
        "It took a while.",
        "Hold the mayo.",
        "Her name is Su.",
    ];
    const OPEN_SPANISH: &[&str] = &[
        "Mi número es.",
        "Quiero.",
        "Es el.",
        "Necesito una cita para.",
        "Pues.",
        "Un momento.",
        "Mi nombre es",
        "Quisiera hablar con.",
        "Um.",
        "Eh.",
        "Tengo una pregunta sobre.",
        "Es para mi.",
        "Yo soy.",
        "Tengo.",
        "Yo quiero.",
        "Es que.",
        "Me llamo, eh.",
        "Mi número de teléfono es el.",
        "A ver.",
        "Son.",
        "Nació en.",
    ];
    const RECITED_SPANISH: &[&str] = &[
        "Uno, dos, tres.",
        "Quince",
        "Once.",
        "Nací en el once.",
        "Mi código es 4 5",
        "B de burro.",
        "Quince de marzo",
        "Treinta y dos.",
        "Cinco, uno.",
    ];
    const FINISHED_SPANISH: &[&str] = &[
        "¿Qué hora es?",
        "Sí.",
        "No sé.",
        "15 de marzo de 1985",
        "Quiero una cita.",
        "Gracias.",
        "Es para mi hijo.",
        "Vivo en Los Ángeles.",
        "Así es.",
        "Eso es todo lo que necesito.",
        "Sí, quiero.",
        "No la tengo.",
        "Aquí lo tengo.",
        "Sí, lo soy.",
        "Así son.",
        "Cada uno.",
        "Es para él.",
        "Es para mí.",
        "Fui en marzo.",
        "No tengo seguro.",
    ];
}
