//! Runs a scenario in virtual time: the machine under test, scripted engines, and a line that plays in real time.
//!
//! Whatever the scenario, the rules of the machine are checked at every step; breaking one panics.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tieline::time::{MediaTime, SampleRate};
use tieline::turn::endpoint::{Endpointing, Witnesses};
use tieline::turn::event::{Action, HangupReason, Input, MarkName, SentenceId, TurnId, Voice};
use tieline::turn::machine::{Line, Machine, Phrases};
use tieline::turn::playout::TRAILING;
use tieline::turn::policy::Policy;

use crate::scenario::{Fail, Scenario};

/// What a run shows.
pub(crate) struct Outcome {
    pub(crate) trace: String,
    pub(crate) history: Vec<Line>,
    /// What came out of the line, sentence by sentence: text and the part that was played, 0..=1.
    pub(crate) played: Vec<(String, f64)>,
}

pub(crate) fn run(scenario: &Scenario) -> Outcome {
    let mut sim = Sim::new(scenario);
    sim.input(Input::Start);
    while sim.step() {}
    let history = sim.machine.history().to_vec();
    let played = sim.line.played(sim.now, &sim.texts);
    Outcome {
        trace: sim.trace,
        history,
        played,
    }
}

struct Sim<'a> {
    scenario: &'a Scenario,
    base: Instant,
    /// Virtual time in ms.
    now: u64,
    machine: Machine,
    /// Things to come, by time and then by order of arrival.
    agenda: BTreeMap<(u64, u64), Coming>,
    sequence: u64,
    cancelled: HashSet<u64>,
    /// Agenda entries by turn, for cancelling.
    pending: Vec<(TurnId, u64)>,
    line: SimLine,
    ready: BTreeMap<SentenceId, u64>,
    queue: VecDeque<(SentenceId, u64)>,
    texts: BTreeMap<SentenceId, String>,
    ended: HashSet<TurnId>,
    asked: HashSet<TurnId>,
    committed: HashSet<TurnId>,
    replies: usize,
    tts_failed: bool,
    /// Caller audio before this is gone.
    kept: MediaTime,
    /// How often work was cancelled.
    cancels: u32,
    closed: bool,
    /// And may be taken up again.
    handed_over: bool,
    trace: String,
}

enum Coming {
    Window { voice: Voice },
    Input(Input),
    Audio { sentence: SentenceId, samples: u64 },
    Mark { name: MarkName },
    Hangup,
}

impl<'a> Sim<'a> {
    #[expect(clippy::disallowed_methods, reason = "virtual time needs some instant to count from")]
    fn new(scenario: &'a Scenario) -> Self {
        let policy = Policy {
            endpointing: Endpointing {
                min: Duration::from_millis(scenario.endpoint[0]),
                delay: Duration::from_millis(scenario.endpoint[1]),
                max: Duration::from_millis(scenario.endpoint[2]),
                witnesses: Witnesses::All,
            },
            silence_prompt: Duration::from_millis(scenario.prompt.map_or(3_600_000, |(after, _)| after)),
            silence_prompts: scenario.prompt.map_or(0, |(_, times)| times),
            speculation: scenario.speculation,
            max_call: Duration::from_millis(scenario.max_call),
            max_turn: Duration::from_millis(scenario.max_turn),
            ..Policy::default()
        };
        let phrases = Phrases {
            notice: scenario.notice.clone(),
            still_there: "Are you still there?".to_owned(),
            goodbye: "Goodbye.".to_owned(),
            greeting: "Hello, how can I help you?".to_owned(),
            apology: "Sorry, something went wrong.".to_owned(),
            not_heard: "I did not catch that.".to_owned(),
            too_long: "We have to stop here. Goodbye.".to_owned(),
        };
        let mut sim = Self {
            scenario,
            base: Instant::now(),
            now: 0,
            machine: Machine::new(policy, phrases),
            agenda: BTreeMap::new(),
            sequence: 0,
            cancelled: HashSet::new(),
            pending: Vec::new(),
            line: SimLine::default(),
            ready: BTreeMap::new(),
            queue: VecDeque::new(),
            texts: BTreeMap::new(),
            ended: HashSet::new(),
            asked: HashSet::new(),
            committed: HashSet::new(),
            replies: 0,
            tts_failed: false,
            kept: MediaTime::ZERO,
            cancels: 0,
            closed: false,
            handed_over: false,
            trace: String::new(),
        };
        sim.schedule_media();
        sim
    }

