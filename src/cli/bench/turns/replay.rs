//! One turn through the real audio path and the real machine, in virtual time.
//!
//! A window of 20 ms is received when its last sample is; engines answer a fixed time after they were asked. Nothing waits.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::answers::{Answers, Span};
use super::audio::Turn;
use super::slot::{LANGUAGE, progress};
use crate::audio::mulaw;
use crate::call::inbound::Inbound;
use crate::call::socket::Audio;
use crate::dialog::slot::Slot;
use crate::speech::ear::Ear;
use crate::time::{MediaTime, SampleRate};
use crate::turn::event::{Action, Input, TurnId};
use crate::turn::machine::{Machine, Phrases};
use crate::turn::policy::Policy;

/// How the replay answers for the engines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nominal {
    /// A transcript comes this long after it was asked for.
    pub(super) words: Duration,
    /// A judgement of the sound.
    pub(super) sound: Duration,
    /// Take the time that the engine took instead.
    pub(super) measured: bool,
}

/// A turn on a line.
#[derive(Debug)]
pub(super) struct Recording<'a> {
    /// Its place among all recordings.
    pub(super) index: usize,
    pub(super) turn: &'a Turn,
    /// The whole line: μ-law.
    pub(super) payload: Vec<u8>,
}

/// What the machine did.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Trace {
    /// When the machine took the turn as over, in samples from the start of the line.
    pub(super) ended: Option<u64>,
    /// What it took as over before the caller had said anything.
    pub(super) false_starts: usize,
    /// What was asked at pauses.
    pub(super) looks: Vec<Look>,
}

/// One look into a pause.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    pub(super) turn: TurnId,
    /// What the sound was judged by; the end is the moment of asking.
    pub(super) heard: Span,
    pub(super) sound: Option<f32>,
    /// The whole turn so far.
    pub(super) words: Option<String>,
}

/// Plays `recording` to a machine with `policy` that awaits `slot`, until the machine takes the turn as over.
pub(super) fn replay(
    recording: &Recording<'_>,
    slot: Option<&Slot>,
    policy: &Policy,
    ear: Ear,
    nominal: Nominal,
    answers: &mut impl Answers,
) -> anyhow::Result<Trace> {
    let mut replay = Replay::new(recording, slot, policy, ear, nominal, answers);
    replay.machine.handle(Input::Start, replay.start);
    replay.perform(replay.start)?;
    let (mut windows, mut pcm) = (Vec::new(), Vec::new());
    for (n, payload) in recording.payload.chunks(FRAME).enumerate() {
        let received = replay.start + SampleRate::LINE.duration(((n + 1) * FRAME) as u64);
        replay.until(received)?;
        pcm.clear();
        mulaw::decode_into(payload, &mut pcm);
        windows.clear();
        let at_ms = Some(n as u64 * 20);
        replay.inbound.take(Audio { at_ms, pcm: &pcm }, &mut windows);
        for &voice in &windows {
            let input = Input::Window {
                voice,
                samples: FRAME as u32,
            };
            replay.machine.handle(input, received);
        }
        replay.perform(received)?;
        replay.inbound.discard_before(replay.machine.needed_from());
        if replay.trace.ended.is_some() {
            break;
        }
    }
    Ok(replay.trace)
}

struct Replay<'a, A> {
    recording: &'a Recording<'a>,
    slot: Option<&'a Slot>,
    nominal: Nominal,
    answers: &'a mut A,
    start: Instant,
    machine: Machine,
    inbound: Inbound,
    /// What the engines have been asked, by the time of the answer.
    pending: Vec<(Instant, TurnId, Answer)>,
    /// What a turn holds up to a position: where its beginning is settled, only the rest is transcribed again.
    settled: HashMap<u64, String>,
    trace: Trace,
}

enum Answer {
    Words { tail: String, whole: String, to: u64 },
    Sound(f32),
}

impl<'a, A: Answers> Replay<'a, A> {
    fn new(
        recording: &'a Recording<'a>,
        slot: Option<&'a Slot>,
        policy: &Policy,
        ear: Ear,
        nominal: Nominal,
        answers: &'a mut A,
    ) -> Self {
        let phrases = Phrases {
            not_heard: NOT_HEARD.to_owned(),
            ..Phrases::default()
        };
        let kept = policy.max_turn + policy.pre_roll + Duration::from_secs(15);
        Self {
            recording,
            slot,
            nominal,
            answers,
            start: origin(),
            machine: Machine::new(policy.clone(), phrases),
            inbound: Inbound::new(ear, kept.as_secs()),
            pending: Vec::new(),
            settled: HashMap::new(),
            trace: Trace::default(),
        }
    }

