use proptest::prelude::*;

use super::spoken;

const PASSES: &[&str] = &[
    "",
    "Hello there, how can I help you?",
    "I don't know — maybe; it's fine…",
    "naïve café",
    "X-ray",
    "Call us today!",
    "Vitamin C.",
    "The answer is No. We can't.",
    "Thank you, J. Smith.",
    "OK, enter your PIN and ZIP.",
    "NASA and HIPAA",
    "Do it NOW.",
    "well-known",
    "你好",
];

const MONEY: &[(&str, &str)] = &[
    ("$1,050", "one thousand fifty dollars"),
    ("$50.", "fifty dollars."),
    ("$12.05", "twelve dollars and five cents"),
    ("$1.50", "one dollar and fifty cents"),
    ("$1", "one dollar"),
    ("$0.50", "fifty cents"),
    ("$.01", "one cent"),
    ("€20", "twenty euros"),
    ("20 €", "twenty euros"),
    ("£1.01", "one pound and one penny"),
    ("$1,050.00!", "one thousand fifty dollars!"),
    ("$1.5 million", "one point five million dollars"),
    ("$5k", "five thousand dollars"),
    ("$5-10", "five to ten dollars"),
    ("$5-$10", "five dollars to ten dollars"),
    ("$20/visit", "twenty dollars per visit"),
    ("$-5", "minus five dollars"),
    ("-$5", "minus five dollars"),
    ("It costs ($30) now", "It costs thirty dollars now"),
];

const DATES: &[(&str, &str)] = &[
    ("1985-03-15", "March fifteenth, nineteen eighty five"),
    ("3/15/1985", "March fifteenth, nineteen eighty five"),
    ("03/05/85", "March fifth, eighty five"),
    ("3-15-2005.", "March fifteenth, two thousand five."),
    ("15/03/1985", "March fifteenth, nineteen eighty five"),
    ("12/1/05", "December first, oh five"),
    ("on 3/15", "on March fifteenth"),
    ("Your visit is on 1/3.", "Your visit is on January third."),
    ("by 1/2", "by January second"),
    ("Monday, 3/4", "Monday, March fourth"),
    ("Mon 1/3", "Monday January third"),
    ("From 1/3 to 1/4.", "From January third to January fourth."),
    ("on 1/3 of all days", "on one third of all days"),
    ("March 15, 1985", "March fifteenth, nineteen eighty five"),
    ("March 15th, 2026 is", "March fifteenth, twenty twenty six is"),
    ("March 15 at 9", "March fifteenth at nine"),
    ("Mar. 3-5", "March third to fifth"),
    ("March 1985", "March nineteen eighty five"),
    ("Sept 2", "September second"),
    ("May 5, we", "May fifth, we"),
    ("I may 5", "I may five"),
    ("15 March 1985", "fifteen March nineteen eighty five"),
    ("in 1905", "in nineteen oh five"),
    ("1900", "nineteen hundred"),
    ("2000", "two thousand"),
    ("2005", "two thousand five"),
    ("2026", "twenty twenty six"),
    ("1980s", "nineteen eighties"),
    ("the 80s", "the eighties"),
    ("2019-2021", "twenty nineteen to twenty twenty one"),
    ("December 31, 1999.", "December thirty first, nineteen ninety nine."),
];

const TIMES: &[(&str, &str)] = &[
    ("9:30 AM", "nine thirty A M"),
    ("17:00", "five P M"),
    ("17:30", "five thirty P M"),
    ("9:00", "nine o'clock"),
    ("9:05pm", "nine oh five P M"),
    ("9:00 AM", "nine A M"),
    ("9am", "nine A M"),
    ("at 5 p.m. on", "at five P M on"),
    ("at 5 p.m.", "at five P M."),
    ("5 p.m. Would you", "five P M. Would you"),
    ("00:15", "twelve fifteen A M"),
    ("12:00", "twelve o'clock"),
    ("9am-5pm", "nine A M to five P M"),
    ("9:00-17:00", "nine o'clock to five P M"),
    ("9:30–10:15 AM", "nine thirty to ten fifteen A M"),
    ("9-5", "nine to five"),
    ("9 - 5", "nine to five"),
    ("Mon-Fri 9-5", "Monday to Friday nine to five"),
    ("Sat–Sun", "Saturday to Sunday"),
    ("I am 9", "I am nine"),
];

