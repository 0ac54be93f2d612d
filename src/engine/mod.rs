//! Inference threads: each owns one engine and takes jobs from a bounded queue.
//!
//! A job carries its urgency, its deadline and its reply channel; dropping the receiver cancels it. A full queue refuses
//! the job at once ([`EngineError::Busy`]), which fails one turn with an apology instead of delaying every call. A worker
//! that panics builds its engine anew.

pub mod queue;
mod worker;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::speech::{Code, EndOfTurn, Heard, Listen, SpeechError, Synthesizer, Transcriber};
use queue::JobQueue;
use worker::{Job, Pool};

/// Line audio of one sentence: μ-law in whole frames.
pub type LineAudio = Arc<[u8]>;

/// A sentence as it goes to the line.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// Its sound.
    pub audio: LineAudio,
    /// Where in it the words of the text lie, in samples. Empty if the voice cannot tell.
    pub words: Arc<[Range<u64>]>,
}

/// Builds an engine for one worker; called on the worker's own thread.
pub type Factory<E> = Box<dyn Fn() -> Result<Box<E>, SpeechError> + Send + Sync>;

/// Why a job has no result.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// More work is waiting than can be done in time.
    #[error("the {0} queue is full")]
    Busy(&'static str),
    /// The job waited past its deadline.
    #[error("the job was too late")]
    Late,
    /// The engine failed.
    #[error(transparent)]
    Speech(#[from] SpeechError),
    /// No worker is left.
    #[error("no worker is alive")]
    Dead,
}

/// Whether somebody waits for a job's result now, or may come to. Clones share it, so a waiting job can be made urgent.
#[derive(Debug, Clone)]
pub struct Urgency(Arc<AtomicBool>);

impl Urgency {
    /// Somebody waits.
    pub fn now() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Somebody may come to wait.
    pub fn speculative() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// Somebody waits from here on.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_urgent(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many workers and how much waiting work.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Transcribing threads.
    pub stt_workers: usize,
    /// Synthesising threads.
    pub tts_workers: usize,
    /// Jobs that may wait for each.
    pub queue: usize,
}

/// What all calls share.
pub struct Engine {
    stt: Pool<TranscribeJob>,
    tts: Pool<SynthesizeJob>,
    /// Absent without a model.
    eot: Option<Pool<JudgeJob>>,
    /// Of the agents there are, and of those there were, which running calls have.
    phrases: RwLock<HashMap<(String, Code), Spoken>>,
    /// The same for sentences that are likely to be wanted.
    prepared: OnceLock<HashMap<(String, Code), Spoken>>,
}

type TranscribeJob = Job<(Vec<f32>, Listen), Heard>;
type SynthesizeJob = Job<(String, Code), Spoken>;
type JudgeJob = Job<Vec<f32>, f32>;

impl Engine {
    /// Starts the threads and waits until every worker has built its engine.
    pub fn start(
        sizes: Sizes,
        transcriber: Factory<dyn Transcriber>,
        synthesizer: Factory<dyn Synthesizer>,
    ) -> Result<Self, EngineError> {
        let stt = Pool::start(
            "stt",
            sizes.stt_workers,
            JobQueue::new(sizes.queue),
            transcriber,
            worker::transcribe,
        )?;
        let tts = Pool::start(
            "tts",
            sizes.tts_workers,
            JobQueue::new(sizes.queue),
            synthesizer,
            worker::synthesize,
        )?;
        Ok(Self {
            stt,
            tts,
            eot: None,
            phrases: RwLock::default(),
            prepared: OnceLock::new(),
        })
    }

    /// Starts a thread that judges by the sound whether a caller has finished.
    pub fn with_end_of_turn(mut self, factory: Factory<dyn EndOfTurn>) -> Result<Self, EngineError> {
        let queue = JobQueue::new(EOT_QUEUE);
        self.eot = Some(Pool::start("eot", 1, queue, factory, worker::judge)?);
        Ok(self)
    }

    /// Runs every model once and keeps the audio of fixed phrases, so that neither the first caller nor an apology waits.
    pub async fn warm(&mut self, phrases: &[(&str, Code)]) -> Result<(), EngineError> {
        let silence = vec![0.0; 16_000];
        self.transcribe(silence, Listen::default(), WARM_UP, Urgency::now())
            .await?;
        self.end_of_turn(vec![0.0; 16_000], WARM_UP).await.transpose()?;
        self.keep(phrases, Urgency::now).await
    }

    /// Keeps the audio of more fixed phrases, for as long as the engine lives. After an error those before it are kept.
    pub async fn keep(&self, phrases: &[(&str, Code)], urgency: fn() -> Urgency) -> Result<(), EngineError> {
        for &(phrase, language) in phrases {
            let audio = self.synthesize(phrase.to_owned(), language, WARM_UP, urgency()).await?;
            let mut kept = self.phrases.write().unwrap_or_else(PoisonError::into_inner);
            kept.insert((phrase.to_owned(), language), audio);
        }
        Ok(())
    }

    /// Makes the audio of sentences that are likely to be wanted, whenever no call needs a voice. Only the first time counts.
    pub async fn prepare(&self, sentences: Vec<(String, Code)>) {
        let mut prepared = HashMap::new();
        for (text, language) in sentences {
            if let Ok(audio) = self
                .synthesize(text.clone(), language, WARM_UP, Urgency::speculative())
                .await
            {
                prepared.insert((text, language), audio);
            }
        }
        // An error means that somebody was first.
        let _ = self.prepared.set(prepared);
    }

    /// What is said in `audio` (mono at [`crate::time::SampleRate::MODEL`]), with what is known of the situation.
    /// Dropping the future cancels the work.
    pub async fn transcribe(
        &self,
        audio: Vec<f32>,
        listen: Listen,
        within: Duration,
        urgency: Urgency,
    ) -> Result<Heard, EngineError> {
        self.stt.run((audio, listen), urgency, within).await
    }

    /// How finished a turn sounds, 0 to 1; `None` without a model. `audio` is as for [`Engine::transcribe`].
    pub async fn end_of_turn(&self, audio: Vec<f32>, within: Duration) -> Option<Result<f32, EngineError>> {
        Some(self.eot.as_ref()?.run(audio, Urgency::now(), within).await)
    }

    /// Line audio of one sentence. Dropping the future cancels the work.
    pub async fn synthesize(
        &self,
        text: String,
        language: Code,
        within: Duration,
        urgency: Urgency,
    ) -> Result<Spoken, EngineError> {
        let phrase = (text, language);
        let kept = {
            let phrases = self.phrases.read().unwrap_or_else(PoisonError::into_inner);
            phrases.get(&phrase).cloned()
        };
        let prepared = || self.prepared.get()?.get(&phrase).cloned();
        match kept.or_else(prepared) {
            Some(spoken) => Ok(spoken),
            None => self.tts.run(phrase, urgency, within).await,
        }
    }

    /// Workers alive: (transcribing, synthesising).
    pub fn alive(&self) -> (usize, usize) {
        (self.stt.alive(), self.tts.alive())
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("alive", &self.alive())
            .finish_non_exhaustive()
    }
}

impl<I: Send + 'static, O: Send + 'static> Pool<Job<I, O>> {
    async fn run(&self, input: I, urgency: Urgency, within: Duration) -> Result<O, EngineError> {
        let (reply, result) = oneshot::channel();
        let job = Job {
            input,
            deadline: now() + within,
            urgency,
            reply,
        };
        self.queue.push(job).map_err(|_| {
            if self.alive() == 0 {
                EngineError::Dead
            } else {
                EngineError::Busy(self.name)
            }
        })?;
        result.await.unwrap_or(Err(EngineError::Dead))
    }
}

#[expect(clippy::disallowed_methods, reason = "deadlines of jobs are on the monotonic clock")]
fn now() -> Instant {
    Instant::now()
}

/// Its answers are worth something only within a pause: 40 ms each, so more could not be given in time.
const EOT_QUEUE: usize = 16;
const WARM_UP: Duration = Duration::from_secs(60);
