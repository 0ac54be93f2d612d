//! Media Streams messages. Source: <https://www.twilio.com/docs/voice/media-streams/websocket-messages>.
//!
//! Reading a `media` message borrows from the received text and allocates nothing. Unknown events and fields are
//! ignored; numbers are accepted where Twilio sends strings, because compatible carriers do that.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// What Twilio tells us.
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
    /// An event this version does not know, or one without its body.
    Other,
}

/// The `start` message, sent once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// `MZ…`, the id every message to Twilio carries.
    #[serde(default)]
    pub stream_sid: String,
    /// `CA…`.
    pub call_sid: String,
    /// `AC…`.
    #[serde(default)]
    pub account_sid: String,
    /// What the payloads hold.
    pub media_format: MediaFormat,
    /// The `<Parameter>`s of the `TwiML`.
    #[serde(default)]
    pub custom_parameters: std::collections::BTreeMap<String, String>,
}

/// Encoding of the payloads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaFormat {
    /// `audio/x-mulaw`.
    pub encoding: String,
    /// Hz.
    #[serde(deserialize_with = "number")]
    pub sample_rate: u64,
    /// 1.
    #[serde(deserialize_with = "number")]
    pub channels: u64,
}

/// One `media` message, its payload still base64.
#[derive(Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// Milliseconds from the start of the stream to the start of this payload, if stated.
    pub timestamp_ms: Option<u64>,
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
pub fn parse(text: &str) -> Result<Inbound<'_>, serde_json::Error> {
    let envelope: Envelope<'_> = serde_json::from_str(text)?;
    let Envelope {
        event,
        stream_sid,
        media,
        start,
        mark,
        dtmf,
    } = envelope;
    Ok(match (event.0.as_ref(), media, start, mark, dtmf) {
        ("connected", ..) => Inbound::Connected,
        ("media", Some(media), ..) => Inbound::Media(Media {
            timestamp_ms: media.timestamp,
            payload: media.payload.0,
        }),
        ("start", _, Some(mut start), ..) => {
            if start.stream_sid.is_empty() {
                start.stream_sid = stream_sid.0.into_owned();
            }
            Inbound::Start(start)
        }
        ("mark", _, _, Some(mark), _) => Inbound::Mark(mark.name.0),
        ("dtmf", .., Some(dtmf)) => match dtmf.digit.0.chars().next() {
            Some(digit @ ('0'..='9' | '*' | '#' | 'A'..='D')) => Inbound::Dtmf(digit),
            _ => Inbound::Other,
        },
        ("stop", ..) => Inbound::Stop,
        _ => Inbound::Other,
    })
}

/// Writes messages to Twilio, each with exactly the fields it allows: one too many is warning 31951 and a lost message.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// `"streamSid":"MZ…"`, escaped once.
    sid: String,
}

impl Outbound {
    /// For one stream.
    pub fn new(stream_sid: &str) -> Self {
        let quoted = serde_json::to_string(stream_sid).unwrap_or_else(|_| "\"\"".to_owned());
        Self {
            sid: format!("\"streamSid\":{quoted}"),
        }
    }

    /// Appends a `media` message with μ-law `audio` to `out`.
    pub fn media(&self, audio: &[u8], out: &mut String) {
        out.push_str("{\"event\":\"media\",");
        out.push_str(&self.sid);
        out.push_str(",\"media\":{\"payload\":\"");
        BASE64_STANDARD.encode_string(audio, out);
        out.push_str("\"}}");
    }

    /// Appends a `mark` message. `name` holds letters, digits and dots only.
    pub fn mark(&self, name: &str, out: &mut String) {
        debug_assert!(
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'),
            "mark {name}"
        );
        out.push_str("{\"event\":\"mark\",");
        out.push_str(&self.sid);
        out.push_str(",\"mark\":{\"name\":\"");
        out.push_str(name);
        out.push_str("\"}}");
    }

    /// Appends a `clear` message.
    pub fn clear(&self, out: &mut String) {
        out.push_str("{\"event\":\"clear\",");
        out.push_str(&self.sid);
        out.push('}');
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    event: Text<'a>,
    #[serde(borrow, default, rename = "streamSid")]
    stream_sid: Text<'a>,
    #[serde(borrow, default)]
    media: Option<MediaBody<'a>>,
    #[serde(default)]
    start: Option<Box<Start>>,
    #[serde(borrow, default)]
    mark: Option<MarkBody<'a>>,
    #[serde(borrow, default)]
    dtmf: Option<DtmfBody<'a>>,
}

#[derive(Deserialize)]
struct MediaBody<'a> {
    #[serde(borrow)]
    payload: Text<'a>,
    #[serde(default, deserialize_with = "optional_number")]
    timestamp: Option<u64>,
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

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
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
    use proptest::prelude::*;

    const START: &str = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","streamSid":"MZ1",
        "callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
        "customParameters":{"tok":"q3f"}}}"#;

    #[test]
    fn twilios_examples_are_read() {
        assert_eq!(
            parse(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).expect("json"),
            Inbound::Connected
        );
        let Inbound::Start(start) = parse(START).expect("json") else {
            panic!("not a start")
        };
        assert_eq!((start.call_sid.as_str(), start.media_format.sample_rate), ("CA1", 8000));
        assert_eq!(start.custom_parameters["tok"], "q3f");
        let dtmf =
            r#"{"event":"dtmf","sequenceNumber":"97","streamSid":"MZ1","dtmf":{"track":"inbound_track","digit":"5"}}"#;
        assert_eq!(parse(dtmf).expect("json"), Inbound::Dtmf('5'));
        let mark = r#"{"event":"mark","sequenceNumber":"140","streamSid":"MZ1","mark":{"name":"e3.t7.s2"}}"#;
        assert_eq!(parse(mark).expect("json"), Inbound::Mark("e3.t7.s2".into()));
        assert_eq!(
            parse(r#"{"event":"stop","stop":{"callSid":"CA1"}}"#).expect("json"),
            Inbound::Stop
        );
    }

    #[test]
    fn media_borrows_its_payload_and_takes_numbers_or_strings() {
        for stamp in ["\"40\"", "40"] {
            let text = format!(
                r#"{{"event":"media","sequenceNumber":3,"streamSid":"MZ1","media":{{"track":"inbound","chunk":"2","timestamp":{stamp},"payload":"//7+"}}}}"#
            );
            let Inbound::Media(media) = parse(&text).expect("json") else {
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
            assert_eq!(parse(text).expect("json"), Inbound::Other, "{text}");
        }
        assert!(parse("{").is_err());
        let Inbound::Media(media) = parse(r#"{"event":"media","media":{"payload":"%%%"}}"#).expect("json") else {
            panic!()
        };
        assert!(!media.decode(&mut Vec::new()));
    }

    #[test]
    fn outbound_messages_have_exactly_the_allowed_fields() {
        let outbound = Outbound::new("MZ\"1");
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
            let _ = parse(&text);
        }
    }
}
