//! What the carrier's side must believe of the outgoing audio: our queue, the line that plays in real time, and its marks.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use tieline::time::SampleRate;
use tieline::turn::event::{MarkName, SentenceId, TurnId};
use tieline::turn::playout::TRAILING;

/// A sentence whose synthesis was asked for.
pub(crate) struct Sentence {
    pub(crate) text: String,
    pub(crate) asked: Instant,
    /// Its audio is awaited.
    pub(crate) outstanding: bool,
    /// Samples put into the queue, and the epoch of that.
    queued: Option<(u64, u32)>,
    sent: u64,
    /// When the line plays what of it.
    spans: Vec<(Instant, Instant)>,
    /// Its mark went out.
    marked: bool,
    /// Its mark came back.
    returned: bool,
}

pub(crate) struct Line {
    pub(crate) sentences: BTreeMap<SentenceId, Sentence>,
    queue: VecDeque<(SentenceId, u64)>,
    /// When all that was sent has been played.
    end: Instant,
    /// On their way back: name and when the line has played up to there.
    pub(crate) marks: VecDeque<(MarkName, Instant)>,
    /// Times the queue was purged.
    pub(crate) epoch: u32,
    sent_since_purge: bool,
    last: Option<SentenceId>,
    /// No mark came back before its audio was played.
    pub(crate) honest: bool,
    /// All audio came in whole frames.
    framed: bool,
    most_ahead: Duration,
}

impl Line {
    pub(crate) fn new(lead: Duration, now: Instant) -> Self {
        Self {
            sentences: BTreeMap::new(),
            queue: VecDeque::new(),
            end: now,
            marks: VecDeque::new(),
            epoch: 0,
            sent_since_purge: false,
            last: None,
            honest: true,
            framed: true,
            most_ahead: lead.max(SHORTEST_LEAD) + FRAME,
        }
    }

    pub(crate) fn synthesize(&mut self, id: SentenceId, text: String, now: Instant) {
        let (mut others, mut again) = (self.sentences.values(), self.sentences.get(&id).into_iter());
        assert!(!others.any(|other| other.outstanding), "{id:?}: two syntheses at once");
        assert!(
            again.all(|before| before.text == text && before.queued.is_none()),
            "{id:?} names two texts, or is synthesised after it was queued"
        );
        let sentence = Sentence {
            text,
            asked: now,
            outstanding: true,
            queued: None,
            sent: 0,
            spans: Vec::new(),
            marked: false,
            returned: false,
        };
        self.sentences.insert(id, sentence);
    }

    pub(crate) fn queue(&mut self, id: SentenceId, samples: u64) {
        let sentence = self
            .sentences
            .get_mut(&id)
            .expect("only what was synthesised is queued");
        assert!(
            sentence.outstanding && sentence.queued.is_none(),
            "{id:?} is queued twice, or was not awaited"
        );
        sentence.outstanding = false;
        sentence.queued = Some((samples, self.epoch));
        self.framed &= samples.is_multiple_of(FRAME_SAMPLES);
        if samples > 0 {
            self.queue.push_back((id, samples));
        }
    }

    /// Whose audio was it?
    pub(crate) fn send(&mut self, samples: u64, now: Instant) -> Vec<TurnId> {
        assert!(
            samples > 0 && (!self.framed || samples.is_multiple_of(FRAME_SAMPLES)),
            "a send of {samples} samples"
        );
        let (mut left, mut turns) = (samples, Vec::new());
        while left > 0 {
            let (id, queued) = self.queue.front_mut().expect("more is sent than was queued");
            let (id, part) = (*id, left.min(*queued));
            *queued -= part;
            left -= part;
            if *queued == 0 {
                self.queue.pop_front();
            }
            let from = self.end.max(now);
            self.end = from + SampleRate::LINE.duration(part);
            let sentence = self.sentences.get_mut(&id).expect("queued");
            sentence.sent += part;
            sentence.spans.push((from, self.end));
            self.last = Some(id);
            turns.push(id.turn);
        }
        self.sent_since_purge = true;
        let ahead = self.end.saturating_duration_since(now);
        assert!(!self.honest || ahead <= self.most_ahead, "{ahead:?} ahead of the ear");
        turns
    }

    pub(crate) fn mark(&mut self, mark: MarkName) {
        let sentence = self
            .sentences
            .get_mut(&mark.sentence)
            .expect("a mark of a known sentence");
        assert_eq!(mark.epoch, self.epoch, "a mark of another epoch");
        assert!(!sentence.marked, "{mark} is sent twice");
        assert_eq!(Some(mark.sentence), self.last, "{mark} is not behind its sentence");
        assert_eq!(
            sentence.queued,
            Some((sentence.sent, mark.epoch)),
            "{mark} before all of its sentence"
        );
        sentence.marked = true;
        self.marks.push_back((mark, self.end));
    }

    /// A mark is given to the machine. It may be a second time, or out of order.
    pub(crate) fn returns(&mut self, mark: MarkName, now: Instant) {
        self.marks.retain(|&(name, _)| name != mark);
        let sentence = self.sentences.get(&mark.sentence);
        let sentence = sentence.filter(|sentence| sentence.marked && mark.epoch == self.epoch);
        if let Some(&(_, due)) = sentence.and_then(|sentence| sentence.spans.last()) {
            self.honest &= due <= now;
            // It vouches for all before it.
            for sentence in self.sentences.values_mut().filter(|sentence| sentence.marked) {
                sentence.returned |= sentence.spans.last().is_some_and(|&(_, end)| end <= due);
            }
        }
    }

