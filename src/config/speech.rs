//! Speech to text and text to speech.

use super::parse::{self, Bad, Reader};
use super::secret::Secret;
use super::{or_unset, set_or_not};

/// Speech to text: the local Whisper, or an OpenAI-compatible server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stt {
    /// A name in the model manifest, a path to a ggml file, or the model's name at `url`. Default `tiny.en`: fast on any CPU.
    pub model: String,
    /// ISO 639 code of the callers' language, or `auto`. Default `en`; fixing it is faster and surer than detecting it.
    pub language: String,
    /// Transcriptions at the same time. `None`: the server takes one per core.
    pub workers: Option<usize>,
    /// Threads per transcription. Default 1: with many calls, workers use the cores better than threads do.
    pub threads: usize,
    /// Base URL of a server that stands in for the local Whisper, without a trailing slash. `None`: local.
    pub url: Option<String>,
    /// Sent to `url` as a bearer token. No default.
    pub api_key: Option<Secret>,
}

/// Text to speech: the local Piper, or an OpenAI-compatible server.
#[derive(Debug, Clone, PartialEq)]
pub struct Tts {
    /// A name in the model manifest, a path to an `.onnx` file, or the voice's name at `url`. Default `en_US-joe-medium`.
    pub voice: String,
    /// The same for Spanish; a path or a name. No default: the voice above speaks everything.
    pub voice_es: Option<String>,
    /// The model's name at `url`; unused without it. Default `tts-1`, which compatible servers accept.
    pub model: String,
    /// Speaking rate, 0.5 to 2.0. Default 1.0: the voice's own.
    pub speed: f32,
    /// Sentences synthesized at the same time. `None`: the server decides.
    pub workers: Option<usize>,
    /// Threads per synthesis. Default 1, for the same reason as for transcription.
    pub threads: usize,
    /// Base URL of a server that stands in for the local Piper, without a trailing slash. `None`: local.
    pub url: Option<String>,
    /// Sent to `url` as a bearer token. No default.
    pub api_key: Option<Secret>,
}

impl Stt {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            model: reader.or_default("STT_MODEL", parse::text),
            language: reader.or_default("STT_LANGUAGE", language),
            workers: reader.optional("STT_WORKERS", parse::count(MAX_WORKERS)),
            threads: reader.or_default("STT_THREADS", parse::number(1, MAX_THREADS)),
            url: reader.optional("STT_URL", parse::base_url("http://127.0.0.1:8000/v1")),
            api_key: reader.optional("STT_API_KEY", parse::secret),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        lines.extend([
            ("STT_MODEL", self.model.clone()),
            ("STT_LANGUAGE", self.language.clone()),
            ("STT_WORKERS", or_unset(self.workers.as_ref(), "one per core")),
            ("STT_THREADS", self.threads.to_string()),
            ("STT_URL", or_unset(self.url.as_ref(), "not set")),
            ("STT_API_KEY", set_or_not(self.api_key.as_ref())),
        ]);
    }
}

impl Tts {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            voice: reader.or_default("TTS_VOICE", parse::text),
            voice_es: reader.optional("TTS_VOICE_ES", parse::text),
            model: reader.or_default("TTS_MODEL", parse::text),
            speed: reader.or_default("TTS_SPEED", parse::number(0.5, 2.0)),
            workers: reader.optional("TTS_WORKERS", parse::count(MAX_WORKERS)),
            threads: reader.or_default("TTS_THREADS", parse::number(1, MAX_THREADS)),
            url: reader.optional("TTS_URL", parse::base_url("http://127.0.0.1:8000/v1")),
            api_key: reader.optional("TTS_API_KEY", parse::secret),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        lines.extend([
            ("TTS_VOICE", self.voice.clone()),
            ("TTS_VOICE_ES", or_unset(self.voice_es.as_ref(), "not set")),
            ("TTS_SPEED", self.speed.to_string()),
            ("TTS_WORKERS", or_unset(self.workers.as_ref(), "decided by the server")),
            ("TTS_THREADS", self.threads.to_string()),
            ("TTS_URL", or_unset(self.url.as_ref(), "not set")),
            ("TTS_API_KEY", set_or_not(self.api_key.as_ref())),
            ("TTS_MODEL", self.model.clone()),
        ]);
    }
}

/// The codes Whisper knows are ISO 639-1, and 639-3 where that has none (`yue`, `haw`).
fn language(value: &str) -> Result<String, Bad> {
    let code = (2..=3).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_lowercase());
    if code || value == "auto" {
        Ok(value.to_owned())
    } else {
        Err(Bad::new(
            "a language code of two or three small letters (en, de, yue), or auto",
        ))
    }
}

/// Each worker has a model state of its own; more than this is a slip of the hand.
const MAX_WORKERS: usize = 256;

/// More threads than this make one inference slower, not faster.
const MAX_THREADS: usize = 64;
