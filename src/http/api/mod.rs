//! The management API: bearer keys, JSON, described by an OpenAPI document that is made of this code.
//!
//! Each route names the scope it needs where it is added ([`access::Routes`]); without one it cannot be. Errors are RFC 9457.

mod access;
mod agents;
mod audit;
mod calls;
mod control;
mod customers;
mod docs;
mod events;
mod extract;
mod glass;
mod idempotency;
mod keys;
mod limits;
mod mask;
mod orders;
mod page;
mod phone;
mod problem;
mod recordings;
mod trail;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use tokio::sync::Semaphore;

use crate::config::ApiLimits;
use crate::http::App;
use crate::store::{Store, phone as e164_form};
use access::Routes;
use limits::Limits;
use problem::Problem;

/// What the API keeps between requests.
pub struct Api {
    limits: Limits,
    /// One for each stream of events that may be open.
    watchers: Arc<Semaphore>,
    /// One for each recording that may be read at a time: each takes 1 MB of memory a minute.
    listeners: Arc<Semaphore>,
    /// The OpenAPI document, once the routes are known.
    document: OnceLock<Bytes>,
}

impl Api {
    /// Nobody has asked for anything yet.
    pub fn new(limits: &ApiLimits) -> Self {
        Self {
            limits: Limits::new(limits),
            watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            document: OnceLock::new(),
        }
    }
}

/// All routes of the API, each with its scope.
pub(super) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = Routes::new(Arc::clone(app), docs::frame());
    let routes = [
        phone::routes,
        calls::routes,
        control::routes,
        recordings::routes,
        customers::routes,
        orders::routes,
        agents::routes,
        events::routes,
        keys::routes,
        glass::routes,
        trail::routes,
        docs::routes,
    ]
    .into_iter()
    .fold(routes, |routes, add| add(routes));
    let (router, document) = routes.split();
    let document = serde_json::to_vec_pretty(&document).expect("invariant: the document is JSON");
    // Set once for each server.
    let _ = app.api.document.set(document.into());
    let nothing = || axum::routing::any(async || Problem::no_route());
    router.route("/api/", nothing()).route("/api/{*path}", nothing())
}

fn store(app: &App) -> Result<&Store, Problem> {
    let remedy = "Start the server with a database: set DATABASE_URL";
    let store = app.services.store.as_ref();
    store.ok_or_else(|| Problem::unavailable("This server has no database", remedy))
}

/// A telephone number in E.164, without spaces and the like.
fn e164(field: &str, text: &str) -> Result<String, Problem> {
    e164_form(text).filter(|plain| plain == text).ok_or_else(|| {
        let detail = format!("{field} is not a telephone number in E.164 form");
        Problem::bad_field(
            field,
            detail,
            "Write + and 7 to 15 digits, country code first: +15551234567",
        )
    })
}

/// Requests are a few hundred bytes.
const MAX_BODY: usize = 64 * 1024;
/// A console or two for each person who looks.
const MAX_WATCHERS: usize = 32;
/// Few people listen, one call at a time each.
const MAX_LISTENERS: usize = 4;
