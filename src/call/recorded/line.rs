//! The task of one call: which step is next, what it is answered, what is known of the conversation.

mod memory;
mod phase;
mod tale;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use self::memory::Memory;
use self::phase::{News, Phase, Running};
use self::tale::Tale;
use super::turn::{Event, Finish, Over, Turn, Work};
use super::{Answer, Ask, NoAnswer, Posted, Shared, Step, Then, clips};
use crate::call::command::{Command, Order};
use crate::call::drain::LAST_TOOL;
use crate::call::driver::{Call, stopped};
use crate::call::end::CallEnd;
use crate::call::record::Record;
use crate::call::registry::{LiveCall, Seat};
use crate::call::trace::TraceEvent;
use crate::dialog::conversation::Staff;
use crate::dialog::form::{CallFacts, Dialog};
use crate::engine::LineAudio;
use crate::speech::Code;
use crate::turn::event::{HangupReason, Outcome, TurnId};
use crate::turn::ledger::Ledger;
use crate::turn::machine::{self, Speaker};
use crate::twilio::rest::CallUpdate;

/// One call while it lasts.
pub(super) struct Line {
    shared: Arc<Shared>,
    live: LiveCall,
    seat: Seat,
    asked: mpsc::Receiver<Ask>,
    /// The step that is acted on next, or is being acted on.
    next: Step,
    /// Who waits for its answer, and since when.
    waiting: Vec<oneshot::Sender<Reply>>,
    since: Instant,
    /// The answers of the latest steps.
    answers: VecDeque<(Step, Arc<Answer>)>,
    /// The latest recordings that were told of.
    recordings: VecDeque<String>,
    /// What was played last.
    played: LineAudio,
    phase: Phase,
    talk: Talk,
    /// The latest turn, until it is known to be heard.
    tale: Option<Tale>,
    record: Record,
    began: Instant,
    turns: u32,
}

type Reply = Result<Arc<Answer>, NoAnswer>;

/// What is known of the conversation.
struct Talk {
    staff: Arc<Staff>,
    dialog: Dialog,
    history: Vec<machine::Line>,
    languages: Vec<Code>,
    voice: Code,
    next_turn: u32,
    /// How often the agent has asked whether the caller is still there, and for how long nobody has spoken.
    prompted: u32,
    quiet: Duration,
}

impl Line {
    pub(super) fn new(shared: Arc<Shared>, live: LiveCall, seat: Seat, asked: mpsc::Receiver<Ask>) -> Self {
        let staff = Arc::clone(&shared.services.staff.borrow());
        let agents = Arc::clone(&staff.agents);
        let agent = Arc::clone(match &live.parties.to {
            Some(number) => agents.at(number),
            None => agents.default(),
        });
        // Nobody else sets it.
        let _ = seat.agent.set(agent.name.clone());
        let facts = CallFacts {
            id: live.call_sid().to_owned(),
            from: live.parties.from.clone(),
        };
        let call = Call {
            call_sid: live.call_sid(),
            stream_sid: "",
            parties: &live.parties,
            trace: &live.trace,
        };
        let now = now();
        Self {
            record: Record::begin(shared.services.store.as_ref(), &call, &agent.name, &seat),
            talk: Talk {
                staff,
                languages: agent.languages(),
                voice: agent.language.code(),
                dialog: Dialog::new(agents, agent, facts),
                history: Vec::new(),
                next_turn: 0,
                prompted: 0,
                quiet: Duration::ZERO,
            },
            seat,
            shared,
            live,
            asked,
            next: Step::default(),
            waiting: Vec::new(),
            since: now,
            answers: VecDeque::new(),
            recordings: VecDeque::new(),
            played: LineAudio::from([]),
            phase: Phase::Listening { until: now + A_MINUTE },
            tale: None,
            began: now,
            turns: 0,
        }
    }

    /// From the first words to the last, and a little longer: the carrier may ask for an answer again.
    pub(super) async fn run(mut self) {
        let call = self.live.call_sid().to_owned();
        tracing::info!(call, "call {call} is live, turn by turn");
        let agent = Arc::clone(self.talk.dialog.agent());
        let texts = vec![agent.notice.clone(), agent.greeting.clone()];
        self.begin(Work::Say {
            texts,
            then: None,
            outcome: Outcome::Completed,
        });
        let end = self.go_on().await;
        self.finish(end).await.remember().await;
    }

