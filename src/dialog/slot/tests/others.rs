use super::super::*;
use super::check;
use Language::{En, Es};

#[test]
fn yes_and_no() {
    check(
        &Slot::YesNo,
        En,
        &[
            ("Yes.", "C yes"),
            ("Yeah.", "C yes"),
            ("Yep, that's right.", "C yes"),
            ("That's correct.", "C yes"),
            ("Uh-huh.", "C yes"),
            ("Mm-hmm.", "C yes"),
            ("Sure, go ahead.", "C yes"),
            ("Yes, please.", "C yes"),
            ("I do.", "C yes"),
            ("It is.", "C yes"),
            ("Of course.", "C yes"),
            ("Yeah, no problem.", "C yes"),
            ("Yes, I don't mind.", "C yes"),
            ("Okay.", "C yes"),
            ("Uh, yes.", "C yes"),
            ("Yes?", "C yes"),
            ("No.", "C no"),
            ("Nope.", "C no"),
            ("No, thank you.", "C no"),
            ("Uh-uh.", "C no"),
            ("Not really.", "C no"),
            ("That's not right.", "C no"),
            ("No, that's wrong.", "C no"),
            ("I don't think so.", "C no"),
            ("Yeah, no.", "C no"),
            ("Yes, sorry, no.", "C no"),
            ("No, I mean yes.", "C yes"),
            ("Incorrect.", "C no"),
            ("Yes, but", "I yes"),
            ("Well, um", "I"),
            ("", "I"),
            ("I'm not sure.", "X"),
            ("I don't know.", "X"),
            ("Maybe.", "X"),
            ("What was that?", "X"),
            ("My cat is blue.", "X"),
        ],
    );
    check(
        &Slot::YesNo,
        Es,
        &[
            ("Sí.", "C yes"),
            ("Si, claro.", "C yes"),
            ("Correcto.", "C yes"),
            ("Así es.", "C yes"),
            ("No.", "C no"),
            ("No, gracias.", "C no"),
            ("Creo que no.", "C no"),
            ("No es correcto.", "C no"),
            ("No sé.", "X"),
            ("¿Cómo?", "X"),
        ],
    );
}

#[test]
fn numbers() {
    check(
        &Slot::Number { min: 1, max: 1000 },
        En,
        &[
            ("Two.", "C 2"),
            ("two people", "C 2"),
            ("There are 3 of us.", "C 3"),
            ("twenty-three", "C 23"),
            ("a hundred and five", "C 105"),
            ("To.", "C 2"),
            ("1,000", "C 1000"),
            ("two, no, three", "C 3"),
            ("two hundred and", "I 200"),
            ("two or three", "I"),
            ("Um.", "I"),
            ("5000", "X"),
            ("I don't know.", "X"),
        ],
    );
    check(
        &Slot::Number { min: 0, max: 3_000_000 },
        Es,
        &[
            ("dos millones quinientos mil", "C 2500000"),
            ("Somos tres.", "C 3"),
            ("veintiuno", "C 21"),
        ],
    );
}

