//! What the driver needs of a line, whatever carries it: what the caller does comes out, what the agent does goes in.

use std::future::Future;

use crate::turn::event::MarkName;

/// One thing that happened on the line. It has no `Debug`: audio and keys are private.
#[derive(PartialEq, Eq)]
pub enum Received<'a> {
    /// Caller audio.
    Audio(Audio<'a>),
    /// A key was pressed.
    Dtmf(char),
    /// Everything sent before this mark was played, or dropped by a clear.
    Mark(MarkName),
    /// The call or the stream ended.
    Stop,
    /// Nothing that says anything.
    Ignored,
    /// Something that cannot be read, and what is wrong with it, without its content.
    Unreadable(&'static str),
    /// The connection is gone.
    Closed,
}

/// A piece of caller audio, of any length, borrowed from the line's buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Audio<'a> {
    /// Milliseconds from the start of the stream to the start of this piece, if the line tells.
    pub at_ms: Option<u64>,
    /// 8 kHz mono.
    pub pcm: &'a [i16],
}

/// One thing to do on the line.
#[derive(Clone, Copy)]
pub enum Outgoing<'a> {
    /// Play this μ-law behind everything that waits there.
    Audio(&'a [u8]),
    /// Return this mark once everything before it was played.
    Mark(MarkName),
    /// Drop what has not been played.
    Clear,
}

/// A line.
pub trait Socket: Send {
    /// The next thing that happens. Safe to drop while waiting.
    fn receive(&mut self) -> impl Future<Output = Received<'_>> + Send;

    /// Does one thing; `false` if the connection is gone.
    fn send(&mut self, outgoing: Outgoing<'_>) -> impl Future<Output = bool> + Send;

    /// Ends the stream.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}
