//! `/api/calls/{call_sid}/recording`: what both sides of a call heard, and pausing it.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body as Bytes, Bytes as Piece};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::control::{Accepted, order};
use super::extract::{Body, Id};
use super::problem::Problem;
use super::store;
use crate::call::command::Command;
use crate::call::recording::{RecordingError, Wav};
use crate::http::App;
use crate::store::{Scope, Store};

pub(super) fn routes(routes: Routes) -> Routes {
    routes.needs_each((Scope::Phi, routes!(read)), (Scope::Operate, routes!(pause)))
}

/// Whether a live call is recorded at the moment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingRequest {
    /// What it is to be.
    state: WantedState,
}

/// What a recording is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WantedState {
    /// Silence, from here on.
    Paused,
    /// It goes on.
    On,
}

/// Hear a call
///
/// Its recording as WAV: 16 bits, 8 kHz, the caller left, the agent right. Of a live call, or one whose server was killed, what there is.
/// It is written to the audit trail before it is sent.
#[utoipa::path(get, path = "/api/calls/{call_sid}/recording", tag = "calls", operation_id = "get_recording",
    params(("call_sid" = String, Path, example = "CA00000000000000000000000000000001", pattern = "^[A-Za-z0-9_:-]{1,128}$", description = "The carrier's id of the call")),
    responses((status = 200, body = String, content_type = "audio/wav", description = "The recording"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no recording of such a call"),
        (status = 410, body = Problem, content_type = "application/problem+json", description = "It was deleted for good, and when")))]
async fn read(State(app): State<Arc<App>>, principal: Principal, Id(call_sid): Id) -> Result<Response, Problem> {
    audit::note(store(&app)?, &principal, Act::Read, "recording", Some(&call_sid)).await?;
    let listener = Arc::clone(&app.api.listeners).try_acquire_owned().map_err(|_| {
        let remedy = "Try again when one of them has been sent";
        Problem::unavailable("Too many recordings are being read", remedy)
    })?;
    let tape = match &app.services.recordings {
        None => None,
        Some(recordings) => {
            let read = recordings.read(&call_sid).await;
            read.map_err(|error| unreadable(&call_sid, error))?
        }
    };
    let Some(tape) = tape else {
        return Err(absent(store(&app)?, &call_sid).await);
    };
    let wav = Wav::new(tape.played);
    let length = HeaderValue::from(wav.len());
    let pieces = wav.map(move |piece| {
        // Until the last piece is sent, or nobody wants it any more.
        let _ = &listener;
        Ok::<_, std::convert::Infallible>(Piece::from(piece))
    });
    let pieces = stream::iter(pieces);
    let mut response = Bytes::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("audio/wav"));
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Pause a recording
///
/// Pauses the recording of a live call, which is silence then, or lets it go on. A call that is not recorded takes no notice.
#[utoipa::path(post, path = "/api/calls/{call_sid}/recording", tag = "calls", operation_id = "pause_recording",
    params(("call_sid" = String, Path, example = "CA00000000000000000000000000000001", pattern = "^[A-Za-z0-9_:-]{1,128}$", description = "The carrier's id of the call")), request_body = RecordingRequest,
    responses((status = 202, body = Accepted, description = "The call was told"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such call")))]
async fn pause(
    State(app): State<Arc<App>>,
    principal: Principal,
    Id(call_sid): Id,
    Body(request): Body<RecordingRequest>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let paused = request.state == WantedState::Paused;
    order(&app, &principal, call_sid, Act::Record, Command::Record { paused }).await
}

/// A recording that is not there: it was deleted, or never was.
async fn absent(store: &Store, call_sid: &str) -> Problem {
    match store.recording_deleted_at(call_sid).await {
        Ok(Some(at)) => Problem::gone("recording", at),
        Ok(None) => Problem::not_found("recording"),
        Err(error) => error.into(),
    }
}

fn unreadable(call_sid: &str, error: RecordingError) -> Problem {
    match error {
        RecordingError::Store(error) => error.into(),
        RecordingError::File(_) | RecordingError::Sealed(_) | RecordingError::Text(_) => {
            tracing::error!(call = call_sid, %error, "the recording of call {call_sid} cannot be read: {error}");
            Problem::unavailable(
                "The recording cannot be read",
                "Run `tieline data verify` on the server: it names what is wrong",
            )
        }
    }
}
