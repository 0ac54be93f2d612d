//! The agents' files while the server runs: a change is for new calls, and a broken file changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::dialog::agent::Agents;

/// The agents of `dir` from here on, read again on SIGHUP and when a file changes.
pub(super) fn watch((dir, default): (PathBuf, String), agents: Agents) -> watch::Receiver<Arc<Agents>> {
    let (sender, receiver) = watch::channel(Arc::new(agents));
    tokio::spawn(async move {
        let mut seen = stamps(&dir);
        // Without the signal the files are looked at all the same.
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut look = tokio::time::interval(LOOK);
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                _ = asked => true,
                _ = look.tick() => false,
                () = sender.closed() => return,
            };
            let now = stamps(&dir);
            if !told && now == seen {
                continue;
            }
            seen = now;
            match Agents::load(&dir, &default) {
                Ok(agents) => {
                    sender.send_replace(Arc::new(agents));
                    tracing::info!("the agents were read again; new calls have them");
                }
                Err(error) => {
                    tracing::error!(%error, "the agents stay as they were, because of a fault in a file: {error}");
                }
            }
        }
    });
    receiver
}

/// When each file was last changed.
fn stamps(dir: &Path) -> BTreeMap<PathBuf, Option<SystemTime>> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "toml"));
    files
        .map(|entry| (entry.path(), entry.metadata().and_then(|file| file.modified()).ok()))
        .collect()
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
