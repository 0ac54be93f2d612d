//! The turn-taking machine of one call.
//!
//! ```text
//!             onset                silence                transcript            all heard
//! Listening ─────────▶ Hearing ──────────────▶ Transcribing ──────────▶ Replying ─────────▶ Listening
//!                         ▲    caller goes on        │                     │
//!                         └──────────────────────────┴──── barge-in ───────┘
//! ```

mod hearing;
mod interruption;
mod outside;
mod replying;
mod speculation;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::time::MediaTime;
use crate::turn::endpoint::Evidence;
use crate::turn::event::{Action, HangupReason, Input, Outcome, Timer, TurnId};
use crate::turn::ledger::{Ledger, stamp};
use crate::turn::playout::{Playout, Step};
use crate::turn::policy::{Policy, Speculation};
use crate::turn::reply::{Reply, Settled, Source, Stage, Standing};
use crate::turn::vad_gate::VadGate;

/// What the agent says without asking the dialog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrases {
    /// Before the greeting, such as a consent notice; the caller cannot interrupt it. May be empty.
    pub notice: String,
    /// First words of the call.
    pub greeting: String,
    /// An engine failed.
    pub apology: String,
    /// Speech was heard and nothing was understood.
    pub not_heard: String,
    /// Nobody has said anything for long.
    pub still_there: String,
    /// Nobody has answered that.
    pub goodbye: String,
    /// `MAX_CALL` is reached.
    pub too_long: String,
}

/// Who said a line of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// Us.
    Agent,
}

/// One line of the conversation as the caller knows it: of the agent's words only those that were heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who.
    pub speaker: Speaker,
    /// What.
    pub text: String,
}

/// See the module.
#[derive(Debug)]
pub struct Machine {
    policy: Policy,
    phrases: Phrases,
    state: State,
    gate: VadGate,
    /// What is known of the caller's present pause.
    evidence: Evidence,
    playout: Playout,
    history: Vec<Line>,
    next_turn: u32,
    started: Option<Instant>,
    last_window: Option<Instant>,
    /// Since when nobody has said anything.
    quiet_since: Option<Instant>,
    /// How often the agent has asked whether the caller is still there.
    prompted: u32,
    speculated: Speculated,
    /// What somebody outside wants said, and could not be said yet.
    unsaid: VecDeque<String>,
    /// The call ended because a person is to go on with it.
    handed_over: bool,
    actions: VecDeque<Action>,
    steps: Vec<Step>,
}

/// How often an answer was prepared before the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Speculated {
    /// And was wanted.
    pub used: u32,
    /// And was dropped, because the caller went on.
    pub wasted: u32,
}

#[derive(Debug)]
enum State {
    /// The stream is not live yet.
    Waiting,
    /// Nobody speaks.
    Listening,
    /// The caller speaks, or pauses.
    Hearing(Hearing),
    /// The caller pauses or has finished, and the transcript is awaited.
    Transcribing {
        hearing: Hearing,
        standing: Standing,
        to: MediaTime,
        deadline: Instant,
        ledger: Ledger,
    },
    /// The agent has the floor.
    Replying(Reply),
    /// The call is over; nothing happens any more.
    Closed,
}

/// The caller's turn, as long as it may grow.
#[derive(Debug, Clone)]
struct Hearing {
    turn: TurnId,
    from: MediaTime,
    settled: Settled,
    /// The reply that this turn cut short. It is taken up again if the turn turns out to be noise or a backchannel.
    interrupted: Option<Box<Reply>>,
    pause: Pause,
    /// When the latest pause was noticed.
    paused: Option<Instant>,
    /// Answers begun at pauses and dropped.
    dropped: u32,
}

/// How far the caller's present pause was looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// There is none, or it has not lasted long enough.
    Fresh,
    /// It was noticed. Nothing is under way: speculation is off, or came to nothing.
    Noticed,
    /// What was said needs no answer. `voiced` is what had been voiced of the turn by then.
    Dismissed { voiced: Duration },
}

