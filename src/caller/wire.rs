//! Twilio's side of the media stream protocol: the messages it sends, and a strict reading of the server's.
//!
//! Twilio drops a server message with a wrong stream, an unknown event, or a missing or additional field and only warns
//! about it. Here each of these is a [`Violation`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::line::{FRAME_BYTES, Frame};

/// A message of the server that the protocol allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// μ-law audio to play.
    Media(Vec<u8>),
    /// A receipt to return under this name.
    Mark(String),
    /// Throw away what has not been played.
    Clear,
}

/// What a server did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Messages are text frames (31950).
    #[error("a binary frame, where only text is allowed")]
    Binary,
    /// The message is not a JSON object.
    #[error("a message that is not a JSON object")]
    NotJson,
    /// The event is none of media, mark, clear.
    #[error("a message with the unknown event {0:?}")]
    UnknownEvent(String),
    /// A field is absent or has the wrong type.
    #[error("a {event} message without {field}")]
    Missing {
        /// Event of the message.
        event: String,
        /// The field, as a path.
        field: &'static str,
    },
    /// A field that does not belong there (31951).
    #[error("a {event} message with the additional field {field}")]
    Extra {
        /// Event of the message.
        event: String,
        /// The field's name.
        field: String,
    },
    /// The message names another stream.
    #[error("a {event} message for another stream ({got:?})")]
    WrongStream {
        /// Event of the message.
        event: String,
        /// The stream it named.
        got: String,
    },
    /// The payload cannot be decoded.
    #[error("a media message whose payload is not base64")]
    Base64,
    /// The payload is no whole number of frames; it is played all the same.
    #[error("a media message of {0} bytes, not a multiple of 160")]
    Uneven(usize),
    /// More audio than Twilio buffers.
    #[error(transparent)]
    BufferFull(#[from] super::line::BufferFull),
}

/// Reads a text frame of the server.
///
/// # Errors
///
/// The [`Violation`] for which Twilio would drop the message. See [`uneven`] for one that it plays.
pub fn read(text: &str, stream_sid: &str) -> Result<ServerMessage, Violation> {
    let Ok(Value::Object(message)) = serde_json::from_str::<Value>(text) else {
        return Err(Violation::NotJson);
    };
    let event = string(&message, "event").ok_or(Violation::Missing {
        event: String::new(),
        field: "event",
    })?;
    let got = string(&message, "streamSid").ok_or_else(|| Violation::Missing {
        event: shortened(event),
        field: "streamSid",
    })?;
    if got != stream_sid {
        return Err(Violation::WrongStream {
            event: shortened(event),
            got: shortened(got),
        });
    }
    match event {
        "media" => {
            let payload = only_field(&message, event, "media", "payload", "media.payload")?;
            BASE64
                .decode(payload)
                .map(ServerMessage::Media)
                .map_err(|_| Violation::Base64)
        }
        "mark" => {
            let name = only_field(&message, event, "mark", "name", "mark.name")?;
            Ok(ServerMessage::Mark(name.to_owned()))
        }
        "clear" => {
            no_others(&message, event, &["event", "streamSid"])?;
            Ok(ServerMessage::Clear)
        }
        other => Err(Violation::UnknownEvent(shortened(other))),
    }
}

/// The violation of a payload that is no whole number of frames, if it is one.
pub fn uneven(payload: &[u8]) -> Option<Violation> {
    (!payload.len().is_multiple_of(FRAME_BYTES)).then_some(Violation::Uneven(payload.len()))
}

/// Ids of a call, the same in the webhook and on the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// `AC…`.
    pub account: String,
    /// `CA…`.
    pub call: String,
    /// `MZ…`.
    pub stream: String,
}

impl Ids {
    /// Fresh random call and stream ids under an account.
    pub fn random(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            call: format!("CA{:032x}", rand::random::<u128>()),
            stream: format!("MZ{:032x}", rand::random::<u128>()),
        }
    }
}

/// Writes Twilio's messages and counts them.
#[derive(Debug)]
pub struct Writer {
    ids: Ids,
    sequence: u64,
    chunk: u64,
}

impl Writer {
    /// A writer for one stream.
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            sequence: 0,
            chunk: 0,
        }
    }

    /// The first message, before the stream has an id or a count.
    pub fn connected() -> String {
        json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}).to_string()
    }

    /// The second message; its parameters are the TwiML's.
    pub fn start(&mut self, parameters: &[(String, String)]) -> String {
        let custom: Map<String, Value> = parameters
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let body = json!({
            "accountSid": self.ids.account,
            "callSid": self.ids.call,
            "streamSid": self.ids.stream,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": custom,
        });
        self.numbered("start", body)
    }

    /// One frame of the caller.
    pub fn media(&mut self, frame: &Frame) -> String {
        self.chunk += 1;
        let body = json!({
            "track": "inbound",
            "chunk": self.chunk.to_string(),
            "timestamp": (self.chunk * 20).to_string(),
            "payload": BASE64.encode(frame),
        });
        self.numbered("media", body)
    }

    /// The receipt of a mark.
    pub fn mark(&mut self, name: &str) -> String {
        self.numbered("mark", json!({"name": name}))
    }

    /// A key that the caller presses. Unlike that of media, its track is called `inbound_track`.
    pub fn dtmf(&mut self, key: char) -> String {
        self.numbered("dtmf", json!({"track": "inbound_track", "digit": key.to_string()}))
    }

    /// The last message.
    pub fn stop(&mut self) -> String {
        let body = json!({"accountSid": self.ids.account, "callSid": self.ids.call});
        self.numbered("stop", body)
    }

    fn numbered(&mut self, event: &str, body: Value) -> String {
        self.sequence += 1;
        let mut message = Map::new();
        message.insert("event".to_owned(), Value::from(event));
        message.insert("sequenceNumber".to_owned(), Value::from(self.sequence.to_string()));
        message.insert("streamSid".to_owned(), Value::from(self.ids.stream.as_str()));
        message.insert(event.to_owned(), body);
        Value::Object(message).to_string()
    }
}

