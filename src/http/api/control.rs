//! `/api/calls/{call_sid}/…`: what can be done with a live call.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::extract::{Body, Id};
use super::problem::Problem;
use super::store;
use crate::call::command::{Command, CommandError};
use crate::http::App;
use crate::store::Scope;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .needs(Scope::Operate, routes!(hangup))
        .needs(Scope::Operate, routes!(transfer))
        .needs(Scope::Operate, routes!(say))
}

/// The call was told; it is done soon after, in its turn.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Which call.
    pub(super) call_sid: String,
}

/// Where to transfer a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransferRequest {
    /// E.164, one of `TRANSFER_NUMBERS`. Without it: where the agent hands over to.
    #[serde(default)]
    #[schema(pattern = r"^\+[1-9][0-9]{6,14}$")]
    to: Option<String>,
}

/// What to say in a call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SayRequest {
    /// Plain text, said as soon as nobody has the floor.
    #[schema(min_length = 1, max_length = 1000)]
    text: String,
}

/// Hang up
///
/// Ends a live call, in order: its record is finished.
#[utoipa::path(post, path = "/api/calls/{call_sid}/hangup", tag = "calls", operation_id = "hang_up",
    params(("call_sid" = String, Path, example = "CA00000000000000000000000000000001", pattern = "^[A-Za-z0-9_:-]{1,128}$", description = "The carrier's id of the call")),
    responses((status = 202, body = Accepted, description = "The call was told"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such call")))]
async fn hangup(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(call_sid): Id,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    order(&app, &principal, call_sid, Act::HangUp, Command::HangUp).await
}

/// Transfer
///
/// Hands the caller of a live call over to a person. The destination must be on the server's list.
#[utoipa::path(post, path = "/api/calls/{call_sid}/transfer", tag = "calls", operation_id = "transfer",
    params(("call_sid" = String, Path, example = "CA00000000000000000000000000000001", pattern = "^[A-Za-z0-9_:-]{1,128}$", description = "The carrier's id of the call")), request_body = TransferRequest,
    responses((status = 202, body = Accepted, description = "The call was told"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such call")))]
async fn transfer(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(call_sid): Id,
    Body(request): Body<TransferRequest>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let to = request.to.map(|to| super::e164("to", &to)).transpose()?;
    order(&app, &principal, call_sid, Act::Transfer, Command::Transfer { to }).await
}

/// Say
///
/// Has the agent of a live call say something.
#[utoipa::path(post, path = "/api/calls/{call_sid}/say", tag = "calls", operation_id = "say",
    params(("call_sid" = String, Path, example = "CA00000000000000000000000000000001", pattern = "^[A-Za-z0-9_:-]{1,128}$", description = "The carrier's id of the call")), request_body = SayRequest,
    responses((status = 202, body = Accepted, description = "The call was told"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such call")))]
async fn say(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(call_sid): Id,
    Body(request): Body<SayRequest>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let text = request.text.trim();
    if text.is_empty() || text.chars().count() > MAX_SAID {
        let detail = format!("text is empty or longer than {MAX_SAID} characters");
        return Err(Problem::bad_field("text", detail, "Send a sentence or two"));
    }
    order(&app, &principal, call_sid, Act::Say, Command::Say(text.to_owned())).await
}

/// Tells a live call to do something, and writes down who did.
pub(super) async fn order(
    app: &App,
    principal: &Principal,
    call_sid: String,
    act: Act,
    command: Command,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    audit::note(store(app)?, principal, act, "call", Some(&call_sid)).await?;
    app.registry.command(&call_sid, command).map_err(|error| match error {
        CommandError::NotLive => Problem::not_found("live call"),
        CommandError::Busy => Problem::unavailable("The call is busy with other commands", "Try again in a moment"),
    })?;
    tracing::info!(
        call = call_sid,
        key = principal.key.id,
        "API key {}: {} in call {call_sid}",
        principal.key.id,
        act.name()
    );
    Ok((StatusCode::ACCEPTED, Json(Accepted { call_sid })))
}

/// A minute of speech.
const MAX_SAID: usize = 1000;
