//! From the configuration to running engines.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use anyhow::Context as _;
use tokio::runtime::Handle;

use crate::config::Config;
use crate::dialog::agent::Agents;
use crate::dialog::conversation;
use crate::dialog::slot::Language;
use crate::engine::{Engine, EngineError, Factory, Sizes, Urgency};
use crate::models::{Manifest, Purpose, is_path, locate};
use crate::privacy::egress::Egress;
use crate::speech::piper::{self, Piper};
use crate::speech::remote::{Endpoint, RemoteSynthesizer, RemoteTranscriber};
use crate::speech::silero::SileroModel;
use crate::speech::smart_turn::SmartTurn;
use crate::speech::spoken::spoken_in;
use crate::speech::voices::Voices;
use crate::speech::whisper::{AudioContext, WhisperModel, WhisperOptions};
use crate::speech::{Code, EndOfTurn, Synthesizer, Transcriber};

/// What the configuration needs from the manifest. A path given instead of a name needs nothing.
pub(super) fn needed_models(config: &Config) -> Vec<String> {
    let mut needed = vec![VAD.to_owned(), RUNTIME.to_owned()];
    if config.stt.url.is_none() {
        needed.push(config.stt.model.clone());
    }
    if config.tts.url.is_none() {
        needed.extend(config.tts.voice_es.clone());
        needed.push(config.tts.voice.clone());
    }
    if config.turn.hears_sound() {
        needed.push(SMART_TURN.to_owned());
    }
    needed.retain(|name| !is_path(name));
    needed
}

/// Loads the models, starts the workers and warms them up with the agent's phrases.
pub(super) async fn start(config: &Config, agents: &Agents, egress: &Egress) -> anyhow::Result<Engine> {
    let manifest = Manifest::load(&config.server.models_dir)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let sizes = Sizes {
        stt_workers: config.stt.workers.unwrap_or(cores),
        tts_workers: config.tts.workers.unwrap_or(cores),
        queue: QUEUE_PER_CORE * cores,
    };
    let transcriber = transcriber(config, &manifest, agents, egress)?;
    let synthesizer = synthesizer(config, &manifest, egress)?;
    warn_of_languages(config, agents);
    let mut engine = Engine::start(sizes, transcriber, synthesizer)?;
    if config.turn.hears_sound() {
        engine = engine.with_end_of_turn(end_of_turn(config, &manifest)?)?;
    }
    let fixed = fixed(agents);
    engine
        .warm(&borrowed(&fixed))
        .await
        .context("the engines do not work")?;
    Ok(engine)
}

/// Has the audio of what agents always say, before they answer: then it is there even when the synthesiser fails. Calls go first.
pub(super) async fn keep_fixed(engine: &Engine, agents: &Agents) -> Result<(), EngineError> {
    engine.keep(&borrowed(&fixed(agents)), Urgency::speculative).await
}

/// What agents always say, as the synthesiser is asked for it.
fn fixed(agents: &Agents) -> Vec<(String, Code)> {
    agents
        .iter()
        .flat_map(|agent| agent.fixed_texts().map(|text| (text, agent.language.code())))
        .filter(|(text, _)| !text.is_empty())
        .map(|(text, language)| (spoken_in(text, language), language))
        .collect()
}

fn borrowed(texts: &[(String, Code)]) -> Vec<(&str, Code)> {
    texts
        .iter()
        .map(|(text, language)| (text.as_str(), *language))
        .collect()
}

