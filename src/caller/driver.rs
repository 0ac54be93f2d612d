//! The simulated call's only clock and socket: paces the frames, moves messages between server, line and script.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::faults::Faults;
use super::line::{Line, is_audible};
use super::report::{Recording, millis};
use super::script::Order;
use super::trace::{TraceEvent, Transcript};
use super::webhook::{self, Route, TraceItem};
use super::wire::{self, Ids, ServerMessage, Violation, Writer};
use super::{CallError, Course, Event, Happened, Held, Plan, Target, Trust, Utterance};
use crate::twilio::signature;

type Observer<'a> = &'a mut (dyn FnMut(Event) + Send);
type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Sets the call up and holds it.
pub(super) async fn place<C: Course>(
    plan: Plan,
    trust: &Trust,
    line: Line,
    course: C,
    observer: Observer<'_>,
) -> Result<Held<C>, CallError> {
    let ids = Ids::random(&plan.account_sid);
    let (items, trace) = mpsc::channel(TRACE_QUEUE);
    let mut tracing = JoinSet::new();
    let mut webhook_ms = None;
    let mut faults = Faults::default();
    let (signed, dialled, parameters) = match &plan.target {
        Target::Stream { url } => (url.clone(), url.clone(), Vec::new()),
        Target::Webhook { url, public_url } => {
            let route = Route::new(url, public_url.as_deref())?;
            let http = webhook::client(trust)?;
            let asked = clock();
            let stream = webhook::post(&http, &plan, &ids, url, &route.signed).await?;
            webhook_ms = Some(millis(clock() - asked));
            if stream.url.contains('?') {
                faults.note(
                    "the stream URL has a query, which Twilio drops".to_owned(),
                    Duration::ZERO,
                );
            }
            if let Some(token) = stream.parameter("tok") {
                let source = webhook::TraceSource {
                    http,
                    url: route.trace(&ids.call),
                    token: token.to_owned(),
                };
                // Before the stream opens, so that the greeting is in the trace.
                let answer = source.ask().await;
                tracing.spawn(source.follow(answer, items));
            }
            let (signed, dialled) = route.stream(&stream.url);
            (signed, dialled, stream.parameters)
        }
    };
    let socket = dial(&dialled, &signed, plan.auth_token.as_deref(), trust).await?;
    let mut call = Call {
        socket,
        line,
        course,
        writer: Writer::new(ids.clone()),
        transcript: Transcript::default(),
        recording: Recording::default(),
        faults,
        utterances: plan.turns,
        ids,
        started: clock(),
        ticks: 0,
        worst_lag: Duration::ZERO,
        ended: None,
        traced: !tracing.is_empty(),
        observer,
    };
    call.hold(trace, &parameters).await;
    Ok(call.end(webhook_ms))
}

async fn dial(url: &str, signed: &str, token: Option<&str>, trust: &Trust) -> Result<Socket, CallError> {
    if !(url.starts_with("ws://") || url.starts_with("wss://")) {
        return Err(CallError::Url {
            url: url.to_owned(),
            expected: "ws:// or wss://",
        });
    }
    let failed = |reason: String| CallError::Dial {
        url: url.to_owned(),
        reason,
    };
    let mut request = url.into_client_request().map_err(|error| failed(error.to_string()))?;
    if let Some(token) = token {
        let signature = signature::sign(token, signed, &[]);
        let header = HeaderValue::from_str(&signature).map_err(|error| failed(error.to_string()))?;
        request.headers_mut().insert(webhook::SIGNATURE, header);
    }
    let connector = trust.socket().map_err(failed)?;
    let connecting = connect_async_tls_with_config(request, None, true, connector);
    let connected = tokio::time::timeout(webhook::CONNECT_TIMEOUT, connecting).await;
    match connected {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("no answer within 10 s".to_owned())),
    }
}

/// One call in progress.
struct Call<'a, C> {
    socket: Socket,
    line: Line,
    course: C,
    writer: Writer,
    transcript: Transcript,
    recording: Recording,
    faults: Faults,
    utterances: Vec<Utterance>,
    ids: Ids,
    /// When `start` was sent. Frame n is due n times 20 ms later.
    started: Instant,
    ticks: u32,
    worst_lag: Duration,
    ended: Option<Ended>,
    /// A trace is being followed.
    traced: bool,
    observer: Observer<'a>,
}

/// Who ended the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// The script was over.
    ByCaller,
    /// The server closed the stream.
    ByServer,
}

