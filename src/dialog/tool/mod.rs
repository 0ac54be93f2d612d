//! What the dialog can do besides talking: look something up, write something down.

pub mod egress;
pub mod http;
pub mod spec;
mod template;

use serde_json::{Map, Value};

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