/// Builds transcribers: local Whisper, or a server of the house.
fn transcriber(
    config: &Config,
    manifest: &Manifest,
    agents: &Agents,
    egress: &Egress,
) -> anyhow::Result<Factory<dyn Transcriber>> {
    let stt = config.stt.clone();
    if let Some(url) = stt.url.clone() {
        let endpoint = Endpoint {
            url,
            api_key: stt.api_key.clone(),
            model: stt.model.clone(),
        };
        let (runtime, egress) = (Handle::current(), egress.clone());
        return Ok(Box::new(move || {
            let engine = RemoteTranscriber::new(endpoint.clone(), stt.language.clone(), runtime.clone(), &egress)?;
            Ok(Box::new(engine))
        }));
    }
    let located = locate(manifest, &config.server.models_dir, &stt.model, Purpose::Stt)?;
    let model = WhisperModel::load(located.path())?;
    let own = Language::of(&stt.language);
    let options = WhisperOptions {
        language: stt.language,
        threads: stt.threads,
        context: AudioContext::Fitted,
        vocabulary: vocabulary(agents, own),
        vocabularies: [Language::En, Language::Es]
            .into_iter()
            .filter_map(|language| Some((language.code(), vocabulary(agents, language)?)))
            .collect(),
    };
    Ok(Box::new(move || Ok(Box::new(model.worker(options.clone())?))))
}

/// What the guided dialog is going to say, as the synthesiser is asked for it.
pub(super) fn frequent(agents: &Agents) -> Vec<(String, Code)> {
    let texts = agents
        .iter()
        .flat_map(|agent| agent.frequent_texts().map(|text| (text, agent.language.code())));
    let said = texts.flat_map(|(text, language)| {
        let sentences = conversation::sentences(text).into_iter();
        sentences.map(move |sentence| (spoken_in(&sentence, language), language))
    });
    let all: BTreeSet<(String, Code)> = said.collect();
    all.into_iter().collect()
}

/// What agents speak and the models do not.
fn warn_of_languages(config: &Config, agents: &Agents) {
    for (fault, remedy) in unspoken_languages(config, agents) {
        tracing::warn!("{fault}; {remedy}");
    }
}

/// What agents speak and the models do not, and what to do about it.
pub(super) fn unspoken_languages(config: &Config, agents: &Agents) -> Vec<(String, &'static str)> {
    let mut faults = Vec::new();
    let spanish = agents.iter().any(|agent| agent.language == Language::Es);
    if spanish && config.tts.url.is_none() && config.tts.voice_es.is_none() {
        let found = format!("an agent speaks Spanish, and {} will read it", config.tts.voice);
        faults.push((found, "set TTS_VOICE_ES to a Spanish voice"));
    }
    let switches = agents.iter().any(|agent| agent.languages().len() > 1);
    if switches && config.stt.url.is_none() && config.stt.model.ends_with(".en") {
        let model = &config.stt.model;
        let found = format!("STT_MODEL {model} knows English only, and callers may ask for other languages");
        faults.push((found, "set STT_MODEL=base, or another model without .en"));
    }
    faults
}