impl Machine {
    /// A machine for a call that has not started.
    pub fn new(policy: Policy, phrases: Phrases) -> Self {
        let playout = Playout::new(policy.playout_lead);
        Self {
            policy,
            phrases,
            state: State::Waiting,
            gate: VadGate::default(),
            evidence: Evidence::default(),
            playout,
            history: Vec::new(),
            next_turn: 1,
            started: None,
            last_window: None,
            quiet_since: None,
            prompted: 0,
            speculated: Speculated::default(),
            unsaid: VecDeque::new(),
            handed_over: false,
            actions: VecDeque::new(),
            steps: Vec::new(),
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Start => self.start(now),
            Input::Window { voice, samples } => {
                self.gate.window(voice, samples, now);
                self.last_window = Some(now);
                self.window(now);
            }
            Input::Transcript {
                turn,
                text,
                language,
                certainty,
                progress,
            } => self.transcript(turn, text.trim(), language, certainty, progress, now),
            Input::EndOfTurn { turn, probability } => self.end_of_turn(turn, probability, now),
            Input::TranscribeFailed { turn } => self.transcribe_failed(turn, now),
            Input::FirstToken { turn } => {
                if let Some(reply) = self.reply(turn) {
                    stamp(&mut reply.ledger.first_token, now);
                }
            }
            Input::Sentence { turn, text } => self.sentence(turn, text, now),
            Input::ReplyDone { turn } => self.reply_done(turn),
            Input::ReplyFailed { turn } => self.reply_failed(turn),
            Input::EndAfter { turn, reason } => {
                if let Some(reply) = self.reply(turn) {
                    reply.then = Some(reason);
                }
            }
            Input::Typed { text } => self.typed(text, now),
            Input::Speak { text } => self.speak(text),
            Input::Leave { text, reason } => self.leave(text, reason, Outcome::Interrupted, now),
            Input::Stay { text } => self.stay(text, now),
            Input::Synthesized {
                sentence,
                samples,
                words,
            } => self.synthesized(sentence, samples, &words, now),
            Input::SynthesizeFailed { sentence } => self.synthesize_failed(sentence),
            Input::Mark(mark) => {
                if self.playout.marked(mark)
                    && let State::Replying(reply) = &mut self.state
                {
                    stamp(&mut reply.ledger.first_mark, now);
                }
            }
            Input::Stop => self.stop(now),
        }
        self.advance(now);
    }

