//! The carriers' side of a call: the webhook with its proof, then the stream, in each one's own words.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tieline::audio::mulaw;
use tieline::config::Secret;
use tieline::http::Lines;
use tieline::twilio::dialect::Dialect;
use tieline::twilio::{proof, signature};
use tokio_tungstenite::tungstenite::Message;

use crate::phone::{silence, voice};
use crate::support::{ACCOUNT, FROM, TestServer, encoded, soon};
pub(crate) use crate::wire::Seen;
use crate::wire::{self, Turn, Wire};

/// All lines, with keys of the test's own.
pub(crate) fn lines() -> Lines {
    Lines {
        signalwire: Some(Secret::new(SIGNALWIRE_KEY)),
        telnyx: Some(telnyx_pair().public_key().as_ref().try_into().expect("32 bytes")),
        plivo: Some(Secret::new(PLIVO_TOKEN)),
        exotel: Some(Secret::new(EXOTEL_SECRET)),
    }
}

/// What a webhook was answered: where the stream goes, and what it is to bring.
pub(crate) struct Answer {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
}

/// Rings as the carrier does, and reads the answer as it does.
pub(crate) async fn ring(server: &TestServer, dialect: Dialect, call: &str) -> Answer {
    let (status, body) = webhook(server, dialect, "incoming", call).await;
    assert_eq!(status, 200, "{body}");
    if dialect == Dialect::Exotel {
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        let url = answer["url"].as_str().expect("a URL").to_owned();
        return Answer { url, token: None };
    }
    let document = roxmltree::Document::parse(&body).expect("XML");
    let stream = document
        .descendants()
        .find(|node| node.has_tag_name("Stream"))
        .expect("a stream");
    let url = match dialect {
        Dialect::Plivo => stream.text(),
        Dialect::Twilio | Dialect::SignalWire | Dialect::Telnyx | Dialect::Exotel => stream.attribute("url"),
    };
    let token = stream
        .children()
        .find_map(|child| child.attribute("value"))
        .map(str::to_owned);
    Answer {
        url: url.expect("a URL").to_owned(),
        token,
    }
}

/// A webhook with its proof: the status and the body of the answer.
pub(crate) async fn webhook(server: &TestServer, dialect: Dialect, step: &str, call: &str) -> (u16, String) {
    let path = format!("/{}/{step}", dialect.name());
    let form = form(dialect, call);
    if dialect == Dialect::Exotel {
        let query = encoded(&form);
        return get(server, &format!("{path}/{EXOTEL_SECRET}?{query}"), None).await;
    }
    let headers = headers(dialect, &server.url(&path), &form, jiff::Timestamp::now().as_second());
    post(server, &path, &form, &headers).await
}

