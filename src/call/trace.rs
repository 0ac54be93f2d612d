//! What happens in a call, for whoever placed it and may watch: the simulated caller, later the console.
//!
//! Events hold what was said. They go to subscribers that proved the call's token, and nowhere else.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::telemetry::latency::TurnLatency;

/// One event of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum TraceEvent {
    /// What was understood of the caller.
    Caller {
        /// Turn number.
        turn: u32,
        /// Transcript.
        text: String,
    },
    /// A sentence given to the synthesiser.
    Agent {
        /// Turn number.
        turn: u32,
        /// As written, before numbers are spelled out.
        text: String,
    },
    /// What the caller heard of the reply.
    Heard {
        /// Turn number.
        turn: u32,
        /// Cut between words where it was interrupted.
        text: String,
    },
    /// A tool was run.
    Tool {
        /// Turn number.
        turn: u32,
        /// Its name.
        tool: String,
        /// What it was asked.
        args: serde_json::Value,
        /// What came of it.
        outcome: String,
        /// In milliseconds.
        took_ms: u64,
    },
    /// The turn is over.
    Turn {
        /// Turn number; 0 is the greeting.
        turn: u32,
        /// How it ended.
        outcome: String,
        /// Stage by stage.
        latency: TurnLatency,
    },
    /// The call is over.
    End,
}

/// The sending side; costs nothing while nobody listens.
#[derive(Debug, Clone)]
pub struct Trace {
    sender: broadcast::Sender<TraceEvent>,
}

impl Trace {
    /// A trace without subscribers.
    pub fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Tells the subscribers, if any.
    pub fn emit(&self, event: impl FnOnce() -> TraceEvent) {
        if self.sender.receiver_count() > 0 {
            // A subscriber that left between the check and here misses nothing it wanted.
            let _ = self.sender.send(event());
        }
    }

    /// Events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<TraceEvent> {
        self.sender.subscribe()
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// Events a slow subscriber may lag behind before it loses the oldest.
const BACKLOG: usize = 64;
