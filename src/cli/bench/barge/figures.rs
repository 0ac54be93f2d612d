//! The figures of `tieline bench barge`: what each scenario's tape comes to, and how it is told.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::super::stats::Summary;
use super::ear::Ear;
use super::noise::Kind;
use super::tape::{Tape, Unasked, known, millis};
use super::words::{Answer, likest};
use crate::caller::report::Recording;

/// Interruptions with real words.
#[derive(Debug, Serialize)]
pub(super) struct Interrupts {
    pub(super) made: usize,
    /// Those that brought no `clear` during the words or in the three seconds after.
    pub(super) missed: usize,
    pub(super) clear_ms: Summary,
    pub(super) stop_ms: Summary,
    each: Vec<Interrupt>,
}

#[derive(Debug, Serialize)]
struct Interrupt {
    /// Since the answer could be heard.
    after_ms: Option<f64>,
    clear_ms: Option<f64>,
    stop_ms: Option<f64>,
    /// Audio that the `clear` threw away.
    dropped_ms: Option<usize>,
}

impl Interrupts {
    pub(super) fn of(tape: &Tape) -> Self {
        let reactions = tape.reactions(LATE);
        let each = reactions.iter().map(|reaction| Interrupt {
            after_ms: tape.spoken[reaction.spoken]
                .answer_from
                .map(|beat| millis(reaction.began.saturating_sub(tape.beats[beat].at))),
            clear_ms: reaction.clear_ms,
            stop_ms: reaction.stop_ms,
            dropped_ms: reaction.clear.map(|clear| tape.clears[clear].dropped_ms),
        });
        Self {
            made: reactions.len(),
            missed: reactions.iter().filter(|reaction| reaction.clear.is_none()).count(),
            clear_ms: known(reactions.iter().map(|reaction| reaction.clear_ms)),
            stop_ms: known(reactions.iter().map(|reaction| reaction.stop_ms)),
            each: each.collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("interrupt: {} made, {} missed\n", self.made, self.missed);
        header(&mut text);
        row(&mut text, "clear", &self.clear_ms);
        row(&mut text, "audible stop", &self.stop_ms);
        text
    }
}

/// Long answers over a noisy line.
#[derive(Debug, Serialize)]
pub(super) struct Noise {
    pub(super) kind: Kind,
    pub(super) seconds: f64,
    questions: usize,
    /// Questions that were followed by audible words: an agent that hears nothing is never stopped.
    answered: usize,
    /// Seconds in which the agent could be heard.
    agent_seconds: f64,
    /// `clear` messages while the caller said nothing.
    pub(super) false_stops: usize,
    /// In a minute of the agent's speech.
    false_stops_per_minute: Option<f64>,
    /// Those that threw away audio which nobody had heard.
    stops_with_loss: usize,
    /// Turns nobody asked for; unknown without a trace.
    pub(super) unasked: Option<Unasked>,
    /// When each false stop came, in seconds of the call.
    stops_at: Vec<f64>,
}

impl Noise {
    pub(super) fn of(kind: Kind, tape: &Tape) -> Self {
        let stops = tape.unprovoked();
        let agent_seconds = tape.audible_seconds();
        Self {
            kind,
            seconds: hundredth(tape.beats.len() as f64 * 0.02),
            questions: tape.spoken.len(),
            answered: tape.answered(),
            agent_seconds: hundredth(agent_seconds),
            false_stops: stops.len(),
            false_stops_per_minute: (agent_seconds > 0.0).then(|| hundredth(stops.len() as f64 * 60.0 / agent_seconds)),
            stops_with_loss: stops.iter().filter(|clear| clear.dropped_ms > 0).count(),
            unasked: tape.unasked(),
            stops_at: stops.iter().map(|clear| hundredth(clear.at.as_secs_f64())).collect(),
        }
    }

