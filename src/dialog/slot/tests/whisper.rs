//! What Whisper tiny.en and base wrote of ids, dates and telephone numbers that Piper said over an 8 kHz line, and like texts.

use super::super::*;
use super::{check, id};
use Language::{En, Es};

#[test]
fn ids_as_they_are_heard() {
    check(
        &id(r"MB\d{6}"),
        En,
        &[
            // As they were written.
            ("MB 789012", "C MB789012"),
            ("7 8 9 0 1 2", "C MB789012"),
            ("and B345678", "C MB345678"),
            ("MB, 345, 678", "C MB345678"),
            ("Mb 770 010", "C MB770010"),
            ("MB 998 877", "C MB998877"),
            ("MB 555 123 123", "C MB555123"),
            ("Mb 204 060", "C MB204060"),
            ("My number ID is MB123456.", "C MB123456"),
            ("MB 234567", "C MB234567"),
            ("M B O O 1 2 3 4.", "C MB001234"),
            ("1 second, MB345678", "C MB345678"),
            ("Sure, one second, MB345678.", "C MB345678"),
            ("M.S. and Mary. B.S. and Boy. 1 2 3 4 5 6.", "C MB123456"),
            ("M.S. and Mary, B. is in boy, 1-2-3-4-5-6.", "C MB123456"),
            ("No, MB123457.", "C MB123457"),
            ("Mb123456", "C MB123456"),
            ("MB-789-012", "C MB789012"),
            ("MB-34567-8", "C MB345678"),
            ("Mb998-877", "C MB998877"),
            ("It is MB7 89012.", "C MB789012"),
            ("MB 2345 67", "C MB234567"),
            ("Mb123", "I"),
            // A digit too many or too few: ask again.
            ("MB9988777", "X"),
            ("MB 5 5 5 5 1 2 3", "X"),
            ("MB-77-441", "I"),
            // Other ways to mishear the letters.
            ("and be 123456", "C MB123456"),
            ("And B 1 2 3 4 5 6.", "C MB123456"),
            ("em, B, 123456", "C MB123456"),
            ("NB 123456", "C MB123456"),
            ("N B 1 2 3 4 5 6", "C MB123456"),
            ("MP 123456", "C MB123456"),
            ("NV123456", "C MB123456"),
            ("M-B 123456", "C MB123456"),
            ("Emby 123456", "C MB123456"),
            ("Emby, one two three four five six.", "C MB123456"),
            ("Envy 123456.", "C MB123456"),
            ("Um, B 123456", "C MB123456"),
            ("Am B 123456", "C MB123456"),
            ("An B 123456", "C MB123456"),
            ("B123456", "C MB123456"),
            ("M123456", "C MB123456"),
            ("and B 123", "I"),
            ("Emby 123", "I"),
            ("Emby 12", "I"),
            ("Emby.", "I"),
            ("and B", "I"),
            // How digits are grouped.
            ("M. B. 1. 2. 3. 4. 5. 6.", "C MB123456"),
            ("M. B. 1. 2. 3.", "I"),
            ("MB-12-34-56.", "C MB123456"),
            ("M D 1 2 3 4 5 6", "C MB123456"),
            ("MB one hundred twenty three, four fifty six", "C MB123456"),
            ("MB twelve thirty four fifty six", "C MB123456"),
            ("MB 123... 456", "C MB123456"),
            ("MB, um, 123, uh, 456", "C MB123456"),
            ("number sign MB123456", "C MB123456"),
            ("MB hashtag 123456", "C MB123456"),
            ("#MB 123456", "C MB123456"),
            ("MB number 123456", "C MB123456"),
            ("MB oh one two three four five", "C MB012345"),
            ("MB o1 2345", "C MB012345"),
            ("MB double seven triple four one", "C MB774441"),
            ("MB 123 456 456", "C MB123456"),
            ("MB123456 MB123456", "C MB123456"),
            ("MB 12 34 56 56", "C MB123456"),
            ("MB 1234566", "X"),
            ("3123456", "X"),
            ("M 3 1 2 3 4 5 6", "C MB123456"),
            ("member ID M like Mary B like boy 123456", "C MB123456"),
        ],
    );
}

