//! What goes into the machine and what comes out, with the ids that tie replies to requests.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::time::MediaTime;
use crate::turn::ledger::Ledger;

/// One exchange: the caller's turn and the agent's reply to it. 0 is the greeting. Ids are never reused in a call, so a
/// late result of a dropped turn is recognised and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(pub u32);

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One sentence of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SentenceId {
    /// The reply it belongs to.
    pub turn: TurnId,
    /// Its place, from 0.
    pub index: u16,
}

/// The name of a mark. The epoch changes with every `clear`, because Twilio returns cleared marks as if played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkName {
    /// How many times playout was cleared before this mark was sent.
    pub epoch: u32,
    /// The sentence that ends at this mark.
    pub sentence: SentenceId,
}

impl fmt::Display for MarkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "e{}.t{}.s{}", self.epoch, self.sentence.turn.0, self.sentence.index)
    }
}

impl MarkName {
    /// Reads a name back. `None` for a mark that is not ours.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('.');
        let epoch = parts.next()?.strip_prefix('e')?.parse().ok()?;
        let turn = parts.next()?.strip_prefix('t')?.parse().ok()?;
        let index = parts.next()?.strip_prefix('s')?.parse().ok()?;
        parts.next().is_none().then_some(Self {
            epoch,
            sentence: SentenceId {
                turn: TurnId(turn),
                index,
            },
        })
    }
}

/// What one window of caller audio holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// No speech.
    Silent,
    /// It sounds like speech to the quick detector. Enough to keep a turn going, not to start one.
    Maybe,
    /// The second opinion agrees, it stands out of the noise, and it is not our own audio coming back.
    Sure,
    /// Our own audio coming back. What seemed to be speech just before was the same.
    Echo,
}

/// What the parser of the awaited slot says of a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All of it is there.
    Complete,
    /// A good beginning; more is to come.
    Incomplete,
    /// This is something else.
    Impossible,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The stream is live: greet.
    Start,
    /// One VAD window of caller audio.
    Window {
        /// What it holds.
        voice: Voice,
        /// Line-rate samples in it.
        samples: u32,
    },
    /// What the caller said in a turn; empty if nothing was understood.
    Transcript {
        /// The turn asked about.
        turn: TurnId,
        /// Plain text.
        text: String,
        /// What it is in: an ISO 639-1 code.
        language: &'static str,
        /// How certain the transcriber is of it, 0 to 1.
        certainty: f32,
        /// What the awaited slot's parser says of it; `None` if no slot is awaited.
        progress: Option<Progress>,
    },
    /// How finished a turn sounds at the pause asked about.
    EndOfTurn {
        /// The turn asked about.
        turn: TurnId,
        /// 0 to 1.
        probability: f32,
    },
    /// The transcriber could not answer.
    TranscribeFailed {
        /// The turn asked about.
        turn: TurnId,
    },
    /// The reply has begun to arrive; for the ledger.
    FirstToken {
        /// The turn replied to.
        turn: TurnId,
    },
    /// The next sentence of the reply.
    Sentence {
        /// The turn replied to.
        turn: TurnId,
        /// Speakable text.
        text: String,
    },
    /// The reply has no more sentences.
    ReplyDone {
        /// The turn replied to.
        turn: TurnId,
    },
    /// When the reply was heard, the call ends. Comes before [`Input::ReplyDone`].
    EndAfter {
        /// The turn replied to.
        turn: TurnId,
        /// Why.
        reason: HangupReason,
    },
    /// The caller has typed something on the keypad: a turn of theirs that needs no ear.
    Typed {
        /// As the history has it.
        text: String,
    },
    /// Somebody outside the conversation wants this said by the agent, as soon as nobody has the floor.
    Speak {
        /// Speakable text.
        text: String,
    },
    /// Whoever has the floor loses it: the agent says this, which cannot be interrupted, and the call ends.
    Leave {
        /// Speakable text.
        text: String,
        /// Why.
        reason: HangupReason,
    },
    /// After [`HangupReason::HandOver`]: nobody could take the caller over. The agent says so and goes on.
    Stay {
        /// Speakable text.
        text: String,
    },
    /// The reply broke off.
    ReplyFailed {
        /// The turn replied to.
        turn: TurnId,
    },
    /// A sentence's audio is ready and waits with the driver.
    Synthesized {
        /// Which sentence.
        sentence: SentenceId,
        /// Line-rate samples, a multiple of one frame.
        samples: u64,
        /// Where in them its words lie, as white space parts the text. Nothing if that is not known, or if the text was said in other words.
        words: Arc<[Range<u64>]>,
    },
    /// A sentence could not be synthesised.
    SynthesizeFailed {
        /// Which sentence.
        sentence: SentenceId,
    },
    /// Twilio returned a mark.
    Mark(MarkName),
    /// The caller or the carrier ended the stream.
    Stop,
}

