//! [`Slot::amend`] and [`Slot::resume`]. "-" is nothing.

use super::super::*;
use super::{choices, id, noted, plain, today};
use Language::{En, Es};

fn check(slot: &Slot, language: Language, rows: &[(&str, &str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(previous, text, wanted)| {
            let previous = slot.parse(previous, language, today()).value.expect(previous);
            let got = slot.amend(&previous, text, language, today());
            let got = got.as_ref().map_or_else(|| "-".to_owned(), plain);
            (got != *wanted).then(|| format!("{previous:?} {text:?}: {got:?}, not {wanted:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{slot:?}\n{}", wrong.join("\n"));
}

#[test]
fn ids() {
    check(
        &id(r"MB\d{6}"),
        En,
        &[
            ("MB123456", "No, MB123457.", "MB123457"),
            ("MB123456", "No, five six seven.", "MB123567"),
            ("MB123456", "No, it's 567 at the end.", "MB123567"),
            ("MB123456", "No, 457.", "MB123457"),
            ("MB123456", "No, one two four.", "MB124456"),
            ("MB123456", "No, it ends in 567.", "MB123567"),
            ("MB123456", "it ends with 57", "MB123457"),
            ("MB123456", "No, the last digit is 8.", "MB123458"),
            ("MB123456", "the last two digits are six five", "MB123465"),
            ("MB123456", "No, it starts with 2.", "MB223456"),
            ("MB123456", "It begins with nine nine.", "MB993456"),
            ("MB123456", "The third digit is four.", "MB124456"),
            ("MB123456", "Six, not five.", "MB123466"),
            ("MB123456", "not 5, 6", "MB123466"),
            ("MB123456", "No, not five but eight.", "MB123486"),
            ("MB123456", "No, 57 instead of 56.", "MB123457"),
            ("MB123456", "MB123457, not MB123456", "MB123457"),
            ("MB123456", "No, 654321.", "MB654321"),
            ("MB123456", "No, 8.", "MB123458"),
            ("MB123456", "The 4th digit is 9.", "MB123956"),
            ("MB123456", "No, the last digit's 7.", "MB123457"),
            ("MB123456", "No, M B 1 2 3 4 5 7, sorry.", "MB123457"),
            ("MB123456", "I said 7, not 6.", "MB123457"),
            ("MB123456", "Wrong, it's 123 457.", "MB123457"),
            ("MB123456", "Nope, 78.", "MB123478"),
            ("MB123456", "No, the last digitization.", "-"),
            ("MB123456", "No.", "-"),
            ("MB123456", "That's wrong.", "-"),
            ("MB123456", "What?", "-"),
            ("MB112256", "seven, not one", "-"),
            ("MB123456", "not 9, 7", "-"),
            ("MB123456", "No, 456.", "-"),
            ("MB123456", "No, 1234567.", "-"),
            ("MB123456", "I have two questions about that.", "-"),
            ("MB123456", "No, I was born in 1985.", "-"),
            ("MB123456", "No, my birthday is March 15.", "-"),
            ("MB123456", "No, my phone ends in 0123.", "-"),
        ],
    );
    check(
        &id(r"[A-Z]{2}\d{3}"),
        En,
        &[
            ("AB123", "No, C as in cat, D as in dog, 123", "CD123"),
            ("AB123", "No, 124.", "AB124"),
        ],
    );
    check(
        &id(r"MB\d{6}"),
        Es,
        &[
            ("MB123456", "No, MB123457.", "MB123457"),
            ("MB123456", "No, cinco seis siete.", "MB123567"),
            ("MB123456", "No, termina en 57.", "MB123457"),
            ("MB123456", "el último dígito es ocho", "MB123458"),
            ("MB123456", "empieza con dos", "MB223456"),
            ("MB123456", "siete, no cinco", "MB123476"),
            ("MB123456", "No.", "-"),
        ],
    );
}

#[test]
fn digits_and_phones() {
    check(
        &Slot::Phone { local: false },
        En,
        &[
            ("202 555 0123", "No, it's 0124.", "+12025550124"),
            ("202 555 0123", "no, 556", "+12025560123"),
            ("202 555 0123", "No, two oh three.", "+12035550123"),
            ("202 555 0123", "It ends in 99.", "+12025550199"),
            ("202 555 0123", "It starts with 415.", "+14155550123"),
            ("202 555 0123", "The area code is 415.", "+14155550123"),
            ("202 555 0123", "No, I was born in 1985.", "-"),
            ("202 555 0123", "No, 415 555 0199.", "+14155550199"),
            ("202 555 0123", "No, that's not mine.", "-"),
        ],
    );
    check(
        &Slot::Digits { min: 4, max: 4 },
        En,
        &[
            ("1234", "No, 1235.", "1235"),
            ("1234", "No, thirty five.", "1235"),
            ("1234", "five, not four", "1235"),
            ("1234", "No, double seven.", "1277"),
            ("1234", "Hmm.", "-"),
        ],
    );
}

#[test]
fn dates() {
    check(
        &Slot::Date(When::Past),
        En,
        &[
            ("March 15, 1985", "No, the sixteenth.", "1985-03-16"),
            ("March 15, 1985", "No. The 16.", "1985-03-16"),
            ("March 15, 1985", "No, the 16th, please.", "1985-03-16"),
            ("March 15, 1985", "April, not March.", "1985-04-15"),
            ("March 15, 1985", "not March, April", "1985-04-15"),
            ("March 15, 1985", "No, April.", "1985-04-15"),
            ("March 15, 1985", "1986", "1986-03-15"),
            ("March 15, 1985", "No, nineteen eighty six.", "1986-03-15"),
            ("March 5, 1985", "No. 15, 1985.", "1985-03-15"),
            ("March 5, 1985", "No March 15, 1985.", "1985-03-15"),
            ("March 5, 1985", "No. 15, 1958.", "-"),
            ("March 15, 1985", "No, eighty six.", "1986-03-15"),
            ("March 15, 1985", "one nine eight six", "1986-03-15"),
            ("March 15, 1985", "No, March 16th.", "1985-03-16"),
            ("March 15, 1985", "No, March 16th, 1986.", "1986-03-16"),
            ("March 15, 1985", "No, 4/15/1985.", "1985-04-15"),
            ("March 15, 1985", "the sixteenth, not the fifteenth", "1985-03-16"),
            ("March 15, 1985", "No, the 31st of April.", "-"),
            ("March 15, 1985", "No, 4/16.", "1985-04-16"),
            ("March 15, 1985", "The year is 1986.", "1986-03-15"),
            ("March 15, 1985", "2085", "-"),
            ("March 15, 1985", "No.", "-"),
            ("March 15, 1985", "That's not my birthday.", "-"),
        ],
    );
    check(
        &Slot::Date(When::Past),
        Es,
        &[
            ("15 de marzo de 1985", "No, el dieciséis.", "1985-03-16"),
            ("15 de marzo de 1985", "Abril, no marzo.", "1985-04-15"),
            ("15 de marzo de 1985", "No, en abril.", "1985-04-15"),
            (
                "15 de marzo de 1985",
                "No, mil novecientos ochenta y seis.",
                "1986-03-15",
            ),
            ("15 de marzo de 1985", "No, 16 de abril.", "1985-04-16"),
            ("15 de marzo de 1985", "No.", "-"),
        ],
    );
    check(
        &Slot::Date(When::Future),
        En,
        &[
            ("December 3rd", "No, the fourth.", "2026-12-04"),
            ("December 3rd", "No, tomorrow.", "2026-11-22"),
            ("Monday", "Tuesday, not Monday", "2026-11-24"),
        ],
    );
}

#[test]
fn others() {
    check(
        &Slot::YesNo,
        En,
        &[
            ("yes", "No, I meant no.", "no"),
            ("no", "Sorry, yes.", "yes"),
            ("yes", "Hmm", "-"),
        ],
    );
    check(
        &Slot::Number { min: 1, max: 20 },
        En,
        &[
            ("five", "No, six.", "6"),
            ("five", "six, not five", "6"),
            ("five", "not five, six", "6"),
            ("five", "No.", "-"),
        ],
    );
    check(
        &Slot::Money,
        En,
        &[
            ("$50", "No, $60.", "6000"),
            ("$50", "sixty dollars, not fifty", "6000"),
            ("$50", "No.", "-"),
        ],
    );
    let urgency = choices(&[("urgent", &["emergency"]), ("normal", &["not urgent", "whenever"])]);
    check(
        &urgency,
        En,
        &[
            ("normal", "No, it's an emergency.", "urgent"),
            ("urgent", "No, normal.", "normal"),
            ("urgent", "Normal, not urgent.", "normal"),
            ("urgent", "No.", "-"),
        ],
    );
    check(
        &Slot::Name,
        En,
        &[
            ("John Smith", "No, it's John Smyth.", "John Smyth"),
            ("John Smith", "No, that's not right.", "-"),
        ],
    );
    check(
        &Slot::Address,
        En,
        &[
            ("12 Harbour Street", "No, it's 14 Harbour Street.", "14 Harbour Street"),
            ("12 Harbour Street", "No.", "-"),
        ],
    );
    check(&Slot::Email, En, &[("a@b.com", "No, c@b.com", "c@b.com")]);
}

#[test]
fn answers_over_several_turns() {
    let check = |slot: &Slot, turns: &[&str], wanted: &str| {
        let (first, rest) = turns.split_first().expect("a turn");
        let mut begun = (*first).to_owned();
        let mut answer = String::new();
        for text in rest {
            let resumed = slot.resume(&begun, text, En, today());
            answer = noted(resumed.parsed);
            begun = resumed.text;
        }
        assert_eq!(answer, wanted, "{turns:?}");
    };
    let member = id(r"MB\d{6}");
    check(&member, &["MB12", "3456"], "C MB123456");
    check(&member, &["M B one two.", "Three four.", "Five six."], "C MB123456");
    check(&member, &["MB12", "MB123456"], "C MB123456");
    check(&member, &["MB12", "MB1234", "56"], "C MB123456");
    check(&member, &["MB12", "Uh,", "3456"], "C MB123456");
    check(&member, &["MB12", "Why do you ask?", "3456"], "C MB123456");
    check(&member, &["MB12", "No, sorry, MB654321"], "C MB654321");
    check(&member, &["MB12", "34567"], "I");
    check(
        &Slot::Phone { local: false },
        &["202.", "555.", "0123."],
        "C +12025550123",
    );
    check(&Slot::Date(When::Past), &["March 15th.", "1985."], "C 1985-03-15");
    check(
        &Slot::Date(When::Past),
        &["It's March.", "The fifteenth.", "Nineteen eighty five."],
        "C 1985-03-15",
    );
    check(&Slot::Phone { local: true }, &["415", "555 0123"], "C +14155550123");
    check(
        &Slot::Text,
        &["The sink is leaking and", "the tub is, too."],
        "C The sink is leaking and the tub is, too.",
    );
    check(&Slot::Name, &["John.", "Smith."], "C John Smith");
    check(&Slot::Name, &["John.", "John Smith."], "C John Smith");
    check(&Slot::Money, &["fifty", "sixty dollars"], "C 6000");
    check(&Slot::Digits { min: 4, max: 4 }, &["12", "3456"], "C 3456");
    check(
        &Slot::Email,
        &["john dot smith.", "At gmail dot com."],
        "C john.smith@gmail.com",
    );
    check(&Slot::Address, &["Twelve.", "Harbour Street."], "C 12 Harbour Street");
}
