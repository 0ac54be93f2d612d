//! `POST /voice/stream-ended` and `POST /voice/fallback`: a call's stream is gone and Twilio asks what now. The call is not lost: it
//! gets a new stream, unless we ended it or it is over.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::http::incoming::{connect, forgotten};
use crate::http::signed::SignedForm;
use crate::http::status::is_over;
use crate::http::{App, recorded, twiml};
use crate::twilio::twiml as document;

pub(super) async fn fallback(State(app): State<Arc<App>>, form: SignedForm) -> Response {
    if app.registry.was_finished(&form.call_sid) || is_over(&app, &form).await {
        return twiml(document::hangup());
    }
    if let Some(apology) = forgotten(&app, &form) {
        return apology;
    }
    if let Some(recorder) = &app.recorder {
        return recorded::begin(&app, recorder, &form).await;
    }
    if app.registry.should_reconnect(&form.call_sid) {
        tracing::warn!(
            call = form.call_sid,
            "the stream of call {} broke; connecting it again",
            form.call_sid
        );
        return connect(&app, &form, 0);
    }
    tracing::error!(
        call = form.call_sid,
        "the stream of call {} broke too often; giving the call up",
        form.call_sid
    );
    twiml(document::say_and_hangup(
        &app.services.staff.borrow().agents.default().phrases.apology,
    ))
}
