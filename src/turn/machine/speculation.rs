//! Preparing the answer while the caller may still go on.
//!
//! After a short pause the machine goes through transcript, reply and synthesis as if the turn were over, but sends nothing.
//! If the pause becomes the endpoint, [`Machine::commit`] releases what is there. If the caller goes on, everything is
//! dropped and the turn is transcribed again: as a whole, or from its last long pause on.

use std::time::{Duration, Instant};

use super::hearing::BLIP;
use super::{Hearing, Machine, Pause, State};
use crate::time::SampleRate;
use crate::turn::endpoint::Reason;
use crate::turn::event::{Action, TurnId};
use crate::turn::reply::{Reply, Settled, Source, Standing};

impl Machine {
    /// The pause on which an answer was prepared is the end of the turn.
    pub(super) fn commit(&mut self, voiced: Duration, reason: Reason, now: Instant) {
        // Something was said meanwhile, too little to count as going on: the prepared transcript does not hold it.
        if self.gate.voiced() > voiced + BLIP {
            self.take_back();
            return self.transcribe(Some(reason), now);
        }
        let sound = self.evidence.sound;
        let mut asks = false;
        let turn = match &mut self.state {
            State::Transcribing {
                hearing,
                standing,
                deadline,
                ledger,
                ..
            } => {
                *standing = Standing::Committed;
                (ledger.endpoint, ledger.endpoint_reason, ledger.sound) = (Some(now), Some(reason), sound);
                *deadline = now + self.policy.transcribe_deadline;
                hearing.turn
            }
            State::Replying(reply) => {
                reply.standing = Standing::Committed;
                let ledger = &mut reply.ledger;
                (ledger.endpoint, ledger.endpoint_reason, ledger.sound) = (Some(now), Some(reason), sound);
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

    /// Speculation on this pause came to nothing: the caller still has the floor.
    pub(super) fn give_up_speculation(&mut self, pause: Pause) {
        let hearing = match &mut self.state {
            State::Transcribing { hearing, .. } => Hearing {
                interrupted: hearing.interrupted.take(),
                ..hearing.clone()
            },
            State::Replying(Reply {
                turn,
                from: Some(from),
                settled,
                ledger,
                ..
            }) => Hearing {
                turn: *turn,
                from: *from,
                settled: settled.clone(),
                interrupted: None,
                pause,
                paused: ledger.pause,
                dropped: ledger.dropped,
            },
            State::Waiting | State::Listening | State::Hearing(_) | State::Replying(_) | State::Closed => return,
        };
        self.drop_work(hearing.turn);
        let turn = self.new_turn();
        self.state = State::Hearing(Hearing {
            turn,
            pause,
            dropped: hearing.dropped + 1,
            ..hearing
        });
    }

    /// The caller went on before hearing a reply: forget the reply, the turn is not over.
    pub(super) fn take_back(&mut self) {
        let settled = self.settled();
        match &mut self.state {
            State::Replying(Reply {
                turn,
                from: Some(from),
                ledger,
                ..
            }) => {
                let (turn, from, dropped) = (*turn, *from, ledger.dropped);
                self.history.pop();
                self.playout.clear();
                self.drop_work(turn);
                self.actions.push_back(Action::Purge);
                self.hear(from, settled, None, dropped + 1);
            }
            State::Transcribing { hearing, .. } => {
                let (turn, from, dropped) = (hearing.turn, hearing.from, hearing.dropped);
                let interrupted = hearing.interrupted.take();
                self.drop_work(turn);
                self.hear(from, settled, interrupted, dropped + 1);
            }
            State::Waiting | State::Listening | State::Hearing(_) | State::Replying(_) | State::Closed => {}
        }
    }

    /// A prepared reply failed before the turn was over; the endpoint asks again.
    pub(super) fn forget_reply(&mut self) {
        self.history.pop();
        self.playout.clear();
        self.give_up_speculation(Pause::Noticed);
        self.actions.push_back(Action::Purge);
    }

    /// What of a turn that goes on need not be transcribed again: all up to a pause, if both are long.
    pub(super) fn settled(&self) -> Settled {
        match &self.state {
            State::Replying(reply) => {
                let (from, to) = (reply.from.unwrap_or(reply.to).max(reply.settled.to), reply.to);
                let resumed = self.gate.speech_start();
                let clear_cut = SampleRate::LINE.samples(CLEAR_CUT);
                let text = reply.caller.clone().unwrap_or_default();
                if to.since(from) >= SETTLES && resumed >= to.advance(clear_cut) && !text.is_empty() {
                    Settled { text, to }
                } else {
                    reply.settled.clone()
                }
            }
            State::Transcribing { hearing, .. } | State::Hearing(hearing) => hearing.settled.clone(),
            State::Waiting | State::Listening | State::Closed => Settled::default(),
        }
    }

    /// Work on a turn that is not over is dropped.
    fn drop_work(&mut self, turn: TurnId) {
        let standing = match &self.state {
            State::Transcribing { standing, .. } => *standing,
            State::Replying(reply) => reply.standing,
            State::Waiting | State::Listening | State::Hearing(_) | State::Closed => Standing::Committed,
        };
        self.speculated.wasted += u32::from(standing != Standing::Committed);
        self.actions.push_back(Action::Cancel { turn });
    }
}

/// Shorter beginnings are cheap to transcribe again, and the more Whisper hears at once, the better it hears.
const SETTLES: Duration = Duration::from_secs(4);
/// Between what was transcribed and the next word: less may cut into a soft beginning.
const CLEAR_CUT: Duration = Duration::from_millis(200);
