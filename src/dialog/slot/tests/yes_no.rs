//! A yes is never taken from a sentence that also negates, and what is neither clear yes nor clear no is neither ("X").

use proptest::prelude::*;

use super::super::*;
use super::check;
use Language::{En, Es};

#[test]
fn clear_yes() {
    let yes = [
        "Yes, sure.",
        "Yes, why not.",
        "Why not.",
        "I don't see why not.",
        "No problem, yes.",
        "No problem.",
        "Not bad, yes.",
        "Nothing wrong, go ahead.",
        "Yes, that is not wrong.",
        "Yes, it isn't wrong.",
        "Yes, I don't mind.",
        "Yes, not a problem.",
        "Yes, no rush.",
        "Yes, nothing else.",
        "No, sorry, yes.",
        "No wait, yes.",
        "No, I meant yes.",
        "That's all correct.",
        "Yes, that's all right.",
        "Okay, send it.",
        "Correct.",
        "That is correct.",
        "Yes, don't worry, go ahead.",
        "No doubt.",
        "I do.",
        "I have.",
        "Yes, I'm good.",
    ];
    check(&Slot::YesNo, En, &yes.map(|text| (text, "C yes")));
    let yes = [
        "Sí, no hay problema.",
        "No hay problema.",
        "¿Por qué no?",
        "Sí, por qué no.",
        "Sí, sin duda.",
        "Sí, no está mal.",
        "Sí, nada más.",
        "Eso es.",
        "Así es.",
        "No, perdón, sí.",
        "Sí, es correcto.",
        "Correcta.",
        "Sí, no me importa.",
        "De acuerdo, adelante.",
    ];
    check(&Slot::YesNo, Es, &yes.map(|text| (text, "C yes")));
}

#[test]
fn clear_no() {
    let no = [
        "That is not correct.",
        "It is not right.",
        "That is not right.",
        "That can't be right.",
        "That isn't quite correct.",
        "I don't think that's right.",
        "I wouldn't say it's correct.",
        "That is never right.",
        "None of that is correct.",
        "Nothing is right.",
        "Not correct.",
        "That is wrong.",
        "It is wrong.",
        "I have not.",
        "I am not.",
        "I did not.",
        "I would not.",
        "I will not.",
        "It is not.",
        "No, it is not.",
        "No, it is at 7 Mill Lane.",
        "No, please.",
        "Absolutely not.",
        "Of course not.",
        "Please don't.",
        "I'd rather not.",
        "Okay, that's not right.",
        "Okay, no.",
        "Yes, no.",
        "Yeah, no.",
        "Right, no, thanks.",
        "No, I'm good.",
        "No, I don't know.",
    ];
    check(&Slot::YesNo, En, &no.map(|text| (text, "C no")));
    let no = [
        "Eso es incorrecto.",
        "Eso es falso.",
        "Eso no es correcto.",
        "No está bien.",
        "No es así.",
        "No lo es.",
        "Eso está mal.",
        "Es falso.",
        "Nunca es correcto.",
        "Nada es correcto.",
        "Claro que no.",
        "Por supuesto que no.",
        "Ya no.",
        "Tampoco.",
        "Sí, no.",
        "No, por favor.",
    ];
    check(&Slot::YesNo, Es, &no.map(|text| (text, "C no")));
}

#[test]
fn neither() {
    let neither = [
        "No, that's right.",
        "No, that's fine.",
        "No, yes.",
        "No, it's okay.",
        "No, no problem.",
        "No, correct.",
        "Yes, that is not right.",
        "Yes, that's wrong.",
        "Yes, it isn't.",
        "Yes, please do not send it.",
        "Yes, but it's not urgent.",
        "Yes, I don't know.",
        "That's almost right.",
        "I doubt that is correct.",
        "Yes, sort of.",
        "That is not, sorry, correct.",
        "Not, um, correct.",
        "That's not wrong.",
        "I don't mind.",
        "I'm good.",
        "I'm not sure, yes.",
        "I need it right away.",
        "Please correct the date.",
        "Let me correct that.",
        "The right number is five.",
        "Yeah no that's wrong.",
        "It's right, isn't it.",
        "Sorry, is that right.",
        "Is that correct, sorry.",
    ];
    check(&Slot::YesNo, En, &neither.map(|text| (text, "X")));
    let neither = [
        "No, está bien.",
        "No, es correcto.",
        "No, así es.",
        "Sí, pero no es correcto.",
        "Sí, eso es falso.",
        "Casi correcto.",
        "No está mal.",
        "No sé si está bien.",
        "La correcta es la otra.",
        "Sí no eso está mal.",
        "Tengo otro seguro, no, sí.",
        "Quisiera saber si está bien.",
        "Quería preguntar si me llaman.",
    ];
    check(&Slot::YesNo, Es, &neither.map(|text| (text, "X")));
}

