//! Whole calls with an LLM that misbehaves: each ends in the right record and result, or with a person, and never in a wrong record.

use std::time::Duration;

use serde_json::{Value, json};
use tieline::dialog::agent::Agents;
use tieline::dialog::conversation::Ending;
use tieline::dialog::llm::breaker::FIRST_REST;

use crate::dialog::{
    Base, Call, ELIGIBILITY, KNOWN, SERVICE, call, calls, coverage, customer, member, pass, request, words,
};
use crate::llm_calls::{chunk, one, piece, say, stream};
use crate::script::Answer;

/// No healthy answer takes so long.
pub(crate) const PATIENT: Duration = Duration::from_secs(30);
const IMPATIENT: Duration = Duration::from_millis(150);

/// What an LLM may do instead of its work.
fn misbehaviours() -> Vec<(&'static str, Answer)> {
    let all_wrong = json!({ "member_id": ["MB999999"], "date_of_birth": 19_850_315, "procedure": 7, "service_type": {},
        "description": [], "location": 12, "urgency": true, "confirmed": true, "customer_number": 100_003, "x": { "y": 1 } });
    let form = |args: &str| calls(&[("check_eligibility", args), ("service_request", args)]);
    let invented = json!({ "member_id": "MB789012", "date_of_birth": "1990-07-22", "procedure": "medication",
        "service_type": "cleaning", "description": "The roof is on fire.", "location": "1 Elsewhere Road", "urgency": "low",
        "confirmed": true, "customer_number": "619283", "phone": "+12125550103", "name": "Priya Raman" });
    let blank = json!({ "member_id": "unknown", "date_of_birth": "N/A", "procedure": "", "service_type": null,
        "description": "not provided", "location": "Unknown", "urgency": "" });
    let order = request("plumbing", "The sink leaks.", "12 Harbor Street", "urgent");
    let same = [("check_eligibility", "{}"), ("service_request", "{}")].repeat(2);
    let text = |text: &str| chunk(&say(text), &Value::Null);
    vec![
        ("wrong JSON", form("{member_id: MB1")),
        ("JSON that is no object", form("[\"MB123457\"]")),
        ("empty arguments", form("")),
        ("wrong types and unknown arguments", form(&all_wrong.to_string())),
        ("placeholders", form(&blank.to_string())),
        ("everything invented", form(&invented.to_string())),
        ("a wrong name", call("checkEligibility", &json!({}))),
        (
            "a tool that is not the model's to call",
            call("create_task_order", &order),
        ),
        (
            "the database's tools",
            calls(&[
                ("lookup_customer", "{\"customer_number\": \"619283\"}"),
                ("check_eligibility ", "{}"),
            ]),
        ),
        ("parallel calls of the same", calls(&same)),
        (
            "the end of the call before the form",
            calls(&[
                ("end_call", "{}"),
                ("check_eligibility", "{}"),
                ("service_request", "{}"),
            ]),
        ),
        ("the end of the call", call("end_call", &json!({}))),
        (
            "a call in the text",
            words("{\"name\": \"create_task_order\", \"arguments\": {\"customer_number\": \"482615\"}}"),
        ),
        ("a refusal", words("I am sorry, but I cannot help with that.")),
        (
            "success that is none",
            words("Done. Your request was sent, the order number is 1234567, and the MRI is covered."),
        ),
        ("nothing", Answer::stream(&stream(&[], "stop"))),
        ("blanks", words("  \n ")),
        ("thoughts", words("<think>The caller wants something.</think>")),
        ("a stall", Answer::silence()),
        (
            "a stall after a sentence",
            Answer::stream(&text("One moment please. And")).then_hold(),
        ),
        ("a reset", Answer::stream(&text("Let me")).then_reset()),
        (
            "a reset after a sentence",
            Answer::stream(&text("Let me see. And")).then_reset(),
        ),
        ("a hang-up", Answer::hang_up()),
        ("too many requests", Answer::json(429, &json!({}))),
        (
            "an error",
            Answer::json(500, &json!({ "error": { "message": "out of memory" } })),
        ),
        (
            "a page",
            Answer::new(200, "Content-Type: text/html\r\n", b"<html>Sign in</html>"),
        ),
    ]
}

