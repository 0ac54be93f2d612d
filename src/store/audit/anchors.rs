//! Where the trail ends, hour by hour, in a file elsewhere.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::Anchor;
use crate::store::Store;

impl Store {
    /// Adds the end of the trail to a file, now and every hour, until it is dropped. A file that cannot be written to is tried again.
    pub async fn keep_anchors(self, file: PathBuf) {
        let mut hours = tokio::time::interval(HOUR);
        hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            hours.tick().await;
            if let Err(error) = self.keep_anchor(&file).await {
                let path = file.display();
                tracing::error!(
                    "the end of the audit trail is not in AUDIT_ANCHOR_FILE {path}: {error}. Make it writable for this user"
                );
            }
        }
    }

    /// Adds it once: time, a space, and what `tieline data audit verify --anchor` takes.
    pub async fn keep_anchor(&self, file: &Path) -> io::Result<()> {
        let head = self.audit_head().await.map_err(io::Error::other)?;
        let (done, written) = oneshot::channel();
        let file = file.to_owned();
        // The disk may be a remote one, and calls do not wait for it.
        std::thread::Builder::new().name("anchor".to_owned()).spawn(move || {
            // An error means that nobody waits any more.
            let _ = done.send(add(&file, &head));
        })?;
        written
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the writing thread ended")))
    }
}

fn add(file: &Path, head: &Anchor) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    let mut file = options.open(file)?;
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    file.write_all(format!("{now} {head}\n").as_bytes())?;
    file.sync_data()
}

const HOUR: Duration = Duration::from_secs(3_600);
