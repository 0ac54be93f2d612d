//! `/api/calls`: the record of calls.

#![expect(unused_qualifications, reason = "utoipa writes the path of the query's type in full")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::extract::{Id, Query};
use super::problem::Problem;
use super::{mask, page, store};
use crate::http::App;
use crate::store::{Call, CallFilter, Record, RecordedCall, Scope, ToolRun, Turn};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .needs(Scope::Read, routes!(list))
        .needs(Scope::Read, routes!(get))
}

/// A call without its turns.
#[derive(Serialize, ToSchema)]
pub(super) struct CallSummary {
    /// The carrier's id of the call.
    pub(super) call_sid: String,
    /// Who called, E.164; masked but for two digits without the scope `phi`. Null if withheld.
    pub(super) from: Option<String>,
    /// Which number was called; masked alike.
    pub(super) to: Option<String>,
    /// The agent that answered.
    pub(super) agent: String,
    /// Whether it lasts.
    pub(super) status: CallState,
    /// When it began.
    pub(super) started_at: Timestamp,
    /// When it ended; null while it lasts, or if the server died in it.
    pub(super) ended_at: Option<Timestamp>,
    /// How it ended, in a word, such as `caller` or `goodbye`.
    pub(super) outcome: Option<String>,
    /// Its content was deleted for good: this is all that is left.
    pub(super) deleted: bool,
}

/// Whether a call lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CallState {
    /// It has no end yet.
    InProgress,
    /// It has ended.
    Completed,
}

impl CallState {
    /// As in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
        }
    }
}

impl CallSummary {
    pub(super) fn new(call: Call, phi: bool) -> Self {
        Self {
            call_sid: call.call_sid,
            from: mask::number(call.from, phi),
            to: mask::number(call.to, phi),
            agent: call.agent,
            status: if call.ended_at.is_some() {
                CallState::Completed
            } else {
                CallState::InProgress
            },
            started_at: call.started_at,
            ended_at: call.ended_at,
            outcome: call.outcome,
            deleted: call.shredded,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallQuery {
    /// Begun then or later, RFC 3339.
    #[param(format = DateTime, nullable = false)]
    from: Option<String>,
    /// Begun before, RFC 3339.
    #[param(format = DateTime, nullable = false)]
    to: Option<String>,
    /// Answered by this agent.
    #[param(nullable = false, min_length = 1, max_length = 200, pattern = "^[a-z0-9-]+$")]
    agent: Option<String>,
    /// Ended this way.
    #[param(nullable = false, min_length = 1, max_length = 200, pattern = "^[a-z0-9-]+$")]
    outcome: Option<String>,
    /// Ended, or not.
    #[param(inline, nullable = false)]
    status: Option<CallState>,
    /// Items of one page.
    #[param(minimum = 1, maximum = 200, default = 50, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// A page of calls, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CallList {
    items: Vec<CallSummary>,
    /// Ask with it for the next page; null on the last.
    next_cursor: Option<String>,
}

/// List calls
///
/// The newest first. Numbers are masked without the scope `phi`.
#[utoipa::path(get, path = "/api/calls", tag = "calls", operation_id = "list_calls", params(CallQuery),
    responses((status = 200, body = CallList, description = "A page of calls")))]
async fn list(
    State(app): State<Arc<App>>,
    principal: Principal,
    Query(query): Query<CallQuery>,
) -> Result<Json<CallList>, Problem> {
    let (limit, after) = page::bounds(query.limit, query.cursor.as_deref())?;
    let filter = CallFilter {
        from: page::time("from", query.from.as_deref())?,
        to: page::time("to", query.to.as_deref())?,
        agent: page::word("agent", query.agent)?,
        outcome: page::word("outcome", query.outcome)?,
        ended: query.status.map(|status| status == CallState::Completed),
        // No number may be in a URL.
        caller: None,
    };
    let store = store(&app)?;
    let phi = principal.may(Scope::Phi);
    if phi {
        audit::note(store, &principal, Act::Read, "calls", None).await?;
    }
    let found = store.list_calls(&filter, after.as_ref(), limit).await?;
    Ok(Json(CallList {
        items: found
            .items
            .into_iter()
            .map(|call| CallSummary::new(call, phi))
            .collect(),
        next_cursor: found.next.as_ref().map(page::encode),
    }))
}

/// A call with all that was kept of it.
#[derive(Serialize, ToSchema)]
pub(super) struct CallDetail {
    call: CallSummary,
    /// By number; 0 is the greeting.
    turns: Vec<TurnView>,
    /// The tools that were run, in order.
    tools: Vec<ToolView>,
}

/// One turn of a call.
#[derive(Serialize, ToSchema)]
pub(super) struct TurnView {
    /// Within the call.
    number: u32,
    /// What the caller said, as transcribed. Only with the scope `phi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    said: Option<String>,
    /// What the caller is known to have heard of the answer. Only with the scope `phi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    heard: Option<String>,
    /// How it ended, in a word.
    outcome: String,
    /// Where its time went, in milliseconds by stage.
    #[schema(value_type = Object)]
    ledger: Value,
}

impl TurnView {
    fn new(turn: Turn, phi: bool) -> Self {
        Self {
            number: turn.number,
            said: phi.then_some(turn.said),
            heard: phi.then_some(turn.heard),
            outcome: turn.outcome,
            ledger: turn.ledger,
        }
    }
}

/// One run of a tool.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolView {
    /// The turn it belongs to.
    turn: u32,
    /// Its name.
    tool: String,
    /// What it was asked, by parameter. Only with the scope `phi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, nullable = false)]
    args: Option<Value>,
    /// What came of it, in a word.
    outcome: String,
    /// How long it took, in milliseconds.
    duration_ms: u32,
}

impl ToolView {
    fn new(run: ToolRun, phi: bool) -> Self {
        Self {
            turn: run.turn,
            tool: run.tool,
            args: phi.then_some(run.args),
            outcome: run.outcome,
            duration_ms: run.duration_ms,
        }
    }
}

/// Get a call
///
/// With its turns, where their time went, and the tools that were run. What was said and asked is there only with the scope `phi`.
#[utoipa::path(get, path = "/api/calls/{call_sid}", tag = "calls", operation_id = "get_call",
    params(("call_sid" = String, Path, example = "CA00000000000000000000000000000001", pattern = "^[A-Za-z0-9_:-]{1,128}$", description = "The carrier's id of the call")),
    responses((status = 200, body = CallDetail, description = "The call"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such call"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "It was deleted for good")))]
async fn get(State(app): State<Arc<App>>, principal: Principal, Id(call_sid): Id) -> Result<Json<CallDetail>, Problem> {
    let store = store(&app)?;
    let phi = principal.may(Scope::Phi);
    if phi {
        audit::note(store, &principal, Act::Read, "call", Some(&call_sid)).await?;
    }
    let found = store.call(&call_sid).await?;
    let Some(RecordedCall { call, turns, tool_runs }) = found.filter(|found| !found.call.shredded) else {
        return Err(Problem::absent(store, Record::Call(&call_sid), "call").await);
    };
    Ok(Json(CallDetail {
        call: CallSummary::new(call, phi),
        turns: turns.into_iter().map(|turn| TurnView::new(turn, phi)).collect(),
        tools: tool_runs.into_iter().map(|run| ToolView::new(run, phi)).collect(),
    }))
}
