//! What comes from outside the conversation: somebody who watches the call has the agent say something, or takes the caller
//! away from it, and may bring them back.

use std::time::Instant;

use super::{Line, Machine, State};
use crate::turn::event::{Action, HangupReason, Outcome};
use crate::turn::reply::Standing;

impl Machine {
    /// Goes on with a conversation that was led before: its history, and the number of its next turn. The greeting, which then
    /// has a turn of its own, is what the agent comes back with.
    #[must_use]
    pub fn after(mut self, history: Vec<Line>, next_turn: u32) -> Self {
        self.history = history;
        self.next_turn = next_turn.max(self.next_turn);
        self
    }

    /// The number of the turn to come.
    pub fn next_turn(&self) -> u32 {
        self.next_turn
    }

    /// It is said as soon as nobody has the floor. What is too much is not.
    pub(super) fn speak(&mut self, text: String) {
        let open = !matches!(self.state, State::Closed);
        if open && !text.is_empty() && self.unsaid.len() < MOST_UNSAID {
            self.unsaid.push_back(text);
        }
    }

    /// What waits to be said, if nobody has the floor.
    pub(super) fn take_floor(&mut self) {
        if matches!(self.state, State::Listening)
            && let Some(text) = self.unsaid.pop_front()
        {
            self.say(text);
        }
    }

    /// Whether the call can still be led to another end: its last words are not being said. A goodbye that is only prepared
    /// is no end yet.
    pub fn may_leave(&self) -> bool {
        match &self.state {
            State::Waiting | State::Closed => false,
            State::Replying(reply) => reply.then.is_none() || reply.standing != Standing::Committed,
            State::Listening | State::Hearing(_) | State::Transcribing { .. } => true,
        }
    }

    /// Whoever has the floor loses it; the agent says one more thing, which cannot be interrupted, and the call ends.
    pub(super) fn leave(&mut self, text: String, reason: HangupReason, outcome: Outcome, now: Instant) {
        if !self.may_leave() {
            return;
        }
        self.cut_short(outcome, now);
        self.actions.push_back(Action::Clear);
        self.unsaid.clear();
        self.say_last(text, reason);
    }

    /// Nobody could take the caller over: the conversation goes on.
    pub(super) fn stay(&mut self, text: String, now: Instant) {
        if std::mem::take(&mut self.handed_over) && matches!(self.state, State::Closed) {
            self.last_window = Some(now);
            self.quiet_since = Some(now);
            self.gate.restart();
            self.say(text);
        }
    }
}

/// Sentences that may wait: nobody asks for more in one pause.
const MOST_UNSAID: usize = 16;