    pub(super) fn text(&self) -> String {
        let unasked = match &self.unasked {
            Some(unasked) => format!(
                "{} turns nobody asked for ({} with an answer)",
                unasked.turns, unasked.answers
            ),
            None => "turns nobody asked for: unknown, no trace".to_owned(),
        };
        format!(
            "noise, {:?}: {:.0} s, of which {:.0} s agent; {} of {} questions answered\n  false stops {}, {} in a minute of agent ({} lost audio); {unasked}\n",
            self.kind,
            self.seconds,
            self.agent_seconds,
            self.answered,
            self.questions,
            self.false_stops,
            self.false_stops_per_minute
                .map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")),
            self.stops_with_loss,
        )
    }
}

/// What the server believes was heard against what was.
#[derive(Debug, Serialize)]
pub(super) struct Heard {
    /// Interrupted answers.
    pub(super) cuts: usize,
    /// Of which the server told nothing, or no two ears understood the same of the answer.
    unknown: usize,
    /// Words by which the server is wrong, without sign: nothing where it is right by one of the two ears.
    pub(super) words_off: Summary,
    /// Share of the known ones wrong by at most one word.
    pub(super) within_one: Option<f64>,
    /// Mean of believed − heard: above 0, the server believes more was heard than was.
    bias: Option<f64>,
    each: Vec<Belief>,
}

#[derive(Debug, Serialize)]
struct Belief {
    /// Where in the recording it was heard, in seconds.
    from: f64,
    to: f64,
    /// What the server would have gone on to say.
    answer: String,
    believed_words: usize,
    /// The fewest and the most.
    heard_words: (usize, usize),
    believed: String,
    heard: String,
}

impl Belief {
    fn off(&self) -> usize {
        let (fewest, most) = self.heard_words;
        fewest.saturating_sub(self.believed_words) + self.believed_words.saturating_sub(most)
    }
}

impl Heard {
    pub(super) fn of(
        tape: &Tape,
        recording: &Recording,
        answers: &[Answer<'_>],
        ear: &mut Ear,
    ) -> anyhow::Result<Self> {
        let (mut cuts, mut each) = (0, Vec::new());
        for reaction in tape.reactions(LATE) {
            let (Some(clear), Some(from)) = (reaction.clear, tape.spoken[reaction.spoken].answer_from) else {
                continue;
            };
            cuts += 1;
            let Some(turn) = tape.turn_at(reaction.began) else {
                continue;
            };
            let Some(believed) = tape.believed(turn, reaction.began) else {
                continue;
            };
            // A server elsewhere says what it likes; then its own account of what it wrote has to do.
            let written = tape.written(turn);
            let own = Answer::new(vec![&written]);
            let answer = likest(answers, &written).map_or(&own, |place| &answers[place]);
            let frames = from..tape.clears[clear].beat;
            let Some((heard, heard_words)) = ear.reached(recording, frames.clone(), answer)? else {
                continue;
            };
            let believed_words = answer.reached(believed);
            if *heard_words.end() > 0 {
                each.push(Belief {
                    from: hundredth(frames.start as f64 * 0.02),
                    to: hundredth(frames.end as f64 * 0.02),
                    answer: answer.text(),
                    believed_words,
                    heard_words: heard_words.into_inner(),
                    believed: believed.to_owned(),
                    heard,
                });
            }
        }
        Ok(Self::from_beliefs(cuts, each))
    }

    fn from_beliefs(cuts: usize, each: Vec<Belief>) -> Self {
        let known = each.len() as f64;
        let close = each.iter().filter(|belief| belief.off() <= 1).count();
        let bias: f64 = each
            .iter()
            .map(|belief| belief.believed_words as f64 - (belief.heard_words.0 + belief.heard_words.1) as f64 / 2.0)
            .sum();
        Self {
            cuts,
            unknown: cuts - each.len(),
            words_off: Summary::of(each.iter().map(|belief| belief.off() as f64).collect()),
            within_one: (!each.is_empty()).then(|| close as f64 / known),
            bias: (!each.is_empty()).then(|| bias / known),
            each,
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("heard: {} answers cut, {} unknown\n", self.cuts, self.unknown);
        let mut counts = [0; 5];
        for belief in &self.each {
            counts[belief.off().min(4)] += 1;
        }
        if let (Some(share), Some(bias)) = (self.within_one, self.bias) {
            let [zero, one, two, three, more] = counts;
            let _ = writeln!(
                text,
                "  words off: 0 {zero}, 1 {one}, 2 {two}, 3 {three}, more {more}; within one {:.0} %; believed − heard {bias:+.2} in the mean",
                share * 100.0
            );
        }
        text
    }
}

pub(super) fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

pub(super) fn header(text: &mut String) {
    let _ = writeln!(text, "  {:<22} {:>5} {:>8} {:>8} {:>8}", "ms", "n", "p50", "p95", "max");
}

pub(super) fn row(text: &mut String, name: &str, summary: &Summary) {
    let _ = write!(text, "  {name:<22} {:>5}", summary.n);
    for value in [summary.p50, summary.p95, summary.max] {
        let _ = match value {
            Some(ms) => write!(text, " {ms:>8.0}"),
            None => write!(text, " {:>8}", "-"),
        };
    }
    text.push('\n');
}

/// How long after the caller's last word a `clear` counts as brought by it. As in the independent client.
const LATE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beliefs_are_counted_in_words() {
        let belief = |believed_words, heard: usize| Belief {
            from: 1.0,
            to: 3.0,
            answer: String::new(),
            believed_words,
            heard_words: (heard - 1, heard),
            believed: String::new(),
            heard: String::new(),
        };
        let heard = Heard::from_beliefs(5, vec![belief(10, 10), belief(11, 10), belief(8, 10), belief(20, 14)]);
        assert_eq!(
            (heard.unknown, heard.within_one, heard.bias),
            (1, Some(0.75), Some(1.75))
        );
        let text = heard.text();
        assert!(text.contains("0 1, 1 2, 2 0, 3 0, more 1; within one 75 %"), "{text}");
        let nothing = Heard::from_beliefs(0, Vec::new());
        assert_eq!((nothing.within_one, nothing.words_off.n), (None, 0));
    }
}
