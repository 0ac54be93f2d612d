//! The only `select!` loop of a call: messages, answers and deadlines go into the machine, its actions come out.

pub(super) mod beginning;
mod hearing;
mod orders;
mod recording;
mod replying;
pub(super) mod telling;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::watch;

use self::beginning::{conversation, lines};
use self::orders::Handing;
use self::replying::Tongue;
use crate::call::end::CallEnd;
use crate::call::inbound::Inbound;
use crate::call::keys::Keys;
use crate::call::outbound::Outbound;
use crate::call::reception::{self, Answering, First, Reached};
use crate::call::record::Record;
use crate::call::recording::{Recordings, Tap};
use crate::call::registry::{Parties, Seat};
use crate::call::socket::{Outgoing, Received, Socket};
use crate::call::standing::Standing;
use crate::call::switchboard::Switchboard;
use crate::call::trace::{Trace, TraceEvent};
use crate::call::voicemail::Mailbox;
use crate::call::work::{Done, Kind, Work};
use crate::dialog::agent::Agent;
use crate::dialog::conversation::{Mind, Staff};
use crate::dialog::slot::Date;
use crate::engine::{Engine, LineAudio, Urgency};
use crate::speech::Code;
use crate::speech::ear::Ear;
use crate::speech::silero::SileroModel;
use crate::speech::webrtc::WebRtcVad;
use crate::store::Store;
use crate::turn::event::{Action, HangupReason, Input, SentenceId, TurnId, Voice};
use crate::turn::machine::Machine;
use crate::turn::policy::Policy;

/// What every call shares.
#[derive(Clone)]
pub struct Services {
    /// Speech to text and back.
    pub engine: Arc<Engine>,
    /// Who thinks of the replies.
    pub mind: Mind,
    /// Who answers; a new staff is for new calls.
    pub staff: watch::Receiver<Arc<Staff>>,
    /// Where calls are written down, if anywhere.
    pub store: Option<Store>,
    /// How turns are taken.
    pub policy: Policy,
    /// Aggressiveness of the voice activity detector.
    pub vad_mode: u8,
    /// The second opinion on what is speech. Without it, noise that sounds like a voice is one.
    pub silero: Option<SileroModel>,
    /// Print what is said to the log.
    pub log_transcripts: bool,
    /// Whom calls can be handed over to, if anybody.
    pub switchboard: Option<Arc<Switchboard>>,
    /// Where messages are kept, if anywhere.
    pub mailbox: Option<Mailbox>,
    /// Where calls are recorded, if they are.
    pub recordings: Option<Recordings>,
    /// By whose clock it is today for an agent whose line has none.
    pub time_zone: TimeZone,
}

impl Services {
    /// The day at the agent's place.
    pub(super) fn today(&self, agent: &Agent) -> Date {
        day_of(agent, &self.time_zone, Timestamp::now())
    }
}

/// Runs one call from the accepted `start` message to its end.
pub async fn run<S: Socket>(services: &Services, call: &Call<'_>, mut seat: Seat, socket: &mut S) -> CallEnd {
    let answering = match Box::pin(reception::receive(services, call, &mut seat, socket)).await {
        Reached::Agent(answering) => answering,
        Reached::Ended(end) => return end,
    };
    let (first, orders) = (answering.first.clone(), answering.orders.clone());
    let mut driver = Driver::new(services, call, seat, *answering);
    driver.machine.handle(Input::Start, now());
    if first == First::HandOver {
        driver.leave_for_a_person();
    }
    // What was ordered before may be the end of the call, as where a machine has answered that is left no message.
    let ended = orders.into_iter().find_map(|order| driver.ordered(order));
    let end = match ended {
        Some(end) => end,
        None => driver.go_on(socket).await,
    };
    driver.finish(end).await
}

/// One call, as its stream begins.
#[derive(Debug)]
pub struct Call<'a> {
    /// The carrier's name for it.
    pub call_sid: &'a str,
    /// And for its stream.
    pub stream_sid: &'a str,
    /// Who calls whom.
    pub parties: &'a Parties,
    /// Where its events go.
    pub trace: &'a Trace,
}

