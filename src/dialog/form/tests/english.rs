//! Conversations that end well.

use super::Phone;
use serde_json::json;

const SUMMARY: &str = "Is that right?";

#[test]
fn all_in_one_sentence_is_read_back_and_looked_up() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        (
            "Is an MRI covered for member MB123456, born March 15th 1985?",
            &["M B, 1 2 3, 4 5 6", "March 15th, 1985", "an M R I", SUMMARY],
        ),
        (
            "Yes.",
            &[
                "Gold PPO",
                "$50",
                "20 percent",
                "$1,050 of the deductible",
                "Prior authorization is required",
                "anything else",
            ],
        ),
        ("No, that's all.", &["Goodbye"]),
    ]);
    let asked = json!({ "member_id": "MB123456", "date_of_birth": "1985-03-15", "procedure": "mri" });
    assert_eq!(phone.args("check_eligibility"), asked);
    assert!(phone.ends());
}

#[test]
fn a_number_may_come_in_parts() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        (
            "I want to check coverage for a medication.",
            &["What is the member id?"],
        ),
        ("Hold on, let me find it.", &["Take your time."]),
        ("MB 12", &["Go on."]),
        ("3456", &["date of birth"]),
        ("The 15th of March, 1985.", &[SUMMARY]),
        (
            "Yes, that's right.",
            &["a medication is covered", "No prior authorization is needed"],
        ),
    ]);
}

#[test]
fn a_value_is_corrected_where_it_stands() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        ("Does my insurance cover an office visit?", &["member id"]),
        ("MB123465", &["date of birth"]),
        (
            "No, it ends in 456. And I was born March 15th, 1985.",
            &["4 5 6", SUMMARY],
        ),
        ("No, for an MRI.", &["for an M R I", SUMMARY]),
        ("Yes.", &["an M R I is covered"]),
    ]);
    assert_eq!(phone.args("check_eligibility")["member_id"], "MB123456");
}

#[test]
fn a_summary_is_declined_in_whole_or_in_part() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        (
            "Is a medication covered for MB123456, born March 14th, 1985?",
            &[SUMMARY],
        ),
        (
            "No.",
            &["Which part is wrong? The member id, the date of birth, or the procedure?"],
        ),
        ("The date of birth.", &["date of birth?"]),
        ("March 15th, 1985.", &["March 15th, 1985", SUMMARY]),
        ("No, that's wrong.", &["Which part is wrong?"]),
        ("Everything.", &["What is the member id?"]),
        ("MB345678", &["date of birth"]),
        ("November 30th, 1975", &["M R I, an office visit, or a medication"]),
        ("The MRI.", &[SUMMARY]),
        ("Yes.", &["has ended, on December 31st, 2025"]),
    ]);
    assert_eq!(
        phone.count("check_eligibility"),
        1,
        "nothing was looked up before the yes"
    );
}

#[test]
fn what_the_tool_did_not_find_is_asked_again() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        ("Is an MRI covered for MB999999, born March 15th, 1985?", &[SUMMARY]),
        (
            "Yes.",
            &["could not find a member with the id M B, 9 9 9, 9 9 9", "member id"],
        ),
        ("MB123456", &["M B, 1 2 3, 4 5 6", SUMMARY]),
        ("Yes.", &["an M R I is covered"]),
    ]);
    assert_eq!(phone.count("check_eligibility"), 2);
    assert_ne!(phone.calls[0].key, phone.calls[1].key, "another try is another act");
}

#[test]
fn the_keypad_answers_every_question_of_digits() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[("I have a question about coverage.", &["member id"])]);
    assert!(phone.press("123456").contains("date of birth"));
    assert!(phone.press("03151985").contains("M R I"));
    assert!(phone.press("1").contains(SUMMARY));
    assert!(phone.press("1").contains("an M R I is covered"));
    assert_eq!(phone.args("check_eligibility")["date_of_birth"], "1985-03-15");
}

#[test]
fn the_keypad_chooses_a_route() {
    let mut phone = Phone::rings("front-desk", None);
    assert!(phone.press("1").contains("What is the member id?"));
    assert_eq!(phone.dialog.agent().name, "eligibility");
    let mut phone = Phone::rings("front-desk", Some("+12125550101"));
    let said = phone.press("2#");
    assert!(said.contains("found your account"), "{said}");
    assert_eq!(phone.dialog.agent().name, "service-request");
    let mut phone = Phone::rings("front-desk", None);
    assert!(phone.press("9").contains("did not understand"), "no such key");
}

