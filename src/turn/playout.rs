//! What was sent, what the caller has heard of it, and when more may be sent.
//!
//! The line plays in real time and tells us by marks what it has played. Between marks the play position follows from
//! the clock: audio starts when it is sent to an empty line and never pauses while some is left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::time::SampleRate;
use crate::turn::event::{MarkName, SentenceId};

/// The outgoing side of one call.
#[derive(Debug)]
pub struct Playout {
    lead: Duration,
    epoch: u32,
    /// Queued and not yet known to be heard, oldest first.
    segments: VecDeque<Segment>,
    /// When the line will have played everything sent.
    runs_out: Option<Instant>,
}

#[derive(Debug)]
struct Segment {
    sentence: SentenceId,
    samples: u64,
    sent: u64,
}

/// One thing to write to the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This many samples from the front of the queue.
    Audio(u64),
    /// A mark behind them.
    Mark(MarkName),
}

impl Playout {
    /// Sends at most `lead` ahead of the caller's ear.
    pub fn new(lead: Duration) -> Self {
        Self {
            lead: lead.max(2 * STEP),
            epoch: 0,
            segments: VecDeque::new(),
            runs_out: None,
        }
    }

    /// Adds a sentence's audio behind everything queued.
    pub fn queue(&mut self, sentence: SentenceId, samples: u64) {
        self.segments.push_back(Segment {
            sentence,
            samples,
            sent: 0,
        });
    }

    /// Writes what may be sent at `now` into `steps`: nothing while the lead is nearly full, so that messages are not tiny.
    pub fn due(&mut self, now: Instant, steps: &mut Vec<Step>) {
        if self.next_due(now).is_none_or(|due| due > now) {
            return;
        }
        let ahead = self
            .runs_out
            .map_or(Duration::ZERO, |end| end.saturating_duration_since(now));
        let mut budget = SampleRate::LINE
            .samples(self.lead.saturating_sub(ahead))
            .div_ceil(FRAME)
            * FRAME;
        let mut sent = 0;
        for segment in &mut self.segments {
            let part = budget.min(segment.samples - segment.sent);
            if part > 0 {
                steps.push(Step::Audio(part));
                segment.sent += part;
                budget -= part;
                sent += part;
                if segment.sent == segment.samples {
                    steps.push(Step::Mark(MarkName {
                        epoch: self.epoch,
                        sentence: segment.sentence,
                    }));
                }
            }
            if budget == 0 {
                break;
            }
        }
        self.runs_out = Some(self.runs_out.map_or(now, |end| end.max(now)) + SampleRate::LINE.duration(sent));
    }

    /// When [`Playout::due`] will have something; `None` if all is sent.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        self.segments
            .iter()
            .any(|segment| segment.sent < segment.samples)
            .then(|| {
                let margin = self.lead.saturating_sub(STEP);
                self.runs_out.and_then(|end| end.checked_sub(margin)).unwrap_or(now)
            })
    }

    /// When a missing mark is given up on; `None` unless everything was sent and something is not known to be heard.
    pub fn overdue(&self) -> Option<Instant> {
        let sent = self.segments.iter().all(|segment| segment.sent == segment.samples);
        (sent && !self.segments.is_empty())
            .then(|| self.runs_out.map(|end| end + MARK_GRACE))
            .flatten()
    }

    /// A mark came back: its sentence, and everything before it, was heard. `false` if it is stale or not ours.
    pub fn marked(&mut self, mark: MarkName) -> bool {
        if mark.epoch != self.epoch {
            return false;
        }
        let place = self
            .segments
            .iter()
            .position(|segment| segment.sentence == mark.sentence && segment.sent == segment.samples);
        place.is_some_and(|place| {
            self.segments.drain(..=place);
            true
        })
    }

    /// Takes everything sent as heard, because the marks are long overdue.
    pub fn presume_heard(&mut self) {
        self.segments.clear();
    }

    /// Whether nothing is queued or unheard.
    pub fn is_idle(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether a sentence is still queued or unheard.
    pub fn holds(&self, sentence: SentenceId) -> bool {
        self.segments.iter().any(|segment| segment.sentence == sentence)
    }

    /// How much of a queued sentence's words was heard by `now`, 0..=1.
    pub fn heard(&self, sentence: SentenceId, now: Instant) -> f64 {
        let unheard = self
            .runs_out
            .map_or(0, |end| SampleRate::LINE.samples(end.saturating_duration_since(now)));
        let sent: u64 = self.segments.iter().map(|segment| segment.sent).sum();
        let mut heard = sent.saturating_sub(unheard);
        for segment in &self.segments {
            if segment.sentence == sentence {
                return (heard.min(segment.sent) as f64 / spoken(segment.samples) as f64).min(1.0);
            }
            heard = heard.saturating_sub(segment.sent);
        }
        0.0
    }

    /// Forgets everything; marks sent before are stale from here on.
    pub fn clear(&mut self) {
        self.epoch += 1;
        self.segments.clear();
        self.runs_out = None;
    }
}

