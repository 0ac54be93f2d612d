//! When each stage of a turn happened, on the monotonic clock.

use std::time::{Duration, Instant};

/// The stamps of one turn. A stage that was not reached is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    /// The last voiced caller window was received.
    pub last_voiced: Option<Instant>,
    /// The pause was taken as the end of the turn.
    pub endpoint: Option<Instant>,
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
    /// The first sentence's audio was ready.
    pub first_audio: Option<Instant>,
    /// The first audio was written to the line.
    pub first_sent: Option<Instant>,
    /// The first mark came back: the caller has heard the first sentence to its end.
    pub first_mark: Option<Instant>,
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

    /// Reply requested → first token.
    pub fn time_to_first_token(&self) -> Option<Duration> {
        span(self.requested, self.first_token)
    }

    /// Reply requested → first sentence complete.
    pub fn time_to_first_sentence(&self) -> Option<Duration> {
        span(self.requested, self.first_sentence)
    }

    /// First sentence complete → its audio ready.
    pub fn synthesis(&self) -> Option<Duration> {
        span(self.first_sentence, self.first_audio)
    }
}

/// Sets a stamp once.
pub(super) fn stamp(slot: &mut Option<Instant>, now: Instant) {
    slot.get_or_insert(now);
}

fn span(from: Option<Instant>, to: Option<Instant>) -> Option<Duration> {
    Some(to?.saturating_duration_since(from?))
}
