//! What somebody outside may have a live call do.

pub use crate::twilio::status::AnsweredBy;

/// What a call is told to do.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// End it, in order.
    HangUp,
    /// Have the agent say something, as soon as nobody has the floor.
    Say(String),
    /// Hand the caller over to a person.
    Transfer {
        /// Where to, E.164; it must be one of `TRANSFER_NUMBERS`. `None`: where the agent hands over to.
        to: Option<String>,
    },
    /// Pause its recording, or let it go on.
    Record {
        /// Whether it pauses.
        paused: bool,
    },
}

/// What is said and who is called is PHI.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::HangUp => "HangUp",
            Self::Say(_) => "Say(hidden)",
            Self::Transfer { .. } => "Transfer(hidden)",
            Self::Record { paused: true } => "Record(paused)",
            Self::Record { paused: false } => "Record(on)",
        })
    }
}

/// Why a command was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such call, or nobody talks in it any more.
    #[error("there is no live call of that sid")]
    NotLive,
    /// It has more commands waiting than it can take.
    #[error("the call is busy with other commands")]
    Busy,
}

/// What the driver of a call reads from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    Command(Command),
    Answered(AnsweredBy),
}

/// Orders that may wait for one call.
pub(super) const MOST_ORDERS: usize = 8;