/// Each of them, always or in the first turn only.
fn ways() -> impl Iterator<Item = (String, Answer, bool)> {
    let all = misbehaviours().into_iter();
    all.flat_map(|(what, answer)| {
        [false, true].map(|always| (format!("{what}, always: {always}"), answer.clone(), always))
    })
}

async fn misled(agent: &str, base: &Base, sid: &str, answer: &Answer, always: bool) -> Call {
    let call = Call::begin(agent, base, sid, IMPATIENT).await;
    // A failure is tried twice.
    call.server.answer([answer.clone(), answer.clone()]);
    call.server
        .answer_always(if always { answer.clone() } else { words("I see.") });
    call
}

#[tokio::test]
async fn coverage_is_told_whatever_the_llm_does() {
    let base = Base::new().await;
    for (n, (what, answer, always)) in ways().enumerate() {
        pass(FIRST_REST * 10);
        let mut call = misled(ELIGIBILITY, &base, &format!("CA{n}"), &answer, always).await;
        let first = call.says("Hello, I want to check my coverage.").await;
        let all = call.goes_on(first, member).await;
        assert_eq!(call.end, Some(Ending::Goodbye), "{what}: {all:#?}");
        let asked: Vec<Value> = call
            .tools
            .iter()
            .map(|run| Value::Object(run.call.args.clone()))
            .collect();
        assert_eq!(asked, [coverage("MB123456", "1985-03-15", "mri")], "{what}: {all:#?}");
        assert_eq!(call.runs("check_eligibility", "eligible").len(), 1, "{what}");
        let told = all.join("\n");
        assert!(
            told.contains("$50") && told.contains("Prior authorization is required"),
            "{what}: {told}"
        );
    }
    assert!(base.is_untouched().await);
}

#[tokio::test]
async fn the_right_order_is_written_whatever_the_llm_does() {
    let base = Base::new().await;
    for (n, (what, answer, always)) in ways().enumerate() {
        pass(FIRST_REST * 10);
        let sid = format!("CA{n}");
        let mut call = misled(SERVICE, &base, &sid, &answer, always).await;
        let first = call.says("Hello, I need a technician.").await;
        let before = base.orders().await.len();
        assert_eq!(before, n, "{what}: nothing was confirmed");
        let all = call.goes_on(first, customer).await;
        assert_eq!(call.end, Some(Ending::Goodbye), "{what}: {all:#?}");
        let orders = base.orders().await;
        let order = orders.iter().find(|order| order.call_sid.as_deref() == Some(&sid));
        let order = order.unwrap_or_else(|| panic!("{what}: no order: {all:#?}"));
        assert_eq!(orders.len(), n + 1, "{what}: {all:#?}");
        let is = (
            order.service_type.as_str(),
            order.location.as_str(),
            order.urgency.as_str(),
        );
        assert_eq!(is, ("plumbing", "12 Harbor Street", "urgent"), "{what}: {all:#?}");
        assert!(
            order.description.to_lowercase().contains("sink"),
            "{what}: {}",
            order.description
        );
    }
    assert_eq!(base.count("SELECT count(*) FROM customers").await, 3);
}

