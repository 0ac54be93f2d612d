//! How a call ends.

use crate::call::flow::Ended;
use crate::turn::event::HangupReason;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// The caller hung up or the carrier stopped the stream.
    Caller,
    /// We ended it.
    Agent(HangupReason),
    /// We ended it before an agent answered.
    Reception(Ended),
    /// The connection broke.
    Lost,
    /// This server stops.
    Shutdown,
    /// Somebody who runs this server ended it.
    Operator,
}

impl CallEnd {
    /// Lower-case name for records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Agent(HangupReason::Goodbye) => "goodbye",
            Self::Agent(HangupReason::HandOver) => "hand-over",
            Self::Agent(HangupReason::MaxCall) => "max-call",
            Self::Agent(HangupReason::Silence) => "silence",
            Self::Agent(HangupReason::MediaLost) => "media-lost",
            Self::Agent(HangupReason::Machine) => "machine",
            Self::Operator => "operator",
            Self::Reception(ended) => ended.name(),
            Self::Lost => "lost",
            Self::Shutdown => "shutdown",
        }
    }
}