pub(crate) async fn get(server: &TestServer, path: &str, password: Option<&str>) -> (u16, String) {
    let mut request = server.http.get(server.url(path));
    if let Some(password) = password {
        request = request.basic_auth("exotel", Some(password));
    }
    let answer = soon("the webhook's answer", request.send()).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

pub(crate) async fn post(
    server: &TestServer,
    path: &str,
    form: &[(String, String)],
    headers: &[(&'static str, String)],
) -> (u16, String) {
    let mut request = server.http.post(server.url(path)).body(encoded(form));
    request = request.header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let answer = soon("the webhook's answer", request.send()).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

/// The fields of the carrier's webhook.
pub(crate) fn form(dialect: Dialect, call: &str) -> Vec<(String, String)> {
    let to = "+15550100200";
    let fields: Vec<(&str, &str)> = match dialect {
        Dialect::Twilio | Dialect::SignalWire => {
            vec![
                ("CallSid", call),
                ("AccountSid", ACCOUNT),
                ("From", FROM),
                ("To", to),
                ("CallStatus", "ringing"),
            ]
        }
        Dialect::Telnyx => vec![("CallSid", call), ("From", FROM), ("To", to), ("CallStatus", "ringing")],
        Dialect::Plivo => {
            vec![
                ("CallUUID", call),
                ("From", &FROM[1..]),
                ("To", &to[1..]),
                ("CallStatus", "ringing"),
                ("Event", "StartApp"),
            ]
        }
        Dialect::Exotel => vec![
            ("CallSid", call),
            ("CallFrom", "09876543210"),
            ("CallTo", "08047491899"),
        ],
    };
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The proof of a form that was sent at `unix`.
pub(crate) fn headers(
    dialect: Dialect,
    url: &str,
    form: &[(String, String)],
    unix: i64,
) -> Vec<(&'static str, String)> {
    match dialect {
        Dialect::SignalWire => vec![("x-signalwire-signature", signature::sign(SIGNALWIRE_KEY, url, form))],
        Dialect::Telnyx => {
            let signed = format!("{unix}|{}", encoded(form));
            let signature = BASE64_STANDARD.encode(telnyx_pair().sign(signed.as_bytes()).as_ref());
            vec![
                ("telnyx-timestamp", unix.to_string()),
                ("telnyx-signature-ed25519", signature),
            ]
        }
        Dialect::Plivo => vec![
            ("x-plivo-signature-v3-nonce", NONCE.to_owned()),
            ("x-plivo-signature-v3", proof::plivo_sign(PLIVO_TOKEN, url, form, NONCE)),
        ],
        Dialect::Twilio | Dialect::Exotel => Vec::new(),
    }
}

fn telnyx_pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[42; 32]).expect("a seed")
}

/// One stream.
pub(crate) struct Handset {
    pub(crate) dialect: Dialect,
    wire: Wire,
    call: String,
    stream: String,
    chunk: u64,
    /// Return marks as they come.
    pub(crate) echo: bool,
}

impl Handset {
    /// Rings, connects and starts the stream.
    pub(crate) async fn call(server: &TestServer, dialect: Dialect, call: &str) -> Self {
        let answer = ring(server, dialect, call).await;
        let mut handset = Self::dial(dialect, &answer.url, call).await;
        let token = answer.token.clone();
        let in_path = answer.url.rsplit('/').next().unwrap_or_default().to_owned();
        handset.wire.trace = server.app.registry.watch(call, token.as_deref().unwrap_or(&in_path));
        assert!(handset.wire.trace.is_some(), "the token is the call's");
        handset.start(token.as_deref()).await;
        handset
    }

    pub(crate) async fn dial(dialect: Dialect, url: &str, call: &str) -> Self {
        let dialled = Self::try_to_dial(dialect, url, call).await;
        dialled.unwrap_or_else(|status| panic!("no socket: {status}"))
    }

    /// `Err` is the status of a refusal.
    pub(crate) async fn try_to_dial(dialect: Dialect, url: &str, call: &str) -> Result<Self, u16> {
        Ok(Self {
            dialect,
            wire: Wire::open(url).await?,
            call: call.to_owned(),
            stream: format!("stream-of-{call}"),
            chunk: 0,
            echo: true,
        })
    }

    /// The messages a stream begins with.
    pub(crate) async fn start(&mut self, token: Option<&str>) {
        if self.dialect != Dialect::Plivo {
            self.send(json!({"event": "connected"})).await;
        }
        let start = self.start_message(token);
        self.send(start).await;
    }

    pub(crate) fn start_message(&self, token: Option<&str>) -> Value {
        let (call, stream) = (self.call.as_str(), self.stream.as_str());
        let mulaw = json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1});
        match self.dialect {
            Dialect::Twilio | Dialect::SignalWire => {
                json!({"event": "start", "sequenceNumber": "1", "streamSid": stream,
                "start": {"accountSid": ACCOUNT, "streamSid": stream, "callSid": call, "tracks": ["inbound"],
                          "mediaFormat": mulaw, "customParameters": {"tok": token}}})
            }
            // The stream has another name for the call than the webhook.
            Dialect::Telnyx => json!({"event": "start", "sequence_number": "1", "stream_id": stream,
                "start": {"user_id": "3e6f995f", "call_control_id": format!("v3:control-of-{call}"), "from": FROM,
                          "to": "+15550100200", "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}}}),
            Dialect::Plivo => json!({"event": "start", "sequenceNumber": 1, "extra_headers": "{}",
                "start": {"callId": call, "streamId": stream, "accountId": "MAXX", "tracks": ["inbound"],
                          "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000}}}),
            Dialect::Exotel => json!({"event": "start", "sequence_number": "1", "stream_sid": stream,
                "start": {"stream_sid": stream, "call_sid": call, "account_sid": "exotel1", "from": "09876543210",
                          "to": "08047491899", "custom_parameters": {},
                          "media_format": {"encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16"}}}),
        }
    }

    pub(crate) async fn send(&mut self, message: Value) {
        self.wire.send(Message::text(message.to_string())).await;
    }

    /// One piece of the caller's audio, as the carrier writes it.
    fn media(&mut self, audio: &[u8]) -> Value {
        self.chunk += 1;
        let chunk = self.chunk;
        let at_ms = (chunk - 1) * (audio.len() as u64 / 8);
        let payload = match self.dialect {
            Dialect::Exotel => linear(audio),
            Dialect::Twilio | Dialect::SignalWire | Dialect::Telnyx | Dialect::Plivo => audio.to_vec(),
        };
        let payload = BASE64_STANDARD.encode(payload);
        let stream = self.stream.as_str();
        match self.dialect {
            Dialect::Twilio | Dialect::SignalWire => {
                json!({"event": "media", "sequenceNumber": (chunk + 1).to_string(),
                "streamSid": stream, "media": {"track": "inbound", "chunk": chunk.to_string(),
                                               "timestamp": at_ms.to_string(), "payload": payload}})
            }
            Dialect::Telnyx => {
                json!({"event": "media", "sequence_number": (chunk + 1).to_string(), "stream_id": stream,
                "media": {"track": "inbound", "chunk": chunk.to_string(), "timestamp": at_ms.to_string(), "payload": payload}})
            }
            // The time of day: it jitters, and says nothing about lost audio.
            Dialect::Plivo => json!({"event": "media", "sequenceNumber": chunk + 1, "streamId": stream,
                "media": {"track": "inbound", "chunk": chunk, "timestamp": (1_705_312_200_000 + chunk * 37).to_string(),
                          "payload": payload}}),
            Dialect::Exotel => {
                json!({"event": "media", "sequence_number": (chunk + 1).to_string(), "stream_sid": stream,
                "media": {"chunk": chunk.to_string(), "timestamp": at_ms.to_string(), "payload": payload}})
            }
        }
    }

    /// Caller audio in the carrier's pieces, all at once; at Telnyx every other one overtakes its neighbour.
    pub(crate) async fn speak(&mut self, audio: &[u8]) {
        let size = if self.dialect == Dialect::Exotel { 800 } else { 160 };
        let mut pieces: Vec<Value> = audio.chunks(size).map(|piece| self.media(piece)).collect();
        if self.dialect == Dialect::Telnyx && self.chunk > pieces.len() as u64 {
            pieces.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
        for piece in pieces {
            self.send(piece).await;
        }
    }

    /// Speaks for 400 ms and pauses for long enough to end the turn.
    pub(crate) async fn say(&mut self) {
        self.speak(&[voice(400), silence(600)].concat()).await;
    }

    pub(crate) async fn dtmf(&mut self, digit: char) {
        let id = match self.dialect {
            Dialect::Twilio | Dialect::SignalWire => "streamSid",
            Dialect::Telnyx => "stream_id",
            Dialect::Plivo => "streamId",
            Dialect::Exotel => "stream_sid",
        };
        self.send(json!({"event": "dtmf", id: self.stream, "dtmf": {"digit": digit.to_string()}}))
            .await;
    }

    /// The caller hangs up.
    pub(crate) async fn hang_up(mut self) {
        if self.dialect == Dialect::Plivo {
            self.wire.send(Message::Close(None)).await;
        } else {
            self.send(json!({"event": "stop", "stop": {}})).await;
        }
        self.closed().await;
    }

    /// The next thing that happens; every message is checked.
    pub(crate) async fn next(&mut self) -> Seen {
        match self.wire.receive().await {
            Ok(message) => self.take(&message).await,
            Err(seen) => seen,
        }
    }

    async fn take(&mut self, message: &Value) -> Seen {
        let stream = json!(self.stream);
        let payload = message["media"]["payload"].clone();
        let name = if self.dialect == Dialect::Plivo {
            &message["name"]
        } else {
            &message["mark"]["name"]
        };
        let (audio, mark, clear) = match self.dialect {
            Dialect::Twilio | Dialect::SignalWire => (
                json!({"event": "media", "streamSid": stream, "media": {"payload": payload}}),
                json!({"event": "mark", "streamSid": stream, "mark": {"name": name}}),
                json!({"event": "clear", "streamSid": stream}),
            ),
            Dialect::Telnyx => (
                json!({"event": "media", "media": {"payload": payload}}),
                json!({"event": "mark", "mark": {"name": name}}),
                json!({"event": "clear"}),
            ),
            Dialect::Plivo => (
                json!({"event": "playAudio", "streamId": stream,
                       "media": {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": payload}}),
                json!({"event": "checkpoint", "streamId": stream, "name": name}),
                json!({"event": "clearAudio", "streamId": stream}),
            ),
            Dialect::Exotel => (
                json!({"event": "media", "stream_sid": stream, "media": {"payload": payload}}),
                json!({"event": "mark", "stream_sid": stream, "mark": {"name": name}}),
                json!({"event": "clear", "stream_sid": stream}),
            ),
        };
        if *message == audio {
            let bytes = BASE64_STANDARD
                .decode(payload.as_str().expect("a payload"))
                .expect("base64");
            if self.dialect == Dialect::Exotel {
                assert!(bytes.len() >= 3_200 && bytes.len().is_multiple_of(320) && bytes.len() <= 100_000);
                return Seen::Media(compressed(&bytes));
            }
            assert!(!bytes.is_empty() && bytes.len().is_multiple_of(160));
            Seen::Media(bytes)
        } else if *message == mark {
            if self.echo {
                let echo = match self.dialect {
                    Dialect::Plivo => json!({"event": "playedStream", "streamId": stream, "name": name}),
                    Dialect::Twilio | Dialect::SignalWire | Dialect::Telnyx | Dialect::Exotel => message.clone(),
                };
                self.send(echo).await;
            }
            Seen::Mark(name.as_str().expect("a name").to_owned())
        } else if *message == clear {
            if self.dialect == Dialect::Plivo {
                self.send(json!({"event": "clearedAudio", "streamId": stream})).await;
            }
            Seen::Clear
        } else {
            panic!("the {} line does not know {message}", self.dialect.name())
        }
    }

    /// Goes on until something is as wanted.
    pub(crate) async fn until<T>(&mut self, what: &str, wanted: impl FnMut(&Seen) -> Option<T>) -> T {
        wire::until(async || self.next().await, what, wanted).await
    }

    /// Goes on to the end of a turn.
    pub(crate) async fn turn(&mut self) -> Turn {
        wire::turn(async || self.next().await).await
    }

    /// Goes on until the server closes, and returns the code.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        wire::closed(async || self.next().await).await
    }
}

/// 16-bit samples, the low byte first.
fn linear(audio: &[u8]) -> Vec<u8> {
    audio
        .iter()
        .flat_map(|&code| mulaw::decode(code).to_le_bytes())
        .collect()
}

/// The reverse.
fn compressed(linear: &[u8]) -> Vec<u8> {
    let samples = linear
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]));
    samples.map(mulaw::encode).collect()
}

pub(crate) const CARRIERS: [Dialect; 4] = [Dialect::SignalWire, Dialect::Telnyx, Dialect::Plivo, Dialect::Exotel];
pub(crate) const SIGNALWIRE_KEY: &str = "PSK_signing_key";
pub(crate) const PLIVO_TOKEN: &str = "MAplivoToken";
pub(crate) const EXOTEL_SECRET: &str = "5f0e9a1b2c3d4e5f7c1a90b4";
const NONCE: &str = "05429567804466091622";
