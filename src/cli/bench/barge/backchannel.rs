//! Whether an answer survives a word of listening: what came after each, and which sentences were never played.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::super::stats::Summary;
use super::ear::Ear;
use super::figures::{header, hundredth, row};
use super::tape::{Reaction, Tape, known};
use super::words::{Answer, likest};
use crate::caller::report::Recording;

/// Words of listening, which are no turn.
#[derive(Debug, Default, Serialize)]
pub(super) struct Backchannels {
    pub(super) made: usize,
    /// No `clear`.
    pub(super) ignored: usize,
    /// A `clear`, and then the same answer goes on.
    pub(super) resumed: usize,
    /// A `clear`, and then other words.
    replaced: usize,
    /// A `clear`, and then nothing.
    silenced: usize,
    /// From the `clear` of the resumed to the next audible frame.
    resumed_ms: Summary,
    /// Answers begun in this part, and their sentences.
    answers: usize,
    sentences: usize,
    /// Sentences that were never played in whole.
    pub(super) lost: usize,
    words: usize,
    words_heard: usize,
    each: Vec<Backchannel>,
    lost_sentences: Vec<String>,
    told: Vec<Told>,
    /// The first answer, into which nobody spoke: what the ear itself loses.
    control: Control,
}

#[derive(Debug, Serialize)]
struct Backchannel {
    said: String,
    outcome: Outcome,
    clear_ms: Option<f64>,
    again_ms: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ignored,
    Resumed,
    Replaced,
    Silenced,
}

#[derive(Debug, Default, Serialize)]
struct Control {
    sentences: usize,
    lost: usize,
    words: usize,
    words_heard: usize,
}

/// An answer that was begun, and all that was heard from there to the next.
#[derive(Debug, Serialize)]
struct Told {
    /// Its place among the stub's.
    answer: usize,
    /// When the part begins in which it was first heard, in seconds of the call.
    at: f64,
    heard: String,
    control: bool,
}

impl Backchannels {
    pub(super) fn of(
        tape: &Tape,
        recording: &Recording,
        answers: &[Answer<'_>],
        labels: &[String],
        ear: &mut Ear,
    ) -> anyhow::Result<Self> {
        let reactions = tape.reactions(LATE_WORD);
        let told = Told::all(tape, recording, answers, &reactions, ear)?;
        let mut result = Self {
            made: reactions.len(),
            ..Self::default()
        };
        for reaction in &reactions {
            let outcome = match (reaction.clear, reaction.again) {
                (None, _) => Outcome::Ignored,
                (Some(_), None) => Outcome::Silenced,
                (Some(_), Some(beat)) if told.resumed_at.contains(&beat) => Outcome::Resumed,
                (Some(_), Some(_)) => Outcome::Replaced,
            };
            match outcome {
                Outcome::Ignored => result.ignored += 1,
                Outcome::Resumed => result.resumed += 1,
                Outcome::Replaced => result.replaced += 1,
                Outcome::Silenced => result.silenced += 1,
            }
            result.each.push(Backchannel {
                said: labels[tape.spoken[reaction.spoken].clip].clone(),
                outcome,
                clear_ms: reaction.clear_ms,
                again_ms: reaction.again_ms,
            });
        }
        let resumed = result.each.iter().filter(|each| each.outcome == Outcome::Resumed);
        result.resumed_ms = known(resumed.map(|each| each.again_ms));
        for told in told.answers {
            let answer = &answers[told.answer];
            let (heard, lost) = answer.compare(&told.heard, WHOLE);
            if told.control {
                result.control.sentences += answer.sentences();
                result.control.lost += lost.len();
                result.control.words += answer.len();
                result.control.words_heard += heard;
            } else {
                result.answers += 1;
                result.sentences += answer.sentences();
                result.lost += lost.len();
                result.words += answer.len();
                result.words_heard += heard;
                result.lost_sentences.extend(lost.into_iter().map(str::to_owned));
            }
            result.told.push(told);
        }
        Ok(result)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "backchannel: {} said; ignored {}, resumed {}, replaced by other words {}, silenced {}\n",
            self.made, self.ignored, self.resumed, self.replaced, self.silenced
        );
        header(&mut text);
        row(&mut text, "cut to audible again", &self.resumed_ms);
        let share = |part: usize, all: usize| 100.0 * part as f64 / all.max(1) as f64;
        let _ = writeln!(
            text,
            "  lost sentences {} of {} in {} answers; words heard {:.0} % (control: {} of {} lost, {:.0} % heard)",
            self.lost,
            self.sentences,
            self.answers,
            share(self.words_heard, self.words),
            self.control.lost,
            self.control.sentences,
            share(self.control.words_heard, self.control.words),
        );
        text
    }
}

