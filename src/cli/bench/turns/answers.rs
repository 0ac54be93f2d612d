//! The engines, asked once for each span of audio.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::cli::engines;
use crate::config::Config;
use crate::models::{Manifest, Purpose, locate};
use crate::speech::ear::Ear;
use crate::speech::piper::load_runtime;
use crate::speech::silero::SileroModel;
use crate::speech::smart_turn::SmartTurn;
use crate::speech::webrtc::WebRtcVad;
use crate::speech::whisper::{AudioContext, Whisper, WhisperModel, WhisperOptions};
use crate::speech::{EndOfTurn as _, Transcriber as _};

/// Where in the bench's audio an engine is asked: recording, first sample, one past the last.
pub(super) type Span = (usize, u64, u64);

/// An answer, and how long the engine took for it.
pub(super) type Timed<T> = (T, Duration);

/// What the turn machine may ask about a span of audio.
pub(super) trait Answers {
    /// What is said in it.
    fn words(&mut self, span: Span, audio: impl FnOnce() -> Vec<f32>) -> anyhow::Result<Timed<String>>;
    /// How finished it sounds.
    fn sound(&mut self, span: Span, audio: impl FnOnce() -> Vec<f32>) -> anyhow::Result<Timed<f32>>;
}

/// Whisper and smart-turn.
pub(super) struct Engines {
    whisper: Whisper,
    smart_turn: SmartTurn,
    silero: Option<SileroModel>,
    vad_mode: u8,
    words: HashMap<Span, Timed<String>>,
    sounds: HashMap<Span, Timed<f32>>,
}

impl Engines {
    /// For one call.
    pub(super) fn ear(&self) -> Ear {
        Ear::new(Box::new(WebRtcVad::new(self.vad_mode)), self.silero.as_ref())
    }

    /// Loads the configured models, one thread each.
    pub(super) fn load(config: &Config) -> anyhow::Result<Self> {
        let dir = &config.server.models_dir;
        let manifest = Manifest::load(dir)?;
        load_runtime(locate(&manifest, dir, RUNTIME, Purpose::Runtime)?.path())?;
        let model = WhisperModel::load(locate(&manifest, dir, &config.stt.model, Purpose::Stt)?.path())?;
        let options = WhisperOptions {
            language: config.stt.language.clone(),
            threads: config.stt.threads,
            context: AudioContext::Fitted,
            vocabulary: None,
            vocabularies: std::collections::BTreeMap::new(),
        };
        let smart_turn = locate(&manifest, dir, SMART_TURN, Purpose::EndOfTurn)?;
        Ok(Self {
            whisper: model.worker(options)?,
            smart_turn: SmartTurn::load(smart_turn.path(), 1)?,
            silero: engines::silero(config)?,
            vad_mode: config.turn.vad_mode,
            words: HashMap::new(),
            sounds: HashMap::new(),
        })
    }

    /// How often each was really asked.
    pub(super) fn asked(&self) -> (usize, usize) {
        (self.words.len(), self.sounds.len())
    }
}

impl Answers for Engines {
    fn words(&mut self, span: Span, audio: impl FnOnce() -> Vec<f32>) -> anyhow::Result<Timed<String>> {
        if let Some(known) = self.words.get(&span) {
            return Ok(known.clone());
        }
        let audio = audio();
        let start = now();
        let text = self.whisper.transcribe(&audio, &|| false)?.text;
        let answer = (text, now() - start);
        self.words.insert(span, answer.clone());
        Ok(answer)
    }

    fn sound(&mut self, span: Span, audio: impl FnOnce() -> Vec<f32>) -> anyhow::Result<Timed<f32>> {
        if let Some(known) = self.sounds.get(&span) {
            return Ok(*known);
        }
        let audio = audio();
        let start = now();
        let probability = self.smart_turn.probability(&audio)?;
        let answer = (probability, now() - start);
        self.sounds.insert(span, answer);
        Ok(answer)
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement of time")]
fn now() -> Instant {
    Instant::now()
}

pub(super) const RUNTIME: &str = "onnxruntime";
const SMART_TURN: &str = "smart-turn-v3.2";
