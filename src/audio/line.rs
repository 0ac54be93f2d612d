//! From synthesised speech to line audio: μ-law at 8 kHz in whole frames.

use rubato::ResamplerConstructionError;

use crate::audio::mulaw::{self, SILENCE};
use crate::audio::resample::resample;
use crate::time::SampleRate;

/// Converts one sentence. Leading silence goes, because the caller would wait through it; a short pause follows.
pub fn from_speech(samples: &[f32], rate: SampleRate) -> Result<Vec<u8>, ResamplerConstructionError> {
    let voiced = |sample: &f32| sample.abs() > AUDIBLE;
    let Some(first) = samples.iter().position(voiced) else {
        return Ok(Vec::new());
    };
    let last = samples.iter().rposition(voiced).unwrap_or(first);
    let keep = |seconds: f32| (rate.get() as f32 * seconds) as usize;
    let from = first.saturating_sub(keep(LEAD_IN));
    let to = (last + keep(TAIL)).min(samples.len());
    let line = resample(&samples[from..to], rate, SampleRate::LINE)?;
    let mut audio = Vec::with_capacity(line.len() + FRAME + GAP);
    mulaw::encode_f32_into(&line, &mut audio);
    audio.resize((audio.len() + GAP).next_multiple_of(FRAME), SILENCE);
    Ok(audio)
}

/// About −50 dBFS.
const AUDIBLE: f32 = 0.003;
/// Seconds kept before the first audible sample, so that soft onsets survive.
const LEAD_IN: f32 = 0.01;
/// Seconds kept after the last audible sample.
const TAIL: f32 = 0.05;
/// Samples of silence after a sentence: 120 ms.
const GAP: usize = 960;
/// Samples, and bytes, of one frame on the line: 20 ms.
pub const FRAME: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_around_the_speech_is_trimmed_and_frames_are_whole() {
        let mut samples = vec![0.0; 22_050];
        samples[11_025..13_230]
            .iter_mut()
            .enumerate()
            .for_each(|(n, s)| *s = 0.3 * (n as f32 * 0.2).sin());
        let audio = from_speech(&samples, SampleRate::hz(22_050)).expect("valid rate");
        assert_eq!(audio.len() % 160, 0);
        let milliseconds = audio.len() / 8;
        assert!((250..=310).contains(&milliseconds), "{milliseconds} ms");
        assert!(
            from_speech(&[0.0; 100], SampleRate::LINE)
                .expect("valid rate")
                .is_empty()
        );
    }
}
