//! One media stream from the other side, in whatever carrier's words: its messages and its call's trace, in the order in which they happen.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tieline::call::trace::TraceEvent;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::soon;

pub(crate) struct Wire {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) trace: Option<broadcast::Receiver<TraceEvent>>,
}

/// What happens on a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// Audio, as μ-law.
    Media(Vec<u8>),
    Mark(String),
    Clear,
    Event(TraceEvent),
    /// The server closed, with this code if it gave one.
    Closed(Option<u16>),
}

/// One finished turn.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Turn {
    pub(crate) number: u32,
    pub(crate) outcome: String,
    /// What the server understood.
    pub(crate) caller: Option<String>,
    /// What it gave to the synthesiser.
    pub(crate) agent: Vec<String>,
    /// What it believes was heard.
    pub(crate) heard: String,
}

impl Wire {
    /// Asks for the WebSocket. `Err` is the status of a refusal.
    pub(crate) async fn open(request: impl IntoClientRequest + Unpin) -> Result<Self, u16> {
        match soon("the upgrade", Box::pin(connect_async(request))).await {
            Ok((socket, _)) => Ok(Self { socket, trace: None }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("no socket: {error}"),
        }
    }

    /// A failure to send shows as [`Seen::Closed`] later.
    pub(crate) async fn send(&mut self, message: Message) {
        let _ = soon("sending", self.socket.send(message)).await;
    }

    /// The next message, or what is not one.
    pub(crate) async fn receive(&mut self) -> Result<Value, Seen> {
        soon("the call", self.received()).await
    }

    async fn received(&mut self) -> Result<Value, Seen> {
        loop {
            let event = async {
                match &mut self.trace {
                    Some(trace) => trace.recv().await.ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // What led to a message is told before it.
                biased;
                event = event => match event {
                    Some(event) => return Err(Seen::Event(event)),
                    None => self.trace = None,
                },
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                    Some(Ok(Message::Close(frame))) => return Err(Seen::Closed(frame.map(|frame| frame.code.into()))),
                    Some(Ok(Message::Binary(_))) => panic!("the server sent a binary frame"),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(Seen::Closed(None)),
                },
            }
        }
    }
}

/// Goes on until something is as wanted.
pub(crate) async fn until<T>(
    mut next: impl AsyncFnMut() -> Seen,
    what: &str,
    mut wanted: impl FnMut(&Seen) -> Option<T>,
) -> T {
    loop {
        let seen = next().await;
        if let Some(found) = wanted(&seen) {
            return found;
        }
        assert!(
            !matches!(seen, Seen::Closed(_)),
            "the call ended before {what}: {seen:?}"
        );
    }
}

/// Goes on to the end of the present turn.
pub(crate) async fn turn(next: impl AsyncFnMut() -> Seen) -> Turn {
    let mut turn = Turn::default();
    until(next, "the end of the turn", |seen| {
        let Seen::Event(event) = seen else { return None };
        match event.clone() {
            TraceEvent::Caller { text, .. } => turn.caller = Some(text),
            TraceEvent::Agent { text, .. } => turn.agent.push(text),
            TraceEvent::Heard { text, .. } => turn.heard = text,
            TraceEvent::Tool { .. } => {}
            TraceEvent::Turn {
                turn: number, outcome, ..
            } => {
                (turn.number, turn.outcome) = (number, outcome);
                return Some(());
            }
            TraceEvent::End => panic!("the call ended in the turn"),
        }
        None
    })
    .await;
    turn
}

/// Goes on until the server closes, and returns the code.
pub(crate) async fn closed(next: impl AsyncFnMut() -> Seen) -> Option<u16> {
    until(next, "the close", |seen| match seen {
        Seen::Closed(code) => Some(*code),
        Seen::Media(_) | Seen::Mark(_) | Seen::Clear | Seen::Event(_) => None,
    })
    .await
}
