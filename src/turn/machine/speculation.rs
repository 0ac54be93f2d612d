//! Preparing the answer while the caller may still go on.
//!
//! After a short pause the machine goes through transcript, reply and synthesis as if the turn were over, but sends nothing.
//! If the pause becomes the endpoint, [`Machine::commit`] releases what is there. If the caller goes on, everything is
//! dropped and the turn is transcribed again as a whole.

use std::time::{Duration, Instant};

use super::{Hearing, Machine, State};
use crate::turn::event::{Action, TurnId};
use crate::turn::reply::{Reply, Source, Standing};

impl Machine {
    /// The pause on which an answer was prepared is the end of the turn.
    pub(super) fn commit(&mut self, voiced: Duration, now: Instant) {
        // Something was said meanwhile, too little to count as going on: the prepared transcript does not hold it.
        if self.gate.voiced() > voiced + BLIP {
            self.take_back();
            return self.pause(Standing::Committed, now);
        }
        let mut asks = false;
        let turn = match &mut self.state {
            State::Transcribing {
                hearing,
                standing,
                deadline,
                ledger,
                ..
            } => {
                (*standing, ledger.endpoint) = (Standing::Committed, Some(now));
                *deadline = now + self.policy.transcribe_deadline;
                hearing.turn
            }
            State::Replying(reply) => {
                (reply.standing, reply.ledger.endpoint) = (Standing::Committed, Some(now));
                asks = reply.source == Source::Held;
                if asks || matches!(reply.source, Source::Generating { .. }) {
                    reply.source = Source::Generating {
                        deadline: now + self.policy.reply_deadline,
                    };
                }
                reply.turn
            }
            State::Waiting | State::Listening | State::Hearing(_) | State::Closed => return,
        };
        self.speculated.used += 1;
        self.actions.push_back(Action::Commit { turn });
        if asks {
            self.ask(turn, now);
        }
    }

    /// Work on a turn that is not over is dropped.
    pub(super) fn drop_work(&mut self, turn: TurnId) {
        let standing = match &self.state {
            State::Transcribing { standing, .. } => *standing,
            State::Replying(reply) => reply.standing,
            State::Waiting | State::Listening | State::Hearing(_) | State::Closed => Standing::Committed,
        };
        self.speculated.wasted += u32::from(standing != Standing::Committed);
        self.actions.push_back(Action::Cancel { turn });
    }

    /// Speculation on this pause came to nothing: the turn is as if it had not been tried.
    pub(super) fn give_up_speculation(&mut self) {
        let (turn, from, unheard) = match &self.state {
            State::Transcribing { hearing, .. } => (hearing.turn, hearing.from, hearing.unheard.clone()),
            State::Replying(Reply {
                turn, from: Some(from), ..
            }) => (*turn, *from, String::new()),
            State::Waiting | State::Listening | State::Hearing(_) | State::Replying(_) | State::Closed => return,
        };
        self.drop_work(turn);
        let turn = self.new_turn();
        self.state = State::Hearing(Hearing {
            turn,
            from,
            unheard,
            tried: true,
        });
    }

    /// The caller speaks again, so the next pause is a new chance.
    pub(super) fn retry_speculation(&mut self) {
        if let State::Hearing(hearing) = &mut self.state {
            hearing.tried = false;
        }
    }

    /// The caller went on before hearing a reply: forget the reply, the turn is not over.
    pub(super) fn take_back(&mut self) {
        match &self.state {
            State::Replying(Reply {
                turn, from: Some(from), ..
            }) => {
                let (turn, from) = (*turn, *from);
                self.history.pop();
                self.playout.clear();
                self.drop_work(turn);
                self.actions.push_back(Action::Purge);
                self.hear(from, String::new());
            }
            State::Transcribing { hearing, .. } => {
                let hearing = hearing.clone();
                self.drop_work(hearing.turn);
                self.hear(hearing.from, hearing.unheard);
            }
            State::Waiting | State::Listening | State::Hearing(_) | State::Replying(_) | State::Closed => {}
        }
    }

    /// A prepared reply failed before the turn was over; the endpoint asks again.
    pub(super) fn forget_reply(&mut self) {
        self.history.pop();
        self.playout.clear();
        self.give_up_speculation();
        self.actions.push_back(Action::Purge);
    }
}

/// Voiced audio in a pause that is no going on, but may be a word.
const BLIP: Duration = Duration::from_millis(20);
