//! The web side: Twilio's webhooks, the media socket, the trace of a call, health, the management API.

mod api;
mod fallback;
mod headers;
mod health;
mod identity;
mod incoming;
mod lines;
mod media;
mod queue;
mod recorded;
mod refusals;
mod signed;
mod status;
pub mod tls;
mod trace;
mod transfer;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use url::Url;

use crate::call::driver::Services;
use crate::call::progress::Progress;
use crate::call::recorded::Recorder;
use crate::call::registry::Registry;
use crate::config::{ApiLimits, Secret};
use crate::privacy::egress::Egress;
use crate::twilio::signature::Algorithm;

pub use api::Api;
pub use health::{Health, Probe};
pub use identity::{Identity, stand_in};
pub use lines::Lines;
pub use queue::Waiting;
pub use refusals::Refusals;

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
    /// What may be contacted, and how often it was.
    pub egress: Egress,
    /// Other carriers.
    pub lines: Lines,
    /// What the management API keeps.
    pub api: Api,
    /// More addresses like `public_url`.
    pub also_public: Vec<Url>,
    /// What Twilio reports of calls beside their streams.
    pub progress: Progress,
    /// Who holds calls turn by turn, where media streams cannot be used.
    pub recorder: Option<Arc<Recorder>>,
    /// Callers that wait for a free line.
    pub waiting: Waiting,
    /// Which refusals are written down.
    pub refusals: Refusals,
}

impl App {
    /// What a server has at least: it answers Twilio alone, at the address that requests name. The rest is for whoever has it to set.
    ///
    /// # Errors
    ///
    /// If the client that asks the LLM endpoint cannot be set up.
    pub fn new(services: Services, registry: Arc<Registry>, twilio: TwilioAccount, limits: &ApiLimits) -> Self {
        Self {
            services,
            registry,
            twilio,
            public_url: None,
            probe: Probe::default(),
            egress: Egress::default(),
            lines: Lines::default(),
            api: Api::new(limits),
            also_public: Vec::new(),
            progress: Progress::new(),
            recorder: None,
            waiting: Waiting::default(),
            refusals: Refusals::default(),
        }
    }
}

/// Whose calls are answered, and how their requests prove themselves. By default none does.
#[derive(Debug, Clone, Default)]
pub struct TwilioAccount {
    /// Only this account's, if set.
    pub account_sid: Option<String>,
    /// What requests are signed with: the auth token, or the shared key.
    pub auth_token: Option<Secret>,
    /// Another key that is as good: the one before or after it, or the one of callers on this machine.
    pub other_key: Option<Secret>,
    /// By which algorithm. A request does not choose it.
    pub algorithm: Algorithm,
    /// Takes requests without a signature. For development and tests.
    pub unverified: bool,
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let identity = Identity::random();
    let routes = Router::new()
        .route("/voice/incoming", post(incoming::incoming))
        .route("/api/phone/incoming", post(incoming::incoming))
        .route("/voice/fallback", post(fallback::fallback))
        .route("/voice/whisper", post(transfer::whisper))
        .route("/voice/accept", post(transfer::accept))
        .route("/voice/after-transfer", post(transfer::after_transfer))
        .route("/voice/outgoing", post(transfer::outgoing))
        .route("/voice/stream-ended", post(fallback::fallback))
        .route("/voice/stream-status", post(status::stream))
        .route("/voice/status", post(status::call))
        .route("/api/phone/status", post(status::call))
        .route("/voice/amd", post(status::answered))
        .route("/voice/recording-status", post(status::recording))
        .route("/voice/queue", post(queue::queue))
        .route("/voice/stream", get(media::stream))
        .route("/voice/process-speech", post(recorded::process_speech))
        .route("/api/phone/process-speech", post(recorded::process_speech))
        .route("/voice/audio/{file}", get(recorded::audio))
        .route("/voice/trace/{call_sid}", get(trace::trace))
        .route("/voice/health", get(health::health))
        .route("/voice/identity", get(move || async move { Json(identity) }))
        .merge(lines::routes())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .merge(api::router(&app));
    headers::guarded(routes).with_state(app)
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
