//! The few sentences that mean the same whatever was asked.

use crate::dialog::slot::{Date, Language, Slot};
use crate::turn::event::Progress;

/// How well a sentence fits: the letters of the longest phrase in it. 0 if it does not.
pub(super) fn score(text: &str, says: &[String]) -> usize {
    let found = says.iter().filter(|says| mentions(text, says));
    found.map(|says| says.chars().count()).max().unwrap_or_default()
}

/// Whether a sentence holds a phrase, word by word. A last word with `*` is the beginning of one.
pub(super) fn mentions(text: &str, phrase: &str) -> bool {
    let (text, phrase) = (words(text), words(phrase));
    let fits = |said: &String, wanted: &String| match wanted.strip_suffix('*') {
        Some(beginning) => said.starts_with(beginning),
        None => said == wanted,
    };
    !phrase.is_empty()
        && text
            .windows(phrase.len())
            .any(|window| window.iter().zip(&phrase).all(|(said, wanted)| fits(said, wanted)))
}

/// How many of a label's words a sentence has: "the date of birth" in "my birth date is wrong" has two.
pub(super) fn shared(text: &str, label: &str) -> usize {
    let text = words(text);
    let telling = words(label).into_iter().filter(|word| !EMPTY.contains(&word.as_str()));
    telling.filter(|word| text.contains(word)).count()
}

/// The caller wants a person.
pub(super) fn asks_for_person(text: &str, language: Language, own: &[String]) -> bool {
    has(text, pick(language, PERSON)) || own.iter().any(|says| mentions(text, says))
}

/// The caller did not catch what was said.
pub(super) fn asks_to_repeat(text: &str, language: Language) -> bool {
    let said = words(text);
    let whole = pick(language, WHOLE_REPEAT).contains(&said.join(" ").as_str());
    whole || said.len() <= SHORT && has(text, pick(language, REPEAT))
}

/// The caller ends the call, whatever is awaited.
pub(super) fn says_goodbye(text: &str, language: Language) -> bool {
    words(text).len() <= SHORT && has(text, pick(language, GOODBYE))
}

/// The caller is done where nothing is awaited. Elsewhere it closes an answer: "MB123456, that's all."
pub(super) fn is_done(text: &str, language: Language) -> bool {
    words(text).len() <= SHORT && has(text, pick(language, DONE))
}

/// "Hello?" and no more.
pub(super) fn greets(text: &str, language: Language) -> bool {
    words(text).len() <= 3 && has(text, pick(language, GREETING))
}

/// The caller does not have what is asked for.
pub(super) fn declines(text: &str, language: Language) -> bool {
    let plain = words(text);
    has(text, pick(language, NONE))
        || (plain.len() <= 2 && plain.first().is_some_and(|word| word == "no" || word == "none"))
}

/// The caller is about to say it.
pub(super) fn waits(text: &str, language: Language) -> bool {
    has(text, pick(language, WAIT))
}

/// The sentence takes something back.
pub(super) fn corrects(text: &str, language: Language) -> bool {
    let plain = words(text);
    let (firsts, anywhere) = (pick(language, CORRECTION), pick(language, MEANT));
    plain.first().is_some_and(|first| firsts.contains(&first.as_str())) || has(text, anywhere)
}

/// The sentence names something that was said before as wrong.
pub(super) fn changes(text: &str, language: Language) -> bool {
    has(text, pick(language, MEANT))
}

/// The caller begins again, with nothing said yet of what was asked for.
pub(super) fn starts_over(text: &str, language: Language) -> bool {
    words(text).len() <= SHORT && has(text, pick(language, OVER))
}

/// A yes that is not the whole answer.
pub(super) fn restricts(text: &str, language: Language) -> bool {
    has(text, pick(language, BUT))
}

/// Something is wrong, and what is right is not said.
pub(super) fn rejects(text: &str, language: Language) -> bool {
    let text = words(text).join(" ");
    let ends = |phrase: &&str| text.ends_with(*phrase);
    !text.contains(|c: char| c.is_ascii_digit()) && pick(language, REJECTION).iter().any(ends)
}

/// Somebody else was found.
pub(super) fn disowns(text: &str, language: Language) -> bool {
    words(text).len() <= SHORT && has(text, pick(language, NOT_ME))
}

/// The caller does not want it any more.
pub(super) fn cancels(text: &str, language: Language) -> bool {
    words(text).len() <= SHORT && has(text, pick(language, CANCEL))
}

/// "Yes" or "no" and no more.
pub(super) fn is_bare(text: &str, language: Language, today: Date) -> bool {
    words(text).len() <= 2 && Slot::YesNo.parse(text, language, today).progress == Progress::Complete
}

/// Whether both are the same words.
pub(super) fn same(one: &str, other: &str) -> bool {
    words(one) == words(other)
}

/// How many words.
pub(super) fn count(text: &str) -> usize {
    words(text).len()
}

/// All of it is wrong.
pub(super) fn says_everything(text: &str, language: Language) -> bool {
    has(text, pick(language, ALL))
}

pub(super) fn yes(language: Language) -> &'static str {
    pick(language, [&["yes"], &["sí"]])[0]
}

pub(super) fn no(language: Language) -> &'static str {
    pick(language, [&["no"], &["no"]])[0]
}

pub(super) fn or(language: Language) -> &'static str {
    pick(language, [&["or"], &["o"]])[0]
}

fn has(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| mentions(text, phrase))
}

/// Lower case, without marks; apostrophes stay.
fn words(text: &str) -> Vec<String> {
    let plain = text.to_lowercase().replace('’', "'");
    let words = plain.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '*')));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

type Both = [&'static [&'static str]; 2];

