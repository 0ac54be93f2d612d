//! How loud a window is.

/// Root mean square of 16-bit samples, 0..=32768.
pub fn rms(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: i64 = samples
        .iter()
        .map(|&sample| i64::from(sample) * i64::from(sample))
        .sum();
    (sum as f64 / samples.len() as f64).sqrt() as f32
}

/// Level in dB relative to full scale; digital silence is −96 dBFS.
pub fn dbfs(samples: &[i16]) -> f32 {
    let rms = rms(samples);
    if rms < 0.52 {
        FLOOR_DBFS
    } else {
        20.0 * (rms / 32_768.0).log10()
    }
}

/// What digital silence reads as.
pub const FLOOR_DBFS: f32 = -96.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_scale_silence_and_half() {
        assert!((dbfs(&[i16::MIN; 160])).abs() < 0.01);
        assert_eq!(dbfs(&[0; 160]), FLOOR_DBFS);
        assert_eq!(dbfs(&[]), FLOOR_DBFS);
        assert!((dbfs(&[16_384, -16_384]) + 6.02).abs() < 0.01);
    }
}
