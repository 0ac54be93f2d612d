use super::super::*;
use super::{check, id};
use Language::{En, Es};

#[test]
fn member_ids() {
    check(
        &id(r"MB\d{6}"),
        En,
        &[
            ("M B 1 2 3 4 5 6", "C MB123456"),
            ("MB123456", "C MB123456"),
            ("MB123456.", "C MB123456"),
            ("MB-123456", "C MB123456"),
            ("Mb 123 456.", "C MB123456"),
            ("M.B. 123-456", "C MB123456"),
            ("mb, 123, 456", "C MB123456"),
            ("em bee one twenty three four fifty six", "C MB123456"),
            ("MB 123 4 56", "C MB123456"),
            ("Emm B 1, 2, 3, 4, 5, 6.", "C MB123456"),
            ("My member ID is MB123456.", "C MB123456"),
            ("Yeah, it's MB 123456, thanks.", "C MB123456"),
            (
                "Okay, my number is, uh, M B one two three four five six. That's it.",
                "C MB123456",
            ),
            ("It's M as in Mary, B as in boy, 1 2 3 4 5 6.", "C MB123456"),
            ("Emm as in Mary, Be as in Boy, 1, 2, 3, 4, 5, 6.", "C MB123456"),
            ("M like Mike, B like Bravo, 123456", "C MB123456"),
            ("Mike Bravo one two three four five six", "C MB123456"),
            ("NB123456", "C MB123456"),
            ("M B double 7 triple oh 1", "C MB770001"),
            ("MB double seven, four, triple oh", "C MB774000"),
            ("MB one two three for five six", "C MB123456"),
            ("M B won to tree for 5 6", "C MB123456"),
            ("M B one two three, no, four, four five six", "C MB124456"),
            ("MB 123 457, sorry, I meant 456", "C MB123456"),
            ("MB 123 457. No, MB 123 456.", "C MB123456"),
            ("MB 999, scratch that, MB 123 456", "C MB123456"),
            ("MB O12345", "C MB012345"),
            ("MBO12345", "C MB012345"),
            ("1 2 3 4 5 6", "C MB123456"),
            ("The card here reads MB123456, if that helps.", "C MB123456"),
            ("MB", "I"),
            ("M", "I"),
            ("mb mb", "I"),
            ("MB 1234", "I"),
            ("MB 12345.", "I"),
            ("My member ID is.", "I"),
            ("It's, uh,", "I"),
            ("Okay.", "I"),
            ("", "I"),
            ("Let me see.", "I"),
            ("MB 12345 double", "I"),
            ("MB 123456 no", "I"),
            ("MB 1234 fifty", "I MB123450"),
            ("MB 1234 fifty, that's it", "C MB123450"),
            ("MB 1234567", "X"),
            ("MB9998888", "I MB999888"),
            ("M B 9 9 9 8 8 8 8 8 8", "C MB999888"),
            ("MB12345555555", "C MB123455"),
            ("I don't know.", "X"),
            ("What do you mean?", "X"),
            ("Hello?", "X"),
            ("Can I talk to a person?", "X"),
            ("No.", "X"),
            ("I lost my card, sorry.", "X"),
            ("I have two questions about three claims.", "X"),
        ],
    );
}

#[test]
fn other_ids() {
    check(
        &id("[A-Z]{2}[A-Z0-9]{3}"),
        En,
        &[
            ("R U Y C four", "C RUYC4"),
            ("Are you YC4", "C RUYC4"),
            ("See you 1 2 3", "C CU123"),
            ("xy771", "C XY771"),
            ("K L two two four", "C KL224"),
            ("double u x one two three", "C WX123"),
            ("Be as in boy, see as in cat, one, two, oh", "C BC120"),
            ("B for boy, C for cat, 1 2 3", "C BC123"),
            ("bravo charlie one two three", "C BC123"),
            ("why oh one two three", "C YO123"),
            ("AB", "I"),
        ],
    );
    check(
        &id(r"[A-Z]\d{2,4}"),
        En,
        &[
            ("B 1 2", "I B12"),
            ("B 12, that's it.", "C B12"),
            ("B 1 2 3 4", "C B1234"),
            ("B 1", "I"),
        ],
    );
    check(
        &id(r"\d{4}[A-Z]?"),
        En,
        &[("1 2 3 4", "I 1234"), ("1234 A", "C 1234A"), ("12 34 B.", "C 1234B")],
    );
    check(
        &id(r"MB\d{6}"),
        Es,
        &[
            ("eme be uno dos tres cuatro cinco seis", "C MB123456"),
            ("Es M B 1 2 3 4 5 6, gracias.", "C MB123456"),
            (
                "eme de María, be de burro, uno dos tres, cuatro cinco seis",
                "C MB123456",
            ),
            ("MB ciento veintitrés, cuatrocientos cincuenta y seis", "C MB123456"),
            ("MB doble siete", "I"),
            ("Mi número es", "I"),
            ("No sé.", "X"),
            ("¿Qué número?", "X"),
        ],
    );
}

