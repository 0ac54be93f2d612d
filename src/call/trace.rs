//! What happens in a call, for whoever placed it and may watch (the simulated caller), and for whoever runs the server.
//!
//! Events hold what was said. They go to subscribers that proved the call's token, and by [`Hub`] to the management API, which
//! leaves the words out for those who may not read them.

use std::sync::Arc;

use jiff::Timestamp;
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

/// Something that happened in one of the calls.
#[derive(Debug, Clone)]
pub struct LiveEvent {
    /// The carrier's id of the call.
    pub call_sid: Arc<str>,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// What happens in calls.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// A stream is live: the call begins, or goes on after its stream was lost.
    Start {
        /// Who answers.
        agent: String,
    },
    /// Something in it.
    Event(TraceEvent),
}

/// Where the events of all calls come together.
#[derive(Debug, Clone)]
pub struct Hub(broadcast::Sender<LiveEvent>);

impl Hub {
    /// A hub without subscribers.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(HUB_BACKLOG))
    }

    /// Events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<LiveEvent> {
        self.0.subscribe()
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

/// The sending side; costs nothing while nobody listens.
#[derive(Debug, Clone)]
pub struct Trace {
    sender: broadcast::Sender<TraceEvent>,
    hub: Option<(Arc<str>, Hub)>,
}

impl Trace {
    /// A trace without subscribers.
    pub fn new() -> Self {
        Self {
            sender: broadcast::Sender::new(BACKLOG),
            hub: None,
        }
    }

    /// The trace of a call that a hub hears of too.
    pub fn told_to(hub: &Hub, call_sid: &str) -> Self {
        Self {
            hub: Some((call_sid.into(), hub.clone())),
            ..Self::new()
        }
    }

    /// Tells the subscribers, if any.
    pub fn emit(&self, event: impl FnOnce() -> TraceEvent) {
        let hub = self.heard_by_hub();
        let own = self.sender.receiver_count() > 0;
        if !own && hub.is_none() {
            return;
        }
        let event = event();
        if let Some((call_sid, hub)) = hub {
            tell(hub, call_sid, Happening::Event(event.clone()));
        }
        if own {
            // A subscriber that left between the check and here misses nothing it wanted.
            let _ = self.sender.send(event);
        }
    }

    /// Tells the hub that the call is live.
    pub fn begun(&self, agent: &str) {
        if let Some((call_sid, hub)) = self.heard_by_hub() {
            let agent = agent.to_owned();
            tell(hub, call_sid, Happening::Start { agent });
        }
    }

    fn heard_by_hub(&self) -> Option<&(Arc<str>, Hub)> {
        self.hub.as_ref().filter(|(_, hub)| hub.0.receiver_count() > 0)
    }

    /// Events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<TraceEvent> {
        self.sender.subscribe()
    }
}

fn tell(hub: &Hub, call_sid: &Arc<str>, what: Happening) {
    let event = LiveEvent {
        call_sid: Arc::clone(call_sid),
        at: Timestamp::now(),
        what,
    };
    // As above.
    let _ = hub.0.send(event);
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

/// Events a slow subscriber may lag behind before it loses the oldest.
const BACKLOG: usize = 64;
/// The same for the events of all calls.
const HUB_BACKLOG: usize = 1024;