impl<C: Course> Call<'_, C> {
    async fn hold(&mut self, mut trace: mpsc::Receiver<TraceItem>, parameters: &[(String, String)]) {
        self.send(Writer::connected()).await;
        let start = self.writer.start(parameters);
        self.send(start).await;
        self.started = clock();
        self.tell(Happened::Connected {
            call_sid: self.ids.call.clone(),
        });
        while self.ended.is_none() {
            let due = self.started + FRAME_TIME * self.ticks;
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due.into()) => self.tick(due).await,
                message = self.socket.next() => self.receive(message).await,
                Some(item) = trace.recv() => self.trace(item),
            }
        }
        if self.ended == Some(Ended::ByCaller) {
            self.hang_up().await;
        }
        // The last turn's ledger comes after its last frame.
        let deadline = clock() + TRACE_TAIL;
        while self.traced {
            match tokio::time::timeout_at(deadline.into(), trace.recv()).await {
                Ok(Some(item)) => self.trace(item),
                Ok(None) | Err(_) => self.traced = false,
            }
        }
    }

    /// Sends one frame, plays one frame. After a delay the missed ticks follow at once: the clock decides, not the sleep.
    async fn tick(&mut self, due: Instant) {
        self.ticks += 1;
        self.worst_lag = self.worst_lag.max(clock().saturating_duration_since(due));
        self.line.mute(!self.course.noisy());
        let tick = self.line.tick();
        let media = self.writer.media(&tick.sent);
        self.send(media).await;
        for name in &tick.marks {
            let mark = self.writer.mark(name);
            self.send(mark).await;
        }
        self.recording.push(tick.sent, tick.played);
        let (turn, now) = (self.course.turn(), self.now());
        let order = self.course.on_tick(now, &tick, self.line.is_drained());
        if let Some(after) = self.course.answered(now) {
            self.tell(Happened::Answered { turn, after });
        }
        match order {
            Some(Order::Speak(index)) => {
                let utterance = &self.utterances[index];
                self.line.speak(&utterance.frames);
                let said = utterance.label.clone();
                self.tell(Happened::Speaks { turn: index + 1, said });
            }
            Some(Order::Press(key)) => {
                let dtmf = self.writer.dtmf(key);
                self.send(dtmf).await;
            }
            Some(Order::HangUp) => self.ended = self.ended.or(Some(Ended::ByCaller)),
            None => {}
        }
    }

    async fn receive(&mut self, message: Option<Result<Message, SocketError>>) {
        match message {
            Some(Ok(Message::Text(text))) => match wire::read(&text, &self.ids.stream) {
                Ok(message) => self.obey(message).await,
                Err(violation) => self.violation(violation),
            },
            Some(Ok(Message::Binary(_))) => self.violation(Violation::Binary),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(frame))) => self.closed(frame.as_ref()),
            Some(Err(error)) => self.lost(&error.to_string()),
            None => self.lost("connection closed"),
        }
    }

    async fn obey(&mut self, message: ServerMessage) {
        let now = self.now();
        match message {
            ServerMessage::Media(payload) if payload.is_empty() => {}
            ServerMessage::Media(payload) => {
                if let Some(violation) = wire::uneven(&payload) {
                    self.violation(violation);
                }
                match self.line.media(&payload) {
                    Ok(()) => self.course.on_media(now, is_audible(&payload)),
                    Err(full) => self.violation(full.into()),
                }
            }
            ServerMessage::Mark(name) => {
                if let Some(name) = self.line.mark(name) {
                    let mark = self.writer.mark(&name);
                    self.send(mark).await;
                }
            }
            ServerMessage::Clear => {
                self.course.on_clear(now, self.line.buffered_ms());
                for name in self.line.clear() {
                    let mark = self.writer.mark(&name);
                    self.send(mark).await;
                }
            }
        }
    }

    fn trace(&mut self, item: TraceItem) {
        match item {
            TraceItem::Event(event) => {
                self.transcript.note(&event, self.course.turn());
                self.course.on_trace(self.now(), &event);
                if event == TraceEvent::End {
                    self.traced = false;
                }
                self.tell(Happened::Trace(event));
            }
            TraceItem::Refused(reason) => {
                self.traced = false;
                self.tell(Happened::TraceRefused { reason });
            }
        }
    }

    async fn send(&mut self, text: String) {
        if self.ended == Some(Ended::ByServer) {
            return;
        }
        match tokio::time::timeout(SEND_TIMEOUT, self.socket.send(Message::text(text))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.lost(&error.to_string()),
            Err(_) => {
                self.fault("the server takes no more audio (31930)".to_owned());
                self.ended = Some(Ended::ByServer);
            }
        }
    }

    async fn hang_up(&mut self) {
        let stop = self.writer.stop();
        self.send(stop).await;
        let farewell = async {
            // What the server still says is nobody's business, but the closing handshake is read to its end.
            if self.socket.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, farewell).await;
    }

    /// The agent may hang up after its last word; anything else that it closes on is a fault.
    fn closed(&mut self, frame: Option<&CloseFrame>) {
        self.ended = Some(Ended::ByServer);
        let regular = frame.is_none_or(|frame| matches!(frame.code, CloseCode::Normal | CloseCode::Away));
        if let (false, Some(frame)) = (regular, frame) {
            self.fault(format!(
                "the server closed the stream with {} {:?}",
                u16::from(frame.code),
                frame.reason.as_str()
            ));
        }
    }

    fn lost(&mut self, reason: &str) {
        if self.ended.is_none() {
            self.fault(format!("the server dropped the stream: {reason}"));
            self.ended = Some(Ended::ByServer);
        }
    }

    fn violation(&mut self, violation: Violation) {
        self.fault(format!("the server sent {violation}"));
    }

    fn fault(&mut self, fault: String) {
        if self.faults.note(fault.clone(), self.now()) {
            self.tell(Happened::Fault { fault });
        }
    }

    fn tell(&mut self, happened: Happened) {
        let at = self.now();
        (self.observer)(Event { at, happened });
    }

    fn now(&self) -> Duration {
        clock().saturating_duration_since(self.started)
    }

    fn end(self, webhook_ms: Option<f64>) -> Held<C> {
        Held {
            course: self.course,
            call_sid: self.ids.call,
            transcript: self.transcript,
            errors: self.faults.list(),
            seconds: f64::from(self.ticks * 2) / 100.0,
            webhook_ms,
            worst_lag_ms: millis(self.worst_lag),
            recording: self.recording,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the simulated caller paces and measures in real time"
)]
fn clock() -> Instant {
    Instant::now()
}

const FRAME_TIME: Duration = Duration::from_millis(20);

/// A server that has not read for so long is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the end of the trace is waited for after the call.
const TRACE_TAIL: Duration = Duration::from_secs(3);

const TRACE_QUEUE: usize = 256;
