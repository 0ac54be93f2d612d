//! Behind the queue: a thread for each recording that writes its file, and a task that writes down what came of it.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::tap::{Message, Tap, Told};
use super::tape::Tape;
use super::{Recordings, THREAD};
use crate::call::backoff::Backoff;
use crate::call::disk::{make_dir, on_a_thread};
use crate::privacy::chunks::ChunkWriter;
use crate::privacy::seal::DataKey;
use crate::store::{Consent, NewRecording, RecordingFacts, RecordingPause, RecordingState, StoreError};
use crate::time::SampleRate;

impl Recordings {
    /// Begins to record a stream of a call, or writes down that its caller did not want it. `begun` tells when the call's row is there.
    pub fn begin(&self, call_sid: &str, consent: Consent, begun: watch::Receiver<bool>) -> Tap {
        let wanted = matches!(consent.answer.as_str(), "told" | "yes");
        let part = Part {
            recordings: self.clone(),
            call_sid: call_sid.to_owned(),
            id: format!("{:032x}", rand::random::<u128>()),
            began: now(),
            facts: RecordingFacts {
                consent,
                state: if wanted {
                    RecordingState::Open
                } else {
                    RecordingState::Refused
                },
                duration_ms: 0,
                lost_ms: 0,
                pauses: Vec::new(),
            },
        };
        if !wanted {
            tokio::spawn(async move {
                if let Err(error) = part.row(begun).await {
                    part.tell(&error);
                }
            });
            return Tap::off();
        }
        let (messages, received) = mpsc::sync_channel(QUEUE);
        let (done, written) = oneshot::channel();
        let told = Arc::new(Told::default());
        let tap = Tap::new(call_sid, messages, Arc::clone(&told), written);
        tokio::spawn(async move {
            part.record(received, told, begun).await;
            // An error means that nobody waits any more.
            let _ = done.send(());
        });
        tap
    }
}

/// What the thread has written.
struct Written {
    /// In samples.
    length: u64,
    pauses: Vec<RecordingPause>,
}

/// Why a recording failed.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("its file cannot be written: {0}; see that RECORDINGS_DIR is writable and has room")]
    File(#[from] io::Error),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the call's row was not written down in time")]
    NoCall,
}

/// One stream's recording.
struct Part {
    recordings: Recordings,
    call_sid: String,
    id: String,
    began: Instant,
    facts: RecordingFacts,
}

impl Part {
    async fn record(mut self, received: Receiver<Message>, told: Arc<Told>, begun: watch::Receiver<bool>) {
        let key = match self.row(begun).await {
            Ok(key) => key,
            // Whoever sends from now on learns that nobody takes it.
            Err(error) => return self.tell(&error),
        };
        let (path, id) = (self.recordings.path(&self.id), self.id.clone());
        let lost = Arc::clone(&told);
        let written = on_a_thread(THREAD, move || Ok(write(&path, &key, &id, &received, &told))).await;
        let lost = lost.lost.load(Ordering::Relaxed);
        self.facts.lost_ms = milliseconds(lost);
        match written.and_then(|written| written) {
            Ok(Written { length, pauses }) => {
                self.facts.state = RecordingState::Whole;
                self.facts.duration_ms = milliseconds(length);
                self.facts.pauses = pauses;
            }
            Err(error) => {
                self.facts.state = RecordingState::Failed;
                self.tell(&error.into());
            }
        }
        match self.ended().await {
            Ok(true) => {}
            Ok(false) => return self.remove().await,
            Err(error) => {
                let call = &self.call_sid;
                tracing::error!(call, %error, "the end of the recording of call {call} is not written down: {error}");
            }
        }
        let (call, lost_ms) = (&self.call_sid, self.facts.lost_ms);
        let state = self.facts.state.name();
        tracing::info!(call, state, lost_ms, "the recording of call {call} is {state}");
    }

