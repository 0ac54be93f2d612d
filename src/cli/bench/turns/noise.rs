//! What is on the line besides the caller.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Serialize;

use super::audio::{Turn, amplitude, rms};
use super::set::hash;
use crate::audio::mulaw;

/// A kind of background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Noise {
    /// Digital silence.
    Quiet,
    /// White.
    White,
    /// Six of the set's own turns at once, at several paces: like babble, not a recording of it.
    Babble,
}

impl Noise {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::White => "white",
            Self::Babble => "babble",
        }
    }

    /// The μ-law of a turn with this noise at an RMS of `dbfs` under all of it.
    pub(super) fn payload(self, turn: &Turn, all: &[Turn], dbfs: f32, seed: u64) -> Vec<u8> {
        let mut rng = StdRng::seed_from_u64(seed ^ hash(&turn.id));
        let mut mixed = match self {
            Self::Quiet => vec![0.0; turn.samples.len()],
            Self::White => (0..turn.samples.len()).map(|_| rng.random_range(-1.0..1.0)).collect(),
            Self::Babble => babble(turn.samples.len(), all, &mut rng),
        };
        let gain = amplitude(dbfs) / rms(&mixed).max(f32::MIN_POSITIVE);
        for (noise, speech) in mixed.iter_mut().zip(&turn.samples) {
            *noise = *noise * gain + speech;
        }
        let mut payload = Vec::with_capacity(mixed.len());
        mulaw::encode_f32_into(&mixed, &mut payload);
        payload
    }
}

fn babble(length: usize, all: &[Turn], rng: &mut StdRng) -> Vec<f32> {
    let mut mixed = vec![0.0; length];
    for _ in 0..TALKERS {
        let pace = rng.random_range(0.8..1.25);
        let mut at = 0;
        // Each talker begins somewhere in a turn and goes on with another.
        let mut skip = rng.random_range(0..8_000);
        while at < length {
            let turn = &all[rng.random_range(0..all.len())];
            for piece in &turn.voiced {
                let speech = &turn.samples[piece.clone()];
                let samples = (0..).map_while(|n| speech.get((n as f64 * pace) as usize));
                for sample in samples.skip(skip).take(length - at) {
                    mixed[at] += sample;
                    at += 1;
                }
                skip = 0;
            }
        }
    }
    mixed
}

const TALKERS: usize = 6;

#[cfg(test)]
mod tests {
    use super::super::audio::millis;
    use super::super::set::Half;
    use super::*;

    fn turn() -> Turn {
        let mut samples = vec![0.0; millis(3_000)];
        for (n, sample) in samples[millis(500)..millis(1_500)].iter_mut().enumerate() {
            *sample = (n as f32 * 0.3).sin() * 0.1;
        }
        Turn {
            id: "x".to_owned(),
            category: "y".to_owned(),
            slot: None,
            half: Half::Tune,
            samples,
            voiced: std::iter::once(millis(500)..millis(1_500)).collect(),
        }
    }

    fn level(payload: &[u8]) -> f32 {
        let samples: Vec<f32> = payload.iter().map(|&byte| mulaw::to_f32(mulaw::decode(byte))).collect();
        20.0 * rms(&samples).log10()
    }

    #[test]
    fn noise_lies_under_everything_at_its_level_and_a_seed_repeats_it() {
        let turn = turn();
        let all = [turn.clone()];
        let quiet = Noise::Quiet.payload(&turn, &all, -45.0, 1);
        assert!(quiet[millis(1_500)..].iter().all(|&byte| mulaw::decode(byte) == 0));
        for noise in [Noise::White, Noise::Babble] {
            let payload = noise.payload(&turn, &all, -45.0, 1);
            let after = level(&payload[millis(1_500)..]);
            assert!((after + 45.0).abs() < 2.0, "{noise:?}: {after}");
            assert_eq!(payload, noise.payload(&turn, &all, -45.0, 1));
            assert_ne!(payload, noise.payload(&turn, &all, -45.0, 2));
        }
    }
}
