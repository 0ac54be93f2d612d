//! What a person with the caller's ear would write down: the agent's side of a recording, as played, through Whisper.

use std::ops::{Range, RangeInclusive};
use std::path::Path;

use anyhow::Context as _;

use super::words::Answer;
use crate::audio::level::rms;
use crate::audio::mulaw;
use crate::audio::resample::Resampler;
use crate::caller::report::Recording;
use crate::config::Config;
use crate::models::{Manifest, Purpose, locate};
use crate::speech::Transcriber as _;
use crate::speech::whisper::{AudioContext, Whisper, WhisperModel, WhisperOptions};
use crate::time::SampleRate;

pub(super) struct Ear {
    /// The best first.
    whispers: Vec<Whisper>,
    pub(super) model: String,
}

impl Ear {
    /// The named model, or the first of the usual ones that is there.
    pub(super) fn load(config: &Config, model: Option<&str>) -> anyhow::Result<Self> {
        let folder = &config.server.models_dir;
        let manifest = Manifest::load(folder)?;
        let names: &[&str] = model.as_ref().map_or(&USUAL, std::slice::from_ref);
        let located = |name: &&str| locate(&manifest, folder, name, Purpose::Stt).ok();
        let best = names.iter().find_map(located);
        let best = best.with_context(|| format!("to hear what was played, one of {names:?} is needed"))?;
        let others = USUAL.iter().filter(|name| **name != best.name).filter_map(located);
        let others: Vec<_> = others.map(|other| other.path().to_owned()).collect();
        // Fitted, one begins again, or makes a word up, where the audio ends in the middle of a sentence; in full, one leaves words out at times.
        let mut whispers = vec![
            worker(config, best.path(), AudioContext::Full)?,
            worker(config, best.path(), AudioContext::Fitted)?,
        ];
        for path in others {
            whispers.push(worker(config, &path, AudioContext::Full)?);
        }
        Ok(Self {
            whispers,
            model: best.name,
        })
    }

    /// The words in some 20 ms frames of the agent's side.
    pub(super) fn hear(&mut self, recording: &Recording, frames: Range<usize>) -> anyhow::Result<String> {
        written(&mut self.whispers[0], &recording.agent(frames))
    }

    /// The words in some frames, and how many of an answer's words they come to: what two ears agree on, give or take a word, which is
    /// how exactly it can be told. `None` if no two do.
    pub(super) fn reached(
        &mut self,
        recording: &Recording,
        frames: Range<usize>,
        answer: &Answer<'_>,
    ) -> anyhow::Result<Option<(String, RangeInclusive<usize>)>> {
        let played = recording.agent(frames);
        let mut told: Vec<(String, usize)> = Vec::new();
        for whisper in &mut self.whispers {
            let text = written(whisper, &played)?;
            let reached = answer.reached(&text);
            if let Some((earlier, words)) = told.iter().find(|(_, words)| words.abs_diff(reached) <= 1) {
                let words = (*words).min(reached)..=(*words).max(reached);
                return Ok(Some((earlier.clone(), words)));
            }
            told.push((text, reached));
        }
        Ok(None)
    }
}

fn worker(config: &Config, path: &Path, context: AudioContext) -> anyhow::Result<Whisper> {
    let options = WhisperOptions {
        language: config.stt.language.clone(),
        threads: 1,
        context,
        vocabulary: None,
        vocabularies: std::collections::BTreeMap::new(),
    };
    Ok(WhisperModel::load(path)?.worker(options)?)
}

fn written(whisper: &mut Whisper, played: &[i16]) -> anyhow::Result<String> {
    let mut text = String::new();
    for part in parts(played) {
        text.push_str(&whisper.transcribe(&at_model_rate(&played[part]), &|| false)?.text);
        text.push(' ');
    }
    Ok(text.trim().to_owned())
}

/// Pieces that Whisper takes at once, cut in pauses where there are any; silence is left out.
fn parts(played: &[i16]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut silent, mut sound) = (0, 0, false);
    for (index, frame) in played.chunks(FRAME).enumerate() {
        let end = index * FRAME + frame.len();
        if rms(frame) > AUDIBLE {
            (silent, sound) = (0, true);
        } else {
            silent += 1;
        }
        if !sound && silent > PAUSE_FRAMES {
            // Keep the pause short that a part begins with.
            start = end - PAUSE_FRAMES * FRAME;
        }
        let long_pause = silent >= LONG_PAUSE_FRAMES && sound;
        let pause = silent >= PAUSE_FRAMES && end - start >= GOOD && sound;
        if pause || long_pause || end - start >= MOST {
            parts.push(start..end);
            (start, silent, sound) = (end, 0, false);
        }
    }
    if sound {
        parts.push(start..played.len());
    }
    parts
}

fn at_model_rate(played: &[i16]) -> Vec<f32> {
    let silence = std::iter::repeat_n(0.0, TAIL);
    let line: Vec<f32> = played.iter().copied().map(mulaw::to_f32).chain(silence).collect();
    let mut audio = Vec::new();
    let mut resampler = Resampler::new(SampleRate::LINE, SampleRate::MODEL).expect("8 to 16 kHz is a valid ratio");
    resampler.push(&line, &mut audio);
    audio
}

/// The better one first.
const USUAL: [&str; 2] = ["base", "tiny.en"];
/// 20 ms at 8 kHz.
const FRAME: usize = 160;
/// 16-bit RMS above which a frame is heard, as on the line.
const AUDIBLE: f32 = 200.0;
const PAUSE_FRAMES: usize = 8;
const LONG_PAUSE_FRAMES: usize = 40;
/// From here on, a pause ends a part: 10 s.
const GOOD: usize = 10 * 8000;
/// Here a part ends in any case: 26 s.
const MOST: usize = 26 * 8000;
/// 300 ms, so that the last word is not cut by the end of the audio.
const TAIL: usize = 2400;

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(parts: &[Range<usize>]) -> Vec<(f64, f64)> {
        let place = |samples: usize| samples as f64 / 8000.0;
        parts.iter().map(|part| (place(part.start), place(part.end))).collect()
    }

    #[test]
    fn parts_end_in_pauses_and_leave_silence_out() {
        let sound = |seconds: usize| vec![5000_i16; seconds * 8000];
        let quiet = |ms: usize| vec![0_i16; ms * 8];
        assert!(parts(&quiet(30_000)).is_empty());
        let talk = [quiet(2000), sound(11), quiet(400), sound(3), quiet(5000), sound(2)].concat();
        assert_eq!(
            seconds(&parts(&talk)),
            [(1.84, 13.16), (13.24, 17.2), (21.24, 23.4)].map(|(a, b)| (a, b))
        );
        assert_eq!(seconds(&parts(&sound(60))), [(0.0, 26.0), (26.0, 52.0), (52.0, 60.0)]);
    }
}
