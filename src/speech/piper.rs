//! Piper voices on ONNX Runtime.

mod graph;
mod timing;

use std::collections::HashSet;
use std::ops::Range;
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
    /// The phonemes it knows, if it says how long each lasts.
    timed: Option<HashSet<char>>,
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
        let parsed = || -> Result<ModelConfig, SpeechError> {
            serde_json::from_str(&text).map_err(|error| {
                load_error(format!(
                    "{} is not a Piper voice configuration: {error}",
                    config.display()
                ))
            })
        };
        let bytes = std::fs::read(model).map_err(|error| load_error(format!("{}: {error}", model.display())))?;
        if let Some(changed) = graph::with_durations(&bytes) {
            let voice = Self::of(&changed, parsed()?, speed, threads, true);
            // A voice that is built otherwise than it looks is taken as it is.
            if let Ok(mut voice) = voice
                && voice.synthesize(TRIAL, &|| false).is_ok()
            {
                return Ok(voice);
            }
        }
        Self::of(&bytes, parsed()?, speed, threads, false)
            .map_err(|reason| load_error(format!("{} is not a usable Piper voice: {reason}", model.display())))
    }

    fn of(model: &[u8], config: ModelConfig, speed: f32, threads: usize, is_timed: bool) -> Result<Self, String> {
        let known = config.phoneme_id_map.iter().filter(|(_, ids)| !ids.is_empty());
        let known: HashSet<char> = known.map(|(&phoneme, _)| phoneme).collect();
        Ok(Self {
            language: config.espeak.voice.clone(),
            length_scale: config.inference.length_scale / speed,
            voice: Voice::from_session(onnx::session_of(model, threads)?, config),
            timed: is_timed.then_some(known),
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
        if phonemes.trim() == BEGINNING && timing::is_said(text) {
            // As when its data are gone: silence would be taken for the answer.
            return Err(run_error("espeak-ng has no phonemes for the text"));
        }
        if phonemes.trim() == BEGINNING {
            return Ok(Speech {
                samples: Vec::new(),
                rate: SampleRate::LINE,
                words: Vec::new(),
            });
        }
        let (samples, rate) = self
            .voice
            .create(&phonemes, true, None, Some(self.length_scale), None, None)
            .map_err(|_| run_error("inference failed"))?;
        let (samples, words) = match &self.timed {
            None => (samples, Vec::new()),
            Some(known) => {
                let is_known = |phoneme| known.contains(&phoneme);
                let (samples, durations) = timing::split(samples, timing::ids(&phonemes, is_known))
                    .ok_or_else(|| run_error("audio and durations do not belong together"))?;
                let groups = timing::groups(&phonemes, is_known, &durations);
                (samples, self.words(text, &groups)?)
            }
        };
        Ok(Speech {
            samples,
            rate: SampleRate::hz(rate),
            words,
        })
    }
}

impl Piper {
    /// The samples of each word; none if they cannot be told.
    fn words(&self, text: &str, groups: &[(Range<usize>, usize)]) -> Result<Vec<Range<usize>>, SpeechError> {
        let said = text.split_whitespace().filter(|word| timing::is_said(word));
        let lengths = if said.clone().count() == groups.len() {
            groups.iter().map(|(_, sounds)| *sounds).collect()
        } else {
            let sounds = |word| Ok(phonemes(word, &self.language)?.chars().count());
            said.map(sounds).collect::<Result<Vec<_>, SpeechError>>()?
        };
        let Some(spans) = timing::spans(groups, &lengths) else {
            return Ok(Vec::new());
        };
        let (mut spans, mut end) = (spans.into_iter(), 0);
        let span = |word| {
            let span = if timing::is_said(word) { spans.next() } else { None };
            let span = span.unwrap_or(end..end);
            end = span.end;
            span
        };
        Ok(text.split_whitespace().map(span).collect())
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

fn run_error(reason: &str) -> SpeechError {
    SpeechError::Run {
        engine: ENGINE,
        reason: reason.to_owned(),
    }
}

fn load_error(reason: String) -> SpeechError {
    SpeechError::Load { engine: ENGINE, reason }
}

const ENGINE: &str = "piper";
const TRIAL: &str = "one";
/// Piper's mark of a sentence's beginning. Voices have learned that a pad follows it; piper-rs puts one behind every phoneme, but not behind the
/// mark of its own, and the first sound is then clipped ("Twelve" is heard as "Wolf"). A second mark brings its pad along.
const BEGINNING: &str = "^";
static ESPEAK: Mutex<()> = Mutex::new(());
