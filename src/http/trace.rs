//! `GET /voice/trace/{call_sid}`: the events of one call as server-sent events, for whoever placed it.
//!
//! The events hold what is said, so the asker must be on this machine and show the call's token, which only Twilio (or
//! the simulated caller) has.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;

use crate::call::trace::TraceEvent;
use crate::http::{App, refuse};

pub(super) async fn trace(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(call_sid): Path<String>,
    headers: HeaderMap,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
    // A proxy on this machine forwards strangers; it says so.
    let direct = peer.ip().to_canonical().is_loopback() && !headers.contains_key("x-forwarded-for");
    let Some(events) = app.registry.watch(&call_sid, token).filter(|_| direct) else {
        return refuse(StatusCode::NOT_FOUND, "no such call");
    };
    let stream = stream::unfold(Some(events), |events| async move {
        let mut events = events?;
        loop {
            match events.recv().await {
                Ok(event) => {
                    let ended = event == TraceEvent::End;
                    let data = Event::default().json_data(&event).unwrap_or_default();
                    return Some((Ok::<_, Infallible>(data), (!ended).then_some(events)));
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    (
        [(header::CACHE_CONTROL, "no-store")],
        Sse::new(stream).keep_alive(KeepAlive::default()),
    )
        .into_response()
}