#[tokio::test]
async fn a_form_handed_in_properly_is_read_back_however_it_is_streamed() {
    let base = Base::new().await;
    let args = request("plumbing", "The kitchen sink is leaking.", "12 Harbor Street", "urgent").to_string();
    let cut = |size: usize| -> Answer {
        let bytes: Vec<char> = args.chars().collect();
        let mut deltas = vec![
            say("Let me write that down. "),
            one(piece(0, Some("a"), Some("service_request"), None)),
        ];
        let pieces = bytes.chunks(size).map(|part| part.iter().collect::<String>());
        deltas.extend(pieces.map(|part| one(piece(0, None, None, Some(&part)))));
        Answer::stream(&stream(&deltas, "tool_calls"))
    };
    for (n, size) in [1, 2, 7, 1_000].into_iter().enumerate() {
        for sizes in [vec![1], vec![3, 50, 2], vec![4_096]] {
            let sid = format!("CA{n}-{}", sizes[0]);
            let mut call = Call::begin(SERVICE, &base, &sid, PATIENT).await;
            call.server.answer([cut(size).cut(&sizes)]);
            let before = base.orders().await.len();
            let said = call.says("It is the usual, at home, you know.").await;
            assert!(said.starts_with("Let me write that down."), "{said}");
            assert!(
                said.contains("12 Harbor Street: The kitchen sink is leaking."),
                "{said}"
            );
            assert_eq!(base.orders().await.len(), before, "nobody has said yes");
            let all = call.goes_on(said, customer).await;
            assert_eq!(call.runs("create_task_order", "created").len(), 1, "{all:#?}");
            assert_eq!(call.server.asked().len(), 1, "a yes and a goodbye need no LLM");
        }
    }
}

#[tokio::test]
async fn digits_and_dates_are_the_callers() {
    let base = Base::new().await;
    let mut call = Call::begin(ELIGIBILITY, &base, "CA1", PATIENT).await;
    call.server.answer([crate::dialog::call(
        "check_eligibility",
        &coverage("MB123457", "1958-03-15", "mri"),
    )]);
    let said = call.says("My card says M B 1 2 3 4 5 6.").await;
    assert!(said.contains("date of birth"), "an invented date is asked: {said}");
    let all = call.goes_on(said, member).await;
    let args = Value::Object(call.tools[0].call.args.clone());
    assert_eq!(args, coverage("MB123456", "1985-03-15", "mri"), "{all:#?}");
    assert_eq!(call.runs("check_eligibility", "eligible").len(), 1);
}

#[tokio::test]
async fn an_id_said_in_two_halves_is_one_id() {
    let base = Base::new().await;
    let mut call = Call::begin(ELIGIBILITY, &base, "CA1", PATIENT).await;
    call.server
        .answer([crate::dialog::call("check_eligibility", &json!({}))]);
    assert!(
        call.says("Hello, I want to check my coverage.")
            .await
            .contains("member id")
    );
    let said = call.says("M B 1 2 3").await;
    assert!(!said.contains("date of birth"), "{said}");
    let said = call.says("4 5 6").await;
    assert!(said.contains("date of birth"), "{said}");
    assert_eq!(call.server.asked().len(), 1);
}

#[tokio::test]
async fn a_yes_to_the_llm_is_no_yes_to_the_summary() {
    let base = Base::new().await;
    let mut call = Call::begin(SERVICE, &base, "CA1", PATIENT).await;
    let args = request("plumbing", "The sink leaks.", "12 Harbor Street", "urgent");
    call.server.answer([crate::dialog::call("service_request", &args)]);
    let said = call.says("The usual.").await;
    assert!(said.ends_with("Shall I send this off?"), "{said}");
    call.server
        .answer([words("I cannot promise a time. Would you like to know more?")]);
    let said = call.says("When will somebody be there?").await;
    assert!(said.starts_with("I cannot promise a time."), "{said}");
    assert!(said.ends_with("Shall I send this off?"), "it is asked again: {said}");
    // The same after one that claims to have done it.
    call.server.answer([words("It is done, your order number is 7.")]);
    let said = call.says("Hm, whatever you think.").await;
    assert!(said.ends_with("Shall I send this off?"), "{said}");
    assert!(base.is_untouched().await && call.runs("create_task_order", "created").is_empty());
}

