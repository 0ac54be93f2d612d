//! AudioSocket: frames of every kind and bytes that are none, arriving in pieces of any size. A model that has all bytes at once says what they mean.

use tieline::call::audiosocket::frame::{Frame, FrameError, Frames, audio_head};

use crate::reader::{Reader, Report};

/// Runs one connection to its end and panics where a rule is broken.
pub(crate) fn run(bytes: &[u8]) -> Report {
    let mut reader = Reader::new(bytes);
    let sizes = [reader.below(40) + 1, reader.below(9_000) + 1];
    let mut wire = Vec::new();
    for _ in 0..MOST_FRAMES {
        if reader.is_empty() {
            break;
        }
        write(&mut reader, &mut wire);
    }
    let mut report = Report::default();
    let told = model(&wire);
    for size in sizes {
        assert_eq!(read(&wire, size), told, "in pieces of {size}");
    }
    for (kind, what) in &told.0 {
        report.note(number(*kind), what);
    }
    if let Some(error) = told.1 {
        let kind = match error {
            FrameError::TooLong(_) => 8,
            FrameError::Rate(_) => 9,
            FrameError::Odd => 10,
        };
        report.note(kind, error.to_string().as_bytes());
    }
    report
}

/// What was read, in order, and what ended it. Audio and ids with their bytes.
type Told = (Vec<(char, Vec<u8>)>, Option<FrameError>);

/// The frames of bytes that arrive in pieces.
fn read(wire: &[u8], size: usize) -> Told {
    let (mut frames, mut told) = (Frames::default(), Vec::new());
    let mut pcm = Vec::new();
    for piece in wire.chunks(size) {
        let space = frames.space();
        assert!(space.len() < HEADER + LONGEST, "what was read is not kept");
        space.extend_from_slice(piece);
        loop {
            let frame = match frames.take(&mut pcm) {
                Ok(None) => break,
                Ok(Some(frame)) => frame,
                Err(error) => return (told, Some(error)),
            };
            told.push(match frame {
                Frame::Id(id) => ('i', id.to_vec()),
                Frame::Audio => ('a', pcm.iter().flat_map(|sample| sample.to_le_bytes()).collect()),
                Frame::Dtmf(key) => ('k', key.to_string().into_bytes()),
                Frame::Hangup => ('h', Vec::new()),
                Frame::Error => ('e', Vec::new()),
                Frame::Other => ('o', Vec::new()),
            });
        }
    }
    (told, None)
}

/// As Asterisk's documentation has it.
fn model(mut wire: &[u8]) -> Told {
    let mut told = Vec::new();
    while let [kind, high, low, rest @ ..] = wire {
        let length = usize::from(*high) * 256 + usize::from(*low);
        if length > LONGEST {
            return (told, Some(FrameError::TooLong(length)));
        }
        if rest.len() < length {
            break;
        }
        let (payload, behind) = rest.split_at(length);
        wire = behind;
        told.push(match (kind, payload) {
            (0x00, _) | (0xFF, [1]) => ('h', Vec::new()),
            (0x01, id) if id.len() == 16 => ('i', id.to_vec()),
            (0x03, [key]) if b"0123456789*#ABCD".contains(key) => ('k', vec![*key]),
            (0x10, audio) if !audio.len().is_multiple_of(2) => return (told, Some(FrameError::Odd)),
            (0x10, audio) => ('a', audio.to_vec()),
            (0x11..=0x18, _) => return (told, Some(FrameError::Rate(*kind))),
            (0xFF, _) => ('e', Vec::new()),
            _ => ('o', Vec::new()),
        });
    }
    (told, None)
}

/// Appends a frame, or bytes that are none.
fn write(reader: &mut Reader<'_>, wire: &mut Vec<u8>) {
    let choice = reader.next();
    let (kind, length) = match choice % 11 {
        0 => (0x01, 16),
        1 => (0x10, 2 * reader.below(LONGEST / 2 + 2)),
        2 => {
            let key = reader.pick(b"0123456789*#ABCDabx\0");
            return wire.extend([0x03, 0, 1, key]);
        }
        3 => (0x00, reader.below(3)),
        4 => {
            let code = reader.pick(&[1, 2, 4, 0]);
            return wire.extend([0xFF, 0, 1, code]);
        }
        // What this version does not know, or not so.
        5 => (reader.next(), reader.below(20)),
        6 => (reader.pick(&[0x10, 0x11, 0x12, 0x18, 0x19]), reader.below(400)),
        7 => (reader.next(), reader.below(1 << 16)),
        8 => {
            // Ours, come back.
            let samples = reader.below(161);
            audio_head(samples, wire);
            return wire.extend((0..2 * samples).map(|n| n as u8));
        }
        _ => {
            let count = reader.below(40);
            return wire.extend_from_slice(reader.raw(count));
        }
    };
    wire.push(kind);
    wire.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    let fill = reader.next();
    // Often cut off.
    let whole = if choice & 0x80 == 0 { length } else { length / 2 };
    wire.extend((0..whole).map(|n| fill.wrapping_add(n as u8)));
}

fn number(kind: char) -> u32 {
    match kind {
        'i' => 0,
        'a' => 1,
        'k' => 2,
        'h' => 3,
        'e' => 4,
        _ => 5,
    }
}

/// Bits of [`Report::kinds`] that a corpus reaches.
pub(crate) const ALL: u32 = 0b111_0011_1111;
const MOST_FRAMES: usize = 60;
const HEADER: usize = 3;
/// Bytes of one frame; more are none of Asterisk's.
const LONGEST: usize = 8_000;
