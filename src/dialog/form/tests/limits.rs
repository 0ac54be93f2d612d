//! Conversations that do not go well: nobody is asked for ever, and nothing is done without a yes.

use super::Phone;

#[test]
fn a_caller_who_is_never_understood_gets_to_a_person() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        ("Check my coverage.", &["member id"]),
        ("Purple elephants.", &["did not understand", "one character at a time"]),
        ("Green elephants.", &["did not understand"]),
    ]);
    assert!(!phone.is_handed_over());
    phone.holds(&[("Blue elephants.", &["A member of our team"])]);
    assert!(phone.is_handed_over());
    assert!(phone.calls.is_empty());
}

#[test]
fn an_optional_question_is_given_up_instead() {
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        (
            "The heating is broken in the whole building again.",
            &["customer number"],
        ),
        ("Purple elephants.", &["did not understand"]),
        ("Green elephants.", &["did not understand"]),
        ("Blue elephants.", &["full name"]),
    ]);
}

#[test]
fn a_number_that_nobody_has_is_asked_for_a_few_times_only() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        (
            "Is an MRI covered for MB999999, born March 15th, 1985?",
            &["Is that right?"],
        ),
        ("Yes.", &["could not find"]),
        ("MB999998", &["Is that right?"]),
        ("Yes.", &["could not find"]),
        ("MB999997", &["Is that right?"]),
        ("Yes.", &["could not find", "A member of our team"]),
    ]);
    assert!(phone.is_handed_over());
    assert_eq!(phone.count("check_eligibility"), 3);
}

#[test]
fn an_optional_number_that_nobody_has_is_done_without() {
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        (
            "The heating is broken in the whole building again.",
            &["customer number"],
        ),
        (
            "999999",
            &["could not find the customer number 9 9 9, 9 9 9", "customer number"],
        ),
        ("999998", &["could not find"]),
        ("999997", &["full name"]),
    ]);
}

#[test]
fn a_database_that_fails_leads_to_a_person() {
    let mut phone = Phone::rings("eligibility", None);
    phone.fails = true;
    phone.holds(&[
        (
            "Is an MRI covered for MB123456, born March 15th, 1985?",
            &["Is that right?"],
        ),
        ("Yes.", &["records cannot be reached", "A member of our team"]),
    ]);
    assert!(phone.is_handed_over());
}

#[test]
fn a_person_is_a_word_away_at_any_time() {
    for line in [
        "I want to speak to a real person.",
        "Operator!",
        "Can I talk to someone, please?",
    ] {
        let mut phone = Phone::rings("eligibility", None);
        phone.say("Check my coverage.");
        phone.say("MB123456");
        assert!(phone.say(line).contains("A member of our team"), "{line}");
        assert!(phone.is_handed_over());
    }
}

#[test]
fn goodbye_ends_the_call_at_any_time() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        ("Check my coverage.", &["member id"]),
        ("Never mind, goodbye.", &["Goodbye."]),
    ]);
    assert!(phone.ends());
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        (
            "Is an MRI covered for MB123456, born March 15th, 1985?",
            &["Is that right?"],
        ),
        ("Goodbye.", &["Goodbye."]),
    ]);
    assert!(phone.calls.is_empty(), "nothing is looked up on the way out");
}

#[test]
fn a_summary_that_is_not_answered_is_asked_again() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        (
            "Is an MRI covered for MB123456, born March 15th, 1985?",
            &["Is that right?"],
        ),
        ("The weather is nice.", &["did not understand", "Is that right?"]),
        ("Can you repeat that?", &["Is that right?"]),
        ("Yes.", &["an M R I is covered"]),
    ]);
}

#[test]
fn a_lost_result_is_asked_for_with_the_same_key() {
    let mut phone = Phone::rings("eligibility", None);
    phone.say("Is an MRI covered for MB123456, born March 15th, 1985?");
    let step = phone.dialog.hear("Yes.", super::TODAY);
    let super::Next::Run(first) = step.next else {
        panic!("a look-up")
    };
    let step = phone.dialog.hear("Hello?", super::TODAY);
    let super::Next::Run(second) = step.next else {
        panic!("the look-up again")
    };
    assert_eq!(first, second);
}

#[test]
fn a_caller_may_start_over() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        ("Check coverage for MB123456.", &["date of birth"]),
        ("Let's start over.", &["What is the member id?"]),
        ("MB345678", &["date of birth"]),
    ]);
}
