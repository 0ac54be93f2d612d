//! Orders from outside the conversation, and the hand-over to a person.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream;

use super::{Driver, now};
use crate::call::command::{AnsweredBy, Command, Order};
use crate::call::end::CallEnd;
use crate::call::opening::{Back, Direction, Opening};
use crate::call::switchboard::{HandOver, Switchboard};
use crate::call::work::{Done, Kind, Transferred};
use crate::turn::event::{HangupReason, Input, TurnId};

/// How far a caller is with being handed over.
#[derive(Default)]
pub(super) enum Handing {
    /// Nobody has asked for it.
    #[default]
    No,
    /// It is to be to this number, once the call is handed over.
    To(Option<TurnId>, String),
    /// The carrier is asked.
    Asked,
    /// The carrier takes the call from this stream, by then.
    Leaving(Instant),
    /// It failed, and may do so all the same, by then. The caller is talked with meanwhile.
    Unclear(Instant),
}

impl Handing {
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Leaving(until) => Some(*until),
            Self::No | Self::To(..) | Self::Asked | Self::Unclear(_) => None,
        }
    }

    /// How a call has ended whose stream stops: the carrier does that to one that it hands over.
    pub(super) fn end(&self) -> Option<CallEnd> {
        let over = match self {
            Self::Asked | Self::Leaving(_) => true,
            Self::Unclear(until) => now() < *until,
            Self::No | Self::To(..) => false,
        };
        over.then_some(CallEnd::Agent(HangupReason::HandOver))
    }
}

