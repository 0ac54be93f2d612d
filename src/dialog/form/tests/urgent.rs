//! What to do in an emergency is said before anything else.

use super::{Phone, TODAY};

#[test]
fn an_emergency_wins_over_longer_phrases_and_over_forms() {
    let mut phone = Phone::rings("front-desk", None);
    phone.holds(&[
        (
            "I have chest pain and need an appointment.",
            &["nine one one", "anything else"],
        ),
        ("I need an appointment.", &["reception team"]),
    ]);
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        (
            "My stove is not working and I smell gas.",
            &["leave the building", "anything else"],
        ),
        ("My stove is not working.", &["customer number"]),
    ]);
    let mut phone = Phone::rings("service-request-es", None);
    phone.holds(&[(
        "La estufa no funciona y huele a gas.",
        &["Salga ahora mismo", "algo más"],
    )]);
}

#[test]
fn it_is_said_whatever_is_asked_and_the_form_goes_on() {
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        ("I need a plumber.", &["customer number"]),
        ("Wait, there's a gas leak!", &["leave the building", "customer number"]),
        ("482615", &["describe the problem"]),
        ("There is a gas leak.", &["leave the building", "describe the problem"]),
        ("The sink is blocked.", &["street address"]),
        ("7 Mill Lane.", &["How urgent"]),
        ("Urgent, I smell gas.", &["leave the building", "How urgent"]),
        ("Urgent.", &["The sink is blocked. The urgency", "send this off?"]),
        ("Yes, and I smell gas.", &["leave the building", "send this off?"]),
        ("Yes.", &["5 0 0, 0 0 1"]),
    ]);
}

#[test]
fn who_says_it_again_means_something_else() {
    let mut phone = Phone::rings("service-request", Some("+12125550101"));
    phone.holds(&[
        ("I need an electrician.", &["describe the problem"]),
        ("The fire alarm beeps.", &["leave the building", "describe the problem"]),
        ("The fire alarm beeps.", &["street address"]),
        ("There is a fire!", &["leave the building", "street address"]),
    ]);
}

#[test]
fn no_llm_comes_before_it() {
    let mut phone = Phone::rings("front-desk", None);
    let step = phone.dialog.overhear("My father has chest pain.", TODAY);
    let said = phone.follow(step.expect("answered from the file"));
    assert!(said.contains("nine one one"), "{said}");
    let mut phone = Phone::rings("service-request", None);
    phone.say("I need a plumber.");
    let step = phone.dialog.overhear("I smell gas.", TODAY);
    let said = phone.follow(step.expect("answered from the file"));
    assert!(
        said.contains("leave the building") && said.contains("customer number"),
        "{said}"
    );
}

#[test]
fn a_tool_that_is_under_way_is_not_lost() {
    let mut phone = Phone::rings("eligibility", None);
    phone.say("Is an MRI covered for MB123456, born March 15th, 1985?");
    let super::Next::Run(first) = phone.dialog.hear("Yes.", TODAY).next else {
        panic!("a look-up")
    };
    let step = phone.dialog.hear("I have chest pain!", TODAY);
    assert!(step.say.join(" ").contains("nine one one"));
    let super::Next::Run(second) = step.next else {
        panic!("the look-up again")
    };
    assert_eq!(first, second);
}
