//! [`Slot::keyed`], in the notation of the parsers' tables.

use super::super::*;
use super::{choices, id, noted, today};
use Language::{En, Es};

fn check(slot: &Slot, language: Language, rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(keys, wanted)| {
            let got = noted(slot.keyed(keys, language, today()));
            (got != *wanted).then(|| format!("{keys:?}: {got:?}, not {wanted:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{slot:?}\n{}", wrong.join("\n"));
}

#[test]
fn codes() {
    check(
        &id(r"MB\d{6}"),
        En,
        &[
            ("", "I"),
            ("1234", "I"),
            ("123456", "C MB123456"),
            ("123456#", "C MB123456"),
            ("12*123456", "C MB123456"),
            ("1234#", "X"),
            ("1234567", "X"),
            ("MB123456", "X"),
        ],
    );
    check(&id(r"\d{3}A\d"), En, &[("1234", "C 123A4"), ("123", "I")]);
    check(&id(r"[A-Z]{2}\d{3}"), En, &[("123", "X"), ("", "X")]);
    check(
        &id(r"B\d{2,4}"),
        En,
        &[("12", "I B12"), ("12#", "C B12"), ("1234", "C B1234")],
    );
    check(
        &Slot::Digits { min: 4, max: 6 },
        En,
        &[
            ("123", "I"),
            ("1234", "I 1234"),
            ("1234#", "C 1234"),
            ("123456", "C 123456"),
            ("1234567", "X"),
            ("#", "X"),
        ],
    );
    check(
        &Slot::Phone { local: false },
        En,
        &[
            ("2025550123", "C +12025550123"),
            ("12025550123", "C +12025550123"),
            ("202555", "I"),
            ("5550123#", "X"),
            ("0123", "X"),
        ],
    );
    check(&Slot::Phone { local: true }, En, &[("5550123#", "C 5550123")]);
}

#[test]
fn the_rest() {
    check(
        &Slot::Date(When::Past),
        En,
        &[
            ("03151985", "C 1985-03-15"),
            ("031519", "I"),
            ("031585#", "C 1985-03-15"),
            ("031519#", "C 2019-03-15"),
            ("031520#", "C 2020-03-15"),
            ("031526#", "C 2026-03-15"),
            ("120126#", "C 1926-12-01"),
            ("133120#", "X"),
            ("03152085", "X"),
            ("13451985", "X"),
            ("0315#", "X"),
        ],
    );
    check(
        &Slot::Date(When::Past),
        Es,
        &[
            ("15031985", "C 1985-03-15"),
            ("150385#", "C 1985-03-15"),
            ("150319#", "C 2019-03-15"),
        ],
    );
    check(
        &Slot::YesNo,
        En,
        &[("1", "C yes"), ("2", "C no"), ("2#", "C no"), ("3", "X"), ("", "I")],
    );
    check(
        &Slot::Number { min: 1, max: 20 },
        En,
        &[
            ("1", "I 1"),
            ("2", "I 2"),
            ("3", "C 3"),
            ("12", "C 12"),
            ("2#", "C 2"),
            ("21", "X"),
            ("0", "X"),
        ],
    );
    check(
        &Slot::Money,
        En,
        &[
            ("50", "I 5000"),
            ("50#", "C 5000"),
            ("12*50", "C 1250"),
            ("12*5", "I"),
            ("*99", "C 99"),
            ("1*2*3", "X"),
        ],
    );
    check(
        &choices(&[("sales", &[]), ("billing", &[]), ("support", &[])]),
        En,
        &[("1", "C sales"), ("3#", "C support"), ("4", "X"), ("0", "X"), ("", "I")],
    );
    check(&Slot::Email, En, &[("1", "X")]);
    check(&Slot::Name, En, &[("1", "X")]);
    check(&Slot::Address, En, &[("1", "X")]);
}
