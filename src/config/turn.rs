//! Turn-taking: the durations of [`Policy`] and the voice detector.

use std::time::Duration;

use super::parse::{self, Reader};
use crate::turn::endpoint::{Endpointing, Witnesses};
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
            endpointing: default.endpointing.clone(),
            speculation: default.speculation,
            speculate_after: read("SPECULATE_AFTER", default.speculate_after, (40, SECOND)),
            barge_in_min: read("BARGE_IN_MIN", default.barge_in_min, (20, 3 * SECOND)),
            silence_prompt: read("SILENCE_PROMPT", default.silence_prompt, (SECOND, 10 * MINUTE)),
            silence_prompts: default.silence_prompts,
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
            policy: Policy {
                speculation,
                silence_prompts: reader.or_default("SILENCE_PROMPTS", parse::number(0, 20)),
                endpointing: endpointing(reader, &default.endpointing),
                ..policy
            },
            vad_mode: reader.or_default("VAD_MODE", parse::number(0, 3)),
        }
    }

    /// Whether the model that judges the sound of a turn's end is needed.
    pub fn hears_sound(&self) -> bool {
        self.policy.endpointing.witnesses.hear_sound()
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let policy = &self.policy;
        let durations = [
            ("SPEECH_ONSET", policy.onset),
            ("PRE_ROLL", policy.pre_roll),
            ("ENDPOINT_MIN", policy.endpointing.min),
            ("ENDPOINT_DELAY", policy.endpointing.delay),
            ("ENDPOINT_MAX", policy.endpointing.max),
            ("SILENCE_PROMPT", policy.silence_prompt),
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
        let witnesses = policy.endpointing.witnesses;
        lines.push(("ENDPOINTING", witnesses_name(witnesses).to_owned()));
        lines.push(("SILENCE_PROMPTS", policy.silence_prompts.to_string()));
        lines.push(("SPECULATION", speculation_name(policy.speculation).to_owned()));
        lines.push(("VAD_MODE", self.vad_mode.to_string()));
    }
}

/// A delay set alone moves the bounds that are not set.
fn endpointing(reader: &mut Reader<'_>, default: &Endpointing) -> Endpointing {
    let mut read = |name, most| {
        let bounds = parse::duration(Duration::from_millis(100), Duration::from_millis(most));
        reader.optional(name, bounds)
    };
    let delay = read("ENDPOINT_DELAY", 5 * SECOND).unwrap_or(default.delay);
    let min = read("ENDPOINT_MIN", 5 * SECOND).unwrap_or_else(|| default.min.min(delay));
    let max = read("ENDPOINT_MAX", 10 * SECOND).unwrap_or_else(|| default.max.max(delay));
    if !(min <= delay && delay <= max) {
        let [min, delay, max] = [min, delay, max].map(parse::show_duration);
        reader.conflict(format!(
            "ENDPOINT_DELAY ({delay}) is not between ENDPOINT_MIN ({min}) and ENDPOINT_MAX ({max}). Set all three in that order, \
             or only ENDPOINT_DELAY"
        ));
    }
    let witnesses = reader.optional("ENDPOINTING", witnesses);
    Endpointing {
        min,
        delay,
        max,
        witnesses: witnesses.unwrap_or(default.witnesses),
    }
}

fn witnesses(value: &str) -> Result<Witnesses, parse::Bad> {
    let all = [Witnesses::Silence, Witnesses::Sound, Witnesses::Words, Witnesses::All];
    let found = all.into_iter().find(|&witnesses| witnesses_name(witnesses) == value);
    found.ok_or_else(|| parse::Bad::new("silence, sound, words or all"))
}

fn witnesses_name(witnesses: Witnesses) -> &'static str {
    match witnesses {
        Witnesses::Silence => "silence",
        Witnesses::Sound => "sound",
        Witnesses::Words => "words",
        Witnesses::All => "all",
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
