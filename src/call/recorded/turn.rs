//! One turn: from a recording, or from what was typed, to sentences with their audio.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::{mpsc, watch};

use super::Shared;
use super::listen::listen;
use crate::call::driver::KEYPAD;
use crate::dialog::conversation::{CallerTurn, Ending, Said, Staff, ToolRecord};
use crate::dialog::form::Dialog;
use crate::engine::{LineAudio, Urgency};
use crate::speech::ear::Ear;
use crate::speech::spoken::spoken_in;
use crate::speech::webrtc::WebRtcVad;
use crate::speech::{Code, Listen};
use crate::turn::event::{HangupReason, Outcome, TurnId};
use crate::turn::ledger::Ledger;
use crate::turn::machine::{Line, Speaker};
use crate::twilio::rest::CarrierError;

/// What a turn begins with.
pub(super) enum Work {
    /// The agent speaks by itself.
    Say {
        texts: Vec<String>,
        then: Option<HangupReason>,
        outcome: Outcome,
    },
    /// The caller was recorded.
    Recording(String),
    /// The caller typed.
    Typed(String),
}

/// What comes of it, in order; [`Event::Over`] is the last.
pub(super) enum Event {
    /// What the caller said or typed.
    Heard(String),
    /// What the agent speaks from here on, and what is listened for.
    Language { voice: Code, languages: Vec<Code> },
    /// To be played.
    Sentence { text: String, audio: LineAudio },
    /// The conversation as it is from here on.
    State(Box<Dialog>),
    /// A tool was run.
    Tool(ToolRecord),
    /// There is no more.
    Over(Over),
}

/// How a turn came out.
pub(super) struct Over {
    pub(super) finish: Finish,
    pub(super) outcome: Outcome,
    pub(super) ledger: Ledger,
}

/// And what is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The caller has the floor.
    Listen,
    /// Nobody had said anything: it was no turn.
    Nothing,
    /// The call ends.
    End(HangupReason),
}

/// A turn and all it needs to know of its call.
pub(super) struct Turn {
    pub(super) shared: Arc<Shared>,
    pub(super) call_sid: String,
    pub(super) turn: TurnId,
    pub(super) staff: Arc<Staff>,
    pub(super) dialog: Dialog,
    pub(super) history: Vec<Line>,
    pub(super) languages: Vec<Code>,
    pub(super) voice: Code,
    pub(super) ledger: Ledger,
    pub(super) out: mpsc::Sender<Event>,
    /// False once the caller is gone: no tool begins any more.
    pub(super) counts: watch::Receiver<bool>,
    /// Whether a tool runs.
    pub(super) acting: watch::Sender<bool>,
}

/// What was made of a recording.
enum Understood {
    Words(String),
    /// Somebody spoke, and no words could be made out.
    Unclear,
    Nothing,
    Failed,
}

impl Turn {
    /// To the end, or until the caller is gone; a tool that runs then is waited for.
    pub(super) async fn run(self, work: Work) {
        let (mut counts, mut acting) = (self.counts.clone(), self.acting.subscribe());
        let gone = async {
            // An error means that the call's task is gone, which ends this one.
            let _ = counts.wait_for(|&counts| !counts).await;
            // What had begun by then has said so when this goes on.
            tokio::task::yield_now().await;
            // The sender is held as long as this future is polled.
            let _ = acting.wait_for(|&acting| !acting).await;
        };
        tokio::select! {
            biased;
            () = self.work(work) => {}
            () = gone => {}
        }
    }

    async fn work(mut self, work: Work) {
        let (finish, outcome) = match work {
            Work::Say { texts, then, outcome } => (self.say(texts, then).await, outcome),
            Work::Typed(keys) => self.answer(keys, true).await,
            Work::Recording(recording) => match self.understand(&recording).await {
                Understood::Words(text) => self.answer(text, false).await,
                Understood::Unclear => {
                    let text = self.dialog.agent().phrases.not_heard.clone();
                    (self.say(vec![text], None).await, Outcome::Completed)
                }
                Understood::Nothing => (Finish::Nothing, Outcome::Completed),
                Understood::Failed => self.apologize(None).await,
            },
        };
        let ledger = self.ledger;
        self.emit(Event::Over(Over {
            finish,
            outcome,
            ledger,
        }))
        .await;
    }

