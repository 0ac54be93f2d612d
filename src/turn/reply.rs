//! One reply of the agent while it is generated, synthesised and played.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::time::MediaTime;
use crate::turn::event::{HangupReason, Outcome, SentenceId, TurnId, TurnSummary};
use crate::turn::ledger::Ledger;
use crate::turn::playout::{Playout, spoken};

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
    /// Its first word was half heard, counts as heard, and is said again.
    pub(super) again: bool,
    /// Where its words lie in what is spoken of its audio, from 0 to 1.
    words: Vec<Range<f64>>,
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
            again: false,
            words: Vec::new(),
        });
    }

    /// Whether the caller may stop what is being played.
    pub(super) fn is_interruptible(&self) -> bool {
        let playing = self.sentences.iter().find(|sentence| sentence.stage != Stage::Heard);
        self.then.is_none() && playing.is_none_or(|sentence| sentence.interruptible)
    }

    /// Makes what was not heard by `now` the rest of the reply, to be synthesised anew; what was heard stays as it is. The rest
    /// begins with the word that was being said, even if that counts as heard.
    pub(super) fn rewind(&mut self, playout: &Playout, now: Instant) {
        let mut rest = Vec::new();
        self.asked = false;
        for index in 0..self.sentences.len() {
            let part = self.heard_part(index, playout, now);
            let sentence = &mut self.sentences[index];
            if part > 0.0 && !sentence.text.is_empty() {
                self.asked = sentence.text.contains(['?', '？']);
            }
            let cut = cut(&sentence.text, part, &sentence.words);
            if !cut.rest.is_empty() {
                rest.push(Sentence {
                    text: cut.rest.to_owned(),
                    stage: Stage::Waiting,
                    interruptible: sentence.interruptible,
                    again: cut.halved || sentence.again && cut.heard.is_empty(),
                    words: Vec::new(),
                });
            }
            sentence.text = sentence.news(cut.heard).to_owned();
            (sentence.stage, sentence.again) = (Stage::Heard, false);
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
            let (sentence, part) = (&self.sentences[index], self.heard_part(index, playout, now));
            sentence.news(cut(&sentence.text, part, &sentence.words).heard)
        });
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
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

impl Sentence {
    /// Takes up where its words lie in its audio, in samples.
    pub(super) fn lay_out(&mut self, words: &[Range<u64>], samples: u64) {
        let spoken = spoken(samples) as f64;
        let place = |sample: u64| (sample as f64 / spoken).min(1.0);
        self.words = words.iter().map(|word| place(word.start)..place(word.end)).collect();
    }

    /// What of its beginning is not known as heard already.
    fn news<'a>(&self, heard: &'a str) -> &'a str {
        if self.again {
            heard
                .split_once(char::is_whitespace)
                .map_or("", |(_, news)| news.trim_start())
        } else {
            heard
        }
    }
}

/// A text of which a part was played.
#[derive(Debug, PartialEq, Eq)]
struct Cut<'a> {
    /// The words that were understood: one of which the greater part was played is.
    heard: &'a str,
    /// All from the first word on that was not played to its end.
    rest: &'a str,
    /// Whether that word is in both.
    halved: bool,
}

/// Cuts a text between words where `part` of its sound has been played. `words` are their places in it; without them, or if they are those of
/// other words ("$5" is two), a word lasts about as long as it is written.
fn cut<'a>(text: &'a str, part: f64, words: &[Range<f64>]) -> Cut<'a> {
    let text = text.trim();
    let by_length;
    let words = if words.len() == text.split_whitespace().count() {
        words
    } else {
        by_length = places(text);
        &by_length
    };
    let played = part + ROUNDING;
    let (mut heard, mut rest) = (0, None);
    for (word, place) in text.split_whitespace().zip(words) {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        if place.end > played {
            rest = rest.or(Some(start));
        }
        if part > 0.0 && f64::midpoint(place.start, place.end) <= played {
            heard = start + word.len();
        }
    }
    let rest = rest.unwrap_or(text.len());
    Cut {
        heard: &text[..heard],
        rest: &text[rest..],
        halved: rest < heard,
    }
}

