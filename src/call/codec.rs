//! A media stream's messages as the driver knows them: texts become [`Received`], [`Outgoing`] becomes texts.
//!
//! The buffers keep their size, so only the first message, and one longer than all before, makes them grow.

use std::collections::BTreeMap;

use crate::audio::mulaw;
use crate::call::socket::{Audio, Outgoing, Received};
use crate::turn::event::MarkName;
use crate::twilio::dialect::{Dialect, Encoding, Piece};
use crate::twilio::message::{self, Inbound, Media, Outbound, Start};

/// Reads and writes the messages of one stream.
pub struct Codec {
    dialect: Dialect,
    encoding: Encoding,
    encoder: Outbound,
    payload: Vec<u8>,
    pcm: Vec<i16>,
    order: Order,
    /// μ-law that waits until it is long enough for a message, where the carrier wants large ones.
    waiting: Vec<u8>,
    texts: [String; 2],
}

impl Codec {
    /// For the stream that began with this message.
    ///
    /// # Errors
    ///
    /// What is to be set, if its audio is none of ours.
    pub fn new(dialect: Dialect, start: &Start) -> Result<Self, &'static str> {
        Ok(Self {
            dialect,
            encoding: dialect.encoding(&start.media_format)?,
            encoder: Outbound::new(dialect, &start.stream_sid),
            payload: Vec::with_capacity(ROOM),
            pcm: Vec::with_capacity(ROOM),
            order: Order::default(),
            waiting: Vec::new(),
            texts: [String::new(), String::new()],
        })
    }

    /// Reads one message.
    pub fn read(&mut self, text: &str) -> Received<'_> {
        match message::parse(self.dialect, text) {
            Ok(Inbound::Media(media)) => self.media(&media),
            Ok(Inbound::Mark(name)) => MarkName::parse(&name).map_or(Received::Ignored, Received::Mark),
            Ok(Inbound::Dtmf(key)) => Received::Dtmf(key),
            Ok(Inbound::Stop) => Received::Stop,
            Ok(Inbound::Fault) => Received::Unreadable("the carrier could not use a message"),
            Ok(Inbound::Connected | Inbound::Start(_) | Inbound::Other) => Received::Ignored,
            Err(_) => Received::Unreadable("a message is not JSON of a known shape"),
        }
    }

    /// What the end of the connection means.
    pub fn closed(&self) -> Received<'static> {
        if self.dialect.ends_by_closing() {
            Received::Stop
        } else {
            Received::Closed
        }
    }

    /// Writes one thing, in as many messages as it takes: none if it waits for more.
    pub fn write(&mut self, outgoing: Outgoing<'_>) -> &[String] {
        self.texts.iter_mut().for_each(String::clear);
        let [first, second] = &mut self.texts;
        let piece = self.dialect.piece();
        match (outgoing, piece) {
            (Outgoing::Audio(audio), None) => {
                self.payload.clear();
                encode(self.encoding, audio, &mut self.payload);
                self.encoder.media(&self.payload, first);
            }
            (Outgoing::Audio(audio), Some(piece)) => {
                self.waiting.extend_from_slice(audio);
                if self.waiting.len() < piece.least {
                    return &[];
                }
                let ready = self.waiting.len() / piece.block * piece.block;
                self.payload.clear();
                encode(self.encoding, &self.waiting[..ready], &mut self.payload);
                self.waiting.drain(..ready);
                self.encoder.media(&self.payload, first);
            }
            (Outgoing::Mark(name), Some(piece)) if !self.waiting.is_empty() => {
                self.fill(piece);
                self.payload.clear();
                encode(self.encoding, &self.waiting, &mut self.payload);
                self.waiting.clear();
                let [first, second] = &mut self.texts;
                self.encoder.media(&self.payload, first);
                self.encoder.mark(&name.to_string(), second);
                return &self.texts;
            }
            (Outgoing::Mark(name), _) => self.encoder.mark(&name.to_string(), first),
            (Outgoing::Clear, _) => {
                self.waiting.clear();
                self.encoder.clear(first);
            }
        }
        debug_assert!(second.is_empty(), "one message");
        &self.texts[..1]
    }

    /// Silence behind what waits, up to the next length the carrier takes.
    fn fill(&mut self, piece: Piece) {
        let length = self.waiting.len().max(piece.least).next_multiple_of(piece.block);
        self.waiting.resize(length, mulaw::SILENCE);
    }

    fn media(&mut self, media: &Media<'_>) -> Received<'_> {
        if !media.decode(&mut self.payload) {
            return Received::Unreadable("a media payload is not base64");
        }
        self.pcm.clear();
        match self.encoding {
            Encoding::Mulaw => mulaw::decode_into(&self.payload, &mut self.pcm),
            Encoding::Linear => linear_into(&self.payload, &mut self.pcm),
        }
        let at_ms = match media.chunk.filter(|_| self.dialect.overtakes()) {
            None => media.timestamp_ms,
            Some(chunk) => match self.order.take(chunk, media.timestamp_ms, &mut self.pcm) {
                Some(at_ms) => at_ms,
                None => return Received::Ignored,
            },
        };
        Received::Audio(Audio { at_ms, pcm: &self.pcm })
    }
}

