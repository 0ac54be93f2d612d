//! Whisper by whisper.cpp, made fast for telephone turns.
//!
//! Whisper always encodes 30 s. A turn of two seconds needs a fifteenth of that, so the encoder's context is cut to the
//! audio (`audio_ctx`). The price is known: the decoder no longer sees where the speech ends and may say the sentence
//! again. [`repeat`] notices this while decoding, ends the decoding there, and keeps the first copy.

mod answers;
mod callbacks;
mod cleanup;
pub mod repeat;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState};

use crate::speech::{Answer, Cancelled, Code, Heard, Listen, SpeechError, Transcriber};
use crate::time::SampleRate;
use answers::Scorer;
use callbacks::Watch;
use repeat::RepeatGuard;

/// The weights, shared by all workers.
#[derive(Clone)]
pub struct WhisperModel {
    context: Arc<WhisperContext>,
}

/// How to decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhisperOptions {
    /// Spoken language, as a two-letter code; ignored by English-only models.
    pub language: String,
    /// Threads of one worker.
    pub threads: usize,
    /// Encoder positions.
    pub context: AudioContext,
    /// Words to expect, given to the decoder as its preceding text.
    pub vocabulary: Option<String>,
    /// The same for other languages than `language`.
    pub vocabularies: BTreeMap<Code, String>,
}

/// How much the encoder looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioContext {
    /// As much as the audio needs.
    Fitted,
    /// The full 30 s, as whisper.cpp does by default. Slow; the reference for accuracy.
    Full,
}

/// One worker's decoder.
pub struct Whisper {
    model: WhisperModel,
    state: WhisperState,
    /// Encoder positions beyond the audio.
    room: i32,
    options: WhisperOptions,
    params: FullParams<'static, 'static>,
    /// For languages that were asked for: whisper-rs leaks the strings it is given, so each is built once.
    others: HashMap<Code, FullParams<'static, 'static>>,
    padded: Vec<f32>,
}

impl WhisperModel {
    /// Loads a ggml file.
    pub fn load(path: &Path) -> Result<Self, SpeechError> {
        whisper_rs::install_logging_hooks();
        let context = WhisperContext::new_with_params(path, WhisperContextParameters::default())
            .map_err(|error| load_error(format!("{} is not a ggml Whisper model ({error})", path.display())))?;
        Ok(Self {
            context: Arc::new(context),
        })
    }

    /// A decoder on these weights.
    pub fn worker(&self, options: WhisperOptions) -> Result<Whisper, SpeechError> {
        let language = if self.context.is_multilingual() {
            options.language.as_str()
        } else {
            "en"
        };
        if whisper_rs::get_lang_id(language).is_none() {
            return Err(load_error(format!(
                "STT_LANGUAGE {language:?} is not a language Whisper knows; use a code like en or es"
            )));
        }
        let state = self
            .context
            .create_state()
            .map_err(|error| load_error(error.to_string()))?;
        // Built once: whisper-rs leaks the strings it is given.
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        let language: &'static str = Box::leak(language.to_owned().into_boxed_str());
        params.set_language(Some(language));
        if let Some(vocabulary) = options.vocabulary.as_deref().filter(|words| !words.contains('\0')) {
            params.set_initial_prompt(vocabulary);
        }
        params.set_n_threads(i32::try_from(options.threads.max(1)).unwrap_or(1));
        params.set_no_context(true);
        params.set_no_timestamps(true);
        params.set_single_segment(true);
        params.set_suppress_nst(true);
        params.set_temperature_inc(0.0);
        params.set_print_progress(false);
        params.set_print_realtime(false);
        params.set_print_special(false);
        params.set_print_timestamps(false);
        let is_tiny = self.context.model_n_audio_state() <= TINY;
        Ok(Whisper {
            model: self.clone(),
            state,
            room: if is_tiny { ROOM } else { LARGE_ROOM },
            options,
            params,
            others: HashMap::new(),
            padded: Vec::new(),
        })
    }
}

impl Transcriber for Whisper {
    fn transcribe(&mut self, audio: &[f32], cancelled: Cancelled<'_>) -> Result<Heard, SpeechError> {
        self.transcribe_for(audio, &Listen::default(), cancelled)
    }

    fn transcribe_for(
        &mut self,
        audio: &[f32],
        listen: &Listen,
        cancelled: Cancelled<'_>,
    ) -> Result<Heard, SpeechError> {
        let known = self.model.context.is_multilingual();
        let languages = if known { listen.languages.as_slice() } else { &[] };
        if languages.len() < 2 && audio.len() <= SHORT {
            return self.short(audio, languages.first().copied(), &listen.answers, cancelled);
        }
        let heard = self.whole(audio, languages.first().copied(), cancelled)?;
        if languages.len() < 2 || heard.text.is_empty() {
            return Ok(heard);
        }
        // The state still has the audio and a context that fits it, so that detection costs one more encoding.
        let likeliest = self.likeliest(languages)?;
        let heard = match likeliest {
            Some(language) if Some(&language) != languages.first() => self.whole(audio, Some(language), cancelled)?,
            _ => heard,
        };
        Ok(Heard {
            language: likeliest,
            ..heard
        })
    }
}

