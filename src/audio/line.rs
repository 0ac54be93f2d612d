//! From synthesised speech to line audio: μ-law at 8 kHz in whole frames.

use std::ops::Range;

use rubato::ResamplerConstructionError;

use crate::audio::mulaw::{self, SILENCE};
use crate::audio::resample::resample;
use crate::time::SampleRate;

/// Converts one sentence, and the places of its words in it. Leading silence goes, because the caller would wait through it; a short pause
/// follows.
pub fn from_speech(
    samples: &[f32],
    words: &[Range<usize>],
    rate: SampleRate,
) -> Result<(Vec<u8>, Vec<Range<u64>>), ResamplerConstructionError> {
    let voiced = |sample: &f32| sample.abs() > AUDIBLE;
    let Some(first) = samples.iter().position(voiced) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let last = samples.iter().rposition(voiced).unwrap_or(first);
    let keep = |seconds: f32| (rate.get() as f32 * seconds) as usize;
    let from = first.saturating_sub(keep(LEAD_IN));
    let to = (last + keep(TAIL)).min(samples.len());
    let line = resample(&samples[from..to], rate, SampleRate::LINE)?;
    let mut audio = Vec::with_capacity(line.len() + FRAME + GAP);
    mulaw::encode_f32_into(&line, &mut audio);
    let spoken = audio.len() as u64;
    let at_line = |sample: usize| {
        let moved = sample.saturating_sub(from) as u64;
        (moved * u64::from(SampleRate::LINE.get()) / u64::from(rate.get())).min(spoken)
    };
    let words = words
        .iter()
        .map(|word| at_line(word.start)..at_line(word.end))
        .collect();
    audio.resize((audio.len() + GAP).next_multiple_of(FRAME), SILENCE);
    Ok((audio, words))
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
        let words = [0..10_000, 11_025..12_127, 13_000..22_050];
        let (audio, words) = from_speech(&samples, &words, SampleRate::hz(22_050)).expect("valid rate");
        // The voice begins 10 ms in, and its end is kept for 50 ms.
        assert_eq!(words, [0..0, 79..479, 796..1_279]);
        assert_eq!(audio.len() % 160, 0);
        let milliseconds = audio.len() / 8;
        assert!((250..=310).contains(&milliseconds), "{milliseconds} ms");
        assert!(
            from_speech(&[0.0; 100], &[], SampleRate::LINE)
                .expect("valid rate")
                .0
                .is_empty()
        );
    }
}
