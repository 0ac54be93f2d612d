//! The rules of the house that the compiler does not check.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the top to the bottom; each may use those below it, those beside it only where listed together.
const LAYERS: &[&[&str]] = &[
    &["cli"],
    &["http", "caller"],
    &["retention"],
    &["call"],
    &["engine", "dialog", "telemetry"],
    &["models", "store"],
    &["speech"],
    &["config"],
    &["turn", "twilio", "privacy"],
    &["audio"],
    &["time"],
];

/// `config` checks the agent's name, `dialog` and `telemetry` read their settings; `caller` reads what `call` traces.
const ALSO: &[(&str, &str)] = &[("config", "dialog"), ("speech", "models")];

/// What the pure core must not name.
const IMPURE: &[&str] = &[
    "tokio",
    "axum",
    "sqlx",
    "reqwest",
    "Instant::now",
    "SystemTime::now",
    "std::env",
    "std::fs",
    "std::thread",
    "std::net",
    "Mutex",
    "async fn",
    ".await;",
    ".await?",
];

const PURE: &[&str] = &[
    "turn",
    // `twilio::rest` is the carrier's API: it asks over HTTP.
    "twilio/answers",
    "twilio/dialect",
    "twilio/form",
    "twilio/message",
    "twilio/proof",
    "twilio/recorded",
    "twilio/signature",
    "twilio/status",
    "twilio/twiml",
    "audio",
    "time",
    "call/flow.rs",
    "dialog/agent",
    "dialog/form",
    "dialog/llm/chunk.rs",
    "dialog/llm/prose.rs",
    "dialog/llm/sse.rs",
    "dialog/slot",
    "dialog/tool/spec.rs",
    "dialog/tool/template.rs",
    "speech/sentence",
    "speech/spoken",
];
/// `dialog::agent` reads its files in `load` and lists them; everything else in it is pure.
const READS_FILES: &[&str] = &["dialog/agent/mod.rs"];

#[test]
fn arrows_point_downwards() {
    for (module, path, text) in sources() {
        let Some(layer) = LAYERS.iter().position(|layer| layer.contains(&module.as_str())) else {
            assert!(
                ["lib", "main"].contains(&module.as_str()),
                "src/{module} has no place in the layers"
            );
            continue;
        };
        for (other_layer, others) in LAYERS.iter().enumerate() {
            for other in others.iter().filter(|other| **other != module) {
                let beside = other_layer == layer;
                let allowed = other_layer > layer || beside || ALSO.contains(&(module.as_str(), other));
                assert!(
                    allowed || !uses(&text, other),
                    "{} uses crate::{other}, which lies above it",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_core_is_pure() {
    for (_, path, text) in sources() {
        let inside = path
            .strip_prefix(root().join("src"))
            .expect("in src")
            .to_string_lossy()
            .into_owned();
        if !PURE.iter().any(|pure| inside.starts_with(pure)) {
            continue;
        }
        for word in IMPURE {
            let reads = *word == "std::fs" && READS_FILES.contains(&inside.as_str());
            assert!(reads || !code(&text).contains(word), "{inside} names {word}");
        }
    }
}

#[test]
fn files_stay_readable() {
    for folder in ["src", "tests", "benches"] {
        for path in rust_files(&root().join(folder)) {
            let lines = fs::read_to_string(&path).expect("readable").lines().count();
            assert!(lines <= 800, "{} has {lines} lines; split it", path.display());
        }
    }
}

#[test]
fn the_map_names_every_module() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for layer in LAYERS {
        for module in *layer {
            assert!(
                map.contains(&format!("`{module}`")),
                "ARCHITECTURE.md does not name `{module}`"
            );
        }
    }
}

/// What opens a connection by itself, past the egress guard.
const DOORS: &[&str] = &[
    "Client::builder(",
    "Client::new(",
    "ClientBuilder::new(",
    "reqwest::get(",
    "TcpStream::connect",
    "TcpSocket::new",
    "UdpSocket::",
    "UnixStream::connect",
    "lookup_host",
    "to_socket_addrs",
    "connect_async",
    "AnyConnection::connect",
    "AnyPool::connect",
    "PgConnection::",
    "PgPool",
];

/// Who may: the guard; commands that set a machine up or look at it and serve no call; the store, which asks the guard in
/// `store::reach`.
const GUARDED: &[&str] = &[
    "privacy/egress",
    "models/pull",
    "cli/doctor",
    "cli/bench",
    "caller",
    "store/connect.rs",
    "store/examine.rs",
];

#[test]
fn nothing_leaves_the_house_but_by_the_guard() {
    for (_, path, text) in sources() {
        let inside = path
            .strip_prefix(root().join("src"))
            .expect("in src")
            .to_string_lossy()
            .into_owned();
        if GUARDED.iter().any(|allowed| inside.starts_with(allowed)) {
            continue;
        }
        for door in DOORS {
            // `LlmClient::new` is no `Client::new`.
            let text = code(&text);
            let mut found = text.match_indices(door).map(|(at, _)| text[..at].chars().next_back());
            let whole = found.any(|before| !before.is_some_and(char::is_alphanumeric));
            assert!(!whole, "{inside} opens connections by itself: {door}");
        }
    }
    // The exceptions connect by what the guard has admitted.
    for file in ["store/connect.rs", "store/examine.rs"] {
        let text = fs::read_to_string(root().join("src").join(file)).expect("readable");
        let asked = text.matches("reach::admitted(").count();
        assert_eq!(asked, 1, "{file} asks the guard once, for all connections");
        assert!(!code(&text).contains("PgConnection"), "{file}");
    }
}

#[test]
fn no_test_waits_for_the_clock() {
    let word = ["sle", "ep("].concat();
    for path in rust_files(&root().join("tests")) {
        let text = fs::read_to_string(&path).expect("readable");
        assert!(!text.contains(&word), "{} sleeps", path.display());
    }
}

fn uses(text: &str, module: &str) -> bool {
    code(text).contains(&format!("crate::{module}::")) || code(text).contains(&format!("crate::{module};"))
}

/// The text without comments and without the tests at its end.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn sources() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    rust_files(&src)
        .into_iter()
        .filter(|path| {
            !path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().ends_with("tests.rs"))
        })
        .map(|path| {
            let first = path
                .strip_prefix(&src)
                .expect("in src")
                .components()
                .next()
                .expect("a name");
            let module = first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("readable");
            (module, path, text)
        })
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("readable").path())
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