    async fn go_on(&mut self) -> CallEnd {
        loop {
            self.answer_if_ready(now());
            let deadline = self.deadline();
            tokio::select! {
                ask = self.asked.recv() => match ask {
                    Some(Ask::Step { step, posted, reply }) => self.step(step, posted, reply),
                    Some(Ask::Again { reply }) => self.again(reply),
                    Some(Ask::HungUp) | None => return self.phase.end_when_gone(),
                },
                news = self.phase.news() => match news {
                    News::Turn(event) => self.event(event),
                    News::Fetched(end) => {
                        self.all_heard();
                        return end;
                    }
                },
                () = tokio::time::sleep_until(deadline.into()) => {
                    if let Some(end) = self.late(now()) {
                        return end;
                    }
                }
                Some(order) = self.seat.orders.recv() => {
                    if let Some(end) = self.ordered(&order) {
                        return end;
                    }
                }
                () = stopped(&mut self.seat.stop) => return CallEnd::Shutdown,
            }
        }
    }

    /// Somebody outside wants something. `Some` ends the call.
    fn ordered(&self, order: &Order) -> Option<CallEnd> {
        let call = self.live.call_sid();
        match order {
            Order::Command(Command::HangUp) => {
                let (carrier, call) = (Arc::clone(&self.shared.carrier), call.to_owned());
                tokio::spawn(async move {
                    if let Err(error) = carrier.update_call(&call, CallUpdate::HangUp).await {
                        tracing::error!(call, %error, "call {call} could not be hung up: {error}");
                    }
                });
                Some(CallEnd::Operator)
            }
            Order::Command(Command::Say(_) | Command::Transfer { .. } | Command::Record { .. })
            | Order::Answered(_) => {
                tracing::warn!(
                    call,
                    "call {call} is held turn by turn and takes no other command than to end"
                );
                None
            }
        }
    }

    /// Takes a request of the carrier.
    fn step(&mut self, step: Step, posted: Posted, reply: oneshot::Sender<Reply>) {
        let acted_on = step == self.next && self.waiting.is_empty();
        if let Some(recording) = &posted.recording
            && !self.recordings.contains(recording)
        {
            if !acted_on {
                self.shared.deletions.add(recording);
            }
            if self.recordings.len() == REMEMBERED_STEPS {
                self.recordings.pop_front();
            }
            self.recordings.push_back(recording.clone());
        }
        let known = self.answers.iter().find(|(of, _)| *of == step);
        if let Some((_, answer)) = known {
            // Whoever asked may be gone.
            let _ = reply.send(Ok(Arc::clone(answer)));
        } else if step != self.next {
            let _ = reply.send(Err(NoAnswer::Stale));
        } else if !self.waiting.is_empty() {
            self.waiting.push(reply);
        } else {
            self.waiting.push(reply);
            self.since = now();
            self.act(posted);
        }
    }

    /// Acts on a step for the first and only time.
    fn act(&mut self, posted: Posted) {
        self.given_is_heard();
        let Posted { recording, keys } = posted;
        let keys = keys.unwrap_or_default();
        let complete = keys.ends_with('#');
        let mut keys: String = keys.chars().filter(|key| matches!(key, '0'..='9' | '*')).collect();
        let typing = match &mut self.phase {
            // Asked for the rest of a reply; the first step finds the greeting under way.
            Phase::Answering { until, .. } => {
                *until = None;
                return self.unheard(recording);
            }
            Phase::Closing { .. } => return self.unheard(recording),
            Phase::Listening { .. } => false,
            Phase::Typing { keys: first, .. } => {
                keys.insert_str(0, first);
                true
            }
        };
        keys.truncate(MAX_KEYS);
        let late = now().saturating_duration_since(self.began) >= self.shared.services.policy.max_call;
        if late || typing || !keys.is_empty() {
            self.unheard(recording.clone());
        }
        if late {
            let text = self.talk.dialog.agent().phrases.too_long.clone();
            self.say(text, Some(HangupReason::MaxCall));
        } else if !keys.is_empty() && !typing && !complete {
            let until = now() + KEY_PAUSE + self.shared.patience.lost;
            self.phase = Phase::Typing { keys, until };
            let next = self.part();
            self.give(None, Then::Gather { next, pause: KEY_PAUSE });
        } else if !keys.is_empty() {
            self.begin(Work::Typed(keys));
        } else if let Some(recording) = recording {
            self.begin(Work::Recording(recording));
        } else {
            self.silence();
        }
    }

