//! Recordings that must not stay with the carrier: each is deleted, however often it takes, and whichever server does it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::Patience;
use crate::store::Store;
use crate::twilio::rest::{Carrier, CarrierError};

/// What is to be deleted, and the task that does it.
pub(super) struct Deletions {
    shared: Arc<Shared>,
    worker: JoinHandle<()>,
}

struct Shared {
    carrier: Arc<dyn Carrier>,
    /// Where they are written down too.
    store: Option<Store>,
    waiting: Mutex<HashMap<String, Waiting>>,
    changed: Notify,
    /// How many wait.
    left: watch::Sender<usize>,
    /// Before a deletion is tried again for the first time.
    again: Duration,
    /// How long a recording that the carrier does not have may still appear.
    appears: Duration,
    /// When a recording that another server has written down is nobody's.
    orphaned: Duration,
}

#[derive(Clone, Copy)]
struct Waiting {
    tries: u32,
    at: Instant,
    /// When its id was told; `None`: long ago.
    told: Option<Instant>,
    /// It is in the database, or cannot be.
    written: bool,
}

/// What the worker does next.
enum Task {
    Write(String),
    Delete(String, u32),
    Wait(Instant),
}

impl Deletions {
    pub(super) fn new(carrier: Arc<dyn Carrier>, store: Option<Store>, patience: &Patience) -> Self {
        let shared = Arc::new(Shared {
            carrier,
            store,
            waiting: Mutex::default(),
            changed: Notify::new(),
            left: watch::Sender::new(0),
            again: patience.delete_pause,
            appears: patience.appears,
            orphaned: patience.orphaned,
        });
        let worker = tokio::spawn(work(Arc::clone(&shared)));
        Self { shared, worker }
    }

    /// A recording is about to be fetched. If nobody asks for its deletion, it is deleted all the same, later.
    pub(super) fn expect(&self, recording: &str) {
        self.insert(recording, now() + FORGOTTEN);
    }

    /// Deletes a recording as soon as possible. Asked twice, it is done once.
    pub(super) fn add(&self, recording: &str) {
        self.insert(recording, now());
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
        for (recording, waiting) in self.shared.lock().iter() {
            let then = if waiting.written && self.shared.store.is_some() {
                "it is deleted once a server runs again"
            } else {
                "delete it in the Twilio console"
            };
            tracing::error!(
                recording,
                "recording {recording} is still at Twilio as this server stops: {then}"
            );
        }
    }

    fn insert(&self, recording: &str, at: Instant) {
        let mut waiting = self.shared.lock();
        if waiting.len() >= MOST && !waiting.contains_key(recording) {
            tracing::error!(
                recording,
                "recording {recording} will not be deleted by itself, because too many wait: delete it in the Twilio console"
            );
            return;
        }
        let first = Waiting {
            tries: 0,
            at,
            told: Some(now()),
            written: false,
        };
        let known = waiting.entry(recording.to_owned()).or_insert(first);
        if known.tries == 0 {
            known.at = known.at.min(at);
        }
        self.shared.left.send_replace(waiting.len());
        drop(waiting);
        self.shared.changed.notify_one();
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

    /// Ids are written down before anything else is done; then they are deleted in the order in which they are due.
    fn next(&self, sweep: Instant) -> Task {
        let waiting = self.lock();
        let unwritten = waiting.iter().find(|(_, waiting)| !waiting.written);
        if let Some((recording, _)) = unwritten {
            return Task::Write(recording.clone());
        }
        let first = waiting.iter().min_by_key(|(_, waiting)| waiting.at);
        match first {
            Some((recording, waiting)) if waiting.at <= now() => Task::Delete(recording.clone(), waiting.tries),
            Some((_, waiting)) => Task::Wait(waiting.at.min(sweep)),
            None => Task::Wait(sweep),
        }
    }

    async fn write(&self, recording: &str) {
        if let Some(store) = &self.store
            && let Err(error) = store.keep_undeleted(recording).await
        {
            tracing::error!(recording, %error, "that recording {recording} is to be deleted is not written down: {error}");
        }
        if let Some(waiting) = self.lock().get_mut(recording) {
            waiting.written = true;
        }
    }

    async fn delete(&self, recording: &str, tries: u32) {
        let deleted = match self.carrier.delete_recording(recording).await {
            Err(CarrierError::Refused { status: 404, .. }) if !self.may_appear(recording) => Ok(()),
            deleted => deleted,
        };
        match deleted {
            Ok(()) => {
                tracing::debug!(recording, "recording {recording} is deleted");
                if let Some(store) = &self.store
                    && let Err(error) = store.forget_undeleted(recording).await
                {
                    // It is deleted again later, which does no harm.
                    tracing::warn!(recording, %error, "that recording {recording} is deleted is not written down: {error}");
                }
                let mut waiting = self.lock();
                waiting.remove(recording);
                self.left.send_replace(waiting.len());
            }
            Err(error) => {
                let doubled = self.again.saturating_mul(1 << tries.min(MOST_DOUBLINGS));
                tracing::error!(
                    recording, %error, tries = tries + 1,
                    "recording {recording} is not deleted at Twilio and will be later: {error}"
                );
                if let Some(waiting) = self.lock().get_mut(recording) {
                    waiting.tries = tries.saturating_add(1);
                    waiting.at = now() + doubled.min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Whether a recording that the carrier does not have may be one that it does not have yet.
    fn may_appear(&self, recording: &str) -> bool {
        let told = self.lock().get(recording).and_then(|waiting| waiting.told);
        told.is_some_and(|told| now() < told + self.appears)
    }

    /// What a server has written down that is no more.
    async fn orphans(&self) -> Vec<String> {
        let Some(store) = &self.store else { return Vec::new() };
        let found = store.undeleted(self.orphaned).await;
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "recordings that are still to be deleted cannot be looked up: {error}");
            Vec::new()
        })
    }
}

async fn work(shared: Arc<Shared>) {
    let mut sweep = now();
    loop {
        if sweep <= now() {
            sweep = now() + SWEEP;
            for recording in shared.orphans().await {
                let mut waiting = shared.lock();
                let orphan = Waiting {
                    tries: 0,
                    at: now(),
                    told: None,
                    written: true,
                };
                waiting.entry(recording).or_insert(orphan);
                shared.left.send_replace(waiting.len());
            }
        }
        match shared.next(sweep) {
            Task::Write(recording) => shared.write(&recording).await,
            Task::Delete(recording, tries) => shared.delete(&recording, tries).await,
            Task::Wait(until) => {
                // Either way the list is looked at anew.
                let _ = tokio::time::timeout_at(until.into(), shared.changed.notified()).await;
            }
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
/// Long after every turn.
const FORGOTTEN: Duration = Duration::from_secs(900);
/// How often it is looked for what others have left.
const SWEEP: Duration = Duration::from_secs(600);
