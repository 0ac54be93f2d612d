//! The settings: every fault at once, unknown keys, and who may read the file.

use std::path::Path;

use super::page::Line;
use crate::config::{Config, ConfigError, KEYS, Origin, Strings};

/// What [`crate::config::Config::read`] found.
pub(super) fn judge(strings: &Strings, faults: &[ConfigError]) -> Vec<Line> {
    let unknown = strings.warnings().iter().map(|warning| {
        Line::warn(
            TOPIC,
            warning.as_str(),
            "correct its name, or remove the line; until then it does nothing",
        )
    });
    let faults = faults.iter().map(fault);
    let lines: Vec<Line> = faults.chain(unknown).collect();
    if !lines.is_empty() {
        return lines;
    }
    let set = strings.keys().count();
    vec![Line::ok(
        TOPIC,
        format!("{set} of {} keys are set, and all can be read", KEYS.len()),
    )]
}

/// One fault; its remedy stands after the last full stop of its message.
pub(super) fn fault(fault: &ConfigError) -> Line {
    let message = fault.to_string();
    match message.rsplit_once(". ") {
        Some((found, remedy)) => Line::fail(TOPIC, found, remedy),
        None => Line::fail(TOPIC, message, "correct it; .env.example explains every key"),
    }
}

/// What is odd without being wrong, as the server logs it at start, and what only development may have.
pub(super) fn oddities(config: &Config, strings: &Strings) -> Vec<Line> {
    let own = config
        .warnings
        .iter()
        .filter(|warning| !strings.warnings().contains(warning));
    let own = own.map(|warning| Line::warn(TOPIC, warning.as_str(), ".env.example explains every key"));
    let open = config.twilio.unverified.then(|| {
        let found = "TWILIO_VERIFY is off: whoever reaches the port can place calls";
        Line::warn(TOPIC, found, "remove it, unless nobody but you reaches this machine")
    });
    let telling = config.log.transcripts.then(|| {
        let found = "LOG_TRANSCRIPTS is on: what callers say is in the logs";
        Line::warn(TOPIC, found, "remove it, unless the callers are yourself")
    });
    own.chain(open).chain(telling).collect()
}

/// The file as it lies there.
pub(super) struct EnvFile {
    /// Permission bits; `None` if there is no file.
    pub(super) mode: Option<u32>,
    /// Whether one of its keys is secret.
    pub(super) secrets: bool,
}

impl EnvFile {
    pub(super) fn look(path: &Path, strings: &Strings) -> Self {
        #[cfg(unix)]
        let mode = |file: std::fs::Metadata| std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o7777;
        #[cfg(not(unix))]
        let mode = |_: std::fs::Metadata| 0o600;
        let secret = |name: &str| KEYS.iter().any(|key| key.secret && key.name == name);
        Self {
            mode: std::fs::metadata(path).ok().map(mode),
            secrets: strings
                .keys()
                .any(|(key, origin)| matches!(origin, Origin::File(_)) && (secret(key) || key == "DATABASE_URL")),
        }
    }
}

pub(super) fn judge_file(path: &Path, file: &EnvFile) -> Line {
    let name = path.display();
    match file.mode {
        None => Line::warn(
            FILE,
            format!("there is no {name}: all settings come from the environment, or are the defaults"),
            "cp .env.example .env, and set what the lines below ask for",
        ),
        Some(mode) if mode & 0o077 != 0 && file.secrets => Line::warn(
            FILE,
            format!("{name} holds secrets, and other users of this machine may read it ({mode:04o})"),
            format!("chmod 600 {name}"),
        ),
        Some(mode) => Line::ok(FILE, format!("{name} is there ({mode:04o})")),
    }
}

const TOPIC: &str = "settings";
const FILE: &str = "env file";

#[cfg(test)]
mod tests {
    use super::super::page::State;
    use super::*;

    #[test]
    fn every_fault_has_its_remedy() {
        let strings: Strings = [("ENDPOINT_DELAY", "600"), ("VAD_MODE", "7"), ("LLM_API_KEY", "hid den")]
            .into_iter()
            .collect();
        let (_, faults) = Config::read(&strings);
        let lines = judge(&strings, &faults);
        assert_eq!(lines.len(), 3, "{lines:?}");
        let remedies: Vec<&str> = lines.iter().filter_map(|line| line.remedy.as_deref()).collect();
        assert!(
            remedies.contains(&"Write ENDPOINT_DELAY=600ms") && remedies.contains(&"Write VAD_MODE=2"),
            "{lines:?}"
        );
        assert!(!format!("{lines:?}").contains("hid den"));
    }

    #[test]
    fn the_file_is_for_its_owner_if_it_holds_a_secret() {
        let judged = |mode, secrets| judge_file(Path::new(".env"), &EnvFile { mode, secrets }).state;
        assert_eq!(judged(None, false), State::Warn);
        assert_eq!(judged(Some(0o644), true), State::Warn);
        assert_eq!(judged(Some(0o640), true), State::Warn);
        assert_eq!(judged(Some(0o600), true), State::Ok);
        assert_eq!(judged(Some(0o644), false), State::Ok);
    }
}