    /// Deletes a recording that nobody listens to.
    fn unheard(&self, recording: Option<String>) {
        if let Some(recording) = recording {
            self.shared.deletions.add(&recording);
        }
    }

    /// Nobody has said anything while we listened.
    fn silence(&mut self) {
        let policy = &self.shared.services.policy;
        self.talk.quiet += self.silence_of_record();
        if self.talk.quiet < policy.silence_prompt {
            return self.listen(None);
        }
        self.talk.quiet = Duration::ZERO;
        let phrases = &self.talk.dialog.agent().phrases;
        if self.talk.prompted < policy.silence_prompts {
            let text = phrases.still_there.clone();
            self.talk.prompted += 1;
            self.say(text, None);
        } else {
            let text = phrases.goodbye.clone();
            self.say(text, Some(HangupReason::Silence));
        }
    }

    fn say(&mut self, text: String, then: Option<HangupReason>) {
        let (texts, outcome) = (vec![text], Outcome::Completed);
        self.begin(Work::Say { texts, then, outcome });
    }

    /// Starts a turn beside this task.
    fn begin(&mut self, work: Work) {
        let turn = TurnId(self.talk.next_turn);
        self.talk.next_turn += 1;
        let ledger = Ledger {
            endpoint: Some(self.since),
            ..Ledger::default()
        };
        self.tale = Some(Tale {
            turn,
            caller: None,
            said: Vec::new(),
            given: 0,
            heard: 0,
            outcome: Outcome::Completed,
            ledger,
            first_sent: None,
        });
        let (out, events) = mpsc::channel(EVENTS);
        let counts = watch::Sender::new(true);
        let job = Turn {
            shared: Arc::clone(&self.shared),
            call_sid: self.live.call_sid().to_owned(),
            turn,
            staff: Arc::clone(&self.talk.staff),
            dialog: self.talk.dialog.clone(),
            history: self.talk.history.clone(),
            languages: self.talk.languages.clone(),
            voice: self.talk.voice,
            ledger,
            out,
            counts: counts.subscribe(),
            acting: watch::Sender::new(false),
        };
        let running = Running {
            task: tokio::spawn(job.run(work)).abort_handle(),
            events,
            ready: Vec::new(),
            over: None,
            broken: false,
            counts,
        };
        self.phase = Phase::Answering {
            turn: Box::new(running),
            until: None,
        };
    }

    /// Takes what a turn tells. `None`: it has died.
    fn event(&mut self, event: Option<Event>) {
        let (Phase::Answering { turn: running, .. }, Some(tale)) = (&mut self.phase, &mut self.tale) else {
            return;
        };
        match event {
            Some(Event::Heard(text)) => {
                (self.talk.prompted, self.talk.quiet) = (0, Duration::ZERO);
                self.talk.history.push(machine::Line {
                    speaker: Speaker::Caller,
                    text: text.clone(),
                });
                tale.caller = Some(text.clone());
                let turn = tale.turn.0;
                self.tell(TraceEvent::Caller { turn, text });
            }
            Some(Event::Language { voice, languages }) => {
                (self.talk.voice, self.talk.languages) = (voice, languages);
            }
            Some(Event::Sentence { text, audio }) => {
                running.ready.push(audio);
                tale.said.push(text.clone());
                let turn = tale.turn.0;
                self.tell(TraceEvent::Agent { turn, text });
            }
            Some(Event::State(dialog)) => self.talk.dialog = *dialog,
            Some(Event::Tool(tool)) => {
                let turn = tale.turn;
                self.ran(turn, &tool);
            }
            Some(Event::Over(over)) => {
                tale.outcome = over.outcome;
                tale.ledger = over.ledger;
                running.over = Some(over);
            }
            None => self.revive(),
        }
    }

    /// A turn that died is apologised for; if that dies too, the caller is listened to.
    fn revive(&mut self) {
        let call = self.live.call_sid();
        tracing::error!(call, "a turn of call {call} died");
        let Phase::Answering { turn, .. } = &mut self.phase else {
            return;
        };
        if turn.broken {
            turn.over = Some(Over {
                finish: Finish::Listen,
                outcome: Outcome::Failed,
                ledger: Ledger::default(),
            });
            return;
        }
        self.end_tale(Some(Outcome::Failed));
        let texts = vec![self.talk.dialog.agent().phrases.apology.clone()];
        self.begin(Work::Say {
            texts,
            then: None,
            outcome: Outcome::Failed,
        });
        if let Phase::Answering { turn, .. } = &mut self.phase {
            turn.broken = true;
        }
    }

