//! What of a call is recorded.

use super::{Call, Driver, Services};
use crate::call::reception::Answering;
use crate::call::recording::Tap;
use crate::dialog::agent::Consent as Wanted;
use crate::turn::event::TurnId;

/// Records from here on, if the caller knows of it and, where the agent asks, does not mind.
pub(super) fn begin(services: &Services, call: &Call<'_>, answering: &Answering) -> Tap {
    let call_sid = call.call_sid;
    let Some((recordings, begun)) = services.recordings.as_ref().zip(answering.record.begun()) else {
        return Tap::off();
    };
    let agent = &answering.agent;
    let unrecorded = |why: &str| {
        tracing::warn!(
            call = call_sid,
            agent = agent.name,
            "call {call_sid} is not recorded: {why}"
        );
        Tap::off()
    };
    let Some(recording) = &agent.recording else {
        return unrecorded("the agent's file has no [recording]");
    };
    let Some(consent) = answering.consent.clone() else {
        return unrecorded("its caller was not told of it");
    };
    if recording.consent == Wanted::Ask && consent.answer == "told" {
        return unrecorded("its caller was told, and this agent asks");
    }
    recordings.begin(call_sid, consent, begun)
}

impl Driver<'_> {
    /// What is said from here on may be what no recording may hold.
    pub(super) fn hide(&mut self) {
        if self.standing.dialog().is_sensitive() {
            self.tap.sensitive(true);
        }
    }

    /// A turn is over, and with it what it may have repeated of a sensitive answer.
    pub(super) fn show(&mut self, turn: TurnId) {
        if turn >= self.standing.turn() && !self.standing.dialog().is_sensitive() {
            self.tap.sensitive(false);
        }
    }

    pub(super) fn pause_recording(&mut self, paused: bool) {
        let call = self.call_sid;
        if self.tap.operator(paused) {
            tracing::info!(
                call,
                paused,
                "the recording of call {call} is paused, or goes on, by order"
            );
        } else {
            tracing::warn!(call, "call {call} is not recorded: there is nothing to pause");
        }
    }
}
