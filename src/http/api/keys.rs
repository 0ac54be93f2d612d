//! `/api/keys`: the keys themselves. They are made by `tieline keys create` only: no key makes another.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::extract::Id;
use super::problem::Problem;
use super::store;
use crate::http::App;
use crate::store::{ApiKey, Scope};

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .needs(Scope::Admin, routes!(list))
        .needs(Scope::Admin, routes!(revoke))
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyView {
    /// The part of the key after `tl_`.
    id: String,
    /// What people call it.
    name: String,
    /// What it may be used for.
    scopes: BTreeSet<ScopeName>,
    created_at: Timestamp,
    /// When it ends by itself, if ever.
    expires_at: Option<Timestamp>,
    /// When it was taken back.
    revoked_at: Option<Timestamp>,
    /// To the minute.
    last_used_at: Option<Timestamp>,
}

/// What a key may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ScopeName {
    /// See calls and agents, without what was said and with numbers masked.
    Read,
    /// Place calls, and hang up, transfer or speak in those there are.
    Operate,
    /// See and revoke keys; includes `read` and `operate`.
    Admin,
    /// See and change what is known of people.
    Phi,
    /// See the audit trail.
    Audit,
    /// Take `phi` for a while, with a reason.
    BreakGlass,
}

impl From<Scope> for ScopeName {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Operate => Self::Operate,
            Scope::Admin => Self::Admin,
            Scope::Phi => Self::Phi,
            Scope::Audit => Self::Audit,
            Scope::BreakGlass => Self::BreakGlass,
        }
    }
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes.into_iter().map(Into::into).collect(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// All keys.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyList {
    /// The oldest first; revoked and expired ones too.
    items: Vec<KeyView>,
}

/// List keys
#[utoipa::path(get, path = "/api/keys", tag = "keys", operation_id = "list_keys",
    responses((status = 200, body = KeyList, description = "All keys, without their secrets")))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<KeyList>, Problem> {
    let keys = store(&app)?.api_keys().await?;
    Ok(Json(KeyList {
        items: keys.into_iter().map(Into::into).collect(),
    }))
}

/// Revoke a key
///
/// At once and for good. A key may revoke itself.
#[utoipa::path(post, path = "/api/keys/{id}/revoke", tag = "keys", operation_id = "revoke_key",
    params(("id" = String, Path, example = "0123456789ab", pattern = "^[A-Za-z0-9_-]{1,64}$", description = "The key's id")),
    responses((status = 200, body = KeyView, description = "The key, which is not good any more"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such key")))]
async fn revoke(State(app): State<Arc<App>>, principal: Principal, Id(id): Id) -> Result<Json<KeyView>, Problem> {
    let store = store(&app)?;
    let revoked = store.revoke_api_key(&id).await?;
    let key = revoked.ok_or_else(|| Problem::not_found("key"))?;
    audit::noted(store, &principal, Act::RevokeKey, "key", &id).await;
    Ok(Json(key.into()))
}
