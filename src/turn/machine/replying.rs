//! The agent's side: from the dialog's sentences to audio, and what happens when one of them fails.

use std::ops::Range;
use std::time::Instant;

use super::hearing::GREETING;
use super::{Machine, Speaker, State};
use crate::turn::event::{Action, HangupReason, Outcome, SentenceId, TurnId};
use crate::turn::ledger::stamp;
use crate::turn::reply::{Reply, Source, Stage, Standing};

impl Machine {
    /// The first words of the call.
    pub(super) fn greet(&mut self) {
        if !self.history.is_empty() {
            return self.say(self.phrases.greeting.clone());
        }
        let mut reply = Reply {
            source: Source::Complete,
            ..Reply::new(GREETING)
        };
        if !self.phrases.notice.is_empty() {
            reply.push(self.phrases.notice.clone());
        }
        for sentence in &mut reply.sentences {
            sentence.interruptible = false;
        }
        if !self.phrases.greeting.is_empty() {
            reply.push(self.phrases.greeting.clone());
        }
        self.state = State::Replying(reply);
    }

    /// Gives the agent the floor with a text of its own.
    pub(super) fn say(&mut self, text: String) {
        let mut reply = Reply {
            to: self.gate.now(),
            source: Source::Complete,
            ..Reply::new(self.new_turn())
        };
        if !text.is_empty() {
            reply.push(text);
        }
        self.state = State::Replying(reply);
    }

    /// The same, and then the call ends.
    pub(super) fn say_last(&mut self, text: String, then: HangupReason) {
        self.say(text);
        if let State::Replying(reply) = &mut self.state {
            reply.then = Some(then);
        }
    }

    /// Asks the dialog for the reply.
    pub(super) fn ask(&mut self, turn: TurnId, now: Instant) {
        if let Some(reply) = self.reply(turn) {
            stamp(&mut reply.ledger.requested, now);
        }
        self.actions.push_back(Action::Generate { turn });
    }

    pub(super) fn sentence(&mut self, turn: TurnId, text: String, now: Instant) {
        let deadline = now + self.policy.reply_deadline;
        if let Some(reply) = self.reply(turn)
            && matches!(reply.source, Source::Generating { .. })
        {
            stamp(&mut reply.ledger.first_token, now);
            stamp(&mut reply.ledger.first_sentence, now);
            reply.source = Source::Generating { deadline };
            reply.push(text);
        }
    }

    pub(super) fn reply_done(&mut self, turn: TurnId) {
        if self.reply(turn).is_some_and(|reply| reply.sentences.is_empty()) {
            return self.reply_failed(turn);
        }
        if let Some(reply) = self.reply(turn) {
            reply.source = Source::Complete;
        }
    }

    /// What is here is still said, then the apology.
    pub(super) fn reply_failed(&mut self, turn: TurnId) {
        if self
            .reply(turn)
            .is_some_and(|reply| reply.standing != Standing::Committed)
        {
            return self.forget_reply();
        }
        let apology = self.phrases.apology.clone();
        if let Some(reply) = self.reply(turn)
            && matches!(reply.source, Source::Generating { .. })
        {
            reply.source = Source::Complete;
            reply.outcome = Outcome::Failed;
            reply.push(apology);
            // The synthesis in flight is cancelled with the turn: ask again.
            for sentence in &mut reply.sentences {
                if matches!(sentence.stage, Stage::Synthesizing { .. }) {
                    sentence.stage = Stage::Waiting;
                }
            }
            self.actions.push_back(Action::Cancel { turn });
        }
    }

    pub(super) fn synthesized(&mut self, sentence: SentenceId, samples: u64, words: &[Range<u64>], now: Instant) {
        if let Some(reply) = self.reply(sentence.turn)
            && let Some(awaited) = reply.awaited(sentence)
        {
            awaited.stage = Stage::Queued;
            awaited.lay_out(words, samples);
            stamp(&mut reply.ledger.first_audio, now);
            // Silence has no mark to wait for: it counts as heard at once.
            if samples > 0 {
                self.playout.queue(sentence, samples);
            }
            self.actions.push_back(Action::Queue { sentence });
        }
    }

    /// The apology is said instead of the rest; if it was the apology that failed, the turn ends in silence.
    pub(super) fn synthesize_failed(&mut self, sentence: SentenceId) {
        let apology = self.phrases.apology.clone();
        let Some(reply) = self.reply(sentence.turn) else { return };
        if reply.awaited(sentence).is_none() {
            return;
        }
        if reply.standing != Standing::Committed {
            return self.forget_reply();
        }
        let place = usize::from(sentence.index);
        let hopeless = reply.sentences[place].text == apology;
        // It keeps its place, so that audio of it that comes after all is not taken for the apology's.
        reply.sentences.truncate(place + 1);
        (reply.sentences[place].text, reply.sentences[place].stage) = (String::new(), Stage::Heard);
        reply.source = Source::Complete;
        reply.outcome = Outcome::Failed;
        if !hopeless {
            reply.push(apology);
        }
        self.actions.push_back(Action::Cancel { turn: sentence.turn });
    }

    pub(super) fn synthesize_late(&mut self, now: Instant) {
        if let State::Replying(reply) = &self.state {
            let late = |stage: Stage| matches!(stage, Stage::Synthesizing { deadline } if deadline <= now);
            if let Some(index) = reply.sentences.iter().position(|sentence| late(sentence.stage)) {
                self.synthesize_failed(reply.id(index));
            }
        }
    }

    /// All of the reply was heard.
    pub(super) fn reply_over(&mut self, now: Instant) {
        let State::Replying(reply) = std::mem::replace(&mut self.state, State::Listening) else {
            return;
        };
        let heard = reply.heard(&self.playout, now);
        let summary = reply.summary(heard.clone());
        self.actions.push_back(Action::TurnEnded(Box::new(summary)));
        self.remember(Speaker::Agent, heard);
        self.quiet_since = Some(now);
        if let Some(reason) = reply.then {
            self.state = State::Closed;
            self.handed_over = reason == HangupReason::HandOver;
            self.actions.push_back(Action::Hangup(reason));
        }
    }
}
