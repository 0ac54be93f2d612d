//! When each stage of a turn happened, on the monotonic clock.

use std::time::{Duration, Instant};

use crate::turn::endpoint::Reason;

/// The stamps of one turn. A stage that was not reached is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ledger {
    /// The last voiced caller window was received.
    pub last_voiced: Option<Instant>,
    /// The pause was noticed: its sound was judged, and the answer begun if there is speculation.
    pub pause: Option<Instant>,
    /// The pause was taken as the end of the turn.
    pub endpoint: Option<Instant>,
    /// And why.
    pub endpoint_reason: Option<Reason>,
    /// How finished the turn sounded, 0 to 1.
    pub sound: Option<f32>,
    /// Answers begun at earlier pauses of this turn and dropped.
    pub dropped: u32,
    /// The transcript was asked for; before the endpoint if it was speculative.
    pub transcribing: Option<Instant>,
    /// The transcript arrived.
    pub transcribed: Option<Instant>,
    /// The reply was asked for.
    pub requested: Option<Instant>,
    /// The reply's first token arrived.
    pub first_token: Option<Instant>,
    /// The reply's first sentence was complete.
    pub first_sentence: Option<Instant>,
    /// The first sentence was given to the synthesiser.
    pub synthesizing: Option<Instant>,
    /// The first sentence's audio was ready.
    pub first_audio: Option<Instant>,
    /// The first audio was written to the line.
    pub first_sent: Option<Instant>,
    /// The first mark came back: the caller has heard the first sentence to its end.
    pub first_mark: Option<Instant>,
    /// The caller spoke over the reply.
    pub barge_in: Option<Instant>,
}

impl Ledger {
    /// Last voiced caller sample received → first agent audio sent.
    pub fn voice_to_voice(&self) -> Option<Duration> {
        span(self.last_voiced, self.first_sent)
    }

    /// Last voiced caller sample received → endpoint.
    pub fn endpoint_delay(&self) -> Option<Duration> {
        span(self.last_voiced, self.endpoint)
    }

    /// Transcript asked for → transcript.
    pub fn transcription(&self) -> Option<Duration> {
        span(self.transcribing, self.transcribed)
    }

    /// Whether the answer was prepared before the endpoint.
    pub fn speculated(&self) -> bool {
        self.transcribing < self.endpoint
    }

    /// Last voiced caller sample received → pause noticed.
    pub fn pause_noticed(&self) -> Option<Duration> {
        span(self.last_voiced, self.pause)
    }

    /// First agent audio sent → first mark.
    pub fn first_heard(&self) -> Option<Duration> {
        span(self.first_sent, self.first_mark)
    }

    /// First agent audio sent → the caller spoke over it.
    pub fn interrupted_after(&self) -> Option<Duration> {
        span(self.first_sent, self.barge_in)
    }

    /// Whether we seem to have cut the caller off: the caller spoke again within a second of our first audio.
    pub fn suspected_cut_off(&self) -> bool {
        self.interrupted_after().is_some_and(|after| after < SUSPICIOUS)
    }

    /// Reply requested → first token.
    pub fn time_to_first_token(&self) -> Option<Duration> {
        span(self.requested, self.first_token)
    }

    /// Reply requested → first sentence complete.
    pub fn time_to_first_sentence(&self) -> Option<Duration> {
        span(self.requested, self.first_sentence)
    }

    /// Synthesis of the first sentence asked for → its audio ready.
    pub fn synthesis(&self) -> Option<Duration> {
        span(self.synthesizing, self.first_audio)
    }
}

/// Nobody hears an answer out, disagrees and says so in less.
const SUSPICIOUS: Duration = Duration::from_secs(1);

/// Sets a stamp once.
pub(super) fn stamp(slot: &mut Option<Instant>, now: Instant) {
    slot.get_or_insert(now);
}

fn span(from: Option<Instant>, to: Option<Instant>) -> Option<Duration> {
    Some(to?.saturating_duration_since(from?))
}
