//! Whisper's log-mel features over the last eight seconds, as `transformers.WhisperFeatureExtractor(chunk_length=8)` with
//! `do_normalize` makes them and Pipecat 1.14 copies them.
//!
//! The transform is in `f32`, sums over the audio in `f64`: the reference, mostly `f64`, differs by 1e-5.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};

use crate::audio::mel::{BINS, filters};

/// The plan, the tables and every buffer: [`Features::of`] allocates nothing.
pub struct Features {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    bank: Vec<Band>,
    padded: Vec<f32>,
    frame: Vec<f32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
    power: Vec<f32>,
    mel: Vec<f32>,
}

/// One triangle of the mel bank without its zeros.
struct Band {
    first: usize,
    weights: Vec<f32>,
}

impl Features {
    /// Plans the transform and builds the tables.
    pub fn new() -> Self {
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(FFT);
        let step = std::f64::consts::TAU / FFT as f64;
        Self {
            window: (0..FFT).map(|n| (0.5 - 0.5 * (n as f64 * step).cos()) as f32).collect(),
            bank: filters(MELS).chunks_exact(BINS).map(Band::new).collect(),
            padded: vec![0.0; SAMPLES + FFT],
            frame: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; BINS],
            mel: vec![0.0; MELS * FRAMES],
            fft,
        }
    }

    /// [`MELS`] rows of [`FRAMES`] values. Audio shorter than eight seconds gets silence in front, longer is cut in front.
    pub fn of(&mut self, audio: &[f32]) -> &[f32] {
        self.lay_out(audio);
        for frame in 0..FRAMES {
            self.transform(frame * HOP);
            for (mel, band) in self.bank.iter().enumerate() {
                self.mel[mel * FRAMES + frame] = band.energy(&self.power).max(MEL_FLOOR).log10();
            }
        }
        let peak = self.mel.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for value in &mut self.mel {
            *value = (value.max(peak - DYNAMIC_RANGE) + 4.0) / 4.0;
        }
        &self.mel
    }

    /// The last eight seconds at zero mean and unit variance, the silence in front included, mirrored at both ends.
    fn lay_out(&mut self, audio: &[f32]) {
        let heard = &audio[audio.len().saturating_sub(SAMPLES)..];
        let count = SAMPLES as f64;
        let mean = heard.iter().copied().map(f64::from).sum::<f64>() / count;
        let missing = (SAMPLES - heard.len()) as f64;
        let squares: f64 = heard.iter().map(|&sample| (f64::from(sample) - mean).powi(2)).sum();
        let variance = (squares + missing * mean * mean) / count;
        let scale = 1.0 / (variance + VARIANCE_FLOOR).sqrt();
        let normal = |sample: f32| ((f64::from(sample) - mean) * scale) as f32;
        let (from, to) = (HALF + SAMPLES - heard.len(), HALF + SAMPLES);
        self.padded[HALF..from].fill(normal(0.0));
        for (place, &sample) in self.padded[from..to].iter_mut().zip(heard) {
            *place = normal(sample);
        }
        for i in 1..=HALF {
            self.padded[HALF - i] = self.padded[HALF + i];
            self.padded[to - 1 + i] = self.padded[to - 1 - i];
        }
    }

    /// The power spectrum of the window that starts at `from`.
    fn transform(&mut self, from: usize) {
        let samples = &self.padded[from..from + FFT];
        for ((place, sample), weight) in self.frame.iter_mut().zip(samples).zip(&self.window) {
            *place = sample * weight;
        }
        let done = self
            .fft
            .process_with_scratch(&mut self.frame, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the plan made these buffers");
        for (power, bin) in self.power.iter_mut().zip(&self.spectrum) {
            *power = bin.norm_sqr();
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self::new()
    }
}

impl Band {
    fn new(row: &[f32]) -> Self {
        let first = row.iter().position(|&weight| weight > 0.0).unwrap_or(0);
        let end = row
            .iter()
            .rposition(|&weight| weight > 0.0)
            .map_or(first, |last| last + 1);
        Self {
            first,
            weights: row[first..end].to_vec(),
        }
    }

    fn energy(&self, power: &[f32]) -> f32 {
        let bins = power[self.first..].iter();
        bins.zip(&self.weights).map(|(power, weight)| power * weight).sum()
    }
}

/// Mel bands.
pub const MELS: usize = 80;
/// Frames in eight seconds.
pub const FRAMES: usize = 800;
const SAMPLES: usize = FRAMES * HOP;
const HOP: usize = 160;
const FFT: usize = 400;
const HALF: usize = FFT / 2;
// `_MEL_FLOOR`, `_NORM_VARIANCE_EPS` and the range in Pipecat's `_whisper_features.py`.
const MEL_FLOOR: f32 = 1e-10;
const VARIANCE_FLOOR: f64 = 1e-7;
const DYNAMIC_RANGE: f32 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_the_floor_everywhere() {
        let mut features = Features::new();
        for length in [0, 1, SAMPLES, SAMPLES + 1] {
            assert!(
                features.of(&vec![0.0; length]).iter().all(|&value| value == -1.5),
                "{length}"
            );
        }
    }

    #[test]
    fn a_tone_is_loudest_in_its_band_and_only_where_it_sounds() {
        let tone: Vec<f32> = (0..16_000)
            .map(|n| (n as f32 * 1000.0 / 16_000.0 * std::f32::consts::TAU).sin())
            .collect();
        let mut features = Features::new();
        let mel = features.of(&tone);
        let at = |frame: usize| -> Vec<f32> { (0..MELS).map(|band| mel[band * FRAMES + frame]).collect() };
        let last = at(FRAMES - 20);
        let loudest = (0..MELS).max_by(|&a, &b| last[a].total_cmp(&last[b])).expect("bands");
        // 1 kHz is 15 mel; bands are 45.245 / 81 mel apart.
        assert_eq!(loudest, 26);
        assert!(
            at(100).iter().all(|&value| value < last[loudest] - 1.5),
            "silence in front"
        );
    }

    #[test]
    fn only_the_last_eight_seconds_count() {
        let noise: Vec<f32> = (0..SAMPLES as u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0 - 0.5)
            .collect();
        let mut features = Features::new();
        let alone = features.of(&noise).to_vec();
        let after_more: Vec<f32> = std::iter::repeat_n(0.7, 5_000).chain(noise).collect();
        assert_eq!(features.of(&after_more), alone);
    }
}
