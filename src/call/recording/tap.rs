//! The audio loop's end of a recording: it counts where on the carrier's clock each piece belongs and hands it on. It never waits.
//!
//! The caller's audio is where its media time says. The agent's is put where it would play if the line had no delay; by how much later it was
//! heard tells the mark behind each sentence, which comes in one stream with the caller's audio, so that no jitter is in it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::clock::MediaClock;
use crate::audio::mulaw;
use crate::time::SampleRate;
use crate::turn::event::MarkName;

/// What the loop hands on. Positions are samples of the caller's audio since the recording began.
pub(super) enum Message {
    Piece(Piece),
    /// The agent's audio from here on was thrown away unheard.
    Cut {
        at: u64,
    },
    /// A sentence was heard that much later than it was put.
    Shift {
        segment: u32,
        samples: u32,
    },
    /// Both sides are silence from here on.
    Pause {
        from: u64,
        why: Why,
    },
    Resume {
        at: u64,
    },
}

/// 20 ms of one side, or less.
pub(super) struct Piece {
    pub(super) side: Side,
    /// Which sentence of the agent's, counted through the recording.
    pub(super) segment: u32,
    pub(super) at: u64,
    /// What the carrier is at.
    pub(super) now: u64,
    pub(super) length: u8,
    pub(super) audio: [u8; PIECE],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Agent,
}

/// Why a recording pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A slot that is marked sensitive is awaited.
    Sensitive,
    /// Keys are pressed.
    Keys,
    /// Somebody who runs the server wants it.
    Operator,
}

impl Why {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Sensitive, Self::Keys, Self::Operator];

    /// Lower-case name for records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sensitive => "sensitive",
            Self::Keys => "keys",
            Self::Operator => "operator",
        }
    }
}

/// What the loop tells beside the audio.
#[derive(Debug)]
pub(super) struct Told {
    /// Samples that found no room, both sides.
    pub(super) lost: AtomicU64,
    /// Nothing from here on may be kept: a pause could not be told.
    pub(super) never: AtomicU64,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            lost: AtomicU64::new(0),
            never: AtomicU64::new(u64::MAX),
        }
    }
}

/// The loop's end of one stream's recording. Off, it does nothing.
#[derive(Default)]
pub struct Tap(Option<Box<Open>>);

struct Open {
    call_sid: String,
    messages: SyncSender<Message>,
    told: Arc<Told>,
    /// The recording is written, or given up.
    written: oneshot::Receiver<()>,
    clock: MediaClock,
    /// Samples of the caller.
    received: u64,
    /// Where the line runs dry.
    runs_out: u64,
    /// Counts how often it did.
    run: u32,
    segment: u32,
    marks: VecDeque<Mark>,
    /// The run that was measured last, and how late it was heard.
    shift: (u32, u64),
    pauses: Pauses,
    /// What must be told before any other piece, as there was no room.
    owed: VecDeque<Message>,
    lossy: bool,
}

/// A mark that is to come back.
struct Mark {
    name: MarkName,
    segment: u32,
    run: u32,
    /// Where the audio before it ends, as it was put.
    at: u64,
}

#[derive(Default)]
struct Pauses {
    sensitive: bool,
    operator: bool,
    /// Until when keys are taken to belong together.
    keys_until: u64,
    open: bool,
}

impl Tap {
    /// Records nothing.
    pub fn off() -> Self {
        Self(None)
    }

    pub(super) fn new(
        call_sid: &str,
        messages: SyncSender<Message>,
        told: Arc<Told>,
        written: oneshot::Receiver<()>,
    ) -> Self {
        Self(Some(Box::new(Open {
            call_sid: call_sid.to_owned(),
            messages,
            told,
            written,
            clock: MediaClock::default(),
            received: 0,
            runs_out: 0,
            run: 0,
            segment: 0,
            marks: VecDeque::with_capacity(MARKS),
            shift: (0, 0),
            pauses: Pauses::default(),
            owed: VecDeque::with_capacity(OWED),
            lossy: false,
        })))
    }