#[test]
fn digits() {
    check(
        &Slot::Digits { min: 4, max: 4 },
        En,
        &[
            ("1234", "C 1234"),
            ("1, 2, 3, 4.", "C 1234"),
            ("one two three four", "C 1234"),
            ("twelve thirty-four", "C 1234"),
            ("One, two, three.", "I"),
            ("for two 5 ate", "C 4258"),
            ("It's oh one two three", "C 0123"),
            ("two thousand and five", "C 2005"),
            ("It ends in 0123, please.", "C 0123"),
            ("1,234", "C 1234"),
            ("12345", "X"),
            ("1 2 3 5, sorry, I meant 4", "C 1234"),
            ("555. No, five six seven eight", "C 5678"),
            ("1234 1234", "C 1234"),
            ("Sure.", "I"),
            ("Why do you need that?", "X"),
            ("B12", "X"),
        ],
    );
    check(
        &Slot::Digits { min: 6, max: 8 },
        En,
        &[
            ("123456", "I 123456"),
            ("123456, that's it", "C 123456"),
            ("12345678", "C 12345678"),
            ("12345", "I"),
            ("123456789", "X"),
        ],
    );
    check(
        &Slot::Digits { min: 1, max: 1 },
        En,
        &[
            ("Two.", "C 2"),
            ("To.", "C 2"),
            ("Four, four", "C 4"),
            ("For.", "C 4"),
            ("seven", "C 7"),
        ],
    );
    check(
        &Slot::Digits { min: 4, max: 4 },
        Es,
        &[
            ("uno dos tres cuatro", "C 1234"),
            ("Doble siete, doble cero.", "C 7700"),
            ("mil novecientos ochenta y cinco", "C 1985"),
            ("mil novecientos ochenta", "I 1980"),
            ("treinta y cuatro, cincuenta y seis", "C 3456"),
            ("uno dos tres", "I"),
            ("uno dos tres cinco, perdón, cuatro", "C 1234"),
            ("No lo tengo.", "X"),
        ],
    );
}

#[test]
fn telephone_numbers() {
    let phone = Slot::Phone { local: false };
    check(
        &phone,
        En,
        &[
            ("(555) 012-3456", "C +15550123456"),
            ("555-012-3456.", "C +15550123456"),
            ("5-5-5-0-1-2-3-4-5-6", "C +15550123456"),
            ("5550123456", "C +15550123456"),
            ("1-800-555-0123", "C +18005550123"),
            ("+1 (415) 555-0123", "C +14155550123"),
            ("one four one five five five five oh one two three", "C +14155550123"),
            (
                "It's four one five, five five five, oh one two three.",
                "C +14155550123",
            ),
            ("It's for 1 5, 555, 0123", "C +14155550123"),
            ("eight hundred five five five oh one two three", "C +18005550123"),
            ("800 555 0 1 2 3, thank you", "C +18005550123"),
            ("718 342 9 9 0 6. Thank you", "C +17183429906"),
            ("Oh, 555 012 3456", "C +15550123456"),
            ("You can reach me at 415-555-0123.", "C +14155550123"),
            ("415 555 0124, no, 0123", "C +14155550123"),
            ("415 555, no wait, 415 556 0123", "C +14155560123"),
            ("five five five, oh one two three", "I"),
            ("five fifty-five", "I"),
            ("5-5-5-0-1-2-3", "I"),
            ("555", "I"),
            ("1 415 555 012", "I"),
            ("415 555 01234", "X"),
            ("21255550177.", "I +12125550177"),
            ("212 555 51177", "X"),
            ("+44 20 7946 0958", "I +442079460958"),
            (
                "plus forty four, two zero, seven nine four six, zero nine five eight, that's it",
                "C +442079460958",
            ),
            ("I don't have one.", "X"),
            ("The same number I'm calling from.", "X"),
        ],
    );
    check(
        &Slot::Phone { local: true },
        En,
        &[
            ("555 0123", "C 5550123"),
            ("five five five, oh one two three", "C 5550123"),
            ("5-5-5-0-1-2-3", "C 5550123"),
            ("555 012", "I"),
            ("415 555 0123", "C +14155550123"),
        ],
    );
    check(
        &phone,
        Es,
        &[
            (
                "cinco cinco cinco, cero uno dos, tres cuatro cinco seis",
                "C +15550123456",
            ),
            ("Mi teléfono es 555 012 3456, gracias", "C +15550123456"),
            ("cinco cincuenta y cinco", "I"),
            (
                "triple cinco, cero doce, treinta y cuatro cincuenta y seis",
                "C +15550123456",
            ),
        ],
    );
}

#[test]
fn patterns_are_checked() {
    for (text, wanted) in [
        ("", PatternError::Length),
        ("A?", PatternError::Length),
        ("mb", PatternError::Unexpected('m')),
        (r"\w", PatternError::Unexpected('w')),
        ("{3}", PatternError::Unexpected('{')),
        ("[A-Z", PatternError::Unfinished),
        ("[]", PatternError::Unfinished),
        (r"\d{", PatternError::Unfinished),
        (r"\d{x}", PatternError::Unfinished),
        (r"\d{3,2}", PatternError::Length),
        (r"\d{99999}", PatternError::Length),
        ("\\", PatternError::Unfinished),
    ] {
        assert_eq!(text.parse::<Pattern>(), Err(wanted), "{text}");
    }
}
