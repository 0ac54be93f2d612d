//! Receives a call before an agent answers: carries out what [`Flow`] wants. Most calls pass through without a word.

mod consent;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::audio::mulaw;
use crate::call::command::{AnsweredBy, Command, Order};
use crate::call::driver::beginning::begins;
use crate::call::driver::{Call, Services, send, stopped};
use crate::call::end::CallEnd;
use crate::call::flow::{Act, Ended, Event, Flow};
use crate::call::inbound::Inbound;
use crate::call::opening::{Direction, Opening};
use crate::call::outbound::Outbound;
use crate::call::record::Record;
use crate::call::registry::Seat;
use crate::call::socket::{Audio, Outgoing, Received, Socket};
use crate::call::trace::TraceEvent;
use crate::call::voicemail::Message as Voicemail;
use crate::dialog::agent::Agent;
use crate::dialog::conversation::Staff;
use crate::engine::{LineAudio, Urgency};
use crate::speech::WINDOW;
use crate::speech::ear::Ear;
use crate::speech::spoken::spoken_in;
use crate::speech::webrtc::WebRtcVad;
use crate::store::Consent;
use crate::time::SampleRate;
use crate::turn::event::{HangupReason, SentenceId, TurnId, Voice};
use crate::turn::playout::{Playout, Step};

/// Who answers, and what there is of the call already.
pub(super) struct Answering {
    pub(super) staff: Arc<Staff>,
    pub(super) agent: Arc<Agent>,
    pub(super) record: Record,
    /// What comes first.
    pub(super) first: First,
    /// What it is told to do, and was told while nobody could do it.
    pub(super) orders: Vec<Order>,
    /// What the caller knows of being recorded, and said to it.
    pub(super) consent: Option<Consent>,
}

/// How an agent begins.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum First {
    /// With its notice and its greeting.
    Greeting,
    /// The same, but the caller has heard this notice.
    AfterNotice(String),
    /// By handing the caller over.
    HandOver,
}

/// What a call came to.
pub(super) enum Reached {
    Agent(Box<Answering>),
    /// The call is over, and written down.
    Ended(CallEnd),
}

/// Takes a call to the agent that answers it, or to its end.
pub(super) async fn receive<S: Socket>(
    services: &Services,
    call: &Call<'_>,
    seat: &mut Seat,
    socket: &mut S,
) -> Reached {
    let staff = Arc::clone(&services.staff.borrow());
    let agent = begins(&staff, call.parties, &seat.opening);
    let record = Record::begin(services.store.as_ref(), call, &agent.name, seat);
    let Some((flow, open)) = flow(services, &agent, &seat.opening) else {
        let consent = seat.opening.consent.clone();
        return Reached::Agent(Box::new(Answering {
            staff,
            agent,
            record,
            first: First::Greeting,
            orders: Vec::new(),
            consent,
        }));
    };
    let call_sid = call.call_sid;
    tracing::info!(
        call = call_sid,
        open,
        "call {call_sid} is received by the line of {}",
        agent.name
    );
    let mut desk = Desk::new(services, call, Arc::clone(&agent), flow);
    let over = desk.go_on(seat, socket).await;
    let (orders, consent) = (std::mem::take(&mut desk.orders), desk.consent.take());
    seat.opening.consent.clone_from(&consent);
    drop(desk);
    let (answers, first) = match over {
        Over::Answer(name) => {
            let answers = Arc::clone(staff.agents.get(&name).unwrap_or(&agent));
            if answers.name != agent.name {
                record.agent(&answers.name);
            }
            (answers, First::AfterNotice(agent.notice.clone()))
        }
        Over::Transfer => (agent, First::HandOver),
        Over::End(end) => {
            tracing::info!(call = call_sid, end = ?end, "call {call_sid} ended before an agent answered");
            if seat.is_taken_over() {
                record.leave().await;
            } else {
                call.trace.emit(|| TraceEvent::End);
                record.end(end).await;
            }
            return Reached::Ended(end);
        }
    };
    Reached::Agent(Box::new(Answering {
        staff,
        agent: answers,
        record,
        first,
        orders,
        consent,
    }))
}

/// What there is to do before the agent answers, and whether its line is open. Only who calls us, and for the first time, is received; of a
/// recording everybody is told.
fn flow(services: &Services, agent: &Arc<Agent>, opening: &Opening) -> Option<(Flow, bool)> {
    if opening.back.is_some() {
        return None;
    }
    let recorded = services.recordings.is_some();
    if opening.direction == Direction::Outbound || opening.agent.is_some() {
        return Some((Flow::of_consent(agent).filter(|_| recorded)?, true));
    }
    let hours = agent.line.as_ref().and_then(|line| line.hours.as_ref());
    let open = hours.is_none_or(|hours| hours.is_open(Timestamp::now()));
    Some((Flow::new(agent, open, recorded)?, open))
}

