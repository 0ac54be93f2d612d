//! `tieline doctor`: the real program on set-ups that are wrong, and on one that is right.

mod broken;
mod egress;
mod others;
mod twilio;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

/// What one run said.
struct Page {
    code: i32,
    /// All it printed.
    text: String,
    checks: Vec<Check>,
}

#[derive(Debug, serde::Deserialize)]
struct Check {
    topic: String,
    state: String,
    found: String,
    #[serde(default)]
    remedy: String,
}

impl Page {
    /// The check that says this.
    #[track_caller]
    fn check(&self, topic: &str, part: &str) -> &Check {
        let found = self
            .checks
            .iter()
            .find(|check| check.topic == topic && check.found.contains(part));
        found.unwrap_or_else(|| panic!("no {topic} with {part:?} in {}", self.text))
    }

    #[track_caller]
    fn says(&self, state: &str, topic: &str, part: &str, remedy: &str) {
        let check = self.check(topic, part);
        assert_eq!(check.state, state, "{check:?}");
        assert!(check.remedy.contains(remedy), "{check:?}");
    }
}

/// Runs it with this environment and nothing else, in `dir`.
async fn run(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let repository = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
    command
        .arg("doctor")
        .args(args)
        .env_clear()
        .env("AGENTS_DIR", format!("{repository}/agents"))
        .env("MODELS_DIR", format!("{repository}/models"))
        .env("BIND", "127.0.0.1:0")
        .envs(environment.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(HANG, command.output())
        .await
        .expect("it ends")
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8") + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("an exit code"), text)
}

/// As JSON, to be looked into.
async fn doctor(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Page {
    let (code, text) = run(dir, &[&["--json"], args].concat(), environment).await;
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let checks: Vec<Check> = serde_json::from_value(document["checks"].clone()).expect("checks");
    let failed = checks.iter().any(|check| check.state == "fail");
    assert_eq!(document["ok"], !failed);
    assert_eq!(code, i32::from(failed), "{text}");
    Page { code, text, checks }
}

/// A port where nothing listens.
const NOBODY: &str = "http://127.0.0.1:1";
/// Long past everything healthy, also on a busy machine.
const HANG: Duration = Duration::from_secs(120);
