//! Where the carrier's clock stands, told by what arrives from it.
//!
//! Frames may be late, never early: of the last seconds the one that was least late tells the carrier's time. A burst, or a gap whose audio
//! comes after all, changes nothing; a clock that runs a little faster or slower than ours is followed.

use std::time::{Duration, Instant};

use crate::time::SampleRate;

/// Media time as it passes at the carrier.
#[derive(Debug, Default)]
pub(super) struct MediaClock {
    start: Option<Instant>,
    /// How late the promptest frame was, in samples: of this span, and of the one before.
    present: Option<i64>,
    former: Option<i64>,
    /// When the present span began, in samples of our clock.
    since: i64,
    /// What was told last: it does not go back.
    last: u64,
}

impl MediaClock {
    /// All audio before this position has arrived.
    pub(super) fn arrived(&mut self, position: u64, now: Instant) {
        let ours = self.ours(now);
        if self.present.is_none() || ours - self.since >= SPAN {
            self.former = self.present.take();
            self.since = ours;
        }
        let late = ours - signed(position);
        self.present = Some(self.present.map_or(late, |least| least.min(late)));
    }

    /// What the carrier is at by now; 0 before anything has arrived.
    pub(super) fn position(&mut self, now: Instant) -> u64 {
        let least = self.present.into_iter().chain(self.former).min();
        if let Some(least) = least {
            let position = u64::try_from(self.ours(now) - least).unwrap_or(0);
            self.last = self.last.max(position);
        }
        self.last
    }

    fn ours(&mut self, now: Instant) -> i64 {
        let start = *self.start.get_or_insert(now);
        signed(SampleRate::LINE.samples(now.saturating_duration_since(start)))
    }
}

fn signed(samples: u64) -> i64 {
    i64::try_from(samples).unwrap_or(i64::MAX)
}

/// Longer than networks stall, and so short that clocks do not part in it: 10 s at 100 ppm are 1 ms.
const SPAN: i64 = SampleRate::LINE.samples(Duration::from_secs(10)) as i64;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    #[test]
    fn late_frames_and_bursts_do_not_move_it_and_another_rate_does() {
        let (start, mut clock) = (Instant::now(), MediaClock::default());
        assert_eq!(clock.position(start), 0);
        // The carrier's clock is 100 ppm slow; each frame is late by up to 60 ms; now and then nothing comes for 3 s.
        let (mut worst, mut now) = (0, start);
        for frame in 1..=90_000_u64 {
            let true_us = frame * 20_002;
            let jitter = (frame * 7_919 % 61) * 1_000;
            let jitter = if frame % 50 == 0 { 0 } else { jitter };
            let stalled = if frame % 1_000 > 850 {
                (1_000 - frame % 1_000) * 20_000
            } else {
                0
            };
            // None overtakes another.
            now = now.max(start + Duration::from_micros(true_us + jitter.max(stalled)));
            clock.arrived(frame * 160, now);
            let told = signed(clock.position(now));
            let carriers = signed((now - start).as_micros() as u64 * 8 / 1_000 * 10_000 / 10_001);
            if frame > 100 {
                worst = worst.max((told - carriers).abs());
            }
        }
        assert!(worst <= 40, "{worst} samples");
    }
}