#[test]
fn a_leading_yes_is_none_where_the_sentence_takes_it_back() {
    let found = |text: &str| Slot::YesNo.find(text, En, super::today()).map(|found| found.value);
    assert_eq!(found("Yes, and it is urgent."), Some(Value::YesNo(true)));
    assert_eq!(found("Yes, that is not right."), None);
    assert_eq!(found("No, that's fine."), Some(Value::YesNo(false)));
}

proptest! {
    #[test]
    fn a_negation_before_an_approving_word_is_never_a_yes(
        begins in prop::sample::select(vec!["", "Yes", "Okay", "Sure", "Right", "That is", "It is", "I think", "Well", "No"]),
        gap in prop::sample::select(vec![" ", ", ", ". "]),
        negation in prop::sample::select(vec![
            "not", "is not", "isn't", "it's not", "can't be", "cannot be", "never", "that is not", "don't think it is",
            "wouldn't say it is", "nothing is", "hardly",
        ]),
        between in prop::sample::select(vec![" ", " really ", " quite ", " entirely ", ", um, ", " the "]),
        approving in prop::sample::select(vec![
            "correct", "right", "good", "fine", "true", "okay", "perfect", "all right", "exactly right", "sure",
        ]),
        ends in prop::sample::select(vec![".", "", ", thank you.", ", go ahead.", ", yes.", " at all.", ", sorry."]),
    ) {
        let text = format!("{begins}{gap}{negation}{between}{approving}{ends}");
        let value = Slot::YesNo.parse(&text, En, super::today()).value;
        prop_assert!(value != Some(Value::YesNo(true)), "{text:?}");
        prop_assert!(!affirms(&text, En), "{text:?}");
    }

    #[test]
    fn una_negacion_antes_de_una_aprobacion_nunca_es_un_si(
        begins in prop::sample::select(vec!["", "Sí", "Claro", "Bueno", "Vale", "Eso", "Creo que", "Pues", "No"]),
        gap in prop::sample::select(vec![" ", ", ", ". "]),
        negation in prop::sample::select(vec![
            "no es", "no está", "nunca es", "tampoco es", "no lo veo", "nada es", "no parece", "ni es", "no me parece",
        ]),
        between in prop::sample::select(vec![" ", " muy ", " del todo ", ", eh, "]),
        approving in prop::sample::select(vec!["correcto", "correcta", "bien", "cierto", "exacto", "perfecto", "verdad", "así"]),
        ends in prop::sample::select(vec![".", "", ", gracias.", ", adelante.", ", sí.", ", perdón."]),
    ) {
        let text = format!("{begins}{gap}{negation}{between}{approving}{ends}");
        let value = Slot::YesNo.parse(&text, Es, super::today()).value;
        prop_assert!(value != Some(Value::YesNo(true)), "{text:?}");
        prop_assert!(!affirms(&text, Es), "{text:?}");
    }

    #[test]
    fn a_yes_phrase_with_a_negation_is_never_a_yes(
        yes in prop::sample::select(Lexicon::of(En).yes.to_vec()),
        gap in prop::sample::select(vec![" ", ", ", ". "]),
        negation in prop::sample::select(vec!["not", "it is not", "isn't", "never", "I do not think that is"]),
        approving in prop::sample::select(vec!["correct", "right", "good", "exactly"]),
        first in any::<bool>(),
    ) {
        let negated = format!("{negation} {approving}");
        let text = if first { format!("{yes}{gap}{negated}.") } else { format!("{negated}{gap}{yes}.") };
        let value = Slot::YesNo.parse(&text, En, super::today()).value;
        prop_assert!(value != Some(Value::YesNo(true)), "{text:?}");
    }
}
