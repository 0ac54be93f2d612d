//! What a call waits for.

use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::super::turn::{Event, Over};
use crate::call::end::CallEnd;
use crate::engine::LineAudio;

/// What the call waits for.
pub(super) enum Phase {
    /// The caller's words.
    Listening { until: Instant },
    /// More keys.
    Typing { keys: String, until: Instant },
    /// A turn, or to be asked for the rest of it.
    Answering { turn: Box<Running>, until: Option<Instant> },
    /// That the last words are fetched.
    Closing {
        end: CallEnd,
        fetched: Option<watch::Receiver<bool>>,
        until: Instant,
    },
}

/// What comes of that.
#[expect(clippy::large_enum_variant, reason = "it is taken apart as soon as it is there")]
pub(super) enum News {
    /// From the turn; `None` if it has died.
    Turn(Option<Event>),
    /// The last words were fetched.
    Fetched(CallEnd),
}

/// A turn that is being worked on.
pub(super) struct Running {
    pub(super) task: AbortHandle,
    pub(super) events: mpsc::Receiver<Event>,
    /// Audio that is to be played.
    pub(super) ready: Vec<LineAudio>,
    pub(super) over: Option<Over>,
    /// Its task has died once.
    pub(super) broken: bool,
    /// Whether tools may begin.
    pub(super) counts: watch::Sender<bool>,
}

impl Phase {
    pub(super) async fn news(&mut self) -> News {
        match self {
            Self::Answering { turn, .. } if turn.over.is_none() => News::Turn(turn.events.recv().await),
            Self::Closing { end, fetched, .. } => {
                if let Some(fetched) = fetched
                    && fetched.wait_for(|&fetched| fetched).await.is_err()
                {
                    // The clip was dropped unheard; the deadline decides.
                    return std::future::pending().await;
                }
                News::Fetched(*end)
            }
            Self::Answering { .. } | Self::Listening { .. } | Self::Typing { .. } => std::future::pending().await,
        }
    }

    /// What it means that the caller is gone. After our goodbye it means nothing more.
    pub(super) fn end_when_gone(&self) -> CallEnd {
        match self {
            Self::Closing { end, .. } => *end,
            Self::Listening { .. } | Self::Typing { .. } | Self::Answering { .. } => CallEnd::Caller,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A tool that runs has a task of its own, and is not stopped half-way; `Line::finish` has waited for what comes of it.
        self.task.abort();
    }
}
