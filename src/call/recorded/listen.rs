//! A recording as the transcriber gets it, and how much of it is speech.

use std::time::Duration;

use crate::audio::frame::Reframer;
use crate::audio::mulaw::{to_f32, to_i16};
use crate::audio::resample::resample;
use crate::audio::wav::{Recording, WavError};
use crate::speech::WINDOW;
use crate::speech::ear::Ear;
use crate::time::SampleRate;
use crate::turn::event::Voice;

/// What is in a recording.
pub(super) struct Listened {
    /// Mono at [`SampleRate::MODEL`]; keys of the telephone are silence.
    pub(super) audio: Vec<f32>,
    /// What is surely speech.
    pub(super) voiced: Duration,
}

/// Reads a WAV of the carrier. Longer ones are cut after `longest`.
///
/// # Errors
///
/// What is no WAV.
pub(super) async fn listen(wav: &[u8], mut ear: Ear, longest: Duration) -> Result<Listened, WavError> {
    let mut recording = Recording::read(wav)?;
    let most = longest.as_secs().saturating_mul(recording.rate.get().into());
    recording.samples.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let mut line = recording.at(SampleRate::LINE)?;
    drop(recording);
    // The last window is whole.
    line.resize(line.len().next_multiple_of(WINDOW), 0.0);
    let (mut sure, mut heard) = (0_u32, Vec::with_capacity(line.len()));
    let mut reframer = Reframer::<i16, WINDOW>::new();
    for piece in line.chunks(SECOND) {
        let samples: Vec<i16> = piece.iter().copied().map(to_i16).collect();
        reframer.push(&samples, |window| {
            let found = ear.window(window);
            sure += u32::from(found.voice == Voice::Sure);
            heard.extend(window.map(|sample| if found.key { 0.0 } else { to_f32(sample) }));
        });
        // A minute of audio takes a tenth of a second: other calls go on meanwhile.
        tokio::task::yield_now().await;
    }
    let audio = resample(&heard, SampleRate::LINE, SampleRate::MODEL);
    Ok(Listened {
        audio: audio.map_err(|_| WavError::Rate(SampleRate::LINE.get()))?,
        voiced: A_WINDOW * sure,
    })
}

/// A second of line audio.
const SECOND: usize = 8_000;
const A_WINDOW: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{level, wav};
    use crate::speech::Vad;
    use std::io::Cursor;

    struct Loud;
    impl Vad for Loud {
        fn is_voiced(&mut self, window: &[i16; WINDOW]) -> bool {
            level::dbfs(window) > -50.0
        }
    }

    async fn heard(samples: &[f32], rate: SampleRate, longest: u64) -> Listened {
        let mut file = Cursor::new(Vec::new());
        wav::write_mono(&mut file, samples, rate).expect("written");
        let ear = Ear::new(Box::new(Loud), None);
        let listened = listen(&file.into_inner(), ear, Duration::from_secs(longest)).await;
        listened.expect("a WAV")
    }

    fn tones(hertz: &[f32], seconds: f32, rate: SampleRate) -> Vec<f32> {
        let rate = rate.get() as f32;
        let sample = |n: f32| {
            hertz
                .iter()
                .map(|hertz| 0.2 * (std::f32::consts::TAU * hertz * n / rate).sin())
                .sum()
        };
        (0..(rate * seconds) as usize).map(|n| sample(n as f32)).collect()
    }

    #[tokio::test]
    async fn speech_is_measured_and_keys_are_silence() {
        let rate = SampleRate::hz(16_000);
        let quiet = vec![0.0; 16_000];
        let voice = [quiet.clone(), tones(&[300.0], 1.0, rate), quiet.clone()].concat();
        let listened = heard(&voice, rate, 60).await;
        assert_eq!(listened.audio.len(), 48_000);
        assert!(
            (900..=1_100).contains(&listened.voiced.as_millis()),
            "{:?}",
            listened.voiced
        );
        assert!(
            level::dbfs(
                &listened.audio[20_000..28_000]
                    .iter()
                    .copied()
                    .map(to_i16)
                    .collect::<Vec<_>>()
            ) > -30.0
        );
        // The key 5.
        let typed = [quiet.clone(), tones(&[770.0, 1_336.0], 0.5, SampleRate::LINE), quiet].concat();
        let listened = heard(&typed, SampleRate::LINE, 60).await;
        assert!(listened.voiced < Duration::from_millis(100), "{:?}", listened.voiced);
        let loudest = listened.audio[33_000..38_000].iter().copied().fold(0.0, f32::max);
        assert!(loudest < 0.02, "{loudest}");
    }

    #[tokio::test]
    async fn nothing_is_silence_and_what_is_too_long_is_cut() {
        let listened = heard(&[], SampleRate::LINE, 60).await;
        assert_eq!((listened.audio.len(), listened.voiced), (0, Duration::ZERO));
        assert_eq!(heard(&[0.0; 24_000], SampleRate::LINE, 2).await.audio.len(), 32_000);
        let rubbish = listen(b"<html>", Ear::new(Box::new(Loud), None), Duration::from_secs(1)).await;
        assert!(rubbish.is_err());
    }
}
