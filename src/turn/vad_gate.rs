//! From voiced and unvoiced windows to "the caller is speaking" and "the caller has been silent for so long".

use std::time::{Duration, Instant};

use crate::time::{MediaTime, SampleRate};
use crate::turn::event::Voice;

/// Follows the caller's voice in media time.
#[derive(Debug, Clone, Default)]
pub struct VadGate {
    now: MediaTime,
    /// Voiced samples of the present run; short dropouts do not end it.
    run: u64,
    /// Those of them that are certainly speech.
    sure: u64,
    run_start: MediaTime,
    /// Unvoiced samples since the last voiced window.
    silence: u64,
    /// Voiced samples since [`VadGate::restart`].
    voiced: u64,
    last_voiced: Option<(MediaTime, Instant)>,
}

impl VadGate {
    /// Takes one window that was received at `now`.
    pub fn window(&mut self, voice: Voice, samples: u32, now: Instant) {
        let samples = u64::from(samples);
        let voiced = matches!(voice, Voice::Maybe | Voice::Sure);
        if voice == Voice::Echo {
            self.run = 0;
        }
        if voiced {
            if self.run == 0 {
                self.run_start = self.now;
                self.sure = 0;
            }
            self.run += samples;
            self.sure += if voice == Voice::Sure { samples } else { 0 };
            self.voiced += samples;
            self.silence = 0;
        } else {
            self.silence += samples;
            if SampleRate::LINE.duration(self.silence) >= DROPOUT {
                self.run = 0;
            }
        }
        self.now = self.now.advance(samples);
        if voiced {
            self.last_voiced = Some((self.now, now));
        }
    }

    /// Media time after the newest window.
    pub fn now(&self) -> MediaTime {
        self.now
    }

    /// Voiced audio in the present run of speech; zero in silence.
    pub fn speech(&self) -> Duration {
        SampleRate::LINE.duration(self.run)
    }

    /// What of it is certainly speech.
    pub fn sure(&self) -> Duration {
        SampleRate::LINE.duration(if self.run == 0 { 0 } else { self.sure })
    }

    /// Where the present run of speech began.
    pub fn speech_start(&self) -> MediaTime {
        self.run_start
    }

    /// Silence since the last voiced window.
    pub fn silence(&self) -> Duration {
        SampleRate::LINE.duration(self.silence)
    }

    /// Voiced audio since the count was restarted.
    pub fn voiced(&self) -> Duration {
        SampleRate::LINE.duration(self.voiced)
    }

    /// End of the last voiced window, and when it was received.
    pub fn last_voiced(&self) -> Option<(MediaTime, Instant)> {
        self.last_voiced
    }

    /// Starts counting voiced audio anew, from the present run.
    pub fn restart(&mut self) {
        self.voiced = self.run;
    }
}

/// A gap shorter than this inside speech is a stop consonant or a VAD miss, not a pause.
const DROPOUT: Duration = Duration::from_millis(60);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;

    fn feed(gate: &mut VadGate, pattern: &str) {
        let now = Instant::now();
        for c in pattern.chars() {
            let voice = match c {
                '#' => Voice::Sure,
                '+' => Voice::Maybe,
                'e' => Voice::Echo,
                _ => Voice::Silent,
            };
            gate.window(voice, 160, now);
        }
    }

    #[test]
    fn dropouts_keep_a_run_and_pauses_end_it() {
        let mut gate = VadGate::default();
        feed(&mut gate, "...##..##");
        assert_eq!(
            (gate.speech(), gate.speech_start().samples()),
            (Duration::from_millis(80), 480)
        );
        feed(&mut gate, "...");
        assert_eq!(
            (gate.speech(), gate.silence()),
            (Duration::ZERO, Duration::from_millis(60))
        );
        assert_eq!(gate.last_voiced().map(|(at, _)| at.samples()), Some(9 * 160));
    }

    #[test]
    fn what_is_certain_is_counted_within_the_run() {
        let mut gate = VadGate::default();
        feed(&mut gate, "++##+");
        let ms = Duration::from_millis;
        assert_eq!((gate.speech(), gate.sure()), (ms(100), ms(40)));
        feed(&mut gate, "...+");
        assert_eq!((gate.speech(), gate.sure()), (ms(20), Duration::ZERO));
        feed(&mut gate, "##e");
        assert_eq!((gate.speech(), gate.sure()), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn single_clicks_never_add_up() {
        let mut gate = VadGate::default();
        for _ in 0..100 {
            feed(&mut gate, "#....");
        }
        assert_eq!(gate.speech(), Duration::ZERO);
    }
}
