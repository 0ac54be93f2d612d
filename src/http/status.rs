//! What Twilio reports beside the stream: `POST /voice/status` (how far a call is), `/voice/stream-status`, `/voice/amd` (who answered),
//! `/voice/recording-status`. Reports come in any order and more than once; nothing they say is undone by an older one.
//!
//! They are also what tells a webhook that is late or repeated from one that is due: signatures carry no time, so a request that
//! was overheard once stays valid for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::call::end::CallEnd;
use crate::call::flow::Ended;
use crate::http::refusals::{Source, audit};
use crate::http::signed::SignedForm;
use crate::http::{App, refuse};
use crate::store::{CallState, StoreError};
use crate::turn::event::HangupReason;
use crate::twilio::form::is_sid;
use crate::twilio::status::{AnsweredBy, CallStatus, Report};

/// `POST /voice/status`. An end ends the call's stream too, if it is still there, and closes the call's record.
pub(super) async fn call(State(app): State<Arc<App>>, form: SignedForm) -> Response {
    let call = form.call_sid.as_str();
    let Some(report) = Report::read(|name| form.field(name)) else {
        tracing::debug!(call, "a report of call {call} holds no status that is known");
        return done();
    };
    let status = report.status.name();
    if app.progress.status(call, report.status, now()) && report.status.is_final() {
        let duration_s = report.duration_s;
        tracing::info!(call, status, duration_s, "call {call} is over: {status}");
        if let Some(recorder) = &app.recorder {
            recorder.hung_up(call);
        }
    }
    match &app.services.store {
        Some(store) => written(call, "the status", store.save_status(call, &report).await),
        None => done(),
    }
}

/// `POST /voice/stream-status`: the only place that tells why a stream could not be opened.
pub(super) async fn stream(form: SignedForm) -> Response {
    let call = form.call_sid.as_str();
    let stream = form.field("StreamSid").filter(|sid| is_sid(sid));
    match form.field("StreamEvent") {
        Some("stream-error") => {
            let error = plain(form.field("StreamError").unwrap_or_default());
            tracing::error!(call, stream, error, "Twilio could not stream call {call}: {error}");
        }
        Some("stream-started") => tracing::debug!(call, stream, "Twilio streams call {call}"),
        Some("stream-stopped") => tracing::debug!(call, stream, "Twilio streams call {call} no more"),
        Some(_) | None => {}
    }
    done()
}

/// `POST /voice/amd`: a person or a machine took an outbound call. The first answer counts.
pub(super) async fn answered(State(app): State<Arc<App>>, form: SignedForm) -> Response {
    let call = form.call_sid.as_str();
    let Some(by) = form.field("AnsweredBy").and_then(AnsweredBy::parse) else {
        tracing::debug!(call, "an answer of call {call} is of a kind that is not known");
        return done();
    };
    if app.progress.answered(call, now()) {
        let answered_by = by.name();
        tracing::info!(call, answered_by, "call {call} was answered by: {answered_by}");
        if let Err(reason) = app.registry.answered_by(call, by) {
            tracing::debug!(call, "nobody waits to know who answered call {call}: {reason}");
        }
    }
    match &app.services.store {
        Some(store) => written(call, "the answer", store.save_answered_by(call, by).await),
        None => done(),
    }
}

/// `POST /voice/recording-status`. A recording is fetched by its id, if at all; the URL that was posted is not looked at.
pub(super) async fn recording(form: SignedForm) -> Response {
    let call = form.call_sid.as_str();
    let recording = form
        .field("RecordingSid")
        .filter(|sid| is_sid(sid) && sid.starts_with("RE"));
    let given = form.field("RecordingStatus").unwrap_or_default();
    let status = RECORDING_STATES.into_iter().find(|state| *state == given);
    if let (Some(recording), Some(status)) = (recording, status) {
        tracing::info!(
            call,
            recording,
            status,
            "recording {recording} of call {call}: {status}"
        );
    }
    done()
}

/// Whether a call that seems to begin has had its stream already or is over: its webhook is repeated, and must open nothing.
pub(super) async fn is_repeated(app: &App, form: &SignedForm) -> bool {
    is_repeated_call(app, &form.call_sid, said_over(app, form)).await
}

/// The same for a call of any line. `over`: the webhook itself says that it is.
pub(super) async fn is_repeated_call(app: &App, call: &str, over: bool) -> bool {
    let repeated = over
        || app.registry.had_stream(call)
        || known(app, call)
            .await
            .is_some_and(|state| state.begun || is_final(&state));
    if repeated {
        tracing::warn!(
            call,
            "a webhook of call {call} came again after it had begun; it is hung up"
        );
        audit(app, Source::Proved, "webhook", call, "repeated").await;
    }
    repeated
}