fn string<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

/// The one string field of the one object besides `event` and `streamSid`.
fn only_field<'a>(
    message: &'a Map<String, Value>,
    event: &str,
    object: &str,
    field: &str,
    path: &'static str,
) -> Result<&'a str, Violation> {
    no_others(message, event, &["event", "streamSid", object])?;
    let missing = || Violation::Missing {
        event: event.to_owned(),
        field: path,
    };
    let body = message.get(object).and_then(Value::as_object).ok_or_else(missing)?;
    no_others(body, event, &[field])?;
    string(body, field).ok_or_else(missing)
}

fn no_others(object: &Map<String, Value>, event: &str, allowed: &[&str]) -> Result<(), Violation> {
    match object.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(field) => Err(Violation::Extra {
            event: event.to_owned(),
            field: shortened(field),
        }),
        None => Ok(()),
    }
}

/// What a server sent goes into messages for people; a long text is cut.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        let ids = Ids {
            account: "AC1".to_owned(),
            call: "CA1".to_owned(),
            stream: "MZ1".to_owned(),
        };
        Writer::new(ids)
    }

    fn json(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn messages_are_numbered_with_strings() {
        let mut writer = writer();
        assert_eq!(
            json(&Writer::connected()),
            json!({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        );
        let start = json(&writer.start(&[("tok".to_owned(), "q3f".to_owned())]));
        assert_eq!(
            start,
            json!({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": {
                "accountSid": "AC1", "streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"tok": "q3f"}}})
        );
        writer.media(&[0xFF; 160]);
        let media = json(&writer.media(&[0xFF; 160]));
        assert_eq!(media["sequenceNumber"], "3");
        assert_eq!(media["media"]["chunk"], "2");
        assert_eq!(media["media"]["timestamp"], "40");
        assert_eq!(media["media"]["track"], "inbound");
        assert_eq!(media["media"]["payload"], format!("{}w==", "/".repeat(213)));
        assert_eq!(json(&writer.mark("e1.2"))["mark"], json!({"name": "e1.2"}));
        assert_eq!(
            json(&writer.dtmf('5')),
            json!({"event": "dtmf", "sequenceNumber": "5", "streamSid": "MZ1",
                "dtmf": {"track": "inbound_track", "digit": "5"}})
        );
        let stop = json(&writer.stop());
        assert_eq!(stop["sequenceNumber"], "6");
        assert_eq!(stop["stop"], json!({"accountSid": "AC1", "callSid": "CA1"}));
    }

    #[test]
    fn random_ids_look_like_twilios() {
        let ids = Ids::random("AC0");
        assert_eq!((ids.call.len(), ids.stream.len()), (34, 34));
        assert!(ids.call.starts_with("CA") && ids.stream.starts_with("MZ"));
    }

    #[test]
    fn the_three_server_messages_are_read() {
        let media = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"//8="}}"#;
        assert_eq!(read(media, "MZ1"), Ok(ServerMessage::Media(vec![255, 255])));
        let mark = r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"a"}}"#;
        assert_eq!(read(mark, "MZ1"), Ok(ServerMessage::Mark("a".to_owned())));
        assert_eq!(
            read(r#"{"event":"clear","streamSid":"MZ1"}"#, "MZ1"),
            Ok(ServerMessage::Clear)
        );
        assert_eq!(uneven(&[0; 320]), None);
        assert_eq!(uneven(&[0; 150]), Some(Violation::Uneven(150)));
    }

    #[test]
    fn everything_else_is_a_violation() {
        let cases = [
            ("hello", "not a JSON object"),
            ("[1]", "not a JSON object"),
            (r#"{"streamSid":"MZ1"}"#, "without event"),
            (r#"{"event":7,"streamSid":"MZ1"}"#, "without event"),
            (r#"{"event":"clear"}"#, "clear message without streamSid"),
            (
                r#"{"event":"clear","streamSid":"MZ2"}"#,
                r#"for another stream ("MZ2")"#,
            ),
            (r#"{"event":"clear","streamSid":"MZ1","x":1}"#, "additional field x"),
            (r#"{"event":"stop","streamSid":"MZ1"}"#, r#"unknown event "stop""#),
            (r#"{"event":"mark","streamSid":"MZ1"}"#, "without mark.name"),
            (r#"{"event":"mark","streamSid":"MZ1","mark":{}}"#, "without mark.name"),
            (
                r#"{"event":"mark","streamSid":"MZ1","mark":{"name":3}}"#,
                "without mark.name",
            ),
            (
                r#"{"event":"media","streamSid":"MZ1","media":"//8="}"#,
                "without media.payload",
            ),
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"%%"}}"#,
                "not base64",
            ),
            (
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"","track":"outbound"}}"#,
                "additional field track",
            ),
            (
                r#"{"event":"media","sequenceNumber":"1","streamSid":"MZ1","media":{"payload":""}}"#,
                "sequenceNumber",
            ),
        ];
        for (text, expected) in cases {
            let violation = read(text, "MZ1").expect_err(text).to_string();
            assert!(violation.contains(expected), "{text}: {violation}");
        }
    }
}
