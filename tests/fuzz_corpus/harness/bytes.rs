//! From bytes to choices. Every string of bytes is a valid call; what is missing is zero.

use std::time::Duration;

use tieline::turn::endpoint::{Endpointing, Witnesses};
use tieline::turn::machine::Phrases;
use tieline::turn::policy::{Policy, Speculation};

/// Reads from the front.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn next(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    /// One of some numbers; 0 takes the first.
    pub(crate) fn pick(&mut self, from: &[u64]) -> u64 {
        from[usize::from(self.next()) % from.len()]
    }

    fn ms(&mut self, from: &[u64]) -> Duration {
        Duration::from_millis(self.pick(from))
    }

    /// What the configuration allows, its bounds included. A zero everywhere is the default policy.
    pub(crate) fn policy(&mut self) -> Policy {
        let switches = self.next();
        let levels = [Speculation::Full, Speculation::Llm, Speculation::Stt, Speculation::Off];
        let witnesses = [Witnesses::All, Witnesses::Words, Witnesses::Sound, Witnesses::Silence];
        let mut delays = [
            self.ms(&[350, 100, 600, 5_000]),
            self.ms(&[600, 100, 1_000, 5_000]),
            self.ms(&[1_500, 100, 3_000, 10_000]),
        ];
        delays.sort();
        let onset = self.ms(&[60, 20, 200, 1_000]);
        Policy {
            speculation: levels[usize::from(switches & 3)],
            endpointing: Endpointing {
                min: delays[0],
                delay: delays[1],
                max: delays[2],
                witnesses: witnesses[usize::from(switches >> 2 & 3)],
            },
            onset,
            barge_in_min: self.ms(&[200, 20, 500, 3_000]).max(onset),
            pre_roll: self.ms(&[240, 0, 2_000]),
            speculate_after: self.ms(&[100, 40, 300, 1_000]),
            silence_prompt: self.ms(&[10_000, 1_000, 4_000, 600_000]),
            silence_prompts: self.pick(&[2, 0, 1, 20]) as u32,
            max_turn: self.ms(&[60_000, 1_000, 5_000, 600_000]),
            max_call: self.ms(&[3_600_000, 10_000, 60_000, 86_400_000]),
            media_timeout: self.ms(&[15_000, 1_000, 300_000]),
            playout_lead: self.ms(&[400, 60, 120, 5_000]),
            transcribe_deadline: self.ms(&[10_000, 500, 120_000]),
            reply_deadline: self.ms(&[8_000, 500, 120_000]),
            synthesize_deadline: self.ms(&[10_000, 500, 120_000]),
        }
    }

    pub(crate) fn phrases(&mut self) -> Phrases {
        let present = self.next();
        let phrase = |bit: u8, text: &str| {
            if present & bit == 0 {
                text.to_owned()
            } else {
                String::new()
            }
        };
        Phrases {
            notice: if present & 1 == 0 {
                String::new()
            } else {
                "Recorded for quality.".to_owned()
            },
            greeting: phrase(2, "Hello, how can I help?"),
            apology: phrase(4, "Sorry, that went wrong."),
            not_heard: phrase(8, "I did not catch that."),
            still_there: phrase(16, "Are you there?"),
            goodbye: phrase(32, "Goodbye then."),
            too_long: phrase(64, "We must stop here."),
        }
    }
}
