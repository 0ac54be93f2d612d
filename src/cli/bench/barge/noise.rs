//! What a caller's line carries besides speech: noise of three kinds, made from a seed, at a level. Pure.

use clap::ValueEnum;
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde::Serialize;

/// A kind of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Gaussian, the same at all frequencies.
    White,
    /// People talking at once, as in a waiting room.
    Babble,
    /// Mains hum with harmonics, hiss, and crackle.
    Line,
}

/// A minute of 8 kHz noise with an RMS of `dbfs`; `voices` is the speech that babble is made of.
pub(super) fn minute(kind: Kind, dbfs: f32, seed: u64, voices: &[Vec<i16>]) -> Vec<i16> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut noise = match kind {
        Kind::White => (0..SAMPLES).map(|_| gaussian(&mut rng)).collect(),
        Kind::Babble => babble(&mut rng, voices),
        Kind::Line => line(&mut rng),
    };
    set_rms(&mut noise, dbfs);
    noise.into_iter().map(|sample| sample.round() as i16).collect()
}

/// `TALKERS` who each say one clip after the other with short breaths between, from a random place in the minute on.
fn babble(rng: &mut StdRng, voices: &[Vec<i16>]) -> Vec<f32> {
    let mut sum = vec![0.0; SAMPLES];
    if voices.iter().all(Vec::is_empty) {
        return sum;
    }
    for _ in 0..TALKERS {
        let start = rng.random_range(0..SAMPLES);
        let mut said = 0;
        while said < SAMPLES {
            let clip = &voices[rng.random_range(0..voices.len())];
            for (index, &sample) in clip.iter().take(SAMPLES - said).enumerate() {
                sum[(start + said + index) % SAMPLES] += f32::from(sample);
            }
            said += clip.len() + rng.random_range(RATE / 20..RATE / 3);
        }
    }
    sum
}

/// 50 Hz and its harmonics (most of the power), hiss, and on average `CRACKLES` short clicks a second.
fn line(rng: &mut StdRng) -> Vec<f32> {
    let mut samples: Vec<f32> = (0..SAMPLES)
        .map(|index| {
            let angle = std::f32::consts::TAU * (index % (RATE / 50)) as f32 / (RATE / 50) as f32;
            let hum: f32 = HARMONICS
                .iter()
                .map(|&(harmonic, part)| part * (angle * harmonic).sin())
                .sum();
            hum + 0.3 * gaussian(rng)
        })
        .collect();
    let clicks = CRACKLES * SAMPLES / RATE;
    for _ in 0..clicks {
        let place = rng.random_range(0..SAMPLES);
        let mut height = rng.random_range(2.0..8.0);
        for sample in samples[place..].iter_mut().take(RATE / 500) {
            *sample += height * gaussian(rng);
            height *= 0.7;
        }
    }
    samples
}

/// Box and Muller's transform.
fn gaussian(rng: &mut StdRng) -> f32 {
    let radius = (-2.0 * rng.random_range(f32::MIN_POSITIVE..1.0).ln()).sqrt();
    radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
}

fn set_rms(samples: &mut [f32], dbfs: f32) {
    let power: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    let rms = (power / samples.len() as f64).sqrt();
    if rms > 0.0 {
        let gain = 32768.0 * f32::powf(10.0, dbfs / 20.0) / rms as f32;
        for sample in samples {
            *sample *= gain;
        }
    }
}

const RATE: usize = 8000;
const SAMPLES: usize = 60 * RATE;
const TALKERS: usize = 8;
const CRACKLES: usize = 6;
/// Multiples of 50 Hz, and how strong each is.
const HARMONICS: [(f32, f32); 6] = [(1.0, 1.0), (2.0, 0.5), (3.0, 0.6), (5.0, 0.3), (7.0, 0.2), (9.0, 0.1)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level::dbfs;
    use crate::audio::mulaw;

    fn voices() -> Vec<Vec<i16>> {
        let tone = |pitch: f32| {
            (0..12_000)
                .map(|n| (9000.0 * (n as f32 * pitch).sin()) as i16)
                .collect()
        };
        vec![tone(0.2), tone(0.5), tone(0.9)]
    }

    #[test]
    fn the_level_is_kept_through_the_coding_of_the_line() {
        for kind in [Kind::White, Kind::Babble, Kind::Line] {
            let noise = minute(kind, -35.0, 1, &voices());
            assert_eq!(noise.len(), 60 * 8000);
            let received: Vec<i16> = noise
                .iter()
                .map(|&sample| mulaw::decode(mulaw::encode(sample)))
                .collect();
            let level = dbfs(&received);
            assert!((level + 35.0).abs() < 0.5, "{kind:?}: {level}");
        }
    }

    #[test]
    fn a_seed_gives_one_noise() {
        for kind in [Kind::White, Kind::Babble, Kind::Line] {
            let noise = |seed| minute(kind, -35.0, seed, &voices());
            assert_eq!(noise(1), noise(1));
            assert_ne!(noise(1), noise(2));
        }
    }

    #[test]
    fn babble_without_voices_is_silent() {
        assert!(minute(Kind::Babble, -35.0, 1, &[]).iter().all(|&sample| sample == 0));
    }
}
