//! `POST /voice/incoming`: a call rings. The answer connects its audio to this server.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::call::registry::Refused;
use crate::http::signed::SignedForm;
use crate::http::{App, refuse, twiml};
use crate::twilio::twiml as document;

pub(super) async fn incoming(State(app): State<Arc<App>>, form: SignedForm) -> Response {
    tracing::info!(
        call = form.call_sid,
        direction = form.field("Direction"),
        "call {} rings",
        form.call_sid
    );
    connect(&app, &form)
}

/// `TwiML` that opens a media stream for this call, or says that no line is free.
pub(super) fn connect(app: &App, form: &SignedForm) -> Response {
    match app.registry.expect(&form.call_sid, &form.account_sid, now()) {
        Ok(token) => {
            let stream = format!("{}/voice/stream", form.base.replacen("http", "ws", 1));
            let fallback = format!("{}/voice/fallback", form.base);
            match document::connect_stream(&stream, &[(TOKEN, &token)], None, &fallback) {
                Ok(document) => twiml(document),
                Err(error) => {
                    tracing::error!(call = form.call_sid, %error, "call {} cannot be connected: {error}", form.call_sid);
                    refuse(StatusCode::INTERNAL_SERVER_ERROR, "the call cannot be connected")
                }
            }
        }
        Err(Refused::Full) => {
            tracing::warn!(
                call = form.call_sid,
                "call {} was refused: all lines are busy (MAX_CALLS)",
                form.call_sid
            );
            twiml(document::reject_busy())
        }
        // An error lets Twilio try the fallback URL, which may be another server.
        Err(Refused::Draining) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the server is draining"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a token was issued is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// Name of the `<Parameter>` that proves that a stream belongs to its webhook.
pub(super) const TOKEN: &str = "tok";