struct Driver<'a> {
    services: &'a Services,
    call_sid: &'a str,
    trace: &'a Trace,
    machine: Machine,
    inbound: Inbound,
    outbound: Outbound,
    work: Work,
    /// Synthesised audio the machine has not placed yet.
    ready: HashMap<SentenceId, LineAudio>,
    windows: Vec<Voice>,
    /// The latest turn of the caller, and how urgent its work is.
    caller_turn: (TurnId, Urgency),
    /// What of that turn was transcribed before its last long pause.
    said: String,
    /// That turn may still go on.
    speculating: bool,
    /// What is to be told of it once it is committed.
    untold: Vec<TraceEvent>,
    turns: u32,
    staff: Arc<Staff>,
    /// What the caller may speak, until it is known.
    languages: Vec<Code>,
    /// What was heard to be spoken in the latest transcript.
    heard_language: Option<Code>,
    /// In what the present reply is spoken.
    tongue: Option<Tongue>,
    /// What the conversation has come to.
    standing: Standing,
    /// Whether the present reply's turn counts: tools wait for it.
    counts: watch::Sender<bool>,
    /// The turn in which a tool runs.
    acting: Option<TurnId>,
    keys: Keys,
    record: Record,
    tap: Tap,
    /// Orders from outside.
    seat: Seat,
    /// How far the caller is with being handed over.
    handing: Handing,
}

impl<'a> Driver<'a> {
    fn new(services: &'a Services, call: &Call<'a>, seat: Seat, answering: Answering) -> Self {
        let (standing, machine) = conversation(services, call, &seat.opening, &answering);
        let tap = recording::begin(services, call, &answering);
        let Answering {
            staff, agent, record, ..
        } = answering;
        // Nobody else sets it.
        let _ = seat.agent.set(agent.name.clone());
        call.trace.begun(&agent.name);
        let kept = services.policy.max_turn + services.policy.pre_roll + BACKLOG_SLACK;
        let vad = Box::new(WebRtcVad::new(services.vad_mode));
        let ear = Ear::new(vad, services.silero.as_ref());
        Self {
            services,
            call_sid: call.call_sid,
            trace: call.trace,
            machine,
            staff,
            languages: agent.languages(),
            heard_language: None,
            tongue: None,
            standing,
            counts: watch::Sender::new(false),
            acting: None,
            keys: Keys::default(),
            record,
            tap,
            inbound: Inbound::new(ear, kept.as_secs()),
            outbound: Outbound::default(),
            work: Work::default(),
            ready: HashMap::new(),
            windows: Vec::new(),
            caller_turn: (TurnId(0), Urgency::now()),
            said: String::new(),
            speculating: false,
            untold: Vec::new(),
            turns: 0,
            seat,
            handing: Handing::No,
        }
    }

    async fn go_on<S: Socket>(&mut self, socket: &mut S) -> CallEnd {
        loop {
            if let Some(end) = self.perform(socket).await {
                return end;
            }
            let deadline = self.machine.poll_timeout(now()).map(|(at, _)| at);
            let deadline = deadline
                .into_iter()
                .chain(self.keys.due())
                .chain(self.handing.due())
                .min()
                .unwrap_or_else(far_future);
            tokio::select! {
                received = socket.receive() => {
                    if let Some(end) = self.received(received) {
                        return self.handing.end().unwrap_or(end);
                    }
                }
                Some(done) = self.work.next() => self.done(done),
                order = self.seat.orders.recv() => {
                    // Nobody gives orders any more: another stream has the call.
                    let Some(order) = order else { return CallEnd::Lost };
                    if let Some(end) = self.ordered(order) {
                        return end;
                    }
                }
                () = tokio::time::sleep_until(deadline.into()) => {
                    self.machine.handle_timeout(now());
                    if let Some(keys) = self.keys.finished(now()) {
                        self.typed(&keys);
                    }
                    if self.handing.due().is_some_and(|due| due <= now()) {
                        return CallEnd::Agent(HangupReason::HandOver);
                    }
                }
                () = stopped(&mut self.seat.stop) => return CallEnd::Shutdown,
            }
        }
    }

