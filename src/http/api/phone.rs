//! `/api/phone`: live calls, the state of one, and placing them, under the paths the old guides have.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::calls::CallSummary;
use super::extract::{Body, Id};
use super::problem::Problem;
use super::{e164, mask, store};
use crate::call::opening::Direction;
use crate::call::outgoing::{OutboundRequest, RefusedOutbound};
use crate::call::registry::LiveInfo;
use crate::http::App;
use crate::store::{Call, CallState, Scope};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .needs(Scope::Read, routes!(active_calls))
        .needs(Scope::Read, routes!(call_status))
        .needs(Scope::Operate, routes!(outbound_call))
}

/// A call that is live on this server.
#[derive(Serialize, ToSchema)]
pub(super) struct ActiveCall {
    /// The carrier's id of the call.
    call_sid: String,
    /// Who calls; masked but for two digits without the scope `phi`.
    from: Option<String>,
    /// Who is called; masked alike.
    to: Option<String>,
    /// The agent that began the conversation; null in the first moment.
    agent: Option<String>,
    direction: CallDirection,
    /// When its audio stream opened.
    started_at: Timestamp,
    /// Since then.
    duration_seconds: u64,
}

/// Who placed a call.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum CallDirection {
    /// Somebody called us.
    Inbound,
    /// We called somebody.
    Outbound,
}

/// Live calls of this server.
#[derive(Serialize, ToSchema)]
pub(super) struct ActiveCalls {
    /// How many there are.
    count: usize,
    /// How many there may be.
    max_calls: usize,
    /// The oldest first.
    active_calls: Vec<ActiveCall>,
}

impl ActiveCall {
    fn new(live: LiveInfo, now: Timestamp, phi: bool) -> Self {
        Self {
            call_sid: live.call_sid,
            from: mask::number(live.from, phi),
            to: mask::number(live.to, phi),
            agent: live.agent,
            direction: match live.direction {
                Direction::Inbound => CallDirection::Inbound,
                Direction::Outbound => CallDirection::Outbound,
            },
            started_at: live.since,
            duration_seconds: seconds(live.since, now),
        }
    }
}

/// List live calls
///
/// Those whose audio is connected to this server now.
#[utoipa::path(get, path = "/api/phone/active-calls", tag = "calls", operation_id = "active_calls",
    responses((status = 200, body = ActiveCalls, description = "Live calls of this server")))]
async fn active_calls(State(app): State<Arc<App>>, principal: Principal) -> Result<Json<ActiveCalls>, Problem> {
    let phi = principal.may(Scope::Phi);
    if phi {
        audit::note(store(&app)?, &principal, Act::Read, "live calls", None).await?;
    }
    let now = Timestamp::now();
    let live = app.registry.live_calls();
    Ok(Json(ActiveCalls {
        count: live.len(),
        max_calls: app.registry.max_calls(),
        active_calls: live.into_iter().map(|call| ActiveCall::new(call, now, phi)).collect(),
    }))
}

/// How a call stands: what its stream tells, and what the carrier reports.
#[derive(Serialize, ToSchema)]
pub(super) struct CallStatus {
    /// The carrier's id of the call.
    call_sid: String,
    /// The carrier's word if it reported one: `queued`, `initiated`, `ringing`, `in-progress`, `completed`, `busy`, `no-answer`,
    /// `canceled` or `failed`; else whether the stream lasts.
    #[schema(example = "in-progress")]
    status: String,
    /// Who calls; masked but for two digits without the scope `phi`.
    from: Option<String>,
    /// Who is called; masked alike.
    to: Option<String>,
    /// Who answered; null if there was no stream.
    agent: Option<String>,
    /// When the stream began.
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    /// As the carrier counts; else from the stream's begin to its end, or to now.
    duration_seconds: Option<u64>,
    /// How the stream ended, in a word.
    outcome: Option<String>,
    /// Who took a call that we placed, as the carrier hears it, such as `human` or `machine_end_beep`.
    answered_by: Option<String>,
    cost: Option<Cost>,
}

/// What the carrier charges.
#[derive(Serialize, ToSchema)]
pub(super) struct Cost {
    /// Millionths of the currency's unit.
    micros: i64,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: String,
}

impl CallStatus {
    fn new(call_sid: String, call: Option<Call>, told: CallState, phi: bool) -> Self {
        let call = call.map(|call| CallSummary::new(call, phi));
        let streamed = call.as_ref().map(|call| {
            let until = call.ended_at.unwrap_or_else(Timestamp::now);
            (call.status.name(), seconds(call.started_at, until))
        });
        let told_status = told.status.map(|status| status.name());
        let status = told_status
            .or_else(|| streamed.map(|(status, _)| status))
            .unwrap_or("unknown");
        let counted = told.duration_s.map(u64::from);
        Self {
            call_sid,
            status: status.to_owned(),
            duration_seconds: counted.or_else(|| streamed.map(|(_, seconds)| seconds)),
            started_at: call.as_ref().map(|call| call.started_at),
            ended_at: call.as_ref().and_then(|call| call.ended_at),
            from: call.as_ref().and_then(|call| call.from.clone()),
            to: call.as_ref().and_then(|call| call.to.clone()),
            outcome: call.as_ref().and_then(|call| call.outcome.clone()),
            agent: call.map(|call| call.agent),
            answered_by: told.answered_by.map(|by| by.name().to_owned()),
            cost: told.price.map(|price| Cost {
                micros: price.micros,
                currency: price.currency().to_owned(),
            }),
        }
    }
}

