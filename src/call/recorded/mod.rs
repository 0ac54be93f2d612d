//! Calls without a media stream: the same dialog, turn by turn. The carrier plays what we say and records what the caller says.
//!
//! ```text
//! incoming ─▶ <Play> greeting, <Record> ─▶ recording's id ─▶ fetched, deleted, Whisper, dialog, Piper ─▶ <Play>, <Record> …
//!                                               └─ not ready yet: <Play> what is there, <Redirect> back here
//! ```
//!
//! A [`Step`] names each request the carrier will make. The next step of a call is acted on once; whoever asks for a step again gets
//! the answer it had. One task per call (`line`) keeps its state, as the driver does for a stream; a turn (`turn`) runs beside it.

mod clips;
mod deletions;
mod line;
mod listen;
mod turn;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use self::clips::Clips;
use self::deletions::Deletions;
use self::line::Line;
use crate::call::driver::Services;
use crate::call::registry::{Parties, Refused, Registry};
use crate::engine::LineAudio;
use crate::twilio::rest::Carrier;

/// How long who waits for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// A request is answered with what is there of a reply after this.
    pub soon: Duration,
    /// And if there is nothing, after this. The carrier gives up after 15 s.
    pub hold: Duration,
    /// A recording that is missing may still appear so long.
    pub fetch: Duration,
    /// Before it is asked for again, the first time.
    pub fetch_pause: Duration,
    /// Before a failed deletion is tried again, the first time.
    pub delete_pause: Duration,
    /// A recording that the carrier does not have may still appear so long after its id was told.
    pub appears: Duration,
    /// A recording that some server wrote down as still to be deleted is left to it so long.
    pub orphaned: Duration,
    /// A call whose next request does not come is lost this long after it should have.
    pub lost: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            soon: Duration::from_millis(1_500),
            hold: Duration::from_secs(4),
            fetch: Duration::from_secs(10),
            fetch_pause: Duration::from_millis(200),
            delete_pause: Duration::from_secs(5),
            appears: Duration::from_secs(300),
            orphaned: Duration::from_secs(1_800),
            lost: Duration::from_secs(30),
        }
    }
}

/// A request of the carrier: which, and which part of its answer. (0, 0) is the call's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Step {
    /// Counts the turns.
    pub number: u32,
    /// Counts the requests within a turn.
    pub part: u32,
}

/// What the carrier tells with a request. PHI: it has no `Debug`.
#[derive(Clone, Default)]
pub struct Posted {
    /// The id of what it recorded.
    pub recording: Option<String>,
    /// What was typed: 0-9, * and #.
    pub keys: Option<String>,
}

/// What the carrier is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Name of the clip to play first.
    pub clip: Option<String>,
    /// And then.
    pub then: Then,
}

/// How a call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The caller has the floor.
    Record {
        /// The request that tells what was said.
        next: Step,
        /// Silence that ends it.
        silence: Duration,
        /// Longest turn.
        longest: Duration,
    },
    /// The caller is typing.
    Gather {
        /// The request that tells what was typed.
        next: Step,
        /// Silence that ends it.
        pause: Duration,
    },
    /// The reply goes on.
    Poll {
        /// The request for more of it.
        next: Step,
        /// Nothing was there to play.
        pause: bool,
    },
    /// The call is over.
    Hangup,
}

/// Why a step has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// No such call is known.
    #[error("the call is not known")]
    Unknown,
    /// That step was long ago, or never offered.
    #[error("the step is not the call's next")]
    Stale,
    /// The call is not taken.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The call's task is gone, or the server stops.
    #[error("the call was given up")]
    Gone,
}

/// All calls that are held turn by turn.
pub struct Recorder {
    shared: Arc<Shared>,
    registry: Arc<Registry>,
    lines: Arc<Mutex<HashMap<String, mpsc::Sender<Ask>>>>,
}

/// What their tasks share.
struct Shared {
    services: Services,
    carrier: Arc<dyn Carrier>,
    deletions: Deletions,
    clips: Clips,
    patience: Patience,
}

/// What a call's task is asked.
enum Ask {
    /// The answer to a step.
    Step {
        step: Step,
        posted: Posted,
        reply: oneshot::Sender<Result<Arc<Answer>, NoAnswer>>,
    },
    /// The last answer again, as a step of its own: the carrier never had it.
    Again {
        reply: oneshot::Sender<Result<Arc<Answer>, NoAnswer>>,
    },
    /// Nothing: the caller is gone.
    HungUp,
}

impl Recorder {
    /// Must be called within the runtime.
    pub fn new(services: Services, registry: Arc<Registry>, carrier: Arc<dyn Carrier>, patience: Patience) -> Self {
        let deletions = Deletions::new(Arc::clone(&carrier), services.store.clone(), &patience);
        let shared = Shared {
            services,
            carrier,
            deletions,
            clips: Clips::default(),
            patience,
        };
        Self {
            shared: Arc::new(shared),
            registry,
            lines: Arc::default(),
        }
    }

