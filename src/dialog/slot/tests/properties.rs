use proptest::prelude::*;

use super::super::*;
use super::{id, today};

/// How a caller reads digits.
#[derive(Debug, Clone, Copy)]
enum Style {
    Written,
    Spaced,
    Dashed,
    Words,
    Oh,
    Commas,
    Pairs,
    Doubles,
}

const STYLES: [Style; 8] = [
    Style::Written,
    Style::Spaced,
    Style::Dashed,
    Style::Words,
    Style::Oh,
    Style::Commas,
    Style::Pairs,
    Style::Doubles,
];
const WORDS: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];
const PALABRAS: [&str; 10] = [
    "cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve",
];
const TEENS: [&str; 10] = [
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
];
const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const MESES: [&str; 12] = [
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
];

fn say(digits: &[usize], style: Style) -> Vec<String> {
    let word = |digit: &usize| WORDS[*digit].to_owned();
    match style {
        Style::Written => vec![digits.iter().map(ToString::to_string).collect()],
        Style::Spaced => digits.iter().map(ToString::to_string).collect(),
        Style::Dashed => vec![digits.iter().map(ToString::to_string).collect::<Vec<_>>().join("-")],
        Style::Words => digits.iter().map(word).collect(),
        Style::Oh => digits
            .iter()
            .map(|digit| if *digit == 0 { "oh".to_owned() } else { word(digit) })
            .collect(),
        Style::Commas => digits
            .chunks(3)
            .flat_map(|group| {
                let mut words: Vec<String> = group.iter().map(word).collect();
                if let Some(last) = words.last_mut() {
                    last.push(',');
                }
                words
            })
            .collect(),
        Style::Pairs => digits
            .chunks(2)
            .flat_map(|pair| two(pair).split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect(),
        Style::Doubles => {
            let mut words = Vec::new();
            let mut rest = digits;
            while let [first, after @ ..] = rest {
                if after.first() == Some(first) {
                    words.extend(["double".to_owned(), word(first)]);
                    rest = &after[1..];
                } else {
                    words.push(word(first));
                    rest = after;
                }
            }
            words
        }
    }
}

fn two(pair: &[usize]) -> String {
    match pair {
        [1, unit] => TEENS[*unit].to_owned(),
        [0, 0] => "zero zero".to_owned(),
        [0, unit] => format!("oh {}", WORDS[*unit]),
        [tens, 0] => TENS[*tens].to_owned(),
        [tens, unit] => format!("{} {}", TENS[*tens], WORDS[*unit]),
        other => other.iter().map(|digit| WORDS[*digit]).collect::<Vec<_>>().join(" "),
    }
}

fn line(digits: &[usize]) -> String {
    digits.iter().map(ToString::to_string).collect()
}

fn style() -> impl Strategy<Value = Style> {
    prop::sample::select(STYLES.to_vec())
}

fn lead() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "It's ",
        "My number is ",
        "Uh, ",
        "Yeah, it's ",
        "Okay, um, ",
        "Sure, my member ID is ",
    ])
}

fn closing() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![", please.", ". Thanks.", ", that's it.", ". Thank you."])
}

fn digits(len: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..10usize, len)
}

fn day() -> impl Strategy<Value = Date> {
    (1910..2026i16, 1..=12i8, 1..=31i8).prop_filter_map("a day", |(year, month, day)| Date::new(year, month, day).ok())
}

/// Every way in which a caller says a day.
fn spoken_dates(date: Date) -> Vec<String> {
    let (year, month, day) = (date.year(), date.month(), date.day());
    let digits = |number: i16| {
        number
            .to_string()
            .chars()
            .map(|c| c.to_digit(10).expect("a digit") as usize)
            .collect::<Vec<_>>()
    };
    let name = MONTHS[month as usize - 1];
    let spoken_day = two(&digits(i16::from(day)));
    let year_digits = digits(year);
    let spoken_year = match year {
        2000..=2009 => format!("two thousand {}", if year == 2000 { "" } else { WORDS[year_digits[3]] }),
        year if year % 100 == 0 => "nineteen hundred".to_owned(),
        _ => format!("{} {}", two(&year_digits[..2]), two(&year_digits[2..])),
    };
    let each: Vec<_> = year_digits.iter().map(|digit| WORDS[*digit]).collect();
    vec![
        format!("{name} {day}, {year}"),
        format!("{day} {name} {year}"),
        format!("the {day}th of {name}, {year}."),
        format!("{month}/{day}/{year}"),
        format!("{month:02}-{day:02}-{year}"),
        format!("{month:02}{day:02}{year}"),
        format!("{year}-{month:02}-{day:02}"),
        format!("{name} {spoken_day}, {spoken_year}, thanks"),
        format!("{name} {day}, {}", each.join(" ")),
    ]
}

