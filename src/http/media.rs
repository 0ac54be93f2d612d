//! `GET /voice/stream`: the media socket. Nothing reaches the call before its `start` message has proved its token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::{Sink, SinkExt as _};

use crate::call::codec::Codec;
use crate::call::driver;
use crate::call::progress::UntilOver;
use crate::call::registry::LiveCall;
use crate::call::socket::{Outgoing, Received, Socket};
use crate::http::incoming::TOKEN;
use crate::http::refusals::{Source, audit};
use crate::http::signed::verify;
use crate::http::{self, App};
use crate::twilio::dialect::Dialect;
use crate::twilio::message::{self, Inbound, Start};
use crate::twilio::signature::Body;

pub(super) async fn stream(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Response> {
    verify(&app, &uri, &headers, "ws", Body::None)?;
    Ok(open(app, upgrade, Dialect::Twilio, Proof::Parameter).await)
}

/// How a stream shows that its webhook was answered by us.
pub(super) enum Proof {
    /// By a parameter of its start message.
    Parameter,
    /// By the path it came to, where the carrier knows no parameters.
    Path {
        /// The call the webhook named.
        call: String,
        /// What it was answered.
        token: String,
    },
}

/// Takes the stream of an upgrade. Where its token is known already, nobody else gets as far as a socket.
pub(super) async fn open(app: Arc<App>, upgrade: WebSocketUpgrade, dialect: Dialect, proof: Proof) -> Response {
    if let Proof::Path { call, token } = &proof
        && !app.registry.may_open(call, &dialect.account(""), token, now())
    {
        tracing::warn!(line = dialect.name(), "a media stream was refused: {NOT_EXPECTED}");
        audit(&app, source(dialect), "stream", call, "token").await;
        return http::refuse(StatusCode::FORBIDDEN, NOT_EXPECTED);
    }
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    upgrade.on_upgrade(move |socket| serve(app, socket, dialect, proof))
}

async fn serve(app: Arc<App>, mut socket: WebSocket, dialect: Dialect, proof: Proof) {
    let accepted = tokio::time::timeout(START_TIMEOUT, accept(&app, &mut socket, dialect, &proof)).await;
    let (start, codec, mut live) = match accepted {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(reason)) => return refuse(socket, reason).await,
        Err(_) => return refuse(socket, "no start message in time").await,
    };
    let mut line = WebSocketLine { socket, codec };
    let call_sid = live.call_sid().to_owned();
    tracing::info!(call = call_sid, stream = start.stream_sid, "call {call_sid} is live");
    let seat = live.seat();
    let call = driver::Call {
        call_sid: &call_sid,
        stream_sid: &start.stream_sid,
        parties: &live.parties,
        trace: &live.trace,
    };
    if let Some(seat) = seat {
        let mut over = UntilOver::new(&mut line, app.progress.over(&call_sid, now()));
        let end = Box::pin(driver::run(&app.services, &call, seat, &mut over)).await;
        live.ended(end);
    }
    line.close().await;
}

/// Waits for `start` and checks it against what the webhook promised.
async fn accept(
    app: &App,
    socket: &mut WebSocket,
    dialect: Dialect,
    proof: &Proof,
) -> Result<(Start, Codec, LiveCall), &'static str> {
    loop {
        let text = match socket.recv().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err("closed before start"),
        };
        match message::parse(dialect, &text) {
            Ok(Inbound::Start(start)) => {
                let codec = Codec::new(dialect, &start)?;
                let (call, account, token) = match proof {
                    Proof::Parameter => {
                        let token = start.custom_parameters.get(TOKEN).map_or("", String::as_str);
                        (&start.call_sid, dialect.account(&start.account_sid), token)
                    }
                    Proof::Path { call, token } => {
                        // Telnyx' start has another name for the call than its webhook.
                        if dialect != Dialect::Telnyx && start.call_sid != *call {
                            return Err(NOT_EXPECTED);
                        }
                        (call, dialect.account(""), token.as_str())
                    }
                };
                let live = app.registry.open(call, &account, token, now());
                if live.is_err() {
                    audit(app, source(dialect), "stream", call, "token").await;
                }
                return Ok((*start, codec, live.map_err(|_| NOT_EXPECTED)?));
            }
            // Media before start has nowhere to go; `connected` says nothing.
            Ok(_) => {}
            Err(_) => return Err("not a media stream"),
        }
    }
}

/// Twilio signs its upgrades, the others do not.
fn source(dialect: Dialect) -> Source {
    match dialect {
        Dialect::Twilio => Source::Proved,
        Dialect::SignalWire | Dialect::Telnyx | Dialect::Plivo | Dialect::Exotel => Source::Unproved(dialect),
    }
}

async fn refuse(mut socket: WebSocket, reason: &'static str) {
    tracing::warn!(reason, "a media stream was refused: {reason}");
    let frame = CloseFrame {
        code: close_code::POLICY,
        reason: Utf8Bytes::from_static(reason),
    };
    close(&mut socket, Some(frame)).await;
}

/// Says goodbye to who may be gone already. Who does not read is not waited for.
async fn close(socket: &mut (impl Sink<Message> + Unpin), frame: Option<CloseFrame>) {
    let _ = tokio::time::timeout(CLOSING, socket.send(Message::Close(frame))).await;
}

/// An axum WebSocket as the driver sees it.
struct WebSocketLine {
    socket: WebSocket,
    codec: Codec,
}

impl Socket for WebSocketLine {
    async fn receive(&mut self) -> Received<'_> {
        match self.socket.recv().await {
            Some(Ok(Message::Text(text))) => self.codec.read(&text),
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => Received::Ignored,
            Some(Ok(Message::Close(_))) => self.codec.closed(),
            Some(Err(_)) | None => Received::Closed,
        }
    }

    async fn send(&mut self, outgoing: Outgoing<'_>) -> bool {
        for text in self.codec.write(outgoing) {
            if self.socket.send(Message::Text(text.into())).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn close(&mut self) {
        close(&mut self.socket, None).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether a token has expired is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

const NOT_EXPECTED: &str = "not an expected call";
const START_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSING: Duration = Duration::from_secs(1);
/// A second of audio is 11 KiB of base64.
const MAX_MESSAGE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    /// A carrier that keeps the connection and reads nothing.
    struct Stuck;

    impl Sink<Message> for Stuck {
        type Error = ();

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Pending
        }

        fn start_send(self: Pin<&mut Self>, _: Message) -> Result<(), ()> {
            Err(())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_carrier_that_does_not_read_holds_no_stream_open() {
        let closed = tokio::time::timeout(10 * CLOSING, close(&mut Stuck, None)).await;
        assert!(closed.is_ok(), "it waits for ever");
    }
}
