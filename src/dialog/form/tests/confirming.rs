//! What a summary's answer, a goodbye, a "no" and a denial change, and what they leave alone.

use super::{Phone, TODAY};

const ALL: &str = "Is an MRI covered for MB123456, born March 15th, 1985?";
const TODO: &str = "¿Está cubierta una resonancia para MB123456, nacido el 15 de marzo de 1985?";

#[test]
fn a_negated_yes_acts_never() {
    for line in [
        "That is not correct.",
        "It is not right.",
        "That is not right.",
        "That can't be right.",
        "I would not.",
        "Yes, that is not right.",
        "No, that's right.",
        "I need it right away.",
        "Please correct the date.",
    ] {
        let mut phone = Phone::rings("eligibility", None);
        phone.holds(&[(ALL, &["Is that right?"])]);
        let said = phone.say(line);
        assert!(phone.calls.is_empty(), "{line:?}: {said}");
        assert!(!phone.ends() && !phone.is_handed_over(), "{line:?}: {said}");
        // With an LLM the same words are no yes either.
        let mut phone = Phone::rings("eligibility", None);
        phone.holds(&[(ALL, &["Is that right?"])]);
        let step = phone.dialog.overhear(line, TODAY);
        assert!(
            step.is_none_or(|step| !matches!(step.next, super::Next::Run(_))),
            "{line:?}"
        );
    }
    for line in [
        "Eso es incorrecto.",
        "Eso es falso.",
        "No es correcto.",
        "Sí, pero no es correcto.",
        "No, está bien.",
    ] {
        let mut phone = Phone::rings("eligibility-es", None);
        phone.holds(&[(TODO, &["¿Es correcto?"])]);
        let said = phone.say(line);
        assert!(phone.calls.is_empty(), "{line:?}: {said}");
    }
}

#[test]
fn a_yes_in_other_words_acts() {
    for line in [
        "That's all correct.",
        "Yes, that's all right.",
        "No problem, yes.",
        "Yes, why not.",
        "I don't see why not.",
        "Nothing wrong, go ahead.",
        "Yes, that is not wrong.",
        "It is.",
        "Please.",
    ] {
        let mut phone = Phone::rings("eligibility", None);
        phone.holds(&[(ALL, &["Is that right?"]), (line, &["an M R I is covered"])]);
    }
    for line in [
        "Sí, no hay problema.",
        "No hay problema.",
        "Es cierto.",
        "Sí, está todo bien.",
    ] {
        let mut phone = Phone::rings("eligibility-es", None);
        phone.holds(&[(TODO, &["¿Es correcto?"])]);
        phone.say(line);
        assert_eq!(phone.count("check_eligibility"), 1, "{line:?}");
    }
}

#[test]
fn nothing_more_is_wanted_in_many_words() {
    for line in [
        "No, that's fine.",
        "No, I'm good.",
        "Nothing else.",
        "That's all.",
        "No, thanks.",
    ] {
        let mut phone = Phone::rings("eligibility", None);
        phone.holds(&[
            (ALL, &["Is that right?"]),
            ("Yes.", &["anything else"]),
            (line, &["Goodbye"]),
        ]);
        assert!(phone.ends(), "{line:?}");
    }
}

#[test]
fn the_end_of_an_answer_is_no_goodbye() {
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        ("I need a repair.", &["customer number"]),
        ("482615, that's all.", &["Dana Whitfield", "heating, plumbing"]),
        ("Heating, that's all.", &["describe the problem"]),
        ("No heat upstairs, that's all.", &["street address"]),
        ("12 Harbor Street, nothing else.", &["How urgent"]),
        ("Urgent, that's all.", &["Shall I send this off?"]),
        ("That's all correct.", &["5 0 0, 0 0 1"]),
        ("That's all.", &["Goodbye"]),
    ]);
    assert!(phone.ends());
    let mut phone = Phone::rings("eligibility-es", None);
    phone.holds(&[
        ("Quiero saber si me cubre una resonancia.", &["número de afiliado"]),
        ("MB123456, es todo.", &["fecha de nacimiento"]),
    ]);
    // With an LLM, too.
    let mut phone = Phone::rings("eligibility", None);
    phone.say("Is an MRI covered?");
    let step = phone
        .dialog
        .overhear("MB123456, that's all.", TODAY)
        .expect("the id is taken");
    assert!(phone.follow(step).contains("date of birth"));
}

#[test]
fn gotea_otra_vez_no_pide_que_se_repita() {
    let mut phone = Phone::rings("service-request-es", None);
    phone.holds(&[
        ("Necesito una reparación.", &["número de cliente"]),
        ("482615", &["Dana Whitfield"]),
        ("Fontanería.", &["Describa el problema"]),
        ("Gotea otra vez.", &["dirección"]),
        ("Otra vez, por favor.", &["dirección"]),
    ]);
    let mut phone = Phone::own(PETS);
    phone.say("A visit.");
    phone.say("Yes.");
    phone.holds(&[
        ("Again, please.", &["stairs"]),
        ("I need a repeat prescription.", &["did not understand"]),
    ]);
}