    /// Takes caller audio, lost parts of it as silence; `keyed` if a key's tones are in it.
    pub fn caller(&mut self, pcm: &[i16], keyed: bool, now: Instant) {
        let Some(open) = &mut self.0 else { return };
        let from = open.received;
        open.received += pcm.len() as u64;
        open.clock.arrived(open.received, now);
        if keyed {
            open.keys(from);
        }
        open.look();
        if open.pauses.open {
            return;
        }
        let now = open.clock.position(now);
        let mut at = from;
        for samples in pcm.chunks(PIECE) {
            let mut audio = [mulaw::SILENCE; PIECE];
            for (byte, sample) in audio.iter_mut().zip(samples) {
                *byte = mulaw::encode(*sample);
            }
            let length = samples.len() as u8;
            open.piece(Side::Caller, at, now, length, audio);
            at += samples.len() as u64;
        }
    }

    /// Takes agent audio as it is handed to the line.
    pub fn agent(&mut self, mulaw: &[u8], now: Instant) {
        let Some(open) = &mut self.0 else { return };
        open.look();
        let now = open.clock.position(now);
        if open.runs_out < now || open.run == 0 {
            open.run += 1;
            open.runs_out = now;
        }
        for bytes in mulaw.chunks(PIECE) {
            let at = open.runs_out;
            open.runs_out += bytes.len() as u64;
            if open.pauses.open {
                continue;
            }
            let mut audio = [mulaw::SILENCE; PIECE];
            audio[..bytes.len()].copy_from_slice(bytes);
            open.piece(Side::Agent, at, now, bytes.len() as u8, audio);
        }
    }

    /// A mark is sent behind the audio so far.
    pub fn mark_sent(&mut self, name: MarkName) {
        let Some(open) = &mut self.0 else { return };
        if open.marks.len() == MARKS {
            open.marks.pop_front();
        }
        let mark = Mark {
            name,
            segment: open.segment,
            run: open.run,
            at: open.runs_out,
        };
        open.marks.push_back(mark);
        open.segment += 1;
    }

    /// A mark has come back: what was before it was heard.
    pub fn marked(&mut self, name: MarkName) {
        let Some(open) = &mut self.0 else { return };
        let Some(place) = open.marks.iter().position(|mark| mark.name == name) else {
            return;
        };
        let Some(mark) = open.marks.drain(..=place).next_back() else {
            return;
        };
        let late = open.received.saturating_sub(mark.at).min(LONGEST_SHIFT);
        let (run, known) = open.shift;
        // The carrier tells at the next whole frame: within one, the least is the truest.
        let keeps = run == mark.run && (known..=known + PIECE as u64).contains(&late);
        let samples = if keeps { known } else { late };
        open.shift = (mark.run, samples);
        open.tell(Message::Shift {
            segment: mark.segment,
            samples: samples as u32,
        });
    }

    /// The line was told to drop what it has not played.
    pub fn cleared(&mut self, now: Instant) {
        let Some(open) = &mut self.0 else { return };
        let at = open.clock.position(now);
        open.marks.clear();
        open.segment += 1;
        open.runs_out = open.runs_out.min(at);
        open.tell(Message::Cut { at });
    }

    /// The caller has pressed a key.
    pub fn key(&mut self) {
        let Some(open) = &mut self.0 else { return };
        open.keys(open.received);
    }

    /// Whether what is said now must not be kept.
    pub fn sensitive(&mut self, sensitive: bool) {
        let Some(open) = &mut self.0 else { return };
        open.pauses.sensitive = sensitive;
        open.pause_or_resume(open.received, Why::Sensitive);
    }

    /// Somebody who runs the server pauses the recording, or lets it go on. `false` if there is none.
    pub fn operator(&mut self, paused: bool) -> bool {
        let Some(open) = &mut self.0 else { return false };
        open.pauses.operator = paused;
        open.pause_or_resume(open.received, Why::Operator);
        true
    }

