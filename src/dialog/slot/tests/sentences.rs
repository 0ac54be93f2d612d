//! [`Slot::find`]: a value within a sentence. "-" is none.

use super::super::*;
use super::{choices, id, plain, today};
use Language::{En, Es};

fn check(slot: &Slot, language: Language, rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(text, wanted)| {
            let got = slot.find(text, language, today());
            let got = got.map_or_else(|| "-".to_owned(), |found| plain(&found.value));
            (got != *wanted).then(|| format!("{text:?}: {got:?}, not {wanted:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{slot:?}\n{}", wrong.join("\n"));
}

const ALL_IN_ONE: &str = "My member id is MB 123456, I was born March 15th 1985 and I need an MRI.";
const AS_WHISPER: &str = "Hi, my member ID is MB123456. I was born March 15, 1985, and I need an MRI.";

#[test]
fn ids() {
    check(
        &id(r"MB\d{6}"),
        En,
        &[
            (ALL_IN_ONE, "MB123456"),
            (AS_WHISPER, "MB123456"),
            ("MB123456, no sorry, MB123457", "MB123457"),
            (
                "It's MB123456. No, sorry, it is MB123457, born July 22, 1990.",
                "MB123457",
            ),
            ("MB123456, that's M B 1 2 3 4 5 6, born in 1985", "MB123456"),
            ("ID is MB123456, DOB 03/15/1985", "MB123456"),
            ("It's for an MRI, MB123456.", "MB123456"),
            ("MB123456 MRI", "MB123456"),
            ("I need an MRI for MB 123 456 please", "MB123456"),
            ("My husband's ID is MB123456 and mine is MB789012", "-"),
            ("either MB123456 or perhaps MB123457", "-"),
            ("M B 123 456 and my date of birth is 3/15/1985", "MB123456"),
            ("My date of birth is 3/15/1985 and the ID is MB-123-456.", "MB123456"),
            ("My member number is 123456 and I need a refill.", "MB123456"),
            ("I was born March 15th 1985", "-"),
            ("03/15/85", "-"),
            ("My birthday is 031585.", "-"),
            ("Call me at 202 555 0123.", "-"),
            ("My PIN is 1234.", "-"),
            ("I need an MRI.", "-"),
            ("I owe 123456 dollars.", "-"),
            ("MB1234567 is what the card says.", "-"),
            ("", "-"),
        ],
    );
    check(
        &id(r"MB\d{6}"),
        Es,
        &[
            (
                "Mi número de miembro es MB 123456, nací el 15 de marzo de 1985 y necesito una resonancia.",
                "MB123456",
            ),
            ("eme be uno dos tres cuatro cinco seis, y nací en marzo", "MB123456"),
            ("MB123456, perdón, MB123457", "MB123457"),
            ("Nací el 15 de marzo de 1985.", "-"),
        ],
    );
}

#[test]
fn digits_and_phones() {
    check(
        &Slot::Digits { min: 4, max: 4 },
        En,
        &[
            ("My PIN is 1234 and I'd like my balance.", "1234"),
            (
                "The code is one two three four, I think, and I was born in 1985",
                "1234",
            ),
            ("I was born on 7/4/1976. 1 1 0 5 I live at 77 Elm Avenue", "-"),
            ("I was born in 1985.", "-"),
            ("March 15, 1985", "-"),
            ("I live at 1600 Pennsylvania Avenue.", "-"),
            ("I need 2000 dollars.", "-"),
            ("My phone is 202 555 0123.", "-"),
            ("My ID is MB1234.", "-"),
        ],
    );
    check(
        &Slot::Digits { min: 8, max: 8 },
        En,
        &[
            ("I was born on 03/15/1985.", "-"),
            ("My date of birth is 03151985.", "-"),
            ("The account is 03151985, thank you.", "03151985"),
        ],
    );
    check(
        &Slot::Phone { local: false },
        En,
        &[
            ("You can call me at 202-555-0123 after five.", "+12025550123"),
            (
                "I'm John and my number is (202) 555-0123, born March 15, 1985.",
                "+12025550123",
            ),
            (
                "My phone number is two oh two, five five five, oh one two three and my ID is MB123456.",
                "+12025550123",
            ),
            ("It's 202 555 0123, sorry, 202 555 0124.", "+12025550124"),
            ("My home phone is 202 555 0123 and my cell is 415 555 0199.", "-"),
            ("My account number is 2025550123.", "-"),
            ("My ID is AB2025550123.", "-"),
            ("I was born 03/15/1985.", "-"),
            ("MB123456", "-"),
            ("The leak is at 12 Harbour Street.", "-"),
        ],
    );
    check(
        &Slot::Phone { local: true },
        En,
        &[
            ("My phone is 555 0123, and I need an MRI.", "5550123"),
            ("I have 555 0123 here.", "-"),
        ],
    );
    check(
        &Slot::Phone { local: false },
        Es,
        &[
            ("Me puede llamar al 202 555 0123, gracias, soy Ana.", "+12025550123"),
            (
                "Mi teléfono es dos cero dos, cinco cinco cinco, cero uno dos tres y vivo en Madrid.",
                "+12025550123",
            ),
            ("Mi cuenta es 2025550123.", "-"),
        ],
    );
}

#[test]
fn dates() {
    check(
        &Slot::Date(When::Past),
        En,
        &[
            (ALL_IN_ONE, "1985-03-15"),
            (AS_WHISPER, "1985-03-15"),
            ("MB123456 March 15 1985", "1985-03-15"),
            ("MB 12 34 56, March fifteenth nineteen eighty five", "1985-03-15"),
            ("MB123456, 3/15/1985, MRI", "1985-03-15"),
            ("ID MB123456, birthday 3/15/85.", "1985-03-15"),
            ("My date of birth is 03151985 and I need an MRI.", "1985-03-15"),
            ("My birthday is three fifteen eighty five.", "1985-03-15"),
            ("I was born on the 15th of March 1985 in Boston.", "1985-03-15"),
            (
                "March 15th 1985, no, sorry, I mean 1986, and I need an MRI",
                "1986-03-15",
            ),
            ("Born March 15, 1985, no wait, March 16, 1985.", "1985-03-16"),
            (
                "I was born March 15, 1985 and I had an MRI on November 3, 2026.",
                "1985-03-15",
            ),
            ("It was March 15, 1985 or was it April 2, 1986", "-"),
            ("My phone is 202 555 0123", "-"),
            ("My member ID is MB031585.", "-"),
            ("My account is 03151985.", "-"),
            ("My PIN is 1985.", "-"),
            ("March 15, 2085", "-"),
            ("I may need 2 visits.", "-"),
            ("It happened 2 days ago.", "-"),
        ],
    );
    check(
        &Slot::Date(When::Future),
        En,
        &[
            (
                "I'd need someone to look at the sink by next Monday if possible.",
                "2026-11-23",
            ),
            ("Can somebody come tomorrow, it is urgent", "2026-11-22"),
            ("My number is 202 555 0123 and December 3rd would suit me", "2026-12-03"),
            ("I have 3 questions.", "-"),
            ("I was born March 15th 1985.", "-"),
            ("I was born March 15th, 85, it is for an MRI.", "-"),
        ],
    );
    check(
        &Slot::Date(When::Past),
        Es,
        &[
            (
                "Mi número es MB123456 y nací el quince de marzo de mil novecientos ochenta y cinco.",
                "1985-03-15",
            ),
            ("nací el 15 de marzo de 1985 y necesito una cita", "1985-03-15"),
            ("Mi fecha de nacimiento es 15/03/1985, gracias.", "1985-03-15"),
            ("Mi teléfono es 202 555 0123.", "-"),
        ],
    );
}

#[test]
fn answers_and_choices() {
    check(
        &Slot::YesNo,
        En,
        &[
            ("Yes, and I also need an MRI.", "yes"),
            ("Yeah, that's right, but my phone has changed.", "yes"),
            ("No, it's MB123457.", "no"),
            ("Um, no.", "no"),
            ("Correct.", "yes"),
            ("That's right. And one more thing.", "yes"),
            ("Sure, my ID is MB123456.", "yes"),
            ("I have two questions.", "-"),
            ("Not the sixteenth of March.", "-"),
            ("My sink has no water.", "-"),
            ("I know, yes.", "-"),
        ],
    );
    check(
        &Slot::YesNo,
        Es,
        &[
            ("Sí, y necesito una cita.", "yes"),
            ("No, es MB123457.", "no"),
            ("Necesito una cita, sí.", "-"),
        ],
    );
    let procedure = choices(&[
        ("mri", &["MRI", "magnetic resonance", "resonancia"]),
        ("office visit", &["visit", "check up", "consulta"]),
        ("medication", &["prescription", "refill", "pills", "medicamento"]),
    ]);
    check(
        &procedure,
        En,
        &[
            (ALL_IN_ONE, "mri"),
            ("It's for an office visit, MB123456.", "office visit"),
            ("I'd like a refill please, my number is MB123456.", "medication"),
            ("An MRI, no, actually a check-up, born in 1985.", "office visit"),
            ("Do you cover an MRI or a visit?", "-"),
            ("My member id is MB123456.", "-"),
            ("The first one.", "-"),
        ],
    );
    check(&procedure, Es, &[("Necesito una resonancia y soy Ana.", "mri")]);
}

#[test]
fn amounts() {
    check(
        &Slot::Money,
        En,
        &[
            ("I paid $50 for it on March 3rd.", "5000"),
            ("They charged me fifty dollars and twenty cents last week.", "5020"),
            ("It was $50, sorry, $60 in March.", "6000"),
            ("My account is 12345.", "-"),
            ("I paid $50 and then $60.", "-"),
        ],
    );
    check(
        &Slot::Number { min: 1, max: 20 },
        En,
        &[
            ("There will be 3 of us on March 15, 1985.", "3"),
            ("We are five people and we live in Boston.", "5"),
            ("I want the first one.", "-"),
            ("2 adults and 3 children are coming.", "-"),
            ("Just one moment.", "-"),
            ("My number is 202 555 0123.", "-"),
        ],
    );
}

#[test]
fn free_forms() {
    check(
        &Slot::Email,
        En,
        &[
            (
                "Write to john.smith@gmail.com, my ID is MB123456.",
                "john.smith@gmail.com",
            ),
            (
                "My email is john dot smith at gmail dot com and I need an MRI",
                "john.smith@gmail.com",
            ),
            ("I am at home.", "-"),
        ],
    );
    check(
        &Slot::Name,
        En,
        &[
            ("Hi, my name is John Smith and my sink is leaking.", "John Smith"),
            ("My name is Mary O'Neil, born March 15, 1985.", "Mary O'Neil"),
            ("my name is john smith, I need help", "john smith"),
            ("Hi, this is John Smith, my sink is leaking.", "John Smith"),
            ("Hello, I'm Ann Lee.", "Ann Lee"),
            ("This is about my sink.", "-"),
            ("This is Monday March the 3rd.", "-"),
            ("John Smith", "-"),
            ("I need an MRI.", "-"),
            ("My name is", "-"),
        ],
    );
    check(
        &Slot::Name,
        Es,
        &[
            ("Hola, me llamo Ana García y necesito una cita.", "Ana García"),
            ("Necesito una cita.", "-"),
        ],
    );
    check(
        &Slot::Address,
        En,
        &[
            ("The leak is at 12 Harbour Street and it's urgent.", "12 Harbour Street"),
            (
                "I live at twelve harbour street apartment four b and I have no water",
                "12 harbour street apartment 4B",
            ),
            (
                "Come to 1600 Pennsylvania Avenue Northwest, Washington, my phone is 202 555 0123.",
                "1600 Pennsylvania Avenue Northwest, Washington",
            ),
            ("My sink is leaking.", "-"),
            ("I was on the street at 5.", "-"),
        ],
    );
    check(
        &Slot::Address,
        Es,
        &[
            (
                "Vivo en la calle Mayor 12, piso 3, y no hay agua.",
                "calle Mayor 12, piso 3",
            ),
            ("Voy por la calle.", "-"),
        ],
    );
    check(&Slot::Text, En, &[("The sink is leaking.", "-")]);
}

#[test]
fn spans_are_of_the_words() {
    for (slot, wanted) in [
        (id(r"MB\d{6}"), "MB 123456"),
        (Slot::Date(When::Past), "March 15th 1985"),
        (choices(&[("mri", &[])]), "MRI"),
    ] {
        let found = slot.find(ALL_IN_ONE, En, today()).expect("found");
        assert_eq!(ALL_IN_ONE.get(found.span), Some(wanted));
    }
}
