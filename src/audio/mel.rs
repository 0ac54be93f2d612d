//! Whisper's mel filter bank: librosa's `filters.mel(sr=16000, n_fft=400)`, Slaney scale and norm.
//!
//! Only `+ - * /` are used, because the platform's `exp` may differ in its last bit and the converted file has a known sha256.

/// Frequency bins of a 400-point transform.
pub const BINS: usize = 201;

/// The weights, row by row: `bands` rows of [`BINS`].
pub fn filters(bands: usize) -> Vec<f32> {
    let step = TOP_MEL / (bands + 1) as f64;
    // The top corner is 8 kHz by definition; a rounding error above it would leave a speck of weight in the last bin.
    let corners: Vec<f64> = (0..bands + 2).map(|i| hertz(i as f64 * step).min(TOP_HERTZ)).collect();
    let mut weights = Vec::with_capacity(bands * BINS);
    for corner in corners.windows(3) {
        let (low, peak, high) = (corner[0], corner[1], corner[2]);
        let area = 2.0 / (high - low);
        for bin in 0..BINS {
            let frequency = bin as f64 * BIN_HERTZ;
            let rising = (frequency - low) / (peak - low);
            let falling = (high - frequency) / (high - peak);
            // librosa stores the triangle as f32 before it scales it; rounding once would differ from the official files.
            let triangle = rising.min(falling).max(0.0) as f32;
            weights.push((f64::from(triangle) * area) as f32);
        }
    }
    weights
}

/// Mel to Hz: linear up to 1 kHz (15 mel), logarithmic above.
fn hertz(mel: f64) -> f64 {
    if mel < KNEE_MEL {
        mel * LINEAR_HERTZ_PER_MEL
    } else {
        1000.0 * exp((mel - KNEE_MEL) * LOG_STEP)
    }
}

/// e^x for 0 ≤ x ≤ ln 8 by its series.
fn exp(x: f64) -> f64 {
    (1..=SERIES_TERMS)
        .rev()
        .fold(1.0, |sum, n| 1.0 + sum * x / f64::from(n))
}

const BIN_HERTZ: f64 = 40.0;
const TOP_HERTZ: f64 = 8000.0;
const KNEE_MEL: f64 = 15.0;
const LINEAR_HERTZ_PER_MEL: f64 = 200.0 / 3.0;
/// ln(6.4) / 27.
const LOG_STEP: f64 = 1.856_297_990_365_626_3 / 27.0;
/// 8 kHz in mel: 15 + ln(8) / `LOG_STEP`.
const TOP_MEL: f64 = KNEE_MEL + 3.0 * std::f64::consts::LN_2 / LOG_STEP;
const SERIES_TERMS: u32 = 40;

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_bank_of_80_is_bit_for_bit_the_one_in_the_official_files() {
        let bank = filters(80);
        assert_eq!(bank.len(), 80 * BINS);
        let bytes: Vec<u8> = bank.iter().flat_map(|weight| weight.to_le_bytes()).collect();
        assert_eq!(hex(&Sha256::digest(&bytes)), OFFICIAL_80);
    }

    #[test]
    fn known_weights() {
        let bank = filters(80);
        // librosa: the first filter peaks near 37 Hz, so that its only weight is at bin 1 (40 Hz).
        assert_eq!(bank[0], 0.0);
        assert_eq!(bank[1], 0.024_862_595);
        assert_eq!(bank[2], 0.0);
        assert!(bank.iter().all(|weight| (0.0..0.03).contains(weight)));
    }

    #[test]
    fn the_series_is_exact_enough() {
        for i in 0..=208 {
            let x = f64::from(i) / 100.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-15, "{x}");
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Of the bytes between header and vocabulary in whisper.cpp's `models/for-tests-ggml-base.bin`.
    const OFFICIAL_80: &str = "85818f156f7e189453901a515e4726d270d307f976e161cf9403e8caab405498";
}
