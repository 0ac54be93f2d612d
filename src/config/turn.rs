//! Turn-taking: the durations of [`Policy`] and the voice detector.

use std::time::Duration;

use super::parse::{self, Reader};
use crate::turn::policy::{Policy, Speculation};

/// When the caller starts, ends and interrupts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The durations, each with its reason there. Defaults: `Policy::default()`.
    pub policy: Policy,
    /// How strictly webrtc-vad judges sound to be speech, 0 (lets most through) to 3. Default 2: telephone noise is loud.
    pub vad_mode: u8,
}

impl Turn {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        let default = Policy::default();
        let mut read = |name, default, (min, max): (u64, u64)| {
            let bounds = parse::duration(Duration::from_millis(min), Duration::from_millis(max));
            reader.optional(name, bounds).unwrap_or(default)
        };
        let policy = Policy {
            onset: read("SPEECH_ONSET", default.onset, (20, SECOND)),
            pre_roll: read("PRE_ROLL", default.pre_roll, (0, 2 * SECOND)),
            endpoint_delay: read("ENDPOINT_DELAY", default.endpoint_delay, (100, 5 * SECOND)),
            speculation: default.speculation,
            speculate_after: read("SPECULATE_AFTER", default.speculate_after, (40, SECOND)),
            barge_in_min: read("BARGE_IN_MIN", default.barge_in_min, (20, 3 * SECOND)),
            max_turn: read("MAX_TURN", default.max_turn, (SECOND, 10 * MINUTE)),
            max_call: read("MAX_CALL", default.max_call, (10 * SECOND, 24 * 60 * MINUTE)),
            media_timeout: read("MEDIA_TIMEOUT", default.media_timeout, (SECOND, 5 * MINUTE)),
            playout_lead: read("PLAYOUT_LEAD", default.playout_lead, (60, 5 * SECOND)),
            transcribe_deadline: read("STT_DEADLINE", default.transcribe_deadline, DEADLINE),
            reply_deadline: read("LLM_DEADLINE", default.reply_deadline, DEADLINE),
            synthesize_deadline: read("TTS_DEADLINE", default.synthesize_deadline, DEADLINE),
        };
        let speculation = reader
            .optional("SPECULATION", speculation)
            .unwrap_or(default.speculation);
        Self {
            policy: Policy { speculation, ..policy },
            vad_mode: reader.or_default("VAD_MODE", parse::number(0, 3)),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let policy = &self.policy;
        let durations = [
            ("SPEECH_ONSET", policy.onset),
            ("PRE_ROLL", policy.pre_roll),
            ("ENDPOINT_DELAY", policy.endpoint_delay),
            ("SPECULATE_AFTER", policy.speculate_after),
            ("BARGE_IN_MIN", policy.barge_in_min),
            ("MAX_TURN", policy.max_turn),
            ("MAX_CALL", policy.max_call),
            ("MEDIA_TIMEOUT", policy.media_timeout),
            ("PLAYOUT_LEAD", policy.playout_lead),
            ("STT_DEADLINE", policy.transcribe_deadline),
            ("LLM_DEADLINE", policy.reply_deadline),
            ("TTS_DEADLINE", policy.synthesize_deadline),
        ];
        lines.extend(durations.map(|(name, duration)| (name, parse::show_duration(duration))));
        lines.push(("SPECULATION", speculation_name(policy.speculation).to_owned()));
        lines.push(("VAD_MODE", self.vad_mode.to_string()));
    }
}

fn speculation(value: &str) -> Result<Speculation, parse::Bad> {
    let levels = [Speculation::Off, Speculation::Stt, Speculation::Llm, Speculation::Full];
    let level = levels.into_iter().find(|&level| speculation_name(level) == value);
    level.ok_or_else(|| parse::Bad::new("off, stt, llm or full"))
}

fn speculation_name(level: Speculation) -> &'static str {
    match level {
        Speculation::Off => "off",
        Speculation::Stt => "stt",
        Speculation::Llm => "llm",
        Speculation::Full => "full",
    }
}

/// In milliseconds.
const SECOND: u64 = 1000;

/// In milliseconds.
const MINUTE: u64 = 60 * SECOND;

/// Bounds of the inference deadlines in milliseconds: below, a healthy engine fails; above, the caller has hung up.
const DEADLINE: (u64, u64) = (500, 2 * MINUTE);