    async fn understand(&mut self, recording: &str) -> Understood {
        self.shared.deletions.expect(recording);
        let held = Held {
            shared: &self.shared,
            recording,
        };
        let fetched = self.fetch(recording).await;
        drop(held);
        let Some(wav) = fetched else { return Understood::Failed };
        let policy = &self.shared.services.policy;
        let vad = Box::new(WebRtcVad::new(self.shared.services.vad_mode));
        let ear = Ear::new(vad, self.shared.services.silero.as_ref());
        let (call, turn) = (&self.call_sid, self.turn);
        let listened = match listen(&wav, ear, policy.max_turn).await {
            Ok(listened) => listened,
            Err(error) => {
                tracing::warn!(call, %turn, %error, "the recording of turn {turn} of call {call} cannot be read: {error}");
                return Understood::Failed;
            }
        };
        drop(wav);
        // A transcriber makes words of any noise.
        if listened.voiced < policy.onset {
            return Understood::Nothing;
        }
        self.ledger.transcribing = Some(now());
        let within = policy.transcribe_deadline;
        let listen = Listen {
            languages: self.languages.clone(),
            answers: self.dialog.answers(),
        };
        let engine = &self.shared.services.engine;
        let heard = engine.transcribe(listened.audio, listen, within, Urgency::now());
        let heard = match heard.await {
            Ok(heard) => heard,
            Err(error) => {
                tracing::warn!(call, %turn, %error, "turn {turn} of call {call} could not be transcribed: {error}");
                return Understood::Failed;
            }
        };
        self.ledger.transcribed = Some(now());
        let text = heard.text.trim().to_owned();
        if text.is_empty() {
            return if listened.voiced >= CLEARLY_SPEECH {
                Understood::Unclear
            } else {
                Understood::Nothing
            };
        }
        if let Some(language) = heard.language {
            self.speak(language, &text).await;
        }
        Understood::Words(text)
    }

    /// A recording may take a moment to appear, and the carrier may be busy.
    async fn fetch(&self, recording: &str) -> Option<Vec<u8>> {
        let patience = &self.shared.patience;
        let until = now() + patience.fetch;
        let (call, turn) = (&self.call_sid, self.turn);
        let mut pause = patience.fetch_pause;
        loop {
            let fetched = tokio::time::timeout_at(until.into(), self.shared.carrier.recording(recording)).await;
            let error = match fetched {
                Ok(Ok(wav)) => return Some(wav),
                Ok(Err(error)) => error,
                Err(_) => CarrierError::Unanswered,
            };
            let next = now() + pause;
            if next >= until || !may_pass(&error) {
                tracing::warn!(call, %turn, recording, %error, "turn {turn} of call {call} has no recording: {error}");
                return None;
            }
            tracing::debug!(call, %turn, recording, %error, "the recording of turn {turn} of call {call} is asked for again: {error}");
            tokio::time::sleep_until(next.into()).await;
            pause *= 2;
        }
    }

    /// The caller's language is known: nothing else is listened for from here on.
    async fn speak(&mut self, language: Code, text: &str) {
        self.dialog.turn_to(language);
        self.voice = self.dialog.agent().language.code();
        // "Hello?" is the same in many languages.
        if text.split_whitespace().count() >= TELLING {
            self.languages = vec![self.voice];
        }
        let (voice, languages) = (self.voice, self.languages.clone());
        self.emit(Event::Language { voice, languages }).await;
    }

    /// Lets the dialog answer, and speaks while it goes on.
    async fn answer(&mut self, text: String, typed: bool) -> (Finish, Outcome) {
        let line = if typed { format!("{KEYPAD}{text}") } else { text.clone() };
        self.emit(Event::Heard(line.clone())).await;
        self.history.push(Line {
            speaker: Speaker::Caller,
            text: line,
        });
        let heard = CallerTurn {
            text,
            typed,
            history: self.history.iter().map(Into::into).collect(),
            today: self.shared.services.today(self.dialog.agent()),
        };
        self.ledger.requested = Some(now());
        let mut ledger = self.ledger;
        let (sentences, to_speak) = mpsc::channel(SENTENCES);
        let (thought, spoken) = tokio::join!(self.think(heard, sentences), self.voice(to_speak, &mut ledger));
        self.ledger = Ledger {
            first_token: thought.first_token,
            first_sentence: thought.first_sentence,
            ..ledger
        };
        let then = thought.ending.map(|ending| match ending {
            Ending::Goodbye => HangupReason::Goodbye,
            Ending::HandOver => HangupReason::HandOver,
        });
        if !spoken || thought.failed || thought.first_sentence.is_none() {
            return self.apologize(then).await;
        }
        (then.map_or(Finish::Listen, Finish::End), Outcome::Completed)
    }