    /// Answers whoever waits, once the reply is there, or when it is time to play what is there of it.
    fn answer_if_ready(&mut self, now: Instant) {
        while !self.waiting.is_empty() {
            let waited = now.saturating_duration_since(self.since);
            let patience = &self.shared.patience;
            let Phase::Answering { turn, .. } = &mut self.phase else {
                return;
            };
            let Some(over) = &turn.over else {
                if waited >= patience.hold || (waited >= patience.soon && !turn.ready.is_empty()) {
                    self.hold();
                }
                return;
            };
            let finish = over.finish;
            let audio = joined(&std::mem::take(&mut turn.ready));
            match finish {
                Finish::Listen => self.listen(audio),
                Finish::Nothing => {
                    self.talk.next_turn -= 1;
                    self.tale = None;
                    // May begin a turn of the agent's own, which is waited for in its turn.
                    self.silence();
                }
                Finish::End(reason) => self.close(audio, reason),
            }
        }
    }

    /// Plays what is there, and is asked for the rest.
    fn hold(&mut self) {
        let Phase::Answering { turn, .. } = &mut self.phase else {
            return;
        };
        let audio = joined(&std::mem::take(&mut turn.ready));
        let deadline = now() + length(audio.as_ref()) + self.shared.patience.lost;
        let then = Then::Poll {
            next: self.part(),
            pause: audio.is_none(),
        };
        self.give(audio, then);
        if let Phase::Answering { until, .. } = &mut self.phase {
            *until = Some(deadline);
        }
    }

    /// The caller has the floor.
    fn listen(&mut self, audio: Option<LineAudio>) {
        let longest = self.shared.services.policy.max_turn;
        let until = now() + length(audio.as_ref()) + longest + self.shared.patience.lost;
        self.phase = Phase::Listening { until };
        let next = Step {
            number: self.next.number + 1,
            part: 0,
        };
        let silence = self.silence_of_record();
        self.give(audio, Then::Record { next, silence, longest });
    }

    /// The last words.
    fn close(&mut self, audio: Option<LineAudio>, reason: HangupReason) {
        let fetched = self.give(audio, Then::Hangup);
        self.phase = Phase::Closing {
            end: CallEnd::Agent(reason),
            fetched,
            until: now() + clips::LIFE,
        };
    }

    /// Answers the present step; the next one is what `then` says. Returns what tells that the audio was fetched.
    fn give(&mut self, audio: Option<LineAudio>, then: Then) -> Option<watch::Receiver<bool>> {
        let now = now();
        if let Some(tale) = &mut self.tale {
            tale.given = tale.said.len();
            if audio.is_some() {
                tale.first_sent.get_or_insert(now);
            }
        }
        let offered = audio.clone().map(|audio| self.shared.clips.offer(audio, now));
        let (clip, fetched) = offered.unzip();
        let answer = Arc::new(Answer { clip, then });
        self.played = audio.unwrap_or_default();
        for reply in self.waiting.drain(..) {
            // Whoever asked may be gone; the answer is kept for when it asks again.
            let _ = reply.send(Ok(Arc::clone(&answer)));
        }
        if self.answers.len() == REMEMBERED_STEPS {
            self.answers.pop_front();
        }
        self.answers.push_back((self.next, answer));
        self.next = match then {
            Then::Record { next, .. } | Then::Gather { next, .. } | Then::Poll { next, .. } => next,
            Then::Hangup => self.part(),
        };
        fetched
    }

    /// The call rings again: the answer to its first step, or the latest one if the carrier has lost that.
    fn again(&mut self, reply: oneshot::Sender<Reply>) {
        let Some((_, last)) = self.answers.back() else {
            return self.waiting.push(reply);
        };
        let answer = if self.answers.len() == 1 && self.waiting.is_empty() {
            Arc::clone(last)
        } else if let Phase::Answering { .. } = self.phase {
            let (clip, next) = (None, self.next);
            let then = Then::Poll { next, pause: true };
            Arc::new(Answer { clip, then })
        } else {
            let audio = Some(Arc::clone(&self.played)).filter(|audio| !audio.is_empty());
            let clip = audio.map(|audio| self.shared.clips.offer(audio, now()).0);
            Arc::new(Answer { clip, then: last.then })
        };
        // Whoever asked may be gone.
        let _ = reply.send(Ok(answer));
    }

