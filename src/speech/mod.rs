//! Hearing and speaking: what an engine must do, and the engines that do it.
//!
//! Engines are owned by one inference thread each (see [`crate::engine`]) and may block it. They are given a way to ask
//! whether the work is still wanted, and check it wherever they can stop.

pub mod ear;
mod onnx;
pub mod piper;
pub mod remote;
pub mod sentence;
pub mod silero;
pub mod smart_turn;
pub mod spoken;
pub mod voices;
pub mod webrtc;
pub mod whisper;

use std::ops::Range;

use crate::time::SampleRate;

/// Says whether a piece of caller audio holds speech.
pub trait Vad: Send {
    /// One 20 ms window at the line rate.
    fn is_voiced(&mut self, window: &[i16; WINDOW]) -> bool;
}

/// Says how likely it is that the caller has finished.
pub trait EndOfTurn: Send {
    /// `audio` is the turn so far, up to the pause in question: mono at [`SampleRate::MODEL`]. 1.0 is "finished".
    fn probability(&mut self, audio: &[f32]) -> Result<f32, SpeechError>;
}

/// Turns caller audio into text.
pub trait Transcriber: Send {
    /// `audio` is mono at [`SampleRate::MODEL`].
    fn transcribe(&mut self, audio: &[f32], cancelled: Cancelled<'_>) -> Result<Heard, SpeechError>;

    /// With what is known of the situation, as far as the engine can make use of it.
    fn transcribe_for(
        &mut self,
        audio: &[f32],
        _listen: &Listen,
        cancelled: Cancelled<'_>,
    ) -> Result<Heard, SpeechError> {
        self.transcribe(audio, cancelled)
    }
}

/// What is listened for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// The likeliest of these is spoken; none: as configured.
    pub languages: Vec<Code>,
    /// Short answers to what was just asked. Anything else may be said as well.
    pub answers: Vec<Answer>,
}

/// An answer that is expected, in phrases that mean the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As they are spoken, without punctuation.
    pub phrases: Vec<String>,
    /// Otherwise it is only there to be told from the others.
    pub is_wanted: bool,
}

impl Answer {
    /// One that may be given.
    pub fn wanted(phrases: impl IntoIterator<Item = String>) -> Self {
        Self {
            phrases: phrases.into_iter().collect(),
            is_wanted: true,
        }
    }
}

/// An ISO 639-1 code.
pub type Code = &'static str;

/// What was understood of some audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Plain text. Empty if nothing was understood.
    pub text: String,
    /// How certain the engine is of its words, 0 to 1; 1 if it does not say.
    pub certainty: f32,
    /// The language it was told from others, if there were any.
    pub language: Option<Code>,
}

impl Heard {
    /// By an engine that does not say how certain it is.
    pub fn plain(text: String) -> Self {
        Self {
            text,
            certainty: 1.0,
            language: None,
        }
    }
}

/// Turns text into audio.
pub trait Synthesizer: Send {
    /// `text` is one sentence, already in spoken form.
    fn synthesize(&mut self, text: &str, cancelled: Cancelled<'_>) -> Result<Speech, SpeechError>;

    /// In a language. An engine with one voice uses that.
    fn synthesize_in(&mut self, text: &str, _language: Code, cancelled: Cancelled<'_>) -> Result<Speech, SpeechError> {
        self.synthesize(text, cancelled)
    }
}

/// Whether the work is no longer wanted. May be asked from any thread, often.
pub type Cancelled<'a> = &'a (dyn Fn() -> bool + Sync);

/// Synthesised audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Speech {
    /// Mono samples, −1.0..1.0.
    pub samples: Vec<f32>,
    /// Their rate.
    pub rate: SampleRate,
    /// The samples of each word of the text, as white space parts it, in order. Empty if the engine cannot tell.
    pub words: Vec<Range<usize>>,
}

/// Why an engine has no answer. Never holds what was said.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// Nobody waits for it any more.
    #[error("cancelled")]
    Cancelled,
    /// The engine cannot be set up.
    #[error("{engine}: {reason}")]
    Load {
        /// Which engine.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
    /// The engine failed at work.
    #[error("{engine} failed: {reason}")]
    Run {
        /// Which engine.
        engine: &'static str,
        /// What it said.
        reason: String,
    },
}

/// Samples in a VAD window: 20 ms at the line rate.
pub const WINDOW: usize = crate::audio::line::FRAME;