/// The answers of a call as they were heard, and the beats at which a cut one went on.
struct Hearing {
    answers: Vec<Told>,
    resumed_at: Vec<usize>,
}

impl Told {
    /// Listens to the call from one break to the next: a question, or a cut.
    fn all(
        tape: &Tape,
        recording: &Recording,
        answers: &[Answer<'_>],
        reactions: &[Reaction],
        ear: &mut Ear,
    ) -> anyhow::Result<Hearing> {
        let questions = tape.spoken.iter().filter(|spoken| !spoken.intrusion);
        let asked: Vec<usize> = questions.map(|spoken| spoken.beat).collect();
        let cuts = reactions
            .iter()
            .filter_map(|reaction| Some(tape.clears[reaction.clear?].beat));
        let mut breaks: Vec<usize> = asked.iter().copied().chain(cuts).collect();
        breaks.sort_unstable();
        let mut parts = Vec::new();
        for (place, &start) in breaks.iter().enumerate() {
            let end = breaks.get(place + 1).copied().unwrap_or(tape.beats.len());
            let heard = ear.hear(recording, start..end)?;
            parts.push((start..end, heard));
        }
        Ok(Self::joined(tape, answers, &asked, parts))
    }

    /// Joins the parts of the call that tell the same answer; a part that a question begins tells it anew.
    fn joined(
        tape: &Tape,
        answers: &[Answer<'_>],
        asked: &[usize],
        parts: Vec<(std::ops::Range<usize>, String)>,
    ) -> Hearing {
        let mut hearing = Hearing {
            answers: Vec::new(),
            resumed_at: Vec::new(),
        };
        for (beats, heard) in parts {
            let Some(answer) = likest(answers, &heard) else {
                continue;
            };
            let cut = !asked.contains(&beats.start);
            match hearing.answers.last_mut() {
                Some(last) if cut && last.answer == answer => {
                    last.heard.push(' ');
                    last.heard.push_str(&heard);
                    let again = beats.clone().find(|&beat| tape.beats[beat].audible);
                    hearing.resumed_at.extend(again);
                }
                _ => hearing.answers.push(Self {
                    answer,
                    at: hundredth(beats.start as f64 * 0.02),
                    heard,
                    control: asked.first() == Some(&beats.start),
                }),
            }
        }
        hearing
    }
}

/// The same for a word of listening: what stops an agent later has another reason.
const LATE_WORD: Duration = Duration::from_millis(1500);

/// Share of a sentence's words in the transcript from which on it was played in whole: the ear mishears some.
const WHOLE: f64 = 0.7;

#[cfg(test)]
mod tests {
    use super::super::tape::Beat;
    use super::super::words::answers;
    use super::*;

    #[test]
    fn a_part_after_a_cut_goes_on_or_is_another_answer() {
        let answers = answers(
            "The office opens at nine.\nBring your old card along.\n\nThe bus stops outside.\nIt leaves hourly.\n",
        );
        let beat = |n: u64| Beat {
            at: Duration::from_millis(n * 20),
            audible: n % 100 >= 30,
        };
        let tape = Tape {
            beats: (0..500).map(beat).collect(),
            ..Tape::default()
        };
        let part = |start: usize, heard: &str| (start..start + 100, heard.to_owned());
        // Questions at 0, 100 and 400; cuts at 200 (goes on) and 300 (other words).
        let parts = vec![
            part(0, "the office opens at nine bring your old card along"),
            part(100, "the office opens"),
            part(200, "opens at nine bring your old card along"),
            part(300, "the bus stops"),
            part(400, "the bus stops outside it leaves hourly"),
        ];
        let hearing = Told::joined(&tape, &answers, &[0, 100, 400], parts);
        assert_eq!(hearing.resumed_at, [230]);
        let lost = |told: &Told| answers[told.answer].compare(&told.heard, WHOLE).1.len();
        let told: Vec<_> = hearing
            .answers
            .iter()
            .map(|told| (told.answer, told.control, lost(told)))
            .collect();
        assert_eq!(told, [(0, true, 0), (0, false, 0), (1, false, 1), (1, false, 0)]);
    }
}
