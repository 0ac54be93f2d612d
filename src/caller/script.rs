//! What the simulated caller does when: greet, speak, listen, hang up. Pure; time is an argument.
//!
//! All times count from the `start` message. The script hears the agent twice: when audio arrives (that is what
//! voice-to-voice latency measures) and when the playout buffer makes it audible.

use std::time::Duration;

use super::Course;
use super::line::{Sent, Tick};

/// The caller's patience.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long to wait for the agent's greeting; zero when none is expected.
    pub greeting: Duration,
    /// How long to wait for an answer after the last word.
    pub answer: Duration,
    /// Silence after which the agent's contribution counts as over.
    pub quiet: Duration,
    /// The longest contribution of the agent that is listened to.
    pub patience: Duration,
    /// Speak the next turn this long into the agent's answer, instead of hearing it out.
    pub barge_after: Option<Duration>,
}

/// What the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Say the turn with this index, counted from 0.
    Speak(usize),
    /// Press a key: 0 to 9, * or #.
    Press(char),
    /// End the call.
    HangUp,
}

/// What was measured about one caller turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    /// When the first frame of speech was sent.
    pub began: Option<Duration>,
    /// When the last frame of speech was sent.
    pub ended: Option<Duration>,
    /// When the first audible message of the answer arrived.
    pub arrived: Option<Duration>,
    /// When the answer could first be heard.
    pub heard: Option<Duration>,
    /// The agent began to speak before the caller had ended.
    pub cut_in: bool,
    /// The turn was spoken into the agent's answer.
    pub barge: bool,
    /// When the agent cleared its audio after a barge-in.
    pub cleared: Option<Duration>,
}

impl Measure {
    /// Last speech frame sent → first audible message of the answer.
    pub fn voice_to_voice(&self) -> Option<Duration> {
        Some(self.arrived?.saturating_sub(self.ended?))
    }

    /// Last speech frame sent → first audible frame played.
    pub fn audible(&self) -> Option<Duration> {
        Some(self.heard?.saturating_sub(self.ended?))
    }

    /// First speech frame of a barge-in sent → the agent's `clear`.
    pub fn barge_to_clear(&self) -> Option<Duration> {
        Some(self.cleared?.saturating_sub(self.began?))
    }
}

/// The course of one call.
#[derive(Debug)]
pub struct Script {
    pace: Pace,
    phase: Phase,
    turn: usize,
    /// Index 0 is the greeting; its `ended` is the start of the stream.
    measures: Vec<Measure>,
    last_media: Option<Duration>,
    last_audible: Option<Duration>,
    drained_since: Option<Duration>,
    /// A barge-in runs against audio of an answer that belongs to the turn before.
    earlier_answer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The caller speaks.
    Speaking,
    /// The caller waits for the first sound of the agent, until the deadline.
    Awaiting { deadline: Duration },
    /// The agent speaks.
    Listening { since: Duration },
    /// The call is over.
    Done,
}

impl Script {
    /// A call of `turns` turns, at the moment of its `start` message.
    pub fn new(pace: Pace, turns: usize) -> Self {
        let mut measures = vec![Measure::default(); turns + 1];
        measures[0].ended = Some(Duration::ZERO);
        Self {
            pace,
            phase: Phase::Awaiting {
                deadline: pace.greeting,
            },
            turn: 0,
            measures,
            last_media: None,
            last_audible: None,
            drained_since: None,
            earlier_answer: false,
        }
    }

    /// The turn that is being spoken or answered, counted from 1; 0 is the greeting.
    pub fn current(&self) -> usize {
        self.turn
    }

    /// What was measured so far: the greeting, then each turn.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Notes audio that arrived.
    pub fn on_media(&mut self, now: Duration, audible: bool) {
        self.last_media = Some(now);
        self.drained_since = None;
        if !audible || self.earlier_answer {
            return;
        }
        let measure = &mut self.measures[self.turn];
        match self.phase {
            Phase::Speaking => measure.cut_in = true,
            // After a cut-in its rest may be heard, and so listened to, before anything new arrives.
            Phase::Awaiting { .. } | Phase::Listening { .. } => {
                measure.arrived.get_or_insert(now);
            }
            Phase::Done => {}
        }
    }