proptest! {
    #[test]
    fn ids_come_back(digits in digits(6), style in style(), lead in lead(), letters in prop::sample::select(vec![
        "M B ", "MB", "em bee ", "Mb ", "M.B. ", "M as in Mary, B as in boy, ", "Mike Bravo ", "mb-",
    ]), closing in closing()) {
        let text = format!("{lead}{letters}{}{closing}", say(&digits, style).join(" "));
        let wanted = format!("MB{}", line(&digits));
        // "MBone" is no word.
        prop_assume!(letters != "MB" || matches!(style, Style::Written | Style::Spaced | Style::Dashed));
        prop_assert_eq!(id(r"MB\d{6}").parse(&text, Language::En, today()), Parsed::complete(Value::Id(wanted)), "{}", text);
    }

    #[test]
    fn digits_come_back(digits in digits(10), style in style(), lead in lead(), closing in closing()) {
        let text = format!("{lead}{}{closing}", say(&digits, style).join(" "));
        let slot = Slot::Digits { min: 10, max: 10 };
        prop_assert_eq!(slot.parse(&text, Language::En, today()), Parsed::complete(Value::Digits(line(&digits))), "{}", text);
    }

    #[test]
    fn spanish_digits_come_back(digits in digits(10)) {
        let text: Vec<_> = digits.iter().map(|digit| PALABRAS[*digit]).collect();
        let slot = Slot::Digits { min: 10, max: 10 };
        prop_assert_eq!(slot.parse(&text.join(" "), Language::Es, today()), Parsed::complete(Value::Digits(line(&digits))));
    }

    #[test]
    fn phones_come_back_and_their_beginnings_wait(first in 2..10usize, rest in digits(9), style in style(), lead in lead()) {
        let digits: Vec<usize> = [first].into_iter().chain(rest).collect();
        let words = say(&digits, style);
        let slot = Slot::Phone { local: false };
        let whole = format!("{lead}{}, thanks", words.join(" "));
        let wanted = Value::Phone(format!("+1{}", line(&digits)));
        prop_assert_eq!(slot.parse(&whole, Language::En, today()), Parsed::complete(wanted), "{}", whole);
        for len in 0..words.len() {
            for end in ["", ".", ",", "..."] {
                let text = format!("{lead}{}{end}", words[..len].join(" "));
                prop_assert_eq!(slot.parse(&text, Language::En, today()).progress, Progress::Incomplete, "{}", text);
            }
        }
    }

    #[test]
    fn beginnings_of_digits_wait(digits in digits(10), style in style()) {
        let words = say(&digits, style);
        for len in 0..words.len() {
            let text = words[..len].join(" ");
            let slot = Slot::Digits { min: 10, max: 10 };
            prop_assert_eq!(slot.parse(&text, Language::En, today()).progress, Progress::Incomplete, "{}", text);
        }
    }

    #[test]
    fn dates_come_back(date in day(), lead in lead()) {
        for text in spoken_dates(date) {
            let text = format!("{lead}{text}");
            let got = Slot::Date(When::Past).parse(&text, Language::En, today());
            prop_assert_eq!(got, Parsed::complete(Value::Date(date)), "{}", text);
        }
        let text = format!("{} de {} de {}", date.day(), MESES[date.month() as usize - 1], date.year());
        let got = Slot::Date(When::Past).parse(&text, Language::Es, today());
        prop_assert_eq!(got, Parsed::complete(Value::Date(date)), "{}", text);
    }

    #[test]
    fn what_the_agent_says_is_understood(digits in digits(6), date in day()) {
        let said = crate::speech::spoken::spoken(&format!("MB{}", line(&digits)));
        let wanted = Value::Id(format!("MB{}", line(&digits)));
        prop_assert_eq!(id(r"MB\d{6}").parse(&said, Language::En, today()).value, Some(wanted), "{}", said);
        let said = crate::speech::spoken::spoken(&format!("{}/{}/{}", date.month(), date.day(), date.year()));
        let got = Slot::Date(When::Past).parse(&said, Language::En, today());
        prop_assert_eq!(got.value, Some(Value::Date(date)), "{}", said);
    }

    /// As each language writes amounts.
    #[test]
    fn written_amounts_come_back(cents in 0..100_000_000_000_u64) {
        let (whole, rest) = (cents / 100, cents % 100);
        let groups = |mark: &str| {
            let digits = whole.to_string();
            let first = (digits.len() - 1) % 3 + 1;
            let (head, tail) = digits.split_at(first);
            let tail: String = tail.as_bytes().chunks(3).map(|group| format!("{mark}{}", String::from_utf8_lossy(group))).collect();
            format!("{head}{tail}")
        };
        let wanted = Parsed::complete(Value::Money(cents));
        for text in [format!("${}.{rest:02}", groups(",")), format!("{whole}.{rest:02} dollars"), format!("{whole} dollars and {rest} cents")] {
            prop_assert_eq!(Slot::Money.parse(&text, Language::En, today()), wanted.clone(), "{}", text);
        }
        for text in [format!("{},{rest:02} pesos", groups(".")), format!("{}.{rest:02} pesos", groups(",")), format!("{whole},{rest:02} pesos")] {
            prop_assert_eq!(Slot::Money.parse(&text, Language::Es, today()), wanted.clone(), "{}", text);
        }
    }

    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survives(&text)?;
    }

    #[test]
    fn words_in_any_order_are_survived(words in prop::collection::vec(prop::sample::select(vec![
        "no", "sorry", "double", "triple", "hundred", "thousand", "mil", "million", "and", "y", "fifty", "five", "oh", "B", "as in", "boy",
        "March", "15th", "1985", "/", ",", ".", "$", "12", "next", "Friday", "in", "weeks", "99999999999999999999", "at", "dot", "com",
        "@", "first", "scratch that", "uh", "it's", "what", "thanks", "mañana", "que viene", "ciento", "-", "1,000", "cents", "my name is",
    ]), 0..12)) {
        survives(&words.join(" "))?;
        survives(&words.concat())?;
    }
}

