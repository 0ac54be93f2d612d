//! What an observer of inputs and actions must believe of a call, and the rules it must keep. No copy of the machine: it
//! decides nothing, it only keeps books.

mod checks;

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use tieline::time::MediaTime;
use tieline::turn::event::{Action, Input, Outcome, SentenceId, TurnId, TurnSummary};
use tieline::turn::machine::{Line as Said, Machine, Phrases};
use tieline::turn::policy::{Policy, Speculation};

use super::line::Line;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transcript {
    Unasked,
    Awaited,
    Answered { plain: bool },
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialog {
    Unasked,
    Running { since: Instant },
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Told,
    Dropped,
    /// Nothing was understood, and nothing was said.
    Dismissed,
}

struct Turn {
    transcript: Transcript,
    /// When the transcript was asked for, or became urgent.
    since: Option<Instant>,
    committed: bool,
    dialog: Dialog,
    /// What may be said in it.
    texts: Vec<String>,
    /// The caller's line in the history.
    caller: Option<String>,
    /// Cut short; nobody knows yet whether it goes on.
    suspended: bool,
    was_suspended: bool,
    /// Work was dropped in this step, and not asked for again.
    cancelled: bool,
    end: Option<End>,
}

pub(crate) struct Model {
    policy: Policy,
    phrases: Phrases,
    pub(crate) line: Line,
    turns: BTreeMap<TurnId, Turn>,
    started: Option<Instant>,
    last_window: Instant,
    heard_to: MediaTime,
    /// Caller audio before this is gone.
    kept: MediaTime,
    pub(crate) over: bool,
    stopping: bool,
    /// The answer that is being given.
    audio: Option<(SentenceId, u64)>,
    /// The transcript that is being given, if it is awaited.
    transcript: Option<(TurnId, String)>,
    history: Vec<Said>,
    /// Whose turn a caller's line is.
    owners: Vec<Option<TurnId>>,
    /// What was told as heard and must be in the history next.
    told: Vec<String>,
    tokens: HashSet<String>,
    actions: usize,
    transcribed: u32,
    pub(crate) completed: u32,
}

impl Model {
    pub(crate) fn new(policy: Policy, phrases: Phrases, now: Instant) -> Self {
        Self {
            line: Line::new(policy.playout_lead, now),
            policy,
            phrases,
            turns: BTreeMap::new(),
            started: None,
            last_window: now,
            heard_to: MediaTime::ZERO,
            kept: MediaTime::ZERO,
            over: false,
            stopping: false,
            audio: None,
            transcript: None,
            history: Vec::new(),
            owners: Vec::new(),
            told: Vec::new(),
            tokens: HashSet::new(),
            actions: 0,
            transcribed: 0,
            completed: 0,
        }
    }

    /// An input is about to be given.
    pub(crate) fn input(&mut self, input: &Input, now: Instant) {
        match input {
            Input::Start if self.started.is_none() && !self.over => {
                self.started = Some(now);
                self.last_window = now;
            }
            Input::Window { samples, .. } => {
                self.last_window = now;
                self.heard_to = self.heard_to.advance(u64::from(*samples));
            }
            Input::Transcript {
                turn, text, certainty, ..
            } => {
                // Only of an interrupter may a word be too unclear.
                let believed = !(*certainty < CLEAR && self.turns.values().any(|of| of.suspended));
                if let Some(of) = self.live(*turn).filter(|of| of.transcript == Transcript::Awaited) {
                    of.transcript = Transcript::Answered {
                        plain: believed && text.contains(CALLER),
                    };
                    self.transcript = Some((*turn, text.trim().to_owned()));
                    self.tokens.extend(text.split_whitespace().map(str::to_owned));
                }
            }
            Input::TranscribeFailed { turn } => {
                if let Some(of) = self.live(*turn).filter(|of| of.transcript == Transcript::Awaited) {
                    of.transcript = Transcript::Failed;
                }
            }
            Input::Sentence { turn, text } => {
                if let Some(of) = self
                    .live(*turn)
                    .filter(|of| matches!(of.dialog, Dialog::Running { .. }))
                {
                    of.dialog = Dialog::Running { since: now };
                    of.texts.push(text.clone());
                }
            }
            Input::ReplyDone { turn } | Input::ReplyFailed { turn } => {
                if let Some(of) = self.live(*turn).filter(|of| of.dialog != Dialog::Unasked) {
                    of.dialog = Dialog::Done;
                }
            }
            Input::Synthesized { sentence, samples, .. } => self.audio = Some((*sentence, *samples)),
            Input::SynthesizeFailed { sentence } => {
                if let Some(sentence) = self.line.sentences.get_mut(sentence) {
                    sentence.outstanding = false;
                }
            }
            Input::Mark(mark) => self.line.returns(*mark, now),
            Input::Stop => self.stopping = true,
            // The last two are the simulator's: nothing here types or ends a call.
            Input::Start
            | Input::EndOfTurn { .. }
            | Input::FirstToken { .. }
            | Input::Typed { .. }
            | Input::Speak { .. }
            | Input::Leave { .. }
            | Input::Stay { .. }
            | Input::EndAfter { .. } => {}
        }
    }

    /// The machine wants something.
    pub(crate) fn action(&mut self, action: &Action, now: Instant) {
        assert!(!self.over, "an action after the call is over");
        assert!(self.started.is_some(), "an action before the call has begun");
        self.actions += 1;
        assert!(self.actions <= MOST_ACTIONS, "one step leads to ever more actions");
        match action {
            Action::Transcribe {
                turn,
                from,
                to,
                speculative,
                ..
            } => {
                self.asks_for_audio(*turn, *from, *to);
                let mut turns = self.turns.values();
                let other = turns.any(|of| of.end.is_none() && of.transcript == Transcript::Awaited);
                assert!(!other, "two transcripts are awaited");
                assert!(
                    !speculative || self.policy.speculation > Speculation::Off,
                    "speculation is off"
                );
                self.transcribed += 1;
                let of = self.turn(*turn);
                assert_eq!(of.transcript, Transcript::Unasked, "turn {turn} is transcribed twice");
                (of.transcript, of.since) = (Transcript::Awaited, Some(now));
            }
            Action::Judge { turn, from, to } => {
                assert!(
                    self.policy.endpointing.witnesses.hear_sound(),
                    "nobody listens to the judge"
                );
                self.asks_for_audio(*turn, *from, *to);
            }
            Action::Commit { turn } => {
                let of = self.turn(*turn);
                assert!(
                    of.transcript != Transcript::Unasked && !of.committed,
                    "turn {turn} cannot be committed"
                );
                (of.committed, of.since) = (true, Some(now));
                if let Dialog::Running { since } = &mut of.dialog {
                    *since = now;
                }
            }
            Action::Generate { turn } => {
                let early = self.policy.speculation >= Speculation::Llm;
                let of = self.turn(*turn);
                assert!(
                    matches!(of.transcript, Transcript::Answered { .. }),
                    "turn {turn} was not understood"
                );
                assert_eq!(of.dialog, Dialog::Unasked, "turn {turn} is answered twice");
                assert!(early || of.committed, "turn {turn} is answered before it is over");
                of.dialog = Dialog::Running { since: now };
            }
            Action::Synthesize { sentence, text } => self.synthesize(*sentence, text, now),
            Action::Queue { sentence } => {
                let audio = self.audio.take().filter(|(of, _)| of == sentence);
                let (_, samples) = audio.expect("only audio that has just arrived is queued");
                assert!(
                    !self.turn(sentence.turn).suspended,
                    "{sentence:?} is queued for a reply that was cut short"
                );
                self.line.queue(*sentence, samples);
            }
            Action::Send { samples } => {
                for turn in self.line.send(*samples, now) {
                    let of = self.turn(turn);
                    let asked = of.transcript != Transcript::Unasked;
                    assert!(of.committed || !asked, "turn {turn} is answered before it is over");
                    assert!(!of.suspended, "turn {turn} goes on although it was cut short");
                }
            }
            Action::SendMark(mark) => self.line.mark(*mark),
            Action::Purge => self.line.purge(),
            Action::Clear => self.line.clear(now),
            Action::Hush { turn } => {
                self.line.hush(*turn);
                let of = self.turn(*turn);
                (of.suspended, of.was_suspended) = (true, true);
            }
            Action::Cancel { turn } => {
                self.line.hush(*turn);
                let of = self.turn(*turn);
                of.cancelled = true;
                // Whatever is awaited of it is not awaited any more.
                if of.transcript == Transcript::Awaited {
                    of.transcript = Transcript::Failed;
                }
                if of.dialog != Dialog::Unasked {
                    of.dialog = Dialog::Done;
                }
            }
            Action::TurnEnded(summary) => self.turn_ended(summary, now),
            Action::Hangup(_) => self.over = true,
        }
    }

    fn synthesize(&mut self, sentence: SentenceId, text: &str, now: Instant) {
        let phrases = self.phrases.clone();
        let early = self.policy.speculation == Speculation::Full;
        let of = self.turn(sentence.turn);
        assert!(
            of.committed || of.transcript == Transcript::Unasked || early,
            "a voice too early"
        );
        let own = [phrases.apology];
        let unasked = [
            phrases.notice,
            phrases.greeting,
            phrases.not_heard,
            phrases.still_there,
            phrases.goodbye,
            phrases.too_long,
        ];
        let unasked = unasked.iter().filter(|_| of.transcript == Transcript::Unasked);
        let mut said = of.texts.iter().chain(&own).chain(unasked);
        let rest: Vec<&str> = text.split_whitespace().collect();
        let known = said.any(|said| said.split_whitespace().collect::<Vec<_>>().ends_with(&rest));
        assert!(known, "nobody wanted {text:?} said in turn {}", sentence.turn);
        (of.suspended, of.cancelled) = (false, false);
        self.line.synthesize(sentence, text.to_owned(), now);
    }

    fn asks_for_audio(&mut self, turn: TurnId, from: MediaTime, to: MediaTime) {
        assert!(
            from <= to && to <= self.heard_to,
            "{from:?}..{to:?} of turn {turn} lies in the future or backwards"
        );
        assert!(
            from >= self.kept,
            "turn {turn} needs audio from {from:?}, and it is gone up to {:?}",
            self.kept
        );
    }

    fn turn_ended(&mut self, summary: &TurnSummary, now: Instant) {
        let holds = self.line.has_unsent();
        let of = self.turn(summary.turn);
        assert_eq!(
            summary.caller, of.caller,
            "turn {} was not what the caller said",
            summary.turn
        );
        if summary.outcome == Outcome::Completed {
            let asked = of.transcript != Transcript::Unasked;
            assert!(
                !asked || (of.committed && of.dialog == Dialog::Done),
                "turn {} is not complete",
                summary.turn
            );
            assert!(!holds, "turn {} is complete, but not all was sent", summary.turn);
            self.completed += 1;
        }
        self.turn(summary.turn).end = Some(End::Told);
        self.line.check_heard(summary.turn, &summary.heard, now);
        if !summary.heard.is_empty() {
            self.told.push(summary.heard.clone());
        }
    }

    /// All actions of a step have been taken.
    pub(crate) fn settled(&mut self, machine: &Machine, now: Instant) {
        self.over |= self.stopping;
        let transcript = self.transcript.take();
        self.check_history(machine.history(), transcript);
        for (turn, of) in self.turns.iter_mut().filter(|(_, of)| of.end.is_none()) {
            // After a failure the apology follows; a reply that was cut short, or is still heard, waits for its end.
            if std::mem::take(&mut of.cancelled) && !of.suspended && !self.line.holds(*turn) {
                of.end = Some(End::Dropped);
            } else if of.committed && of.dialog == Dialog::Unasked {
                match of.transcript {
                    Transcript::Answered { plain: true } => panic!("turn {turn} was understood, and nobody is asked"),
                    Transcript::Answered { plain: false } => of.end = Some(End::Dismissed),
                    Transcript::Unasked | Transcript::Awaited | Transcript::Failed => {}
                }
            }
        }
        self.kept = self.kept.max(machine.needed_from());
        (self.audio, self.actions) = (None, 0);
        self.check_timer(machine.poll_timeout(now));
    }

    /// Whether anything is under way that must come to an end.
    pub(crate) fn is_busy(&self) -> bool {
        self.turns.values().any(|of| of.end.is_none())
    }

    /// How often a transcript was asked for.
    pub(crate) fn transcribed(&self) -> u32 {
        self.transcribed
    }

    /// The newest turn that was heard of.
    pub(crate) fn newest(&self) -> TurnId {
        self.turns.last_key_value().map_or(TurnId(0), |(turn, _)| *turn)
    }

    fn live(&mut self, turn: TurnId) -> Option<&mut Turn> {
        self.turns.get_mut(&turn).filter(|of| of.end.is_none() && !of.cancelled)
    }

    /// The books of a turn for which something is to be done.
    fn turn(&mut self, turn: TurnId) -> &mut Turn {
        if !self.turns.contains_key(&turn) {
            assert!(
                self.turns.is_empty() || turn > self.newest(),
                "turn {turn} is older than the newest"
            );
            let of = Turn {
                transcript: Transcript::Unasked,
                since: None,
                committed: false,
                dialog: Dialog::Unasked,
                texts: Vec::new(),
                caller: None,
                suspended: false,
                was_suspended: false,
                cancelled: false,
                end: None,
            };
            self.turns.insert(turn, of);
        }
        let of = self.turns.get_mut(&turn).expect("inserted");
        assert!(
            of.end.is_none(),
            "turn {turn} is over ({:?}), and something is done for it",
            of.end
        );
        of
    }
}

/// Every word of a caller that is a word begins so, and none is said twice.
pub(crate) const CALLER: &str = "c#";
/// A transcript that is less certain than this may be none.
const CLEAR: f32 = 0.6;
/// In one step.
const MOST_ACTIONS: usize = 64;