    /// Takes what happened on the line. `Some` ends the call.
    fn received(&mut self, received: Received<'_>) -> Option<CallEnd> {
        match received {
            Received::Audio(audio) => {
                self.windows.clear();
                self.inbound.take(audio, &mut self.windows);
                let now = now();
                self.tap.caller(self.inbound.latest(), self.inbound.keyed(), now);
                for n in 0..self.windows.len() {
                    let input = Input::Window {
                        voice: self.windows[n],
                        samples: crate::speech::WINDOW as u32,
                    };
                    self.machine.handle(input, now);
                }
                self.inbound.discard_before(self.machine.needed_from());
            }
            Received::Mark(mark) => {
                self.tap.marked(mark);
                self.machine.handle(Input::Mark(mark), now());
            }
            Received::Stop => return Some(CallEnd::Caller),
            Received::Closed => return Some(CallEnd::Lost),
            Received::Dtmf(key) => {
                self.tap.key();
                if let Some(keys) = self.keys.press(key, now()) {
                    self.typed(&keys);
                }
            }
            Received::Ignored => {}
            Received::Unreadable(fault) => tracing::debug!(call = self.call_sid, "{fault}; it was ignored"),
        }
        None
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Input(input) => self.machine.handle(input, now()),
            Done::Heard((language, input)) => {
                self.heard_language = language;
                if let Input::Transcript { turn, text, .. } = &input
                    && !(text.is_empty() && self.said.is_empty())
                {
                    let text = format!("{} {text}", self.said).trim().to_owned();
                    let turn = turn.0;
                    self.tell(TraceEvent::Caller { turn, text });
                }
                self.machine.handle(input, now());
            }
            Done::State { turn, line, dialog } => {
                self.standing.prepare(turn, line, *dialog);
                if !self.speculating {
                    self.standing.commit();
                    self.hide();
                }
            }
            Done::Acting(turn) => {
                self.acting = Some(turn);
                self.standing.acted();
            }
            Done::Destination { turn, number } => self.destination(turn, number),
            Done::HandedOver(transferred) => self.handed_over(transferred),
            Done::Tool { turn, tool } => {
                self.acting.take_if(|acting| *acting == turn);
                self.ran(turn, &tool);
            }
            Done::Audio { sentence, spoken } => {
                let samples = spoken.audio.len() as u64;
                self.ready.insert(sentence, spoken.audio);
                let words = spoken.words;
                self.machine.handle(
                    Input::Synthesized {
                        sentence,
                        samples,
                        words,
                    },
                    now(),
                );
            }
        }
    }

    /// Carries out what the machine wants. `Some` ends the call.
    async fn perform<S: Socket>(&mut self, socket: &mut S) -> Option<CallEnd> {
        while let Some(action) = self.machine.poll_action() {
            let sent = match action {
                Action::Transcribe {
                    turn,
                    from,
                    to,
                    said,
                    speculative,
                } => {
                    self.speculating = speculative;
                    let urgency = if speculative {
                        Urgency::speculative()
                    } else {
                        Urgency::now()
                    };
                    self.caller_turn = (turn, urgency);
                    self.said.clone_from(&said);
                    self.transcribe(turn, from, to, said);
                    true
                }
                Action::Judge { turn, from, to } => {
                    self.judge(turn, from, to);
                    true
                }
                Action::Commit { .. } => {
                    self.commit();
                    true
                }
                Action::Purge => {
                    self.outbound.purge();
                    true
                }
                Action::Generate { turn } => {
                    self.generate(turn);
                    true
                }
                Action::Synthesize { sentence, text } => {
                    self.synthesize(sentence, text);
                    true
                }
                Action::Queue { sentence } => {
                    if let Some(audio) = self.ready.remove(&sentence) {
                        self.outbound.queue(audio);
                    }
                    true
                }
                Action::Send { samples } => {
                    let audio = self.outbound.next(samples);
                    self.inbound.played(audio);
                    self.tap.agent(audio, now());
                    send(socket, Outgoing::Audio(audio)).await
                }
                Action::SendMark(name) => {
                    self.tap.mark_sent(name);
                    send(socket, Outgoing::Mark(name)).await
                }
                Action::Clear => {
                    self.tap.cleared(now());
                    send(socket, Outgoing::Clear).await
                }
                Action::Hush { turn } => {
                    self.work.cancel_kind(turn, Kind::Voice);
                    self.ready.retain(|sentence, _| sentence.turn != turn);
                    true
                }
                Action::Cancel { turn } => {
                    self.work.cancel(turn);
                    self.acting.take_if(|acting| *acting == turn);
                    self.standing.drop_prepared(turn);
                    self.tongue.take_if(|tongue| tongue.turn == turn);
                    self.forget_destination(turn);
                    if self.caller_turn.0 == turn {
                        self.untold.clear();
                        self.speculating = false;
                    }
                    self.ready.retain(|sentence, _| sentence.turn != turn);
                    true
                }
                Action::TurnEnded(summary) => {
                    self.turn_ended(&summary);
                    true
                }
                Action::Hangup(HangupReason::HandOver) if self.hand_over() => true,
                Action::Hangup(reason) => return Some(CallEnd::Agent(reason)),
            };
            if !sent {
                return Some(CallEnd::Lost);
            }
        }
        None
    }

    /// How often the caller has had the floor.
    fn lines(&self) -> usize {
        lines(self.machine.history())
    }

    fn typed(&mut self, keys: &str) {
        let text = format!("{KEYPAD}{keys}");
        self.machine.handle(Input::Typed { text }, now());
    }
}