fn survives(text: &str) -> Result<(), TestCaseError> {
    for language in [Language::En, Language::Es] {
        for slot in [
            Slot::Digits { min: 4, max: 10 },
            Slot::Digits { min: 9, max: 0 },
            id("[A-Z]{2}[A-Z0-9]{3,6}"),
            Slot::Phone { local: true },
            Slot::Date(When::Past),
            Slot::Date(When::Future),
            Slot::Date(When::Any),
            Slot::YesNo,
            Slot::Number { min: 0, max: u64::MAX },
            Slot::Money,
            Slot::Email,
            Slot::Name,
            Slot::Text,
        ] {
            for today in [today(), Date::MIN, Date::MAX] {
                let parsed = slot.parse(text, language, today);
                match parsed.progress {
                    Progress::Complete => prop_assert!(parsed.value.is_some(), "{:?} {:?}", slot, text),
                    Progress::Impossible => prop_assert!(parsed.value.is_none(), "{:?} {:?}", slot, text),
                    Progress::Incomplete => {}
                }
            }
        }
    }
    Ok(())
}

#[test]
fn long_texts_stay_cheap() {
    for part in [
        "1",
        "double ",
        "no ",
        "five hundred ",
        "as in ",
        "o ",
        "a b ",
        "$1,",
        "in two weeks ",
        "next ",
    ] {
        survives(&part.repeat(20_000)).expect("survived");
    }
}
