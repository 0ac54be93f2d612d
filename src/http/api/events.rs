//! `/api/events`: live calls as they go, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Interval;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::{Principal, Routes};
use super::audit::{self, Act};
use super::problem::Problem;
use super::store;
use crate::call::trace::{Happening, LiveEvent, TraceEvent};
use crate::http::App;
use crate::store::{Scope, Store};
use crate::telemetry::latency::TurnLatency;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.needs(Scope::Read, routes!(watch))
}

/// The data of one event; the event's name is its `type`.
#[derive(Serialize, ToSchema)]
pub(super) struct EventView {
    /// The carrier's id of the call.
    call_sid: String,
    at: Timestamp,
    #[serde(flatten)]
    what: What,
}

/// What happened. Texts and `args` are there only with the scope `phi`, `caller`, `agent` and `heard` not at all without it.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum What {
    /// A call begins, or goes on after its stream was lost.
    Start {
        /// Who answers.
        agent: String,
    },
    /// What was understood of the caller.
    Caller { turn: u32, text: String },
    /// A sentence of the agent.
    Agent { turn: u32, text: String },
    /// What the caller heard of the reply.
    Heard { turn: u32, text: String },
    /// A tool was run.
    Tool {
        turn: u32,
        tool: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Object, nullable = false)]
        args: Option<Value>,
        outcome: String,
        took_ms: u64,
    },
    /// A turn is over.
    Turn {
        /// 0 is the greeting.
        turn: u32,
        /// How it ended, in a word.
        outcome: String,
        /// Where its time went, in milliseconds by stage.
        #[schema(value_type = Object)]
        latency: TurnLatency,
    },
    /// The call is over.
    End,
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Caller { .. } => "caller",
            Self::Agent { .. } => "agent",
            Self::Heard { .. } => "heard",
            Self::Tool { .. } => "tool",
            Self::Turn { .. } => "turn",
            Self::End => "end",
        }
    }

    /// What may be told, if anything.
    fn told(what: Happening, phi: bool) -> Option<Self> {
        let event = match what {
            Happening::Start { agent } => return Some(Self::Start { agent }),
            Happening::Event(event) => event,
        };
        Some(match event {
            TraceEvent::Caller { .. } | TraceEvent::Agent { .. } | TraceEvent::Heard { .. } if !phi => return None,
            TraceEvent::Caller { turn, text } => Self::Caller { turn, text },
            TraceEvent::Agent { turn, text } => Self::Agent { turn, text },
            TraceEvent::Heard { turn, text } => Self::Heard { turn, text },
            TraceEvent::Tool {
                turn,
                tool,
                args,
                outcome,
                took_ms,
            } => Self::Tool {
                turn,
                tool,
                args: phi.then_some(args),
                outcome,
                took_ms,
            },
            TraceEvent::Turn { turn, outcome, latency } => Self::Turn { turn, outcome, latency },
            TraceEvent::End => Self::End,
        })
    }
}

/// Watch live calls
///
/// Server-sent events, from now on: `start`, `turn`, `tool` and `end` of each call; with the scope `phi` also `caller`, `agent` and
/// `heard`, what was said. An event `lost` tells how many were missed by a client that reads too slowly. The stream ends when its
/// key is revoked or expires, or the break-glass that it began under ends.
#[utoipa::path(get, path = "/api/events", tag = "calls", operation_id = "watch_calls",
    responses((status = 200, body = EventView, content_type = "text/event-stream", description = "Events, until the client goes away")))]
async fn watch(State(app): State<Arc<App>>, principal: Principal) -> Result<Response, Problem> {
    let store = store(&app)?.clone();
    let seat = Arc::clone(&app.api.watchers).try_acquire_owned().map_err(|_| {
        Problem::unavailable(
            "As many streams of events are open as there may be",
            "Close one of them",
        )
    })?;
    let phi = principal.may(Scope::Phi);
    if phi {
        audit::note(&store, &principal, Act::Watch, "live calls", None).await?;
    }
    let watcher = Watcher {
        events: app.registry.events(),
        check: tokio::time::interval(CHECK),
        store,
        principal,
        phi,
        _seat: seat,
    };
    let events = Sse::new(watcher.stream()).keep_alive(KeepAlive::default());
    Ok(([(header::CACHE_CONTROL, "no-store")], events).into_response())
}

/// One open stream.
struct Watcher {
    events: Receiver<LiveEvent>,
    /// When it is looked whether the key is good still, though nothing happens.
    check: Interval,
    store: Store,
    principal: Principal,
    phi: bool,
    _seat: OwnedSemaphorePermit,
}

impl Watcher {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut watcher| async move {
            let event = watcher.next().await?;
            Some((Ok(event), watcher))
        })
    }

    /// The next event for the client; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let received = tokio::select! {
                received = self.events.recv() => Some(received),
                _ = self.check.tick() => None,
            };
            // When it cannot be known, nothing is told; nor when what let it see more has ended.
            let key = self.store.key_now(&self.principal.key.id).await.unwrap_or_default();
            if !key.is_some_and(|key| key.may(Scope::Phi) || !self.phi) {
                return None;
            }
            match received {
                None => {}
                Some(Err(RecvError::Closed)) => return None,
                Some(Err(RecvError::Lagged(lost))) => {
                    let data = serde_json::json!({ "type": "lost", "count": lost });
                    return Event::default().event("lost").json_data(data).ok();
                }
                Some(Ok(LiveEvent { call_sid, at, what })) => {
                    if let Some(what) = What::told(what, self.phi) {
                        let name = what.name();
                        let call_sid = call_sid.to_string();
                        return Event::default()
                            .event(name)
                            .json_data(EventView { call_sid, at, what })
                            .ok();
                    }
                }
            }
        }
    }
}

/// How long a stream outlives its key at most.
const CHECK: Duration = Duration::from_secs(30);
