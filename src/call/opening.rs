//! How a call begins when it is not simply somebody who rings.

use std::fmt;

use serde_json::{Map, Value};

use crate::dialog::form::Dialog;
use crate::store::Consent;
use crate::turn::machine::Line;

/// Who placed a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// They called us.
    #[default]
    Inbound,
    /// We called them.
    Outbound,
}

impl Direction {
    /// Lower-case name for records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// With what a call's stream opens. The default is a caller who rings. PHI: its `Debug` hides it.
#[derive(Clone, Default)]
pub struct Opening {
    /// Who placed the call.
    pub direction: Direction,
    /// The agent by name, instead of the one of the number called.
    pub agent: Option<String>,
    /// For the agent's templates, as `context`.
    pub context: Map<String, Value>,
    /// What an answering machine is told. `None`: it is hung up on.
    pub message: Option<String>,
    /// What the caller has said to being recorded, if that is known already.
    pub consent: Option<Consent>,
    /// The conversation goes on where it was.
    pub back: Option<Back>,
}

/// A conversation that was broken off, to go on with.
#[derive(Clone)]
pub struct Back {
    /// What the agent comes back with.
    pub(super) words: String,
    /// What it has come to.
    pub(super) dialog: Box<Dialog>,
    /// What was said.
    pub(super) history: Vec<Line>,
    /// The number of the next turn.
    pub(super) next_turn: u32,
}

impl Opening {
    /// The number of the first turn of a stream that opens so, as the machine counts.
    pub(super) fn first_turn(&self) -> u32 {
        let back = self.back.as_ref().filter(|back| !back.history.is_empty());
        back.map_or(0, |back| back.next_turn)
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("direction", &self.direction)
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}
