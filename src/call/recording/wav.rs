//! A recording as WAV: stereo of 16 bits, the caller left, the agent right.

use crate::audio::mulaw;
use crate::call::recording::Played;
use crate::time::SampleRate;

/// The bytes of a WAV, piece by piece.
pub struct Wav {
    played: Played,
    /// The next sample; `None` before the header.
    at: Option<usize>,
}

impl Wav {
    /// Of a recording.
    pub fn new(played: Played) -> Self {
        Self { played, at: None }
    }

    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        HEADER as u64 + self.played.caller.len() as u64 * FRAME as u64
    }

    /// Never: it has a header.
    pub fn is_empty(&self) -> bool {
        false
    }

    fn header(&self) -> Vec<u8> {
        let rate = SampleRate::LINE.get();
        let data = u32::try_from(self.played.caller.len() * FRAME).unwrap_or(u32::MAX - HEADER as u32);
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(b"RIFF");
        header.extend_from_slice(&(data + HEADER as u32 - 8).to_le_bytes());
        header.extend_from_slice(b"WAVEfmt ");
        header.extend_from_slice(&16_u32.to_le_bytes());
        // PCM, two channels.
        header.extend_from_slice(&1_u16.to_le_bytes());
        header.extend_from_slice(&2_u16.to_le_bytes());
        header.extend_from_slice(&rate.to_le_bytes());
        header.extend_from_slice(&(rate * FRAME as u32).to_le_bytes());
        header.extend_from_slice(&(FRAME as u16).to_le_bytes());
        header.extend_from_slice(&16_u16.to_le_bytes());
        header.extend_from_slice(b"data");
        header.extend_from_slice(&data.to_le_bytes());
        header
    }
}

impl Iterator for Wav {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let Some(from) = self.at else {
            self.at = Some(0);
            return Some(self.header());
        };
        let to = self.played.caller.len().min(from + STEP);
        self.at = Some(to);
        let both = self.played.caller[from..to].iter().zip(&self.played.agent[from..to]);
        let bytes: Vec<u8> = both
            .flat_map(|(caller, agent)| {
                let [a, b] = mulaw::decode(*caller).to_le_bytes();
                let [c, d] = mulaw::decode(*agent).to_le_bytes();
                [a, b, c, d]
            })
            .collect();
        (!bytes.is_empty()).then_some(bytes)
    }
}

/// Bytes of a WAV's header.
const HEADER: usize = 44;
/// Bytes of a sample of both sides.
const FRAME: usize = 4;
/// Samples of one piece: a second.
const STEP: usize = 8_000;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn it_reads_as_two_channels() {
        let caller: Vec<u8> = (0..20_001).map(|n| (n % 256) as u8).collect();
        let agent: Vec<u8> = caller.iter().rev().copied().collect();
        let played = Played {
            caller: caller.clone(),
            agent: agent.clone(),
            ..Played::default()
        };
        let wav = Wav::new(played);
        let length = wav.len();
        let bytes: Vec<u8> = wav.flatten().collect();
        assert_eq!(bytes.len() as u64, length);
        let mut read = hound::WavReader::new(Cursor::new(bytes)).expect("a WAV");
        assert_eq!(
            (
                read.spec().channels,
                read.spec().sample_rate,
                read.spec().bits_per_sample
            ),
            (2, 8_000, 16)
        );
        let samples: Vec<i16> = read.samples::<i16>().collect::<Result<_, _>>().expect("samples");
        let side = |side: usize| samples.iter().skip(side).step_by(2).copied().collect::<Vec<i16>>();
        let decoded = |bytes: &[u8]| bytes.iter().map(|byte| mulaw::decode(*byte)).collect::<Vec<i16>>();
        assert!(side(0) == decoded(&caller) && side(1) == decoded(&agent));
    }

    #[test]
    fn nothing_is_a_header() {
        let bytes: Vec<u8> = Wav::new(Played::default()).flatten().collect();
        assert_eq!(bytes.len(), HEADER);
        assert_eq!(hound::WavReader::new(Cursor::new(bytes)).expect("a WAV").len(), 0);
    }
}
