//! Speech over the agent: cutting a reply short, and taking it up again when nothing was meant by it.

use std::time::Instant;

use super::{Machine, Speaker, State};
use crate::turn::event::{Action, HangupReason, Outcome};
use crate::turn::ledger::stamp;
use crate::turn::reply::{Reply, Source, Standing};

impl Machine {
    /// Order: stop the voice, purge our queue, clear the line, start a new epoch, cut the reply to what was heard.
    ///
    /// The rest of the reply may still arrive from the dialog: if the caller only said "uh-huh", it is wanted.
    pub(super) fn barge_in(&mut self, now: Instant) {
        let State::Replying(reply) = &mut self.state else {
            return;
        };
        stamp(&mut reply.ledger.barge_in, now);
        reply.settle(&self.playout);
        reply.rewind(&self.playout, now);
        let turn = reply.turn;
        let nothing_heard = reply.heard(&self.playout, now).is_empty();
        let caller_turn = reply.from.filter(|_| reply.caller.is_some());
        match caller_turn {
            // Not one word of ours was heard: the caller had not finished. One turn, transcribed again as a whole.
            Some(from) if nothing_heard && self.has_room(from) => {
                self.cut_short(Outcome::Interrupted, now);
                self.actions.push_back(Action::Clear);
                self.history.pop();
                let settled = self.settled();
                self.hear(from, settled, None, 0);
            }
            _ => {
                self.actions.push_back(Action::Hush { turn });
                self.actions.push_back(Action::Purge);
                self.actions.push_back(Action::Clear);
                self.playout.clear();
                let State::Replying(reply) = std::mem::replace(&mut self.state, State::Listening) else {
                    return;
                };
                let from = self.gate_start();
                self.hear(from, Default::default(), Some(Box::new(reply)), 0);
            }
        }
    }

    /// The caller meant nothing by speaking: the reply goes on where it was cut.
    pub(super) fn resume(&mut self, mut reply: Reply, now: Instant) {
        reply.ledger.barge_in = None;
        if matches!(reply.source, Source::Generating { .. }) {
            reply.source = Source::Generating {
                deadline: now + self.policy.reply_deadline,
            };
        }
        self.state = State::Replying(reply);
    }

    /// The caller meant it: the reply that was cut short is over.
    pub(super) fn end_interrupted(&mut self, outcome: Outcome, now: Instant) {
        if let State::Hearing(hearing) | State::Transcribing { hearing, .. } = &mut self.state
            && let Some(mut reply) = hearing.interrupted.take()
        {
            reply.outcome = outcome;
            self.end_reply(&reply, now);
        }
    }

    /// The caller has typed an answer: it counts at once, whatever was being said.
    pub(super) fn typed(&mut self, text: String, now: Instant) {
        match &mut self.state {
            State::Waiting | State::Closed => return,
            State::Replying(reply) if reply.standing == Standing::Committed && !reply.is_interruptible() => return,
            State::Replying(reply) if reply.standing == Standing::Committed => {
                stamp(&mut reply.ledger.barge_in, now);
                reply.settle(&self.playout);
                reply.rewind(&self.playout, now);
            }
            State::Transcribing { .. } | State::Replying(_) | State::Listening | State::Hearing(_) => {}
        }
        if !matches!(self.state, State::Listening) {
            self.cut_short(Outcome::Interrupted, now);
            self.actions.push_back(Action::Clear);
        }
        self.remember(Speaker::Caller, text.clone());
        self.prompted = 0;
        let turn = self.new_turn();
        let to = self.gate.now();
        self.gate.restart();
        self.state = State::Replying(Reply {
            to,
            caller: Some(text),
            source: Source::Generating {
                deadline: now + self.policy.reply_deadline,
            },
            ..Reply::new(turn)
        });
        self.actions.push_back(Action::Commit { turn });
        self.ask(turn, now);
    }

    /// Who hangs up in a pause has not ended the turn: as without speculation, what was prepared for it is not told, written
    /// down or counted.
    pub(super) fn stop(&mut self, now: Instant) {
        self.cut_short(Outcome::CutOff, now);
        self.state = State::Closed;
    }

    pub(super) fn close_politely(&mut self, now: Instant) {
        let text = self.phrases.too_long.clone();
        self.leave(text, HangupReason::MaxCall, Outcome::CutOff, now);
    }

    /// Nobody has said anything for long.
    pub(super) fn break_silence(&mut self) {
        if self.prompted < self.policy.silence_prompts {
            self.prompted += 1;
            let text = self.phrases.still_there.clone();
            self.say(text);
        } else {
            let text = self.phrases.goodbye.clone();
            self.say_last(text, HangupReason::Silence);
        }
    }

    /// Ends the present turn as it stands; the line still plays what it has.
    pub(super) fn cut_short(&mut self, outcome: Outcome, now: Instant) {
        let is_heard = match &self.state {
            State::Transcribing { .. } => false,
            State::Replying(reply) => reply.standing == Standing::Committed,
            State::Waiting | State::Listening | State::Hearing(_) | State::Closed => true,
        };
        if !is_heard {
            // What is only prepared was not said, and has no turn to end.
            self.take_back();
        }
        match &mut self.state {
            State::Replying(reply) => {
                reply.settle(&self.playout);
                reply.outcome = outcome;
                let reply = reply.clone();
                self.end_reply(&reply, now);
            }
            State::Hearing(hearing) | State::Transcribing { hearing, .. } => {
                let turn = hearing.turn;
                self.end_interrupted(outcome, now);
                self.actions.push_back(Action::Cancel { turn });
            }
            State::Listening => {}
            State::Waiting | State::Closed => return,
        }
        self.actions.push_back(Action::Purge);
        self.playout.clear();
    }

    fn end_reply(&mut self, reply: &Reply, now: Instant) {
        let heard = reply.heard(&self.playout, now);
        self.actions.push_back(Action::Cancel { turn: reply.turn });
        let summary = reply.summary(heard.clone());
        self.actions.push_back(Action::TurnEnded(Box::new(summary)));
        self.remember(Speaker::Agent, heard);
    }
}
