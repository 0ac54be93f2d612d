//! Media Streams messages, Twilio's and those of carriers whose streams are [`dialect`](super::dialect)s of it.
//! Source: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>.
//!
//! Reading a `media` message borrows from the received text and allocates nothing. Unknown events and fields are
//! ignored; numbers are accepted where Twilio sends strings, because compatible carriers do that.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde_json::Value;

use super::dialect::Dialect;

/// What the carrier tells us.
#[derive(Debug, PartialEq, Eq)]
pub enum Inbound<'a> {
    /// The socket is up; nothing is known about the call yet.
    Connected,
    /// The call and its audio format.
    Start(Box<Start>),
    /// Caller audio.
    Media(Media<'a>),
    /// A key was pressed.
    Dtmf(char),
    /// What we queued before this mark was played, or flushed by `clear`.
    Mark(Cow<'a, str>),
    /// The call or the stream ended.
    Stop,
    /// The carrier could not use what it was told.
    Fault,
    /// An event this version does not know, or one without its body.
    Other,
}

/// A text that is not a message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It is not JSON, or a known field has an impossible type.
    #[error("not JSON of the expected shape")]
    Json(#[from] serde_json::Error),
    /// A `start` that does not name its call and its format.
    #[error("a start message without call or media format")]
    Start,
}

/// The `start` message, sent once, under Twilio's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// `MZ…`, the id every message to Twilio carries.
    pub stream_sid: String,
    /// `CA…`.
    pub call_sid: String,
    /// `AC…`.
    pub account_sid: String,
    /// What the payloads hold.
    pub media_format: MediaFormat,
    /// The `<Parameter>`s of the `TwiML`.
    pub custom_parameters: BTreeMap<String, String>,
}

/// Encoding of the payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFormat {
    /// `audio/x-mulaw`.
    pub encoding: String,
    /// Hz.
    pub sample_rate: u64,
    /// 1.
    pub channels: u64,
}

/// One `media` message, its payload still base64.
#[derive(Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// Milliseconds from the start of the stream to the start of this payload, if stated.
    pub timestamp_ms: Option<u64>,
    /// Its place among the stream's media messages, if stated.
    pub chunk: Option<u64>,
    payload: Cow<'a, str>,
}

impl Media<'_> {
    /// Decodes the payload into `out`, replacing what it held. `false` if it is not base64 or too long.
    pub fn decode(&self, out: &mut Vec<u8>) -> bool {
        out.clear();
        out.resize(base64::decoded_len_estimate(self.payload.len()), 0);
        match BASE64_STANDARD.decode_slice(self.payload.as_bytes(), out) {
            Ok(length) => out.truncate(length),
            Err(_) => out.clear(),
        }
        !out.is_empty()
    }
}

/// Reads one text message.
pub fn parse(dialect: Dialect, text: &str) -> Result<Inbound<'_>, MessageError> {
    let envelope: Envelope<'_> = serde_json::from_str(text)?;
    let Envelope {
        event,
        media,
        start,
        mark,
        dtmf,
        name,
    } = envelope;
    Ok(match (event.0.as_ref(), media, mark, dtmf) {
        ("connected", ..) => Inbound::Connected,
        // On a line that streams both directions, the other one is our own voice.
        ("media", Some(media), ..) if media.track.0 != "outbound" => Inbound::Media(Media {
            timestamp_ms: media.timestamp.filter(|_| dialect.has_stream_time()),
            chunk: media.chunk,
            payload: media.payload.0,
        }),
        ("start", ..) if start.is_some() => {
            let start = read_start(dialect, &serde_json::from_str(text)?);
            Inbound::Start(Box::new(start.ok_or(MessageError::Start)?))
        }
        ("mark", _, Some(mark), _) => Inbound::Mark(mark.name.0),
        ("playedStream", ..) if dialect == Dialect::Plivo => Inbound::Mark(name.0),
        ("dtmf", .., Some(dtmf)) => match dtmf.digit.0.chars().next() {
            Some(digit @ ('0'..='9' | '*' | '#' | 'A'..='D')) => Inbound::Dtmf(digit),
            _ => Inbound::Other,
        },
        ("stop", ..) => Inbound::Stop,
        ("error", ..) if dialect == Dialect::Telnyx => Inbound::Fault,
        _ => Inbound::Other,
    })
}

