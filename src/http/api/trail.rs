//! `/api/audit`: who did what to what, from where.

#![expect(unused_qualifications, reason = "utoipa writes the path of the query's type in full")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::extract::Query;
use super::problem::Problem;
use super::{page, store};
use crate::http::App;
use crate::store::{AuditFilter, AuditRecord, Scope};

pub(super) fn routes(routes: Routes) -> Routes {
    routes.needs(Scope::Audit, routes!(list))
}

/// Something that was written down.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditView {
    /// In the order of writing, from 1, without gaps.
    seq: i64,
    at: Timestamp,
    /// Who: a key, `agent`, `person`, `carrier`, `server`, or who ran a command.
    actor: String,
    /// What.
    #[schema(example = "api-read")]
    action: String,
    /// To what: a call's id, a key's id, what stands for a customer; or empty.
    subject: String,
    /// What came of it.
    #[schema(example = "allowed")]
    outcome: String,
    /// More of it.
    detail: String,
    /// From where: an address, `command line on …`, `call`, a line.
    origin: String,
    /// The MAC that chains it to the event before, in hexadecimal.
    mac: String,
}

impl From<AuditRecord> for AuditView {
    fn from(record: AuditRecord) -> Self {
        Self {
            seq: record.seq,
            at: record.at,
            actor: record.actor,
            action: record.action,
            subject: record.subject,
            outcome: record.outcome,
            detail: record.detail,
            origin: record.origin,
            mac: record.mac,
        }
    }
}

/// A page of the audit trail, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditList {
    items: Vec<AuditView>,
    /// Ask with it for the next page; null on the last.
    next_cursor: Option<String>,
    /// Where the trail ends: number and MAC. Keep it elsewhere, for `tieline data audit verify --anchor`.
    head: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Of this action.
    #[param(nullable = false, min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
    action: Option<String>,
    /// Of this subject.
    #[param(nullable = false, min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_:/-]+$")]
    subject: Option<String>,
    /// With this outcome.
    #[param(nullable = false, min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
    outcome: Option<String>,
    /// Items of one page.
    #[param(minimum = 1, maximum = 200, default = 50, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false, pattern = "^[0-9]{1,18}$")]
    cursor: Option<String>,
}

/// List the audit trail
///
/// The newest first. That it was read is in it, too.
#[utoipa::path(get, path = "/api/audit", tag = "audit", operation_id = "list_audit", params(AuditQuery),
    responses((status = 200, body = AuditList, description = "A page of the audit trail")))]
async fn list(
    State(app): State<Arc<App>>,
    principal: Principal,
    Query(query): Query<AuditQuery>,
) -> Result<Json<AuditList>, Problem> {
    let (limit, _) = page::bounds(query.limit, None)?;
    let filter = AuditFilter {
        action: page::word("action", query.action)?.unwrap_or_default(),
        subject: subject(query.subject)?,
        outcome: page::word("outcome", query.outcome)?.unwrap_or_default(),
        before: query.cursor.as_deref().map(before).transpose()?,
    };
    let store = store(&app)?;
    audit::note(store, &principal, Act::Read, "audit trail", None).await?;
    let found = store.audit_page(&filter, limit).await?;
    let head = store.audit_head().await?;
    let is_full = found.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let last = found.last().map(|record| record.seq.to_string());
    Ok(Json(AuditList {
        items: found.into_iter().map(Into::into).collect(),
        next_cursor: last.filter(|_| is_full),
        head: head.to_string(),
    }))
}

fn subject(text: Option<String>) -> Result<String, Problem> {
    let Some(text) = text else { return Ok(String::new()) };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'/');
    if (1..=200).contains(&text.len()) && text.bytes().all(good) {
        return Ok(text);
    }
    Err(Problem::bad_request(
        "subject",
        "subject is not 1 to 200 letters, digits, -, _, : or /",
        "Write it as the answers have it",
    ))
}

fn before(cursor: &str) -> Result<i64, Problem> {
    let digits = cursor.len() <= 18 && cursor.bytes().all(|byte| byte.is_ascii_digit());
    cursor.parse().ok().filter(|_| digits).ok_or_else(|| {
        let remedy = "Use next_cursor of the page before, as it is, or leave cursor out";
        Problem::bad_request("cursor", "cursor is not one of ours", remedy)
    })
}
