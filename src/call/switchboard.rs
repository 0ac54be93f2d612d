//! What connects calls with the telephone network beyond their stream: hand-overs to people, and calls that we place.
//!
//! Everything here costs money when it goes wrong, so it fails closed: nothing is dialled that the settings do not name, and
//! what is refused is written into the audit trail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::call::opening::Opening;
use crate::config::Outbound;
use crate::store::{AuditEvent, Store, masked};
use crate::twilio::rest::{CallUpdate, Carrier, CarrierError};
use crate::twilio::twiml::{self, Dial};

/// See the module. One for all calls.
pub struct Switchboard {
    pub(super) carrier: Arc<dyn Carrier>,
    pub(super) store: Option<Store>,
    pub(super) rules: Outbound,
    /// How the carrier reaches this server: `https://voice.example.org`.
    pub(super) base: String,
    /// Our own number, from which calls are placed, E.164.
    pub(super) number: Option<String>,
    transfers: Mutex<HashMap<String, Transfer>>,
    outgoing: Mutex<HashMap<String, Outgoing>>,
}

/// A caller who is to be handed over. PHI.
pub(super) struct HandOver {
    pub(super) call_sid: String,
    /// E.164.
    pub(super) to: String,
    /// What whoever answers hears before they take the call; `None`: the call is put through at once.
    pub(super) summary: Option<String>,
    /// How the caller comes back if nobody takes the call.
    pub(super) back: Opening,
}

/// Why a caller is not handed over.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    #[error("the number is not one of TRANSFER_NUMBERS")]
    NotAllowed,
    #[error("the carrier does not hand the call over: {0}")]
    Carrier(#[from] CarrierError),
}

/// A hand-over that is under way.
struct Transfer {
    call_sid: String,
    summary: Option<String>,
    back: Opening,
    accepted: bool,
    /// The carrier has asked what becomes of the caller.
    returned: bool,
    until: Instant,
}

/// A call that was placed and not answered yet.
struct Outgoing {
    opening: Opening,
    /// The call that has answered; it alone may ask again.
    call_sid: Option<String>,
    until: Instant,
}

/// What becomes of a caller whose hand-over is over.
pub enum AfterTransfer {
    /// They have talked to a person: the call ends.
    Done,
    /// Nobody took the call: they come back to the agent.
    Back {
        /// Where the conversation was.
        opening: Box<Opening>,
        /// It was said before: a repetition, or somebody who has overheard it.
        again: bool,
    },
    /// Nothing is known of it.
    Unknown,
}

impl TransferError {
    /// Whether the caller may be handed over all the same.
    pub(super) fn may_be_done(&self) -> bool {
        match self {
            Self::NotAllowed => false,
            Self::Carrier(error) => error.may_be_done(),
        }
    }
}

impl Switchboard {
    /// `base` is how the carrier reaches this server, without a slash at its end.
    pub fn new(
        carrier: Arc<dyn Carrier>,
        store: Option<Store>,
        rules: Outbound,
        base: String,
        number: Option<String>,
    ) -> Self {
        Self {
            carrier,
            store,
            rules,
            base,
            number,
            transfers: Mutex::default(),
            outgoing: Mutex::default(),
        }
    }

    /// The carrier, for what needs no rules.
    pub fn carrier(&self) -> &Arc<dyn Carrier> {
        &self.carrier
    }

    /// Whether callers may be handed over to this number: the list has exactly it.
    pub fn may_transfer(&self, number: &str) -> bool {
        self.rules.transfer_numbers.iter().any(|allowed| allowed == number)
    }

    /// Where an agent's callers are handed over to, allowed or not.
    pub(super) fn destination(&self, agents: Option<&str>) -> Option<String> {
        let first = self.rules.transfer_numbers.first().map(String::as_str);
        agents.or(first).map(str::to_owned)
    }

    /// Has the carrier take the call from its stream and put it through.
    pub(super) async fn hand_over(&self, hand_over: HandOver) -> Result<(), TransferError> {
        let HandOver { call_sid, to, .. } = &hand_over;
        if !self.may_transfer(to) {
            self.refuse_transfer(call_sid, to).await;
            return Err(TransferError::NotAllowed);
        }
        let (call_sid, to) = (call_sid.clone(), to.clone());
        let id = unguessable();
        let whisper = hand_over
            .summary
            .as_ref()
            .map(|_| format!("{}/voice/whisper?id={id}", self.base));
        let document = twiml::dial(&Dial {
            number: &to,
            whisper: whisper.as_deref(),
            action: &format!("{}/voice/after-transfer?id={id}", self.base),
            ring: RING,
        });
        self.transfers().insert(
            id.clone(),
            Transfer {
                call_sid: call_sid.clone(),
                summary: hand_over.summary,
                back: hand_over.back,
                accepted: false,
                returned: false,
                until: now() + KEPT,
            },
        );
        let asked = self.carrier.update_call(&call_sid, CallUpdate::Twiml(document)).await;
        let outcome = match &asked {
            Ok(()) => "dialled",
            Err(error) if error.may_be_done() => "unclear",
            Err(_) => "failed",
        };
        self.audit(AuditEvent {
            actor: "agent",
            action: "transfer",
            subject: &call_sid,
            outcome,
            detail: &masked(&to),
            origin: "call",
        })
        .await;
        match asked {
            Ok(()) => {
                tracing::info!(call = call_sid, "call {call_sid} is handed over");
                Ok(())
            }
            Err(error) => {
                // If the carrier has acted all the same, it asks for the id.
                if !error.may_be_done() {
                    self.transfers().remove(&id);
                }
                tracing::error!(call = call_sid, %error, "call {call_sid} cannot be handed over: {error}");
                Err(error.into())
            }
        }
    }

