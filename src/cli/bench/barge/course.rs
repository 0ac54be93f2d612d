//! A caller who asks for long answers and does not sit still through them. Pure.

use std::ops::Range;
use std::time::Duration;

use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::tape::{Beat, Clear, Spoken, Tape};
use crate::caller::line::{Sent, Tick};
use crate::caller::{Course, Order, TraceEvent};

/// What the caller is after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Cut into so many answers with the next question.
    Interrupt(usize),
    /// Say so many short words of listening into the answers; the first answer is left alone, as the control.
    Acknowledge(usize),
    /// Ask and listen for so long.
    Listen(Duration),
}

/// A call's plan. The call's utterances are the questions, then the words of listening.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) aim: Aim,
    /// How many of the utterances are questions.
    pub(super) questions: usize,
    /// How many are words of listening.
    pub(super) words: usize,
    /// Seconds of an answer after which the caller says something into it.
    pub(super) after: Range<f64>,
    /// Silence of the agent after which its answer is over.
    pub(super) quiet: Duration,
    /// The call is given up after this.
    pub(super) limit: Duration,
    /// The line is only noisy while the agent speaks and is listened to, not while it is asked.
    pub(super) clean_questions: bool,
    pub(super) seed: u64,
}

/// One call under way, and after it its tape.
#[derive(Debug)]
pub(super) struct Caller {
    settings: Settings,
    rng: StdRng,
    phase: Phase,
    asked: usize,
    intruded: usize,
    acknowledged: usize,
    /// The next question waits for this much silence.
    quiet: Duration,
    last_media: Duration,
    last_audible: Duration,
    drained_since: Option<Duration>,
    /// What is heard belongs to the answer that was interrupted.
    earlier_answer: bool,
    answer_from: Option<usize>,
    pub(super) tape: Tape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Until the first sound of the agent, or the deadline.
    Awaiting { deadline: Duration },
    /// The agent has spoken since; the caller's next words into it are due.
    Listening { since: Duration, due: Option<Duration> },
    /// The caller speaks.
    Speaking,
    /// The call is over.
    Done,
}

impl Caller {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            rng: StdRng::seed_from_u64(settings.seed),
            phase: Phase::Awaiting { deadline: PATIENCE },
            asked: 0,
            intruded: 0,
            acknowledged: 0,
            quiet: settings.quiet,
            last_media: Duration::ZERO,
            last_audible: Duration::ZERO,
            drained_since: None,
            earlier_answer: false,
            answer_from: None,
            tape: Tape::default(),
            settings,
        }
    }

    fn speaking(&mut self, now: Duration, kind: Sent) {
        let beat = self.tape.beats.len() - 1;
        let Some(spoken) = self.tape.spoken.last_mut() else {
            return;
        };
        if kind != Sent::Silence && spoken.began.is_none() {
            (spoken.began, spoken.beat) = (Some(now), beat);
        }
        if kind == Sent::LastSpeech {
            spoken.ended = Some(now);
            let listens_on = spoken.intrusion && matches!(self.settings.aim, Aim::Acknowledge(_));
            self.phase = if listens_on {
                Phase::Listening { since: now, due: None }
            } else {
                Phase::Awaiting {
                    deadline: now + PATIENCE,
                }
            };
        }
    }

    fn awaiting(&mut self, now: Duration, audible: bool, deadline: Duration) -> Option<Order> {
        if audible && !self.earlier_answer {
            self.answer_from = Some(self.tape.beats.len() - 1);
            let due = self.due(now);
            self.phase = Phase::Listening { since: now, due };
            return None;
        }
        if self.earlier_answer {
            // An agent that does not stop is heard out.
            self.phase = Phase::Awaiting {
                deadline: now + PATIENCE,
            };
        }
        (now >= deadline).then(|| self.ask(false))
    }

    fn listening(&mut self, now: Duration, audible: bool, (since, due): (Duration, Option<Duration>)) -> Option<Order> {
        let over = match self.settings.aim {
            Aim::Interrupt(count) => self.intruded >= count && now.saturating_sub(since) >= AFTERGLOW,
            Aim::Acknowledge(_) => false,
            Aim::Listen(long) => now >= long,
        };
        if over {
            return Some(self.hang_up());
        }
        // After a cut the agent is given time to go on.
        let cut = self.asked > 0 && self.answer_from.is_none();
        let quiet = if cut { self.quiet.max(TO_GO_ON) } else { self.quiet };
        let silent = |last: Duration| now.saturating_sub(last) >= quiet;
        if self.drained_since.is_some() && silent(self.last_audible) && silent(self.last_media) && silent(since) {
            let over = matches!(self.settings.aim, Aim::Acknowledge(count) if self.intruded >= count);
            return Some(if over { self.hang_up() } else { self.ask(false) });
        }
        if !audible {
            return None;
        }
        if self.answer_from.is_none() {
            self.answer_from = Some(self.tape.beats.len() - 1);
        }
        match due {
            Some(due) if now >= due => Some(match self.settings.aim {
                Aim::Acknowledge(_) => self.acknowledge(),
                Aim::Interrupt(_) | Aim::Listen(_) => self.ask(true),
            }),
            Some(_) => None,
            None => {
                let due = self.due(now);
                self.phase = Phase::Listening { since, due };
                None
            }
        }
    }

    /// When to say something into the answer that is heard now.
    fn due(&mut self, now: Duration) -> Option<Duration> {
        let wanted = match self.settings.aim {
            Aim::Interrupt(count) => self.asked > 0 && self.intruded < count,
            Aim::Acknowledge(count) => self.asked > 1 && self.intruded < count,
            Aim::Listen(_) => false,
        };
        wanted.then(|| now + Duration::from_secs_f64(self.rng.random_range(self.settings.after.clone())))
    }

    fn ask(&mut self, intrusion: bool) -> Order {
        let clip = self.asked % self.settings.questions;
        self.asked += 1;
        self.earlier_answer = intrusion;
        self.quiet = self.settings.quiet + Duration::from_millis(self.rng.random_range(0..500));
        self.speak(clip, intrusion)
    }

    fn acknowledge(&mut self) -> Order {
        let clip = self.settings.questions + self.acknowledged % self.settings.words;
        self.acknowledged += 1;
        self.speak(clip, true)
    }

    fn speak(&mut self, clip: usize, intrusion: bool) -> Order {
        self.intruded += usize::from(intrusion);
        self.tape.spoken.push(Spoken {
            clip,
            intrusion,
            answer_from: self.answer_from,
            beat: self.tape.beats.len(),
            began: None,
            ended: None,
        });
        if !intrusion {
            self.answer_from = None;
        }
        self.phase = Phase::Speaking;
        Order::Speak(clip)
    }

    fn hang_up(&mut self) -> Order {
        self.phase = Phase::Done;
        Order::HangUp
    }
}