const CODES: &[(&str, &str)] = &[
    (
        "+1 (555) 123-4567",
        "plus one, five five five, one two three, four five six seven",
    ),
    ("(555) 123-4567", "five five five, one two three, four five six seven"),
    ("555-0123", "five five five, zero one two three"),
    ("555-123-4567.", "five five five, one two three, four five six seven."),
    ("555.123.4567", "five five five, one two three, four five six seven"),
    ("555 123 4567", "five five five, one two three, four five six seven"),
    (
        "+15551234567",
        "plus one, five five five, one two three, four five six seven",
    ),
    ("5551234567", "five five five, one two three, four five six seven"),
    (
        "1-800-555-1234",
        "one, eight zero zero, five five five, one two three four",
    ),
    (
        "+44 20 7946 0958",
        "plus four four, two zero, seven nine four six, zero nine five eight",
    ),
    ("123-45-6789", "one two three, four five, six seven eight nine"),
    ("10-11-12", "one zero, one one, one two"),
    ("94107-1234", "nine four one zero seven, one two three four"),
    ("call 911", "call nine one one"),
    ("MB123456", "M B, one two three, four five six"),
    ("AB-12", "A B, one two"),
    ("B12", "B one two"),
    ("A1C", "A one C"),
    ("mb123456", "M B, one two three, four five six"),
    ("12-AB", "one two, A B"),
    ("AB_12", "A B, one two"),
    ("order #48213.", "order number four eight two one three."),
    ("order number #48213", "order number four eight two one three"),
    ("#5", "number five"),
    ("#AB12", "number A B one two"),
    ("48213", "four eight two one three"),
    ("007", "zero zero seven"),
    ("PIN 4821", "PIN four eight two one"),
    ("ending in 4821", "ending in four eight two one"),
    ("your code is 482", "your code is four eight two"),
    (
        "4111111111111111",
        "four one one one, one one one one, one one one one, one one one one",
    ),
    ("room5", "room five"),
    ("john.doe@example.com", "john dot doe at example dot com"),
    (
        "Mail a_b-1@x.co.uk.",
        "Mail a underscore b dash one at x dot co dot uk.",
    ),
    ("https://example.com/help", "example dot com slash help"),
    ("www.example.com/", "W W W dot example dot com"),
    ("see example.com, ok", "see example dot com, ok"),
    ("user@x.io?", "user at x dot io?"),
];

const NUMBERS: &[(&str, &str)] = &[
    ("0", "zero"),
    ("42", "forty two"),
    ("1,234", "one thousand two hundred thirty four"),
    ("1,000,000", "one million"),
    ("100", "one hundred"),
    ("5000", "five thousand"),
    ("1st", "first"),
    ("22nd", "twenty second"),
    ("the 3rd", "the third"),
    ("112th", "one hundred twelfth"),
    ("20%", "twenty percent"),
    ("3.5%", "three point five percent"),
    ("10-20%", "ten to twenty percent"),
    ("3.5", "three point five"),
    ("0.05", "zero point zero five"),
    (".5", "point five"),
    ("1.2.3", "one point two point three"),
    ("-5", "minus five"),
    ("1/2", "one half"),
    ("3/4 cup", "three quarters cup"),
    ("2/3", "two thirds"),
    ("1 1/2", "one and one half"),
    ("½", "one half"),
    ("24/7", "twenty four seven"),
    ("120/80", "one hundred twenty over eighty"),
    ("5 mg", "five milligrams"),
    ("5mg", "five milligrams"),
    ("1 lb", "one pound"),
    ("30 min.", "thirty minutes."),
    ("98.6°F", "ninety eight point six degrees Fahrenheit"),
    ("65-year-old", "sixty five year-old"),
    ("24-hour", "twenty four hour"),
    ("COVID-19", "COVID nineteen"),
    ("~20", "about twenty"),
    ("5k", "five thousand"),
    ("2 + 3 = 5", "two plus three equals five"),
    ("1, 2, 3.", "one, two, three."),
    (
        "12345678901234567890",
        "one two three four, five six seven eight, nine zero one two, three four five six, seven eight nine zero",
    ),
];

