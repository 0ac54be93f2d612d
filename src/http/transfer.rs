//! What the carrier asks while it hands a caller over: what whoever answers hears, whether they take the call, and what becomes of
//! the caller afterwards. Everything is found by an unguessable id; the URLs tell nothing else.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use crate::call::switchboard::AfterTransfer;
use crate::http::incoming::{connect_with, forgotten};
use crate::http::refusals::{Source, audit};
use crate::http::signed::SignedForm;
use crate::http::status::{has_ended, is_past_hand_over, is_repeated};
use crate::http::{App, twiml};
use crate::twilio::twiml as document;

/// What a URL of ours names.
#[derive(Deserialize)]
pub(super) struct Key {
    pub(super) id: String,
}

/// `POST /voice/whisper`: the person who is called has answered.
pub(super) async fn whisper(State(app): State<Arc<App>>, Query(key): Query<Key>, form: SignedForm) -> Response {
    let switchboard = app.services.switchboard.as_ref();
    let summary = switchboard.and_then(|switchboard| switchboard.whisper(&key.id));
    twiml(summary.map_or_else(document::hangup, |summary| {
        document::whisper(&summary, &format!("{}/voice/accept?id={}", form.base, key.id))
    }))
}

/// `POST /voice/accept`: they have pressed a key. 1 takes the call, anything else does not.
pub(super) async fn accept(State(app): State<Arc<App>>, Query(key): Query<Key>, form: SignedForm) -> Response {
    let takes = form.field("Digits") == Some("1");
    twiml(match &app.services.switchboard {
        Some(switchboard) if takes && switchboard.accept(&key.id).await => document::nothing(),
        Some(_) | None => document::hangup(),
    })
}

/// `POST /voice/after-transfer`: the call that was put through is over, or nobody has taken it.
pub(super) async fn after_transfer(State(app): State<Arc<App>>, Query(key): Query<Key>, form: SignedForm) -> Response {
    let call = form.call_sid.as_str();
    let Some(switchboard) = app.services.switchboard.as_ref() else {
        return twiml(document::hangup());
    };
    // The caller has hung up, or had done so long before this was sent again.
    if has_ended(&app, &form).await {
        return twiml(document::hangup());
    }
    let status = form.field("DialCallStatus").unwrap_or_default();
    let talked = matches!(status, "completed" | "answered") && form.field("DialBridged") != Some("false");
    let (opening, repeated) = match switchboard.after_transfer(&key.id, call, talked) {
        // The carrier may be quicker than the end of the former stream, from which the new one takes the call over. A step that is
        // asked for again gets its answer until that answer has led to a stream.
        AfterTransfer::Back { opening, again } => (Some(*opening), again && !app.registry.is_expected(call, now())),
        // After a restart nobody knows what was said, but the caller is still there.
        AfterTransfer::Unknown if !talked => (None, is_past_hand_over(&app, &form).await),
        AfterTransfer::Unknown | AfterTransfer::Done => return twiml(document::hangup()),
    };
    if repeated {
        tracing::warn!(
            call,
            "a webhook that says that call {call} comes back from a hand-over came too late or again; it is hung up"
        );
        audit(&app, Source::Proved, "webhook", call, "repeated").await;
        return twiml(document::hangup());
    }
    if opening.is_none()
        && let Some(apology) = forgotten(&app, &form)
    {
        return apology;
    }
    tracing::info!(call, "nobody took call {call}: it comes back to its agent");
    connect_with(&app, &form, opening)
}

/// `POST /voice/outgoing`: somebody, or a machine, has answered a call that we placed.
pub(super) async fn outgoing(State(app): State<Arc<App>>, Query(key): Query<Key>, form: SignedForm) -> Response {
    let call = form.call_sid.as_str();
    if is_repeated(&app, &form).await {
        return twiml(document::hangup());
    }
    let switchboard = app.services.switchboard.as_ref();
    let Some(opening) = switchboard.and_then(|switchboard| switchboard.answered(&key.id, call)) else {
        tracing::warn!(call, "call {call} is none that this server has placed; it is ended");
        return twiml(document::hangup());
    };
    tracing::info!(call, "call {call}, which we placed, is answered");
    connect_with(&app, &form, Some(opening))
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether a token has expired is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}