#[test]
fn words_choose_a_route_and_are_not_lost() {
    let mut phone = Phone::rings("front-desk", None);
    phone.holds(&[
        ("What are your opening hours?", &["nine to five", "anything else"]),
        ("Yes.", &["What would you like?"]),
        ("Is an MRI covered by my insurance?", &["What is the member id?"]),
        ("MB123456", &["date of birth"]),
        ("March 15th 1985", &["an M R I", SUMMARY]),
    ]);
}

#[test]
fn a_question_in_the_middle_is_answered_and_the_form_goes_on() {
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        (
            "The outlet in my kitchen is broken and makes sparks.",
            &["customer number"],
        ),
        ("How much is it?", &["cannot tell you a price", "customer number"]),
        ("482615", &["Thank you, Dana Whitfield.", "street address"]),
        ("What was that?", &["street address"]),
        ("480 Maple Avenue.", &["How urgent"]),
        (
            "It's urgent.",
            &[
                "Electrical for Dana Whitfield, at 480 Maple Avenue",
                "outlet in my kitchen",
                "Shall I send this off?",
            ],
        ),
        (
            "Yes, but change the urgency to normal.",
            &["urgency is normal", "Shall I send this off?"],
        ),
        ("Yes please.", &["5 0 0, 0 0 1", "anything else"]),
        ("Goodbye.", &["Goodbye"]),
    ]);
    let order = phone.args("create_task_order");
    assert_eq!(
        (&order["customer_number"], &order["urgency"]),
        (&json!("482615"), &json!("normal"))
    );
    assert_eq!(phone.count("create_customer"), 0);
}

#[test]
fn a_caller_who_is_known_by_number_is_not_asked_who_they_are() {
    let mut phone = Phone::rings("service-request", Some("+12125550101"));
    phone.holds(&[
        ("I need a plumber.", &["found your account", "describe the problem"]),
        (
            "The toilet on the second floor does not stop running.",
            &["street address"],
        ),
        ("12 Harbor Street.", &["How urgent"]),
        ("No hurry.", &["Plumbing for Dana Whitfield", "urgency is low"]),
        ("Yes.", &["5 0 0, 0 0 1"]),
        (
            "I have another problem, the light in the hall is out.",
            &["street address"],
        ),
    ]);
    assert_eq!(
        phone.args("lookup_customer"),
        json!({ "phone": "+12125550101" }),
        "looked up once"
    );
}

#[test]
fn a_caller_who_is_not_known_gets_an_account() {
    let mut phone = Phone::rings("service-request", Some("+12125550177"));
    phone.holds(&[
        (
            "My heating is not working and it is very cold in here.",
            &["customer number"],
        ),
        ("I don't have one.", &["full name"]),
        ("My name is Alex Moreno.", &["street address"]),
        ("7 Mill Lane.", &["How urgent"]),
        ("As soon as possible.", &["Heating for Alex Moreno, at 7 Mill Lane"]),
        (
            "Yes.",
            &["customer number is 1 0 0, 0 0 4", "order number is 5 0 0, 0 0 1"],
        ),
    ]);
    let customer = phone.args("create_customer");
    assert_eq!(
        customer,
        json!({ "name": "Alex Moreno", "phone": "+12125550177", "address": "7 Mill Lane" })
    );
    assert_eq!(phone.args("create_task_order")["customer_number"], "100004");
}

#[test]
fn the_figures_of_a_date_are_no_part_of_an_id() {
    let mut phone = Phone::rings("eligibility", None);
    phone.holds(&[
        ("I am calling about a patient.", &["member id"]),
        ("MB123456 born March 15 1985", &["M R I"]),
        (
            "An MRI.",
            &["Member id M B, 1 2 3, 4 5 6, born March 15th, 1985", SUMMARY],
        ),
        (
            "March 15 1985.",
            &["Member id M B, 1 2 3, 4 5 6, born March 15th, 1985", SUMMARY],
        ),
        (
            "No, March 16, 1985.",
            &["Member id M B, 1 2 3, 4 5 6, born March 16th, 1985", SUMMARY],
        ),
    ]);
}

