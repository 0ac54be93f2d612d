//! Logs go to standard error; standard output belongs to the commands' results.
//!
//! A message reads alone, and the value one would search for is also a field. Nothing a caller said, no digit, name or
//! full number appears in any message, at any level, unless `LOG_TRANSCRIPTS` is on.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::prelude::*;

use crate::config::{Log, LogFormat};

/// Installs the subscriber. Later calls change nothing.
pub fn init(log: &Log) {
    let filter = filter(&log.filter);
    let output = match log.format {
        LogFormat::Text => layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_target(false)
            .boxed(),
        LogFormat::Json => layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    // Fails only if a subscriber is installed already, as in tests.
    let _ = tracing_subscriber::registry().with(filter).with(output).try_init();
}

/// The filter of `LOG`, or `info` if it is none. What libraries log of the bodies they carry is left out at any level.
pub fn filter(directives: &str) -> EnvFilter {
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    TALKATIVE
        .iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive)
}

/// Libraries that log what was said: async-openai quotes a server's answer it cannot read, in warnings and errors;
/// tungstenite traces every message, tokens included; h2 traces headers, keys included. ort only chatters.
const TALKATIVE: [&str; 5] = [
    "async_openai=off",
    "tungstenite=info",
    "tokio_tungstenite=info",
    "h2=info",
    "ort=warn",
];
