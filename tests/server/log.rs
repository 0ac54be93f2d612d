//! The log of the whole process, at every level, and what must not be in it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tieline::telemetry::logging;
use tracing::Subscriber;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Of everything from here on, as in production, so that the engine threads and the libraries are heard too. One test of a program can have it.
    pub(crate) fn of_the_process() -> Self {
        let log = Self::default();
        log.subscriber().try_init().expect("no other test installs one");
        log
    }

    /// Of what runs on this thread until the guard goes.
    pub(crate) fn of_this_thread() -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = log.subscriber().set_default();
        (log, guard)
    }

    fn subscriber(&self) -> impl Subscriber + Send + Sync + 'static {
        let output = tracing_subscriber::fmt::layer()
            .with_writer(self.clone())
            .with_ansi(false);
        tracing_subscriber::registry()
            .with(logging::filter("trace"))
            .with(output)
    }

    /// What there is.
    pub(crate) fn text(&self) -> String {
        let text = self.0.lock().expect("no panic under the lock").clone();
        String::from_utf8(text).expect("UTF-8")
    }

    /// The log tells that this call came and went, and nowhere, in whatever case, one of these.
    pub(crate) fn tells_of_the_call_without(&self, call: &str, secrets: &[&str]) {
        let text = self.text();
        assert!(
            text.contains(&format!("call {call} is live")) && text.contains(&format!("call {call} ended")),
            "the log is heard"
        );
        let lower = text.to_lowercase();
        for secret in secrets {
            let line = lower.lines().find(|line| line.contains(&secret.to_lowercase()));
            assert_eq!(line, None, "{secret} is in the log");
        }
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic under the lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