#[test]
fn which_part_is_wrong_may_be_told_by_its_name_or_its_place() {
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        (
            "My toilet is overflowing and there is water everywhere in the bathroom.",
            &["customer number"],
        ),
        ("I'm not a customer yet.", &["full name"]),
        ("Alex Moreno", &["phone number"]),
        ("212 555 0177", &["street address"]),
        ("7 Mill Lane", &["How urgent"]),
        (
            "Urgent.",
            &[
                "for Alex Moreno",
                "in the bathroom. Your phone number is",
                "0 1 7 7. The urgency",
            ],
        ),
        ("The name is wrong.", &["full name"]),
        ("Alex Moran.", &["for Alex Moran", "send this off?"]),
        ("No.", &["Which part is wrong? Your name, your phone number, the kind"]),
        ("The last one.", &["How urgent"]),
        ("No hurry.", &["urgency is low", "send this off?"]),
        ("Cancel that.", &["anything else"]),
        ("Yes.", &["What do you need?"]),
    ]);
    assert_eq!(phone.count("create_task_order"), 0);
}

#[test]
fn a_number_is_taken_although_the_caller_did_not_have_it_before() {
    let mut phone = Phone::rings("service-request", None);
    phone.holds(&[
        ("My radiator leaks.", &["customer number"]),
        ("No.", &["full name"]),
        (
            "Wait, my customer number is 482615.",
            &["Thank you, Dana Whitfield", "describe the problem"],
        ),
        ("No.", &["did not understand", "describe the problem"]),
        ("It drips on the floor.", &["street address"]),
    ]);
}

#[test]
fn a_caller_changes_to_another_form_and_back() {
    let mut phone = Phone::own(TWO_FORMS);
    phone.holds(&[
        ("I want to order a part.", &["Which part?"]),
        ("I would rather complain.", &["What went wrong?"]),
        ("It came broken.", &["anything else"]),
        ("Order a part.", &["Which part?"]),
    ]);
    assert!(phone.press("9").contains("did not understand"));
    assert!(phone.press("2").contains("anything else"), "the second part");
    assert!(phone.press("2").contains("What went wrong?"), "the second form");
}

const TWO_FORMS: &str = r#"
name = "two"
greeting = "Hello."
system_prompt = "Be brief."

[[forms]]
name = "order"
description = "Orders."
says = ["order"]

[[forms.slots]]
name = "part"
kind = "choice"
label = "the part"
ask = "Which part?"
choices = [{ value = "wheel" }, { value = "pedal" }]

[[forms]]
name = "complaint"
description = "Complaints."
says = ["complain*"]

[[forms.slots]]
name = "what"
kind = "text"
label = "the complaint"
ask = "What went wrong?"
"#;

#[test]
fn short_answers_to_a_choice_and_to_the_summary_are_told_to_the_transcriber() {
    let mut phone = Phone::rings("eligibility", None);
    assert!(phone.dialog.answers().is_empty(), "anything may be said");
    phone.say("I want to know what my plan pays.");
    assert!(phone.dialog.answers().is_empty(), "an id is not guessed");
    phone.say("MB123456");
    let asked = phone.say("March 15th, 1985");
    assert!(asked.contains("an office visit"), "{asked}");
    let answers = phone.dialog.answers();
    let names = |phrase: &str| {
        let mut answers = answers.iter();
        answers.position(|answer| answer.phrases.iter().any(|known| known == phrase))
    };
    assert_eq!(
        [names("an MRI"), names("visit"), names("a medication")],
        [Some(0), Some(1), Some(2)]
    );
    let asked = phone.say("An MRI.");
    assert!(asked.contains("Is that right?"), "{asked}");
    let answers = phone.dialog.answers();
    let wanted = |word: &str| {
        let with = answers
            .iter()
            .find(|answer| answer.phrases.iter().any(|known| known == word));
        with.map(|answer| answer.is_wanted)
    };
    assert_eq!([wanted("correct"), wanted("wrong")], [Some(true), Some(true)]);
    assert_eq!(
        [wanted("yes"), wanted("no")],
        [Some(false), Some(false)],
        "they are understood well enough"
    );
}
