//! What a simulated caller says: audio of any rate brought to telephone frames.

use std::path::{Path, PathBuf};

use super::line::{FRAME_BYTES, Frame};
use crate::audio::mulaw;
use crate::audio::resample::resample;
use crate::audio::wav::{Recording, WavError};
use crate::time::SampleRate;

/// One caller turn, ready to be sent.
#[derive(Debug, Clone)]
pub struct Utterance {
    /// What a person calls it: the text to say, or the file's name.
    pub label: String,
    /// The speech, from its first to its last voiced frame.
    pub frames: Vec<Frame>,
}

/// How loud the caller speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// Active speech at this level, in dB of full scale.
    Dbfs(f32),
    /// As recorded.
    AsIs,
}

/// Why audio cannot be spoken on a call.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// The file cannot be opened or is no PCM wav.
    #[error("cannot read {}", path.display())]
    Wav {
        /// The file.
        path: PathBuf,
        /// Why.
        source: WavError,
    },
    /// Nothing in it can be heard.
    #[error("{label} holds no speech")]
    Silent {
        /// The utterance.
        label: String,
    },
    /// A sample rate outside of 1 to 384 kHz.
    #[error("{label} has a sample rate of {rate} Hz, between 1000 and 384000 are possible")]
    Rate {
        /// The utterance.
        label: String,
        /// Its rate.
        rate: u32,
    },
    /// The resampler refused.
    #[error("{label} cannot be resampled: {reason}")]
    Resample {
        /// The utterance.
        label: String,
        /// What the resampler said.
        reason: String,
    },
}

impl Utterance {
    /// Reads a wav file of any rate, channel count and PCM or float format; channels are averaged.
    ///
    /// # Errors
    ///
    /// The file cannot be read or holds no speech.
    pub fn from_wav(path: &Path, level: Level) -> Result<Self, SpeechError> {
        let wrap = |source| SpeechError::Wav {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(|error| wrap(WavError::Format(error.into())))?;
        let recording = Recording::read(std::io::BufReader::new(file)).map_err(wrap)?;
        let label = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned();
        Self::from_samples(label, &recording.samples, recording.rate.get(), level)
    }

    /// Takes mono samples in −1 to 1, brings them to 8 kHz and `level`, and trims them to the speech.
    ///
    /// # Errors
    ///
    /// The rate is out of range, or nothing in the samples can be heard.
    pub fn from_samples(label: String, samples: &[f32], rate: u32, level: Level) -> Result<Self, SpeechError> {
        Self::with_margin(label, samples, rate, level, 0)
    }

    /// The same with up to `margin` frames of what was recorded around the speech: an "h" or a "t" at its ends is too weak
    /// to count as voiced, but not to be heard.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn with_margin(
        label: String,
        samples: &[f32],
        rate: u32,
        level: Level,
        margin: usize,
    ) -> Result<Self, SpeechError> {
        if !(1000..=384_000).contains(&rate) {
            return Err(SpeechError::Rate { label, rate });
        }
        let finite: Vec<f32> = samples
            .iter()
            .map(|&sample| if sample.is_finite() { sample } else { 0.0 })
            .collect();
        let resampled = resample(&finite, SampleRate::hz(rate), SampleRate::LINE);
        let mut samples = resampled.map_err(|error| SpeechError::Resample {
            label: label.clone(),
            reason: error.to_string(),
        })?;
        if let Level::Dbfs(dbfs) = level {
            set_level(&mut samples, dbfs);
        }
        let pcm: Vec<i16> = samples
            .iter()
            .map(|&sample| (sample * FULL_SCALE).round() as i16)
            .collect();
        let frames: Vec<Frame> = speech_of(&pcm, margin).map(|frame| encode(&frame)).collect();
        if frames.is_empty() {
            return Err(SpeechError::Silent { label });
        }
        Ok(Self { label, frames })
    }
}