#[test]
fn a_no_answers_what_was_asked_and_not_what_was_said_before() {
    let mut phone = Phone::own(PETS);
    phone.holds(&[
        ("A visit.", &["Do you have a dog?"]),
        ("Yes.", &["Are there stairs?"]),
        ("No.", &["Dog yes, stairs no", "Is that right?"]),
        ("No.", &["Which part is wrong?"]),
        ("No, the dog is a no.", &["Dog no, stairs no"]),
    ]);
    let mut phone = Phone::own(PETS);
    phone.holds(&[
        ("A visit.", &["Do you have a dog?"]),
        ("I have not.", &["Are there stairs?"]),
        ("No, that's right.", &["did not understand", "Are there stairs?"]),
        (
            "Yes. Yes, that's not right.",
            &["did not understand", "Are there stairs?"],
        ),
        ("There are, yes.", &["Dog no, stairs yes"]),
    ]);
}

const PETS: &str = r#"
name = "pets"
greeting = "Hello."
system_prompt = "Be brief."

[[forms]]
name = "visit"
description = "Plans a visit."
says = ["visit"]
confirm = "Dog {{ 'yes' if raw.dog else 'no' }}, stairs {{ 'yes' if raw.stairs else 'no' }}. Is that right?"

[[forms.slots]]
name = "dog"
kind = "yes-no"
label = "whether you have a dog"
ask = "Do you have a dog?"

[[forms.slots]]
name = "stairs"
kind = "yes-no"
label = "whether there are stairs"
ask = "Are there stairs?"
"#;

#[test]
fn another_number_forgets_whose_the_first_one_was() {
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        (
            "The radiator in the hall is cold since yesterday evening.",
            &["customer number"],
        ),
        ("482615", &["Thank you, Dana Whitfield", "street address"]),
        ("7 Mill Lane.", &["How urgent"]),
        ("Normal.", &["for Dana Whitfield"]),
        (
            "No, the customer number is 573904.",
            &["could not find", "customer number"],
        ),
        ("I don't have one.", &["full name"]),
        ("My name is Alex Moreno.", &["phone number"]),
        ("212 555 0177", &["for Alex Moreno"]),
        ("Yes.", &["5 0 0, 0 0 1"]),
    ]);
    assert_eq!(phone.args("create_customer")["name"], "Alex Moreno");
    assert_eq!(phone.args("create_task_order")["customer_number"], "100004");
    let known = phone.dialog.private();
    assert!(
        known.iter().any(|known| known.value.contains("Dana")),
        "the history still names her, so she is still hidden from an LLM outside"
    );
}

#[test]
fn a_customer_who_is_somebody_else_is_asked_for_anew() {
    for line in [
        "That's not me.",
        "No, that's the wrong customer.",
        "The customer number is wrong.",
        "The name is wrong.",
    ] {
        for from in [None, Some("+12125550101")] {
            let mut phone = Phone::rings("service-request", from);
            let said = phone.say("The radiator in the hall is cold since yesterday evening.");
            if from.is_none() {
                assert!(said.contains("customer number"), "{said}");
                phone.say("482615");
            }
            phone.holds(&[
                ("7 Mill Lane.", &["How urgent"]),
                ("Normal.", &["for Dana Whitfield", "send this off?"]),
                (line, &["What is your customer number?"]),
                ("I don't have one.", &["full name"]),
            ]);
            assert_eq!(phone.count("create_task_order"), 0);
        }
    }
    let mut phone = Phone::rings("service-request-es", Some("+12125550101"));
    phone.holds(&[
        (
            "El radiador del dormitorio no funciona desde ayer por la tarde.",
            &["He encontrado", "dirección"],
        ),
        ("No soy yo.", &["número de cliente"]),
        ("No tengo.", &["nombre"]),
        ("Carmen Ruiz.", &["dirección"]),
        ("Avenida Central 45.", &["urgencia"]),
        ("No es urgente.", &["para Carmen Ruiz", "La urgencia es baja"]),
        ("No, es urgente.", &["La urgencia es urgente"]),
    ]);
}

#[test]
fn whom_the_number_has_found_is_not_found_again_in_the_next_form() {
    let mut phone = Phone::rings("service-request", Some("+12125550101"));
    phone.holds(&[
        (
            "The toilet on the second floor does not stop running.",
            &["found your account"],
        ),
        ("12 Harbor Street.", &["How urgent"]),
        ("No hurry.", &["for Dana Whitfield"]),
        ("Yes.", &["anything else"]),
        (
            "The light in the hall is broken, too, and nobody can see.",
            &["street address"],
        ),
        ("That is not me.", &["What is your customer number?"]),
    ]);
    assert_eq!(phone.count("lookup_customer"), 1);
}
