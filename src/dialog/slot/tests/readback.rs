//! [`Value::speak`] and [`Value::to_json`]: what is read back is understood, by the agent's own parsers too.

use proptest::prelude::*;

use super::super::*;
use super::{choices, id, today};
use Language::{En, Es};

#[test]
fn values_are_read_back() {
    let day = Date::constant(1985, 3, 15);
    for (value, en, es) in [
        (
            Value::Id("MB123456".to_owned()),
            "M B, 1 2 3, 4 5 6",
            "M B, 1 2 3, 4 5 6",
        ),
        (Value::Digits("1234".to_owned()), "1 2 3 4", "1 2 3 4"),
        (Value::Digits("12345".to_owned()), "1 2 3, 4 5", "1 2 3, 4 5"),
        (
            Value::Phone("+12025550123".to_owned()),
            "2 0 2, 5 5 5, 0 1 2 3",
            "2 0 2, 5 5 5, 0 1 2 3",
        ),
        (Value::Phone("5550123".to_owned()), "5 5 5, 0 1 2 3", "5 5 5, 0 1 2 3"),
        (
            Value::Phone("+442079460958".to_owned()),
            "plus 4 4 2, 0 7 9, 4 6 0, 9 5 8",
            "más 4 4 2, 0 7 9, 4 6 0, 9 5 8",
        ),
        (Value::Date(day), "March 15th, 1985", "15 de marzo de 1985"),
        (
            Value::Date(Date::constant(2001, 5, 22)),
            "May 22nd, 2001",
            "22 de mayo de 2001",
        ),
        (
            Value::Date(Date::constant(2001, 5, 11)),
            "May 11th, 2001",
            "11 de mayo de 2001",
        ),
        (Value::Money(5000), "$50", "50 dólares"),
        (Value::Money(105_020), "$1,050.20", "1,050 dólares con 20 centavos"),
        (Value::YesNo(true), "yes", "sí"),
        (Value::YesNo(false), "no", "no"),
        (Value::Number(1050), "1,050", "1,050"),
        (Value::Choice("office visit".to_owned()), "office visit", "office visit"),
        (
            Value::Email("a.b@c.com".to_owned()),
            "a.b@c.com",
            "a punto b arroba c punto com",
        ),
    ] {
        assert_eq!(value.speak(En), en);
        assert_eq!(value.speak(Es), es);
    }
}

#[test]
fn the_voice_is_given_words() {
    for (value, wanted) in [
        (Value::Id("MB123456".to_owned()), "M B, one two three, four five six"),
        (
            Value::Phone("+12025550123".to_owned()),
            "two zero two, five five five, zero one two three",
        ),
        (
            Value::Date(Date::constant(1985, 3, 15)),
            "March fifteenth, nineteen eighty five",
        ),
        (Value::Money(105_020), "one thousand fifty dollars and twenty cents"),
        (Value::Number(1050), "one thousand fifty"),
    ] {
        assert_eq!(crate::speech::spoken::spoken(&value.speak(En)), wanted);
    }
}

#[test]
fn tools_are_given_json() {
    for (value, wanted) in [
        (Value::Id("MB123456".to_owned()), serde_json::json!("MB123456")),
        (
            Value::Phone("+12025550123".to_owned()),
            serde_json::json!("+12025550123"),
        ),
        (Value::Date(Date::constant(1985, 3, 5)), serde_json::json!("1985-03-05")),
        (Value::Money(5020), serde_json::json!(5020)),
        (Value::Number(3), serde_json::json!(3)),
        (Value::YesNo(true), serde_json::json!(true)),
        (
            Value::Address("12 Elm Street".to_owned()),
            serde_json::json!("12 Elm Street"),
        ),
    ] {
        assert_eq!(value.to_json(), wanted);
    }
}

fn procedures() -> Slot {
    choices(&[
        ("mri", &["scan"]),
        ("office visit", &["check up"]),
        ("medication", &["pills"]),
    ])
}

