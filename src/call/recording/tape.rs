//! The text of a recording's sealed file: what was heard on either side, piece by piece, with its place in time.
//!
//! ```text
//! head     'T' · version (1)
//! caller   'C' · place (8) · length (1) · μ-law
//! agent    'A' · place (8) · length (1) · μ-law · segment (4)
//! shift    'S' · segment (4) · samples (4)       that sentence was heard so much later than its place says
//! pause    'P' · place (8) · why (1)
//! resume   'R' · place (8)
//! end      'E' · length (8)
//! ```
//!
//! Places are samples at 8 kHz, little-endian as all numbers. What no piece covers is silence: pauses, losses, and the agent's silence take no room.
//! A piece is written half a second after it was heard, so that what a key, a pause or a `clear` takes back was never in the file.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

use super::tap::{BACK, Message, PIECE, Piece, Side, Why};
use crate::audio::mulaw;
use crate::privacy::chunks::ChunkWriter;

/// Writes one.
pub(super) struct Tape<W: Write> {
    chunks: ChunkWriter<W>,
    /// Not written yet, in order.
    caller: VecDeque<Piece>,
    agent: VecDeque<Piece>,
    /// What the carrier is at.
    now: u64,
    flushed: u64,
    paused: bool,
    /// Room for one record.
    record: Vec<u8>,
}

impl<W: Write> Tape<W> {
    pub(super) fn new(mut chunks: ChunkWriter<W>) -> io::Result<Self> {
        chunks.write(&[HEAD, VERSION])?;
        Ok(Self {
            chunks,
            caller: VecDeque::with_capacity(QUEUE),
            agent: VecDeque::with_capacity(QUEUE),
            now: 0,
            flushed: 0,
            paused: false,
            record: Vec::with_capacity(LONGEST_RECORD),
        })
    }

    pub(super) fn take(&mut self, message: Message) -> io::Result<()> {
        match message {
            Message::Piece(piece) => {
                self.now = self.now.max(piece.now);
                match piece.side {
                    Side::Caller => self.caller.push_back(piece),
                    Side::Agent => self.agent.push_back(piece),
                }
                self.write_heard(self.now.saturating_sub(BACK))?;
            }
            Message::Cut { at } => {
                self.now = self.now.max(at);
                cut(&mut self.agent, at);
            }
            Message::Shift { segment, samples } => {
                self.record.extend_from_slice(&segment.to_le_bytes());
                self.record.extend_from_slice(&samples.to_le_bytes());
                self.write(SHIFT)?;
            }
            Message::Pause { from, why } => {
                self.now = self.now.max(from);
                cut(&mut self.caller, from);
                cut(&mut self.agent, from);
                self.write_heard(u64::MAX)?;
                self.record.extend_from_slice(&from.to_le_bytes());
                self.record.push(why as u8);
                self.write(PAUSE)?;
                self.paused = true;
            }
            Message::Resume { at } => {
                self.now = self.now.max(at);
                self.record.extend_from_slice(&at.to_le_bytes());
                self.write(RESUME)?;
                self.paused = false;
            }
        }
        if self.now - self.flushed >= FLUSH {
            self.flushed = self.now;
            self.chunks.flush()?;
        }
        Ok(())
    }

    /// All of it is written but what was not heard any more, or is `never` to be kept from there on. Gives the chunks back, and the length.
    pub(super) fn end(mut self, never: u64) -> io::Result<(ChunkWriter<W>, u64)> {
        let until = self.now.min(never);
        cut(&mut self.caller, until);
        cut(&mut self.agent, until);
        self.write_heard(u64::MAX)?;
        self.record.extend_from_slice(&self.now.to_le_bytes());
        self.write(END)?;
        Ok((self.chunks, self.now))
    }

    /// Writes what was heard before `until`.
    fn write_heard(&mut self, until: u64) -> io::Result<()> {
        let heard = |piece: &mut Piece| piece.at + u64::from(piece.length) <= until;
        while let Some(piece) = self.caller.pop_front_if(heard) {
            self.piece(&piece)?;
        }
        while let Some(piece) = self.agent.pop_front_if(heard) {
            self.piece(&piece)?;
        }
        Ok(())
    }

