//! The answers a call waits for, cancelled together by turn.

use std::pin::Pin;

use futures_util::stream::{AbortHandle, Abortable, BoxStream, SelectAll};
use futures_util::{Stream, StreamExt};

use crate::dialog::conversation::ToolRecord;
use crate::dialog::form::Dialog;
use crate::engine::Spoken;
use crate::speech::Code;
use crate::turn::event::{Input, SentenceId, TurnId};

/// What comes back.
pub(super) enum Done {
    Input(Input),
    /// A transcript, and its language if that was asked.
    Heard((Option<Code>, Input)),
    Audio {
        sentence: SentenceId,
        spoken: Spoken,
    },
    /// The conversation once the turn counts; `line` is the caller's line of the history that it follows from.
    State {
        turn: TurnId,
        line: usize,
        dialog: Box<Dialog>,
    },
    /// A tool has begun to run.
    Acting(TurnId),
    /// A number that the language model wants the caller handed over to.
    Destination {
        turn: TurnId,
        number: String,
    },
    /// Whether the carrier hands the caller over.
    HandedOver(Transferred),
    Tool {
        turn: TurnId,
        tool: ToolRecord,
    },
}

/// What the carrier makes of a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transferred {
    /// It takes the call from its stream.
    Yes,
    /// Nothing has happened.
    No,
    /// It did not say. If it takes the call, the stream ends.
    Unclear,
}

/// What kind of answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The caller's words, or how finished they sound.
    Hearing,
    /// The dialog's reply.
    Reply,
    /// Audio of a sentence.
    Voice,
    /// The carrier.
    Outside,
}

/// Pending work of one call. Dropping it cancels everything.
#[derive(Default)]
pub(super) struct Work {
    pending: SelectAll<Pin<Box<Abortable<BoxStream<'static, Done>>>>>,
    handles: Vec<(TurnId, Kind, AbortHandle)>,
}

impl Work {
    pub(super) fn add(&mut self, turn: TurnId, kind: Kind, stream: impl Stream<Item = Done> + Send + 'static) {
        self.handles.retain(|(.., handle)| !handle.is_aborted());
        let (handle, registration) = AbortHandle::new_pair();
        self.handles.push((turn, kind, handle));
        self.pending
            .push(Box::pin(Abortable::new(stream.boxed(), registration)));
    }

    /// Drops everything a turn waits for.
    pub(super) fn cancel(&mut self, turn: TurnId) {
        self.abort(|of, _| of == turn);
    }

    /// Drops what of one kind a turn waits for.
    pub(super) fn cancel_kind(&mut self, turn: TurnId, kind: Kind) {
        self.abort(|of, of_kind| (of, of_kind) == (turn, kind));
    }

    fn abort(&mut self, unwanted: impl Fn(TurnId, Kind) -> bool) {
        self.handles.retain(|(turn, kind, handle)| {
            let unwanted = unwanted(*turn, *kind);
            if unwanted {
                handle.abort();
            }
            !unwanted
        });
    }

    /// The next answer; `None` at once when nothing is pending.
    pub(super) async fn next(&mut self) -> Option<Done> {
        let next = self.pending.next().await;
        if next.is_none() {
            self.handles.clear();
        }
        next
    }
}