/// A slot with a value that it may have.
fn filled() -> impl Strategy<Value = (Slot, Value)> {
    let member = "[0-9]{6}".prop_map(|digits| (id(r"MB\d{6}"), Value::Id(format!("MB{digits}"))));
    let free = "[A-Z]{2}[0-9]{4}".prop_map(|text| (id(r"[A-Z]{2}\d{4}"), Value::Id(text)));
    let digits = "[0-9]{4,9}".prop_map(|text| {
        let len = text.len();
        (Slot::Digits { min: len, max: len }, Value::Digits(text))
    });
    let phone = "[2-9][0-9]{9}".prop_map(|text| (Slot::Phone { local: false }, Value::Phone(format!("+1{text}"))));
    let day = (1910..2026i16, 1..=12i8, 1..=31i8).prop_filter_map("a day", |(year, month, day)| {
        let day = Date::new(year, month, day).ok()?;
        Some((Slot::Date(When::Past), Value::Date(day)))
    });
    let number = (0..1_000_000u64).prop_map(|number| {
        let slot = Slot::Number { min: 0, max: 1_000_000 };
        (slot, Value::Number(number))
    });
    let money = (0..10_000_000u64).prop_map(|cents| (Slot::Money, Value::Money(cents)));
    let answer = any::<bool>().prop_map(|yes| (Slot::YesNo, Value::YesNo(yes)));
    let choice = prop::sample::select(vec!["mri", "office visit", "medication"])
        .prop_map(|value| (procedures(), Value::Choice(value.to_owned())));
    let email = "[bcdfgjklnprt]{3,8}(\\.[bcdfgjklnprt]{2,5})?@[bcdfgjklnprt]{4,8}\\.(com|org)"
        .prop_map(|text| (Slot::Email, Value::Email(text)));
    let address = (
        "[1-9][0-9]{0,3}",
        prop::sample::select(vec!["Oak", "Harbour", "Martin Luther King"]),
    )
        .prop_map(|(number, name)| (Slot::Address, Value::Address(format!("{number} {name} Street"))));
    prop_oneof![
        member, free, digits, phone, day, number, money, answer, choice, email, address
    ]
}

proptest! {
    #[test]
    fn what_is_read_back_is_understood((slot, value) in filled()) {
        for language in [En, Es] {
            if language == Es && matches!(slot, Slot::Address) {
                continue;
            }
            let said = value.speak(language);
            let got = slot.parse(&said, language, today()).value;
            prop_assert_eq!(got.as_ref(), Some(&value), "{}", said);
        }
        let spoken = crate::speech::spoken::spoken(&value.speak(En));
        // "Ten eleven oh one" is a house number only to those who see it.
        if !matches!(slot, Slot::Email | Slot::Address) {
            prop_assert_eq!(slot.parse(&spoken, En, today()).value, Some(value), "{}", spoken);
        }
    }

    #[test]
    fn what_is_keyed_is_taken((slot, value) in filled()) {
        let (keys, keys_es) = match &value {
            Value::Digits(text) => (text.clone(), text.clone()),
            Value::Id(text) if text.starts_with("MB") && text.len() == 8 => (text[2..].to_owned(), text[2..].to_owned()),
            Value::Phone(text) => (text[2..].to_owned(), text[1..].to_owned()),
            Value::Date(date) => (date.strftime("%m%d%Y").to_string(), date.strftime("%d%m%Y").to_string()),
            Value::YesNo(yes) => (if *yes { "1" } else { "2" }.to_owned(), if *yes { "1#" } else { "2#" }.to_owned()),
            Value::Number(number) => (format!("{number}#"), format!("{number}#")),
            Value::Money(cents) => {
                let keys = format!("{}*{:02}#", cents / 100, cents % 100);
                (keys.clone(), keys)
            }
            Value::Id(_)
            | Value::Choice(_)
            | Value::Email(_)
            | Value::Name(_)
            | Value::Address(_)
            | Value::Text(_) => return Ok(()),
        };
        prop_assert_eq!(slot.keyed(&keys, En, today()), Parsed::complete(value.clone()), "{}", keys);
        prop_assert_eq!(slot.keyed(&keys_es, Es, today()), Parsed::complete(value), "{}", keys_es);
    }

    /// In a sentence of other things there is this value or none.
    #[test]
    fn no_wrong_value_is_found((slot, value) in filled(), before in noise(), after in noise()) {
        for (language, before, after) in [(En, before.0, after.0), (Es, before.1, after.1)] {
            // Another value of the kind is no noise.
            if [before, after].iter().any(|noise| slot.find(noise, language, today()).is_some()) {
                continue;
            }
            let text = format!("{before} {} {after}", value.speak(language));
            if let Some(found) = slot.find(&text, language, today()) {
                prop_assert_eq!(&found.value, &value, "{}", text);
                prop_assert!(text.get(found.span).is_some());
            }
        }
    }

    /// Other slots find nothing in what is one slot's value.
    #[test]
    fn kinds_are_not_mixed_up((slot, value) in filled(), (other, _) in filled()) {
        let is_code = |slot: &Slot| matches!(slot, Slot::Id(_) | Slot::Digits { .. } | Slot::Phone { .. });
        // Digits without a word of what they are may be either; an id's letters and a date's month tell.
        let telling = matches!(value, Value::Date(_)) || matches!(value, Value::Id(_)) && !is_code(&other);
        if telling && std::mem::discriminant(&slot) != std::mem::discriminant(&other) {
            let text = format!("Well, I would say {}, I suppose.", value.speak(En));
            prop_assert_eq!(other.find(&text, En, today()), None, "{:?} {}", other, text);
        }
    }

    #[test]
    fn a_whole_value_amends((slot, value) in filled(), others in prop::collection::vec(filled(), 20)) {
        for (_, other) in others.iter().filter(|(other_slot, other)| slot == *other_slot && value != *other) {
            for language in [En, Es] {
                if language == Es && slot == Slot::Address {
                    continue;
                }
                let text = format!("No, {}.", value.speak(language));
                prop_assert_eq!(slot.amend(other, &text, language, today()), Some(value.clone()), "{:?} {}", other, text);
            }
        }
    }

    #[test]
    fn any_text_is_survived_by_forms((slot, value) in filled(), text in any::<String>(), begun in any::<String>()) {
        survives(&slot, &value, &begun, &text);
    }

    #[test]
    fn words_in_any_order_are_survived_by_forms((slot, value) in filled(), words in prop::collection::vec(prop::sample::select(vec![
        "no", "not", "sorry", "it ends in", "the last digit is", "starts with", "the third digit", "at the end", "double", "five", "56", "oh",
        "March", "16th", "1986", "/", ",", ".", "my name is", "John", "Street", "12", "calle", "apartment", "@", "at", "dot", "com", "#", "$",
        "my email is", "my pin is", "let me grab", "instead of", "MB", "termina en", "de", "y", "mil", "born", "phone", "ñ", "é", "😀",
    ]), 0..14)) {
        survives(&slot, &value, "MB 12", &words.join(" "));
        survives(&slot, &value, "", &words.concat());
    }
}

