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
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
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
