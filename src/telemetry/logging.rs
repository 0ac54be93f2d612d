//! Logs go to standard error; standard output belongs to the commands' results.
//!
//! A message reads alone, and the value one would search for is also a field. Nothing a caller said, no digit, name or
//! full number appears in any message, at any level, unless `LOG_TRANSCRIPTS` is on.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::Layer;
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

/// The filter of `LOG`, or `info` if it is none. What libraries log of the bodies they carry is left out, whatever `LOG` asks
/// for: of two directives of one filter the longer target would win.
pub fn filter<S: Subscriber>(directives: &str) -> impl Layer<S> {
    let asked = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    asked.and_then(filter_fn(|metadata| {
        let is_of = |library: &str| {
            let inside = metadata.target().strip_prefix(library);
            inside.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let library = TALKATIVE.iter().find(|(library, _)| is_of(library));
        library.is_none_or(|(_, most)| metadata.level() <= most)
    }))
}

/// Libraries that log what was said: async-openai quotes a server's answer it cannot read, in warnings and errors;
/// tungstenite traces every message, tokens included; h2 traces headers, keys included. ort only chatters.
const TALKATIVE: [(&str, LevelFilter); 5] = [
    ("async_openai", LevelFilter::OFF),
    ("tungstenite", LevelFilter::INFO),
    ("tokio_tungstenite", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("ort", LevelFilter::WARN),
];

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Event;
    use tracing_subscriber::layer::Context;

    use super::*;

    /// What gets through.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let target = event.metadata().target();
            self.0.lock().expect("no panic under the lock").push(target);
        }
    }

    #[test]
    fn talkative_libraries_are_silent_whatever_is_asked_for() {
        let asked = "info,async_openai::client=debug,h2::codec=trace,tungstenite=trace,ortho=debug";
        let heard = Heard::default();
        let subscriber = tracing_subscriber::registry().with(filter(asked)).with(heard.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!(target: "async_openai::client", "an answer");
            tracing::error!(target: "async_openai", "an answer");
            tracing::trace!(target: "h2::codec::framed_read", "a key");
            tracing::debug!(target: "tungstenite::protocol", "a token");
            tracing::debug!(target: "tieline", "not asked for");
            tracing::info!(target: "tieline", "a call");
            tracing::info!(target: "h2::codec", "a connection");
            tracing::debug!(target: "ortho", "asked for");
        });
        let heard = heard.0.lock().expect("no panic under the lock").clone();
        assert_eq!(heard, ["tieline", "h2::codec", "ortho"]);
    }
}
