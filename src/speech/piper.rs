//! Piper voices on ONNX Runtime.

use std::path::Path;
use std::sync::Mutex;

use piper_rs::{ModelConfig, Piper as Voice};

use crate::speech::{Cancelled, Speech, SpeechError, Synthesizer, onnx};
use crate::time::SampleRate;

/// One worker's voice.
pub struct Piper {
    voice: Voice,
    language: String,
    length_scale: f32,
}

/// Loads the ONNX Runtime library; once per process, before the first voice.
pub fn load_runtime(library: &Path) -> Result<(), SpeechError> {
    let builder = ort::init_from(library).map_err(|error| {
        load_error(format!(
            "{} is not a usable onnxruntime library ({error}); run: tieline models pull onnxruntime",
            library.display()
        ))
    })?;
    builder.with_telemetry(false).commit();
    Ok(())
}

impl Piper {
    /// Loads `voice.onnx` with `voice.onnx.json` beside it. `speed` 1.0 is the voice's own pace.
    pub fn load(model: &Path, config: &Path, speed: f32, threads: usize) -> Result<Self, SpeechError> {
        let text =
            std::fs::read_to_string(config).map_err(|error| load_error(format!("{}: {error}", config.display())))?;
        let parsed: ModelConfig = serde_json::from_str(&text).map_err(|error| {
            load_error(format!(
                "{} is not a Piper voice configuration: {error}",
                config.display()
            ))
        })?;
        let language = parsed.espeak.voice.clone();
        let length_scale = parsed.inference.length_scale / speed;
        let session = onnx::session(model, threads)
            .map_err(|reason| load_error(format!("{} is not a usable Piper voice: {reason}", model.display())))?;
        Ok(Self {
            voice: Voice::from_session(session, parsed),
            language,
            length_scale,
        })
    }
}

/// Whether espeak-ng has its data, for a language as it names them: `en-us`.
pub fn check_language(language: &str) -> Result<(), SpeechError> {
    match phonemes("one", language)?.trim() {
        "" => Err(load_error(format!("espeak-ng has no phonemes for {language}"))),
        _ => Ok(()),
    }
}

impl Synthesizer for Piper {
    fn synthesize(&mut self, text: &str, cancelled: Cancelled<'_>) -> Result<Speech, SpeechError> {
        if cancelled() {
            return Err(SpeechError::Cancelled);
        }
        let phonemes = phonemes(text, &self.language)?;
        if phonemes.trim() == BEGINNING {
            return Ok(Speech {
                samples: Vec::new(),
                rate: SampleRate::LINE,
            });
        }
        let (samples, rate) = self
            .voice
            .create(&phonemes, true, None, Some(self.length_scale), None, None)
            .map_err(|_| SpeechError::Run {
                engine: ENGINE,
                reason: "inference failed".to_owned(),
            })?;
        Ok(Speech {
            samples,
            rate: SampleRate::hz(rate),
        })
    }
}

/// espeak-ng is one global without a lock, so all voices take turns. It needs a fraction of a millisecond a sentence.
fn phonemes(text: &str, language: &str) -> Result<String, SpeechError> {
    let _turn = ESPEAK.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let text = text.replace('\0', " ");
    let clauses = espeak_rs::text_to_phonemes(&text, language, None).map_err(|error| SpeechError::Run {
        engine: "espeak-ng",
        reason: error.to_string(),
    })?;
    Ok(format!("{BEGINNING}{}", clauses.join(" ")))
}

fn load_error(reason: String) -> SpeechError {
    SpeechError::Load { engine: ENGINE, reason }
}

const ENGINE: &str = "piper";
/// Piper's mark of a sentence's beginning. Voices have learned that a pad follows it; piper-rs puts one behind every phoneme, but not behind the
/// mark of its own, and the first sound is then clipped ("Twelve" is heard as "Wolf"). A second mark brings its pad along.
const BEGINNING: &str = "^";
static ESPEAK: Mutex<()> = Mutex::new(());
