//! The web side: Twilio's webhooks, the media socket, the trace of a call, health, the management API.

mod api;
mod fallback;
mod health;
mod incoming;
mod media;
mod signed;
mod trace;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use url::Url;

use crate::call::driver::Services;
use crate::call::registry::Registry;
use crate::config::Secret;

pub use api::Api;
pub use health::{Health, Probe};

/// What the handlers share.
pub struct App {
    /// For the calls.
    pub services: Services,
    /// All calls.
    pub registry: Arc<Registry>,
    /// Twilio account and token, if configured.
    pub twilio: TwilioAccount,
    /// How Twilio reaches this server, if it differs from the `Host` it sends.
    pub public_url: Option<Url>,
    /// Whether the LLM endpoint answers.
    pub probe: Probe,
    /// What the management API keeps.
    pub api: Api,
}

/// Whose calls are answered.
#[derive(Debug, Clone, Default)]
pub struct TwilioAccount {
    /// Only this account's, if set.
    pub account_sid: Option<String>,
    /// Only requests signed with this, if set.
    pub auth_token: Option<Secret>,
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/voice/incoming", post(incoming::incoming))
        .route("/api/phone/incoming", post(incoming::incoming))
        .route("/voice/fallback", post(fallback::fallback))
        .route("/voice/stream", get(media::stream))
        .route("/voice/trace/{call_sid}", get(trace::trace))
        .route("/voice/health", get(health::health))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .merge(api::router(&app))
        .with_state(app)
}

/// A `TwiML` answer.
fn twiml(document: String) -> Response {
    (
        [
            (header::CONTENT_TYPE, "text/xml; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
        ],
        document,
    )
        .into_response()
}

/// A refusal with a reason that holds nothing of the request.
fn refuse(status: StatusCode, reason: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], reason).into_response()
}

/// Twilio's forms have some twenty short fields.
const MAX_BODY: usize = 64 * 1024;
