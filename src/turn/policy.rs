//! The knobs of turn-taking, with the reason for each default. Values come from [`crate::config`]; nothing here reads them.

use std::time::Duration;

use crate::turn::endpoint::Endpointing;

/// How the machine decides when the caller starts and ends, and how far ahead it plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Voiced audio that confirms a start while nobody speaks. Shorter wakes on clicks, longer loses one-word answers.
    pub onset: Duration,
    /// Caller audio kept from before the onset, so that a soft first consonant reaches the transcriber.
    pub pre_roll: Duration,
    /// Silence, in media time, that ends the caller's turn: what trades speed against cutting people off.
    pub endpointing: Endpointing,
    /// How much of the answer is prepared while the endpoint is still undecided.
    pub speculation: Speculation,
    /// Silence after which it is prepared, and the sound of the turn's end is judged. Shorter wastes work on every breath,
    /// longer wastes the caller's time.
    pub speculate_after: Duration,
    /// Voiced audio that stops the agent while it speaks. Longer than `onset`, so that a cough does not.
    pub barge_in_min: Duration,
    /// Silence of both sides after which the agent asks whether the caller is still there.
    pub silence_prompt: Duration,
    /// How often it asks before it says goodbye.
    pub silence_prompts: u32,
    /// A turn is closed after this much caller audio even without a pause.
    pub max_turn: Duration,
    /// A call is ended politely after this long.
    pub max_call: Duration,
    /// The caller's audio may be absent this long before the line counts as dead.
    pub media_timeout: Duration,
    /// Audio sent ahead of the caller's ear. It hides network jitter; all of it must be cleared on barge-in.
    pub playout_lead: Duration,
    /// A transcript later than this after the endpoint fails the turn.
    pub transcribe_deadline: Duration,
    /// A reply whose next sentence is later than this fails the turn.
    pub reply_deadline: Duration,
    /// Synthesis of one sentence later than this fails the turn.
    pub synthesize_deadline: Duration,
}

/// How far the answer to an unfinished turn is prepared. If the caller goes on, the work is dropped; nothing of it is heard
/// and nothing with a side effect happens before the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speculation {
    /// Nothing. The caller waits for transcript, reply and voice, one after the other.
    Off,
    /// The transcript. Costs one Whisper run for each pause within a turn.
    Stt,
    /// The reply too. Costs one LLM request for each pause within a turn.
    Llm,
    /// The first sentence's audio too. Costs one Piper run for each pause within a turn.
    Full,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            onset: Duration::from_millis(60),
            pre_roll: Duration::from_millis(240),
            endpointing: Endpointing::default(),
            speculation: Speculation::Full,
            speculate_after: Duration::from_millis(100),
            barge_in_min: Duration::from_millis(200),
            silence_prompt: Duration::from_secs(10),
            silence_prompts: 2,
            max_turn: Duration::from_secs(60),
            max_call: Duration::from_secs(3600),
            media_timeout: Duration::from_secs(15),
            playout_lead: Duration::from_millis(400),
            transcribe_deadline: Duration::from_secs(10),
            reply_deadline: Duration::from_secs(8),
            synthesize_deadline: Duration::from_secs(10),
        }
    }
}
