//! Model files: there, of the right length, and with `--full` intact and working.

use super::page::Line;
use crate::cli::engines;
use crate::config::Config;
use crate::dialog::agent::Agents;
use crate::models::{self, Glance, Manifest, ModelError, Purpose, State as FileState, is_path, locate};
use crate::privacy::egress::Egress;

/// A quick look, and with `full` a close one.
pub(super) async fn check(config: &Config, agents: Option<&Agents>, full: bool) -> Vec<Line> {
    let models_dir = &config.server.models_dir;
    let manifest = match Manifest::load(models_dir) {
        Ok(manifest) => manifest,
        Err(error) => {
            return vec![Line::fail(
                TOPIC,
                error.to_string(),
                "correct that line of the manifest",
            )];
        }
    };
    let mut faults: Vec<Line> = named(config)
        .into_iter()
        .filter_map(|(key, name, purpose)| wrong_name(&manifest, config, key, name, purpose))
        .collect();
    let needed = engines::needed_models(config);
    let known: Vec<String> = needed
        .into_iter()
        .filter(|name| manifest.model(name).is_some())
        .collect();
    for name in &known {
        let seen = models::glance(&manifest, models_dir, name).unwrap_or_default();
        faults.extend(
            seen.iter()
                .filter_map(|(file, glance)| judge(name, &file.display().to_string(), glance)),
        );
    }
    if !faults.is_empty() {
        return faults;
    }
    let names = known.join(", ");
    if !full {
        return vec![Line::ok(
            TOPIC,
            format!("{names} are here (tieline doctor --full checks and runs them)"),
        )];
    }
    let reports = models::verify(&manifest, models_dir, &known).unwrap_or_default();
    let corrupt = reports
        .into_iter()
        .filter_map(|report| corrupt(&report.model, &report.state));
    let corrupt: Vec<Line> = corrupt.collect();
    if !corrupt.is_empty() {
        return corrupt;
    }
    let intact = Line::ok(TOPIC, format!("{names} match their checksums"));
    let Some(agents) = agents else { return vec![intact] };
    let works = match engines::start(config, agents, &Egress::new(config.egress.clone())).await {
        Ok(_) => Line::ok(TOPIC, "speech to text and text to speech were loaded, and work"),
        Err(error) => Line::fail(
            TOPIC,
            format!("{error:#}"),
            "see STT_… and TTS_… in .env.example; is there enough memory?",
        ),
    };
    vec![intact, works]
}

/// What the configuration names, and by which key.
fn named(config: &Config) -> Vec<(&'static str, &str, Purpose)> {
    let mut named = Vec::new();
    if config.stt.url.is_none() {
        named.push(("STT_MODEL", config.stt.model.as_str(), Purpose::Stt));
    }
    if config.tts.url.is_none() {
        named.push(("TTS_VOICE", config.tts.voice.as_str(), Purpose::Tts));
        named.extend(
            config
                .tts
                .voice_es
                .iter()
                .map(|voice| ("TTS_VOICE_ES", voice.as_str(), Purpose::Tts)),
        );
    }
    named
}

/// A name that no model has, or one of another kind; a path where no file is.
fn wrong_name(manifest: &Manifest, config: &Config, key: &str, name: &str, purpose: Purpose) -> Option<Line> {
    let right = manifest.model(name).is_some_and(|model| model.purpose == purpose);
    if right && !is_path(name) {
        return None;
    }
    let error = locate(manifest, &config.server.models_dir, name, purpose).err()?;
    Some(Line::fail(TOPIC, format!("{key}: {error}"), remedy(&error, key)))
}

fn remedy(error: &ModelError, key: &str) -> String {
    match error {
        ModelError::NoSuchPath { .. } | ModelError::NoVoiceConfig { .. } | ModelError::Read { .. } => {
            format!("correct {key}, or put the file there")
        }
        ModelError::Unknown { .. }
        | ModelError::NotInManifest { .. }
        | ModelError::WrongPurpose { .. }
        | ModelError::Missing { .. }
        | ModelError::Corrupt { .. } => format!("set {key} to a name that `tieline models list` shows"),
    }
}

fn judge(name: &str, file: &str, seen: &Glance) -> Option<Line> {
    let found = match seen {
        Glance::Fits => return None,
        Glance::Missing => format!("{name}: {file} is missing"),
        Glance::Size { expected, found } => format!("{name}: {file} has {found} bytes, and should have {expected}"),
    };
    Some(Line::fail(TOPIC, found, format!("tieline models pull {name}")))
}

fn corrupt(name: &str, state: &FileState) -> Option<Line> {
    let pull = format!("tieline models pull {name}");
    match state {
        FileState::Verified => None,
        FileState::Unpinned { sha256 } => Some(Line::warn(
            TOPIC,
            format!("{name} is here, but the manifest has no checksum for it"),
            format!("if you trust the file, add sha256 = \"{sha256}\" to it in manifest.toml"),
        )),
        FileState::Missing => Some(Line::fail(TOPIC, format!("{name} is missing"), pull)),
        FileState::Corrupt { .. } => Some(Line::fail(TOPIC, format!("{name} is not what its checksum says"), pull)),
        FileState::Unreadable { reason } => Some(Line::fail(TOPIC, reason.as_str(), pull)),
    }
}

const TOPIC: &str = "models";
