//! Calls that we place. Whoever may ask for one is not trusted with whom it goes to: the settings name the numbers, the hours and
//! how many calls there are in a day, and the database counts.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::call::opening::{Direction, Opening};
use crate::call::switchboard::Switchboard;
use crate::dialog::agent::{Agents, Context};
use crate::store::{AuditEvent, masked, phone};
use crate::twilio::rest::{CarrierError, NewCall};

/// A call to be placed. PHI.
#[derive(Clone, Default)]
pub struct OutboundRequest {
    /// Who asks, for the audit trail: the name of an API key.
    pub actor: String,
    /// From where: the address of whoever asks.
    pub origin: String,
    /// Whom to call, E.164.
    pub to: String,
    /// The agent that talks; its file has `[outgoing] allowed = true`.
    pub agent: String,
    /// For the agent's templates, as `context`.
    pub context: Map<String, Value>,
    /// Whether an answering machine is told the agent's message; otherwise it is hung up on.
    pub leave_message: bool,
}

/// A call that rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The carrier's id.
    pub call_sid: String,
}

/// Why a call was not placed.
#[derive(Debug, thiserror::Error)]
pub enum RefusedOutbound {
    /// Not E.164.
    #[error("to is not a telephone number in E.164 form")]
    NotANumber,
    /// There is no such agent, or it places no calls.
    #[error("there is no agent of that name that places calls")]
    NoAgent,
    /// The agent has no message for answering machines.
    #[error("the agent's file has no message to leave")]
    NoMessage,
    /// More context than an agent can need.
    #[error("the context is too large")]
    TooMuchContext,
    /// `OUTBOUND_ALLOW` does not name the number.
    #[error("the number is not one that this server may call")]
    NotAllowed,
    /// It is not between `OUTBOUND_HOURS`.
    #[error("no calls are placed at this hour")]
    QuietHours,
    /// `OUTBOUND_PER_DAY` is reached.
    #[error("no more calls are placed today")]
    TooMany,
    /// Nobody can count.
    #[error("calls are not placed without a database that answers")]
    NoDatabase,
    /// The carrier does not place it.
    #[error("the call was not placed: {0}")]
    Carrier(#[from] CarrierError),
}

impl Switchboard {
    /// Places a call, if it is allowed. Every request is in the audit trail, with what came of it.
    pub async fn place(&self, agents: &Agents, request: OutboundRequest) -> Result<Placed, RefusedOutbound> {
        self.place_at(agents, request, Timestamp::now()).await
    }

    /// The same at a time of somebody's choice.
    pub async fn place_at(
        &self,
        agents: &Agents,
        request: OutboundRequest,
        now: Timestamp,
    ) -> Result<Placed, RefusedOutbound> {
        let checked = self.check(agents, &request, now);
        let placed = match checked {
            Ok((to, opening)) => self.dial((&request.actor, &request.origin), to, opening).await,
            Err(refused) => Err(refused),
        };
        let (subject, outcome) = match &placed {
            Ok(placed) => (placed.call_sid.as_str(), "placed"),
            Err(RefusedOutbound::Carrier(error)) if error.may_be_done() => ("", "unclear"),
            Err(RefusedOutbound::Carrier(_)) => ("", "failed"),
            Err(_) => ("", "refused"),
        };
        let why = placed.as_ref().err().map_or("", RefusedOutbound::name);
        let detail = format!("{} {why}", masked(&request.to));
        if let Err(refused) = &placed {
            tracing::warn!(outcome, "a call was not placed: {refused}");
        }
        self.audit(AuditEvent {
            actor: actor(&request.actor),
            action: "outbound-call",
            subject,
            outcome,
            detail: detail.trim_end(),
            origin: &request.origin,
        })
        .await;
        placed
    }

    /// Whether a call may be placed, but for how many there were; and how it opens.
    fn check(
        &self,
        agents: &Agents,
        request: &OutboundRequest,
        now: Timestamp,
    ) -> Result<(String, Opening), RefusedOutbound> {
        let to = phone(&request.to).ok_or(RefusedOutbound::NotANumber)?;
        let agent = agents.get(&request.agent).filter(|agent| agent.outgoing.allowed);
        let agent = agent.ok_or(RefusedOutbound::NoAgent)?;
        let size: usize = Value::Object(request.context.clone()).to_string().len();
        if size > MOST_CONTEXT {
            return Err(RefusedOutbound::TooMuchContext);
        }
        if !self.rules.allow.iter().any(|allowed| allowed.holds(&to)) {
            return Err(RefusedOutbound::NotAllowed);
        }
        if !self.rules.is_open(now) {
            return Err(RefusedOutbound::QuietHours);
        }
        let message = match (&agent.outgoing.message, request.leave_message) {
            (Some(message), true) => Some(message.render(&context(&request.context))),
            (None, true) => return Err(RefusedOutbound::NoMessage),
            (_, false) => None,
        };
        let opening = Opening {
            direction: Direction::Outbound,
            agent: Some(agent.name.clone()),
            context: request.context.clone(),
            message,
            consent: None,
            back: None,
        };
        Ok((to, opening))
    }

    async fn dial(&self, (by, origin): (&str, &str), to: String, opening: Opening) -> Result<Placed, RefusedOutbound> {
        let store = self.store.as_ref().ok_or(RefusedOutbound::NoDatabase)?;
        let from = self.number.clone().ok_or(CarrierError::Malformed)?;
        // It counts before it rings: of many at the same time, no more than allowed get through.
        let counted = AuditEvent {
            actor: actor(by),
            action: "outbound-call",
            subject: "",
            outcome: "counted",
            detail: &masked(&to),
            origin,
        };
        let counted = store.audit_within(&counted, self.rules.per_day).await;
        if !counted.map_err(|_| RefusedOutbound::NoDatabase)? {
            return Err(RefusedOutbound::TooMany);
        }
        let id = self.keep_outgoing(opening);
        let call = NewCall {
            to,
            from,
            url: format!("{}/voice/outgoing?id={id}", self.base),
            status_callback: format!("{}/voice/status", self.base),
            answered_by: Some(format!("{}/voice/amd", self.base)),
            ring: RING,
            time_limit: TIME_LIMIT,
        };
        match self.carrier.create_call(call).await {
            Ok(call_sid) => {
                tracing::info!(call = call_sid, "call {call_sid} is placed");
                Ok(Placed { call_sid })
            }
            Err(error) => {
                // It may ring all the same, although the carrier does not list it: then it is answered as it should be.
                if !error.may_be_done() {
                    self.drop_outgoing(&id);
                }
                Err(error.into())
            }
        }
    }
}

impl RefusedOutbound {
    /// Lower-case name for records.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotANumber => "not-a-number",
            Self::NoAgent => "no-agent",
            Self::NoMessage => "no-message",
            Self::TooMuchContext => "too-much-context",
            Self::NotAllowed => "not-allowed",
            Self::QuietHours => "quiet-hours",
            Self::TooMany => "too-many",
            Self::NoDatabase => "no-database",
            Self::Carrier(_) => "carrier",
        }
    }
}

/// What a message's template sees.
fn context(given: &Map<String, Value>) -> Context {
    Context::from_serialize(serde_json::json!({ "context": given }))
}

fn actor(name: &str) -> &str {
    if name.trim().is_empty() { "unknown" } else { name }
}

/// How long a telephone rings before we give up.
const RING: Duration = Duration::from_secs(30);
/// No call that we place lasts longer, whatever else fails.
const TIME_LIMIT: Duration = Duration::from_secs(3_600);
/// Bytes of JSON.
const MOST_CONTEXT: usize = 16 * 1024;
