//! One turn's latency, stage by stage, in milliseconds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::turn::ledger::Ledger;

/// What a turn cost. A stage that was not reached is `null`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TurnLatency {
    /// Last voiced caller sample received → endpoint.
    pub endpoint_ms: Option<f64>,
    /// Why the pause was taken as the end of the turn.
    #[serde(default)]
    pub endpoint_reason: Option<String>,
    /// How finished the turn sounded, 0 to 1.
    #[serde(default)]
    pub sound: Option<f32>,
    /// Last voiced caller sample received → pause noticed.
    #[serde(default)]
    pub pause_ms: Option<f64>,
    /// Answers begun at earlier pauses of the turn and dropped.
    #[serde(default)]
    pub dropped: u32,
    /// Whether the answer was prepared before the endpoint.
    #[serde(default)]
    pub speculated: bool,
    /// Transcript asked for → transcript.
    pub stt_ms: Option<f64>,
    /// Reply requested → first token.
    pub llm_first_token_ms: Option<f64>,
    /// Reply requested → first sentence.
    pub llm_first_sentence_ms: Option<f64>,
    /// Synthesis of the first sentence asked for → its audio.
    pub tts_first_audio_ms: Option<f64>,
    /// Last voiced caller sample received → first agent audio sent.
    pub voice_to_voice_ms: Option<f64>,
    /// First agent audio sent → first sentence known to be heard.
    #[serde(default)]
    pub first_mark_ms: Option<f64>,
    /// First agent audio sent → the caller spoke over it.
    #[serde(default)]
    pub barge_in_ms: Option<f64>,
    /// The caller spoke again so soon that we seem to have cut them off.
    #[serde(default)]
    pub suspected_cut_off: bool,
}

impl From<&Ledger> for TurnLatency {
    fn from(ledger: &Ledger) -> Self {
        let ms = |duration: Option<Duration>| duration.map(|duration| (duration.as_secs_f64() * 1e4).round() / 10.0);
        Self {
            endpoint_ms: ms(ledger.endpoint_delay()),
            endpoint_reason: ledger.endpoint_reason.map(|reason| reason.name().to_owned()),
            sound: ledger.sound,
            pause_ms: ms(ledger.pause_noticed()),
            dropped: ledger.dropped,
            speculated: ledger.speculated(),
            stt_ms: ms(ledger.transcription()),
            llm_first_token_ms: ms(ledger.time_to_first_token()),
            llm_first_sentence_ms: ms(ledger.time_to_first_sentence()),
            tts_first_audio_ms: ms(ledger.synthesis()),
            voice_to_voice_ms: ms(ledger.voice_to_voice()),
            first_mark_ms: ms(ledger.first_heard()),
            barge_in_ms: ms(ledger.interrupted_after()),
            suspected_cut_off: ledger.suspected_cut_off(),
        }
    }
}
