//! `/api/break-glass`: what is private, for a while, for a key that does not see it otherwise. With a reason, and never quietly.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::actor;
use super::extract::{Body, Id};
use super::problem::Problem;
use super::store;
use crate::http::App;
use crate::store::{Glass, Scope};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .needs(Scope::BreakGlass, routes!(take))
        .needs(Scope::Admin, routes!(list))
        .needs(Scope::Admin, routes!(revoke))
}

/// Why what is private is needed now, and for how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GlassRequest {
    /// For those who look at it afterwards. It is kept encrypted; it should not tell of a patient all the same.
    #[schema(min_length = 10, max_length = 500)]
    reason: String,
    #[schema(minimum = 1, maximum = 60)]
    minutes: u32,
}

/// One taking of `phi`.
#[derive(Serialize, ToSchema)]
pub(super) struct GlassView {
    id: String,
    /// The key that took it.
    key_id: String,
    reason: String,
    begun_at: Timestamp,
    /// When it ends by itself.
    ends_at: Timestamp,
    /// When it was taken back, if it was.
    revoked_at: Option<Timestamp>,
    /// Whether it holds now.
    is_open: bool,
}

impl From<Glass> for GlassView {
    fn from(glass: Glass) -> Self {
        Self {
            id: glass.id,
            key_id: glass.key_id,
            reason: glass.reason,
            begun_at: glass.begun_at,
            ends_at: glass.ends_at,
            revoked_at: glass.revoked_at,
            is_open: glass.is_open,
        }
    }
}

/// The newest 200.
#[derive(Serialize, ToSchema)]
pub(super) struct GlassList {
    /// How many hold now.
    open: usize,
    items: Vec<GlassView>,
}

/// Break the glass
///
/// Gives the key that asks the scope `phi` for some minutes, on all servers. It is in the audit trail, each record seen under it is marked there,
/// and the server's log warns of it.
#[utoipa::path(post, path = "/api/break-glass", tag = "break-glass", operation_id = "break_glass", request_body = GlassRequest,
    responses((status = 201, body = GlassView, description = "It holds from now on")))]
async fn take(
    State(app): State<Arc<App>>,
    principal: Principal,
    Body(request): Body<GlassRequest>,
) -> Result<(StatusCode, Json<GlassView>), Problem> {
    let reason = request.reason.trim();
    if !(SHORTEST..=LONGEST).contains(&reason.chars().count()) {
        let detail = format!("reason does not have {SHORTEST} to {LONGEST} characters");
        return Err(Problem::bad_field(
            "reason",
            detail,
            "Say in a sentence why it cannot wait",
        ));
    }
    if !(1..=MOST_MINUTES).contains(&request.minutes) {
        let detail = format!("minutes is not 1 to {MOST_MINUTES}");
        return Err(Problem::bad_field("minutes", detail, "Ask again when the time is over"));
    }
    if principal.key.scopes.contains(&Scope::Phi) {
        let remedy = "Just ask for what you need";
        return Err(Problem::conflict("This key has the scope phi anyway", remedy));
    }
    let lifetime = Duration::from_secs(u64::from(request.minutes) * 60);
    let glass = store(&app)?
        .break_glass(&principal.key, reason, lifetime, &principal.origin)
        .await?;
    tracing::warn!(
        key = glass.key_id,
        glass = glass.id,
        minutes = request.minutes,
        "BREAK-GLASS: API key {} sees what is private until {}; see /api/break-glass/list",
        glass.key_id,
        glass.ends_at
    );
    Ok((StatusCode::CREATED, Json(glass.into())))
}

/// List what was taken by break-glass
///
/// The newest first. Watch `open`: it should be 0.
#[utoipa::path(get, path = "/api/break-glass/list", tag = "break-glass", operation_id = "list_break_glass",
    responses((status = 200, body = GlassList, description = "The newest 200")))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<GlassList>, Problem> {
    let glasses = store(&app)?.glasses(LISTED).await?;
    Ok(Json(GlassList {
        open: glasses.iter().filter(|glass| glass.is_open).count(),
        items: glasses.into_iter().map(Into::into).collect(),
    }))
}

/// End a break-glass
///
/// At once, on all servers.
#[utoipa::path(post, path = "/api/break-glass/{id}/revoke", tag = "break-glass", operation_id = "revoke_break_glass",
    params(("id" = String, Path, example = "0123456789abcdef", pattern = "^[A-Za-z0-9_-]{1,64}$", description = "Its id")),
    responses((status = 200, body = GlassView, description = "It does not hold any more"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such break-glass")))]
async fn revoke(State(app): State<Arc<App>>, principal: Principal, Id(id): Id) -> Result<Json<GlassView>, Problem> {
    let revoked = store(&app)?
        .revoke_glass(&id, &actor(&principal), &principal.origin)
        .await?;
    let glass = revoked.ok_or_else(|| Problem::not_found("break-glass"))?;
    Ok(Json(glass.into()))
}

const SHORTEST: usize = 10;
const LONGEST: usize = 500;
const MOST_MINUTES: u32 = 60;
const LISTED: u32 = 200;