    fn piece(&mut self, piece: &Piece) -> io::Result<()> {
        let audio = &piece.audio[..usize::from(piece.length)];
        self.record.extend_from_slice(&piece.at.to_le_bytes());
        self.record.push(piece.length);
        self.record.extend_from_slice(audio);
        match piece.side {
            Side::Caller => self.write(CALLER),
            Side::Agent => {
                self.record.extend_from_slice(&piece.segment.to_le_bytes());
                self.write(AGENT)
            }
        }
    }

    fn write(&mut self, kind: u8) -> io::Result<()> {
        let written = self
            .chunks
            .write(&[kind])
            .and_then(|()| self.chunks.write(&self.record));
        self.record.clear();
        written
    }
}

/// Drops what is from there on; a piece that begins before keeps its beginning.
fn cut(pieces: &mut VecDeque<Piece>, at: u64) {
    pieces.retain_mut(|piece| {
        let kept = at.saturating_sub(piece.at).min(piece.length.into());
        piece.length = kept as u8;
        kept > 0
    });
}

/// A recording as it was heard. Holds PHI: it has no `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Played {
    /// The caller's side, μ-law at 8 kHz.
    pub caller: Vec<u8>,
    /// The agent's, of the same length.
    pub agent: Vec<u8>,
    /// Where both were silenced, in samples.
    pub pauses: Vec<Paused>,
    /// It has its end: its writer was not killed.
    pub ended: bool,
}

impl Played {
    /// Puts a later part behind this one, at that sample; between them is silence.
    pub(super) fn append(&mut self, mut part: Self, at: u64) {
        let length = at as usize;
        self.caller.resize(length, mulaw::SILENCE);
        self.agent.resize(length, mulaw::SILENCE);
        self.caller.append(&mut part.caller);
        self.agent.append(&mut part.agent);
        let later = part.pauses.into_iter().map(|paused| Paused {
            from: paused.from + at,
            to: paused.to.map(|to| to + at),
            why: paused.why,
        });
        self.pauses.extend(later);
    }
}

/// A silence that was wanted, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    /// From there.
    pub from: u64,
    /// To there; `None`: to the end.
    pub to: Option<u64>,
    /// Why.
    pub why: Why,
}

/// The text makes no sense: it is of another version, or was made by a fault of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its contents cannot be read at byte {at}: another version of tieline has written it")]
pub struct Unreadable {
    /// Of the opened text.
    at: usize,
}

/// Puts a recording together. A text that ends anywhere is read up to its last whole record.
pub(super) fn play(text: &[u8]) -> Result<Played, Unreadable> {
    let mut reader = Reader { text, at: 0 };
    let mut played = Played::default();
    let (mut pieces, mut shifts) = (Vec::new(), BTreeMap::new());
    let mut length = 0;
    if !text.is_empty() && !text.starts_with(&[HEAD, VERSION][..text.len().min(2)]) {
        return Err(Unreadable { at: 0 });
    }
    reader.at = text.len().min(2);
    while let Some(record) = reader.next()? {
        match record {
            Record::Caller { at, audio } => {
                put(&mut played.caller, at, audio);
                length = length.max(at + audio.len() as u64);
            }
            Record::Agent { at, audio, segment } => pieces.push((segment, at, audio)),
            Record::Shift { segment, samples } => drop(shifts.insert(segment, u64::from(samples))),
            Record::Pause(paused) => played.pauses.push(paused),
            Record::Resume { at } => {
                if let Some(paused) = played.pauses.last_mut() {
                    paused.to = Some(at);
                }
                length = length.max(at);
            }
            Record::End { at } => {
                length = length.max(at);
                played.ended = true;
            }
        }
    }
    for (segment, at, audio) in pieces {
        // A sentence without a mark of its own was as late as the one before it.
        let before = shifts.range(..=segment).next_back();
        let shift = before
            .or_else(|| shifts.range(segment..).next())
            .map_or(0, |(_, shift)| *shift);
        put(&mut played.agent, at + shift, audio);
    }
    let longest = length.max(played.agent.len() as u64) as usize;
    played.caller.resize(longest, mulaw::SILENCE);
    played.agent.resize(longest, mulaw::SILENCE);
    for Paused { from, to, .. } in &played.pauses {
        let to = to.map_or(longest, |to| (to as usize).min(longest));
        let from = (*from as usize).min(to);
        played.caller[from..to].fill(mulaw::SILENCE);
        played.agent[from..to].fill(mulaw::SILENCE);
    }
    Ok(played)
}

