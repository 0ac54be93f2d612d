//! The WebRTC voice activity detector: 20 ms windows, a few microseconds each.

use webrtc_vad::{SampleRate, Vad as Detector, VadMode};

use crate::audio::level;
use crate::speech::{Vad, WINDOW};

/// One per call: it adapts to the call's noise.
pub struct WebRtcVad {
    detector: Exclusive,
}

impl WebRtcVad {
    /// `mode` 0 (lets everything through) to 3 (most aggressive against noise).
    pub fn new(mode: u8) -> Self {
        let mode = match mode {
            0 => VadMode::Quality,
            1 => VadMode::LowBitrate,
            2 => VadMode::Aggressive,
            _ => VadMode::VeryAggressive,
        };
        Self {
            detector: Exclusive(Detector::new_with_rate_and_mode(SampleRate::Rate8kHz, mode)),
        }
    }
}

impl Vad for WebRtcVad {
    fn is_voiced(&mut self, window: &[i16; WINDOW]) -> bool {
        // The detector must see every window to follow the noise; below the floor its answer does not count.
        let voiced = self.detector.0.is_voice_segment(window).unwrap_or(false);
        voiced && level::dbfs(window) > FLOOR_DBFS
    }
}

struct Exclusive(Detector);

#[expect(
    unsafe_code,
    reason = "the detector is plain heap memory behind a raw pointer, which hides Send"
)]
// SAFETY: libfvad keeps all state in the allocation `Detector` owns, touches no thread-local or global, and is reached
// only through `&mut`, so it may move between threads.
unsafe impl Send for Exclusive {}

/// Quieter than any caller; line noise and comfort noise live here.
const FLOOR_DBFS: f32 = -55.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_faint_noise_are_not_voice() {
        let mut vad = WebRtcVad::new(2);
        let mut seed = 1_u32;
        let mut noise = || {
            std::array::from_fn(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((seed >> 16) as i16) / 1_024
            })
        };
        assert!((0..250).all(|_| !vad.is_voiced(&[0; WINDOW]) && !vad.is_voiced(&noise())));
    }
}