    /// One window every 20 ms, late or lost where the scenario says so.
    fn schedule_media(&mut self) {
        let within = |span: Option<(u64, u64)>, at: u64| span.filter(|&(from, to)| (from..to).contains(&at));
        for at in (0..self.scenario.until).step_by(20) {
            // The driver puts silence in the place of lost audio, once it hears that there was some.
            if let Some((_, to)) = within(self.scenario.lost, at) {
                self.coming(to + 20, Coming::Window { voice: Voice::Silent });
                continue;
            }
            let present = |speech: &&crate::scenario::Speech| (speech.from..speech.to).contains(&at);
            let voice = self
                .scenario
                .speech
                .iter()
                .find(present)
                .map_or(Voice::Silent, |speech| speech.voice);
            let arrives = within(self.scenario.held, at).map_or(at + 20, |(_, to)| to);
            self.coming(arrives, Coming::Window { voice });
        }
        for (at, text) in &self.scenario.keys {
            let text = text.clone();
            self.coming(*at, Coming::Input(Input::Typed { text }));
        }
        for (at, order) in &self.scenario.orders {
            self.coming(*at, Coming::Input(order.clone()));
        }
        if let Some(at) = self.scenario.hangup {
            self.coming(at, Coming::Hangup);
        }
    }

    fn coming(&mut self, at: u64, what: Coming) -> u64 {
        self.sequence += 1;
        self.agenda.insert((at, self.sequence), what);
        self.sequence
    }

    fn later(&mut self, turn: TurnId, after: u64, what: Coming) {
        let number = self.coming(self.now + after, what);
        self.pending.push((turn, number));
    }