fn put(side: &mut Vec<u8>, at: u64, audio: &[u8]) {
    let from = at as usize;
    let to = from + audio.len();
    if side.len() < to {
        side.resize(to, mulaw::SILENCE);
    }
    side[from..to].copy_from_slice(audio);
}

enum Record<'a> {
    Caller { at: u64, audio: &'a [u8] },
    Agent { at: u64, audio: &'a [u8], segment: u32 },
    Shift { segment: u32, samples: u32 },
    Pause(Paused),
    Resume { at: u64 },
    End { at: u64 },
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next whole record.
    fn next(&mut self) -> Result<Option<Record<'a>>, Unreadable> {
        let begin = self.at;
        let wrong = Unreadable { at: begin };
        let Some(&[kind]) = self.bytes(1) else { return Ok(None) };
        let record = match kind {
            CALLER => self.place(wrong)?.and_then(|at| {
                Some(Record::Caller {
                    at,
                    audio: self.audio()?,
                })
            }),
            AGENT => self.place(wrong)?.and_then(|at| {
                let audio = self.audio()?;
                let segment = self.number()?;
                Some(Record::Agent { at, audio, segment })
            }),
            SHIFT => self.number().and_then(|segment| {
                let samples = self.number()?;
                Some(Record::Shift { segment, samples })
            }),
            PAUSE => match self.place(wrong)?.zip(self.bytes(1)) {
                Some((from, why)) => {
                    let why = Why::ALL.into_iter().find(|known| why == [*known as u8]).ok_or(wrong)?;
                    Some(Record::Pause(Paused { from, to: None, why }))
                }
                None => None,
            },
            RESUME => self.place(wrong)?.map(|at| Record::Resume { at }),
            END => self.place(wrong)?.map(|at| Record::End { at }),
            _ => return Err(wrong),
        };
        Ok(record)
    }

    fn audio(&mut self) -> Option<&'a [u8]> {
        let length = self.bytes(1)?[0];
        self.bytes(length.into())
    }

    fn place(&mut self, wrong: Unreadable) -> Result<Option<u64>, Unreadable> {
        let Some(bytes) = self.bytes(8) else { return Ok(None) };
        let place = bytes.try_into().map(u64::from_le_bytes).map_err(|_| wrong)?;
        if place > LONGEST { Err(wrong) } else { Ok(Some(place)) }
    }

    fn number(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let bytes = self.text.get(self.at..self.at + length)?;
        self.at += length;
        Some(bytes)
    }
}

const HEAD: u8 = b'T';
const VERSION: u8 = 1;
const CALLER: u8 = b'C';
const AGENT: u8 = b'A';
const SHIFT: u8 = b'S';
const PAUSE: u8 = b'P';
const RESUME: u8 = b'R';
const END: u8 = b'E';
const LONGEST_RECORD: usize = PIECE + 16;
/// Pieces that wait for half a second, and some.
const QUEUE: usize = 64;
/// The longest time before what was written becomes a chunk: 400 ms. With what is held back, and until the thread looks again, a crash loses a second.
const FLUSH: u64 = 3_200;
/// No call has 24 hours: what a fault makes of a place must not take all memory.
const LONGEST: u64 = 24 * 3_600 * 8_000;

#[cfg(test)]
#[path = "tape_tests.rs"]
mod tests;
