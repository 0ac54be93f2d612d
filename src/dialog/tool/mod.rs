//! What the dialog can do besides talking: look something up, write something down.

pub mod builtin;

use serde_json::{Map, Value};

use crate::dialog::tool::builtin::Builtin;
use crate::store::Store;

/// A tool the dialog wants run. Nothing runs before the caller's turn is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// Name of the tool.
    pub tool: String,
    /// By the tool's parameter names. Dates are `YYYY-MM-DD`, phone numbers E.164, money cents.
    pub args: Map<String, Value>,
    /// The same for every repetition of the same act: a tool that writes does so once for it.
    pub key: String,
}

/// What came of it. Holds PHI: never logged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToolResult {
    /// One of the tool's documented outcomes, such as `found`; the agent file says what follows from each.
    pub outcome: String,
    /// What the agent file's templates may say.
    pub data: Map<String, Value>,
}

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
#[derive(Clone, Default)]
pub struct Tools {
    store: Option<Store>,
}

impl Tools {
    /// Without a store, the tools that need one fail.
    pub fn new(store: Option<Store>) -> Self {
        Self { store }
    }

    /// Runs a tool for a call. A tool that there is not fails.
    pub async fn run(&self, call_sid: &str, call: &ToolCall) -> ToolResult {
        if let Some(store) = self.store.clone()
            && let Some(result) = Builtin::for_call(store, call_sid).run(call).await
        {
            return result;
        }
        tracing::warn!(tool = call.tool, "there is no tool {}", call.tool);
        ToolResult::plain(ToolResult::FAILED)
    }

    /// Whether the LLM may call it by itself, because it only reads.
    pub fn is_readable(&self, _name: &str) -> bool {
        false
    }

    /// Those: name, description, JSON schema of the arguments.
    pub fn readable(&self) -> impl Iterator<Item = (String, String, Value)> {
        std::iter::empty()
    }
}
