//! What came of the calls, for people and for machines.

use std::fmt::Write as _;

use serde::Serialize;

use crate::caller::calls::ScriptedCall;

/// All calls.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) calls: Vec<Result>,
    pub(super) elapsed_s: f64,
    pub(super) cores: usize,
    /// Cores kept busy by this program, and by others.
    pub(super) load: Option<[f64; 2]>,
}

/// One call. The callers and their data are made up.
#[derive(Debug, Default, Serialize)]
pub(super) struct Result {
    pub(super) name: String,
    pub(super) agent: String,
    pub(super) seconds: f64,
    pub(super) faults: Vec<String>,
    pub(super) tools: Vec<String>,
    pub(super) lines: Vec<String>,
}

impl Result {
    pub(super) fn of(call: &ScriptedCall) -> Self {
        Self {
            name: call.name.clone(),
            agent: call.agent.clone(),
            ..Self::default()
        }
    }

    pub(super) fn lost(call: &ScriptedCall, fault: String) -> Self {
        Self {
            faults: vec![fault],
            ..Self::of(call)
        }
    }

    pub(super) fn line(&self) -> String {
        let word = if self.faults.is_empty() { "ok" } else { "FAILED" };
        format!("| {} | {} | {word} | {:.0} |", self.name, self.agent, self.seconds)
    }
}

impl Figures {
    pub(super) fn percent(&self) -> f64 {
        100.0 * self.good() as f64 / self.calls.len().max(1) as f64
    }

    fn good(&self) -> usize {
        self.calls.iter().filter(|call| call.faults.is_empty()).count()
    }

    pub(super) fn text(&self, all: bool) -> String {
        let mut text = "| call | agent | | s |\n|---|---|---|---|\n".to_owned();
        for call in &self.calls {
            let _ = writeln!(text, "{}", call.line());
        }
        for call in self.calls.iter().filter(|call| all || !call.faults.is_empty()) {
            let _ = writeln!(text, "\n{}: {}", call.name, call.faults.join("; "));
            for line in &call.lines {
                let _ = writeln!(text, "  {line}");
            }
        }
        let (good, n) = (self.good(), self.calls.len());
        let _ = writeln!(
            text,
            "\n{good} of {n} calls ({:.1} %) came to what they should, in {:.0} s",
            self.percent(),
            self.elapsed_s
        );
        if let Some([own, foreign]) = self.load {
            let _ = writeln!(
                text,
                "of {} cores busy: {own:.2} with this program, {foreign:.2} with others",
                self.cores
            );
        }
        text
    }
}
