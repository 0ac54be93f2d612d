//! Callers who say anything: the dialog goes on or ends, and writes nothing down that was not read back and agreed to.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tieline::dialog::agent::Agents;
use tieline::dialog::form::{CallFacts, Dialog, Next, Step};
use tieline::dialog::slot::{Date, Language, Slot, Value as Parsed};
use tieline::dialog::tool::{ToolCall, ToolResult};

const TODAY: Date = Date::constant(2026, 11, 21);
const SUMMARY: &str = "Let me read that back.";

/// What one caller does: words or keys, and what the next tools answer.
#[derive(Debug, Clone)]
enum Does {
    Says(String),
    Types(String),
}

fn caller() -> impl Strategy<Value = Vec<Does>> {
    let good = prop::sample::select(vec![
        "The kitchen sink is leaking, I need a repair.",
        "Is an MRI covered?",
        "482615.",
        "MB123456.",
        "MB 123",
        "456.",
        "March 15th, 1985.",
        "I don't have a number.",
        "My name is Laura Bennett.",
        "Plumbing.",
        "Heating, please.",
        "A medication.",
        "25 Oak Street.",
        "The radiator is cold.",
        "It's urgent.",
        "No hurry.",
        "It's MB789012, born July 22nd, 1990, for an office visit.",
    ]);
    let turns = prop::sample::select(vec![
        "Yes.",
        "Yes, please.",
        "No.",
        "Yes, but make it urgent.",
        "No, it ends in 457.",
        "No, the address is 40 Maple Avenue.",
        "Actually, heating.",
        "The location is wrong.",
        "All of it.",
        "Could you repeat that?",
        "Hold on, let me grab my card.",
        "What does it cost?",
        "When are you open?",
        "Hello?",
    ]);
    let noise = prop_oneof![
        prop::sample::select(vec![
            "",
            "uh",
            "...",
            "the thing with the",
            "¿?",
            "0",
            "no yes no",
            "purple"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,40}",
        "[a-z ]{0,60}",
        "[0-9 .,-]{0,24}",
    ];
    let keys = prop_oneof![Just("1".to_owned()), Just("2".to_owned()), "[0-9*]{1,12}"];
    let does = prop_oneof![
        5 => good.prop_map(|text| Does::Says(text.to_owned())),
        4 => turns.prop_map(|text| Does::Says(text.to_owned())),
        2 => noise.prop_map(Does::Says),
        1 => keys.prop_map(Does::Types),
    ];
    prop::collection::vec(does, 1..40)
}

/// What a tool answers: `luck` chooses.
fn answer(call: &ToolCall, luck: u8) -> ToolResult {
    let (outcome, data) = match (call.tool.as_str(), luck % 4) {
        ("lookup_customer", 0 | 1) => ("not_found", json!({})),
        ("lookup_customer", _) => (
            "found",
            json!({ "customer_number": "482615", "name": "Dana Whitfield" }),
        ),
        ("create_customer", _) => (
            "created",
            json!({ "customer_number": "100009", "name": call.args["name"] }),
        ),
        ("create_task_order", _) => ("created", json!({ "order_number": "1234567" })),
        ("check_eligibility", 0) => ("unknown_member", json!({})),
        ("check_eligibility", 1) => ("wrong_date_of_birth", json!({})),
        ("check_eligibility", _) => ("eligible", json!({ "deductible_met": true })),
        _ => ("failed", json!({})),
    };
    let data = data.as_object().cloned().unwrap_or_else(Map::new);
    ToolResult {
        outcome: outcome.to_owned(),
        data,
    }
}

fn dialogs(agents: &Arc<Agents>) -> Vec<Dialog> {
    let of = |name: &str, from: Option<&str>| {
        let agent = Arc::clone(agents.get(name).expect("an agent that ships"));
        let facts = CallFacts {
            id: "CA1".to_owned(),
            from: from.map(str::to_owned),
        };
        Dialog::new(Arc::clone(agents), agent, facts)
    };
    let shown = Some("+12125550101");
    vec![
        of("service-request", None),
        of("service-request", shown),
        of("eligibility", None),
        of("front-desk", shown),
    ]
}

fn agents() -> Arc<Agents> {
    Arc::new(Agents::load(Path::new("agents"), "front-desk").expect("the agents that ship"))
}

/// Whether a call's arguments are what the summary said.
fn read_back(call: &ToolCall, summary: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let summary = plain(summary);
    let said = |name: &str| {
        let value = call.args.get(name).and_then(Value::as_str).unwrap_or_default();
        summary.contains(&plain(value))
    };
    match call.tool.as_str() {
        "create_customer" => said("name") && said("address"),
        "create_task_order" => ["service_type", "description", "location", "urgency"]
            .into_iter()
            .all(said),
        _ => true,
    }
}

/// Runs what the dialog wants run, until it waits or ends. `agreed`: the summary that the caller has just said yes to.
fn settle(dialog: &mut Dialog, mut step: Step, luck: u8, agreed: Option<&str>) -> Result<Step, TestCaseError> {
    let mut said = step.say.clone();
    for _ in 0..20 {
        let Next::Run(call) = &step.next else {
            step.say = said;
            return Ok(step);
        };
        if call.tool.starts_with("create_") {
            let Some(summary) = agreed else {
                return Err(TestCaseError::fail(format!("{} without a yes", call.tool)));
            };
            prop_assert!(
                read_back(call, summary),
                "{:?} is not what was read back: {summary}",
                call.args
            );
        }
        step = dialog.done(&answer(call, luck), TODAY);
        said.extend(step.say.clone());
    }
    Err(TestCaseError::fail("tools without end"))
}

fn act(dialog: &mut Dialog, does: &Does) -> Step {
    match does {
        Does::Says(text) => dialog.hear(text, TODAY),
        Does::Types(keys) => dialog.press(keys, TODAY),
    }
}

fn says_yes(does: &Does) -> bool {
    match does {
        Does::Says(text) => Slot::YesNo.parse(text, Language::En, TODAY).value == Some(Parsed::YesNo(true)),
        Does::Types(keys) => keys == "1",
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_written_that_was_not_agreed_to(course in caller(), luck in any::<[u8; 40]>()) {
        for mut dialog in dialogs(&agents()) {
            let mut last = String::new();
            for (does, luck) in course.iter().zip(luck) {
                let summary = last.find(SUMMARY).map(|at| last[at..].to_owned());
                let agreed = summary.filter(|_| says_yes(does));
                let step = act(&mut dialog, does);
                let step = settle(&mut dialog, step, luck, agreed.as_deref())?;
                prop_assert!(!step.say.is_empty(), "nothing to say to {does:?}");
                last = step.say.join(" ");
                if step.next != Next::Listen {
                    break;
                }
            }
        }
    }

    #[test]
    fn who_is_never_understood_is_handed_over(course in caller(), luck in any::<[u8; 40]>(), noise in "(purple|zebra|umbrella){1,3}") {
        for mut dialog in dialogs(&agents()) {
            let (mut ended, mut last) = (false, String::new());
            for (does, luck) in course.iter().zip(luck) {
                let summary = last.find(SUMMARY).map(|at| last[at..].to_owned());
                let step = act(&mut dialog, does);
                let step = settle(&mut dialog, step, luck, summary.as_deref())?;
                last = step.say.join(" ");
                ended = step.next != Next::Listen;
                if ended {
                    break;
                }
            }
            // A free answer may be anything, so each question of a form takes the noise once at most.
            for _ in 0..MOST {
                if ended {
                    break;
                }
                let step = act(&mut dialog, &Does::Says(noise.clone()));
                let step = settle(&mut dialog, step, 2, None)?;
                prop_assert!(!step.say.is_empty());
                ended = step.next != Next::Listen;
                prop_assert!(!ended || step.next == Next::HandOver);
            }
            prop_assert!(ended, "{MOST} answers that mean nothing, and the agent still asks");
        }
    }
}

/// Three tries for each of a form's seven questions and its summary.
const MOST: usize = 24;