    /// Waits until all is written, for a while.
    pub async fn end(self) {
        let Some(mut open) = self.0 else { return };
        open.pay();
        if open.owed.iter().any(|owed| matches!(owed, Message::Pause { .. })) {
            let from = open.owed.iter().filter_map(|owed| match owed {
                Message::Pause { from, .. } => Some(*from),
                Message::Piece(_) | Message::Cut { .. } | Message::Shift { .. } | Message::Resume { .. } => None,
            });
            open.told.never.fetch_min(from.min().unwrap_or(0), Ordering::AcqRel);
        }
        let Open {
            messages,
            written,
            call_sid: call,
            ..
        } = *open;
        drop(messages);
        if tokio::time::timeout(LAST_WORDS, written).await.is_err() {
            tracing::error!(
                call,
                "the recording of call {call} is not finished yet: the disk or the database is too slow"
            );
        }
    }
}

impl Open {
    /// The line tells of keys in order with the caller's audio: so do we, however late it is.
    fn keys(&mut self, from: u64) {
        self.pauses.keys_until = self.received + KEYS;
        self.pause_or_resume(from.saturating_sub(BACK), Why::Keys);
    }

    /// Ends a pause for keys in time.
    fn look(&mut self) {
        if self.pauses.open {
            self.pause_or_resume(self.received, Why::Keys);
        }
    }

    fn pause_or_resume(&mut self, from: u64, why: Why) {
        let Pauses {
            sensitive,
            operator,
            keys_until,
            open,
        } = self.pauses;
        let wanted = sensitive || operator || self.received < keys_until;
        if wanted == open {
            return;
        }
        self.pauses.open = wanted;
        self.tell(if wanted {
            Message::Pause { from, why }
        } else {
            Message::Resume { at: self.received }
        });
    }

    fn piece(&mut self, side: Side, at: u64, now: u64, length: u8, audio: [u8; PIECE]) {
        self.pay();
        let piece = Piece {
            side,
            segment: self.segment,
            at,
            now,
            length,
            audio,
        };
        // What is owed comes first; silence of the same length takes the piece's place.
        if !self.owed.is_empty()
            || matches!(
                self.messages.try_send(Message::Piece(piece)),
                Err(TrySendError::Full(_))
            )
        {
            self.told.lost.fetch_add(length.into(), Ordering::Relaxed);
            if !std::mem::replace(&mut self.lossy, true) {
                let call = &self.call_sid;
                tracing::warn!(
                    call,
                    "parts of the recording of call {call} are lost: the disk is too slow"
                );
            }
        }
    }

    /// Tells what no room may keep from being told.
    fn tell(&mut self, message: Message) {
        self.pay();
        if !self.owed.is_empty() {
            return self.owe(message);
        }
        if let Err(TrySendError::Full(message)) = self.messages.try_send(message) {
            self.owe(message);
        }
    }

    fn owe(&mut self, message: Message) {
        if self.owed.len() < OWED {
            return self.owed.push_back(message);
        }
        // Beyond that the rest is not worth a risk.
        if let Message::Pause { from, .. } = message {
            self.told.never.fetch_min(from, Ordering::AcqRel);
        }
    }

    fn pay(&mut self) {
        while let Some(message) = self.owed.pop_front() {
            if let Err(TrySendError::Full(message)) = self.messages.try_send(message) {
                self.owed.push_front(message);
                return;
            }
        }
    }
}

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Tap").field(&self.0.is_some()).finish()
    }
}

/// Samples of the longest piece: 20 ms.
pub(super) const PIECE: usize = 160;
/// How much of what was before a key is silence too: a key is told of when its tone is over, or nearly.
pub(super) const BACK: u64 = SampleRate::LINE.samples(Duration::from_millis(500));
/// How long after a key the next one may come: as `call::keys` has it.
const KEYS: u64 = SampleRate::LINE.samples(Duration::from_secs(2));
/// A mark that is later than this is late for another reason.
const LONGEST_SHIFT: u64 = SampleRate::LINE.samples(Duration::from_secs(5));
/// Sentences that may be on the line.
const MARKS: usize = 64;
/// What may wait for room beside audio.
const OWED: usize = 64;
/// How long the end of a call waits for its recording. What is not written by then is still tried.
const LAST_WORDS: Duration = Duration::from_secs(5);