impl Driver<'_> {
    /// Does as it is told. `Some` ends the call.
    pub(super) fn ordered(&mut self, order: Order) -> Option<CallEnd> {
        let call = self.call_sid;
        match order {
            Order::Command(Command::HangUp) => {
                tracing::info!(call, "call {call} is ended by order");
                return Some(CallEnd::Operator);
            }
            Order::Command(Command::Say(text)) => self.machine.handle(Input::Speak { text }, now()),
            Order::Command(Command::Transfer { to }) => self.transfer(to),
            Order::Command(Command::Record { paused }) => self.pause_recording(paused),
            Order::Answered(
                AnsweredBy::MachineEndBeep | AnsweredBy::MachineEndSilence | AnsweredBy::MachineEndOther,
            ) => return self.answering_machine(),
            Order::Answered(AnsweredBy::Fax) => return Some(CallEnd::Agent(HangupReason::Machine)),
            Order::Answered(AnsweredBy::Human | AnsweredBy::MachineStart | AnsweredBy::Unknown) => {}
        }
        None
    }

    /// A machine records what is said: the message, or nothing.
    fn answering_machine(&mut self) -> Option<CallEnd> {
        let call = self.call_sid;
        if self.seat.opening.direction == Direction::Inbound {
            return None;
        }
        tracing::info!(call, "an answering machine has taken call {call}");
        match self.seat.opening.message.clone() {
            Some(text) => {
                let reason = HangupReason::Machine;
                self.machine.handle(Input::Leave { text, reason }, now());
                None
            }
            None => Some(CallEnd::Agent(HangupReason::Machine)),
        }
    }

    /// Somebody who runs this server hands the caller over.
    fn transfer(&mut self, to: Option<String>) {
        let call = self.call_sid;
        if matches!(self.handing, Handing::Asked | Handing::Leaving(_)) {
            tracing::warn!(call, "call {call} is being handed over already");
            return;
        }
        if !self.machine.may_leave() {
            tracing::warn!(call, "call {call} was not handed over: it is ending already");
            return;
        }
        let Some(switchboard) = &self.services.switchboard else {
            tracing::warn!(
                call,
                "call {call} was not handed over: TRANSFER_NUMBERS or the Twilio account is not set"
            );
            return;
        };
        let agent = self.standing.agent();
        let number = to.or_else(|| switchboard.destination(agent.hand_over.to.as_deref()));
        match number {
            Some(number) if switchboard.may_transfer(&number) => {
                let text = agent.phrases.hand_over.clone();
                self.handing = Handing::To(None, number);
                let reason = HangupReason::HandOver;
                self.machine.handle(Input::Leave { text, reason }, now());
            }
            Some(number) => {
                let (switchboard, call) = (Arc::clone(switchboard), call.to_owned());
                tokio::spawn(async move { switchboard.refuse_transfer(&call, &number).await });
            }
            None => tracing::warn!(call, "call {call} was not handed over: TRANSFER_NUMBERS is not set"),
        }
    }

    /// The caller has chosen a person before any agent answered.
    pub(super) fn leave_for_a_person(&mut self) {
        let text = self.standing.agent().phrases.hand_over.clone();
        let reason = HangupReason::HandOver;
        self.machine.handle(Input::Leave { text, reason }, now());
    }

    /// The language model names a number. It is looked at when the call is handed over.
    pub(super) fn destination(&mut self, turn: TurnId, number: String) {
        if matches!(self.handing, Handing::No | Handing::To(..) | Handing::Unclear(_)) {
            self.handing = Handing::To(Some(turn), number);
        }
    }

    /// A turn in which the model named a number does not count.
    pub(super) fn forget_destination(&mut self, turn: TurnId) {
        if matches!(self.handing, Handing::To(Some(of), _) if of == turn) {
            self.handing = Handing::No;
        }
    }

    /// The caller has heard that a person takes over. `false` if there is nobody to hand over to: then the call ends.
    pub(super) fn hand_over(&mut self) -> bool {
        let Some(switchboard) = self.services.switchboard.as_ref().map(Arc::clone) else {
            return false;
        };
        let agent = Arc::clone(self.standing.agent());
        let number = match std::mem::take(&mut self.handing) {
            Handing::To(_, number) => Some(number),
            Handing::No | Handing::Asked | Handing::Leaving(_) | Handing::Unclear(_) => {
                switchboard.destination(agent.hand_over.to.as_deref())
            }
        };
        let Some(to) = number else { return false };
        self.handing = Handing::Asked;
        let hand_over = HandOver {
            call_sid: self.call_sid.to_owned(),
            to,
            summary: self.summary(),
            back: Opening {
                back: Some(Back {
                    words: agent.phrases.no_one_free.clone(),
                    dialog: Box::new(self.standing.dialog().clone()),
                    history: self.machine.history().to_vec(),
                    next_turn: self.machine.next_turn(),
                }),
                ..self.seat.opening.clone()
            },
        };
        self.work.add(TurnId(0), Kind::Outside, asked(switchboard, hand_over));
        true
    }

    /// What whoever takes the call hears of it; `None` if the call is simply put through.
    fn summary(&self) -> Option<String> {
        let dialog = self.standing.dialog();
        let agent = dialog.agent();
        if agent.hand_over.warm == Some(false) {
            return None;
        }
        Some(match (&agent.hand_over.summary, dialog.purpose()) {
            (Some(summary), _) => summary.render(&dialog.template_context(self.services.today(agent))),
            (None, Some(purpose)) => format!("A call from {}. It is about this: {purpose}", agent.name),
            (None, None) => format!("A call from {}.", agent.name),
        })
    }

    /// The carrier has answered, or not.
    pub(super) fn handed_over(&mut self, transferred: Transferred) {
        let by = now() + LEAVING;
        self.handing = match transferred {
            Transferred::Yes => Handing::Leaving(by),
            Transferred::No => Handing::No,
            Transferred::Unclear => Handing::Unclear(by),
        };
        if transferred != Transferred::Yes {
            let text = self.standing.agent().phrases.no_one_free.clone();
            self.machine.handle(Input::Stay { text }, now());
        }
    }
}

/// Goes on by itself when the stream ends, as it does when the carrier is quicker with the call than with its answer.
fn asked(switchboard: Arc<Switchboard>, hand_over: HandOver) -> impl futures_util::Stream<Item = Done> + Send {
    let asking = tokio::spawn(async move {
        match switchboard.hand_over(hand_over).await {
            Ok(()) => Transferred::Yes,
            Err(error) if error.may_be_done() => Transferred::Unclear,
            Err(_) => Transferred::No,
        }
    });
    stream::once(async move { Done::HandedOver(asking.await.unwrap_or(Transferred::No)) })
}

/// How long the carrier may take to end the stream of a call that it was told to hand over.
const LEAVING: Duration = Duration::from_secs(10);
