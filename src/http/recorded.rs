//! `POST /voice/process-speech`: a call without a media stream, turn by turn; `GET /voice/audio/{token}.wav`: what it plays.
//!
//! What the caller said is fetched by its `RecordingSid`. The posted `RecordingUrl` is read nowhere: whoever can post must not choose
//! what this server asks for.

use std::io::Cursor;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::audio::{mulaw, wav};
use crate::call::recorded::{Answer, NoAnswer, Posted, Recorder, Step, Then};
use crate::call::registry::Refused;
use crate::http::incoming::parties;
use crate::http::refusals::foreign;
use crate::http::signed::SignedForm;
use crate::http::status::is_repeated;
use crate::http::{App, refuse, twiml};
use crate::time::SampleRate;
use crate::twilio::form::is_sid;
use crate::twilio::recorded::{Verb, play_and};
use crate::twilio::twiml as document;

/// A call rings, or goes on after this server or its answer was lost.
pub(super) async fn begin(app: &App, recorder: &Recorder, form: &SignedForm) -> Response {
    let begun = recorder.begin(&form.call_sid, &form.account(), parties(form)).await;
    answered(app, recorder, form, begun)
}

/// A call rings. One that was held before begins no second time.
pub(super) async fn first(app: &App, recorder: &Recorder, form: &SignedForm) -> Response {
    if !recorder.holds(&form.call_sid) && is_repeated(app, form).await {
        return twiml(document::hangup());
    }
    begin(app, recorder, form).await
}

pub(super) async fn process_speech(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    form: SignedForm,
) -> Response {
    let Some(recorder) = &app.recorder else {
        // TRANSPORT was changed while the call went on.
        let fallback = format!("{}/voice/fallback", form.base);
        let (next, pause) = (fallback.as_str(), false);
        return twiml(play_and(None, &Verb::Redirect { next, pause }));
    };
    let recording = form.field("RecordingSid").filter(|sid| is_recording(sid));
    let keys = form.field("Digits");
    let hung_up = keys == Some("hangup") || form.field("CallStatus").is_some_and(|status| status == "completed");
    if hung_up {
        recorder.hung_up(&form.call_sid);
        if let Some(recording) = recording {
            recorder.discard(recording);
        }
        return twiml(document::hangup());
    }
    let Some(step) = step_in(query.as_deref().unwrap_or_default()) else {
        return first(&app, recorder, &form).await;
    };
    let posted = Posted {
        recording: recording.map(str::to_owned),
        keys: keys.map(str::to_owned),
    };
    match recorder.go_on(&form.call_sid, step, posted).await {
        Err(NoAnswer::Unknown) => resume(&app, recorder, &form, recording).await,
        answer => answered(&app, recorder, &form, answer),
    }
}

/// What can stand in the path of the carrier's API.
fn is_recording(sid: &str) -> bool {
    is_sid(sid) && sid.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Which step a request is for; a number that points here directly names none.
fn step_in(query: &str) -> Option<Step> {
    let count = |name: &str| {
        let mut fields = form_urlencoded::parse(query.as_bytes());
        fields
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.parse().ok())
    };
    let (number, part) = (count("step")?, count("part").unwrap_or(0));
    Some(Step { number, part })
}

/// The call was another server's, or this one's before it was started anew: it begins again, unless it is an old request.
async fn resume(app: &App, recorder: &Recorder, form: &SignedForm, recording: Option<&str>) -> Response {
    if let Some(recording) = recording {
        recorder.discard(recording);
    }
    let call = &form.call_sid;
    if recorder.is_over(call).await {
        return twiml(document::hangup());
    }
    tracing::warn!(call, "call {call} is not known here and begins anew");
    begin(app, recorder, form).await
}

fn answered(app: &App, recorder: &Recorder, form: &SignedForm, answer: Result<Arc<Answer>, NoAnswer>) -> Response {
    let call = &form.call_sid;
    match answer {
        Ok(answer) => twiml(written(&answer, &form.base)),
        Err(NoAnswer::Refused(Refused::Full)) => {
            tracing::warn!(call, "call {call} was refused: all lines are busy (MAX_CALLS)");
            twiml(document::reject_busy())
        }
        // An error lets Twilio try the fallback URL, which may be another server.
        Err(NoAnswer::Refused(Refused::Draining)) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the server is draining"),
        Err(NoAnswer::Refused(Refused::Foreign)) => foreign(app, call),
        Err(NoAnswer::Stale | NoAnswer::Unknown) => {
            tracing::warn!(call, "a request for an old step of call {call} was refused");
            refuse(StatusCode::CONFLICT, "not the call's next step")
        }
        Err(NoAnswer::Gone) => {
            tracing::warn!(call, "call {call} ended while it was asked for its next step");
            if recorder.is_stopping() {
                return refuse(StatusCode::SERVICE_UNAVAILABLE, "the server stops");
            }
            twiml(document::hangup())
        }
    }
}

fn written(answer: &Answer, base: &str) -> String {
    let url = |step: Step| {
        let Step { number, part } = step;
        format!("{base}/voice/process-speech?step={number}&part={part}")
    };
    let clip = answer
        .clip
        .as_ref()
        .map(|clip| format!("{base}/voice/audio/{clip}.wav"));
    let next = match answer.then {
        Then::Record { next, .. } | Then::Gather { next, .. } | Then::Poll { next, .. } => url(next),
        Then::Hangup => String::new(),
    };
    let next = next.as_str();
    let verb = match answer.then {
        Then::Record { silence, longest, .. } => Verb::Record { next, silence, longest },
        Then::Gather { pause, .. } => Verb::Gather { next, pause },
        Then::Poll { pause, .. } => Verb::Redirect { next, pause },
        Then::Hangup => Verb::Hangup,
    };
    play_and(clip.as_deref(), &verb)
}

/// Whoever knows the token may have the audio, once. To ask whether it is there takes nothing.
pub(super) async fn audio(State(app): State<Arc<App>>, method: Method, Path(file): Path<String>) -> Response {
    let token = file.strip_suffix(".wav");
    let clip = token.zip(app.recorder.as_ref()).and_then(|(token, recorder)| {
        if method == Method::GET {
            recorder.take_clip(token)
        } else {
            recorder.look_at_clip(token)
        }
    });
    let Some(clip) = clip else {
        return no_store((StatusCode::NOT_FOUND, "no such audio").into_response());
    };
    let samples: Vec<f32> = clip.iter().map(|&byte| mulaw::to_f32(mulaw::decode(byte))).collect();
    let mut file = Cursor::new(Vec::with_capacity(2 * samples.len() + HEADER));
    if wav::write_mono(&mut file, &samples, SampleRate::LINE).is_err() {
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, "the audio cannot be written");
    }
    no_store(([(header::CONTENT_TYPE, "audio/wav")], file.into_inner()).into_response())
}

/// It is what was said to one caller: no cache may keep it.
fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    response
}

/// Bytes of a WAV before its samples.
const HEADER: usize = 44;