#[test]
fn who_looks_for_the_card_waits() {
    check(
        &id(r"MB\d{6}"),
        En,
        &[
            ("Let me grab my card.", "I"),
            ("Let me grab my cart.", "I"),
            ("Hold on.", "I"),
            ("Hold on one second.", "I"),
            ("One second.", "I"),
            ("1 second.", "I"),
            ("Just a minute, please.", "I"),
            ("I have it here somewhere.", "I"),
            ("I have a tear somewhere.", "I"),
            ("Give me a moment, it's in my purse.", "I"),
            ("Let me get my wallet from the car.", "I"),
            ("Okay, bear with me.", "I"),
            ("I'm looking for it.", "I"),
            ("Hold on one second. MB 123456", "C MB123456"),
            ("I don't have it.", "X"),
            ("Can you repeat that?", "X"),
        ],
    );
    check(
        &id(r"MB\d{6}"),
        Es,
        &[
            ("Un momento, por favor.", "I"),
            ("Déjeme buscar la tarjeta.", "I"),
            ("Lo tengo por aquí.", "I"),
            ("Un segundo. MB 123456", "C MB123456"),
            ("eme be, ciento veintitrés, cuatro cinco seis", "C MB123456"),
            ("en B 123456", "C MB123456"),
            ("Embe 123456", "C MB123456"),
            ("No la tengo.", "X"),
        ],
    );
    check(
        &Slot::Date(When::Past),
        En,
        &[
            ("Hold on one second.", "I"),
            ("One second. March 15, 1985.", "C 1985-03-15"),
        ],
    );
    check(
        &Slot::Phone { local: false },
        En,
        &[
            ("Let me look it up.", "I"),
            ("Just a second, 202 555 0123", "C +12025550123"),
        ],
    );
    check(&Slot::Name, En, &[("Hold on one second.", "I"), ("Hold on.", "I")]);
    check(
        &Slot::Digits { min: 1, max: 1 },
        En,
        &[("One second.", "I"), ("One.", "C 1")],
    );
    check(&Slot::Number { min: 1, max: 9 }, En, &[("One moment.", "I")]);
    check(&Slot::Address, En, &[("Hold on, let me think.", "I")]);
}

#[test]
fn telephone_numbers_as_they_are_heard() {
    check(
        &Slot::Phone { local: false },
        En,
        &[
            ("202. 555. 0123.", "C +12025550123"),
            ("2.02.555 0123", "C +12025550123"),
            ("2 0 2 5 5 5 0 1 2 3", "C +12025550123"),
            ("202 555 0123 0123", "C +12025550123"),
            ("202-555-0123-0123.", "C +12025550123"),
            ("202 555 555 0123", "X"),
            ("My phone number is 415-55-1199.", "I"),
            ("My phone number is 415555199.", "I"),
            ("800 555 1123 81555 123", "X"),
            ("two oh two, triple five, oh one two three", "C +12025550123"),
            ("two zero two five fifty-five oh one twenty-three", "C +12025550123"),
        ],
    );
    check(
        &Slot::Phone { local: true },
        En,
        &[
            ("5-55-0123", "C 5550123"),
            ("555-0123", "C 5550123"),
            ("555 0123 0123", "C 5550123"),
            ("5 5 5 1 2 3", "I"),
            ("555 0123 0124", "X"),
        ],
    );
}

