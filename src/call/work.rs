//! The answers a call waits for, cancelled together by turn.

use std::pin::Pin;

use futures_util::stream::{AbortHandle, Abortable, BoxStream, SelectAll};
use futures_util::{Stream, StreamExt};

use crate::engine::LineAudio;
use crate::turn::event::{Input, SentenceId, TurnId};

/// What comes back.
#[derive(Debug)]
pub(super) enum Done {
    Input(Input),
    Audio { sentence: SentenceId, audio: LineAudio },
}

/// Pending work of one call. Dropping it cancels everything.
#[derive(Default)]
pub(super) struct Work {
    pending: SelectAll<Pin<Box<Abortable<BoxStream<'static, Done>>>>>,
    handles: Vec<(TurnId, AbortHandle)>,
}

impl Work {
    pub(super) fn add(&mut self, turn: TurnId, stream: impl Stream<Item = Done> + Send + 'static) {
        self.handles.retain(|(_, handle)| !handle.is_aborted());
        let (handle, registration) = AbortHandle::new_pair();
        self.handles.push((turn, handle));
        self.pending
            .push(Box::pin(Abortable::new(stream.boxed(), registration)));
    }

    /// Drops everything a turn waits for.
    pub(super) fn cancel(&mut self, turn: TurnId) {
        self.handles.retain(|(of, handle)| {
            if *of == turn {
                handle.abort();
            }
            *of != turn
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