    /// Goes on to the next event or deadline. `false` at the end.
    fn step(&mut self) -> bool {
        let deadline = self.machine.poll_timeout(self.instant()).map(|(at, _)| self.millis(at));
        let next = self.agenda.first_key_value().map(|(&(at, _), _)| at);
        let Some(at) = deadline
            .into_iter()
            .chain(next)
            .min()
            .filter(|&at| at < self.scenario.until)
        else {
            return false;
        };
        self.now = self.now.max(at);
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            self.machine.handle_timeout(self.instant());
            let after = self
                .machine
                .poll_timeout(self.instant())
                .map(|(at, timer)| (self.millis(at), timer));
            assert!(
                after.is_none_or(|(at, _)| at > self.now),
                "after handle_timeout a deadline is due: {after:?}"
            );
            self.perform();
            return true;
        }
        let Some(((_, number), coming)) = self.agenda.pop_first() else {
            return false;
        };
        if self.cancelled.contains(&number) {
            return true;
        }
        match coming {
            Coming::Window { voice } => {
                self.machine
                    .handle(Input::Window { voice, samples: 160 }, self.instant());
                self.kept = self.kept.max(self.machine.needed_from());
                self.perform();
            }
            Coming::Input(input) => self.input(input),
            Coming::Audio { sentence, samples } => {
                self.ready.insert(sentence, samples);
                self.input(Input::Synthesized {
                    sentence,
                    samples,
                    words: [].into(),
                });
            }
            Coming::Mark { name } => self.input(Input::Mark(name)),
            Coming::Hangup => {
                self.line.cut(self.now);
                self.input(Input::Stop);
            }
        }
        true
    }

    fn input(&mut self, input: Input) {
        let shown = match &input {
            Input::Start => Some("start".to_owned()),
            Input::Transcript {
                turn,
                text,
                certainty,
                progress,
                ..
            } => {
                let progress = progress.map_or(String::new(), |progress| format!(" {progress:?}"));
                let unsure = if *certainty < 1.0 {
                    format!(" {certainty}")
                } else {
                    String::new()
                };
                Some(format!("transcript {turn} {text:?}{unsure}{progress}"))
            }
            Input::EndOfTurn { turn, probability } => Some(format!("turn {turn} sounds {probability} finished")),
            Input::TranscribeFailed { turn } => Some(format!("transcription of {turn} failed")),
            Input::Sentence { turn, text } => Some(format!("sentence {turn} {text:?}")),
            Input::ReplyDone { turn } => Some(format!("reply {turn} done")),
            Input::ReplyFailed { turn } => Some(format!("reply {turn} failed")),
            Input::SynthesizeFailed { sentence } => Some(format!("synthesis of {} failed", name(*sentence))),
            Input::Mark(mark) => Some(format!("mark {mark}")),
            Input::Stop => Some("stop".to_owned()),
            Input::EndAfter { turn, .. } => Some(format!("the call ends after {turn}")),
            Input::Typed { text } => Some(format!("typed {text:?}")),
            Input::Speak { text } => Some(format!("to be said {text:?}")),
            Input::Leave { text, reason } => Some(format!("to be ended as {reason:?} with {text:?}")),
            Input::Stay { text } => {
                // The call goes on, if it was handed over.
                self.closed &= !std::mem::take(&mut self.handed_over);
                Some(format!("to go on with {text:?}"))
            }
            Input::Window { .. } | Input::FirstToken { .. } | Input::Synthesized { .. } => None,
        };
        if let Some(shown) = shown {
            self.note('<', &shown);
        }
        let refused = matches!(input, Input::Leave { .. }) && !self.machine.may_leave();
        let before = self.machine.history().len();
        self.machine.handle(input, self.instant());
        assert!(
            !refused || self.machine.history().len() == before,
            "what is ending was led elsewhere"
        );
        self.perform();
    }

    fn perform(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            assert!(!self.closed, "action after the call was closed: {action:?}");
            match action {
                Action::Transcribe {
                    turn,
                    from,
                    to,
                    speculative,
                    ..
                } => self.transcribe(turn, from, to, speculative),
                Action::Judge { turn, .. } => {
                    if let Some((probability, after)) = self.scenario.sound {
                        self.later(turn, after, Coming::Input(Input::EndOfTurn { turn, probability }));
                    }
                }
                Action::Hush { turn } => {
                    self.note('>', &format!("hush {turn}"));
                    self.cancel_audio(turn);
                }
                Action::Commit { turn } => {
                    self.note('>', &format!("commit {turn}"));
                    assert!(self.committed.insert(turn), "turn {turn} is committed twice");
                }
                Action::Purge => self.queue.clear(),
                Action::Generate { turn } => self.generate(turn),
                Action::Synthesize { sentence, text } => self.synthesize(sentence, text),
                Action::Queue { sentence } => {
                    let samples = self.ready.remove(&sentence).expect("queued audio is ready");
                    self.queue.push_back((sentence, samples));
                }
                Action::Send { samples } => self.send(samples),
                Action::SendMark(mark) => self.mark(mark),
                Action::Clear => self.clear(),
                Action::Cancel { turn } => self.cancel(turn),
                Action::TurnEnded(summary) => {
                    assert!(self.ended.insert(summary.turn), "turn {} ended twice", summary.turn);
                    let latency = summary
                        .ledger
                        .voice_to_voice()
                        .map_or(String::new(), |v2v| format!(", {} ms", v2v.as_millis()));
                    let outcome = summary.outcome.name();
                    let reason = summary.ledger.endpoint_reason;
                    let reason = reason.map_or(String::new(), |reason| format!(", endpoint by {}", reason.name()));
                    self.note(
                        '>',
                        &format!(
                            "turn {} {outcome}, heard {:?}{latency}{reason}",
                            summary.turn, summary.heard
                        ),
                    );
                }
                Action::Hangup(reason) => {
                    self.note('>', &format!("hang up: {reason:?}"));
                    self.closed = true;
                    self.handed_over = reason == HangupReason::HandOver;
                }
            }
        }
    }

    fn transcribe(&mut self, turn: TurnId, from: MediaTime, to: MediaTime, speculative: bool) {
        self.asked.insert(turn);
        assert!(from >= self.kept, "audio from {from:?} is gone");
        let (from, to) = (from.samples() / 8, to.samples() / 8);
        self.note(
            '>',
            &format!(
                "transcribe {turn} {:.2}-{:.2}{}",
                from as f64 / 1e3,
                to as f64 / 1e3,
                if speculative { " speculatively" } else { "" }
            ),
        );
        if self.scenario.fail == Some(Fail::Stt) {
            return self.later(turn, self.scenario.stt, Coming::Input(Input::TranscribeFailed { turn }));
        }
        let heard = |speech: &&crate::scenario::Speech| {
            let overlap = speech.to.min(to).saturating_sub(speech.from.max(from));
            overlap * 2 > speech.to - speech.from
        };
        let heard: Vec<&crate::scenario::Speech> = self.scenario.speech.iter().filter(heard).collect();
        let said: Vec<&str> = heard.iter().map(|speech| speech.text.as_str()).collect();
        let text = said.join(" ").trim().to_owned();
        let progress = heard.last().and_then(|speech| speech.progress);
        let certainty = heard.iter().map(|speech| speech.certainty).fold(1.0, f32::min);
        let transcript = Input::Transcript {
            turn,
            text,
            language: "en",
            certainty,
            progress,
        };
        self.later(turn, self.scenario.stt, Coming::Input(transcript));
    }

    fn generate(&mut self, turn: TurnId) {
        self.note('>', &format!("generate {turn}"));
        let reply = self.scenario.replies[self.replies.min(self.scenario.replies.len() - 1)].clone();
        self.replies += 1;
        let mut after = self.scenario.llm;
        match self.scenario.fail {
            Some(Fail::Llm) => return self.later(turn, after, Coming::Input(Input::ReplyFailed { turn })),
            Some(Fail::LlmLate) => return,
            Some(Fail::LlmEmpty) => return self.later(turn, after, Coming::Input(Input::ReplyDone { turn })),
            Some(Fail::Stt | Fail::Tts | Fail::TtsOnce | Fail::TtsLater) | None => {}
        }
        for text in reply {
            self.later(turn, after, Coming::Input(Input::Sentence { turn, text }));
            after += self.scenario.next;
        }
        if self.scenario.ends && self.replies >= self.scenario.replies.len() {
            let reason = HangupReason::Goodbye;
            self.later(turn, after, Coming::Input(Input::EndAfter { turn, reason }));
        }
        self.later(turn, after, Coming::Input(Input::ReplyDone { turn }));
    }

    fn synthesize(&mut self, sentence: SentenceId, text: String) {
        self.note('>', &format!("synthesize {} {text:?}", name(sentence)));
        let fails = match self.scenario.fail {
            Some(Fail::Tts) => true,
            Some(Fail::TtsOnce) => !std::mem::replace(&mut self.tts_failed, true),
            Some(Fail::TtsLater) => self.texts.len() >= 2,
            _ => false,
        };
        let samples = length(&text) * 8 + TRAILING;
        self.texts.insert(sentence, text);
        let coming = if fails {
            Coming::Input(Input::SynthesizeFailed { sentence })
        } else {
            Coming::Audio { sentence, samples }
        };
        self.later(sentence.turn, self.scenario.tts, coming);
    }

    fn send(&mut self, samples: u64) {
        let mut left = samples;
        while left > 0 {
            let (sentence, queued) = self.queue.front_mut().expect("no more is sent than was queued");
            let part = left.min(*queued);
            let first = self.line.play(self.now, *sentence, part);
            let sentence = *sentence;
            *queued -= part;
            left -= part;
            if *queued == 0 {
                self.queue.pop_front();
            }
            if first {
                let turn = sentence.turn;
                let certain = !self.asked.contains(&turn) || self.committed.contains(&turn);
                assert!(certain, "turn {turn} is answered before it is over");
                self.note('>', &format!("play {}", name(sentence)));
            }
        }
        let lead = self.line.free_at.saturating_sub(self.now);
        assert!(
            lead <= Policy::default().playout_lead.as_millis() as u64 + 20,
            "{lead} ms ahead"
        );
    }

    fn mark(&mut self, mark: MarkName) {
        if let Some(late) = self.scenario.marks {
            let at = self.line.free_at.max(self.now) + late;
            let number = self.coming(at, Coming::Mark { name: mark });
            self.line.marks.push((number, mark));
        }
    }

    fn clear(&mut self) {
        self.note('>', "clear");
        assert!(self.queue.is_empty(), "the queue is purged before the line is cleared");
        self.line.cut(self.now);
        // Twilio returns outstanding marks at once.
        let outstanding: Vec<_> = self
            .line
            .marks
            .drain(..)
            .filter(|(number, _)| self.agenda.keys().any(|(_, n)| n == number))
            .collect();
        for (number, mark) in outstanding {
            self.cancelled.insert(number);
            self.coming(self.now + self.scenario.marks.unwrap_or(0), Coming::Mark { name: mark });
        }
    }

    /// Whether what is cancelled now is too far to be stopped.
    fn is_too_late(&mut self) -> bool {
        self.cancels += 1;
        self.scenario.uncancelled.rotate_right(self.cancels) & 1 == 1
    }

    fn cancel(&mut self, turn: TurnId) {
        if self.is_too_late() {
            return;
        }
        let mut stopped = Vec::new();
        self.pending.retain(|&(of, number)| {
            if of == turn {
                stopped.push(number);
            }
            of != turn
        });
        self.cancelled.extend(stopped);
        self.ready.retain(|sentence, _| sentence.turn != turn);
    }

    fn cancel_audio(&mut self, turn: TurnId) {
        if self.is_too_late() {
            return;
        }
        let agenda = self.agenda.iter();
        let audio =
            agenda.filter(|(_, coming)| matches!(coming, Coming::Audio { sentence, .. } if sentence.turn == turn));
        self.cancelled.extend(audio.map(|(&(_, number), _)| number));
        self.ready.retain(|sentence, _| sentence.turn != turn);
    }

    fn note(&mut self, direction: char, what: &str) {
        let _ = writeln!(self.trace, "{:>7.3} {direction} {what}", self.now as f64 / 1e3);
    }

    fn instant(&self) -> Instant {
        self.base + Duration::from_millis(self.now)
    }

    fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.base).as_nanos().div_ceil(1_000_000) as u64
    }
}

