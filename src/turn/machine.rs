//! The turn-taking machine of one call.
//!
//! ```text
//!             onset                silence                transcript            all heard
//! Listening ─────────▶ Hearing ──────────────▶ Transcribing ──────────▶ Replying ─────────▶ Listening
//!                         ▲    caller goes on        │                     │
//!                         └──────────────────────────┴──── barge-in ───────┘
//! ```

mod speculation;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::time::MediaTime;
use crate::turn::event::{Action, HangupReason, Input, Outcome, SentenceId, Timer, TurnId};
use crate::turn::ledger::{Ledger, stamp};
use crate::turn::playout::{Playout, Step};
use crate::turn::policy::{Policy, Speculation};
use crate::turn::reply::{Reply, Source, Stage, Standing};
use crate::turn::vad_gate::VadGate;

/// What the agent says without asking the dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrases {
    /// First words of the call.
    pub greeting: String,
    /// An engine failed.
    pub apology: String,
    /// Speech was heard and nothing was understood.
    pub not_heard: String,
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
    playout: Playout,
    history: Vec<Line>,
    next_turn: u32,
    started: Option<Instant>,
    last_window: Option<Instant>,
    speculated: Speculated,
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

#[derive(Debug, Clone)]
struct Hearing {
    turn: TurnId,
    from: MediaTime,
    /// What the caller cut off by starting this turn, to be said after all if it turns out to be no speech.
    unheard: String,
    /// Speculation on the present pause came to nothing; the endpoint starts from scratch.
    tried: bool,
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
            playout,
            history: Vec::new(),
            next_turn: 1,
            started: None,
            last_window: None,
            speculated: Speculated::default(),
            actions: VecDeque::new(),
            steps: Vec::new(),
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Start => self.start(now),
            Input::Window { voiced, samples } => self.window(voiced, samples, now),
            Input::Transcript { turn, text } => self.transcript(turn, &text, now),
            Input::TranscribeFailed { turn } => self.transcribe_failed(turn),
            Input::FirstToken { turn } => {
                if let Some(reply) = self.reply(turn) {
                    stamp(&mut reply.ledger.first_token, now);
                }
            }
            Input::Sentence { turn, text } => self.sentence(turn, text, now),
            Input::ReplyDone { turn } => self.reply_done(turn),
            Input::ReplyFailed { turn } => self.reply_failed(turn),
            Input::Synthesized { sentence, samples } => self.synthesized(sentence, samples, now),
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
                        self.transcribe_failed(hearing.turn);
                    }
                }
                Timer::ReplyDeadline => {
                    if let State::Replying(reply) = &self.state {
                        self.reply_failed(reply.turn);
                    }
                }
                Timer::SynthesizeDeadline => self.synthesize_late(now),
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
        let present = self.gate.now().back(self.policy.pre_roll + SLACK);
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
            let greeting = self.phrases.greeting.clone();
            self.say(TurnId(0), greeting);
        }
    }

    fn window(&mut self, voiced: bool, samples: u32, now: Instant) {
        self.gate.window(voiced, samples, now);
        self.last_window = Some(now);
        let speech = self.gate.speech();
        let goes_on = speech >= self.policy.onset;
        match &self.state {
            State::Listening if goes_on => self.hear(self.gate_start(), String::new()),
            State::Hearing(hearing) => {
                let speculates = self.policy.speculation > Speculation::Off && !hearing.tried;
                if self.is_endpoint(hearing.from) {
                    self.pause(Standing::Committed, now);
                } else if speculates && self.gate.silence() >= self.policy.speculate_after {
                    self.pause(
                        Standing::Speculative {
                            voiced: self.gate.voiced(),
                        },
                        now,
                    );
                } else if hearing.tried && goes_on {
                    self.retry_speculation();
                }
            }
            // The caller goes on before hearing anything: one turn, transcribed again as a whole.
            State::Transcribing { hearing, .. } if goes_on && self.has_room(hearing.from) => {
                let hearing = hearing.clone();
                self.drop_work(hearing.turn);
                self.hear(hearing.from, hearing.unheard);
            }
            State::Replying(reply) if goes_on && !reply.is_audible() && self.may_grow(reply) => self.take_back(),
            State::Replying(reply) if reply.is_audible() && speech >= self.policy.barge_in_min => self.barge_in(now),
            State::Transcribing {
                hearing,
                standing: Standing::Speculative { voiced },
                ..
            } => {
                let (from, voiced) = (hearing.from, *voiced);
                if self.is_endpoint(from) {
                    self.commit(voiced, now);
                }
            }
            State::Replying(Reply {
                standing: Standing::Speculative { voiced },
                from: Some(from),
                ..
            }) => {
                let (from, voiced) = (*from, *voiced);
                if self.is_endpoint(from) {
                    self.commit(voiced, now);
                }
            }
            State::Waiting | State::Listening | State::Transcribing { .. } | State::Replying(_) | State::Closed => {}
        }
    }

    /// Whether the present silence, or the length of the turn, ends a turn that began at `from`.
    fn is_endpoint(&self, from: MediaTime) -> bool {
        self.gate.silence() >= self.policy.endpoint_delay || !self.has_room(from)
    }

    /// Whether a reply nobody has heard yet answers a turn that may still go on.
    fn may_grow(&self, reply: &Reply) -> bool {
        reply.caller.is_some() && reply.from.is_some_and(|from| self.has_room(from))
    }

    /// Whether a turn that began at `from` may still grow.
    fn has_room(&self, from: MediaTime) -> bool {
        self.gate.now().since(from) < self.policy.max_turn
    }

    fn gate_start(&self) -> MediaTime {
        self.gate.speech_start().back(self.policy.pre_roll)
    }

    fn hear(&mut self, from: MediaTime, unheard: String) {
        self.gate.restart();
        let turn = self.new_turn();
        self.state = State::Hearing(Hearing {
            turn,
            from,
            unheard,
            tried: false,
        });
    }

    /// The caller has been silent for long enough to begin the answer, or to know that it is due.
    fn pause(&mut self, standing: Standing, now: Instant) {
        let State::Hearing(hearing) = &self.state else { return };
        let (hearing, gate) = (hearing.clone(), &self.gate);
        // More silence tells the transcriber nothing and costs it time.
        let voiced_to = gate
            .last_voiced()
            .map_or_else(|| gate.now(), |(end, _)| end.advance(TAIL));
        let to = voiced_to.min(gate.now());
        let committed = standing == Standing::Committed;
        let ledger = Ledger {
            last_voiced: gate.last_voiced().map(|(_, at)| at),
            transcribing: Some(now),
            endpoint: committed.then_some(now),
            ..Ledger::default()
        };
        let (turn, from) = (hearing.turn, hearing.from);
        self.actions.push_back(Action::Transcribe {
            turn,
            from,
            to,
            speculative: !committed,
        });
        if committed {
            self.actions.push_back(Action::Commit { turn });
        }
        let deadline = now + self.policy.transcribe_deadline;
        self.state = State::Transcribing {
            hearing,
            standing,
            to,
            deadline,
            ledger,
        };
    }

    /// Asks the dialog for the reply.
    fn ask(&mut self, turn: TurnId, now: Instant) {
        if let Some(reply) = self.reply(turn) {
            stamp(&mut reply.ledger.requested, now);
        }
        self.actions.push_back(Action::Generate { turn });
    }

    fn transcript(&mut self, turn: TurnId, text: &str, now: Instant) {
        let State::Transcribing {
            hearing,
            standing,
            to,
            ledger,
            ..
        } = &self.state
        else {
            return;
        };
        if hearing.turn != turn {
            return;
        }
        let (from, standing, to, mut ledger) = (hearing.from, *standing, *to, *ledger);
        let text = text.trim();
        if text.is_empty() {
            return match standing {
                Standing::Speculative { .. } => self.give_up_speculation(),
                Standing::Committed => self.nothing_heard(hearing.unheard.clone()),
            };
        }
        self.history.push(Line {
            speaker: Speaker::Caller,
            text: text.to_owned(),
        });
        stamp(&mut ledger.transcribed, now);
        let held = standing != Standing::Committed && self.policy.speculation < Speculation::Llm;
        let generating = Source::Generating {
            deadline: now + self.policy.reply_deadline,
        };
        self.state = State::Replying(Reply {
            turn,
            from: Some(from),
            to,
            caller: Some(text.to_owned()),
            standing,
            source: if held { Source::Held } else { generating },
            sentences: Vec::new(),
            outcome: Outcome::Completed,
            then: None,
            ledger,
        });
        if !held {
            self.ask(turn, now);
        }
    }

    /// Noise, or speech nobody could understand. What it cut off is said after all.
    fn nothing_heard(&mut self, unheard: String) {
        if !unheard.is_empty() {
            let turn = self.new_turn();
            self.say(turn, unheard);
        } else if self.gate.voiced() >= CLEARLY_SPEECH {
            let turn = self.new_turn();
            let text = self.phrases.not_heard.clone();
            self.say(turn, text);
        } else {
            self.state = State::Listening;
        }
    }

    fn transcribe_failed(&mut self, turn: TurnId) {
        let State::Transcribing {
            hearing,
            standing,
            to,
            ledger,
            ..
        } = &self.state
        else {
            return;
        };
        if hearing.turn != turn {
            return;
        }
        if *standing != Standing::Committed {
            return self.give_up_speculation();
        }
        let (from, to, ledger) = (hearing.from, *to, *ledger);
        self.actions.push_back(Action::Cancel { turn });
        let apology = self.phrases.apology.clone();
        self.say(turn, apology);
        if let State::Replying(reply) = &mut self.state {
            (reply.from, reply.to, reply.ledger, reply.outcome) = (Some(from), to, ledger, Outcome::Failed);
        }
    }

    fn sentence(&mut self, turn: TurnId, text: String, now: Instant) {
        let deadline = now + self.policy.reply_deadline;
        if let Some(reply) = self.reply(turn)
            && matches!(reply.source, Source::Generating { .. })
        {
            stamp(&mut reply.ledger.first_token, now);
            stamp(&mut reply.ledger.first_sentence, now);
            reply.source = Source::Generating { deadline };
            reply.push(text);
        }
    }

    fn reply_done(&mut self, turn: TurnId) {
        if self.reply(turn).is_some_and(|reply| reply.sentences.is_empty()) {
            return self.reply_failed(turn);
        }
        if let Some(reply) = self.reply(turn) {
            reply.source = Source::Complete;
        }
    }

    /// What is here is still said, then the apology.
    fn reply_failed(&mut self, turn: TurnId) {
        if self
            .reply(turn)
            .is_some_and(|reply| reply.standing != Standing::Committed)
        {
            return self.forget_reply();
        }
        let apology = self.phrases.apology.clone();
        if let Some(reply) = self.reply(turn)
            && matches!(reply.source, Source::Generating { .. })
        {
            reply.source = Source::Complete;
            reply.outcome = Outcome::Failed;
            reply.push(apology);
            self.actions.push_back(Action::Cancel { turn });
            // The synthesis in flight was cancelled with the turn: ask again.
            if let Some(reply) = self.reply(turn) {
                for sentence in &mut reply.sentences {
                    if matches!(sentence.stage, Stage::Synthesizing { .. }) {
                        sentence.stage = Stage::Waiting;
                    }
                }
            }
        }
    }

    fn synthesized(&mut self, sentence: SentenceId, samples: u64, now: Instant) {
        if let Some(reply) = self.reply(sentence.turn)
            && let Some(awaited) = reply.awaited(sentence)
        {
            awaited.stage = Stage::Queued;
            stamp(&mut reply.ledger.first_audio, now);
            // Silence has no mark to wait for: it counts as heard at once.
            if samples > 0 {
                self.playout.queue(sentence, samples);
            }
            self.actions.push_back(Action::Queue { sentence });
        }
    }

    /// The apology is said instead of the rest; if it was the apology that failed, the turn ends in silence.
    fn synthesize_failed(&mut self, sentence: SentenceId) {
        let apology = self.phrases.apology.clone();
        let Some(reply) = self.reply(sentence.turn) else { return };
        if reply.awaited(sentence).is_none() {
            return;
        }
        if reply.standing != Standing::Committed {
            return self.forget_reply();
        }
        let place = usize::from(sentence.index);
        let hopeless = reply.sentences[place].text == apology;
        reply.sentences.truncate(place);
        reply.source = Source::Complete;
        reply.outcome = Outcome::Failed;
        if !hopeless {
            reply.push(apology);
        }
        self.actions.push_back(Action::Cancel { turn: sentence.turn });
    }

    fn synthesize_late(&mut self, now: Instant) {
        if let State::Replying(reply) = &self.state {
            let late = |stage: Stage| matches!(stage, Stage::Synthesizing { deadline } if deadline <= now);
            if let Some(index) = reply.sentences.iter().position(|sentence| late(sentence.stage)) {
                self.synthesize_failed(reply.id(index));
            }
        }
    }

    /// Order: stop the work, purge our queue, clear the line, start a new epoch, cut history to what was heard.
    fn barge_in(&mut self, now: Instant) {
        let State::Replying(reply) = &mut self.state else {
            return;
        };
        if reply.then.is_some() {
            return;
        }
        let cut_off = reply.from.filter(|_| reply.caller.is_some());
        let (heard, unheard) = self.cut_short(Outcome::Interrupted, now);
        self.actions.push_back(Action::Clear);
        match cut_off {
            // Not one word of ours was heard: the caller had not finished. One turn, transcribed again as a whole.
            Some(from) if heard.is_empty() && self.has_room(from) => {
                self.history.pop();
                self.hear(from, String::new());
            }
            _ => {
                self.remember(heard);
                self.hear(self.gate_start(), unheard);
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        let (heard, _) = self.cut_short(Outcome::CutOff, now);
        self.remember(heard);
        self.state = State::Closed;
    }

    fn close_politely(&mut self, now: Instant) {
        let (heard, _) = self.cut_short(Outcome::CutOff, now);
        self.actions.push_back(Action::Clear);
        self.remember(heard);
        let turn = self.new_turn();
        let text = self.phrases.too_long.clone();
        self.say(turn, text);
        if let State::Replying(reply) = &mut self.state {
            reply.then = Some(HangupReason::MaxCall);
        }
    }

    /// Ends the present turn as it stands; the line still plays what it has. Returns what of a reply was heard, and what was not.
    fn cut_short(&mut self, outcome: Outcome, now: Instant) -> (String, String) {
        let (turn, mut told) = match &mut self.state {
            State::Replying(reply) => {
                reply.settle(&self.playout);
                reply.outcome = outcome;
                (reply.turn, Some(reply.split_at(&self.playout, now)))
            }
            State::Hearing(hearing) | State::Transcribing { hearing, .. } => (hearing.turn, None),
            State::Waiting | State::Listening | State::Closed => return Default::default(),
        };
        self.actions.push_back(Action::Cancel { turn });
        self.actions.push_back(Action::Purge);
        self.playout.clear();
        if let (State::Replying(reply), Some((heard, _))) = (&self.state, &told) {
            let summary = reply.summary(heard.clone());
            self.actions.push_back(Action::TurnEnded(Box::new(summary)));
        }
        told.take().unwrap_or_default()
    }

    /// Gives the agent the floor with a text of its own.
    fn say(&mut self, turn: TurnId, text: String) {
        let mut reply = Reply {
            turn,
            from: None,
            to: self.gate.now(),
            caller: None,
            standing: Standing::Committed,
            source: Source::Complete,
            sentences: Vec::new(),
            outcome: Outcome::Completed,
            then: None,
            ledger: Ledger::default(),
        };
        if !text.is_empty() {
            reply.push(text);
        }
        self.state = State::Replying(reply);
    }

    /// What follows from the state alone: the next synthesis, the next audio, the end of the reply.
    fn advance(&mut self, now: Instant) {
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
        let may_speak = committed || self.policy.speculation == Speculation::Full;
        if let (false, Some(index), true) = (busy, waiting, may_speak) {
            let sentence = reply.id(index);
            reply.sentences[index].stage = Stage::Synthesizing {
                deadline: now + self.policy.synthesize_deadline,
            };
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
            let then = reply.then;
            let heard = reply.split_at(&self.playout, now).0;
            let summary = reply.summary(heard.clone());
            self.actions.push_back(Action::TurnEnded(Box::new(summary)));
            self.remember(heard);
            self.state = State::Listening;
            if let Some(reason) = then {
                self.state = State::Closed;
                self.actions.push_back(Action::Hangup(reason));
            }
        }
    }

    fn remember(&mut self, text: String) {
        if !text.is_empty() {
            self.history.push(Line {
                speaker: Speaker::Agent,
                text,
            });
        }
    }

    fn reply(&mut self, turn: TurnId) -> Option<&mut Reply> {
        match &mut self.state {
            State::Replying(reply) if reply.turn == turn => Some(reply),
            State::Waiting
            | State::Listening
            | State::Hearing(_)
            | State::Transcribing { .. }
            | State::Replying(_)
            | State::Closed => None,
        }
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
        if matches!(self.state, State::Waiting | State::Closed) {
            return [None; 5];
        }
        let mut work = None;
        let mut synthesis = None;
        match &self.state {
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
            State::Waiting | State::Listening | State::Hearing(_) | State::Closed => {}
        }
        let closing = matches!(&self.state, State::Replying(Reply { then: Some(_), .. }));
        [
            work,
            synthesis,
            self.playout_deadline(now),
            self.started
                .filter(|_| !closing)
                .map(|at| (at + self.policy.max_call, Timer::MaxCall)),
            self.last_window
                .map(|at| (at + self.policy.media_timeout, Timer::MediaTimeout)),
        ]
    }
}

/// This much voiced audio without one word understood deserves an answer.
const CLEARLY_SPEECH: Duration = Duration::from_secs(1);
/// Line samples transcribed after the last voiced window: 300 ms, so that a soft ending is not cut.
const TAIL: u64 = 2_400;
/// Caller audio kept beyond the pre-roll: an onset is confirmed only after `onset`, and dropouts stretch it.
const SLACK: Duration = Duration::from_millis(1_000);