/// How many of a sentence's samples hold its words.
pub(super) fn spoken(samples: u64) -> u64 {
    samples.saturating_sub(TRAILING).max(1)
}

/// Samples at the end of a sentence's audio that hold none of its words: the pause that the engine puts behind it (120 ms), and most
/// of what it keeps after the voice.
pub const TRAILING: u64 = 1_280;
const FRAME: u64 = crate::audio::line::FRAME as u64;
/// Audio is topped up when at least this much fits.
const STEP: Duration = Duration::from_millis(60);
/// How long after its audio should have been heard a mark may still be on its way.
const MARK_GRACE: Duration = Duration::from_millis(1_500);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant to start from")]
mod tests {
    use super::*;
    use crate::turn::event::TurnId;

    const MS: u64 = 8;

    fn id(index: u16) -> SentenceId {
        SentenceId { turn: TurnId(1), index }
    }

    fn sent(steps: &[Step]) -> u64 {
        steps
            .iter()
            .map(|step| if let Step::Audio(samples) = step { *samples } else { 0 })
            .sum()
    }

    #[test]
    fn the_lead_is_bounded_and_everything_is_sent_once() {
        let start = Instant::now();
        let lead = Duration::from_millis(400);
        let mut playout = Playout::new(lead);
        playout.queue(id(0), 1_000 * MS);
        playout.queue(id(1), 500 * MS);
        let (mut now, mut total, mut marks) = (start, 0, Vec::new());
        while let Some(due) = playout.next_due(now) {
            now = now.max(due);
            let mut steps = Vec::new();
            playout.due(now, &mut steps);
            assert!(sent(&steps) > 0 && sent(&steps).is_multiple_of(FRAME));
            total += sent(&steps);
            let played = SampleRate::LINE.samples(now - start);
            assert!(
                total - played.min(total) <= SampleRate::LINE.samples(lead) + FRAME,
                "lead exceeded"
            );
            marks.extend(
                steps
                    .into_iter()
                    .filter_map(|step| if let Step::Mark(mark) = step { Some(mark) } else { None }),
            );
        }
        assert_eq!(total, 1_500 * MS);
        assert_eq!(marks.len(), 2);
        assert!(now - start < Duration::from_millis(1_500));
    }

    #[test]
    fn heard_follows_the_clock_within_what_was_sent() {
        let now = Instant::now();
        let mut playout = Playout::new(Duration::from_secs(10));
        playout.queue(id(0), 1_000 * MS + TRAILING);
        playout.queue(id(1), 1_000 * MS + TRAILING);
        playout.due(now, &mut Vec::new());
        let at = |ms| now + Duration::from_millis(ms);
        assert_eq!(playout.heard(id(0), at(250)), 0.25);
        assert_eq!(
            (playout.heard(id(0), at(1_660)), playout.heard(id(1), at(1_660))),
            (1.0, 0.5)
        );
        assert_eq!(playout.heard(id(1), at(9_000)), 1.0);
    }

    #[test]
    fn marks_of_an_earlier_epoch_prove_nothing() {
        let now = Instant::now();
        let mut playout = Playout::new(Duration::from_secs(1));
        playout.queue(id(0), 160);
        let mut steps = Vec::new();
        playout.due(now, &mut steps);
        let Some(Step::Mark(mark)) = steps.last().copied() else {
            panic!("no mark")
        };
        playout.clear();
        assert!(!playout.marked(mark));
        playout.queue(id(1), 160);
        playout.due(now, &mut steps);
        assert!(!playout.marked(MarkName {
            epoch: 1,
            sentence: id(9)
        }));
        assert!(
            playout.marked(MarkName {
                epoch: 1,
                sentence: id(1)
            }) && playout.is_idle()
        );
    }

    #[test]
    fn an_underrun_restarts_the_clock() {
        let now = Instant::now();
        let mut playout = Playout::new(Duration::from_secs(1));
        playout.queue(id(0), 100 * MS);
        playout.due(now, &mut Vec::new());
        let later = now + Duration::from_secs(5);
        playout.queue(id(1), 100 * MS);
        playout.due(later, &mut Vec::new());
        assert_eq!(playout.heard(id(0), later), 1.0);
        assert_eq!(playout.heard(id(1), later), 0.0);
    }
}