    /// The next request within this turn.
    fn part(&self) -> Step {
        Step {
            number: self.next.number,
            part: self.next.part + 1,
        }
    }

    /// Nobody waits longer than for this.
    fn silence_of_record(&self) -> Duration {
        let longest = self.shared.services.policy.endpointing.max;
        Duration::from_millis(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)).max(SHORTEST_SILENCE)
    }

    fn deadline(&self) -> Instant {
        let patience = &self.shared.patience;
        match &self.phase {
            Phase::Listening { until } | Phase::Typing { until, .. } | Phase::Closing { until, .. } => *until,
            Phase::Answering { until: Some(until), .. } => *until,
            Phase::Answering { turn, until: None } => {
                let hold = self.since + patience.hold;
                let soon = self.since + patience.soon;
                match (self.waiting.is_empty(), turn.ready.is_empty()) {
                    // The first request comes with the call.
                    (true, _) => self.since + A_MINUTE,
                    (false, true) => hold,
                    (false, false) => hold.min(soon),
                }
            }
        }
    }

    /// A deadline has passed. `Some` ends the call.
    fn late(&mut self, now: Instant) -> Option<CallEnd> {
        match &self.phase {
            Phase::Answering { .. } if !self.waiting.is_empty() => None,
            _ if self.deadline() > now => None,
            Phase::Closing { end, .. } => Some(*end),
            Phase::Listening { .. } | Phase::Typing { .. } | Phase::Answering { .. } => {
                let call = self.live.call_sid();
                tracing::warn!(
                    call,
                    "the carrier does not ask for the next step of call {call}: it is lost"
                );
                Some(CallEnd::Lost)
            }
        }
    }

    /// A tool that runs is not stopped half-way: what comes of it is waited for, for a while, and written down. No other one begins.
    async fn last_tool(&mut self) {
        let (Phase::Answering { turn: running, .. }, Some(tale)) = (&mut self.phase, &self.tale) else {
            return;
        };
        let turn = tale.turn;
        running.counts.send_replace(false);
        let mut ran = Vec::new();
        // The turn ends as soon as no tool runs.
        let all = async {
            while let Some(event) = running.events.recv().await {
                if let Event::Tool(tool) = event {
                    ran.push(tool);
                }
            }
        };
        if tokio::time::timeout(LAST_TOOL, all).await.is_err() {
            let call = self.live.call_sid();
            tracing::error!(
                call,
                "a tool still runs {} s after the end of call {call}: what comes of it is not written down",
                LAST_TOOL.as_secs()
            );
        }
        for tool in ran {
            self.ran(turn, &tool);
        }
    }

    /// Writes the end down, and gives back what may be asked for again.
    async fn finish(mut self, end: CallEnd) -> Memory {
        self.last_tool().await;
        let whole = |tale: &Tale| tale.heard == tale.said.len() && tale.given > 0;
        let whole = self.tale.as_ref().is_none_or(whole);
        self.end_tale((!whole).then_some(Outcome::CutOff));
        self.live.trace.emit(|| TraceEvent::End);
        let call = self.live.call_sid().to_owned();
        tracing::info!(call, turns = self.turns, end = ?end, "call {call} ended");
        let memory = Memory {
            shared: self.shared,
            answers: self.answers,
            recordings: self.recordings,
            asked: self.asked,
        };
        self.record.end(end).await;
        self.live.ended(end);
        memory
    }
}

/// One piece of audio out of several; `None` out of none.
fn joined(pieces: &[LineAudio]) -> Option<LineAudio> {
    match pieces {
        [] => None,
        [one] => Some(Arc::clone(one)),
        several => Some(several.concat().into()),
    }
    .filter(|audio| !audio.is_empty())
}

/// How long it plays.
fn length(audio: Option<&LineAudio>) -> Duration {
    Duration::from_millis(audio.map_or(0, |audio| audio.len() as u64 / BYTES_PER_MS))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a request has waited is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// Answers that are kept. The carrier asks again for the latest at most.
const REMEMBERED_STEPS: usize = 8;
const A_MINUTE: Duration = Duration::from_secs(60);
/// Between two keys; people look for the next.
const KEY_PAUSE: Duration = Duration::from_secs(2);
/// No number is longer.
const MAX_KEYS: usize = 40;
/// The carrier measures in seconds.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);
/// Between a turn and its call.
const EVENTS: usize = 16;
/// Line audio.
const BYTES_PER_MS: u64 = 8;