impl Whisper {
    /// The language that the audio of the last run is in; `None` if that is not clear.
    fn likeliest(&self, languages: &[Code]) -> Result<Option<Code>, SpeechError> {
        let (_, all) = self
            .state
            .lang_detect(0, self.options.threads.max(1))
            .map_err(|error| run_error(&error))?;
        let likely = |code: Code| {
            let id = whisper_rs::get_lang_id(code).and_then(|id| usize::try_from(id).ok());
            id.and_then(|id| all.get(id).copied()).unwrap_or_default()
        };
        let sum: f32 = languages.iter().map(|code| likely(code)).sum();
        let best = languages.iter().copied().max_by(|a, b| likely(a).total_cmp(&likely(b)));
        Ok(best.filter(|best| likely(best) >= CLEAR * sum))
    }

    /// What may be one of the answers.
    fn short(
        &mut self,
        audio: &[f32],
        language: Option<Code>,
        answers: &[Answer],
        cancelled: Cancelled<'_>,
    ) -> Result<Heard, SpeechError> {
        let (heard, likelihood) = self.piece(audio, language, cancelled)?;
        if !answers::is_doubtful(&heard.text, answers) {
            return Ok(heard);
        }
        let language = language.unwrap_or(&self.options.language);
        let context = &self.model.context;
        let chosen = Scorer::new(context, &mut self.state, language, self.options.threads.max(1))
            .and_then(|mut scorer| answers::choose(&mut scorer, likelihood, answers, cancelled));
        if cancelled() {
            return Err(SpeechError::Cancelled);
        }
        Ok(match chosen.map_err(|error| run_error(&error))? {
            Some(chosen) => Heard {
                text: chosen.text,
                certainty: chosen.likelihood.exp(),
                language: None,
            },
            None => heard,
        })
    }

    fn whole(&mut self, audio: &[f32], language: Option<Code>, cancelled: Cancelled<'_>) -> Result<Heard, SpeechError> {
        let mut all = Heard::plain(String::new());
        for piece in pieces(audio) {
            let (heard, _) = self.piece(piece, language, cancelled)?;
            if !heard.text.is_empty() {
                if !all.text.is_empty() {
                    all.text.push(' ');
                }
                all.text.push_str(&heard.text);
                all.certainty = all.certainty.min(heard.certainty);
            }
        }
        Ok(all)
    }

    fn params(&mut self, language: Option<Code>) -> FullParams<'static, 'static> {
        let Some(language) = language.filter(|code| *code != self.options.language) else {
            return self.params.clone();
        };
        let usual = &self.params;
        let others = self.others.entry(language).or_insert_with(|| {
            let mut params = usual.clone();
            params.set_language(Some(language));
            let words = self.options.vocabularies.get(language).map_or("", String::as_str);
            params.set_initial_prompt(&words.replace('\0', " "));
            params
        });
        others.clone()
    }

    /// One piece of at most [`PIECE_SECONDS`], and the log-probability of its text.
    fn piece(
        &mut self,
        audio: &[f32],
        language: Option<Code>,
        cancelled: Cancelled<'_>,
    ) -> Result<(Heard, f32), SpeechError> {
        if cancelled() {
            return Err(SpeechError::Cancelled);
        }
        self.padded.clear();
        self.padded.extend_from_slice(audio);
        self.padded.resize(audio.len().max(MIN_SAMPLES), 0.0);
        let seconds = self.padded.len() as f32 / SampleRate::MODEL.get() as f32;
        let mut params = self.params(language);
        params.set_audio_ctx(match self.options.context {
            AudioContext::Fitted => fitted_context(seconds, self.room),
            AudioContext::Full => 0,
        });
        params.set_max_tokens((seconds * TOKENS_PER_SECOND) as i32 + SPARE_TOKENS);
        let mut watch = Watch::new(RepeatGuard::new(self.model.context.token_eot(), seconds), cancelled);
        let run = watch.run(&mut self.state, params, &self.padded);
        if cancelled() {
            return Err(SpeechError::Cancelled);
        }
        run.map_err(|error| run_error(&error))?;
        let kept = self.kept(&watch.into_guard());
        self.heard(kept).map_err(|error| run_error(&error))
    }

    /// How many tokens are the text: all copies of a digit, which whoever waits for it can count.
    fn kept(&self, guard: &RepeatGuard) -> usize {
        let is_digit = |token: i32| {
            let bytes = self.model.context.token_to_bytes(token).unwrap_or_default();
            let digits = bytes.trim_ascii();
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        };
        match guard.looped() {
            Some((token, copies)) if is_digit(token) => guard.kept() + copies - 1,
            _ => guard.kept(),
        }
    }

