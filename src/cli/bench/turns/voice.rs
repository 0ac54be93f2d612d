//! The set's caller: Piper without its randomness, so that the same words are the same samples.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::answers::RUNTIME;
use super::audio::{Turn, to_line};
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
}

impl Voice {
    /// The configured voice, if it is a Piper one.
    pub(super) fn load(config: &Config) -> anyhow::Result<Self> {
        let dir = &config.server.models_dir;
        let manifest = Manifest::load(dir)?;
        load_runtime(locate(&manifest, dir, RUNTIME, Purpose::Runtime)?.path())?;
        let voice = locate(&manifest, dir, &config.tts.voice, Purpose::Tts)?;
        let (Some(model), Some(json)) = (voice.files.first(), voice.files.get(1)) else {
            anyhow::bail!("TTS_VOICE {} needs an .onnx and an .onnx.json file", config.tts.voice)
        };
        let config = std::env::temp_dir().join(format!("tieline-voice-{}.json", std::process::id()));
        std::fs::write(&config, without_noise(json)?).with_context(|| config.display().to_string())?;
        Ok(Self {
            model: model.clone(),
            config,
            paces: HashMap::new(),
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
        let pieces = script.pieces.iter().map(|text| {
            let speech = piper.synthesize(&crate::speech::spoken::spoken(text), &|| false)?;
            to_line(&speech.samples, speech.rate.get())
        });
        Turn::compose(script, &pieces.collect::<anyhow::Result<Vec<_>>>()?)
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        // Left behind, it does no harm.
        let _ = std::fs::remove_file(&self.config);
    }
}

/// The voice's configuration with its draws switched off.
fn without_noise(json: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(json).with_context(|| json.display().to_string())?;
    let mut config: serde_json::Value = serde_json::from_str(&text)?;
    for draw in ["noise_scale", "noise_w"] {
        config["inference"][draw] = 0.0.into();
    }
    Ok(config.to_string())
}

/// Per cent of the voice's own.
const PACES: [u32; 3] = [90, 100, 115];