enum Over {
    Answer(String),
    Transfer,
    End(CallEnd),
}

struct Desk<'a> {
    services: &'a Services,
    call: &'a Call<'a>,
    agent: Arc<Agent>,
    flow: Flow,
    outbound: Outbound,
    playout: Playout,
    steps: Vec<Step>,
    /// What is to be said after what is being said.
    queue: VecDeque<Speech>,
    /// The audio of the next sentence is being made.
    making: Option<BoxFuture<'a, Option<LineAudio>>>,
    /// Something is being said whose end the flow waits for.
    saying: bool,
    /// How much was said: names the marks.
    said: u16,
    wait: Option<Instant>,
    last_media: Instant,
    recording: Option<Recording>,
    keeping: Option<BoxFuture<'a, bool>>,
    /// Where the call goes once all is said.
    over: Option<Over>,
    /// What the agent has to do later.
    orders: Vec<Order>,
    /// The caller's answer to the question is listened for, and made out.
    listening: Option<consent::Listening>,
    understanding: Option<BoxFuture<'a, Option<bool>>>,
    consent: Option<Consent>,
}

enum Speech {
    Text(String),
    Tone,
}

/// The caller's audio from the tone on.
struct Recording {
    inbound: Inbound,
    windows: Vec<Voice>,
    audio: Vec<i16>,
}

impl<'a> Desk<'a> {
    fn new(services: &'a Services, call: &'a Call<'a>, agent: Arc<Agent>, flow: Flow) -> Self {
        Self {
            services,
            call,
            agent,
            flow,
            outbound: Outbound::default(),
            playout: Playout::new(services.policy.playout_lead),
            steps: Vec::new(),
            queue: VecDeque::new(),
            making: None,
            saying: false,
            said: 0,
            wait: None,
            last_media: now(),
            recording: None,
            keeping: None,
            over: None,
            orders: Vec::new(),
            listening: None,
            understanding: None,
            consent: None,
        }
    }

    async fn go_on<S: Socket>(&mut self, seat: &mut Seat, socket: &mut S) -> Over {
        self.flow.handle(Event::Begin);
        loop {
            if !self.perform(socket).await || !self.play(socket).await {
                return self.gone(CallEnd::Lost).await;
            }
            if self.is_silent() {
                if let Some(over) = self.over.take() {
                    return over;
                }
                if std::mem::take(&mut self.saying) {
                    self.flow.handle(Event::Heard);
                    continue;
                }
            }
            let deadline = self.deadline();
            let end = tokio::select! {
                received = socket.receive() => self.received(received),
                audio = optional(&mut self.making) => {
                    self.made(audio);
                    None
                }
                said = optional(&mut self.understanding) => {
                    self.flow.handle(Event::Said(said));
                    None
                }
                kept = optional(&mut self.keeping) => {
                    self.flow.handle(Event::Kept(kept));
                    None
                }
                // Without anybody who could order, another stream has the call.
                order = seat.orders.recv() => order.map_or(Some(CallEnd::Lost), |order| self.ordered(order)),
                () = tokio::time::sleep_until(deadline.into()) => self.timeout(),
                () = stopped(&mut seat.stop) => Some(CallEnd::Shutdown),
            };
            if let Some(end) = end {
                return self.gone(end).await;
            }
        }
    }

    /// Carries out what the flow wants. `false` if the connection is gone.
    async fn perform<S: Socket>(&mut self, socket: &mut S) -> bool {
        while let Some(act) = self.flow.poll() {
            match act {
                Act::Say(text) => self.queue.push_back(Speech::Text(text)),
                Act::Tone => self.queue.push_back(Speech::Tone),
                Act::Hush => {
                    if !self.hush(socket).await {
                        return false;
                    }
                }
                Act::Wait(wait) => self.wait = Some(now() + wait),
                Act::Listen => self.listening = Some(self.ear()),
                Act::Consent(answer) => self.consented(answer),
                Act::Record => self.recording = Some(self.recorder()),
                Act::Keep => self.keep(),
                Act::Answer(agent) => self.goes(Over::Answer(agent)),
                Act::HandOver => self.goes(Over::Transfer),
                Act::End(ended) => self.goes(Over::End(CallEnd::Reception(ended))),
            }
        }
        true
    }

    /// Who decides first decides.
    fn goes(&mut self, over: Over) {
        self.over.get_or_insert(over);
    }