#[test]
fn dates_as_they_are_heard() {
    check(
        &Slot::Date(When::Past),
        En,
        &[
            ("March 15, 1985.", "C 1985-03-15"),
            ("July 22, 1990.", "C 1990-07-22"),
            ("November 30th, 1975.", "C 1975-11-30"),
            ("15 March 1985", "C 1985-03-15"),
            ("I was born March 15, 1985.", "C 1985-03-15"),
            ("March 1585", "C 1985-03-15"),
            ("March 1585 5.", "X"),
            ("2.20.90.", "C 1990-02-20"),
            ("My date of birth is 0350 1985", "X"),
            ("3/15/85", "C 1985-03-15"),
            ("3-15-1985", "C 1985-03-15"),
            ("03 15 1985", "C 1985-03-15"),
            ("3.15.1985", "C 1985-03-15"),
            ("03.15.85", "C 1985-03-15"),
            ("the 15th of March, 85", "C 1985-03-15"),
            ("July 22nd, 90", "C 1990-07-22"),
            ("July 22nd ninety", "I 1990-07-22"),
            ("March 15, 19-85", "C 1985-03-15"),
            ("March 15th of 1985", "C 1985-03-15"),
            ("The fifteenth of March nineteen eighty-five", "C 1985-03-15"),
            ("March 15, 26", "C 2026-03-15"),
            ("March 15, 30", "C 1930-03-15"),
            ("December 1, 26", "C 1926-12-01"),
            ("My birthday's March 15th, 1985", "C 1985-03-15"),
            ("Born on the fifteenth of the third, 1985", "C 1985-03-15"),
            ("Let me see. March 15, 1985", "C 1985-03-15"),
        ],
    );
    check(
        &Slot::Date(When::Past),
        Es,
        &[
            ("Quince de marzo de mil novecientos ochenta y cinco.", "C 1985-03-15"),
            ("15 de marzo, 1985", "C 1985-03-15"),
            ("veintidós de julio del noventa", "I 1990-07-22"),
            ("22/7/90", "C 1990-07-22"),
            ("El treinta de noviembre del setenta y cinco", "C 1975-11-30"),
            ("30 11 1975", "C 1975-11-30"),
        ],
    );
}

#[test]
fn addresses_as_they_are_heard() {
    check(
        &Slot::Address,
        En,
        &[
            ("12 Harvest Street, apartment 4B", "C 12 Harvest Street, apartment 4B"),
            (
                "twelve harbour street apartment four b",
                "C 12 harbour street apartment 4B",
            ),
            ("Twelve Harbour Street.", "C 12 Harbour Street"),
            ("12th Harbor Street,", "I 12 Harbor Street"),
            (
                "12th Martin Luther King Boulevard.",
                "C 12 Martin Luther King Boulevard",
            ),
            ("1st Street", "I"),
            (
                "1600 Pennsylvania Avenue Northwest, Washington, D.C.",
                "C 1600 Pennsylvania Avenue Northwest, Washington, D.C",
            ),
            ("It's at 42 Oak Lane, Springfield.", "C 42 Oak Lane, Springfield"),
            ("I live at sixteen hundred Elm Avenue, thanks.", "C 1600 Elm Avenue"),
            ("One hundred twenty three Main Street", "C 123 Main Street"),
            ("one twenty three Main Street", "C 123 Main Street"),
            ("four oh five Main St.", "C 405 Main St"),
            ("77 5th Avenue", "C 77 5th Avenue"),
            ("123 West 42nd Street", "C 123 West 42nd Street"),
            ("My address is 9 Elm Court, apartment", "I 9 Elm Court, apartment"),
            ("12 Harbour Street and", "I 12 Harbour Street and"),
            ("Twelve Harbour", "I"),
            ("Twelve", "I"),
            ("My address is", "I"),
            ("I live at", "I"),
            ("Um,", "I"),
            ("", "I"),
            ("I don't know.", "X"),
            ("Where are you?", "X"),
            ("My cat.", "X"),
        ],
    );
    check(
        &Slot::Address,
        Es,
        &[
            ("calle Mayor doce, piso tres", "C calle Mayor 12, piso 3"),
            ("Vivo en la avenida Juárez 45, gracias.", "C avenida Juárez 45"),
            ("Calle Mayor", "I"),
            ("Mi dirección es", "I"),
            ("No sé.", "X"),
        ],
    );
}
