//! The agents' files while the server runs: a change is for new calls, and a broken file changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::dialog::conversation::{Staff, StaffError};
use crate::store::Store;

/// Where agents come from.
pub(super) struct Files {
    pub(super) dir: PathBuf,
    pub(super) default: String,
    pub(super) store: Option<Store>,
}

impl Files {
    pub(super) fn load(&self) -> Result<Staff, StaffError> {
        Staff::load(&self.dir, &self.default, self.store.clone(), |name| {
            std::env::var(name).ok()
        })
    }
}

/// The agents from here on, read again on SIGHUP and when a file changes.
pub(super) fn watch(files: Files, staff: Staff) -> watch::Receiver<Arc<Staff>> {
    let (sender, receiver) = watch::channel(Arc::new(staff));
    tokio::spawn(async move {
        let mut seen = stamps(&files.dir);
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
            let now = stamps(&files.dir);
            if !told && now == seen {
                continue;
            }
            seen = now;
            match files.load() {
                Ok(staff) => {
                    sender.send_replace(Arc::new(staff));
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