impl std::str::FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "as-is" {
            return Ok(Self::AsIs);
        }
        let dbfs = text.strip_suffix("dBFS").unwrap_or(text).trim().parse::<f32>().ok();
        dbfs.filter(|dbfs| (-60.0..=0.0).contains(dbfs))
            .map(Self::Dbfs)
            .ok_or_else(|| format!("{text:?} is neither \"as-is\" nor a level from -60 to 0 dBFS"))
    }
}

/// Scales the samples so that those above 5 % of the peak, the active ones, have an RMS of `dbfs`.
fn set_level(samples: &mut [f32], dbfs: f32) {
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let active: Vec<f64> = samples
        .iter()
        .filter(|sample| sample.abs() > peak * 0.05)
        .map(|&sample| f64::from(sample))
        .collect();
    let energy = active.iter().map(|sample| sample * sample).sum::<f64>() / active.len().max(1) as f64;
    if energy > 0.0 {
        let gain = f32::powf(10.0, dbfs / 20.0) / energy.sqrt() as f32;
        for sample in samples {
            *sample *= gain;
        }
    }
}

/// The frames from the first to the last above −35 dB of the loudest, and so many more at both ends.
fn speech_of(pcm: &[i16], margin: usize) -> impl Iterator<Item = [i16; FRAME_BYTES]> {
    let frames: Vec<[i16; FRAME_BYTES]> = pcm
        .chunks(FRAME_BYTES)
        .map(|chunk| {
            let mut frame = [0; FRAME_BYTES];
            frame[..chunk.len()].copy_from_slice(chunk);
            frame
        })
        .collect();
    let levels: Vec<f64> = frames.iter().map(rms).collect();
    let loudest = levels.iter().copied().fold(0.0, f64::max);
    let threshold = f64::max(loudest * f64::powf(10.0, -35.0 / 20.0), FLOOR_RMS);
    let first = levels
        .iter()
        .position(|&level| level > threshold)
        .map_or(frames.len(), |first| first.saturating_sub(margin));
    let end = levels
        .iter()
        .rposition(|&level| level > threshold)
        .map_or(first, |last| last + 1 + margin);
    frames.into_iter().take(end).skip(first)
}

fn rms(frame: &[i16; FRAME_BYTES]) -> f64 {
    (frame.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / FRAME_BYTES as f64).sqrt()
}

fn encode(frame: &[i16; FRAME_BYTES]) -> Frame {
    frame.map(mulaw::encode)
}

const FULL_SCALE: f32 = 32768.0;

