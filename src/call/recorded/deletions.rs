//! Recordings that must not stay with the carrier: each is deleted, however often it takes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::twilio::rest::Carrier;

/// What is to be deleted, and the task that does it.
pub(super) struct Deletions {
    shared: Arc<Shared>,
    worker: JoinHandle<()>,
}

struct Shared {
    carrier: Arc<dyn Carrier>,
    waiting: Mutex<HashMap<String, Waiting>>,
    changed: Notify,
    /// How many wait.
    left: watch::Sender<usize>,
    /// Before a deletion is tried again for the first time.
    again: Duration,
}

#[derive(Clone, Copy)]
struct Waiting {
    tries: u32,
    at: Instant,
}

impl Deletions {
    pub(super) fn new(carrier: Arc<dyn Carrier>, again: Duration) -> Self {
        let shared = Arc::new(Shared {
            carrier,
            waiting: Mutex::default(),
            changed: Notify::new(),
            left: watch::Sender::new(0),
            again,
        });
        let worker = tokio::spawn(work(Arc::clone(&shared)));
        Self { shared, worker }
    }

    /// Deletes a recording as soon as possible. Asked twice, it is done once.
    pub(super) fn add(&self, recording: &str) {
        let mut waiting = self.shared.lock();
        if waiting.len() >= MOST {
            tracing::error!(
                recording,
                "recording {recording} will not be deleted by itself, because too many wait: delete it in the Twilio console"
            );
            return;
        }
        let first = Waiting { tries: 0, at: now() };
        waiting.entry(recording.to_owned()).or_insert(first);
        self.shared.left.send_replace(waiting.len());
        drop(waiting);
        self.shared.changed.notify_one();
    }

    /// How many are still to be deleted.
    pub(super) fn left(&self) -> watch::Receiver<usize> {
        self.shared.left.subscribe()
    }

    /// The last chance, before the process ends: all are tried once more, and what stays is named.
    pub(super) async fn finish(&self, within: Duration) {
        for waiting in self.shared.lock().values_mut() {
            waiting.at = now();
        }
        self.shared.changed.notify_one();
        let mut left = self.left();
        // What is left is named below.
        let _ = tokio::time::timeout(within, left.wait_for(|&left| left == 0)).await;
        for recording in self.shared.lock().keys() {
            tracing::error!(
                recording,
                "recording {recording} is still at Twilio as this server stops: delete it in the Twilio console"
            );
        }
    }
}

impl Drop for Deletions {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that is due first.
    fn next(&self) -> Option<(String, Waiting)> {
        let waiting = self.lock();
        let first = waiting.iter().min_by_key(|(_, waiting)| waiting.at);
        first.map(|(recording, waiting)| (recording.clone(), *waiting))
    }

    async fn delete(&self, recording: &str, tries: u32) {
        match self.carrier.delete_recording(recording).await {
            Ok(()) => {
                tracing::debug!(recording, "recording {recording} is deleted");
                let mut waiting = self.lock();
                waiting.remove(recording);
                self.left.send_replace(waiting.len());
            }
            Err(error) => {
                let pause = self
                    .again
                    .saturating_mul(1 << tries.min(MOST_DOUBLINGS))
                    .min(LONGEST_PAUSE);
                tracing::error!(
                    recording, %error, tries = tries + 1,
                    "recording {recording} is still at Twilio and will be deleted later: {error}"
                );
                let next = Waiting {
                    tries: tries.saturating_add(1),
                    at: now() + pause,
                };
                self.lock().insert(recording.to_owned(), next);
            }
        }
    }
}

async fn work(shared: Arc<Shared>) {
    loop {
        let next = shared.next();
        match next {
            Some((recording, waiting)) if waiting.at <= now() => shared.delete(&recording, waiting.tries).await,
            Some((_, waiting)) => {
                // Either way the list is looked at anew.
                let _ = tokio::time::timeout_at(waiting.at.into(), shared.changed.notified()).await;
            }
            None => shared.changed.notified().await,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a deletion is tried again is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// Recordings that may wait: days of calls.
const MOST: usize = 10_000;
const MOST_DOUBLINGS: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
