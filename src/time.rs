//! Media time: positions in a call's audio, counted in samples. No clock is read here.
//!
//! Media time decides everything about *speech* (onset, hangover, endpointing), because a network burst cannot fake a
//! pause in it. Deadlines use the monotonic clock, which is always passed in. The two are never mixed.

use std::time::Duration;

/// Samples per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleRate(u32);

impl SampleRate {
    /// The telephone line: G.711, 8 kHz.
    pub const LINE: Self = Self(8_000);
    /// What Whisper, Silero and smart-turn were trained on.
    pub const MODEL: Self = Self(16_000);

    /// A rate in Hz. Zero is taken as 1 Hz, so that divisions stay defined on wire input.
    pub const fn hz(hz: u32) -> Self {
        Self(if hz == 0 { 1 } else { hz })
    }

    /// Hz as a plain number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// How many whole samples `duration` holds.
    pub const fn samples(self, duration: Duration) -> u64 {
        (duration.as_nanos() * self.0 as u128 / 1_000_000_000) as u64
    }

    /// How long `samples` last.
    pub const fn duration(self, samples: u64) -> Duration {
        Duration::from_nanos((samples as u128 * 1_000_000_000 / self.0 as u128) as u64)
    }
}

/// A position in the caller's audio: line-rate samples since the stream began, lost audio included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(u64);

impl MediaTime {
    /// The first sample of the stream.
    pub const ZERO: Self = Self(0);

    /// A position by its line-rate sample count.
    pub const fn from_samples(samples: u64) -> Self {
        Self(samples)
    }

    /// Line-rate samples since the stream began.
    pub const fn samples(self) -> u64 {
        self.0
    }

    /// The position `samples` later.
    pub const fn advance(self, samples: u64) -> Self {
        Self(self.0.saturating_add(samples))
    }

    /// The position `duration` earlier, or the start of the stream.
    pub const fn back(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(SampleRate::LINE.samples(duration)))
    }

    /// Time from `earlier` to here, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        SampleRate::LINE.duration(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_durations_convert_exactly_at_the_line_rate() {
        for ms in [0, 1, 20, 999, 60_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(SampleRate::LINE.samples(duration), ms * 8);
            assert_eq!(SampleRate::LINE.duration(ms * 8), duration);
        }
        assert_eq!(SampleRate::hz(22_050).samples(Duration::from_secs(2)), 44_100);
    }

    #[test]
    fn positions_saturate_instead_of_wrapping() {
        assert_eq!(MediaTime::ZERO.back(Duration::from_secs(1)), MediaTime::ZERO);
        let later = MediaTime::from_samples(800);
        assert_eq!(MediaTime::ZERO.since(later), Duration::ZERO);
        assert_eq!(later.since(MediaTime::ZERO), Duration::from_millis(100));
    }
}