/// Brings pieces that overtook each other back into their order.
#[derive(Default)]
struct Order {
    /// The piece that comes next.
    next: Option<u64>,
    /// Pieces that came too early.
    held: BTreeMap<u64, (Option<u64>, Vec<i16>)>,
}

impl Order {
    /// Takes a piece. `None` while it has to wait, or if its time is over; otherwise `pcm` becomes all that can be heard
    /// now, and the result is the time of its start.
    fn take(&mut self, chunk: u64, at_ms: Option<u64>, pcm: &mut Vec<i16>) -> Option<Option<u64>> {
        let next = self.next.unwrap_or(chunk);
        if chunk.abs_diff(next) > FAR {
            // It counts anew.
            self.held.clear();
            self.next = Some(chunk.saturating_add(1));
            return Some(at_ms);
        }
        if chunk < next {
            return None;
        }
        if chunk > next {
            self.held.insert(chunk, (at_ms, std::mem::take(pcm)));
            if self.held.len() <= HELD {
                return None;
            }
            // The missing one is lost: silence takes its place, by the time of the first one that is there.
            let (chunk, (at_ms, piece)) = self.held.pop_first()?;
            *pcm = piece;
            self.next = Some(chunk.saturating_add(1));
            self.follow(pcm);
            return Some(at_ms);
        }
        self.next = Some(chunk.saturating_add(1));
        self.follow(pcm);
        Some(at_ms)
    }

    /// Adds the pieces that come right behind.
    fn follow(&mut self, pcm: &mut Vec<i16>) {
        while let Some((_, piece)) = self.next.and_then(|next| self.held.remove(&next)) {
            pcm.extend_from_slice(&piece);
            self.next = self.next.map(|next| next.saturating_add(1));
        }
    }
}

fn encode(encoding: Encoding, audio: &[u8], out: &mut Vec<u8>) {
    match encoding {
        Encoding::Mulaw => out.extend_from_slice(audio),
        Encoding::Linear => out.extend(audio.iter().flat_map(|&code| mulaw::decode(code).to_le_bytes())),
    }
}

/// Appends little-endian 16-bit samples to `out`; half a sample at the end is dropped.
pub(crate) fn linear_into(bytes: &[u8], out: &mut Vec<i16>) {
    out.extend(bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
}

/// Room for one second of payload before anything grows.
const ROOM: usize = 8_000;
/// Pieces of 20 ms that wait for one before them.
const HELD: usize = 4;
/// A jump this far is no overtaking: 10 s.
const FAR: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn play(order: &mut Order, chunks: &[u64]) -> Vec<(Option<u64>, Vec<i16>)> {
        let mut heard = Vec::new();
        for &chunk in chunks {
            let mut pcm = vec![i16::try_from(chunk).expect("small")];
            if let Some(at_ms) = order.take(chunk, Some(chunk * 20), &mut pcm) {
                heard.push((at_ms, pcm));
            }
        }
        heard
    }

    #[test]
    fn pieces_that_overtook_each_other_are_heard_in_order() {
        let heard = play(&mut Order::default(), &[3, 5, 6, 4, 7]);
        assert_eq!(
            heard,
            [(Some(60), vec![3]), (Some(80), vec![4, 5, 6]), (Some(140), vec![7])]
        );
    }

    #[test]
    fn a_lost_piece_is_waited_for_a_while_and_is_too_late_afterwards() {
        let heard = play(&mut Order::default(), &[1, 3, 4, 5, 6, 7, 2, 8]);
        assert_eq!(
            heard,
            [
                (Some(20), vec![1]),
                (Some(60), vec![3, 4, 5, 6, 7]),
                (Some(160), vec![8])
            ]
        );
    }

    #[test]
    fn pieces_that_are_counted_anew_are_heard_at_once() {
        let heard = play(&mut Order::default(), &[1, 3, 9_000, 9_001, 4, 5]);
        let chunks: Vec<i16> = heard.iter().flat_map(|(_, pcm)| pcm.clone()).collect();
        assert_eq!(chunks, [1, 9_000, 9_001, 4, 5]);
    }
}