/// Where the words of a text lie in its sound, by their lengths with the gaps behind them.
fn places(text: &str) -> Vec<Range<f64>> {
    let length = |word: &str| word.chars().count() + 1;
    let whole: usize = text.split_whitespace().map(length).sum();
    let mut before = 0;
    let place = |word: &str| {
        let start = before;
        before += length(word);
        start as f64 / whole as f64..before as f64 / whole as f64
    };
    text.split_whitespace().map(place).collect()
}

/// Of a text's sound.
const ROUNDING: f64 = 1e-4;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;
    use crate::turn::playout::TRAILING;

    #[test]
    fn a_text_is_cut_between_words_by_their_length() {
        let text = "We are extraordinarily open until five.";
        let rows = [
            (0.0, "", text),
            (0.03, "", text),
            (0.05, "We", text),
            (0.1, "We", "are extraordinarily open until five."),
            (0.3, "We are", "extraordinarily open until five."),
            (0.4, "We are extraordinarily", "extraordinarily open until five."),
            (0.6, "We are extraordinarily", "open until five."),
            (0.9, "We are extraordinarily open until", "five."),
            (0.95, text, "five."),
            (1.0, text, ""),
        ];
        for (part, heard, rest) in rows {
            let cut = cut(text, part, &[]);
            assert_eq!((cut.heard, cut.rest), (heard, rest), "{part}");
            assert_eq!(cut.halved, heard.len() + rest.len() > text.len(), "{part}");
        }
        assert_eq!((cut("", 0.5, &[]).heard, cut(" ", 0.5, &[]).rest), ("", ""));
    }

    #[test]
    fn a_text_is_cut_where_its_words_are_known_to_lie() {
        let text = "Well, we are open.";
        // A long word and a pause, then short ones.
        let words = [0.0..0.4, 0.6..0.65, 0.65..0.7, 0.7..1.0];
        let rows = [
            (0.19, "", text),
            (0.2, "Well,", text),
            (0.55, "Well,", "we are open."),
            (0.63, "Well, we", "we are open."),
            (0.7, "Well, we are", "open."),
            (1.0, text, ""),
        ];
        for (part, heard, rest) in rows {
            let cut = cut(text, part, &words);
            assert_eq!((cut.heard, cut.rest), (heard, rest), "{part}");
        }
        // Of other words: by length.
        assert_eq!(cut("It is $50.", 0.5, &words).heard, "It is");
        assert_eq!(cut(text, 0.2, &words[1..]).heard, cut(text, 0.2, &[]).heard);
    }

    /// What is played of a sentence at each cut, and what counts as heard in the end.
    #[test]
    fn a_word_that_is_said_again_is_heard_once() {
        let text = "One two three four.";
        let cases: [(&[f64], &str, &str); 6] = [
            (&[0.35], "One two", "two three four."),
            (&[0.35, 1.0], text, ""),
            // Cut in the same word again, and again before its half.
            (&[0.35, 0.2, 0.05], "One two", "two three four."),
            (&[0.35, 0.05, 1.0], text, ""),
            (&[0.35, 0.55], "One two three", "three four."),
            (&[0.35, 0.55, 0.9, 1.0], text, ""),
        ];
        for (parts, heard, rest) in cases {
            let now = Instant::now();
            let mut reply = Reply::new(TurnId(1));
            reply.push(text.to_owned());
            for &part in parts {
                let last = reply.sentences.len() - 1;
                let mut playout = Playout::new(Duration::from_secs(60));
                reply.sentences[last].stage = Stage::Queued;
                playout.queue(reply.id(last), 80_000 + TRAILING);
                playout.due(now, &mut Vec::new());
                let at = now + Duration::from_secs_f64(10.0 * part);
                let before = reply.heard(&playout, at);
                reply.rewind(&playout, at);
                assert_eq!(reply.heard(&playout, at), before, "{parts:?}");
            }
            let playout = Playout::new(Duration::from_secs(60));
            let left = reply
                .sentences
                .iter()
                .filter(|sentence| sentence.stage == Stage::Waiting);
            let left: Vec<&str> = left.map(|sentence| sentence.text.as_str()).collect();
            assert_eq!(
                (reply.heard(&playout, now).as_str(), left.join("|").as_str()),
                (heard, rest),
                "{parts:?}"
            );
        }
    }
}
