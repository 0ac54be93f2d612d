//! Twilio's side of one media stream, by hand: everything it may send, and a check of everything it is sent.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tieline::audio::mulaw;
use tieline::call::trace::TraceEvent;
use tieline::twilio::signature;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{ACCOUNT, TestServer, soon};

/// One media stream.
pub(crate) struct Phone {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    trace: Option<broadcast::Receiver<TraceEvent>>,
    pub(crate) call_sid: String,
    pub(crate) stream_sid: String,
    sequence: u64,
    /// Stream time of the next frame.
    pub(crate) media_ms: u64,
    /// Return marks as they come.
    pub(crate) echo: bool,
    /// Marks not returned yet.
    pub(crate) marks: VecDeque<String>,
    /// Bytes of audio received.
    pub(crate) audio: usize,
    pub(crate) clears: usize,
    seen: VecDeque<Seen>,
}

/// What happens on a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    /// So many bytes of audio.
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

impl Phone {
    /// Rings, connects the stream and starts it.
    pub(crate) async fn call(server: &TestServer, call_sid: &str) -> Self {
        let token = server.token(call_sid).await;
        Self::connected(server, call_sid, &token).await
    }

    /// Connects the stream that an answer of the server names.
    pub(crate) async fn connected(server: &TestServer, call_sid: &str, token: &str) -> Self {
        let mut phone = Self::dial(server, call_sid).await;
        phone.trace = server.app.registry.watch(call_sid, token);
        phone.start(token).await;
        phone
    }

    /// [`Phone::call`], past the greeting.
    pub(crate) async fn greeted(server: &TestServer, call_sid: &str) -> Self {
        let mut phone = Self::call(server, call_sid).await;
        let greeting = phone.turn().await;
        assert_eq!((greeting.number, greeting.outcome.as_str()), (0, "completed"));
        phone
    }

    /// Opens the socket only.
    pub(crate) async fn dial(server: &TestServer, call_sid: &str) -> Self {
        let url = format!("ws://{}/voice/stream", server.address);
        let mut request = url.into_client_request().expect("a request");
        if let Some(token) = &server.app.twilio.auth_token {
            let signed = format!("{}/voice/stream", server.signed_base().replacen("http", "ws", 1));
            let signature = signature::sign(token.expose(), &signed, &[]);
            let header = signature.parse().expect("a header");
            request.headers_mut().insert("x-twilio-signature", header);
        }
        let (socket, _) = soon("the upgrade", Box::pin(connect_async(request)))
            .await
            .expect("a socket");
        Self {
            socket,
            trace: None,
            call_sid: call_sid.to_owned(),
            stream_sid: format!("MZ{call_sid}"),
            sequence: 0,
            media_ms: 0,
            echo: true,
            marks: VecDeque::new(),
            audio: 0,
            clears: 0,
            seen: VecDeque::new(),
        }
    }