    /// Lets everything happen that is due before `moment`, in its order.
    fn until(&mut self, moment: Instant) -> anyhow::Result<()> {
        loop {
            let answer = self.pending.iter().map(|&(at, ..)| at).min();
            let timeout = self.machine.poll_timeout(moment).map(|(at, _)| at);
            let Some(at) = answer.into_iter().chain(timeout).min().filter(|&at| at <= moment) else {
                return Ok(());
            };
            if answer == Some(at) {
                let next = self
                    .pending
                    .iter()
                    .position(|&(due, ..)| due == at)
                    .context("an answer")?;
                let (_, turn, answer) = self.pending.remove(next);
                self.deliver(turn, answer, at);
            } else {
                self.machine.handle_timeout(at);
            }
            self.perform(at)?;
        }
    }

    fn deliver(&mut self, turn: TurnId, answer: Answer, at: Instant) {
        let look = self.trace.looks.iter_mut().rfind(|look| look.turn == turn);
        let input = match answer {
            Answer::Words { tail, whole, to } => {
                // The turn so far: the machine puts the settled beginning before the tail by itself.
                let progress = self.slot.map(|slot| progress(slot, &whole));
                if let Some(look) = look {
                    look.words = Some(whole.clone());
                }
                self.settled.insert(to, whole);
                Input::Transcript {
                    turn,
                    text: tail,
                    language: LANGUAGE.code(),
                    // Nobody is interrupted here.
                    certainty: 1.0,
                    progress,
                }
            }
            Answer::Sound(probability) => {
                if let Some(look) = look {
                    look.sound = Some(probability);
                }
                Input::EndOfTurn { turn, probability }
            }
        };
        self.machine.handle(input, at);
    }

    /// Carries out what the machine wants. The reply is ready at once, and nothing of it is played.
    fn perform(&mut self, now: Instant) -> anyhow::Result<()> {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Transcribe { turn, from, to, .. } => self.transcribe(turn, from, to, now)?,
                Action::Judge { turn, from, to } => self.judge(turn, from, to, now)?,
                Action::Commit { .. } => self.ended(now),
                // The only text of the machine's own: it speaks, without a commit.
                Action::Synthesize { .. } => self.ended(now),
                Action::Cancel { turn } => self.pending.retain(|&(_, asked, _)| asked != turn),
                Action::Generate { .. }
                | Action::Queue { .. }
                | Action::Send { .. }
                | Action::SendMark(_)
                | Action::Purge
                | Action::Clear
                | Action::Hush { .. }
                | Action::TurnEnded(_)
                | Action::Hangup(_) => {}
            }
        }
        Ok(())
    }

    fn ended(&mut self, now: Instant) {
        let at = SampleRate::LINE.samples(now - self.start);
        let begun = self
            .recording
            .turn
            .voiced
            .first()
            .is_some_and(|first| at > first.start as u64);
        if begun {
            self.trace.ended.get_or_insert(at);
        } else {
            self.trace.false_starts += 1;
        }
    }

    fn transcribe(&mut self, turn: TurnId, from: MediaTime, to: MediaTime, now: Instant) -> anyhow::Result<()> {
        let span = (self.recording.index, from.samples(), to.samples());
        let inbound = &self.inbound;
        let (tail, took) = self.answers.words(span, || inbound.audio(from, to))?;
        let beginning = self.settled.get(&from.samples()).map_or("", String::as_str);
        let whole = format!("{beginning} {tail}").trim().to_owned();
        let delay = if self.nominal.measured {
            took
        } else {
            self.nominal.words
        };
        let answer = Answer::Words {
            tail,
            whole,
            to: to.samples(),
        };
        self.pending.push((now + delay, turn, answer));
        Ok(())
    }

    fn judge(&mut self, turn: TurnId, from: MediaTime, to: MediaTime, now: Instant) -> anyhow::Result<()> {
        let from = from.max(to.back(JUDGED));
        let span = (self.recording.index, from.samples(), to.samples());
        let inbound = &self.inbound;
        let (probability, took) = self.answers.sound(span, || inbound.audio(from, to))?;
        let delay = if self.nominal.measured {
            took
        } else {
            self.nominal.sound
        };
        self.pending.push((now + delay, turn, Answer::Sound(probability)));
        self.trace.looks.push(Look {
            turn,
            heard: span,
            sound: None,
            words: None,
        });
        Ok(())
    }
}

/// What the driver lets the judge of a turn's end look at.
const JUDGED: Duration = Duration::from_secs(8);
const FRAME: usize = 160;
const NOT_HEARD: &str = "Sorry?";

#[expect(clippy::disallowed_methods, reason = "virtual time needs some instant to start from")]
fn origin() -> Instant {
    Instant::now()
}