    /// The text of the first `kept` tokens; empty if the model was guessing.
    fn heard(&self, kept: usize) -> Result<(Heard, f32), whisper_rs::WhisperError> {
        let end = self.model.context.token_eot();
        let (mut bytes, mut first, mut all) = (Vec::new(), Mean::default(), Mean::default());
        for segment in self.state.as_iter() {
            for (n, token) in (0..segment.n_tokens()).filter_map(|n| segment.get_token(n)).enumerate() {
                if token.token_id() < end {
                    let likelihood = token.token_probability().ln();
                    all.add(likelihood);
                    if n < kept {
                        bytes.extend_from_slice(self.model.context.token_to_bytes(token.token_id())?);
                        first.add(likelihood);
                    }
                }
            }
        }
        let text = if first.get() < GUESS {
            String::new()
        } else {
            cleanup::clean(&String::from_utf8_lossy(&bytes))
        };
        // A copy that follows counts too: words that were said come again for sure, spellings of a hum do not.
        let heard = Heard {
            text,
            certainty: all.get().exp(),
            language: None,
        };
        Ok((heard, first.sum))
    }
}

#[derive(Default)]
struct Mean {
    sum: f32,
    count: u16,
}

impl Mean {
    fn add(&mut self, value: f32) {
        self.sum += value;
        self.count += 1;
    }

    fn get(&self) -> f32 {
        self.sum / f32::from(self.count.max(1))
    }
}

/// Encoder positions for so much audio: 50 a second, and room for the decoder to see that it has ended.
fn fitted_context(seconds: f32, room: i32) -> i32 {
    let needed = (seconds * 50.0).ceil() as i32 + room;
    needed.min(FULL_CONTEXT)
}

/// Cuts long audio where it is quietest near the limit, because Whisper sees 30 s at most.
fn pieces(audio: &[f32]) -> impl Iterator<Item = &[f32]> {
    let rate = SampleRate::MODEL.get() as usize;
    let mut rest = audio;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let limit = PIECE_SECONDS * rate;
        if rest.len() <= limit {
            return Some(std::mem::take(&mut rest));
        }
        let window = rate / 5;
        let energy = |start: usize| {
            rest[start..start + window]
                .iter()
                .map(|sample| sample * sample)
                .sum::<f32>()
        };
        let quietest = (limit - 5 * rate..limit - window)
            .step_by(window / 4)
            .min_by(|&a, &b| energy(a).total_cmp(&energy(b)))
            .unwrap_or(limit - window);
        let (piece, after) = rest.split_at(quietest + window / 2);
        rest = after;
        Some(piece)
    })
}

fn run_error(error: &whisper_rs::WhisperError) -> SpeechError {
    SpeechError::Run {
        engine: ENGINE,
        reason: error.to_string(),
    }
}

fn load_error(reason: String) -> SpeechError {
    SpeechError::Load { engine: ENGINE, reason }
}

const ENGINE: &str = "whisper";
/// whisper.cpp does nothing with less than 100 ms, and little good with less than a second.
const MIN_SAMPLES: usize = 16_000;
const PIECE_SECONDS: usize = 28;
/// Audio of a short answer: 3 s.
const SHORT: usize = 48_000;
const FULL_CONTEXT: i32 = 1_500;
/// Positions beyond the audio. Fewer cost accuracy, more cost time: measured in BENCHMARKS.md.
const ROOM: i32 = 42;
/// The same for larger models than tiny, which are chosen for accuracy: single words need it.
const LARGE_ROOM: i32 = 100;
/// Width of tiny's encoder.
const TINY: i32 = 384;
/// Mean log-probability of a token under which the text is made up. Noise, hum and silence come out as "you" or "I'm
/// dead." at −1.7 and less (notes, "♪", are dropped as annotations), the least certain of 100 spoken clips at −0.9 (`tieline bench stt`, tiny.en).
const GUESS: f32 = -1.3;
/// The share of its likelihood among the languages in question from which one is taken to be spoken.
const CLEAR: f32 = 0.7;
/// Fast speech has about 4 tokens a second; spelled ids about 6.
const TOKENS_PER_SECOND: f32 = 7.0;
const SPARE_TOKENS: i32 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_audio_is_cut_in_its_pauses_and_nothing_is_lost() {
        let rate = 16_000;
        let mut audio = vec![0.5_f32; 60 * rate];
        audio[26 * rate..26 * rate + rate / 2].fill(0.0);
        let cut: Vec<_> = pieces(&audio).collect();
        assert_eq!(cut.iter().map(|piece| piece.len()).sum::<usize>(), audio.len());
        assert!((26 * rate..26 * rate + rate / 2).contains(&cut[0].len()));
        assert!(cut.iter().all(|piece| piece.len() <= PIECE_SECONDS * rate));
    }
}