#[test]
fn money() {
    check(
        &Slot::Money,
        En,
        &[
            ("$50", "C 5000"),
            ("$50 $50 $50 $ $50 $", "C 5000"),
            ("$1,250.50.", "C 125050"),
            ("fifty dollars", "C 5000"),
            ("Fifty dollars and twenty cents.", "C 5020"),
            ("fifty dollars twenty", "C 5020"),
            ("twenty five cents", "C 25"),
            ("about 200 bucks", "C 20000"),
            ("a hundred dollars", "C 10000"),
            ("$5 thousand", "C 500000"),
            ("$2.5 million", "C 250000000"),
            ("$2.55 thousand", "C 255000"),
            ("$1,250", "C 125000"),
            ("$12.5", "C 1250"),
            ("fifty dollars and twenty", "C 5020"),
            ("$50 every 2 weeks", "I"),
            ("20 dollars a month for 2 months", "I"),
            ("$20 for 12", "I"),
            ("20 and 50", "I"),
            ("20 or 50", "I"),
            ("12.505 dollars", "X"),
            ("1.250 dollars", "X"),
            ("$1.2.3", "X"),
            ("$5k", "X"),
            ("fifty and a half dollars", "X"),
            ("fifty dollars and", "I 5000"),
            ("fifty", "I 5000"),
            ("fifty, that's all", "C 5000"),
            ("twelve fifty", "I 1250"),
            ("It's", "I"),
            ("I don't know.", "X"),
            ("$99999999999999999999999", "X"),
        ],
    );
    check(
        &Slot::Money,
        Es,
        &[
            ("cincuenta dólares", "C 5000"),
            ("cincuenta dólares con veinte centavos", "C 5020"),
            ("un dólar", "C 100"),
            ("1.250 dólares", "C 125000"),
            ("1.250,50 dólares", "C 125050"),
            ("1,250.50 dólares", "C 125050"),
            ("1.250.000 pesos", "C 125000000"),
            ("12,50 dólares", "C 1250"),
            ("12.50 dólares", "C 1250"),
            ("2,5 millones de pesos", "I 250000000"),
            ("50 dólares cada 2 semanas", "I"),
            ("20 dólares al mes por 12 meses", "I"),
            ("1250,500 dólares", "X"),
            ("1.250.50 dólares", "X"),
            ("dos millones y medio", "X"),
        ],
    );
}

#[test]
fn choices() {
    let choice = |value: &str, says: &[&str]| Choice {
        value: value.to_owned(),
        says: says.iter().map(|phrase| (*phrase).to_owned()).collect(),
    };
    let slot = Slot::Choice(vec![
        choice("billing", &["bill", "invoice", "payments"]),
        choice("technical support", &["tech support", "support"]),
        choice("sales", &["buy something"]),
    ]);
    check(
        &slot,
        En,
        &[
            ("Billing.", "C billing"),
            ("I have a question about my bill.", "C billing"),
            ("Technical support, please.", "C technical support"),
            ("Tech support.", "C technical support"),
            ("The second one.", "C technical support"),
            ("The last one, please.", "C sales"),
            ("Billing, no, sorry, sales.", "C sales"),
            ("Sales or support?", "X"),
            ("Sales and, um, support", "I"),
            ("Technical", "I"),
            ("Um,", "I"),
            ("My cat.", "X"),
            // Misheard.
            ("Filling, filling", "I billing"),
            ("Suport.", "I technical support"),
            ("Failing.", "X"),
            ("It was filling up all the time", "X"),
        ],
    );
}

#[test]
fn a_choice_that_is_negated_is_not_taken() {
    let choice = |value: &str, says: &[&str]| Choice {
        value: value.to_owned(),
        says: says.iter().map(|phrase| (*phrase).to_owned()).collect(),
    };
    let slot = Slot::Choice(vec![
        choice("low", &["no hurry", "no es urgente", "no hay prisa"]),
        choice("urgent", &["urgent", "urgente", "emergency"]),
        choice("plumbing", &["water", "agua"]),
    ]);
    check(
        &slot,
        En,
        &[
            ("It's urgent.", "C urgent"),
            ("No, urgent.", "C urgent"),
            ("Not urgent.", "X"),
            ("It isn't really an emergency.", "X"),
            ("It's not urgent, no hurry.", "C low"),
            ("It's not an emergency, it's the water.", "C plumbing"),
            ("No water.", "C plumbing"),
            ("I don't have any water.", "C plumbing"),
        ],
    );
    check(
        &slot,
        Es,
        &[
            ("No es urgente.", "C low"),
            ("No, es urgente.", "C urgent"),
            ("No, no es urgente.", "C low"),
            ("No es muy urgente.", "X"),
            ("No es nada urgente, no hay prisa.", "C low"),
            ("No hay agua.", "C plumbing"),
            ("Agua, no, es urgente.", "C urgent"),
        ],
    );
    let found = |text: &str| slot.find(text, Es, super::today()).map(|found| found.value);
    let value = |value: &str| Some(Value::Choice(value.to_owned()));
    assert_eq!(found("Buenas, no es urgente."), value("low"));
    assert_eq!(found("No, es urgente."), value("urgent"));
    assert_eq!(found("No es tan urgente."), None);
}

