//! The threads behind [`super::Engine`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::audio::line;
use crate::engine::queue::{self, JobQueue};
use crate::engine::{EngineError, Factory, Spoken, Urgency};
use crate::speech::{Cancelled, Code, EndOfTurn, Heard, Listen, SpeechError, Synthesizer, Transcriber};

/// One piece of work.
pub(super) struct Job<I, O> {
    pub(super) input: I,
    pub(super) deadline: Instant,
    pub(super) urgency: Urgency,
    pub(super) reply: oneshot::Sender<Result<O, EngineError>>,
}

impl<I, O> queue::Job for Job<I, O> {
    fn is_urgent(&self) -> bool {
        self.urgency.is_urgent()
    }

    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }
}

/// The workers of one kind and their queue.
pub(super) struct Pool<J> {
    pub(super) name: &'static str,
    pub(super) queue: Arc<JobQueue<J>>,
    alive: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

impl<I: Send + 'static, O: Send + 'static> Pool<Job<I, O>> {
    /// Starts `workers` threads; returns when each has an engine, or with the first failure.
    pub(super) fn start<E: ?Sized + 'static>(
        name: &'static str,
        workers: usize,
        queue: JobQueue<Job<I, O>>,
        factory: Factory<E>,
        work: fn(&mut E, I, Cancelled<'_>) -> Result<O, SpeechError>,
    ) -> Result<Self, EngineError> {
        let (queue, factory) = (Arc::new(queue), Arc::new(factory));
        let alive = Arc::new(AtomicUsize::new(0));
        let (ready, started) = std::sync::mpsc::sync_channel(workers.max(1));
        let mut threads = Vec::new();
        for number in 0..workers.max(1) {
            let (queue, factory, alive, ready) = (
                Arc::clone(&queue),
                Arc::clone(&factory),
                Arc::clone(&alive),
                ready.clone(),
            );
            let thread = std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || {
                    let built = factory();
                    let failed = built.as_ref().err().map(ToString::to_string);
                    let engine = built.ok();
                    let counted = engine.is_some().then(|| Alive::new(&alive, &queue));
                    // The receiver is gone only when another worker failed to start.
                    let _ = ready.send(failed);
                    drop(ready);
                    if let Some(engine) = engine {
                        serve(name, engine, &queue, &factory, work);
                    }
                    drop(counted);
                });
            let thread = thread.map_err(|error| load_error(name, &error.to_string()))?;
            threads.push(thread);
        }
        drop(ready);
        let pool = Self {
            name,
            queue,
            alive,
            threads,
        };
        if let Some(reason) = started.iter().flatten().next() {
            return Err(load_error(name, &reason));
        }
        // A factory that panicked has sent nothing.
        if pool.alive() < pool.threads.len() {
            Err(load_error(name, "a worker panicked while starting"))
        } else {
            Ok(pool)
        }
    }
}

impl<J> Pool<J> {
    pub(super) fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }
}

impl<J> Drop for Pool<J> {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
    }
}

/// A worker counts as alive as long as it has this, however it ends: what builds or drops an engine may panic, too.
struct Alive<'a, J> {
    count: &'a AtomicUsize,
    queue: &'a JobQueue<J>,
}

impl<'a, J> Alive<'a, J> {
    fn new(count: &'a AtomicUsize, queue: &'a JobQueue<J>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self { count, queue }
    }
}

impl<J> Drop for Alive<'_, J> {
    fn drop(&mut self) {
        if self.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nobody is left to take what waits or comes: whoever asks is to know at once.
            self.queue.close();
        }
    }
}

/// Takes jobs until the queue closes. After a panic the engine's state is unknown, so it is built anew.
fn serve<E: ?Sized, I, O: Send>(
    name: &'static str,
    mut engine: Box<E>,
    queue: &JobQueue<Job<I, O>>,
    factory: &Factory<E>,
    work: fn(&mut E, I, Cancelled<'_>) -> Result<O, SpeechError>,
) {
    while let Some(Job {
        input, deadline, reply, ..
    }) = queue.pop()
    {
        if reply.is_closed() {
            continue;
        }
        if now() > deadline {
            let _ = reply.send(Err(EngineError::Late));
            continue;
        }
        let cancelled = || reply.is_closed();
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut engine, input, &cancelled)));
        if let Ok(result) = done {
            // Nobody waits for a cancelled job.
            let _ = reply.send(result.map_err(EngineError::from));
            continue;
        }
        let reason = "the engine panicked".to_owned();
        let _ = reply.send(Err(EngineError::Speech(SpeechError::Run { engine: name, reason })));
        tracing::error!(engine = name, "engine {name} panicked; building it anew");
        match factory() {
            Ok(fresh) => engine = fresh,
            Err(error) => {
                tracing::error!(engine = name, %error, "engine {name} cannot be rebuilt; this worker ends");
                return;
            }
        }
    }
}

pub(super) fn transcribe(
    engine: &mut (dyn Transcriber + 'static),
    (audio, listen): (Vec<f32>, Listen),
    cancelled: Cancelled<'_>,
) -> Result<Heard, SpeechError> {
    engine.transcribe_for(&audio, &listen, cancelled)
}

pub(super) fn judge(
    engine: &mut (dyn EndOfTurn + 'static),
    audio: Vec<f32>,
    _: Cancelled<'_>,
) -> Result<f32, SpeechError> {
    engine.probability(&audio)
}

pub(super) fn synthesize(
    engine: &mut (dyn Synthesizer + 'static),
    (text, language): (String, Code),
    cancelled: Cancelled<'_>,
) -> Result<Spoken, SpeechError> {
    let speech = engine.synthesize_in(&text, language, cancelled)?;
    let line = line::from_speech(&speech.samples, &speech.words, speech.rate);
    let (audio, words) = line.map_err(|error| SpeechError::Run {
        engine: "tts",
        reason: error.to_string(),
    })?;
    Ok(Spoken {
        audio: audio.into(),
        words: words.into(),
    })
}

fn load_error(engine: &'static str, reason: &str) -> EngineError {
    EngineError::Speech(SpeechError::Load {
        engine,
        reason: reason.to_owned(),
    })
}

#[expect(clippy::disallowed_methods, reason = "deadlines of jobs are on the monotonic clock")]
fn now() -> Instant {
    Instant::now()
}