    pub(crate) fn purge(&mut self) {
        self.queue.clear();
        self.epoch += 1;
        (self.sent_since_purge, self.last) = (false, None);
    }

    pub(crate) fn clear(&mut self, now: Instant) {
        assert!(self.queue.is_empty(), "the line is cleared before the queue is purged");
        let quiet = self.end <= now || !self.honest;
        assert!(
            !self.sent_since_purge || quiet,
            "something was sent between purge and clear"
        );
        for (from, to) in self.sentences.values_mut().flat_map(|sentence| &mut sentence.spans) {
            (*from, *to) = ((*from).min(now), (*to).min(now));
        }
        self.end = self.end.min(now);
        // Twilio returns the marks it has not reached.
        self.marks.iter_mut().for_each(|(_, due)| *due = (*due).min(now));
    }

    /// Nobody waits for the audio of a turn any more.
    pub(crate) fn hush(&mut self, turn: TurnId) {
        let of = self.sentences.iter_mut().filter(|(id, _)| id.turn == turn);
        of.for_each(|(_, sentence)| sentence.outstanding = false);
    }

    /// Whether audio of a turn is queued, or sent and not known to be heard.
    pub(crate) fn holds(&self, turn: TurnId) -> bool {
        let mut of = self.sentences.iter().filter(|(id, _)| id.turn == turn);
        of.any(|(_, sentence)| {
            let epoch = sentence
                .queued
                .filter(|&(samples, _)| samples > 0)
                .map(|(_, epoch)| epoch);
            epoch == Some(self.epoch) && !sentence.returned
        })
    }

    /// What waits in the queue, and for how long the line still plays.
    pub(crate) fn backlog(&self, now: Instant) -> Duration {
        let queued = self
            .queue
            .iter()
            .fold(0_u64, |sum, &(_, samples)| sum.saturating_add(samples));
        SampleRate::LINE.duration(queued.min(u64::from(u32::MAX))) + self.end.saturating_duration_since(now)
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Checks what is remembered of a reply against what of it was sent and, if no mark lied, played.
    pub(crate) fn check_heard(&self, turn: TurnId, heard: &str, now: Instant) {
        let (mut most, mut least) = (Vec::<&str>::new(), 0);
        for (_, sentence) in self.sentences.iter().filter(|(id, _)| id.turn == turn) {
            let Some((samples, _)) = sentence.queued else { continue };
            let played = sentence
                .spans
                .iter()
                .map(|&(from, to)| to.min(now).saturating_duration_since(from));
            let played = SampleRate::LINE.samples(played.sum());
            let sure = if self.honest { played } else { sentence.sent };
            let spoken = samples.saturating_sub(TRAILING).max(1);
            let part = |of: u64| {
                if samples == 0 {
                    1.0
                } else {
                    (of as f64 / spoken as f64).min(1.0)
                }
            };
            let words: Vec<&str> = sentence.text.split_whitespace().collect();
            // A word counts once half of it was played, and is said again if there was a cut in it.
            most.extend(&words[..words_in(&words, part((sure + ROUNDING).min(sentence.sent)), 0.5)]);
            // At each cut a word may be judged either way.
            least += words_in(&words, part(played.saturating_sub(ROUNDING)), 1.0).saturating_sub(1);
        }
        let mut own: Vec<&str> = heard
            .split_whitespace()
            .filter(|word| word.starts_with(AGENT))
            .collect();
        own.sort_unstable();
        assert!(
            own.is_sorted_by(|a, b| a < b),
            "a word is in {heard:?} of turn {turn} twice"
        );
        let mut possible = most.iter();
        for word in heard.split_whitespace() {
            assert!(
                possible.any(|possible| *possible == word),
                "{word:?} of {heard:?} is remembered, but turn {turn} was heard only as {most:?}"
            );
        }
        let count = heard.split_whitespace().count();
        assert!(
            !self.honest || count >= least,
            "of turn {turn}, {heard:?} is remembered, but {most:?} was heard"
        );
    }
}

/// Of how many words a `share` lies in a part of a sentence: a word lasts as long as it is written.
fn words_in(words: &[&str], part: f64, share: f64) -> usize {
    let length = |words: &[&str]| words.iter().map(|word| word.chars().count() + 1).sum::<usize>() as f64;
    let whole = length(words) * part + 0.01;
    (1..=words.len())
        .take_while(|&count| {
            part > 0.0 && length(&words[..count]) - (1.0 - share) * length(&words[count - 1..count]) <= whole
        })
        .count()
}

/// Every word of a reply begins so, and none is used twice.
pub(crate) const AGENT: &str = "a#";
pub(crate) const FRAME_SAMPLES: u64 = 160;
const FRAME: Duration = Duration::from_millis(20);
/// Audio is never topped up in less than 60 ms, so that much and again must fit.
const SHORTEST_LEAD: Duration = Duration::from_millis(120);
/// Samples by which conversions between durations and samples may differ, over some sends.
const ROUNDING: u64 = 16;
