//! Engines that do as they are told: the next order of a queue, or the usual.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tieline::speech::{Cancelled, Heard, Listen, Speech, SpeechError, Synthesizer, Transcriber};
use tieline::time::SampleRate;

/// What an engine does with one job.
#[derive(Clone, Default)]
pub(crate) enum Order {
    /// Work: the transcriber hears [`Orders::usual`], the synthesiser plays a tone.
    #[default]
    Work,
    /// The transcriber hears this.
    Hear(String),
    /// The transcriber hears this, in a language if it has to tell it from others.
    HearIn(&'static str, &'static str),
    /// The transcriber hears this if it is among the answers that are expected, else nothing.
    Expect(String),
    /// The synthesiser plays a tone of this length.
    Tone(Duration),
    /// Report an error.
    Fail,
    /// Panic.
    Panic,
    /// Wait for the gate, then work.
    Wait(Gate),
}

/// Opens once, for everybody.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no panic under the lock") = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().expect("no panic under the lock");
        let waited = self.0.1.wait_timeout_while(open, GATE_LIMIT, |open| !*open);
        drop(waited.expect("no panic under the lock"));
    }
}

/// How a factory fails.
#[derive(Clone, Copy)]
pub(crate) enum Broken {
    Fails,
    Panics,
}

/// Orders for all engines of one kind, and what they were given.
#[derive(Clone)]
pub(crate) struct Orders {
    next: Arc<Mutex<VecDeque<Order>>>,
    /// Texts to speak, or numbers of samples to transcribe.
    jobs: Arc<Mutex<Vec<String>>>,
    /// How factories fail, if they do.
    broken: Arc<Mutex<Option<Broken>>>,
}

impl Orders {
    pub(crate) fn new() -> Self {
        Self {
            next: Arc::default(),
            jobs: Arc::default(),
            broken: Arc::default(),
        }
    }

    pub(crate) fn give(&self, orders: impl IntoIterator<Item = Order>) {
        self.next.lock().expect("no panic under the lock").extend(orders);
    }

    pub(crate) fn hear(&self, texts: &[&str]) {
        self.give(texts.iter().map(|&text| Order::Hear(text.to_owned())));
    }

    pub(crate) fn jobs(&self) -> Vec<String> {
        self.jobs.lock().expect("no panic under the lock").clone()
    }

    /// From here on no engine can be built.
    pub(crate) fn break_factory(&self, how: Broken) {
        *self.broken.lock().expect("no panic under the lock") = Some(how);
    }

    fn take(&self, job: String) -> Order {
        self.jobs.lock().expect("no panic under the lock").push(job);
        let next = self.next.lock().expect("no panic under the lock").pop_front();
        next.unwrap_or_default()
    }

    fn check(&self, engine: &'static str) -> Result<(), SpeechError> {
        let reason = "told to fail".to_owned();
        let broken = *self.broken.lock().expect("no panic under the lock");
        match broken {
            Some(Broken::Fails) => Err(SpeechError::Load { engine, reason }),
            Some(Broken::Panics) => panic!("told to panic"),
            None => Ok(()),
        }
    }

    pub(crate) fn transcriber(&self) -> Result<Box<dyn Transcriber>, SpeechError> {
        self.check("stt")?;
        Ok(Box::new(Ear(self.clone())))
    }

    pub(crate) fn synthesizer(&self) -> Result<Box<dyn Synthesizer>, SpeechError> {
        self.check("tts")?;
        Ok(Box::new(Mouth(self.clone())))
    }
}

struct Ear(Orders);

impl Transcriber for Ear {
    fn transcribe(&mut self, audio: &[f32], cancelled: Cancelled<'_>) -> Result<Heard, SpeechError> {
        self.transcribe_for(audio, &Listen::default(), cancelled)
    }

    fn transcribe_for(&mut self, audio: &[f32], listen: &Listen, _: Cancelled<'_>) -> Result<Heard, SpeechError> {
        match self.0.take(audio.len().to_string()) {
            Order::Hear(text) => return Ok(Heard::plain(text)),
            Order::Expect(text) => {
                let expected = listen.answers.iter().any(|answer| answer.phrases.contains(&text));
                return Ok(Heard::plain(if expected { text } else { String::new() }));
            }
            Order::HearIn(text, language) => {
                return Ok(Heard {
                    language: (listen.languages.len() > 1).then_some(language),
                    ..Heard::plain(text.to_owned())
                });
            }
            Order::Fail => return Err(failed("stt")),
            Order::Panic => panic!("told to panic"),
            Order::Wait(gate) => gate.pass(),
            Order::Work | Order::Tone(_) => {}
        }
        Ok(Heard::plain(USUAL.to_owned()))
    }
}

struct Mouth(Orders);

impl Synthesizer for Mouth {
    fn synthesize(&mut self, text: &str, _: Cancelled<'_>) -> Result<Speech, SpeechError> {
        let mut length = SHORT;
        match self.0.take(text.to_owned()) {
            Order::Tone(asked) => length = asked,
            Order::Fail => return Err(failed("tts")),
            Order::Panic => panic!("told to panic"),
            Order::Wait(gate) => gate.pass(),
            Order::Work | Order::Hear(_) | Order::HearIn(..) | Order::Expect(_) => {}
        }
        Ok(tone(length))
    }
}

/// 440 Hz at 16 kHz.
pub(crate) fn tone(length: Duration) -> Speech {
    let rate = SampleRate::MODEL;
    let samples = (0..rate.samples(length)).map(|n| 0.3 * (n as f32 * 440.0 * std::f32::consts::TAU / 16_000.0).sin());
    Speech {
        samples: samples.collect(),
        rate,
        words: Vec::new(),
    }
}

fn failed(engine: &'static str) -> SpeechError {
    SpeechError::Run {
        engine,
        reason: "told to fail".to_owned(),
    }
}

/// What the transcriber hears unless told otherwise.
pub(crate) const USUAL: &str = "what are your hours";
const SHORT: Duration = Duration::from_millis(40);
/// A test that forgets its gate hangs no longer than this.
const GATE_LIMIT: Duration = Duration::from_secs(10);