fn noise() -> impl Strategy<Value = (&'static str, &'static str)> {
    (
        prop::sample::select(NOISE.to_vec()),
        prop::sample::select(RUIDO.to_vec()),
    )
}

fn survives(slot: &Slot, value: &Value, begun: &str, text: &str) {
    for language in [En, Es] {
        if let Some(found) = slot.find(text, language, today()) {
            assert!(
                text.get(found.span).is_some_and(|words| !words.is_empty()),
                "{slot:?} {text:?}"
            );
        }
        slot.amend(value, text, language, today());
        slot.resume(begun, text, language, today());
        slot.keyed(text, language, today());
    }
}

#[test]
fn long_texts_stay_cheap_in_forms() {
    let slots = [
        (id(r"[A-Z]{2}\d{4}"), Value::Id("AB1234".to_owned())),
        (Slot::Digits { min: 4, max: 10 }, Value::Digits("12345".to_owned())),
        (Slot::Phone { local: true }, Value::Phone("+12025550123".to_owned())),
        (Slot::Date(When::Any), Value::Date(today())),
        (Slot::Address, Value::Address("12 Elm Street".to_owned())),
        (procedures(), Value::Choice("mri".to_owned())),
        (Slot::Email, Value::Email("a@b.com".to_owned())),
        (Slot::Number { min: 0, max: 9 }, Value::Number(1)),
        (Slot::Name, Value::Name("Ann Lee".to_owned())),
    ];
    for part in [
        "1",
        "12 ",
        "no ",
        "no, 5 ",
        "not 5 ",
        "March 5 ",
        "3/15/85 ",
        "12 Elm Street ",
        "street ",
        "mri ",
        "1234 1234 ",
        "a@",
        "my name is ",
        "yes ",
        "calle 5 ",
        "it ends in ",
        "let me get ",
    ] {
        for (slot, value) in &slots {
            survives(slot, value, "MB12", &part.repeat(20_000));
        }
    }
}

const NOISE: &[&str] = &[
    "",
    "Hi, I am calling about my mother.",
    "and I need some help with that.",
    ", that is what the letter says, I believe.",
    "Sure, so it is",
    "My ID is MB654321 and",
    ". My phone number is 212 555 0187.",
    "I was born on July 4th, 1976 and",
    "since 2019, I think.",
    ". I was born on 7/4/1976.",
    "I live at 77 Elm Avenue,",
    "There are 3 of us,",
    "My email is ann at gmail dot com,",
];
const RUIDO: &[&str] = &[
    "",
    "Hola, llamo por mi madre.",
    "y necesito ayuda con eso.",
    "Necesito ayuda, es",
    "Mi número es MB654321 y",
    ". Mi teléfono es 212 555 0187.",
    "Nací el 4 de julio de 1976 y",
    ", gracias, y tengo 3 preguntas.",
    // Not "12,": a figure right before a line of digits belongs to it, for all that anybody can tell.
    "Vivo en la calle Mayor 12 y",
];