    /// Makes the next audio and sends what may be sent. `false` if the connection is gone.
    async fn play<S: Socket>(&mut self, socket: &mut S) -> bool {
        while self.making.is_none()
            && let Some(next) = self.queue.pop_front()
        {
            self.saying = true;
            match next {
                Speech::Tone => self.made(Some(tone())),
                Speech::Text(text) => self.making = Some(self.synthesize(text)),
            }
        }
        self.playout.due(now(), &mut self.steps);
        for step in std::mem::take(&mut self.steps) {
            let outgoing = match step {
                Step::Audio(samples) => Outgoing::Audio(self.outbound.next(samples)),
                Step::Mark(mark) => Outgoing::Mark(mark),
            };
            if !send(socket, outgoing).await {
                return false;
            }
        }
        true
    }

    fn synthesize(&self, text: String) -> BoxFuture<'a, Option<LineAudio>> {
        let (services, call_sid) = (self.services, self.call.call_sid);
        let event = TraceEvent::Agent {
            turn: 0,
            text: text.clone(),
        };
        self.call.trace.emit(|| event);
        if services.log_transcripts {
            tracing::info!(call = call_sid, turn = 0, "[ASSISTANT] {text}");
        }
        let language = self.agent.language.code();
        let made = async move {
            let within = services.policy.synthesize_deadline;
            let text = spoken_in(&text, language);
            let made = services.engine.synthesize(text, language, within, Urgency::now()).await;
            made.inspect_err(|error| {
                tracing::warn!(call = call_sid, %error, "a sentence of call {call_sid} has no audio: {error}");
            })
            .ok()
            .map(|spoken| spoken.audio)
        };
        made.boxed()
    }

    /// Somebody who runs this server wants something. `Some` ends the call.
    fn ordered(&mut self, order: Order) -> Option<CallEnd> {
        match order {
            Order::Command(Command::HangUp) => return Some(CallEnd::Operator),
            // The agent hands over, and nobody else; it need not wait for a key.
            Order::Command(Command::Transfer { .. }) => {
                self.orders.push(order);
                self.flow.handle(Event::Gone);
                self.goes(Over::Answer(self.agent.name.clone()));
            }
            Order::Command(Command::Say(text)) => self.queue.push_back(Speech::Text(text)),
            Order::Command(Command::Record { .. }) => self.orders.push(order),
            // The agent knows what a machine is told; nobody has agreed to anything then.
            Order::Answered(
                AnsweredBy::MachineEndBeep
                | AnsweredBy::MachineEndSilence
                | AnsweredBy::MachineEndOther
                | AnsweredBy::Fax,
            ) => {
                self.orders.push(order);
                self.flow.handle(Event::Gone);
                self.goes(Over::Answer(self.agent.name.clone()));
            }
            Order::Answered(AnsweredBy::Human | AnsweredBy::MachineStart | AnsweredBy::Unknown) => {}
        }
        None
    }

    /// What has no audio is left out: the flow goes on, and knows.
    fn made(&mut self, audio: Option<LineAudio>) {
        let Some(audio) = audio else {
            return self.flow.handle(Event::Unsaid);
        };
        let sentence = SentenceId {
            turn: TurnId(0),
            index: self.said,
        };
        self.said = self.said.wrapping_add(1);
        self.playout.queue(sentence, audio.len() as u64);
        self.outbound.queue(audio);
    }

    fn is_silent(&self) -> bool {
        self.queue.is_empty() && self.making.is_none() && self.keeping.is_none() && self.playout.is_idle()
    }

    async fn hush<S: Socket>(&mut self, socket: &mut S) -> bool {
        self.wait = None;
        self.queue.clear();
        (self.making, self.listening, self.understanding) = (None, None, None);
        self.saying = false;
        if self.playout.is_idle() {
            return true;
        }
        self.outbound.purge();
        self.playout.clear();
        send(socket, Outgoing::Clear).await
    }

    /// Takes what happened on the line. `Some` ends the call.
    fn received(&mut self, received: Received<'_>) -> Option<CallEnd> {
        match received {
            Received::Audio(audio) => self.listen(audio),
            Received::Mark(mark) => {
                self.playout.marked(mark);
            }
            Received::Dtmf(key) => {
                self.wait = None;
                self.flow.handle(Event::Key(key));
            }
            Received::Stop => return Some(CallEnd::Caller),
            Received::Closed => return Some(CallEnd::Lost),
            Received::Ignored => {}
            Received::Unreadable(fault) => tracing::debug!(call = self.call.call_sid, "{fault}; it was ignored"),
        }
        None
    }

    fn listen(&mut self, audio: Audio<'_>) {
        self.last_media = now();
        self.overhear(audio);
        let Some(recording) = &mut self.recording else { return };
        recording.windows.clear();
        recording.inbound.take(audio, &mut recording.windows);
        recording.audio.extend_from_slice(recording.inbound.latest());
        for voice in &recording.windows {
            self.flow.handle(Event::Audio {
                samples: WINDOW as u64,
                voiced: *voice == Voice::Sure,
            });
        }
    }

    fn recorder(&self) -> Recording {
        let vad = Box::new(WebRtcVad::new(self.services.vad_mode));
        let ear = Ear::new(vad, self.services.silero.as_ref());
        let mut inbound = Inbound::new(ear, 1);
        // It may come back, and is no message.
        inbound.played(&tone());
        Recording {
            inbound,
            windows: Vec::new(),
            audio: Vec::new(),
        }
    }

    /// Writes the message down, and has it transcribed when that is done.
    fn keep(&mut self) {
        let audio = self
            .recording
            .take()
            .map(|recording| recording.audio)
            .unwrap_or_default();
        let message = Voicemail {
            call_sid: self.call.call_sid.to_owned(),
            from: self.call.parties.from.clone(),
            to: self.call.parties.to.clone(),
            agent: self.agent.name.clone(),
            language: self.agent.language.code(),
            audio,
        };
        let (mailbox, engine) = (self.services.mailbox.clone(), Arc::clone(&self.services.engine));
        let languages = self.agent.languages();
        let call_sid = self.call.call_sid;
        let kept = async move {
            let Some(mailbox) = mailbox else {
                tracing::error!(
                    call = call_sid,
                    "call {call_sid} left a message, and there is no database to keep it in"
                );
                return false;
            };
            match mailbox.keep(&message).await {
                Ok(id) => {
                    tracing::info!(call = call_sid, voicemail = id, "call {call_sid} left voicemail {id}");
                    tokio::spawn(async move { mailbox.transcribe(&engine, &id, &message.audio, &languages).await });
                    true
                }
                Err(error) => {
                    tracing::error!(call = call_sid, %error, "the message of call {call_sid} is lost: {error}");
                    false
                }
            }
        };
        self.keeping = Some(kept.boxed());
    }

    /// The line is gone; what was recorded is not.
    async fn gone(&mut self, end: CallEnd) -> Over {
        self.flow.handle(Event::Gone);
        while let Some(act) = self.flow.poll() {
            if act == Act::Keep {
                self.keep();
            }
        }
        let Some(keeping) = self.keeping.take() else {
            return Over::End(end);
        };
        let kept = tokio::time::timeout(LAST_WORDS, keeping).await.unwrap_or(false);
        let ended = if kept { Ended::Voicemail } else { Ended::MessageLost };
        // Hanging up is how most people end a message. After a loss the caller may still be there.
        Over::End(if end == CallEnd::Caller {
            CallEnd::Reception(ended)
        } else {
            end
        })
    }

    fn deadline(&self) -> Instant {
        let now = now();
        let line = Some(self.last_media + self.services.policy.media_timeout);
        let times = [line, self.wait, self.playout.next_due(now), self.playout.overdue()];
        times.into_iter().flatten().min().unwrap_or(now)
    }

    /// Acts on deadlines that have passed. `Some` ends the call.
    fn timeout(&mut self) -> Option<CallEnd> {
        let now = now();
        if self.last_media + self.services.policy.media_timeout <= now {
            return Some(CallEnd::Agent(HangupReason::MediaLost));
        }
        if self.playout.overdue().is_some_and(|at| at <= now) {
            self.playout.presume_heard();
        }
        if self.wait.take_if(|at| *at <= now).is_some() {
            self.flow.handle(Event::Waited);
        }
        None
    }
}

/// What is awaited, once; for ever if there is nothing.
async fn optional<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(waiting) => {
            let output = waiting.await;
            *future = None;
            output
        }
        None => std::future::pending().await,
    }
}

/// 1 kHz for 400 ms, as answering machines have it, with a soft beginning and end.
fn tone() -> LineAudio {
    let rate = SampleRate::LINE.get() as f32;
    let samples = SampleRate::LINE.samples(TONE);
    let sample = |n: u64| {
        let edge = n.min(samples - n) as f32 / (rate * 0.005);
        let wave = (std::f32::consts::TAU * 1_000.0 * n as f32 / rate).sin();
        mulaw::encode(mulaw::to_i16(0.3 * wave * edge.min(1.0)))
    };
    (0..samples).map(sample).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "waiting for keys and for the line is on the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// Whole frames.
const TONE: Duration = Duration::from_millis(400);
/// How long the end of a call waits for its message to be written.
const LAST_WORDS: Duration = Duration::from_secs(10);
