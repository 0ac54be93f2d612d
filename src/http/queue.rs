//! `POST /voice/queue?round=3`: a caller has waited for a free line and asks again. No place in a queue is promised: whoever asks first
//! when a line is free gets it.
//!
//! No stream is open while a caller waits, so the sentence is spoken in Twilio's voice. It is the same for everybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use crate::call::registry::Parties;
use crate::dialog::agent::{Agent, Queue};
use crate::dialog::slot::Language;
use crate::http::incoming::{called, connect, parties};
use crate::http::signed::SignedForm;
use crate::http::status::is_served;
use crate::http::{App, twiml};
use crate::store::{NewCall, StoreError};
use crate::twilio::twiml as document;

/// Callers that wait, and how often each has asked.
#[derive(Debug, Clone)]
pub struct Waiting {
    rounds: Arc<Mutex<HashMap<String, u32>>>,
    /// How late a caller may ask again before it counts as gone.
    late: Duration,
}

impl Waiting {
    /// Nobody waits yet.
    pub fn new(late: Duration) -> Self {
        Self {
            rounds: Arc::default(),
            late,
        }
    }

    /// Whether a caller waits.
    pub(super) fn holds(&self, call_sid: &str) -> bool {
        self.lock().contains_key(call_sid)
    }

    fn asked(&self, call_sid: &str, round: u32) {
        self.lock().insert(call_sid.to_owned(), round);
    }

    /// Whether the caller has not asked again since this round. It is forgotten then.
    fn has_left(&self, call_sid: &str, round: u32) -> bool {
        let mut rounds = self.lock();
        let left = rounds.get(call_sid) == Some(&round);
        if left {
            rounds.remove(call_sid);
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self::new(LATE)
    }
}

/// Part of a URL that is signed as a whole.
#[derive(Deserialize)]
pub(super) struct Round {
    #[serde(default)]
    round: u32,
}

pub(super) async fn queue(State(app): State<Arc<App>>, Query(asked): Query<Round>, form: SignedForm) -> Response {
    if is_served(&app, &form).await {
        return twiml(document::hangup());
    }
    connect(&app, &form, asked.round)
}

/// All lines are taken: the busy tone, or the sentence for those who wait.
pub(super) fn full(app: &App, form: &SignedForm, round: u32) -> Response {
    let call_sid = &form.call_sid;
    let agent = called(app, form);
    let Some(queue) = agent.line.as_ref().and_then(|line| line.queue.as_ref()) else {
        tracing::warn!(
            call = call_sid,
            "call {call_sid} was refused: all lines are busy (MAX_CALLS)"
        );
        return twiml(document::reject_busy());
    };
    if round >= u32::from(queue.rounds) {
        tracing::warn!(
            call = call_sid,
            round,
            "call {call_sid} has waited for a free line in vain (MAX_CALLS)"
        );
        give_up(app, form, &agent);
        return twiml(document::say_and_hangup(&agent.phrases.busy));
    }
    let next = round + 1;
    tracing::info!(call = call_sid, round = next, "call {call_sid} waits for a free line");
    expect(app, form, &agent, queue, next);
    let redirect = format!("{}/voice/queue?round={next}", form.base);
    let voice = match agent.language {
        Language::En => "en-US",
        Language::Es => "es-ES",
    };
    twiml(document::hold(
        &agent.phrases.hold,
        voice,
        queue.wait.as_secs(),
        &redirect,
    ))
}

/// Writes the call down, and that it has ended if the caller does not ask again: nobody tells us who hangs up.
fn expect(app: &App, form: &SignedForm, agent: &Agent, queue: &Queue, round: u32) {
    let Some(store) = app.services.store.clone() else {
        return;
    };
    app.waiting.asked(&form.call_sid, round);
    let (waiting, registry) = (app.waiting.clone(), Arc::clone(&app.registry));
    let (new, until) = (new_call(form, agent), now() + queue.wait + waiting.late);
    tokio::spawn(async move {
        written(&new, store.begin_call(&new).await.map(drop));
        tokio::time::sleep_until(until.into()).await;
        if waiting.has_left(&new.call_sid, round) && !registry.knows(&new.call_sid) {
            written(&new, store.end_call(&new.call_sid, LEFT).await);
        }
    });
}

/// Writes down a call that never got a line.
fn give_up(app: &App, form: &SignedForm, agent: &Agent) {
    let Some(store) = app.services.store.clone() else {
        return;
    };
    app.waiting.lock().remove(&form.call_sid);
    let new = new_call(form, agent);
    tokio::spawn(async move {
        written(&new, store.begin_call(&new).await.map(drop));
        written(&new, store.end_call(&new.call_sid, BUSY).await);
    });
}

fn new_call(form: &SignedForm, agent: &Agent) -> NewCall {
    let Parties { from, to } = parties(form);
    NewCall {
        call_sid: form.call_sid.clone(),
        from,
        to,
        agent: agent.name.clone(),
    }
}

fn written(call: &NewCall, result: Result<(), StoreError>) {
    if let Err(error) = result {
        let call = &call.call_sid;
        tracing::error!(call, %error, "the waiting of call {call} is not written down: {error}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a caller waits is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// How a call ended that waited for a line until it was told that there is none.
const BUSY: &str = "busy";
/// And one whose caller hung up before.
const LEFT: &str = "left-waiting";
/// Speaking the sentence and asking again.
const LATE: Duration = Duration::from_secs(60);