const WORDS: &[(&str, &str)] = &[
    ("Dr. Jones", "Doctor Jones"),
    ("Mr. and Mrs. Lee", "Mister and Missus Lee"),
    ("at St. Mary's", "at Saint Mary's"),
    (
        "123 Main St. Springfield",
        "one hundred twenty three Main Street Springfield",
    ),
    ("on Main St.", "on Main Street."),
    ("5 Oak Ave., Apt. 3", "five Oak Avenue, Apartment three"),
    ("us vs. them", "us versus them"),
    ("e.g. this", "for example this"),
    ("i.e., that", "that is, that"),
    ("cats, etc.", "cats, et cetera."),
    ("approx. 5", "approximately five"),
    ("No. 5", "number five"),
    ("R&D", "R and D"),
    ("AT&T", "A T and T"),
    ("an MRI scan", "an M R I scan"),
    ("two MRIs", "two M R I's"),
    ("the MRI's date", "the M R I's date"),
    ("AM/PM", "A M P M"),
    ("the U.S. Army", "the U S Army"),
    ("\"Hello,\" (he) *said*", "Hello, he said"),
    ("‘hi’ don’t", "hi don’t"),
    ("too   many\n spaces ", "too many spaces"),
    ("and/or", "and or"),
    ("w/ and w/o", "with and without"),
    ("ext. 12", "extension twelve"),
    ("Part II", "Part two"),
    ("word(s)", "words"),
    ("PLEASE CALL BACK SOON", "PLEASE CALL BACK SOON"),
    ("your DOB?", "your D O B?"),
];

#[test]
fn plain_text_passes() {
    for text in PASSES {
        assert_eq!(spoken(text), *text);
    }
}

#[test]
fn written_forms_are_spoken() {
    let mut wrong = Vec::new();
    for (text, wanted) in [MONEY, DATES, TIMES, CODES, NUMBERS, WORDS].concat() {
        let got = spoken(text);
        if got != wanted {
            wrong.push(format!("{text:?}: {got:?}, not {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn long_runs_stay_linear() {
    for part in [
        "1", "a", "-", "1-", "a.", "1,", "(1", "$", "A-", "1.", "+1 ", "/1", "a@", "'a",
    ] {
        // Quadratic work would be felt here: 14 texts of 20,000 tokens.
        assert!(spoken(&part.repeat(20_000)).len() < 1_000_000);
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        let said = spoken(&text);
        prop_assert_eq!(said.trim(), &said);
        prop_assert!(!said.contains("  "));
    }

    #[test]
    fn no_ascii_digit_survives(text in "[ -~]{0,40}") {
        let said = spoken(&text);
        prop_assert!(!said.contains(|c: char| c.is_ascii_digit()), "{:?}", said);
    }

    #[test]
    fn forms_in_any_mix_are_survived(parts in prop::collection::vec(prop::sample::select(vec![
        "$", "1", "05", "1985", "-", "/", ":", ".", ",", " ", "#", "+", "(", ")", "AM", "p.m.", "March", "No.", "st", "%", "@", "a", "AB", "°", "½", "é",
    ]), 0..20)) {
        prop_assert!(!spoken(&parts.concat()).contains("  "));
    }
}
