//! What the dialog can do besides talking: look something up, write something down.

pub mod builtin;
pub mod http;
pub mod sms;
pub mod spec;
mod template;

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::dialog::agent::Agents;
use crate::dialog::tool::builtin::Builtin;
use crate::dialog::tool::http::{HttpTools, HttpToolsError};
use crate::dialog::tool::sms::Texts;
use crate::dialog::tool::spec::{HttpToolSpec, Method};
use crate::privacy::egress::Egress;
use crate::store::Store;

/// A tool the dialog wants run. Nothing runs before the caller's turn is committed.
#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub struct ToolCall {
    /// Name of the tool.
    pub tool: String,
    /// By the tool's parameter names. Dates are `YYYY-MM-DD`, phone numbers E.164, money cents.
    pub args: Map<String, Value>,
    /// The same for every repetition of the same act: a tool that writes does so once for it.
    pub key: String,
}

/// What came of it. Holds PHI: never logged.
#[derive(Clone, PartialEq, Default)]
#[cfg_attr(test, derive(Debug))]
pub struct ToolResult {
    /// One of the tool's documented outcomes, such as `found`; the agent file says what follows from each.
    pub outcome: String,
    /// What the agent file's templates may say.
    pub data: Map<String, Value>,
}

private_debug!(ToolCall, ToolResult);

impl ToolResult {
    /// The outcome of a tool that could not be run, or not in time. Every tool can have it.
    pub const FAILED: &'static str = "failed";

    /// Without data.
    pub fn plain(outcome: &str) -> Self {
        Self {
            outcome: outcome.to_owned(),
            data: Map::new(),
        }
    }
}

/// Everything that can be done.
#[derive(Default)]
pub struct Tools {
    store: Option<Store>,
    /// By the agent whose file declares them.
    http: BTreeMap<String, HttpTools>,
    /// Who sends text messages, if anybody.
    pub texts: Option<Texts>,
}

/// In which call a tool is run.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The agent that wants it run.
    pub agent: &'a str,
    /// The call.
    pub call_sid: &'a str,
    /// The number of the person on the telephone, E.164. PHI.
    pub caller: Option<&'a str>,
    /// The day at the caller's place.
    pub today: Date,
}

impl Tools {
    /// Those of the agents' files, and the built-in ones, which fail without a store. `lookup` gives what `${NAME}` in a header stands for;
    /// HTTP tools connect where `egress` lets them.
    pub fn new(
        store: Option<Store>,
        agents: &Agents,
        lookup: impl Fn(&str) -> Option<String>,
        egress: &Egress,
    ) -> Result<Self, HttpToolsError> {
        let mut http = BTreeMap::new();
        for agent in agents.iter() {
            http.insert(agent.name.clone(), HttpTools::new(&agent.tools, &lookup, egress)?);
        }
        Ok(Self {
            store,
            http,
            texts: None,
        })
    }

    /// Runs a tool for a call. A tool that there is not fails.
    pub async fn run(&self, place: Place<'_>, call: &ToolCall) -> ToolResult {
        let Place {
            agent,
            call_sid,
            caller,
            today,
        } = place;
        if let Some(http) = self.http.get(agent)
            && let Some(result) = http.run(call).await
        {
            return result;
        }
        if call.tool == Texts::TOOL {
            return match &self.texts {
                Some(texts) => texts.send(call_sid, caller, call).await,
                None => ToolResult::plain("not_sent"),
            };
        }
        if let Some(store) = self.store.clone()
            && let Some(result) = Builtin::for_call(store, call_sid).run(call, today).await
        {
            return result;
        }
        tracing::warn!(
            tool = call.tool,
            "tool {} cannot be run: there is none, or no database",
            call.tool
        );
        ToolResult::plain(ToolResult::FAILED)
    }

    /// What the LLM may call by itself, because it only reads.
    pub fn readable(&self, agent: &str) -> impl Iterator<Item = &HttpToolSpec> {
        let specs = self.http.get(agent).into_iter().flat_map(HttpTools::specs);
        specs.filter(|spec| matches!(spec.method, Method::Get | Method::Head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialog::agent::parse;

    #[test]
    fn a_model_may_read_and_nothing_else() {
        let mut text = "name = \"a\"\ngreeting = \"Hello.\"\nsystem_prompt = \"Be brief.\"\n".to_owned();
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
            let name = method.to_lowercase();
            text += &format!("[[tools]]\nname = \"{name}\"\ndescription = \"x\"\nmethod = \"{method}\"\n");
            text += "url = \"https://a.example/\"\n";
        }
        let agents = Agents::single(parse(&text, "x").expect("a good file"));
        let tools = Tools::new(None, &agents, |_| None, &Egress::default()).expect("good tools");
        let names: Vec<&str> = tools.readable("a").map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["get", "head"]);
    }
}
