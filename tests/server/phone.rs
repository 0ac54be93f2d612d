//! Twilio's side of one media stream, by hand: everything it may send, and a check of everything it is sent.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tieline::audio::mulaw;
use tieline::twilio::signature;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::{ACCOUNT, TestServer};
pub(crate) use crate::wire::Seen;
use crate::wire::{self, Turn, Wire};

/// One media stream.
pub(crate) struct Phone {
    wire: Wire,
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
        phone.wire.trace = server.app.registry.watch(call_sid, token);
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
        Self {
            wire: Wire::open(request).await.expect("a socket"),
            call_sid: call_sid.to_owned(),
            stream_sid: format!("MZ{call_sid}"),
            sequence: 0,
            media_ms: 0,
            echo: true,
            marks: VecDeque::new(),
            audio: 0,
            clears: 0,
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
        self.wire.send(message).await;
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
        match self.wire.receive().await {
            Ok(message) => self.take(&message).await,
            Err(seen) => seen,
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
    pub(crate) async fn until<T>(&mut self, what: &str, wanted: impl FnMut(&Seen) -> Option<T>) -> T {
        wire::until(async || self.next().await, what, wanted).await
    }

    /// Goes on to the end of the present turn.
    pub(crate) async fn turn(&mut self) -> Turn {
        wire::turn(async || self.next().await).await
    }

    /// Says something and hears the answer out.
    pub(crate) async fn exchange(&mut self) -> Turn {
        self.say().await;
        self.turn().await
    }

    /// Goes on until the server closes, and returns the code.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        wire::closed(async || self.next().await).await
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