/// The telephone line: plays what it is given in real time.
#[derive(Default)]
struct SimLine {
    free_at: u64,
    /// Sentence, start and end of playing in ms.
    spans: Vec<(SentenceId, u64, u64)>,
    marks: Vec<(u64, MarkName)>,
}

impl SimLine {
    /// `true` if this is the sentence's first audio.
    fn play(&mut self, now: u64, sentence: SentenceId, samples: u64) -> bool {
        let from = self.free_at.max(now);
        self.free_at = from + SampleRate::LINE.duration(samples).as_millis() as u64;
        let first = !self.spans.iter().any(|(of, ..)| *of == sentence);
        self.spans.push((sentence, from, self.free_at));
        first
    }

    fn cut(&mut self, now: u64) {
        // What was to be played later is not played at all.
        for (_, from, to) in &mut self.spans {
            (*from, *to) = ((*from).min(now), (*to).min(now));
        }
        self.free_at = self.free_at.min(now);
    }

    fn played(&self, now: u64, texts: &BTreeMap<SentenceId, String>) -> Vec<(String, f64)> {
        texts
            .iter()
            .map(|(sentence, text)| {
                let of = self.spans.iter().filter(|(of, ..)| of == sentence);
                let ms: u64 = of.map(|&(_, from, to)| to.min(now).saturating_sub(from)).sum();
                (text.clone(), (ms as f64 / length(text).max(1) as f64).min(1.0))
            })
            .collect()
    }
}

/// How long a text sounds, in ms: a word lasts about as long as it is written.
fn length(text: &str) -> u64 {
    text.split_whitespace()
        .map(|word| word.chars().count() as u64 + 1)
        .sum::<u64>()
        * 60
}

fn name(sentence: SentenceId) -> String {
    format!("{}.{}", sentence.turn, sentence.index)
}