    /// Acts on every deadline that has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, timer)) = self.deadlines(now).into_iter().flatten().find(|&(at, _)| at <= now) {
            match timer {
                Timer::Playout => {}
                Timer::MarkOverdue => self.playout.presume_heard(),
                Timer::TranscribeDeadline => {
                    if let State::Transcribing { hearing, .. } = &self.state {
                        self.transcribe_failed(hearing.turn, now);
                    }
                }
                Timer::ReplyDeadline => {
                    if let State::Replying(reply) = &self.state {
                        self.reply_failed(reply.turn);
                    }
                }
                Timer::SynthesizeDeadline => self.synthesize_late(now),
                Timer::Silence => self.break_silence(),
                Timer::MaxCall => self.close_politely(now),
                Timer::MediaTimeout => {
                    self.stop(now);
                    self.actions.push_back(Action::Hangup(HangupReason::MediaLost));
                }
            }
            self.advance(now);
        }
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Machine::handle_timeout`] at the latest, and why.
    pub fn poll_timeout(&self, now: Instant) -> Option<(Instant, Timer)> {
        self.deadlines(now).into_iter().flatten().min_by_key(|&(at, _)| at)
    }

    /// What the agent says by itself from here on.
    pub fn set_phrases(&mut self, phrases: Phrases) {
        self.phrases = phrases;
    }

    /// The conversation so far.
    pub fn history(&self) -> &[Line] {
        &self.history
    }

    /// What speculation brought and cost.
    pub fn speculated(&self) -> Speculated {
        self.speculated
    }

    /// Caller audio before this will not be asked for.
    pub fn needed_from(&self) -> MediaTime {
        let present = self.kept_from();
        match &self.state {
            State::Hearing(hearing) | State::Transcribing { hearing, .. } => hearing.from.min(present),
            State::Replying(Reply { from: Some(from), .. }) => (*from).min(present),
            State::Waiting | State::Listening | State::Replying(_) | State::Closed => present,
        }
    }

    fn start(&mut self, now: Instant) {
        if matches!(self.state, State::Waiting) {
            self.started = Some(now);
            self.last_window = Some(now);
            self.greet();
        }
    }

    /// What follows from the state alone: the next synthesis, the next audio, the end of the reply.
    fn advance(&mut self, now: Instant) {
        self.take_floor();
        let State::Replying(reply) = &mut self.state else {
            return;
        };
        let busy = reply
            .sentences
            .iter()
            .any(|sentence| matches!(sentence.stage, Stage::Synthesizing { .. }));
        let waiting = reply
            .sentences
            .iter()
            .position(|sentence| sentence.stage == Stage::Waiting);
        let committed = reply.standing == Standing::Committed;
        if let (false, Some(index), true) = (busy, waiting, committed || self.policy.speculation == Speculation::Full) {
            let sentence = reply.id(index);
            reply.sentences[index].stage = Stage::Synthesizing {
                deadline: now + self.policy.synthesize_deadline,
            };
            stamp(&mut reply.ledger.synthesizing, now);
            let text = reply.sentences[index].text.clone();
            self.actions.push_back(Action::Synthesize { sentence, text });
        }
        if !committed {
            return;
        }
        self.playout.due(now, &mut self.steps);
        for step in self.steps.drain(..) {
            self.actions.push_back(match step {
                Step::Audio(samples) => {
                    stamp(&mut reply.ledger.first_sent, now);
                    Action::Send { samples }
                }
                Step::Mark(mark) => Action::SendMark(mark),
            });
        }
        reply.settle(&self.playout);
        if reply.is_over() {
            self.reply_over(now);
        }
    }

    fn remember(&mut self, speaker: Speaker, text: String) {
        if !text.is_empty() {
            self.history.push(Line { speaker, text });
        }
    }

    /// The reply of a turn, whether it has the floor or was cut short and may be taken up again.
    fn reply(&mut self, turn: TurnId) -> Option<&mut Reply> {
        let reply = match &mut self.state {
            State::Replying(reply) => Some(reply),
            State::Hearing(hearing) | State::Transcribing { hearing, .. } => hearing.interrupted.as_deref_mut(),
            State::Waiting | State::Listening | State::Closed => None,
        };
        reply.filter(|reply| reply.turn == turn)
    }

    fn new_turn(&mut self) -> TurnId {
        let turn = TurnId(self.next_turn);
        self.next_turn += 1;
        turn
    }

    /// When more audio may be sent, or a mark is given up on. What is only prepared stays where it is.
    fn playout_deadline(&self, now: Instant) -> Option<(Instant, Timer)> {
        if matches!(&self.state, State::Replying(reply) if reply.standing != Standing::Committed) {
            return None;
        }
        let due = self.playout.next_due(now).map(|at| (at, Timer::Playout));
        due.or_else(|| self.playout.overdue().map(|at| (at, Timer::MarkOverdue)))
    }

    fn deadlines(&self, now: Instant) -> [Option<(Instant, Timer)>; 5] {
        let mut work = None;
        let mut synthesis = None;
        match &self.state {
            State::Waiting | State::Closed => return [None; 5],
            State::Listening => {
                work = self
                    .quiet_since
                    .map(|since| (since + self.policy.silence_prompt, Timer::Silence));
            }
            State::Hearing(_) => {}
            State::Transcribing { deadline, .. } => work = Some((*deadline, Timer::TranscribeDeadline)),
            State::Replying(reply) => {
                if let Source::Generating { deadline } = reply.source {
                    work = Some((deadline, Timer::ReplyDeadline));
                }
                synthesis = reply.sentences.iter().find_map(|sentence| match sentence.stage {
                    Stage::Synthesizing { deadline } => Some((deadline, Timer::SynthesizeDeadline)),
                    Stage::Waiting | Stage::Queued | Stage::Heard => None,
                });
            }
        }
        [
            work,
            synthesis,
            self.playout_deadline(now),
            self.started
                .filter(|_| self.may_leave())
                .map(|at| (at + self.policy.max_call, Timer::MaxCall)),
            self.last_window
                .map(|at| (at + self.policy.media_timeout, Timer::MediaTimeout)),
        ]
    }
}
