//! `GET /voice/stream`: the media socket. Nothing reaches the call before its `start` message has proved its token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::Response;

use crate::call::driver;
use crate::call::progress::UntilOver;
use crate::call::registry::LiveCall;
use crate::call::socket::{Received, Socket};
use crate::http::incoming::TOKEN;
use crate::http::signed::verify;
use crate::http::{App, audit_refusal};
use crate::twilio::message::{self, Inbound, Start};
use crate::twilio::signature::Body;

pub(super) async fn stream(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Response> {
    verify(&app, &uri, &headers, "ws", Body::None)?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| serve(app, WebSocketLine(socket))))
}

async fn serve(app: Arc<App>, mut socket: WebSocketLine) {
    let accepted = tokio::time::timeout(START_TIMEOUT, accept(&app, &mut socket)).await;
    let (start, mut live) = match accepted {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(reason)) => return socket.refuse(reason).await,
        Err(_) => return socket.refuse("no start message in time").await,
    };
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
        let mut line = UntilOver::new(&mut socket, app.progress.over(&call_sid, now()));
        let end = Box::pin(driver::run(&app.services, &call, seat, &mut line)).await;
        live.ended(end);
    }
    socket.close().await;
}

/// Waits for `start` and checks it against what the webhook promised.
async fn accept(app: &App, socket: &mut WebSocketLine) -> Result<(Start, LiveCall), &'static str> {
    loop {
        let text = match socket.receive().await {
            Received::Text(text) => text,
            Received::Ignored => continue,
            Received::Closed => return Err("closed before start"),
        };
        match message::parse(&text) {
            Ok(Inbound::Start(start)) => {
                let format = &start.media_format;
                if (format.encoding.as_str(), format.sample_rate, format.channels) != ("audio/x-mulaw", 8_000, 1) {
                    return Err("the media format is not audio/x-mulaw, 8000 Hz, mono");
                }
                let token = start.custom_parameters.get(TOKEN).map_or("", String::as_str);
                let live = app.registry.open(&start.call_sid, &start.account_sid, token, now());
                if live.is_err() {
                    audit_refusal(app, "stream", &start.call_sid, "token").await;
                }
                return Ok((*start, live.map_err(|_| "not an expected call")?));
            }
            // Media before start has nowhere to go; `connected` says nothing.
            Ok(_) => {}
            Err(_) => return Err("not a media stream"),
        }
    }
}

/// An axum WebSocket as the driver sees it.
struct WebSocketLine(WebSocket);

impl WebSocketLine {
    async fn refuse(mut self, reason: &'static str) {
        tracing::warn!(reason, "a media stream was refused: {reason}");
        let frame = CloseFrame {
            code: close_code::POLICY,
            reason: Utf8Bytes::from_static(reason),
        };
        // It may be gone already.
        let _ = self.0.send(Message::Close(Some(frame))).await;
    }
}

impl Socket for WebSocketLine {
    type Text = Utf8BytesText;

    async fn receive(&mut self) -> Received<Utf8BytesText> {
        match self.0.recv().await {
            Some(Ok(Message::Text(text))) => Received::Text(Utf8BytesText(text)),
            Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => Received::Ignored,
            Some(Ok(Message::Close(_)) | Err(_)) | None => Received::Closed,
        }
    }

    async fn send(&mut self, text: &str) -> bool {
        self.0.send(Message::Text(text.into())).await.is_ok()
    }

    async fn close(&mut self) {
        // It may be gone already.
        let _ = self.0.send(Message::Close(None)).await;
    }
}

struct Utf8BytesText(Utf8Bytes);

impl AsRef<str> for Utf8BytesText {
    fn as_ref(&self) -> &str {
        self.0.as_str()
    }
}

impl std::ops::Deref for Utf8BytesText {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether a token has expired is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

const START_TIMEOUT: Duration = Duration::from_secs(10);
/// A second of audio is 11 KiB of base64.
const MAX_MESSAGE: usize = 64 * 1024;
