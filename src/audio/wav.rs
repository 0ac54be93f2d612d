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
}

/// A recording mixed to mono, −1.0..1.0.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Mono samples.
    pub samples: Vec<f32>,
    /// Their rate.
    pub rate: SampleRate,
}

impl Recording {
    /// Reads integer or float WAV of any channel count.
    pub fn read(reader: impl Read) -> Result<Self, WavError> {
        let mut wav = hound::WavReader::new(reader)?;
        let spec = wav.spec();
        if !(4_000..=192_000).contains(&spec.sample_rate) {
            return Err(WavError::Rate(spec.sample_rate));
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
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate.get(),
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::new(writer, spec)?;
    for &sample in samples {
        wav.write_sample(to_i16(sample))?;
    }
    Ok(wav.finalize()?)
}

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
}
