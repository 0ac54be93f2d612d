//! WAV in and out through `hound`, from and to any reader or writer.

use std::io::{Read, Seek, Write};

use crate::audio::mulaw::to_i16;
use crate::audio::resample::resample;
use crate::time::SampleRate;

/// Why a WAV could not be used.
#[derive(Debug, thiserror::Error)]
pub enum WavError {
    /// Not a WAV, or cut short.
    #[error("not a readable WAV: {0}")]
    Format(#[from] hound::Error),
    /// Sample rate outside what a recording has.
    #[error("sample rate {0} Hz is not usable (4000..192000)")]
    Rate(u32),
    /// Wider samples than there are, by its header.
    #[error("samples of {0} bits are not usable (1..32)")]
    Width(u16),
}

/// A recording mixed to mono, −1.0..1.0.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Mono samples.
    pub samples: Vec<f32>,
    /// Their rate.
    pub rate: SampleRate,
}

/// Makes the header of a WAV that was streamed before its length was known say what is there: such servers write 0 or
/// something near 2 or 4 GiB. The length of any other WAV is left alone, so that a cut one is still found out.
pub fn mend_streamed(file: &mut [u8]) {
    let size = |file: &[u8], at: usize| {
        let bytes = file.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return;
    }
    let (mut at, mut frame) = (12, 1);
    while let Some(length) = size(file, at + 4) {
        let body = at + 8;
        if &file[at..at + 4] == b"data" {
            if length == 0 || length >= UNKNOWN_LENGTH {
                let there = (file.len() - body) / frame * frame;
                let there = u32::try_from(there).unwrap_or(u32::MAX);
                file[at + 4..body].copy_from_slice(&there.to_le_bytes());
            }
            return;
        }
        if &file[at..at + 4] == b"fmt "
            && let Some(&[low, high]) = file.get(body + 12..body + 14)
        {
            frame = usize::from(u16::from_le_bytes([low, high])).max(1);
        }
        at = body.saturating_add(length as usize).saturating_add(length as usize % 2);
        if at > file.len() {
            return;
        }
    }
}

impl Recording {
    /// Reads integer or float WAV of any channel count.
    pub fn read(reader: impl Read) -> Result<Self, WavError> {
        let mut wav = hound::WavReader::new(reader)?;
        let spec = wav.spec();
        if !(4_000..=192_000).contains(&spec.sample_rate) {
            return Err(WavError::Rate(spec.sample_rate));
        }
        if !(1..=32).contains(&spec.bits_per_sample) {
            return Err(WavError::Width(spec.bits_per_sample));
        }
        let interleaved: Vec<f32> = match spec.sample_format {
            hound::SampleFormat::Float => wav.samples::<f32>().collect::<Result<_, _>>()?,
            hound::SampleFormat::Int => {
                let scale = 1.0 / (1_i64 << (spec.bits_per_sample - 1)) as f32;
                wav.samples::<i32>()
                    .map(|sample| sample.map(|value| value as f32 * scale))
                    .collect::<Result<_, _>>()?
            }
        };
        let channels = usize::from(spec.channels.max(1));
        let samples = interleaved
            .chunks(channels)
            .map(|frame| frame.iter().sum::<f32>() / frame.len() as f32)
            .collect();
        Ok(Self {
            samples,
            rate: SampleRate::hz(spec.sample_rate),
        })
    }

    /// The same recording at another rate.
    pub fn at(&self, rate: SampleRate) -> Result<Vec<f32>, WavError> {
        resample(&self.samples, self.rate, rate).map_err(|_| WavError::Rate(self.rate.get()))
    }
}

/// Writes mono 16-bit samples.
pub fn write_mono(writer: impl Write + Seek, samples: &[f32], rate: SampleRate) -> Result<(), WavError> {
    write_all(writer, samples.iter().map(|&sample| to_i16(sample)), rate)
}

/// The same, of samples that are 16 bits wide already.
pub fn write_pcm(writer: impl Write + Seek, samples: &[i16], rate: SampleRate) -> Result<(), WavError> {
    write_all(writer, samples.iter().copied(), rate)
}

fn write_all(writer: impl Write + Seek, samples: impl Iterator<Item = i16>, rate: SampleRate) -> Result<(), WavError> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate.get(),
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::new(writer, spec)?;
    for sample in samples {
        wav.write_sample(sample)?;
    }
    Ok(wav.finalize()?)
}

/// No sentence is that long: 2 GiB less some room for a header.
const UNKNOWN_LENGTH: u32 = 0x7FFF_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn what_is_written_reads_back() {
        let samples = [0.0, 0.25, -0.5, 0.999];
        let mut file = Cursor::new(Vec::new());
        write_mono(&mut file, &samples, SampleRate::LINE).expect("written");
        let recording = Recording::read(Cursor::new(file.into_inner())).expect("read");
        assert_eq!(recording.rate, SampleRate::LINE);
        assert!(recording.samples.iter().zip(samples).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    #[test]
    fn rubbish_and_cut_files_are_errors() {
        assert!(Recording::read(&b"not a wav"[..]).is_err());
        let mut file = Cursor::new(Vec::new());
        write_mono(&mut file, &[0.1; 100], SampleRate::LINE).expect("written");
        let whole = file.into_inner();
        assert!(Recording::read(&whole[..whole.len() - 7]).is_err());
    }

    /// `WAVE_FORMAT_EXTENSIBLE` has a second width beside that of the container, and nobody checks it.
    #[test]
    fn samples_wider_than_their_container_are_an_error() {
        let with_valid_bits = |bits: u16| {
            let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
            file.extend(40_u32.to_le_bytes());
            for field in [0xFFFE_u16, 1] {
                file.extend(field.to_le_bytes());
            }
            for field in [8_000_u32, 16_000] {
                file.extend(field.to_le_bytes());
            }
            for field in [2_u16, 16, 22, bits] {
                file.extend(field.to_le_bytes());
            }
            file.extend(4_u32.to_le_bytes());
            // KSDATAFORMAT_SUBTYPE_PCM
            file.extend(*b"\x01\0\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71");
            file.extend(*b"data\x04\0\0\0\0\x40\0\xC0");
            Recording::read(&file[..])
        };
        assert_eq!(with_valid_bits(16).expect("read").samples, [0.5, -0.5]);
        for bits in [33, 65, u16::MAX] {
            let error = with_valid_bits(bits).expect_err("too wide");
            assert!(matches!(error, WavError::Width(of) if of == bits), "{error}");
        }
    }

    #[test]
    fn a_streamed_header_is_mended_and_nothing_panics() {
        let mut file = Cursor::new(Vec::new());
        write_mono(&mut file, &[0.1; 100], SampleRate::LINE).expect("written");
        let whole = file.into_inner();
        for length in [0, u32::MAX, 0x7FFF_FFDB] {
            let mut streamed = whole.clone();
            streamed[40..44].copy_from_slice(&length.to_le_bytes());
            // Half a sample too much.
            streamed.push(0);
            mend_streamed(&mut streamed);
            assert_eq!(Recording::read(&streamed[..]).expect("read").samples.len(), 100);
        }
        for end in 0..whole.len() {
            let mut cut = whole[..end].to_vec();
            mend_streamed(&mut cut);
            assert_eq!(cut, whole[..end], "a length that is known is left alone");
            cut.iter_mut().skip(12).for_each(|byte| *byte = 0xFF);
            mend_streamed(&mut cut);
        }
    }
}
