//! Whole conversations in text, with the agents that ship and a stand-in for the database.

mod confirming;
mod english;
mod limits;
mod model;
mod spanish;
mod urgent;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{CallFacts, Dialog, Next, Step};
use crate::dialog::agent::{Agents, parse};
use crate::dialog::slot::Date;
use crate::dialog::tool::{ToolCall, ToolResult};

const TODAY: Date = Date::constant(2026, 11, 21);

/// A call, from the caller's side.
struct Phone {
    dialog: Dialog,
    /// Tools that were run.
    calls: Vec<ToolCall>,
    /// Where the last step led.
    next: Next,
    /// What tools answer; `None`: [`database`].
    fails: bool,
}

impl Phone {
    fn rings(agent: &str, from: Option<&str>) -> Self {
        let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/agents"));
        let agents = Agents::load(dir, agent).unwrap_or_else(|error| panic!("{error}"));
        Self::to(agents, from)
    }

    /// A call to an agent written for a test.
    fn own(text: &str) -> Self {
        let agent = parse(text, "test").unwrap_or_else(|error| panic!("{error}"));
        Self::to(Agents::single(agent), None)
    }

    fn to(agents: Agents, from: Option<&str>) -> Self {
        let agents = Arc::new(agents);
        let call = CallFacts {
            id: "CA1".to_owned(),
            from: from.map(str::to_owned),
        };
        Self {
            dialog: Dialog::new(Arc::clone(&agents), Arc::clone(agents.default()), call),
            calls: Vec::new(),
            next: Next::Listen,
            fails: false,
        }
    }

    /// What the agent says until it listens again or the call ends.
    fn say(&mut self, text: &str) -> String {
        let step = self.dialog.hear(text, TODAY);
        self.follow(step)
    }

    fn press(&mut self, keys: &str) -> String {
        let step = self.dialog.press(keys, TODAY);
        self.follow(step)
    }

    fn follow(&mut self, mut step: Step) -> String {
        let mut said = Vec::new();
        for _ in 0..10 {
            said.append(&mut step.say);
            let Next::Run(call) = step.next else {
                self.next = step.next;
                return said.join(" ");
            };
            let result = if self.fails {
                ToolResult::plain(ToolResult::FAILED)
            } else {
                database(&call)
            };
            self.calls.push(call);
            step = self.dialog.done(&result, TODAY);
        }
        panic!("tools over and over: {}", said.join(" "));
    }

    /// Each line of the caller, and words that the answer must have.
    fn holds(&mut self, lines: &[(&str, &[&str])]) {
        for (line, expected) in lines {
            let said = self.say(line);
            for words in *expected {
                assert!(
                    said.contains(words),
                    "{line:?} was answered: {said:?}\nwithout {words:?}"
                );
            }
        }
    }

    /// The arguments of the only call of a tool.
    fn args(&self, tool: &str) -> Json {
        let calls: Vec<&ToolCall> = self.calls.iter().filter(|call| call.tool == tool).collect();
        match calls.as_slice() {
            [call] => Json::Object(call.args.clone()),
            other => panic!("{} calls of {tool}", other.len()),
        }
    }

    fn ends(&self) -> bool {
        matches!(self.next, Next::End)
    }

    fn is_handed_over(&self) -> bool {
        matches!(self.next, Next::HandOver)
    }

    fn count(&self, tool: &str) -> usize {
        self.calls.iter().filter(|call| call.tool == tool).count()
    }
}

/// What the seeded database would answer.
fn database(call: &ToolCall) -> ToolResult {
    let arg = |name: &str| call.args.get(name).and_then(Json::as_str).unwrap_or_default();
    let (outcome, data) = match call.tool.as_str() {
        "lookup_customer" if arg("customer_number") == "482615" || arg("phone") == "+12125550101" => (
            "found",
            json!({ "customer_number": "482615", "name": "Dana Whitfield" }),
        ),
        "lookup_customer" => ("not_found", json!({})),
        "create_customer" => ("created", json!({ "customer_number": "100004", "name": arg("name") })),
        "create_task_order" => ("created", json!({ "order_number": "500001" })),
        "check_eligibility" => match (arg("member_id"), arg("date_of_birth")) {
            ("MB123456", "1985-03-15") => ("eligible", eligible(arg("procedure"))),
            ("MB345678", "1975-11-30") => ("terminated", json!({ "terminated_on": "2025-12-31" })),
            ("MB123456" | "MB345678", _) => ("wrong_date_of_birth", json!({})),
            _ => ("unknown_member", json!({})),
        },
        _ => (ToolResult::FAILED, json!({})),
    };
    ToolResult {
        outcome: outcome.to_owned(),
        data: data.as_object().cloned().unwrap_or_default(),
    }
}

fn eligible(procedure: &str) -> Json {
    json!({
        "procedure": procedure,
        "plan": "Gold PPO",
        "copay_cents": 5000,
        "coinsurance_percent": 20,
        "deductible_total_cents": 150_000,
        "deductible_remaining_cents": 105_000,
        "deductible_met": false,
        "prior_authorization": procedure == "mri",
    })
}