/// Get a call's status
///
/// Of any call the carrier reported or that had a stream, on any server of the database.
#[utoipa::path(get, path = "/api/phone/call-status/{call_sid}", tag = "calls", operation_id = "call_status",
    params(("call_sid" = String, Path, example = "CA00000000000000000000000000000001", pattern = "^[A-Za-z0-9_:-]{1,128}$", description = "The carrier's id of the call")),
    responses((status = 200, body = CallStatus, description = "How the call stands"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such call")))]
async fn call_status(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(call_sid): Id,
) -> Result<Json<CallStatus>, Problem> {
    let store = store(&app)?;
    let phi = principal.may(Scope::Phi);
    if phi {
        audit::note(store, &principal, Act::Read, "call", Some(&call_sid)).await?;
    }
    let told = store.call_state(&call_sid).await?;
    let told = told.ok_or_else(|| Problem::not_found("call"))?;
    let call = store.find_call(&call_sid).await?;
    Ok(Json(CallStatus::new(call_sid, call, told, phi)))
}

/// A call to be placed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OutboundCallRequest {
    /// Whom to call, E.164; `OUTBOUND_ALLOW` must name the number.
    #[schema(pattern = r"^\+[1-9][0-9]{6,14}$")]
    to: String,
    /// The agent that talks, one that places calls. Without it: the agent that answers by default.
    #[serde(default)]
    agent: Option<String>,
    /// What the agent is to know, for its templates; 16 KiB of JSON at most.
    #[serde(default)]
    #[schema(value_type = Object)]
    context: Map<String, Value>,
    /// Whether an answering machine is told the agent's message; otherwise it is hung up on.
    #[serde(default)]
    leave_message: bool,
}

/// A call that rings.
#[derive(Serialize, ToSchema)]
pub(super) struct PlacedCall {
    /// The carrier's id of the call.
    call_sid: String,
}

/// Place a call
///
/// Only to numbers on the server's list, in its hours, and so many in a day. Send an `Idempotency-Key`, so that a repetition does
/// not ring twice.
#[utoipa::path(post, path = "/api/phone/outbound-call", tag = "calls", operation_id = "outbound_call",
    request_body = OutboundCallRequest,
    responses((status = 201, body = PlacedCall, description = "The call rings"),
        (status = 502, body = Problem, content_type = "application/problem+json", description = "The carrier did not place it")))]
async fn outbound_call(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(request): Body<OutboundCallRequest>,
) -> Result<(StatusCode, Json<PlacedCall>), Problem> {
    let remedy = "Set PUBLIC_URL, TWILIO_ACCOUNT_SID, TWILIO_PHONE_NUMBER and TWILIO_AUTH_TOKEN or an API key";
    let switchboard = app.services.switchboard.as_ref();
    let switchboard = switchboard.ok_or_else(|| Problem::conflict("This server cannot place calls", remedy))?;
    let agents = Arc::clone(&app.services.staff.borrow().agents);
    let request = OutboundRequest {
        actor: audit::actor(&principal),
        origin: principal.origin.to_string(),
        to: e164("to", &request.to)?,
        agent: request.agent.unwrap_or_else(|| agents.default().name.clone()),
        context: request.context,
        leave_message: request.leave_message,
    };
    let placed = switchboard.place(&agents, request).await.map_err(refused)?;
    let call_sid = placed.call_sid;
    Ok((StatusCode::CREATED, Json(PlacedCall { call_sid })))
}

fn refused(refused: RefusedOutbound) -> Problem {
    let detail = refused.to_string();
    match refused {
        RefusedOutbound::NotANumber => Problem::bad_field("to", detail, "Write + and 7 to 15 digits"),
        RefusedOutbound::NoAgent => Problem::bad_field(
            "agent",
            detail,
            "Name one of /api/agents whose file has `[outgoing] allowed = true`",
        ),
        RefusedOutbound::NoMessage => Problem::bad_field(
            "leave_message",
            detail,
            "Give the agent's file a `message` in [outgoing]",
        ),
        RefusedOutbound::TooMuchContext => Problem::bad_field("context", detail, "Send less than 16 KiB"),
        RefusedOutbound::NotAllowed => Problem::bad_field("to", detail, "Add the number to OUTBOUND_ALLOW"),
        RefusedOutbound::QuietHours => Problem::conflict(detail, "Try again in OUTBOUND_HOURS"),
        RefusedOutbound::TooMany => Problem::conflict(detail, "Try again tomorrow, or raise OUTBOUND_PER_DAY"),
        RefusedOutbound::NoDatabase => Problem::unavailable(detail, "See the server's log"),
        RefusedOutbound::Carrier(error) if error.may_be_done() => Problem::timeout(),
        RefusedOutbound::Carrier(_) => Problem::carrier(detail),
    }
}

/// Whole seconds between two times; none if they are the wrong way round.
fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_second() - from.as_second()).unwrap_or(0)
}
