//! A media stream's messages as the driver knows them: texts become [`Received`], [`Outgoing`] becomes texts.
//!
//! The buffers keep their size, so only the first message, and one longer than all before, makes them grow.

use crate::audio::mulaw;
use crate::call::socket::{Audio, Outgoing, Received};
use crate::turn::event::MarkName;
use crate::twilio::message::{self, Inbound, Outbound, Start};

/// Reads and writes the messages of one stream.
pub struct Codec {
    encoder: Outbound,
    payload: Vec<u8>,
    pcm: Vec<i16>,
    text: String,
}

impl Codec {
    /// For the stream that began with this message.
    pub fn new(start: &Start) -> Self {
        Self {
            encoder: Outbound::new(&start.stream_sid),
            payload: Vec::with_capacity(ROOM),
            pcm: Vec::with_capacity(ROOM),
            text: String::new(),
        }
    }

    /// Reads one message.
    pub fn read(&mut self, text: &str) -> Received<'_> {
        match message::parse(text) {
            Ok(Inbound::Media(media)) => {
                if !media.decode(&mut self.payload) {
                    return Received::Unreadable("a media payload is not base64");
                }
                self.pcm.clear();
                mulaw::decode_into(&self.payload, &mut self.pcm);
                Received::Audio(Audio {
                    at_ms: media.timestamp_ms,
                    pcm: &self.pcm,
                })
            }
            Ok(Inbound::Mark(name)) => MarkName::parse(&name).map_or(Received::Ignored, Received::Mark),
            Ok(Inbound::Dtmf(key)) => Received::Dtmf(key),
            Ok(Inbound::Stop) => Received::Stop,
            Ok(Inbound::Connected | Inbound::Start(_) | Inbound::Other) => Received::Ignored,
            Err(_) => Received::Unreadable("a message is not JSON"),
        }
    }

    /// Writes one message.
    pub fn write(&mut self, outgoing: Outgoing<'_>) -> &str {
        self.text.clear();
        match outgoing {
            Outgoing::Audio(audio) => self.encoder.media(audio, &mut self.text),
            Outgoing::Mark(name) => self.encoder.mark(&name.to_string(), &mut self.text),
            Outgoing::Clear => self.encoder.clear(&mut self.text),
        }
        &self.text
    }
}

/// Room for one second of payload before anything grows.
const ROOM: usize = 8_000;