    /// Takes a call that rings, or that has lost its server. A call that is known goes on instead: a repeated first request gets
    /// the same answer; one that comes later says that an answer was lost, and gets that one anew.
    pub async fn begin(&self, call_sid: &str, account: &str, parties: Parties) -> Result<Arc<Answer>, NoAnswer> {
        if let Some(line) = self.line(call_sid) {
            let (reply, answer) = oneshot::channel();
            // A task that is gone drops the reply.
            let _ = line.send(Ask::Again { reply }).await;
            return answer.await.unwrap_or(Err(NoAnswer::Gone));
        }
        let line = self.answer_call(call_sid, account, parties)?;
        step(&line, Step::default(), Posted::default()).await
    }

    /// What follows on what the carrier tells.
    pub async fn go_on(&self, call_sid: &str, at: Step, posted: Posted) -> Result<Arc<Answer>, NoAnswer> {
        match self.line(call_sid) {
            Some(line) => step(&line, at, posted).await,
            None => Err(NoAnswer::Unknown),
        }
    }

    /// Whether a call is held here.
    pub fn holds(&self, call_sid: &str) -> bool {
        self.line(call_sid).is_some()
    }

    /// The caller is gone.
    pub fn hung_up(&self, call_sid: &str) {
        if let Some(line) = self.line(call_sid) {
            // A full queue belongs to a call that is asked far too often; it ends by being lost.
            let _ = line.try_send(Ask::HungUp);
        }
    }

    /// Whether the records say that a call is over, so that an old request cannot begin it anew.
    pub async fn is_over(&self, call_sid: &str) -> bool {
        let Some(store) = &self.shared.services.store else {
            return false;
        };
        let found = store.call(call_sid).await;
        found.is_ok_and(|found| found.is_some_and(|found| found.call.ended_at.is_some()))
    }

    /// Deletes a recording at the carrier, whatever it takes.
    pub fn discard(&self, recording: &str) {
        self.shared.deletions.add(recording);
    }

    /// Takes a clip that is to be played; the second time there is none.
    pub fn take_clip(&self, name: &str) -> Option<LineAudio> {
        self.shared.clips.take(name, now())
    }

    /// The same without taking it.
    pub fn look_at_clip(&self, name: &str) -> Option<LineAudio> {
        self.shared.clips.look_at(name, now())
    }

    /// Whether calls are being ended because the server stops.
    pub fn is_stopping(&self) -> bool {
        self.registry.is_draining()
    }

    /// How many recordings are still to be deleted.
    pub fn undeleted(&self) -> watch::Receiver<usize> {
        self.shared.deletions.left()
    }

    /// Before the process ends: recordings are deleted, or named so that somebody else can.
    pub async fn finish(&self, within: Duration) {
        self.shared.deletions.finish(within).await;
    }

    /// Begins a call that is not known.
    fn answer_call(&self, call_sid: &str, account: &str, parties: Parties) -> Result<mpsc::Sender<Ask>, Refused> {
        let now = now();
        let mut lines = self.lock();
        // Two requests at once begin one call.
        lines.retain(|_, line| !line.is_closed());
        if let Some(line) = lines.get(call_sid) {
            return Ok(line.clone());
        }
        let token = self.registry.expect(call_sid, account, parties, now)?;
        let opened = self.registry.open(call_sid, account, &token, now);
        let mut live = opened.map_err(|_| Refused::Full)?;
        let seat = live.seat().ok_or(Refused::Full)?;
        let (asks, asked) = mpsc::channel(ASKS);
        lines.insert(call_sid.to_owned(), asks.clone());
        let line = Line::new(Arc::clone(&self.shared), live, seat, asked);
        let (lines, call_sid, own) = (Arc::clone(&self.lines), call_sid.to_owned(), asks.clone());
        tokio::spawn(async move {
            line.run().await;
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.get(&call_sid).is_some_and(|line| line.same_channel(&own)) {
                lines.remove(&call_sid);
            }
        });
        Ok(asks)
    }

    fn line(&self, call_sid: &str) -> Option<mpsc::Sender<Ask>> {
        self.lock().get(call_sid).filter(|line| !line.is_closed()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Ask>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("calls", &self.lock().len())
            .finish_non_exhaustive()
    }
}

async fn step(line: &mpsc::Sender<Ask>, step: Step, posted: Posted) -> Result<Arc<Answer>, NoAnswer> {
    let (reply, answer) = oneshot::channel();
    // A task that is gone drops the reply.
    let _ = line.send(Ask::Step { step, posted, reply }).await;
    answer.await.unwrap_or(Err(NoAnswer::Gone))
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a clip was offered, and a call begun, are facts of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// Requests that may wait for a call's task; the carrier makes one at a time, and a few again.
const ASKS: usize = 16;