/// Without a call or a format there is nothing to go on with; an id that stands beside `start` counts too.
fn read_start(dialect: Dialect, message: &Value) -> Option<Start> {
    let names = dialect.names();
    let start = &message["start"];
    let text = |name: &str| {
        let found = start[name].as_str().filter(|text| !text.is_empty());
        found.or_else(|| message[name].as_str()).unwrap_or_default().to_owned()
    };
    let format = &start[names.format];
    let parameters = start[names.parameters].as_object().into_iter().flatten();
    let call_sid = text(names.call);
    (!call_sid.is_empty()).then_some(())?;
    Some(Start {
        stream_sid: text(names.stream),
        call_sid,
        account_sid: text(names.account),
        media_format: MediaFormat {
            encoding: format["encoding"].as_str()?.to_owned(),
            sample_rate: number(&format[names.rate])?,
            // Plivo and Exotel do not say, and have one.
            channels: if format["channels"].is_null() {
                1
            } else {
                number(&format["channels"])?
            },
        },
        custom_parameters: parameters
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
    })
}

/// A number, or a string holding one.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Writes messages to the carrier. To Twilio each has exactly the fields it allows: one too many is warning 31951 and a
/// lost message.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Around a payload.
    media: [String; 2],
    /// Around a name.
    mark: [String; 2],
    clear: String,
}

