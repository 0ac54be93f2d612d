//! The set's caller: Piper, by default without its randomness, so that the same words are the same samples.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::answers::RUNTIME;
use super::audio::{Turn, millis, quiet_near, speech_of, to_line};
use super::set::{Script, hash};
use crate::config::Config;
use crate::models::{Manifest, Purpose, locate};
use crate::speech::Synthesizer as _;
use crate::speech::piper::{Piper, load_runtime};

/// A voice at several paces.
pub(super) struct Voice {
    model: PathBuf,
    config: PathBuf,
    paces: HashMap<u32, Piper>,
    joined: bool,
}

impl Voice {
    /// The configured voice, if it is a Piper one. A `lively` one draws, and is never the same.
    pub(super) fn load(config: &Config, lively: bool, joined: bool) -> anyhow::Result<Self> {
        let dir = &config.server.models_dir;
        let manifest = Manifest::load(dir)?;
        load_runtime(locate(&manifest, dir, RUNTIME, Purpose::Runtime)?.path())?;
        let voice = locate(&manifest, dir, &config.tts.voice, Purpose::Tts)?;
        let (Some(model), Some(json)) = (voice.files.first(), voice.files.get(1)) else {
            anyhow::bail!("TTS_VOICE {} needs an .onnx and an .onnx.json file", config.tts.voice)
        };
        let config = std::env::temp_dir().join(format!("tieline-voice-{}.json", std::process::id()));
        let text = if lively {
            std::fs::read_to_string(json)?
        } else {
            without_draws(json)?
        };
        std::fs::write(&config, text).with_context(|| config.display().to_string())?;
        Ok(Self {
            model: model.clone(),
            config,
            paces: HashMap::new(),
            joined,
        })
    }

    /// Speaks a turn, at a pace that its id and the seed fix.
    pub(super) fn speak(&mut self, script: &Script, seed: u64) -> anyhow::Result<Turn> {
        let pace = PACES[(hash(&format!("{seed} {}", script.id)) % PACES.len() as u64) as usize];
        if !self.paces.contains_key(&pace) {
            let piper = Piper::load(&self.model, &self.config, pace as f32 / 100.0, 1)?;
            self.paces.insert(pace, piper);
        }
        let piper = self.paces.get_mut(&pace).context("a voice")?;
        let mut say = |text: &str| {
            let speech = piper.synthesize(&crate::speech::spoken::spoken(text), &|| false)?;
            to_line(&speech.samples, speech.rate.get())
        };
        let pieces = script.pieces.iter().map(|text| say(text));
        let mut pieces = pieces.collect::<anyhow::Result<Vec<_>>>()?;
        if self.joined && pieces.len() > 1 {
            let whole = say(&script.pieces.join(" "))?;
            if let Some(cut) = cut(&whole, &pieces) {
                pieces = cut;
            }
        }
        Turn::compose(script, &pieces)
    }
}

/// The pieces as they sound in the whole: the melody of a pause, not of an end. They are found by their lengths alone and
/// by the quiet around a mark; `None` if there is none where it should be.
fn cut(whole: &[f32], alone: &[Vec<f32>]) -> Option<Vec<Vec<f32>>> {
    let speech = speech_of(whole);
    let lengths: Vec<usize> = alone.iter().map(|piece| speech_of(piece).len()).collect();
    let scale = speech.len() as f64 / lengths.iter().sum::<usize>().max(1) as f64;
    let (mut pieces, mut from, mut said) = (Vec::new(), speech.start, 0);
    for length in &lengths[..lengths.len() - 1] {
        said += length;
        let expected = speech.start + (said as f64 * scale) as usize;
        let near = expected.saturating_sub(NEAR).max(from + 1)..expected + NEAR;
        let gap = quiet_near(whole, &near, millis(30))?;
        pieces.push(whole.get(from..gap.start)?.to_vec());
        from = gap.end;
    }
    pieces.push(whole.get(from..speech.end)?.to_vec());
    Some(pieces)
}

impl Drop for Voice {
    fn drop(&mut self) {
        // Left behind, it does no harm.
        let _ = std::fs::remove_file(&self.config);
    }
}

/// The voice's configuration with its draws switched off.
fn without_draws(json: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(json).with_context(|| json.display().to_string())?;
    let mut config: serde_json::Value = serde_json::from_str(&text)?;
    for draw in ["noise_scale", "noise_w"] {
        config["inference"][draw] = 0.0.into();
    }
    Ok(config.to_string())
}

/// Per cent of the voice's own.
const PACES: [u32; 3] = [90, 100, 115];
/// How far a mark may lie from where the lengths of the pieces put it: 400 ms.
const NEAR: usize = millis(400);