/// The words of all agents of a language: a caller may be led from one to another.
fn vocabulary(agents: &Agents, language: Language) -> Option<String> {
    let words: Vec<&str> = agents
        .iter()
        .filter(|agent| agent.language == language)
        .filter_map(|agent| agent.stt.vocabulary.as_deref())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Builds synthesisers: a local Piper voice, or a server of the house.
pub(super) fn synthesizer(
    config: &Config,
    manifest: &Manifest,
    egress: &Egress,
) -> anyhow::Result<Factory<dyn Synthesizer>> {
    let tts = config.tts.clone();
    if let Some(url) = tts.url.clone() {
        let endpoint = Endpoint {
            url,
            api_key: tts.api_key.clone(),
            model: tts.model.clone(),
        };
        let (runtime, egress) = (Handle::current(), egress.clone());
        return Ok(Box::new(move || {
            let (endpoint, runtime) = (endpoint.clone(), runtime.clone());
            let engine = RemoteSynthesizer::new(endpoint, tts.voice.clone(), tts.speed, runtime, &egress)?;
            Ok(Box::new(engine))
        }));
    }
    let models_dir = &config.server.models_dir;
    let runtime = locate(manifest, models_dir, RUNTIME, Purpose::Runtime)?;
    piper::load_runtime(runtime.path())?;
    let files = |key: &str, name: &str| {
        let voice = locate(manifest, models_dir, name, Purpose::Tts)?;
        let files = (voice.files.first().cloned(), voice.files.get(1).cloned());
        let (Some(model), Some(json)) = files else {
            anyhow::bail!("{key} {name} needs an .onnx and an .onnx.json file")
        };
        Ok((model, json))
    };
    let usual = files("TTS_VOICE", &tts.voice)?;
    let spanish = tts
        .voice_es
        .as_deref()
        .map(|name| files("TTS_VOICE_ES", name))
        .transpose()?;
    Ok(Box::new(move || {
        let load = |(model, json): &(PathBuf, PathBuf)| Piper::load(model, json, tts.speed, tts.threads);
        let usual = load(&usual)?;
        Ok(match &spanish {
            None => Box::new(usual),
            Some(spanish) => {
                let spanish: Box<dyn Synthesizer> = Box::new(load(spanish)?);
                Box::new(Voices::new(Box::new(usual), HashMap::from([("es", spanish)])))
            }
        })
    }))
}

/// Builds judges of a turn's end.
fn end_of_turn(config: &Config, manifest: &Manifest) -> anyhow::Result<Factory<dyn EndOfTurn>> {
    let models_dir = &config.server.models_dir;
    let runtime = locate(manifest, models_dir, RUNTIME, Purpose::Runtime)?;
    piper::load_runtime(runtime.path())?;
    let model = locate(manifest, models_dir, SMART_TURN, Purpose::EndOfTurn)?
        .path()
        .to_owned();
    Ok(Box::new(move || Ok(Box::new(SmartTurn::load(&model, 1)?))))
}

/// The second opinion on what is speech. A server whose engines are all remote may do without its files, and is told so once.
pub(super) fn silero(config: &Config) -> anyhow::Result<Option<SileroModel>> {
    let models_dir = &config.server.models_dir;
    let manifest = Manifest::load(models_dir)?;
    let loaded = || -> anyhow::Result<SileroModel> {
        piper::load_runtime(locate(&manifest, models_dir, RUNTIME, Purpose::Runtime)?.path())?;
        Ok(SileroModel::load(
            locate(&manifest, models_dir, VAD, Purpose::Vad)?.path(),
        )?)
    };
    let silero = loaded().inspect_err(|error| {
        tracing::warn!(%error, "noise that sounds like a voice will pass for one, because Silero cannot be used: {error}");
    });
    Ok(silero.ok())
}

/// The voice of a simulated caller; loaded when it first speaks.
pub(super) struct CallerVoice<'a> {
    config: &'a Config,
    synthesizer: Option<Box<dyn Synthesizer>>,
}

impl<'a> CallerVoice<'a> {
    pub(super) fn new(config: &'a Config) -> Self {
        Self {
            config,
            synthesizer: None,
        }
    }

    /// Mono samples and their rate in Hz.
    pub(super) fn speak(&mut self, text: &str) -> anyhow::Result<(Vec<f32>, u32)> {
        if self.synthesizer.is_none() {
            let manifest = Manifest::load(&self.config.server.models_dir)?;
            let egress = Egress::new(self.config.egress.clone());
            self.synthesizer = Some(synthesizer(self.config, &manifest, &egress)?()?);
        }
        let voice = self.synthesizer.as_mut().context("no voice")?;
        let speech = voice.synthesize(&crate::speech::spoken::spoken(text), &|| false)?;
        Ok((speech.samples, speech.rate.get()))
    }
}

/// The onnxruntime library's name in the manifest.
pub(super) const RUNTIME: &str = "onnxruntime";
/// The end-of-turn model's.
pub(super) const SMART_TURN: &str = "smart-turn-v3.2";
/// Silero's name in the manifest.
pub(super) const VAD: &str = "silero-vad";
/// Jobs that may wait: more could not be done before their deadline.
const QUEUE_PER_CORE: usize = 8;