#[test]
fn free_forms() {
    check(
        &Slot::Email,
        En,
        &[
            ("john.smith@gmail.com", "C john.smith@gmail.com"),
            ("John dot Smith at gmail dot com.", "C john.smith@gmail.com"),
            ("It's j-o-h-n at example.com, thanks.", "C john@example.com"),
            (
                "john underscore smith forty two at example dot org",
                "C john_smith42@example.org",
            ),
            ("Please send it to jane.doe@gmail.com", "C jane.doe@gmail.com"),
            (
                "Please send it to jane dot doe at gmail dot com.",
                "C jane.doe@gmail.com",
            ),
            (
                "You can reach me at Jane.Doe@gmail.com, thanks.",
                "C jane.doe@gmail.com",
            ),
            (
                "You can reach me at jane underscore doe at gmail dot com",
                "C jane_doe@gmail.com",
            ),
            ("I'd like to have it at jane dot doe at gmail dot com", "X"),
            ("Maybe send the bill to my gmail, jane dot doe at gmail dot com", "X"),
            ("jane-doe@gmail.com", "C jane-doe@gmail.com"),
            ("J-A-N-E@gmail.com", "C jane@gmail.com"),
            ("jane dot doe@gmail.com", "C jane.doe@gmail.com"),
            ("Send it to jane.doe@gmail dot com", "C jane.doe@gmail.com"),
            ("jane.doe@gmail.com, and", "I jane.doe@gmail.com"),
            ("jane.doe@gmail.com or john@gmail.com", "X"),
            ("me at example dot com", "C me@example.com"),
            ("john at gmail", "I"),
            ("john dot smith", "I"),
            ("What?", "X"),
        ],
    );
    check(
        &Slot::Email,
        Es,
        &[
            ("juan punto lopez arroba ejemplo punto com", "C juan.lopez@ejemplo.com"),
            (
                "Por favor, envíelo a juan.lopez@ejemplo.com",
                "C juan.lopez@ejemplo.com",
            ),
            (
                "Por favor, envíelo a juan punto lopez arroba ejemplo punto com",
                "C juan.lopez@ejemplo.com",
            ),
        ],
    );
    check(
        &Slot::Name,
        En,
        &[
            ("My name is John Smith.", "C John Smith"),
            ("Um, it's Mary O'Neil", "C Mary O'Neil"),
            ("John.", "I John"),
            ("My name is", "I"),
            ("What?", "X"),
            ("I don't know.", "X"),
            ("123", "X"),
            ("John Smith, thank you.", "C John Smith"),
            ("My name is john smith, thanks a lot.", "C john smith"),
            ("I am Mary O'Neil, please.", "C Mary O'Neil"),
            // Whisper does not always write capitals; the pause decides.
            ("john smith", "I john smith"),
            ("I'm john smith.", "I john smith"),
            ("Nice weather today.", "I Nice weather today"),
            ("I already told you.", "X"),
            ("Already told you.", "X"),
            ("I'd rather not say.", "X"),
            ("I'm not going to say.", "X"),
            ("You have it there.", "X"),
            ("Thank you.", "I"),
        ],
    );
    check(
        &Slot::Name,
        Es,
        &[
            ("Carmen Ruiz, gracias.", "C Carmen Ruiz"),
            ("Me llamo carmen de la torre.", "C carmen de la torre"),
            ("Yo soy Juan Pérez.", "C Juan Pérez"),
            ("Ya se lo dije.", "X"),
            ("Prefiero no decirlo.", "X"),
        ],
    );
    check(
        &Slot::Text,
        En,
        &[
            ("The sink is leaking.", "C The sink is leaking."),
            ("The sink is leaking and", "I The sink is leaking and"),
            ("", "I"),
        ],
    );
}