/// Sends with a limit, so that a half-dead carrier cannot hold the call for ever.
pub(super) async fn send<S: Socket>(socket: &mut S, outgoing: Outgoing<'_>) -> bool {
    tokio::time::timeout(SEND_TIMEOUT, socket.send(outgoing))
        .await
        .unwrap_or(false)
}

pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the registry is gone, and with it the server.
    let _ = stop.wait_for(|&stop| stop).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "the driver is where the machine gets its clock from"
)]
fn now() -> Instant {
    Instant::now()
}

fn day_of(agent: &Agent, otherwise: &TimeZone, now: Timestamp) -> Date {
    let hours = agent.line.as_ref().and_then(|line| line.hours.as_ref());
    let zone = hours.map_or(otherwise, |hours| &hours.time_zone);
    now.to_zoned(zone.clone()).date()
}

fn far_future() -> Instant {
    now() + Duration::from_secs(3_600)
}

/// Beyond the longest turn: what arrives while it is being transcribed.
const BACKLOG_SLACK: Duration = Duration::from_secs(15);
/// Marks a line of the history that was typed on the keypad.
pub(super) const KEYPAD: &str = "(keypad) ";
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialog::agent::parse;

    #[test]
    fn today_is_the_day_where_the_line_is() {
        let at = "2026-11-22T00:30:00Z".parse().expect("a time");
        let plain = "name = \"desk\"\ngreeting = \"Hello.\"\nsystem_prompt = \"x\"\n";
        let new_york =
            format!("{plain}[line.hours]\ntime_zone = \"America/New_York\"\nopen = [\"mon-fri 09:00-17:00\"]\n");
        let day = |file: &str, zone: &str| {
            let zone = TimeZone::get(zone).expect("a zone");
            day_of(&parse(file, "x").expect("an agent"), &zone, at)
        };
        let days = [21, 22].map(|day| Date::constant(2026, 11, day));
        assert_eq!([day(plain, "America/Chicago"), day(plain, "Europe/Madrid")], days);
        assert_eq!(day(&new_york, "Europe/Madrid"), days[0], "its hours say where it is");
    }
}