    pub(crate) async fn start(&mut self, token: &str) {
        self.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)
            .await;
        let start = self.start_message(token);
        self.send(start).await;
    }

    pub(crate) fn start_message(&self, token: &str) -> Value {
        json!({"event": "start", "sequenceNumber": "1", "streamSid": self.stream_sid, "start": {
            "accountSid": ACCOUNT, "streamSid": self.stream_sid, "callSid": self.call_sid, "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"tok": token}}})
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.text(&message.to_string()).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.raw(Message::text(text.to_owned())).await;
    }

    /// A failure to send shows as [`Seen::Closed`] later.
    pub(crate) async fn raw(&mut self, message: Message) {
        let _ = soon("sending", self.socket.send(message)).await;
    }

    /// Sends caller audio in one message.
    pub(crate) async fn media(&mut self, audio: &[u8]) {
        self.sequence += 1;
        let message = json!({"event": "media", "sequenceNumber": self.sequence.to_string(), "streamSid": self.stream_sid,
            "media": {"track": "inbound", "chunk": self.sequence.to_string(), "timestamp": self.media_ms.to_string(),
                      "payload": BASE64_STANDARD.encode(audio)}});
        self.media_ms += audio.len() as u64 / 8;
        self.send(message).await;
    }

    /// Sends caller audio frame by frame, all at once.
    pub(crate) async fn frames(&mut self, audio: &[u8]) {
        for frame in audio.chunks(160) {
            self.media(frame).await;
        }
    }

    /// Speaks for 400 ms and pauses for long enough to end the turn.
    pub(crate) async fn say(&mut self) {
        self.frames(&voice(400)).await;
        self.frames(&silence(600)).await;
    }

    pub(crate) async fn mark(&mut self, name: &str) {
        self.send(json!({"event": "mark", "streamSid": self.stream_sid, "mark": {"name": name}}))
            .await;
    }

    pub(crate) async fn dtmf(&mut self, digit: char) {
        let dtmf = json!({"track": "inbound_track", "digit": digit.to_string()});
        self.send(json!({"event": "dtmf", "streamSid": self.stream_sid, "dtmf": dtmf}))
            .await;
    }

    pub(crate) async fn stop(&mut self) {
        let stop = json!({"accountSid": ACCOUNT, "callSid": self.call_sid});
        self.send(json!({"event": "stop", "streamSid": self.stream_sid, "stop": stop}))
            .await;
    }

    /// The next thing that happens. Checks every message, and returns marks if told to.
    pub(crate) async fn next(&mut self) -> Seen {
        if let Some(seen) = self.seen.pop_front() {
            return seen;
        }
        let seen = soon("the call", Self::receive(&mut self.socket, &mut self.trace)).await;
        let Ok(message) = seen.map_err(|event| self.seen.push_back(event)) else {
            return self.seen.pop_front().expect("just pushed");
        };
        self.take(&message).await
    }

    /// A message, or what is not one.
    async fn receive(
        socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
        trace: &mut Option<broadcast::Receiver<TraceEvent>>,
    ) -> Result<Value, Seen> {
        loop {
            let event = async {
                match trace {
                    Some(trace) => trace.recv().await.ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // What led to a message is told before it.
                biased;
                event = event => match event {
                    Some(event) => return Err(Seen::Event(event)),
                    None => *trace = None,
                },
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                    Some(Ok(Message::Close(frame))) => return Err(Seen::Closed(frame.map(|frame| frame.code.into()))),
                    Some(Ok(Message::Binary(_))) => panic!("the server sent a binary frame"),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(Seen::Closed(None)),
                },
            }
        }
    }

    async fn take(&mut self, message: &Value) -> Seen {
        let keys = |value: &Value| -> Vec<String> {
            value
                .as_object()
                .map(|object| object.keys().cloned().collect())
                .unwrap_or_default()
        };
        assert_eq!(message["streamSid"], self.stream_sid.as_str());
        match message["event"].as_str().expect("an event") {
            "media" => {
                assert_eq!(keys(message), ["event", "media", "streamSid"]);
                assert_eq!(keys(&message["media"]), ["payload"]);
                let payload = message["media"]["payload"].as_str().expect("a string");
                let audio = BASE64_STANDARD.decode(payload).expect("base64");
                assert!(
                    !audio.is_empty() && audio.len().is_multiple_of(160),
                    "{} bytes",
                    audio.len()
                );
                self.audio += audio.len();
                Seen::Media(audio)
            }
            "mark" => {
                assert_eq!(keys(message), ["event", "mark", "streamSid"]);
                assert_eq!(keys(&message["mark"]), ["name"]);
                let name = message["mark"]["name"].as_str().expect("a string").to_owned();
                if self.echo {
                    self.mark(&name).await;
                } else {
                    self.marks.push_back(name.clone());
                }
                Seen::Mark(name)
            }
            "clear" => {
                assert_eq!(keys(message), ["event", "streamSid"]);
                self.clears += 1;
                Seen::Clear
            }
            event => panic!("unknown event {event}"),
        }
    }

    /// Goes on until something is as wanted.
    pub(crate) async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Seen) -> Option<T>) -> T {
        loop {
            let seen = self.next().await;
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
    pub(crate) async fn turn(&mut self) -> Turn {
        let mut turn = Turn::default();
        self.until("the end of the turn", |seen| {
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

    /// Says something and hears the answer out.
    pub(crate) async fn exchange(&mut self) -> Turn {
        self.say().await;
        self.turn().await
    }

    /// Goes on until the server closes, and returns the code.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        self.until("the close", |seen| {
            if let Seen::Closed(code) = seen {
                Some(*code)
            } else {
                None
            }
        })
        .await
    }

    /// Hangs up as Twilio does, and sees the server close too.
    pub(crate) async fn hang_up(mut self) {
        self.stop().await;
        self.closed().await;
    }
}

/// A buzz like a voice's: many harmonics, strongest below 1 kHz, with syllables.
pub(crate) fn voice(ms: usize) -> Vec<u8> {
    let samples = (0..ms * 8).map(|n| {
        let time = n as f32 / 8_000.0;
        let pitch = 130.0 + 20.0 * (time * 11.0).sin();
        let buzz: f32 = (1..=12)
            .map(|k| {
                let k = k as f32;
                (std::f32::consts::TAU * pitch * k * time).sin() / k
            })
            .sum();
        mulaw::encode((buzz * (0.7 + 0.3 * (time * 25.0).sin()) * 6_000.0) as i16)
    });
    samples.collect()
}

pub(crate) fn silence(ms: usize) -> Vec<u8> {
    vec![mulaw::SILENCE; ms * 8]
}
