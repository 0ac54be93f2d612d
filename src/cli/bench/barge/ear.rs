//! What a person with the caller's ear would write down: the agent's side of a recording, as played, through Whisper.

use std::ops::Range;

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
    whisper: Whisper,
    pub(super) model: String,
}

impl Ear {
    /// The named model, or the first of the usual ones that is there.
    pub(super) fn load(config: &Config, model: Option<&str>) -> anyhow::Result<Self> {
        let folder = &config.server.models_dir;
        let manifest = Manifest::load(folder)?;
        let names: &[&str] = model.as_ref().map_or(&USUAL, std::slice::from_ref);
        let located = names
            .iter()
            .find_map(|name| locate(&manifest, folder, name, Purpose::Stt).ok());
        let located = located.with_context(|| format!("to hear what was played, one of {names:?} is needed"))?;
        let options = WhisperOptions {
            language: config.stt.language.clone(),
            threads: 1,
            context: AudioContext::Fitted,
            vocabulary: None,
            vocabularies: std::collections::BTreeMap::new(),
        };
        Ok(Self {
            whisper: WhisperModel::load(located.path())?.worker(options)?,
            model: located.name,
        })
    }

    /// The words in some 20 ms frames of the agent's side.
    pub(super) fn hear(&mut self, recording: &Recording, frames: Range<usize>) -> anyhow::Result<String> {
        let played = recording.agent(frames);
        let mut text = String::new();
        for part in parts(&played) {
            text.push_str(&self.whisper.transcribe(&at_model_rate(&played[part]), &|| false)?.text);
            text.push(' ');
        }
        Ok(text.trim().to_owned())
    }

    /// The words in some frames, and how many of an answer's words they come to: of the beginnings of it near there, the one that Whisper
    /// finds likeliest. What it writes down freely at a cut is often a word that was not said.
    pub(super) fn reached(
        &mut self,
        recording: &Recording,
        frames: Range<usize>,
        answer: &Answer<'_>,
    ) -> anyhow::Result<(String, usize)> {
        let played = recording.agent(frames);
        let mut parts = parts(&played);
        let Some(last) = parts.pop() else {
            return Ok((String::new(), 0));
        };
        let mut text = String::new();
        for part in parts {
            text.push_str(&self.whisper.transcribe(&at_model_rate(&played[part]), &|| false)?.text);
            text.push(' ');
        }
        let start = answer.reached(&text);
        let audio = at_model_rate(&played[last]);
        text.push_str(&self.whisper.transcribe(&audio, &|| false)?.text);
        let near = answer.reached(&text);
        let ends: Vec<usize> = (near.saturating_sub(NEAR).max(start + 1)..=(near + NEAR).min(answer.len())).collect();
        let texts: Vec<String> = ends.iter().map(|&end| answer.part(start..end)).collect();
        let likeliest = self.whisper.likeliest_text(&audio, &texts)?;
        Ok((text, likeliest.map_or(near, |place| ends[place])))
    }
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
/// So many words around where the free text ends are tried.
const NEAR: usize = 5;
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
