//! Whatever an LLM does and a caller says: nothing is written but what was read back last and answered with a yes.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tieline::store::TaskOrder;

use crate::dialog::{Base, Call, SERVICE, calls, pass, words};
use crate::llm_calls::{chunk, say};
use crate::script::Answer;

#[derive(Debug, Clone)]
enum Does {
    Says(&'static str),
    Calls(Vec<(&'static str, Value)>),
    Breaks(&'static str, bool),
    Fails(u16),
    Stalls,
    Garbles,
}

impl Does {
    fn answer(&self) -> Answer {
        match self {
            Self::Says(text) => words(text),
            Self::Calls(asked) => {
                let written: Vec<(&str, String)> = asked.iter().map(|(name, args)| (*name, args.to_string())).collect();
                let written: Vec<(&str, &str)> = written.iter().map(|(name, args)| (*name, args.as_str())).collect();
                calls(&written)
            }
            Self::Breaks(text, reset) => {
                let answer = Answer::stream(&chunk(&say(text), &Value::Null));
                if *reset {
                    answer.then_reset()
                } else {
                    answer.then_hold()
                }
            }
            Self::Fails(status) => Answer::json(*status, &json!({})),
            Self::Stalls => Answer::silence(),
            Self::Garbles => Answer::stream("data: {\"choices\": 7}\n\n"),
        }
    }
}

fn text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "",
        "Shall I send this off?",
        "Is that right?",
        "Your order number is 1234567. Is there anything else?",
        "I am sorry, I cannot help with that.",
        "Would you like to hear more?",
        "Let me check.",
    ])
}

fn value(of: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => prop::sample::select(of.to_vec()).prop_map(Value::from),
        1 => prop::sample::select(vec![json!(null), json!(7), json!(true), json!([]), json!({}), json!("unknown")]),
    ]
}

fn args() -> impl Strategy<Value = Value> {
    let slots = [
        ("service_type", &["heating", "plumbing", "cleaning", "roofing"][..]),
        (
            "description",
            &["The sink leaks.", "The roof is on fire.", "Everything is cold."],
        ),
        (
            "location",
            &["12 Harbor Street", "1 Elsewhere Road", "480 Maple Avenue"],
        ),
        ("urgency", &["low", "normal", "urgent", "yesterday"]),
        ("name", &["Priya Raman", "Max Muster"]),
        ("phone", &["+12125550199"]),
        ("customer_number", &["573904", "619283", "999999"]),
        ("confirmed", &["true", "yes"]),
    ];
    let slots: Vec<_> = slots
        .into_iter()
        .map(|(name, of)| prop::option::of(value(of)).prop_map(move |value| (name, value)))
        .collect();
    slots.prop_map(|slots| {
        let given = slots
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect())
    })
}

fn does() -> impl Strategy<Value = Does> {
    let names = vec![
        "service_request",
        "service_request",
        "service_request",
        "create_task_order",
        "create_customer",
        "end_call",
        "transfer_call",
        "x",
    ];
    let one = (prop::sample::select(names), args());
    prop_oneof![
        4 => text().prop_map(Does::Says),
        8 => prop::collection::vec(one, 1..4).prop_map(Does::Calls),
        1 => (text(), any::<bool>()).prop_map(|(text, reset)| Does::Breaks(text, reset)),
        1 => prop::sample::select(vec![400_u16, 429, 500]).prop_map(Does::Fails),
        1 => Just(Does::Stalls),
        1 => Just(Does::Garbles),
    ]
}

const YES: &[&str] = &["Yes.", "Yes, please.", "Yeah, that's right."];

fn line() -> impl Strategy<Value = &'static str> {
    let lines = vec![
        "Hello?",
        "I need a repair.",
        "My kitchen sink is leaking.",
        "Plumbing.",
        "Heating, please.",
        "12 Harbor Street.",
        "It is at 7 Mill Lane.",
        "It is urgent.",
        "Normal.",
        "5 7 3 9 0 4",
        "I have no customer number.",
        "My name is Ann Example.",
        "No.",
        "No, it is heating.",
        "No, make it urgent.",
        "Yes, but it is low.",
        "The location is wrong.",
        "What does it cost?",
        "Say that again.",
        "I don't know.",
        "Is it raining?",
    ];
    prop_oneof![3 => prop::sample::select(lines), 2 => prop::sample::select(YES.to_vec())]
}

/// Letters and digits only, as a text is compared whose marks may change on the way to the voice.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .collect::<String>()
        .to_lowercase()
}

/// Why an order must not have been written.
fn objection(order: &TaskOrder, yes: &str, read_back: &str) -> Option<String> {
    if !YES.contains(&yes) {
        return Some(format!("the caller said {yes:?}"));
    }
    if !read_back.ends_with("Shall I send this off?") {
        return Some(format!("asked last was {read_back:?}"));
    }
    let summary = read_back.rsplit("Let me read that back.").next().unwrap_or_default();
    let values = [&order.service_type, &order.description, &order.location, &order.urgency];
    let missing = values.iter().find(|value| !plain(summary).contains(&plain(value)));
    missing.map(|value| format!("{value:?} was not read back in {read_back:?}"))
}

async fn holds(
    base: &Base,
    sid: &str,
    from_known: bool,
    turns: &[(&'static str, Vec<Does>)],
) -> Result<(), TestCaseError> {
    let patience = Duration::from_millis(100);
    let mut call = Call::begin_from(SERVICE, base, sid, patience, from_known.then_some(crate::dialog::KNOWN)).await;
    let mut heard = String::new();
    let rows = |call: &Call| call.runs("create_task_order", "created").len();
    for (text, answers) in turns {
        pass(Duration::from_secs(600));
        call.server.only(answers.iter().map(Does::answer));
        let before = rows(&call);
        let customers = base.count("SELECT count(*) FROM customers").await;
        let said = call.says(text).await;
        let grown = base.count("SELECT count(*) FROM customers").await - customers;
        let written = base.orders_of(sid).await;
        prop_assert!(rows(&call) - before <= 1 && grown <= 1);
        if rows(&call) > before {
            let newest = call.tools.iter().rfind(|run| run.call.tool == "create_task_order");
            let number = newest
                .and_then(|run| run.result.data["order_number"].as_str())
                .unwrap_or_default();
            let order = written
                .iter()
                .find(|order| order.order_number == number)
                .expect("the row");
            let why = objection(order, text, &heard);
            prop_assert!(why.is_none(), "{why:?}");
        } else {
            prop_assert_eq!(grown, 0, "a customer without a yes");
        }
        prop_assert_eq!(written.len(), rows(&call));
        if call.end.is_some() {
            break;
        }
        heard = said;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_written_that_was_not_confirmed(
        known in any::<bool>(),
        turns in prop::collection::vec((line(), prop::collection::vec(does(), 0..5)), 4..16),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let base = Base::new().await;
            holds(&base, "CA1", known, &turns).await
        })?;
    }
}
