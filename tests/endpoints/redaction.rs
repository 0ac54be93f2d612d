//! An LLM outside of the house learns nothing of who calls, and is none the worse for it.

use serde_json::Value;
use tieline::dialog::conversation::Ending;

use crate::dialog::{Base, Call, ELIGIBILITY, KNOWN, call, coverage, member, words};
use crate::dialog_faults::PATIENT;

#[tokio::test]
async fn what_tells_who_the_caller_is_does_not_leave() {
    let base = Base::new().await;
    let mut phone = Call::begin(ELIGIBILITY, &base, "CA1", PATIENT).await.redacting();
    phone.server.answer([words("Hello NAME_1, gladly. Who is the member?")]);
    let said = phone
        .says("Hello, my name is Dana Whitfield, my number is 212 555 0101, and I was born on March 15, 1985.")
        .await;
    assert_eq!(said, "Hello Dana Whitfield, gladly. Who is the member?");
    phone
        .server
        .answer([call("check_eligibility", &coverage("NUMBER_2", "DATE_1", "mri"))]);
    let first = phone.says("Well, my card says MB123456.").await;
    phone.server.answer_always(words("NUMBER_2 it is. Anything else?"));
    let all = phone.goes_on(first, member).await;
    assert_eq!(phone.end, Some(Ending::Goodbye), "{all:#?}");
    let args = Value::Object(phone.tools[0].call.args.clone());
    assert_eq!(args, coverage("MB123456", "1985-03-15", "mri"), "{all:#?}");

    let asked = phone.server.asked();
    assert!(asked.len() >= 2, "the LLM was asked");
    let sent = asked
        .iter()
        .map(|asked| asked.body.to_string())
        .collect::<String>()
        .to_lowercase();
    let number = KNOWN.trim_start_matches("+1");
    for private in [
        "dana",
        "whitfield",
        "555 0101",
        number,
        "mb123456",
        "123456",
        "march",
        "1985",
    ] {
        assert!(!sent.contains(private), "{private} has left: {sent}");
    }
    assert!(
        sent.contains("name_1") && sent.contains("number_2") && sent.contains("date_1"),
        "{sent}"
    );
}
