//! Is this window a key of the telephone? Goertzel's filters, ITU-T Q.23 frequencies, Q.24's idea of a valid tone.

use std::f32::consts::TAU;

use crate::audio::level;
use crate::audio::line::FRAME;
use crate::time::SampleRate;

/// The key whose two tones make up one 20 ms window of line audio. A tone that fills less than about 14 ms of the window
/// is not seen, so that much of it may slip at either end.
pub fn key(window: &[i16; FRAME]) -> Option<char> {
    if level::dbfs(window) < QUIETEST_DBFS {
        return None;
    }
    let energy: f32 = window.iter().map(|&sample| f32::from(sample).powi(2)).sum();
    let shares = spectrum(window, &TONES, energy);
    let (low, high) = (strongest(&shares[..4])?, strongest(&shares[4..])?);
    let (low_share, high_share) = (shares[low], shares[4 + high]);
    let twist = high_share / low_share;
    if low_share + high_share < LEAST_SHARE || !(LEAST_TWIST..=MOST_TWIST).contains(&twist) {
        return None;
    }
    // A voice has overtones, a keypad has none.
    let overtones = spectrum(window, &[2.0 * TONES[low], 2.0 * TONES[4 + high]], energy);
    let pure = overtones[0] < MOST_OVERTONE * low_share && overtones[1] < MOST_OVERTONE * high_share;
    pure.then(|| KEYS[low][high])
}

/// The strongest of four, if it stands well out of the others.
fn strongest(shares: &[f32]) -> Option<usize> {
    let (best, &share) = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let alone = shares
        .iter()
        .enumerate()
        .all(|(n, &other)| n == best || share > ALONE * other);
    alone.then_some(best)
}

/// What part of the window's energy lies at each frequency; 1.0 for a pure tone.
fn spectrum<const N: usize>(window: &[i16; FRAME], hertz: &[f32; N], energy: f32) -> [f32; N] {
    let turn = hertz.map(|hertz| 2.0 * (TAU * hertz / SampleRate::LINE.get() as f32).cos());
    let (mut last, mut before) = ([0.0_f32; N], [0.0_f32; N]);
    for &sample in window {
        for n in 0..N {
            let next = turn[n] * last[n] - before[n] + f32::from(sample);
            before[n] = last[n];
            last[n] = next;
        }
    }
    std::array::from_fn(|n| {
        let power = last[n] * last[n] + before[n] * before[n] - turn[n] * last[n] * before[n];
        2.0 * power / (FRAME as f32 * energy)
    })
}

/// Hz. Rows of the keypad, then columns.
const TONES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];
/// Telephones send −10 to −25 dBFS; this leaves a lossy line 15 dB.
const QUIETEST_DBFS: f32 = -40.0;
/// Of the window's energy in the two tones: room for noise 10 dB below them, or for tones 1 % out of tune.
const LEAST_SHARE: f32 = 0.7;
/// The column's tone against the row's: −8 dB to +6 dB.
const LEAST_TWIST: f32 = 0.16;
const MOST_TWIST: f32 = 4.0;
/// Each tone against its octave: 10 dB.
const MOST_OVERTONE: f32 = 0.1;
/// Each tone against its neighbours in row or column, which see −13 dB of it: 7 dB.
const ALONE: f32 = 5.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::mulaw;

    /// Both tones, each `dbfs` loud as its RMS, and noise of that RMS; through the line's code.
    fn tones(low: f32, high: f32, dbfs: f32, noise_dbfs: f32, seed: u32) -> [i16; FRAME] {
        let amplitude = 10_f32.powf(dbfs / 20.0) * 2_f32.sqrt();
        let noise = 10_f32.powf(noise_dbfs / 20.0) * 3_f32.sqrt();
        let mut random = seed;
        std::array::from_fn(|n| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = noise * ((random >> 16) as f32 / 32_768.0 - 1.0);
            let phase = (n + seed as usize) as f32 * TAU / 8_000.0;
            let wave = amplitude * ((low * phase).sin() + (high * phase).sin());
            mulaw::decode(mulaw::encode(mulaw::to_i16(wave + hiss)))
        })
    }

    #[test]
    fn every_key_is_found_loud_and_faint_in_noise_and_a_little_out_of_tune() {
        for (row, keys) in KEYS.iter().enumerate() {
            for (column, &expected) in keys.iter().enumerate() {
                for (dbfs, noise) in [(-6.0, -60.0), (-15.0, -30.0), (-25.0, -40.0), (-36.0, -52.0)] {
                    for tune in [0.99, 1.0, 1.01] {
                        for seed in [1, 57, 130] {
                            let window = tones(tune * TONES[row], tune * TONES[4 + column], dbfs, noise, seed);
                            assert_eq!(key(&window), Some(expected), "{dbfs} dBFS, noise {noise}, tune {tune}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_that_is_pressed_or_let_go_within_the_window_is_seen_from_15_ms_on() {
        let whole = tones(770.0, 1_336.0, -15.0, -60.0, 1);
        let of = |samples: usize| -> [i16; FRAME] { std::array::from_fn(|n| if n < samples { whole[n] } else { 0 }) };
        assert_eq!((key(&of(120)), key(&of(80))), (Some('5'), None));
    }

    #[test]
    fn voices_whistles_noise_and_single_tones_are_no_keys() {
        let window = |wave: &dyn Fn(f32) -> f32| -> [i16; FRAME] {
            std::array::from_fn(|n| mulaw::to_i16(wave(n as f32 / 8_000.0)))
        };
        let mut mistakes = 0;
        for pitch in 80..200_u16 {
            // The vowels of "father, cat, but, law, boot, see, bed" (Peterson and Barney).
            for formants in [
                [730.0, 1_090.0],
                [660.0, 1_720.0],
                [640.0, 1_190.0],
                [570.0, 840.0],
                [300.0, 870.0],
                [270.0, 2_290.0],
                [530.0, 1_840.0],
            ] {
                let vowel = window(&|t| {
                    let harmonic = |k: u16| {
                        let hertz = f32::from(pitch * k);
                        let near = |formant: f32| 1.0 / (1.0 + ((hertz - formant) / 80.0).powi(2));
                        (near(formants[0]) + near(formants[1])) * (hertz * TAU * t).sin()
                    };
                    0.1 * (1..20).map(harmonic).sum::<f32>()
                });
                mistakes += u32::from(key(&vowel).is_some());
            }
        }
        // A steady vowel whose two strongest harmonics happen to be a key's tones passes for one: 171 Hz does with 640 and 1,190 Hz.
        assert!(mistakes <= 8, "{mistakes} of 840");
        for start in (200..3_000_u16).step_by(20) {
            let start = f32::from(start);
            assert_eq!(key(&window(&|t| 0.3 * (TAU * t * (start + 4_000.0 * t)).sin())), None);
            assert_eq!(key(&window(&|t| 0.3 * (TAU * t * start).sin())), None);
        }
        for seed in 1..200 {
            assert_eq!(key(&tones(697.0, 1_209.0, -90.0, -20.0, seed)), None);
        }
        assert_eq!(key(&[0; FRAME]), None);
        // The dial tone.
        assert_eq!(key(&tones(350.0, 440.0, -15.0, -60.0, 1)), None);
    }
}