    /// Sends sentences to the voice, states and tools to the call. If the voice fails, the rest is thought of all the same: what
    /// was begun is finished.
    async fn think(&self, heard: CallerTurn, sentences: mpsc::Sender<String>) -> Thought {
        let services = &self.shared.services;
        let (staff, dialog) = (Arc::clone(&self.staff), self.dialog.clone());
        let counts = self.counts.clone();
        let mut said = services.mind.answer(staff, dialog, heard, counts).boxed();
        let mut thought = Thought::default();
        loop {
            let Ok(next) = tokio::time::timeout(services.policy.reply_deadline, said.next()).await else {
                thought.fail(self, "the reply is too late");
                return thought;
            };
            match next {
                Some(Said::FirstToken) => {
                    thought.first_token.get_or_insert_with(now);
                }
                Some(Said::Sentence(text)) => {
                    thought.first_token.get_or_insert_with(now);
                    thought.first_sentence.get_or_insert_with(now);
                    // An error means that the voice has failed.
                    let _ = sentences.send(text).await;
                }
                Some(Said::State(dialog)) => self.emit(Event::State(dialog)).await,
                Some(Said::Acting) => {
                    self.acting.send_replace(true);
                }
                Some(Said::Tool(tool)) => {
                    self.emit(Event::Tool(tool)).await;
                    self.acting.send_replace(false);
                }
                Some(Said::End(ending)) => thought.ending = Some(ending),
                Some(Said::Failed(reason)) => thought.fail(self, &reason),
                // Nobody is handed over from here yet, so where to is nothing to act on.
                Some(Said::Destination(_)) => {}
                None => return thought,
            }
        }
    }

    /// Speaks sentences one after the other; `false` if one could not be spoken.
    async fn voice(&self, mut sentences: mpsc::Receiver<String>, ledger: &mut Ledger) -> bool {
        while let Some(text) = sentences.recv().await {
            if !self.sentence(text, ledger).await {
                return false;
            }
        }
        true
    }

    async fn sentence(&self, text: String, ledger: &mut Ledger) -> bool {
        let services = &self.shared.services;
        ledger.synthesizing.get_or_insert_with(now);
        let within = services.policy.synthesize_deadline;
        let spoken = spoken_in(&text, self.voice);
        let audio = services.engine.synthesize(spoken, self.voice, within, Urgency::now());
        match audio.await {
            Ok(spoken) => {
                ledger.first_audio.get_or_insert_with(now);
                let audio = spoken.audio;
                self.emit(Event::Sentence { text, audio }).await;
                true
            }
            Err(error) => {
                let (call, turn) = (&self.call_sid, self.turn);
                tracing::warn!(call, %turn, %error, "a sentence of turn {turn} of call {call} has no audio: {error}");
                false
            }
        }
    }

    async fn say(&mut self, texts: Vec<String>, then: Option<HangupReason>) -> Finish {
        let mut ledger = self.ledger;
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            self.sentence(text, &mut ledger).await;
        }
        self.ledger = ledger;
        then.map_or(Finish::Listen, Finish::End)
    }

    async fn apologize(&mut self, then: Option<HangupReason>) -> (Finish, Outcome) {
        let text = self.dialog.agent().phrases.apology.clone();
        (self.say(vec![text], then).await, Outcome::Failed)
    }

    async fn emit(&self, event: Event) {
        // An error means that the call is over, and this task with it.
        let _ = self.out.send(event).await;
    }
}

/// What became of the thinking.
#[derive(Default)]
struct Thought {
    first_token: Option<Instant>,
    first_sentence: Option<Instant>,
    ending: Option<Ending>,
    failed: bool,
}

impl Thought {
    fn fail(&mut self, turn: &Turn, reason: &str) {
        let (call, number) = (&turn.call_sid, turn.turn);
        tracing::warn!(call, turn = %number, reason, "turn {number} of call {call} has no full reply: {reason}");
        self.failed = true;
    }
}

/// A recording that is to be deleted as soon as it is fetched, or no longer wanted.
struct Held<'a> {
    shared: &'a Shared,
    recording: &'a str,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.deletions.add(self.recording);
    }
}

/// Whether the carrier may have the recording a moment later.
fn may_pass(error: &CarrierError) -> bool {
    match error {
        CarrierError::Refused { status, .. } => *status == 404 || *status >= 500,
        CarrierError::Busy | CarrierError::Unreachable | CarrierError::Unanswered => true,
        CarrierError::Unreadable | CarrierError::TooLarge | CarrierError::Malformed => false,
    }
}

#[expect(clippy::disallowed_methods, reason = "a turn's stages are taken where they happen")]
fn now() -> Instant {
    Instant::now()
}

/// Sentences that may wait for the voice; replies have twelve at most.
const SENTENCES: usize = 16;
/// Words after which a language is taken to be known for the rest of the call.
const TELLING: usize = 3;
/// So much voice without a word is worth an answer; see `turn::machine`.
const CLEARLY_SPEECH: Duration = Duration::from_secs(1);