/// Whether a call that says it waits for a line has been served: its webhook is repeated.
pub(super) async fn is_served(app: &App, form: &SignedForm) -> bool {
    let call = form.call_sid.as_str();
    let state = known(app, call).await;
    let served = app.registry.had_stream(call)
        || said_over(app, form)
        || state.is_some_and(|state| is_final(&state) || state.outcome.is_some());
    if served {
        audit(app, Source::Proved, "webhook", call, "repeated").await;
    }
    served
}

/// Whether nothing is left to be said to a call, here or, as far as the database knows, on another server.
pub(super) async fn is_over(app: &App, form: &SignedForm) -> bool {
    is_over_call(app, &form.call_sid, said_over(app, form)).await
}

/// The same for a call of any line. `over`: the webhook itself says that it is.
pub(super) async fn is_over_call(app: &App, call: &str, over: bool) -> bool {
    let ours = |state: &CallState| state.outcome.as_deref().is_some_and(is_ours);
    over || known(app, call)
        .await
        .is_some_and(|state| is_final(&state) || ours(&state))
}

/// Whether the carrier says that a call is over, in this request or before, here or to another server.
pub(super) async fn has_ended(app: &App, form: &SignedForm) -> bool {
    said_over(app, form) || known(app, &form.call_sid).await.is_some_and(|state| is_final(&state))
}

/// Whether a call that seems to come back from a hand-over, of which nothing is known here, is talked to again or has ended in another
/// way since: its webhook is repeated. One whose server died may have been handed over.
pub(super) async fn is_past_hand_over(app: &App, form: &SignedForm) -> bool {
    const MAY_COME_BACK: [CallEnd; 3] = [CallEnd::Agent(HangupReason::HandOver), CallEnd::Lost, CallEnd::Shutdown];
    let call = form.call_sid.as_str();
    let is_past = |outcome: &str| MAY_COME_BACK.iter().all(|end| end.name() != outcome);
    app.registry.is_live(call)
        || said_over(app, form)
        || app.registry.end_of(call).is_some_and(|end| is_past(end.name()))
        || known(app, call)
            .await
            .is_some_and(|state| is_final(&state) || state.outcome.as_deref().is_some_and(is_past))
}

/// Whether the request itself or an earlier one says that the call is over.
fn said_over(app: &App, form: &SignedForm) -> bool {
    let told = form.field("CallStatus").and_then(CallStatus::parse);
    let told = told.into_iter().chain(app.progress.status_of(&form.call_sid));
    told.into_iter().any(CallStatus::is_final)
}

fn is_final(state: &CallState) -> bool {
    state.status.is_some_and(CallStatus::is_final)
}

/// Whether a call with this outcome was ended by the agent, or before one answered.
fn is_ours(outcome: &str) -> bool {
    use HangupReason::{Goodbye, HandOver, Machine, MaxCall, MediaLost, Silence};
    let reasons = [Goodbye, HandOver, Machine, MaxCall, MediaLost, Silence];
    let ends = reasons.map(CallEnd::Agent).into_iter().chain([CallEnd::Operator]);
    let ends = ends.chain(Ended::ALL.map(CallEnd::Reception));
    ends.into_iter().any(|end| end.name() == outcome)
}

/// What the database knows of a call. A caller is not turned away because it does not answer, nor kept waiting for it.
async fn known(app: &App, call: &str) -> Option<CallState> {
    let store = app.services.store.as_ref()?;
    match tokio::time::timeout(PATIENCE, store.call_state(call)).await {
        Ok(Ok(state)) => state,
        Ok(Err(error)) => {
            tracing::warn!(call, %error, "what is known of call {call} cannot be read; it is taken as new: {error}");
            None
        }
        Err(_) => {
            tracing::warn!(
                call,
                "the database is too slow to tell what is known of call {call}; it is taken as new"
            );
            None
        }
    }
}

/// The answer to a report. One that was not kept is asked for again.
fn written(call: &str, what: &str, result: Result<(), StoreError>) -> Response {
    match result {
        Ok(()) => done(),
        Err(error) => {
            tracing::error!(call, %error, "{what} of call {call} is not written down: {error}");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "it could not be written down")
        }
    }
}

fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// A text of Twilio's on one line of a log.
fn plain(text: &str) -> String {
    let printable = text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    printable.take(ERROR_CHARS).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a report came is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

const RECORDING_STATES: [&str; 4] = ["in-progress", "completed", "absent", "failed"];
/// A caller hears nothing meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest text of an error that is logged.
const ERROR_CHARS: usize = 200;