fn pick(language: Language, both: Both) -> &'static [&'static str] {
    match language {
        Language::En => both[0],
        Language::Es => both[1],
    }
}

/// Words of a whole answer, not of a sentence that happens to hold the phrase.
const SHORT: usize = 6;
const EMPTY: &[&str] = &[
    "the", "a", "an", "of", "your", "my", "is", "to", "for", "number", "el", "la", "los", "las", "de", "del", "su",
    "mi", "número", "whether", "if", "you", "i", "have", "are", "do", "or", "not", "si", "tiene", "usted", "que", "es",
    "o", "no",
];
const PERSON: Both = [
    &[
        "operator",
        "human",
        "real person",
        "a person",
        "representative",
        "an agent",
        "somebody else",
        "someone else",
        "speak to someone",
        "talk to someone",
        "speak to somebody",
        "talk to somebody",
        "receptionist",
    ],
    &[
        "operador*",
        "una persona",
        "un humano",
        "un agente",
        "representante",
        "hablar con alguien",
    ],
];
const REPEAT: Both = [
    &[
        "repeat that",
        "say that again",
        "say it again",
        "can you repeat",
        "could you repeat",
        "repeat it",
        "please repeat",
        "repeat please",
        "what did you say",
        "pardon",
        "come again",
        "what was that",
    ],
    &["repita", "repite", "repetir", "cómo dice", "qué ha dicho", "qué dijo"],
];
/// If nothing else is said: "gotea otra vez" is a fault, "a repeat prescription" a wish.
const WHOLE_REPEAT: Both = [
    &["repeat", "again", "again please", "once more", "once more please"],
    &["otra vez", "otra vez por favor", "una vez más", "una vez más por favor"],
];
const GOODBYE: Both = [
    &["goodbye", "bye", "hang up"],
    &["adiós", "adios", "hasta luego", "cuelgue"],
];
const DONE: Both = [
    &[
        "that's all",
        "that is all",
        "that's it thanks",
        "nothing else",
        "i'm done",
    ],
    &["eso es todo", "nada más", "es todo"],
];
const GREETING: Both = [
    &["hello", "hi", "hey", "good morning", "good afternoon", "good evening"],
    &["hola", "buenos días", "buenas tardes", "buenas noches"],
];
const NONE: Both = [
    &[
        "don't have",
        "do not have",
        "haven't got",
        "don't know",
        "do not know",
        "no idea",
        "not sure",
        "i have none",
        "no number",
        "don't remember",
        "i'm new",
        "new customer",
        "not a customer",
        "skip",
        "i forgot",
        "can't find",
    ],
    &[
        "no tengo",
        "no lo tengo",
        "no sé",
        "no lo sé",
        "no recuerdo",
        "soy nuevo",
        "soy nueva",
        "ninguno",
        "no me acuerdo",
    ],
];
const WAIT: Both = [
    &[
        "hold on",
        "one moment",
        "just a moment",
        "one second",
        "just a second",
        "give me a",
        "let me",
        "wait",
        "hang on",
    ],
    &[
        "un momento",
        "un segundo",
        "espere",
        "espera",
        "déjeme",
        "deje que",
        "a ver",
    ],
];
const CORRECTION: Both = [
    &["no", "actually", "sorry", "wait", "wrong", "correction", "not"],
    &["no", "perdón", "perdone", "corrección", "mejor"],
];
const MEANT: Both = [
    &[
        "i meant",
        "i mean",
        "i said",
        "change the",
        "should be",
        "instead of",
        "not right",
        "is wrong",
        "was wrong",
    ],
    &[
        "quise decir",
        "quería decir",
        "he dicho",
        "dije",
        "cambie",
        "cambiar",
        "debería ser",
        "está mal",
    ],
];
const BUT: Both = [
    &[
        "but",
        "except",
        "only",
        "change",
        "make it",
        "make that",
        "instead",
        "actually",
    ],
    &["pero", "excepto", "salvo", "cambie", "cambiar", "mejor", "ponga"],
];
const OVER: Both = [
    &["start over", "start again", "start from the beginning"],
    &[
        "empezar de nuevo",
        "empezar otra vez",
        "empecemos de nuevo",
        "empecemos otra vez",
        "desde el principio",
    ],
];
const REJECTION: Both = [
    &["wrong", "not right", "isn't right", "incorrect", "not correct"],
    &[
        "mal",
        "no es correcto",
        "no es correcta",
        "incorrecto",
        "incorrecta",
        "equivocado",
        "equivocada",
    ],
];
const NOT_ME: Both = [
    &[
        "not me",
        "isn't me",
        "not my account",
        "not my name",
        "wrong account",
        "wrong customer",
        "wrong name",
        "wrong person",
        "name is wrong",
    ],
    &[
        "no soy yo",
        "ese no soy",
        "esa no soy",
        "no es mi cuenta",
        "no es mi nombre",
        "no me llamo",
        "cliente equivocado",
        "cuenta equivocada",
        "nombre equivocado",
        "persona equivocada",
        "nombre está mal",
    ],
];
const CANCEL: Both = [
    &[
        "cancel",
        "cancel that",
        "cancel it",
        "never mind",
        "nevermind",
        "forget it",
        "forget about it",
    ],
    &[
        "cancele*",
        "cancela",
        "cancelar",
        "cancelo",
        "olvídelo",
        "olvídalo",
        "déjelo",
        "déjalo",
    ],
];
const ALL: Both = [
    &[
        "everything",
        "all of it",
        "all of them",
        "start over",
        "start again",
        "from the beginning",
    ],
    &["todo", "de nuevo", "desde el principio", "empezar otra vez"],
];