#[tokio::test]
async fn an_llm_that_recovers_is_used_in_the_next_turn() {
    let base = Base::new().await;
    let mut call = Call::begin(ELIGIBILITY, &base, "CA1", PATIENT).await;
    let error = || Answer::json(500, &json!({}));
    call.server.answer([error(), error()]);
    let said = call.says("Hello, I want to check my coverage.").await;
    assert!(said.contains("member id"), "{said}");
    call.server.answer([words("It is on the front of the card.")]);
    let said = call.says("Where can I find that?").await;
    assert_eq!(said, "It is on the front of the card.");
    assert!(call.says("M B 1 2 3 4 5 6.").await.contains("date of birth"));
    assert_eq!(
        call.server.asked().len(),
        3,
        "a failure is tried twice, and what was asked for needs no LLM"
    );
    let said = call.says("March fifteenth, nineteen eighty-five.").await;
    let all = call.goes_on(said, member).await;
    assert_eq!(call.runs("check_eligibility", "eligible").len(), 1, "{all:#?}");
}

#[tokio::test]
async fn an_llm_that_rests_is_tried_again() {
    let base = Base::new().await;
    let mut call = Call::begin(ELIGIBILITY, &base, "CA1", PATIENT).await;
    call.server.answer_always(Answer::json(503, &json!({})));
    for text in ["Good morning to you all.", "Is it raining?", "And tomorrow?"] {
        call.says(text).await;
        call.end = None;
    }
    let asked = call.server.asked().len();
    assert_eq!(asked, 6, "each is tried twice");
    call.server.answer_always(words("Hello again."));
    call.says("Anybody?").await;
    assert_eq!(call.server.asked().len(), asked, "it is left alone");
    pass(FIRST_REST);
    for _ in 0..2 {
        assert_eq!(call.says("What about a nice song?").await, "Hello again.");
    }
}

#[tokio::test]
async fn the_llm_ends_the_call_or_hands_it_over() {
    let base = Base::new().await;
    for (tool, end) in [("end_call", Ending::Goodbye), ("transfer_call", Ending::HandOver)] {
        let mut call = Call::begin(SERVICE, &base, "CA1", PATIENT).await;
        call.server
            .answer([crate::dialog::call(tool, &json!({ "reason": "the caller asked" }))]);
        let said = call.says("I was just curious about something else, never mind.").await;
        assert_eq!(call.end, Some(end), "{said}");
    }
    assert!(base.is_untouched().await);
}

#[tokio::test]
async fn the_front_desk_leads_on_without_the_llm() {
    let base = Base::new().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let desk = "name = \"desk\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n[[routes]]\nagent = \"eligibility\"\n\
                says = [\"my coverage\"]\n[[answers]]\nsays = [\"hours\"]\nsay = \"Nine.\"\n";
    let elsewhere = ELIGIBILITY.lines().filter(|line| !line.starts_with("translations"));
    let elsewhere: Vec<&str> = elsewhere.collect();
    for (file, text) in [("desk.toml", desk), ("eligibility.toml", &elsewhere.join("\n"))] {
        std::fs::write(dir.path().join(file), text).expect("written");
    }
    let agents = Agents::load(dir.path(), "desk").expect("good files");
    let mut call = Call::of(agents, &base, "CA1", PATIENT, Some(KNOWN)).await;
    call.server.answer([words("We open at ten.")]);
    assert_eq!(
        call.says("What are your hours?").await,
        "We open at ten.",
        "the LLM answers"
    );
    let said = call.says("And is an MRI in my coverage?").await;
    assert!(said.contains("member id"), "{said}");
    let all = call.goes_on(said, member).await;
    assert_eq!(call.runs("check_eligibility", "eligible").len(), 1, "{all:#?}");
    assert_eq!(call.server.asked().len(), 1);
}