/// What to do about it, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Transcribe the caller's audio in `from..to`.
    Transcribe {
        /// Comes back with the transcript.
        turn: TurnId,
        /// First sample, pre-roll included.
        from: MediaTime,
        /// One past the last sample.
        to: MediaTime,
        /// What was transcribed before of the same turn: the slot's parser needs the whole.
        said: String,
        /// Whether the turn may still go on: others go first.
        speculative: bool,
    },
    /// Judge by its sound whether the turn in `from..to` is finished; `to` is the present.
    Judge {
        /// Comes back with the answer.
        turn: TurnId,
        /// First sample of the turn.
        from: MediaTime,
        /// One past the last sample.
        to: MediaTime,
    },
    /// The turn is over and what was prepared for it is wanted: what was speculative is urgent now.
    Commit {
        /// The turn.
        turn: TurnId,
    },
    /// Ask the dialog for a reply to the history.
    Generate {
        /// Comes back with each sentence.
        turn: TurnId,
    },
    /// Turn a sentence into audio.
    Synthesize {
        /// Comes back with the audio.
        sentence: SentenceId,
        /// What to say.
        text: String,
    },
    /// Put a synthesised sentence at the end of the outgoing queue.
    Queue {
        /// Which sentence.
        sentence: SentenceId,
    },
    /// Write this many samples of the outgoing queue to the line.
    Send {
        /// A multiple of one frame.
        samples: u64,
    },
    /// Write a mark to the line.
    SendMark(MarkName),
    /// Drop the outgoing queue.
    Purge,
    /// Tell the line to drop its buffer. [`Action::Purge`] comes first: what is still in our queue when the line clears
    /// would be heard afterwards.
    Clear,
    /// Stop synthesising for a turn; the dialog may go on.
    Hush {
        /// The turn.
        turn: TurnId,
    },
    /// Stop all work for a turn. Saves effort only; late results are ignored by id.
    Cancel {
        /// The turn dropped.
        turn: TurnId,
    },
    /// A turn is over; what is known about it.
    TurnEnded(Box<TurnSummary>),
    /// End the call.
    Hangup(HangupReason),
}

/// Why the machine ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangupReason {
    /// `MAX_CALL` was reached and the goodbye was said.
    MaxCall,
    /// No caller audio for `MEDIA_TIMEOUT`.
    MediaLost,
    /// The caller said nothing, however often the agent asked, and the goodbye was said.
    Silence,
    /// The conversation is over.
    Goodbye,
    /// A person is to go on with it.
    HandOver,
    /// An answering machine was called, and has its message.
    Machine,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The reply was heard to its end.
    Completed,
    /// The caller spoke over the reply.
    Interrupted,
    /// An engine failed and the caller heard the apology.
    Failed,
    /// The call ended during the turn.
    CutOff,
}

impl Outcome {
    /// Lower-case name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::CutOff => "cut-off",
        }
    }
}

/// One finished turn.
#[derive(Debug, Clone, PartialEq)]
pub struct TurnSummary {
    /// Which turn.
    pub turn: TurnId,
    /// What the caller said; `None` for the greeting and the goodbye.
    pub caller: Option<String>,
    /// What the caller heard of the reply.
    pub heard: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Caller audio from the onset to the endpoint.
    pub caller_audio: Duration,
    /// When each stage happened.
    pub ledger: Ledger,
}

/// Why the machine wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// The transcript is late.
    TranscribeDeadline,
    /// The next sentence of the reply is late.
    ReplyDeadline,
    /// A sentence's audio is late.
    SynthesizeDeadline,
    /// More audio may be sent without exceeding the lead.
    Playout,
    /// Everything was sent and should have been heard, but its mark has not come back.
    MarkOverdue,
    /// Nobody has said anything for long.
    Silence,
    /// The call has lasted long enough.
    MaxCall,
    /// No caller audio for too long.
    MediaTimeout,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_names_round_trip_and_strange_ones_are_not_ours() {
        let name = MarkName {
            epoch: 3,
            sentence: SentenceId {
                turn: TurnId(7),
                index: 2,
            },
        };
        assert_eq!(MarkName::parse(&name.to_string()), Some(name));
        for other in ["", "e1", "e1.t2", "e1.t2.s3.x", "x1.t2.s3", "e1.t2.s99999", "e-1.t2.s3"] {
            assert_eq!(MarkName::parse(other), None, "{other}");
        }
    }
}