    /// Writes down that somebody wanted a call handed over to where it must not be.
    pub async fn refuse_transfer(&self, call_sid: &str, to: &str) {
        tracing::warn!(
            call = call_sid,
            "call {call_sid} was not handed over: the number is not one of TRANSFER_NUMBERS"
        );
        self.audit(AuditEvent {
            actor: "agent",
            action: "transfer",
            subject: call_sid,
            outcome: "refused",
            detail: &masked(to),
            origin: "call",
        })
        .await;
    }

    /// What whoever has answered hears; `None` if nobody is handed over under this id.
    pub fn whisper(&self, id: &str) -> Option<String> {
        self.transfers().get(id)?.summary.clone()
    }

    /// Whoever has answered takes the call. `false` if nobody is handed over under this id.
    pub async fn accept(&self, id: &str) -> bool {
        let call_sid = self.transfers().get_mut(id).map(|transfer| {
            transfer.accepted = true;
            transfer.call_sid.clone()
        });
        let Some(call_sid) = call_sid else { return false };
        self.audit(AuditEvent {
            actor: "person",
            action: "transfer",
            subject: &call_sid,
            outcome: "accepted",
            detail: "",
            origin: "telephone",
        })
        .await;
        true
    }

    /// The call that was put through has ended, if it ever began. `talked` is what the carrier says of it.
    pub fn after_transfer(&self, id: &str, call_sid: &str, talked: bool) -> AfterTransfer {
        let mut transfers = self.transfers();
        let found = transfers.get_mut(id).filter(|transfer| transfer.call_sid == call_sid);
        let Some(transfer) = found else {
            return AfterTransfer::Unknown;
        };
        let again = std::mem::replace(&mut transfer.returned, true);
        // An answering machine that was put through has "talked"; where one has to press a key, that counts.
        let taken = transfer.accepted || transfer.summary.is_none() && talked;
        if taken {
            AfterTransfer::Done
        } else {
            AfterTransfer::Back {
                opening: Box::new(transfer.back.clone()),
                again,
            }
        }
    }

    /// Keeps how a call is to open that is about to be placed, and returns the id by which the carrier asks for it.
    pub(super) fn keep_outgoing(&self, opening: Opening) -> String {
        let id = unguessable();
        let until = now() + KEPT;
        let outgoing = Outgoing {
            opening,
            call_sid: None,
            until,
        };
        let mut kept = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        kept.retain(|_, outgoing| outgoing.until > now);
        kept.insert(id.clone(), outgoing);
        id
    }

    /// A call that was not placed after all.
    pub(super) fn drop_outgoing(&self, id: &str) {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Somebody has answered a call that we placed. The first call that asks owns the id; its repetitions get the same.
    pub fn answered(&self, id: &str, call_sid: &str) -> Option<Opening> {
        let mut kept = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        let outgoing = kept.get_mut(id).filter(|outgoing| outgoing.until > now())?;
        let owner = outgoing.call_sid.get_or_insert_with(|| call_sid.to_owned());
        (owner == call_sid).then(|| outgoing.opening.clone())
    }

    /// Writes an event down. Without a database, and if it fails, the log has it.
    pub async fn audit(&self, event: AuditEvent<'_>) {
        if let Some(store) = &self.store
            && let Err(error) = store.audit(&event).await
        {
            let (action, outcome) = (event.action, event.outcome);
            tracing::error!(action, outcome, %error, "an event is not in the audit trail: {error}");
        }
    }

    fn transfers(&self) -> MutexGuard<'_, HashMap<String, Transfer>> {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        transfers.retain(|_, transfer| transfer.until > now);
        transfers
    }
}

/// 256 bits in a URL.
fn unguessable() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

#[expect(clippy::disallowed_methods, reason = "what waits for the carrier is kept for a time")]
fn now() -> Instant {
    Instant::now()
}

/// How long a person's telephone rings.
const RING: Duration = Duration::from_secs(25);
/// How long it is known why a call was placed or handed over: as long as calls last.
const KEPT: Duration = Duration::from_secs(4 * 3_600);