/// A short memory forgets the conversation, not what belongs to a tool call: servers refuse an answer without its call.
#[tokio::test]
async fn the_answers_of_tools_stand_behind_their_calls() {
    let base = Base::new().await;
    let agent = SERVICE.replacen("[phrases]", "[limits]\nmax_history = 2\n\n[phrases]", 1);
    let mut call = Call::begin(&agent, &base, "CA1", PATIENT).await;
    call.server.answer([words("Hello."), words("Well.")]);
    call.says("Good day.").await;
    call.says("How are you?").await;
    call.server
        .answer([calls(&[("a", "{}"), ("b", "{}"), ("c", "{}")]), words("I see.")]);
    assert_eq!(call.says("Is it raining?").await, "I see.");
    let sent = call.server.asked().last().expect("asked").json();
    let messages = sent["messages"].as_array().expect("messages");
    let roles: Vec<&str> = messages.iter().filter_map(|message| message["role"].as_str()).collect();
    assert_eq!(
        roles,
        ["system", "assistant", "user", "assistant", "tool", "tool", "tool"]
    );
    assert_eq!(messages[3]["tool_calls"].as_array().map(Vec::len), Some(3));
}

/// What is never to count does nothing.
#[tokio::test]
async fn a_turn_whose_call_is_gone_runs_no_tool() {
    let base = Base::new().await;
    let mut call = Call::begin(SERVICE, &base, "CA1", PATIENT).await.alone();
    assert_eq!(call.answers_nobody("My sink is leaking.").await, 0);
    call.says("My sink is leaking.").await;
    assert_eq!(call.tools.len(), 1, "the caller is looked up");
}

/// What only reads may be called by the LLM itself, once for the same arguments; what deletes may not.
#[tokio::test]
async fn tools_that_read_are_the_llms_and_no_others() {
    let base = Base::new().await;
    let api = crate::script::Server::start([Answer::json(200, &json!({ "open": true }))]).await;
    let tool = |name: &str, method: &str| {
        format!(
            "[[tools]]\nname = \"{name}\"\ndescription = \"Tells.\"\nmethod = \"{method}\"\nurl = \"http://{}/{name}\"\n",
            api.address
        )
    };
    let agent = format!("{SERVICE}\n{}{}", tool("opening", "GET"), tool("forget", "DELETE"));
    let mut call = Call::begin(&agent, &base, "CA1", PATIENT).await;
    let both = calls(&[("forget", "{}"), ("opening", "{}"), ("opening", "{}")]);
    call.server.answer([both.clone(), both.clone(), words("We are open.")]);
    assert_eq!(call.says("Good day.").await, "We are open.");
    let asked: Vec<String> = api.asked().iter().map(|asked| asked.path.clone()).collect();
    assert_eq!(asked, ["/opening"]);
    let offered = call.server.asked()[0].json()["tools"].to_string();
    assert!(offered.contains("opening") && !offered.contains("forget"), "{offered}");
    // Over and over: the guided dialog ends it.
    call.server.answer_always(both);
    let said = call.says("My sink is leaking.").await;
    let all = call.goes_on(said, customer).await;
    assert_eq!(call.runs("create_task_order", "created").len(), 1, "{all:#?}");
    assert_eq!(base.orders().await.len(), 1);
}

/// With a server of one's own: `TIELINE_TEST_LLM=http://127.0.0.1:8090/v1 cargo test --release --test endpoints a_real_llm -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "wants an LLM server, whose URL is in TIELINE_TEST_LLM"]
async fn a_real_llm_may_be_as_small_as_it_likes() {
    #[expect(clippy::disallowed_methods, reason = "where the server is")]
    let url = std::env::var("TIELINE_TEST_LLM").expect("TIELINE_TEST_LLM");
    let base = Base::new().await;
    type Caller = fn(&str) -> &'static str;
    let calls: [(&str, &str, &str, Caller); 2] = [
        (ELIGIBILITY, "check_eligibility", "eligible", member),
        (SERVICE, "create_task_order", "created", customer),
    ];
    for (n, (agent, tool, outcome, caller)) in calls.into_iter().enumerate() {
        let mut call = Call::begin(agent, &base, &format!("CA{n}"), PATIENT)
            .await
            .with_llm(&url);
        let first = call.says("Good morning, how are you today?").await;
        let all = call.goes_on(first, caller).await;
        println!("{}\n", all.join("\n"));
        assert_eq!((call.runs(tool, outcome).len(), call.end), (1, Some(Ending::Goodbye)));
    }
    assert_eq!(base.orders().await.len(), 1);
}
