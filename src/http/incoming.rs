//! `POST /voice/incoming`: a call rings. The answer connects its audio to this server.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::call::opening::{Direction, Opening};
use crate::call::registry::{Parties, Refused};
use crate::dialog::agent::Agent;
use crate::http::refusals::foreign;
use crate::http::signed::SignedForm;
use crate::http::status::is_repeated;
use crate::http::{App, queue, recorded, refuse, twiml};
use crate::twilio::twiml as document;

pub(super) async fn incoming(State(app): State<Arc<App>>, form: SignedForm) -> Response {
    tracing::info!(
        call = form.call_sid,
        direction = form.field("Direction"),
        "call {} rings",
        form.call_sid
    );
    if is_blocked(&app, &form) {
        tracing::info!(
            call = form.call_sid,
            "call {} was refused: its caller is blocked",
            form.call_sid
        );
        return twiml(document::reject());
    }
    if let Some(recorder) = &app.recorder {
        return recorded::first(&app, recorder, &form).await;
    }
    // Who waits for a line is known already.
    let waits = app.waiting.holds(&form.call_sid) && !app.registry.had_stream(&form.call_sid);
    if !waits && is_repeated(&app, &form).await {
        return twiml(document::hangup());
    }
    connect(&app, &form, 0)
}

/// `TwiML` that opens a media stream for this call, or says that no line is free. `round` is how often the caller has waited for one.
pub(super) fn connect(app: &App, form: &SignedForm, round: u32) -> Response {
    connect_in(app, form, None, round)
}

/// The same for a call that does not begin as one that rings.
pub(super) fn connect_with(app: &App, form: &SignedForm, opening: Option<Opening>) -> Response {
    connect_in(app, form, opening, 0)
}

fn connect_in(app: &App, form: &SignedForm, opening: Option<Opening>, round: u32) -> Response {
    let placed = opening
        .as_ref()
        .is_some_and(|opening| opening.direction == Direction::Outbound);
    let expected = app
        .registry
        .expect_with(&form.call_sid, &form.account(), parties(form), opening, now());
    match expected {
        Ok(token) => {
            let stream = format!("{}/voice/stream", form.base.replacen("http", "ws", 1));
            let [ended, status, fallback] =
                ["stream-ended", "stream-status", "fallback"].map(|path| format!("{}/voice/{path}", form.base));
            let connect = document::Connect {
                stream: &stream,
                parameters: &[(TOKEN, &token)],
                action: Some(&ended),
                status_callback: Some(&status),
                fallback: &fallback,
            };
            match document::connect_stream(&connect) {
                Ok(document) => twiml(document),
                Err(error) => {
                    tracing::error!(call = form.call_sid, %error, "call {} cannot be connected: {error}", form.call_sid);
                    refuse(StatusCode::INTERNAL_SERVER_ERROR, "the call cannot be connected")
                }
            }
        }
        // Nobody who is called waits for a line.
        Err(Refused::Full) if placed => {
            let call = &form.call_sid;
            tracing::warn!(
                call,
                "call {call}, which we placed, is ended as it is answered: all lines are busy (MAX_CALLS)"
            );
            twiml(document::hangup())
        }
        Err(Refused::Full) => queue::full(app, form, round),
        // An error lets Twilio try the fallback URL, which may be another server.
        Err(Refused::Draining) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the server is draining"),
        Err(Refused::Foreign) => foreign(app, &form.call_sid),
    }
}

/// An apology for a call that was placed and of which nothing is known here, as after a restart: whoever was called is no caller, and must not
/// be greeted as one. `None` if it is none.
pub(super) fn forgotten(app: &App, form: &SignedForm) -> Option<Response> {
    let call = &form.call_sid;
    if !is_placed(form) || app.registry.knows(call) {
        return None;
    }
    tracing::warn!(
        call,
        "call {call}, which was placed, is not known here; it ends with an apology"
    );
    let staff = app.services.staff.borrow();
    Some(twiml(document::say_and_hangup(&staff.agents.default().phrases.apology)))
}

fn is_placed(form: &SignedForm) -> bool {
    form.field("Direction").is_some_and(|direction| direction != "inbound")
}

/// Whether the line that is called takes no calls from this caller. Calls that we placed are nobody's to block.
fn is_blocked(app: &App, form: &SignedForm) -> bool {
    if is_placed(form) {
        return false;
    }
    blocks(&called(app, form), form.field("From").unwrap_or_default())
}

/// Whether an agent's line takes no calls from this caller, as the carrier shows it.
pub(super) fn blocks(agent: &Agent, from: &str) -> bool {
    let withheld =
        from.is_empty() || WITHHELD.contains(&from) || WITHHELD_WORDS.contains(&from.to_lowercase().as_str());
    let line = agent.line.as_ref();
    line.is_some_and(|line| line.blocks((!withheld).then_some(from)))
}

/// Who calls whom.
pub(super) fn parties(form: &SignedForm) -> Parties {
    let number = |name| form.field(name).filter(|text| is_number(text)).map(str::to_owned);
    Parties {
        from: number("From"),
        to: number("To"),
    }
}

/// Whose number was called.
pub(super) fn called(app: &App, form: &SignedForm) -> Arc<Agent> {
    let staff = app.services.staff.borrow();
    let agents = &staff.agents;
    Arc::clone(
        form.field("To")
            .map_or_else(|| agents.default(), |number| agents.at(number)),
    )
}

/// Whether it is a number that can be called: withheld ones come as words, or as +266696687 and the like, which nobody has.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (8..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !WITHHELD.contains(&text)
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

/// "ANONYMOUS", "RESTRICTED" and so on, typed on a keypad. Source: Twilio, "Why am I getting calls from these strange numbers".
const WITHHELD: &[&str] = &[
    "+266696687",
    "+7378742833",
    "+2562533",
    "+8566696",
    "+86282452253",
    "+464",
];

/// What carriers write in place of a number.
const WITHHELD_WORDS: &[&str] = &[
    "anonymous",
    "restricted",
    "unknown",
    "unavailable",
    "private",
    "withheld",
];
