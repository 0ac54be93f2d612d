//! One turn's latency, stage by stage, in milliseconds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::turn::ledger::Ledger;

/// What a turn cost. A stage that was not reached is `null`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct TurnLatency {
    /// Last voiced caller sample received → endpoint.
    pub endpoint_ms: Option<f64>,
    /// Whether the answer was prepared before the endpoint.
    #[serde(default)]
    pub speculated: bool,
    /// Transcript asked for → transcript.
    pub stt_ms: Option<f64>,
    /// Reply requested → first token.
    pub llm_first_token_ms: Option<f64>,
    /// Reply requested → first sentence.
    pub llm_first_sentence_ms: Option<f64>,
    /// First sentence → its audio.
    pub tts_first_audio_ms: Option<f64>,
    /// Last voiced caller sample received → first agent audio sent.
    pub voice_to_voice_ms: Option<f64>,
}

impl From<&Ledger> for TurnLatency {
    fn from(ledger: &Ledger) -> Self {
        let ms = |duration: Option<Duration>| duration.map(|duration| (duration.as_secs_f64() * 1e4).round() / 10.0);
        Self {
            endpoint_ms: ms(ledger.endpoint_delay()),
            speculated: ledger.speculated(),
            stt_ms: ms(ledger.transcription()),
            llm_first_token_ms: ms(ledger.time_to_first_token()),
            llm_first_sentence_ms: ms(ledger.time_to_first_sentence()),
            tts_first_audio_ms: ms(ledger.synthesis()),
            voice_to_voice_ms: ms(ledger.voice_to_voice()),
        }
    }
}
