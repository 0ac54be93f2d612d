//! One reply of the agent while it is generated, synthesised and played.

use std::time::{Duration, Instant};

use crate::time::MediaTime;
use crate::turn::event::{HangupReason, Outcome, SentenceId, TurnId, TurnSummary};
use crate::turn::ledger::Ledger;
use crate::turn::playout::Playout;

/// Whether a turn of the caller is known to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may go on. `voiced` is what had been voiced of it when the work began.
    Speculative { voiced: Duration },
    /// It is over.
    Committed,
}

/// Whether more sentences may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The dialog is asked when the turn is committed.
    Held,
    /// The dialog is at work; the next sentence is due by then.
    Generating { deadline: Instant },
    /// All sentences are here.
    Complete,
}

/// How far a sentence has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not yet given to the synthesiser.
    Waiting,
    /// Its audio is due by then.
    Synthesizing { deadline: Instant },
    /// In the playout ledger: queued, or sent and not known to be heard.
    Queued,
    /// The caller has heard it.
    Heard,
}

#[derive(Debug, Clone)]
pub(super) struct Sentence {
    pub(super) text: String,
    pub(super) stage: Stage,
    /// Whether the caller can stop it by speaking.
    pub(super) interruptible: bool,
}

/// The beginning of a long turn that was transcribed for good: the rest is transcribed without it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Settled {
    pub(super) text: String,
    /// Where the rest begins.
    pub(super) to: MediaTime,
}

/// The exchange in which the agent has the floor.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) turn: TurnId,
    /// Where the caller's turn began; `None` if the agent speaks unasked.
    pub(super) from: Option<MediaTime>,
    pub(super) to: MediaTime,
    pub(super) caller: Option<String>,
    pub(super) settled: Settled,
    pub(super) standing: Standing,
    pub(super) source: Source,
    pub(super) sentences: Vec<Sentence>,
    pub(super) outcome: Outcome,
    /// End the call once this was heard.
    pub(super) then: Option<HangupReason>,
    pub(super) ledger: Ledger,
    /// The sentence it was cut in, or after, is a question: then "yes" is an answer.
    pub(super) asked: bool,
}

impl Reply {
    /// A reply of which nothing is known yet.
    pub(super) fn new(turn: TurnId) -> Self {
        Self {
            turn,
            from: None,
            to: MediaTime::ZERO,
            caller: None,
            settled: Settled::default(),
            standing: Standing::Committed,
            source: Source::Held,
            sentences: Vec::new(),
            outcome: Outcome::Completed,
            then: None,
            ledger: Ledger::default(),
            asked: false,
        }
    }

    pub(super) fn push(&mut self, text: String) {
        self.sentences.push(Sentence {
            text,
            stage: Stage::Waiting,
            interruptible: true,
        });
    }

    /// Whether the caller may stop what is being played.
    pub(super) fn is_interruptible(&self) -> bool {
        let playing = self.sentences.iter().find(|sentence| sentence.stage != Stage::Heard);
        self.then.is_none() && playing.is_none_or(|sentence| sentence.interruptible)
    }

    /// Makes what was not heard by `now` the rest of the reply, to be synthesised anew; what was heard stays as it is.
    pub(super) fn rewind(&mut self, playout: &Playout, now: Instant) {
        let mut rest = Vec::new();
        self.asked = false;
        for index in 0..self.sentences.len() {
            let part = self.heard_part(index, playout, now);
            let sentence = &mut self.sentences[index];
            if part > 0.0 && !sentence.text.is_empty() {
                self.asked = sentence.text.contains(['?', '？']);
            }
            let (heard, unheard) = cut(&sentence.text, part);
            if !unheard.is_empty() {
                rest.push(Sentence {
                    text: unheard,
                    stage: Stage::Waiting,
                    interruptible: sentence.interruptible,
                });
            }
            (sentence.text, sentence.stage) = (heard, Stage::Heard);
        }
        self.sentences.extend(rest);
    }

    pub(super) fn id(&self, index: usize) -> SentenceId {
        SentenceId {
            turn: self.turn,
            index: u16::try_from(index).unwrap_or(u16::MAX),
        }
    }

    /// The sentence that is being synthesised, if it is `sentence`.
    pub(super) fn awaited(&mut self, sentence: SentenceId) -> Option<&mut Sentence> {
        let found = (sentence.turn == self.turn)
            .then(|| self.sentences.get_mut(usize::from(sentence.index)))
            .flatten();
        found.filter(|found| matches!(found.stage, Stage::Synthesizing { .. }))
    }

    /// Whether the caller may have heard any of it.
    pub(super) fn is_audible(&self) -> bool {
        self.ledger.first_sent.is_some()
    }

    /// Marks as heard what the playout no longer holds.
    pub(super) fn settle(&mut self, playout: &Playout) {
        for index in 0..self.sentences.len() {
            let id = self.id(index);
            let sentence = &mut self.sentences[index];
            if sentence.stage == Stage::Queued && !playout.holds(id) {
                sentence.stage = Stage::Heard;
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.source == Source::Complete && self.sentences.iter().all(|sentence| sentence.stage == Stage::Heard)
    }

    /// The text the caller has heard by `now`, cut between words.
    pub(super) fn heard(&self, playout: &Playout, now: Instant) -> String {
        let parts = (0..self.sentences.len()).map(|index| {
            let part = self.heard_part(index, playout, now);
            cut(&self.sentences[index].text, part).0
        });
        let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
        parts.join(" ")
    }

    fn heard_part(&self, index: usize, playout: &Playout, now: Instant) -> f64 {
        match self.sentences[index].stage {
            Stage::Heard => 1.0,
            Stage::Queued => playout.heard(self.id(index), now),
            Stage::Waiting | Stage::Synthesizing { .. } => 0.0,
        }
    }

    pub(super) fn summary(&self, heard: String) -> TurnSummary {
        TurnSummary {
            turn: self.turn,
            caller: self.caller.clone(),
            heard,
            outcome: self.outcome,
            caller_audio: self.from.map_or_else(Default::default, |from| self.to.since(from)),
            ledger: self.ledger,
        }
    }
}

/// Cuts a text between words where `part` of its sound has been played. A word lasts about as long as it is written.
fn cut(text: &str, part: f64) -> (String, String) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let length = |words: &[&str]| words.iter().map(|word| word.chars().count() + 1).sum::<usize>() as f64;
    let whole = length(&words);
    let heard = (1..=words.len())
        .take_while(|&count| length(&words[..count]) <= whole * part + ROUNDING)
        .count();
    (words[..heard].join(" "), words[heard..].join(" "))
}

/// Characters; the whole of a text is exactly one.
const ROUNDING: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_words_by_their_length() {
        let text = "We are extraordinarily open until five.";
        let rows = [
            (0.0, ""),
            (0.1, "We"),
            (0.3, "We are"),
            (0.6, "We are extraordinarily"),
            (0.99, "We are extraordinarily open until"),
            (1.0, text),
        ];
        for (part, heard) in rows {
            let (before, after) = cut(text, part);
            assert_eq!(before, heard, "{part}");
            assert_eq!(format!("{before} {after}").trim(), text);
        }
        assert_eq!(cut("", 0.5), (String::new(), String::new()));
    }
}
