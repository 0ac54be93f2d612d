//! AudioSocket's frames: a type, a length of two bytes, the high one first, and so many bytes. Pure.
//! Source: <https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket>.

use crate::call::codec::linear_into;

/// What a frame says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The call's UUID; comes first.
    Id([u8; 16]),
    /// Caller audio; the samples are where they were asked to be.
    Audio,
    /// A key was pressed.
    Dtmf(char),
    /// The end.
    Hangup,
    /// The other side has failed.
    Error,
    /// One of a type that this version does not know, or without its content.
    Other,
}

/// Why the bytes cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than any audio frame: these bytes are no frames, or their beginning was lost.
    #[error("a frame of {0} bytes; at most {MAX_PAYLOAD} are taken")]
    TooLong(usize),
    /// Audio at another rate.
    #[error("audio of type {0:#04x}; only 0x10, slin of 8000 Hz, is taken")]
    Rate(u8),
    /// Half a sample.
    #[error("an audio frame of an odd length")]
    Odd,
}

/// Bytes as they arrive, in whatever pieces.
#[derive(Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Up to here they were read.
    done: usize,
}

impl Frames {
    /// Where the next bytes go: behind the others.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.done);
        self.done = 0;
        self.bytes.reserve(READ);
        &mut self.bytes
    }

    /// The next frame, if it is complete. Audio replaces what `pcm` held.
    pub fn take(&mut self, pcm: &mut Vec<i16>) -> Result<Option<Frame>, FrameError> {
        let Some((&[kind, high, low], rest)) = self.bytes[self.done..].split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > MAX_PAYLOAD {
            return Err(FrameError::TooLong(length));
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = match kind {
            HANGUP => Frame::Hangup,
            ID => payload.try_into().map_or(Frame::Other, Frame::Id),
            DTMF => match payload {
                [digit @ (b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D')] => Frame::Dtmf(char::from(*digit)),
                _ => Frame::Other,
            },
            AUDIO if !length.is_multiple_of(2) => return Err(FrameError::Odd),
            AUDIO => {
                pcm.clear();
                linear_into(payload, pcm);
                Frame::Audio
            }
            FASTER_AUDIO..=FASTEST_AUDIO => return Err(FrameError::Rate(kind)),
            // Asterisk: the caller hung up.
            ERROR if payload == [1] => Frame::Hangup,
            ERROR => Frame::Error,
            _ => Frame::Other,
        };
        self.done += HEADER + length;
        Ok(Some(frame))
    }
}

/// Appends the head of an audio frame of so many samples.
pub fn audio_head(samples: usize, out: &mut Vec<u8>) {
    let length = u16::try_from(samples * 2).expect("invariant: a frame of ours has 160 samples");
    out.push(AUDIO);
    out.extend_from_slice(&length.to_be_bytes());
}

/// The frame that ends a call.
pub const HANGUP_FRAME: [u8; 3] = [HANGUP, 0, 0];

const HEADER: usize = 3;
const HANGUP: u8 = 0x00;
const ID: u8 = 0x01;
const DTMF: u8 = 0x03;
const AUDIO: u8 = 0x10;
const FASTER_AUDIO: u8 = 0x11;
const FASTEST_AUDIO: u8 = 0x18;
const ERROR: u8 = 0xFF;
/// Half a second of audio; Asterisk sends 20 ms.
const MAX_PAYLOAD: usize = 8_000;
/// Room for one read.
const READ: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All frames of `bytes`, arriving in pieces of `size`; audio as its samples.
    fn read(bytes: &[u8], size: usize) -> Result<Vec<(Frame, Vec<i16>)>, FrameError> {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(size) {
            frames.space().extend_from_slice(piece);
            let mut pcm = Vec::new();
            while let Some(frame) = frames.take(&mut pcm)? {
                found.push((frame, std::mem::take(&mut pcm)));
            }
        }
        Ok(found)
    }

    #[test]
    fn frames_are_read_in_pieces_of_any_size() {
        let mut bytes = vec![ID, 0, 16];
        bytes.extend(0..16);
        bytes.extend([AUDIO, 0, 4, 0x01, 0x00, 0xFF, 0xFF, DTMF, 0, 1, b'#', 0x42, 0, 2, 9, 9]);
        bytes.extend([DTMF, 0, 1, b'x', ID, 0, 1, 5, ERROR, 0, 1, 4, ERROR, 0, 1, 1]);
        bytes.extend(HANGUP_FRAME);
        let id: [u8; 16] = std::array::from_fn(|n| n as u8);
        let expected = [
            (Frame::Id(id), vec![]),
            (Frame::Audio, vec![1, -1]),
            (Frame::Dtmf('#'), vec![]),
            (Frame::Other, vec![]),
            (Frame::Other, vec![]),
            (Frame::Other, vec![]),
            (Frame::Error, vec![]),
            (Frame::Hangup, vec![]),
            (Frame::Hangup, vec![]),
        ];
        for size in [1, 2, 3, 7, bytes.len()] {
            assert!(
                read(&bytes, size).is_ok_and(|found| found == expected),
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn what_cannot_be_heard_is_an_error() {
        let error = |bytes: &[u8]| read(bytes, 1).err();
        assert_eq!(error(&[AUDIO, 0xFF, 0xFF]), Some(FrameError::TooLong(65_535)));
        assert_eq!(error(b"GET / HTTP/1.1"), Some(FrameError::TooLong(0x4554)));
        assert_eq!(error(&[0x12, 0, 2, 0, 0]), Some(FrameError::Rate(0x12)));
        assert_eq!(error(&[AUDIO, 0, 3, 0, 0, 0]), Some(FrameError::Odd));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, size in 1_usize..50) {
            let _ = read(&bytes, size);
        }
    }
}
