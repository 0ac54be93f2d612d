//! What is compared with the books once all actions of a step have been taken.

use std::time::{Duration, Instant};

use tieline::turn::event::{Timer, TurnId};
use tieline::turn::machine::{Line as Said, Machine, Speaker};

use super::{CALLER, Dialog, Model, Transcript};

impl Model {
    /// The machine was told that it is late, and has acted.
    pub(crate) fn timed_out(&self, machine: &Machine, now: Instant) {
        let next = machine.poll_timeout(now);
        assert!(
            next.is_none_or(|(at, _)| at > now),
            "a deadline was dealt with and is due: {next:?}"
        );
        let waits_long = |since: Instant, most: Duration| !self.over && since + most <= now;
        for (turn, of) in self.turns.iter().filter(|(_, of)| of.end.is_none()) {
            let transcript = of.since.filter(|_| of.transcript == Transcript::Awaited);
            let late = transcript.is_some_and(|since| waits_long(since, self.policy.transcribe_deadline));
            assert!(!late, "the transcript of turn {turn} is late, and nothing happens");
            if let Dialog::Running { since } = of.dialog {
                let late = !of.was_suspended && waits_long(since, self.policy.reply_deadline);
                assert!(!late, "the reply of turn {turn} is late, and nothing happens");
            }
        }
        for (id, sentence) in self.line.sentences.iter().filter(|(_, sentence)| sentence.outstanding) {
            let late = waits_long(sentence.asked, self.policy.synthesize_deadline);
            assert!(!late, "the audio of {id:?} is late, and nothing happens");
        }
    }

    pub(super) fn check_timer(&self, next: Option<(Instant, Timer)>) {
        let Some((at, timer)) = next else {
            return assert!(self.over || self.started.is_none(), "no deadline in a live call");
        };
        let started = self.started.filter(|_| !self.over).expect("no deadline without a call");
        let mut live = self.turns.values().filter(|of| of.end.is_none());
        let justified = match timer {
            Timer::TranscribeDeadline => live.any(|of| of.transcript == Transcript::Awaited),
            Timer::ReplyDeadline => live.any(|of| matches!(of.dialog, Dialog::Running { .. })),
            Timer::SynthesizeDeadline => self.line.sentences.values().any(|sentence| sentence.outstanding),
            Timer::Playout => self.line.has_unsent(),
            Timer::MarkOverdue => self
                .turns
                .iter()
                .any(|(turn, of)| of.end.is_none() && self.line.holds(*turn)),
            Timer::Silence => {
                let uncertain = self.owners.iter().flatten().any(|turn| !self.turns[turn].committed);
                assert!(!uncertain, "the history holds a turn that was not over");
                !self.is_busy() && !self.line.has_unsent()
            }
            Timer::MaxCall => at == started + self.policy.max_call,
            Timer::MediaTimeout => at == self.last_window + self.policy.media_timeout,
        };
        assert!(justified, "there is no reason to wait for {timer:?}");
    }

    pub(super) fn check_history(&mut self, history: &[Said], transcript: Option<(TurnId, String)>) {
        if history.len() != self.history.len() || history.last() != self.history.last() {
            let same = history
                .iter()
                .zip(&self.history)
                .take_while(|(new, old)| new == old)
                .count();
            // A turn that goes on is taken out again.
            for (gone, owner) in self.history.drain(same..).zip(self.owners.drain(same..)) {
                let ended = owner.is_some_and(|turn| self.turns[&turn].end.is_some() || self.turns[&turn].cancelled);
                assert!(ended && same == history.len(), "{gone:?} was forgotten");
            }
            for line in &history[same..] {
                let owner = match line.speaker {
                    Speaker::Agent => {
                        assert_eq!(self.told.first(), Some(&line.text), "this was not heard");
                        self.told.remove(0);
                        None
                    }
                    Speaker::Caller => Some(self.caller_line(&line.text, transcript.as_ref())),
                };
                self.owners.push(owner);
                self.history.push(line.clone());
            }
        }
        assert!(
            self.told.is_empty(),
            "{:?} was heard and is not in the history",
            self.told
        );
    }

    fn caller_line(&mut self, text: &str, transcript: Option<&(TurnId, String)>) -> TurnId {
        let (turn, tail) = transcript.expect("a caller's line needs a transcript");
        assert!(text.ends_with(tail.as_str()), "{text:?} is not {tail:?}");
        for word in text.split_whitespace() {
            assert!(self.tokens.contains(word), "nobody understood {word:?}");
            let own = |line: &&Said| line.speaker == Speaker::Caller && line.text.contains(CALLER);
            let before = self
                .history
                .iter()
                .filter(own)
                .any(|line| line.text.split_whitespace().any(|old| old == word));
            assert!(!(before && word.starts_with(CALLER)), "{word:?} is remembered twice");
        }
        self.turn(*turn).caller = Some(text.to_owned());
        *turn
    }
}
