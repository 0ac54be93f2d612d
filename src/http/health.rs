//! `GET /voice/health`: what is configured, and whether calls can be served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::dialog::llm::LlmClient;
use crate::http::App;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Health {
    status: &'static str,
    service: &'static str,
    version: &'static str,
    configured: Configured,
    active_calls: usize,
    max_calls: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Configured {
    llm: bool,
    twilio: bool,
    stt: bool,
    tts: bool,
}

/// Asks the LLM endpoint whether it is there, at most once in a while.
#[derive(Debug, Default)]
pub struct Probe {
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Probe {
    /// The state of the endpoint, at most a few seconds old. Any HTTP answer counts: some servers have no `/models`.
    pub async fn llm(&self, llm: &LlmClient) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((_, state)) = last.as_ref().filter(|(at, _)| at.elapsed() < PROBE_AGE) {
            return state.clone();
        }
        let state = match llm.probe(PROBE_TIMEOUT).await {
            Ok(status) if status >= 500 => Err(format!("the LLM endpoint answers HTTP {status}")),
            Ok(_) => Ok(()),
            Err(_) => Err("the LLM endpoint cannot be reached; check LLM_BASE_URL".to_owned()),
        };
        // Anybody may read the answer: where the endpoint is, only the log tells, once for each fault.
        if let Err(reason) = &state
            && last.as_ref().is_none_or(|(_, before)| *before != state)
        {
            let url = llm.base_url();
            tracing::warn!(url, "{reason} ({url})");
        }
        *last = Some((now(), state.clone()));
        state
    }
}

pub(super) async fn health(State(app): State<Arc<App>>) -> Response {
    let mut reasons = Vec::new();
    // An agent with forms and answers of its own goes on without an LLM.
    let guided = app.services.staff.borrow().agents.default().guides();
    let mut impaired = Vec::new();
    match &app.services.mind.llm {
        None if guided => {}
        None => reasons.push("no LLM endpoint is configured; set LLM_BASE_URL or LLM_API_KEY".to_owned()),
        Some(llm) => {
            let faults = if guided { &mut impaired } else { &mut reasons };
            faults.extend(app.probe.llm(llm).await.err());
        }
    }
    let (stt, tts) = app.services.engine.alive();
    if stt == 0 {
        reasons.push("no speech-to-text worker is alive".to_owned());
    }
    if tts == 0 {
        reasons.push("no text-to-speech worker is alive".to_owned());
    }
    if app.registry.is_draining() {
        reasons.push("the server is draining".to_owned());
    }
    let usable = reasons.is_empty();
    reasons.append(&mut impaired);
    let healthy = reasons.is_empty();
    let health = Health {
        status: if healthy { "healthy" } else { "degraded" },
        service: "tieline",
        version: env!("CARGO_PKG_VERSION"),
        configured: Configured {
            llm: app.services.mind.llm.is_some(),
            twilio: app.twilio.auth_token.is_some(),
            stt: stt > 0,
            tts: tts > 0,
        },
        active_calls: app.registry.live(),
        max_calls: app.registry.max_calls(),
        reasons,
    };
    let status = if usable {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

#[expect(
    clippy::disallowed_methods,
    reason = "how old a probe is, is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const PROBE_AGE: Duration = Duration::from_secs(5);