impl Outbound {
    /// For one stream.
    pub fn new(dialect: Dialect, stream: &str) -> Self {
        let id = serde_json::to_string(stream).unwrap_or_else(|_| "\"\"".to_owned());
        let named = |key: &str| {
            (
                [
                    format!(r#"{{"event":"media",{key}"media":{{"payload":""#),
                    r#""}}"#.to_owned(),
                ],
                [
                    format!(r#"{{"event":"mark",{key}"mark":{{"name":""#),
                    r#""}}"#.to_owned(),
                ],
            )
        };
        let ((media, mark), clear) = match dialect {
            Dialect::Twilio | Dialect::SignalWire => (
                named(&format!(r#""streamSid":{id},"#)),
                format!(r#"{{"event":"clear","streamSid":{id}}}"#),
            ),
            Dialect::Telnyx => (named(""), r#"{"event":"clear"}"#.to_owned()),
            Dialect::Exotel => (
                named(&format!(r#""stream_sid":{id},"#)),
                format!(r#"{{"event":"clear","stream_sid":{id}}}"#),
            ),
            Dialect::Plivo => (
                (
                    [
                        r#"{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":""#
                            .to_owned(),
                        format!(r#""}},"streamId":{id}}}"#),
                    ],
                    [
                        format!(r#"{{"event":"checkpoint","streamId":{id},"name":""#),
                        r#""}"#.to_owned(),
                    ],
                ),
                format!(r#"{{"event":"clearAudio","streamId":{id}}}"#),
            ),
        };
        Self { media, mark, clear }
    }

    /// Appends a message with encoded `audio` to `out`.
    pub fn media(&self, audio: &[u8], out: &mut String) {
        out.push_str(&self.media[0]);
        BASE64_STANDARD.encode_string(audio, out);
        out.push_str(&self.media[1]);
    }

    /// Appends a message with a mark. `name` holds letters, digits and dots only.
    pub fn mark(&self, name: &str, out: &mut String) {
        debug_assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'),
            "mark {name}"
        );
        out.push_str(&self.mark[0]);
        out.push_str(name);
        out.push_str(&self.mark[1]);
    }

    /// Appends a message that drops what has not been played.
    pub fn clear(&self, out: &mut String) {
        out.push_str(&self.clear);
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    event: Text<'a>,
    #[serde(borrow, default)]
    media: Option<MediaBody<'a>>,
    #[serde(default)]
    start: Option<IgnoredAny>,
    #[serde(borrow, default)]
    mark: Option<MarkBody<'a>>,
    #[serde(borrow, default)]
    dtmf: Option<DtmfBody<'a>>,
    /// Plivo's name of a mark.
    #[serde(borrow, default)]
    name: Text<'a>,
}

#[derive(Deserialize)]
struct MediaBody<'a> {
    #[serde(borrow)]
    payload: Text<'a>,
    #[serde(borrow, default)]
    track: Text<'a>,
    #[serde(default, deserialize_with = "optional_number")]
    timestamp: Option<u64>,
    #[serde(default, deserialize_with = "optional_number")]
    chunk: Option<u64>,
}

#[derive(Deserialize)]
struct MarkBody<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Deserialize)]
struct DtmfBody<'a> {
    #[serde(borrow)]
    digit: Text<'a>,
}

/// A string that borrows from the message unless it holds escapes. (serde's own `Cow` inside an `Option` always copies.)
#[derive(Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    // A timestamp that is no number is no timestamp; the audio is still good.
    Ok(deserializer.deserialize_any(NumberVisitor).ok())
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a string holding one")
    }

    fn visit_u64<E>(self, value: u64) -> Result<u64, E> {
        Ok(value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<u64, E> {
        value.trim().parse().map_err(|_| E::custom("not a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWILIO: Dialect = Dialect::Twilio;
    use proptest::prelude::*;

    const START: &str = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","streamSid":"MZ1",
        "callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
        "customParameters":{"tok":"q3f"}}}"#;

    #[test]
    fn twilios_examples_are_read() {
        assert_eq!(
            parse(TWILIO, r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).expect("json"),
            Inbound::Connected
        );
        let Inbound::Start(start) = parse(TWILIO, START).expect("json") else {
            panic!("not a start")
        };
        assert_eq!((start.call_sid.as_str(), start.media_format.sample_rate), ("CA1", 8000));
        assert_eq!(start.custom_parameters["tok"], "q3f");
        let dtmf =
            r#"{"event":"dtmf","sequenceNumber":"97","streamSid":"MZ1","dtmf":{"track":"inbound_track","digit":"5"}}"#;
        assert_eq!(parse(TWILIO, dtmf).expect("json"), Inbound::Dtmf('5'));
        let mark = r#"{"event":"mark","sequenceNumber":"140","streamSid":"MZ1","mark":{"name":"e3.t7.s2"}}"#;
        assert_eq!(parse(TWILIO, mark).expect("json"), Inbound::Mark("e3.t7.s2".into()));
        assert_eq!(
            parse(TWILIO, r#"{"event":"stop","stop":{"callSid":"CA1"}}"#).expect("json"),
            Inbound::Stop
        );
    }

    #[test]
    fn media_borrows_its_payload_and_takes_numbers_or_strings() {
        for stamp in ["\"40\"", "40"] {
            let text = format!(
                r#"{{"event":"media","sequenceNumber":3,"streamSid":"MZ1","media":{{"track":"inbound","chunk":"2","timestamp":{stamp},"payload":"//7+"}}}}"#
            );
            let Inbound::Media(media) = parse(TWILIO, &text).expect("json") else {
                panic!("not media")
            };
            assert!(matches!(media.payload, Cow::Borrowed(_)));
            assert_eq!(media.timestamp_ms, Some(40));
            let mut audio = Vec::new();
            assert!(media.decode(&mut audio));
            assert_eq!(audio, [0xFF, 0xFE, 0xFE]);
        }
    }

    #[test]
    fn odd_messages_are_ignored_and_broken_ones_are_errors() {
        for text in [
            r#"{"event":"media"}"#,
            r#"{"event":"later","x":1}"#,
            r#"{"streamSid":"MZ1"}"#,
            r#"{"event":"dtmf","dtmf":{"digit":"x"}}"#,
        ] {
            assert_eq!(parse(TWILIO, text).expect("json"), Inbound::Other, "{text}");
        }
        assert!(parse(TWILIO, "{").is_err());
        let Inbound::Media(media) = parse(TWILIO, r#"{"event":"media","media":{"payload":"%%%"}}"#).expect("json")
        else {
            panic!()
        };
        assert!(!media.decode(&mut Vec::new()));
    }

    #[test]
    fn outbound_messages_have_exactly_the_allowed_fields() {
        let outbound = Outbound::new(TWILIO, "MZ\"1");
        let mut text = String::new();
        outbound.media(&[0xFF; 3], &mut text);
        assert_eq!(
            text,
            r#"{"event":"media","streamSid":"MZ\"1","media":{"payload":"////"}}"#
        );
        text.clear();
        outbound.mark("e1.t2.s3", &mut text);
        assert_eq!(
            text,
            r#"{"event":"mark","streamSid":"MZ\"1","mark":{"name":"e1.t2.s3"}}"#
        );
        text.clear();
        outbound.clear(&mut text);
        assert_eq!(text, r#"{"event":"clear","streamSid":"MZ\"1"}"#);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            for dialect in [TWILIO, Dialect::Telnyx, Dialect::Plivo, Dialect::Exotel] {
                let _ = parse(dialect, &text);
            }
        }
    }
}
