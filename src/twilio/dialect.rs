//! How the media streams of other carriers differ from Twilio's.
//!
//! Sources: <https://developer.signalwire.com/compatibility-api/cxml/voice/stream/>,
//! <https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket>,
//! <https://docs.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference>,
//! <https://developer.exotel.com/docs/agentstream/websocket-protocol>.

use super::message::MediaFormat;

/// Whose stream it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Twilio Media Streams.
    Twilio,
    /// SignalWire's cXML streams, which are Twilio's.
    SignalWire,
    /// Telnyx: snake case; messages may overtake each other.
    Telnyx,
    /// Plivo: its own names for what it is told.
    Plivo,
    /// Exotel `AgentStream`: snake case, linear audio in large pieces.
    Exotel,
}

/// What a payload holds. 8 kHz, one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// A byte a sample.
    Mulaw,
    /// Two bytes a sample, the low one first.
    Linear,
}

/// The names in a start message.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) stream: &'static str,
    pub(super) call: &'static str,
    pub(super) account: &'static str,
    pub(super) format: &'static str,
    pub(super) rate: &'static str,
    pub(super) parameters: &'static str,
}

impl Dialect {
    /// Lower-case name for logs, routes and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::SignalWire => "signalwire",
            Self::Telnyx => "telnyx",
            Self::Plivo => "plivo",
            Self::Exotel => "exotel",
        }
    }

    /// An account of this line, for comparison: two carriers may give the same name. Without a name it is the line's only one.
    pub fn account(self, name: &str) -> String {
        format!("{}:{name}", self.name())
    }

    /// What the payloads of a stream of this format hold, or what the operator is to set.
    pub fn encoding(self, format: &MediaFormat) -> Result<Encoding, &'static str> {
        let name = format.encoding.to_ascii_lowercase();
        let line = (format.sample_rate, format.channels) == (8_000, 1);
        match (self, name.as_str()) {
            (Self::Twilio | Self::SignalWire | Self::Plivo, "audio/x-mulaw") | (Self::Telnyx, "pcmu") if line => {
                Ok(Encoding::Mulaw)
            }
            (Self::Exotel, "audio/x-mulaw") if line => Ok(Encoding::Mulaw),
            (Self::Exotel, "audio/x-raw" | "raw/slin" | "audio/x-l16" | "audio/l16" | "base64") if line => {
                Ok(Encoding::Linear)
            }
            (Self::Twilio | Self::SignalWire, _) => Err("the media format is not audio/x-mulaw, 8000 Hz, mono"),
            (Self::Telnyx, _) => Err("the media format is not PCMU, 8000 Hz, mono; the TeXML asks for codec PCMU"),
            (Self::Plivo, _) => {
                Err("the media format is not audio/x-mulaw, 8000 Hz; the XML asks for it by contentType")
            }
            (Self::Exotel, _) => Err("the media format is not 8000 Hz; set the applet's sample rate to 8000"),
        }
    }

    /// Whether `media.timestamp` counts from the start of the stream. Plivo's is the time of day, which jitters.
    pub const fn has_stream_time(self) -> bool {
        !matches!(self, Self::Plivo)
    }

    /// Whether media messages may overtake each other; `media.chunk` tells their order.
    pub const fn overtakes(self) -> bool {
        matches!(self, Self::Telnyx)
    }

    /// Whether a stream ends by closing, without a stop message.
    pub const fn ends_by_closing(self) -> bool {
        matches!(self, Self::Plivo)
    }

    /// The fewest samples a message may carry, of which it carries whole blocks. Exotel plays smaller pieces with gaps:
    /// it wants 3,200 bytes at least, in multiples of 320.
    pub const fn piece(self) -> Option<Piece> {
        match self {
            Self::Exotel => Some(Piece {
                least: 1_600,
                block: 320,
            }),
            Self::Twilio | Self::SignalWire | Self::Telnyx | Self::Plivo => None,
        }
    }

    pub(super) const fn names(self) -> Names {
        match self {
            Self::Twilio | Self::SignalWire => Names {
                stream: "streamSid",
                call: "callSid",
                account: "accountSid",
                format: "mediaFormat",
                rate: "sampleRate",
                parameters: "customParameters",
            },
            Self::Telnyx => Names {
                stream: "stream_id",
                call: "call_control_id",
                account: "user_id",
                format: "media_format",
                rate: "sample_rate",
                parameters: "custom_parameters",
            },
            Self::Plivo => Names {
                stream: "streamId",
                call: "callId",
                account: "accountId",
                format: "mediaFormat",
                rate: "sampleRate",
                parameters: "customParameters",
            },
            Self::Exotel => Names {
                stream: "stream_sid",
                call: "call_sid",
                account: "account_sid",
                format: "media_format",
                rate: "sample_rate",
                parameters: "custom_parameters",
            },
        }
    }
}

/// What audio a message may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Samples at least.
    pub least: usize,
    /// A multiple of so many samples.
    pub block: usize,
}
