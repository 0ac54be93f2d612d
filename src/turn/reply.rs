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
}

/// The exchange in which the agent has the floor.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) turn: TurnId,
    /// Where the caller's turn began; `None` if the agent speaks unasked.
    pub(super) from: Option<MediaTime>,
    pub(super) to: MediaTime,
    pub(super) caller: Option<String>,
    pub(super) standing: Standing,
    pub(super) source: Source,
    pub(super) sentences: Vec<Sentence>,
    pub(super) outcome: Outcome,
    /// End the call once this was heard.
    pub(super) then: Option<HangupReason>,
    pub(super) ledger: Ledger,
}

impl Reply {
    pub(super) fn push(&mut self, text: String) {
        self.sentences.push(Sentence {
            text,
            stage: Stage::Waiting,
        });
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

    /// The text the caller has heard by `now`, and the text still unheard, cut between words.
    pub(super) fn split_at(&self, playout: &Playout, now: Instant) -> (String, String) {
        let (mut heard, mut unheard) = (Vec::new(), Vec::new());
        for (index, sentence) in self.sentences.iter().enumerate() {
            let words: Vec<&str> = sentence.text.split_whitespace().collect();
            let part = match sentence.stage {
                Stage::Heard => 1.0,
                Stage::Queued => playout.heard(self.id(index), now),
                Stage::Waiting | Stage::Synthesizing { .. } => 0.0,
            };
            let cut = ((words.len() as f64 * part).floor() as usize).min(words.len());
            heard.extend_from_slice(&words[..cut]);
            unheard.extend_from_slice(&words[cut..]);
        }
        (heard.join(" "), unheard.join(" "))
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