    /// Notes that the agent cleared its audio.
    pub fn on_clear(&mut self, now: Duration) {
        if self.earlier_answer {
            self.earlier_answer = false;
            self.measures[self.turn].cleared.get_or_insert(now);
        }
    }

    /// Takes the 20 ms that have just been sent and played; `drained` tells whether the buffer is empty now.
    pub fn on_tick(&mut self, now: Duration, tick: &Tick, drained: bool) -> Option<Order> {
        if tick.audible {
            self.last_audible = Some(now);
        }
        self.drained_since = drained.then(|| self.drained_since.unwrap_or(now));
        if self
            .drained_since
            .is_some_and(|since| now.saturating_sub(since) >= ANSWER_GAP)
        {
            self.earlier_answer = false;
        }
        match self.phase {
            Phase::Speaking => self.speaking(now, tick.kind),
            Phase::Awaiting { deadline } => self.awaiting(now, tick.audible, deadline),
            Phase::Listening { since } => self.listening(now, since, drained),
            Phase::Done => None,
        }
    }

    fn speaking(&mut self, now: Duration, kind: Sent) -> Option<Order> {
        let measure = &mut self.measures[self.turn];
        match kind {
            Sent::Silence => {}
            Sent::Speech => {
                measure.began.get_or_insert(now);
            }
            Sent::LastSpeech => {
                measure.began.get_or_insert(now);
                measure.ended = Some(now);
                self.phase = Phase::Awaiting {
                    deadline: now + self.pace.answer,
                };
            }
        }
        None
    }

    fn awaiting(&mut self, now: Duration, audible: bool, deadline: Duration) -> Option<Order> {
        let measure = &mut self.measures[self.turn];
        if audible && !self.earlier_answer && (measure.arrived.is_some() || measure.cut_in) {
            measure.heard = Some(now);
            self.phase = Phase::Listening { since: now };
            return None;
        }
        (now >= deadline).then(|| self.next_turn(false))
    }

    fn listening(&mut self, now: Duration, since: Duration, drained: bool) -> Option<Order> {
        let long_ago = |at: Option<Duration>| at.is_none_or(|at| now.saturating_sub(at) > self.pace.quiet);
        let quiet = drained && long_ago(self.last_media) && long_ago(self.last_audible);
        let listened = now.saturating_sub(since);
        if quiet || listened >= self.pace.patience {
            return Some(self.next_turn(!drained));
        }
        let interrupt = self.turn > 0 && self.turn + 1 < self.measures.len();
        let due = self.pace.barge_after.is_some_and(|after| listened >= after);
        (interrupt && due).then(|| self.next_turn(true))
    }

    fn next_turn(&mut self, barge: bool) -> Order {
        let Some(measure) = self.measures.get_mut(self.turn + 1) else {
            self.phase = Phase::Done;
            return Order::HangUp;
        };
        measure.barge = barge;
        self.turn += 1;
        self.earlier_answer = barge;
        self.phase = Phase::Speaking;
        Order::Speak(self.turn - 1)
    }
}

impl Course for Script {
    fn on_media(&mut self, now: Duration, audible: bool) {
        Self::on_media(self, now, audible);
    }

    fn on_clear(&mut self, now: Duration, _dropped_ms: usize) {
        Self::on_clear(self, now);
    }

    fn on_tick(&mut self, now: Duration, tick: &Tick, drained: bool) -> Option<Order> {
        Self::on_tick(self, now, tick, drained)
    }

    fn turn(&self) -> usize {
        self.current()
    }

    fn answered(&self, now: Duration) -> Option<Option<Duration>> {
        let measure = self.measures[self.turn];
        (measure.heard == Some(now)).then(|| measure.voice_to_voice())
    }
}

/// An answer that was not cleared is over when the buffer has been empty for this long.
const ANSWER_GAP: Duration = Duration::from_millis(200);

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
