//! The words by which [`super::shape`] judges, per language. In lower case, with straight apostrophes.

/// One language's words.
pub(super) struct Words {
    /// Not even a question ends in them.
    pub(super) always_open: &'static [&'static str],
    /// No statement ends in them. Those that only sometimes do not are in [`super::is_open`].
    pub(super) open: &'static [&'static str],
    /// Verbs that want an object, unless it stands before them.
    pub(super) verbs: &'static [&'static str],
    /// Of somebody who asks for a moment, or thinks aloud.
    pub(super) waiting: &'static [&'static str],
    pub(super) numbers: &'static [&'static str],
    /// "That one.", "cada uno": no digit.
    pub(super) before_one: &'static [&'static str],
    /// Digits only among others.
    pub(super) number_sounds: &'static [&'static str],
    pub(super) ordinals: &'static [&'static str],
    pub(super) months: &'static [&'static str],
    /// Before a month that is said as a whole.
    pub(super) before_month: &'static [&'static str],
    /// "B as in boy".
    pub(super) as_in: &'static [&'static str],
}

impl Words {
    /// By an ISO 639-1 code. English for languages that have none.
    pub(super) fn of(language: &str) -> &'static Self {
        match language {
            "es" => &SPANISH,
            _ => &ENGLISH,
        }
    }
}

static ENGLISH: Words = Words {
    always_open: &[
        "and", "or", "because", "'cause", "but", "the", "an", "a", "my", "our", "your", "their", "it's", "i'm", "i'd",
        "i'll", "i've", "we're", "we'd", "there's", "number's", "name's", "if", "than", "double", "triple",
    ],
    open: &[
        "to", "of", "for", "from", "with", "at", "about", "by", "into", "as", "like", "that's", "where's", "whose",
        "which", "when", "wanna", "gonna", "i", "we", "let's",
    ],
    verbs: &[],
    waiting: &[
        "let me see",
        "let me check",
        "let me look",
        "let me think",
        "let me find it",
        "let me get it",
        "hold on",
        "hang on",
        "wait",
        "one second",
        "one sec",
        "one moment",
        "just a second",
        "just a sec",
        "just a moment",
        "just a minute",
        "give me a second",
        "you know",
        "i mean",
    ],
    numbers: &[
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "thousand",
    ],
    before_one: &[
        "that", "this", "the", "no", "which", "any", "another", "every", "first", "second", "last", "new", "right",
        "other",
    ],
    number_sounds: &["oh", "to", "too", "for", "ate", "won", "tree"],
    ordinals: &[
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
        "thirtieth",
    ],
    months: &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
    before_month: &["in", "last", "next", "this", "since", "you"],
    as_in: &["in", "for", "like"],
};

static SPANISH: Words = Words {
    always_open: &[
        "este", "pues", "y", "o", "pero", "porque", "que", "de", "del", "la", "el", "los", "las", "un", "una", "al",
        "mi", "mis", "su", "doble",
    ],
    open: &["a", "en", "con", "para", "por", "como", "cuando", "sobre"],
    verbs: &["quiero", "quisiera", "necesito", "tengo", "son", "soy"],
    waiting: &[
        "un momento",
        "un segundo",
        "espera",
        "espere",
        "a ver",
        "déjeme ver",
        "o sea",
    ],
    numbers: &[
        "cero",
        "uno",
        "dos",
        "tres",
        "cuatro",
        "cinco",
        "seis",
        "siete",
        "ocho",
        "nueve",
        "diez",
        "once",
        "doce",
        "trece",
        "catorce",
        "quince",
        "dieciséis",
        "diecisiete",
        "dieciocho",
        "diecinueve",
        "veinte",
        "veintiuno",
        "veintidós",
        "veintitrés",
        "veinticuatro",
        "veinticinco",
        "veintiséis",
        "veintisiete",
        "veintiocho",
        "veintinueve",
        "treinta",
        "cuarenta",
        "cincuenta",
        "sesenta",
        "setenta",
        "ochenta",
        "noventa",
        "cien",
        "ciento",
        "mil",
    ],
    before_one: &["cada"],
    number_sounds: &[],
    ordinals: &[],
    months: &[
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
    before_month: &["en"],
    as_in: &["de", "como"],
};

/// Of both languages.
pub(super) fn is_number(word: &str) -> bool {
    ENGLISH.numbers.contains(&word) || SPANISH.numbers.contains(&word) || HUNDREDS.contains(&word)
}

/// In any language.
pub(super) const HESITATIONS: &[&str] = &["um", "umm", "uh", "uhh", "uhm", "er", "erm", "hmm", "eh", "em"];
/// Beside the numbers of two digits.
const HUNDREDS: &[&str] = &[
    "million",
    "millón",
    "doscientos",
    "trescientos",
    "cuatrocientos",
    "quinientos",
    "seiscientos",
    "setecientos",
    "ochocientos",
    "novecientos",
];