    /// Writes the row as soon as the call has one.
    async fn row(&self, mut begun: watch::Receiver<bool>) -> Result<DataKey, Failed> {
        begun.wait_for(|&begun| begun).await.map_err(|_| Failed::NoCall)?;
        let mut backoff = Backoff::new(RETRY, LONGEST_RETRY, GIVEN_UP);
        loop {
            let new = NewRecording {
                id: self.id.clone(),
                call_sid: self.call_sid.clone(),
                facts: self.facts.clone(),
                age_ms: u64::try_from(now().saturating_duration_since(self.began).as_millis()).unwrap_or(0),
            };
            match self.recordings.store.begin_recording(&new).await {
                Ok((_, key)) => return Ok(key),
                // It is not known whether it was written; the id says it at the next attempt, which then fails for good.
                Err(error @ StoreError::Database { .. }) if !backoff.pause().await => return Err(error.into()),
                Err(StoreError::Database { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether it is to be kept.
    async fn ended(&self) -> Result<bool, StoreError> {
        let mut backoff = Backoff::new(RETRY, LONGEST_RETRY, GIVEN_UP);
        loop {
            match self.recordings.store.end_recording(&self.id, &self.facts).await {
                Err(error @ StoreError::Database { .. }) if !backoff.pause().await => return Err(error),
                Err(StoreError::Database { .. }) => {}
                // What is gone for good has no end to be written.
                Err(StoreError::Shredded | StoreError::UnknownCall) => return Ok(false),
                written => return written,
            }
        }
    }

    /// It was deleted while it was written: whoever did that may have come before its file.
    async fn remove(&self) {
        let call = &self.call_sid;
        match super::remove(vec![self.recordings.path(&self.id)]).await {
            Ok(_) => tracing::info!(call, "the recording of call {call} was deleted before its end"),
            Err(error) => {
                tracing::error!(call, %error, "the file of the recording of call {call}, which was deleted, is there still: {error}");
            }
        }
    }

    /// The call goes on.
    fn tell(&self, error: &Failed) {
        let call = &self.call_sid;
        tracing::error!(call, %error, "call {call} is not recorded: {error}");
    }
}

/// Writes the file.
fn write(path: &Path, key: &DataKey, id: &str, received: &Receiver<Message>, told: &Told) -> io::Result<Written> {
    make_dir(path.parent().unwrap_or_else(|| Path::new(".")))?;
    let chunks: ChunkWriter<File> = ChunkWriter::create(path, key, id)?;
    let (chunks, written) = take_all(chunks, received, told)?;
    chunks.finish()?;
    Ok(written)
}

/// A recording into anything that takes bytes, without a row: for measuring.
pub fn tap_into<W: Write + Send + 'static>(out: W, key: &DataKey) -> io::Result<(Tap, JoinHandle<io::Result<W>>)> {
    let chunks = ChunkWriter::new(out, key, "measured")?;
    let (messages, received) = mpsc::sync_channel(QUEUE);
    let (_, written) = oneshot::channel();
    let told = Arc::new(Told::default());
    let tap = Tap::new("measured", messages, Arc::clone(&told), written);
    let thread = std::thread::Builder::new().name(THREAD.to_owned());
    let thread = thread.spawn(move || take_all(chunks, &received, &told)?.0.end())?;
    Ok((tap, thread))
}

/// Until the other end is gone.
fn take_all<W: Write>(
    chunks: ChunkWriter<W>,
    received: &Receiver<Message>,
    told: &Told,
) -> io::Result<(ChunkWriter<W>, Written)> {
    let mut tape = Tape::new(chunks)?;
    let mut pauses: Vec<RecordingPause> = Vec::new();
    loop {
        let message = match received.try_recv() {
            Ok(message) => message,
            // Nobody wakes it: that would cost the audio loop a system call for each piece.
            Err(TryRecvError::Empty) => {
                std::thread::park_timeout(BEAT);
                continue;
            }
            Err(TryRecvError::Disconnected) => break,
        };
        match &message {
            Message::Pause { from, why } => pauses.push(RecordingPause {
                from_ms: milliseconds(*from),
                to_ms: u64::MAX,
                why: why.name().to_owned(),
            }),
            Message::Resume { at } => {
                if let Some(pause) = pauses.last_mut() {
                    pause.to_ms = milliseconds(*at);
                }
            }
            Message::Piece(_) | Message::Cut { .. } | Message::Shift { .. } => {}
        }
        tape.take(message)?;
    }
    let (chunks, length) = tape.end(told.never.load(Ordering::Acquire))?;
    for pause in &mut pauses {
        pause.to_ms = pause.to_ms.min(milliseconds(length));
    }
    Ok((chunks, Written { length, pauses }))
}

fn milliseconds(samples: u64) -> u64 {
    samples * 1_000 / u64::from(SampleRate::LINE.get())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long ago a recording began is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// Pieces that may wait for the disk or for the call's row: 10 s of both sides, and what comes beside them.
const QUEUE: usize = 1_024;
/// How often the thread looks for what has come.
const BEAT: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(2);
/// A call whose row cannot be written for so long is not recorded.
const GIVEN_UP: Duration = Duration::from_secs(60);