/// 16-bit RMS below which nothing counts as speech.
const FLOOR_RMS: f64 = 30.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f32, seconds: f32, amplitude: f32) -> Vec<f32> {
        let count = (rate as f32 * seconds) as usize;
        (0..count)
            .map(|n| amplitude * (n as f32 * hertz * std::f32::consts::TAU / rate as f32).sin())
            .collect()
    }

    fn decoded(utterance: &Utterance) -> Vec<f64> {
        utterance
            .frames
            .iter()
            .flatten()
            .map(|&byte| f64::from(mulaw::decode(byte)))
            .collect()
    }

    #[test]
    fn a_margin_keeps_what_is_too_weak_to_be_voiced() {
        let clip = [vec![0.0; 4000], tone(8000, 400.0, 0.4, 0.3), vec![0.0; 80]].concat();
        let level = Level::Dbfs(-22.0);
        let frames = |margin| {
            let spoken = Utterance::with_margin("clip".to_owned(), &clip, 8000, level, margin);
            spoken.expect("an utterance").frames.len()
        };
        assert_eq!(frames(0), 20);
        assert_eq!(frames(10), 20 + 10 + 1, "there is no more at the end");
    }

    #[test]
    fn silence_around_the_speech_is_cut_off_and_pauses_stay() {
        let gap = vec![0.0; 4000];
        let clip = [
            gap.clone(),
            tone(8000, 400.0, 0.4, 0.3),
            gap.clone(),
            tone(8000, 400.0, 0.2, 0.3),
            gap,
        ]
        .concat();
        let utterance = Utterance::from_samples("x".to_owned(), &clip, 8000, Level::AsIs).expect("speech");
        assert_eq!(utterance.frames.len(), 20 + 25 + 10);
    }

    #[test]
    fn active_speech_is_brought_to_level() {
        for amplitude in [0.01, 0.9] {
            let clip = tone(8000, 440.0, 1.0, amplitude);
            let utterance = Utterance::from_samples("x".to_owned(), &clip, 8000, Level::Dbfs(-22.0)).expect("speech");
            let pcm = decoded(&utterance);
            let level = (pcm.iter().map(|sample| sample * sample).sum::<f64>() / pcm.len() as f64).sqrt() / 32768.0;
            assert!((20.0 * level.log10() + 22.0).abs() < 0.5, "{}", 20.0 * level.log10());
        }
    }

    #[test]
    fn a_wav_of_any_format_is_read() {
        let folder = tempfile::tempdir().expect("folder");
        let formats = [
            (16, hound::SampleFormat::Int, 1, 8000),
            (8, hound::SampleFormat::Int, 2, 16_000),
            (24, hound::SampleFormat::Int, 2, 44_100),
            (32, hound::SampleFormat::Float, 1, 22_050),
        ];
        for (bits, format, channels, rate) in formats {
            let path = folder.path().join(format!("{bits}.wav"));
            let spec = hound::WavSpec {
                channels,
                sample_rate: rate,
                bits_per_sample: bits,
                sample_format: format,
            };
            let mut writer = hound::WavWriter::create(&path, spec).expect("file");
            for sample in tone(rate, 400.0, 0.5, 0.5) {
                for _ in 0..channels {
                    match format {
                        hound::SampleFormat::Float => writer.write_sample(sample).expect("sample"),
                        hound::SampleFormat::Int => {
                            let scaled = (sample * (f32::powi(2.0, i32::from(bits) - 1) - 1.0)) as i32;
                            writer.write_sample(scaled).expect("sample");
                        }
                    }
                }
            }
            writer.finalize().expect("file");
            let utterance = Utterance::from_wav(&path, Level::AsIs).expect("speech");
            assert_eq!(utterance.label, format!("{bits}.wav"));
            assert!(
                utterance.frames.len().abs_diff(25) <= 1,
                "{bits}: {}",
                utterance.frames.len()
            );
            let peak = decoded(&utterance).into_iter().fold(0.0, f64::max);
            assert!((14_000.0..19_000.0).contains(&peak), "{bits}: {peak}");
        }
    }

    #[test]
    fn what_cannot_be_spoken_is_named() {
        let silent = Utterance::from_samples("a.wav".to_owned(), &[0.0; 8000], 8000, Level::Dbfs(-22.0));
        assert_eq!(silent.expect_err("silent").to_string(), "a.wav holds no speech");
        assert!(Utterance::from_samples("x".to_owned(), &[], 16_000, Level::AsIs).is_err());
        assert!(Utterance::from_samples("x".to_owned(), &[f32::NAN; 999], 16_000, Level::AsIs).is_err());
        assert!(Utterance::from_samples("x".to_owned(), &[0.5; 9], 0, Level::AsIs).is_err());
        let missing = Utterance::from_wav(Path::new("no/such.wav"), Level::AsIs).expect_err("missing");
        assert!(missing.to_string().starts_with("cannot read no/such.wav"), "{missing}");
    }

    #[test]
    fn levels_are_parsed() {
        assert_eq!("as-is".parse(), Ok(Level::AsIs));
        assert_eq!("-26".parse(), Ok(Level::Dbfs(-26.0)));
        assert!("loud".parse::<Level>().is_err() && "nan".parse::<Level>().is_err() && "3".parse::<Level>().is_err());
    }
}