impl Course for Caller {
    fn on_media(&mut self, now: Duration, _audible: bool) {
        self.last_media = now;
    }

    fn on_clear(&mut self, now: Duration, dropped_ms: usize) {
        self.earlier_answer = false;
        self.answer_from = None;
        self.tape.clears.push(Clear {
            at: now,
            beat: self.tape.beats.len(),
            dropped_ms,
        });
    }

    fn on_trace(&mut self, now: Duration, event: &TraceEvent) {
        self.tape.traced.push((now, event.clone()));
    }

    fn on_tick(&mut self, now: Duration, tick: &Tick, drained: bool) -> Option<Order> {
        self.tape.beats.push(Beat {
            at: now,
            audible: tick.audible,
        });
        if tick.audible {
            self.last_audible = now;
        }
        self.drained_since = drained.then(|| self.drained_since.unwrap_or(now));
        if self
            .drained_since
            .is_some_and(|since| now.saturating_sub(since) >= ANSWER_GAP)
        {
            self.earlier_answer = false;
        }
        if now >= self.settings.limit && self.phase != Phase::Done {
            return Some(self.hang_up());
        }
        match self.phase {
            Phase::Speaking => {
                self.speaking(now, tick.kind);
                None
            }
            Phase::Awaiting { deadline } => self.awaiting(now, tick.audible, deadline),
            Phase::Listening { since, due } => self.listening(now, tick.audible, (since, due)),
            Phase::Done => None,
        }
    }

    fn noisy(&self) -> bool {
        !self.settings.clean_questions || matches!(self.phase, Phase::Listening { .. })
    }

    fn turn(&self) -> usize {
        self.asked
    }
}

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a cut answer may take to go on before the caller asks anew.
const TO_GO_ON: Duration = Duration::from_secs(5);

/// How long the answer after the last interruption is listened to.
const AFTERGLOW: Duration = Duration::from_secs(1);

/// An answer that was not cleared is over when nothing waited to be played for this long.
const ANSWER_GAP: Duration = Duration::from_millis(200);

#[cfg(test)]
#[path = "course_tests.rs"]
mod tests;
