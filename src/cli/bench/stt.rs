//! Word error and time of the transcriber, on clips brought to the telephone band as the server receives them.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::clips;
use super::wer::Errors;
use crate::audio::mulaw;
use crate::audio::resample::Resampler;
use crate::caller::{Level, Utterance};
use crate::config::Config;
use crate::models::{Manifest, Purpose, locate};
use crate::speech::Transcriber;
use crate::speech::whisper::{AudioContext, Whisper, WhisperModel, WhisperOptions};
use crate::time::SampleRate;

/// Arguments of `tieline bench stt`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SttArgs {
    /// Tab-separated file with the columns `path` and `text`; paths are relative to it
    #[arg(long)]
    manifest: PathBuf,
    /// Leave out clips longer than this many seconds
    #[arg(long, default_value_t = 28.0)]
    max_seconds: f32,
    /// Which audio contexts to run
    #[arg(long, value_enum, value_delimiter = ',', default_value = "fitted,full")]
    context: Vec<Context>,
    /// Threads of the decoder
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Print every clip that was not understood word for word
    #[arg(long)]
    show: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Context {
    Fitted,
    Full,
}

struct Clip {
    text: String,
    audio: Vec<f32>,
}

pub(super) fn run(args: &SttArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::load(&config.server.models_dir)?;
    let located = locate(&manifest, &config.server.models_dir, &config.stt.model, Purpose::Stt)?;
    let model = WhisperModel::load(located.path())?;
    let clips = clips(args)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} clips, model {}, {} threads",
        clips.len(),
        located.name,
        args.threads
    )?;
    writeln!(
        out,
        "{:<8} {:>7} {:>7} {:>8} {:>8} {:>8} {:>8}",
        "context", "WER %", "edits", "p50 ms", "p95 ms", "max ms", "RTF"
    )?;
    for context in &args.context {
        let options = WhisperOptions {
            language: config.stt.language.clone(),
            threads: args.threads,
            context: if *context == Context::Full {
                AudioContext::Full
            } else {
                AudioContext::Fitted
            },
            vocabulary: None,
            vocabularies: std::collections::BTreeMap::new(),
        };
        let result = measure(&mut model.worker(options)?, &clips, args.show)?;
        let name = if *context == Context::Full { "full" } else { "fitted" };
        let [p50, p95, max] = result.times;
        let (errors, rtf) = (result.errors, result.rtf);
        writeln!(
            out,
            "{name:<8} {:>7.2} {:>7} {p50:>8.0} {p95:>8.0} {max:>8.0} {rtf:>8.3}",
            errors.percent(),
            errors.edits
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Measured {
    errors: Errors,
    times: [f64; 3],
    rtf: f64,
}

fn measure(whisper: &mut Whisper, clips: &[Clip], show: bool) -> anyhow::Result<Measured> {
    let mut errors = Errors::default();
    let mut times = Vec::new();
    // The first run builds what later runs reuse.
    whisper.transcribe(&clips[0].audio, &|| false)?;
    for clip in clips {
        let start = now();
        let heard = whisper.transcribe(&clip.audio, &|| false)?.text;
        times.push(now() - start);
        let found = Errors::between(&clip.text, &heard);
        if show && found.edits > 0 {
            writeln!(
                std::io::stdout(),
                "  {} / {}\n    said  {}\n    heard {heard}",
                found.edits,
                found.words,
                clip.text
            )?;
        }
        errors.add(found);
    }
    let seconds: f64 = clips
        .iter()
        .map(|clip| clip.audio.len() as f64 / f64::from(SampleRate::MODEL.get()))
        .sum();
    let rtf = times.iter().sum::<Duration>().as_secs_f64() / seconds;
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1e3;
    Ok(Measured {
        errors,
        times: [at(0.5), at(0.95), at(1.0)],
        rtf,
    })
}

fn clips(args: &SttArgs) -> anyhow::Result<Vec<Clip>> {
    let clips = clips::from_manifest(&args.manifest, Level::Dbfs(-22.0), args.max_seconds)?;
    let received = clips.into_iter().map(|clip| Clip {
        audio: received(&clip.utterance),
        text: clip.text.unwrap_or_default(),
    });
    Ok(received.collect())
}

/// The clip as a call delivers it to the transcriber: μ-law, with the silence of pre-roll and tail around it.
fn received(utterance: &Utterance) -> Vec<f32> {
    let silence = |ms: usize| std::iter::repeat_n(mulaw::SILENCE, ms * 8);
    let bytes = silence(PRE_ROLL_MS)
        .chain(utterance.frames.iter().flatten().copied())
        .chain(silence(TAIL_MS));
    let line: Vec<f32> = bytes.map(|byte| mulaw::to_f32(mulaw::decode(byte))).collect();
    let mut audio = Vec::new();
    let mut resampler = Resampler::new(SampleRate::LINE, SampleRate::MODEL).expect("8 to 16 kHz is a valid ratio");
    resampler.push(&line, &mut audio);
    audio
}

#[expect(clippy::disallowed_methods, reason = "a measurement of time")]
fn now() -> Instant {
    Instant::now()
}

const PRE_ROLL_MS: usize = 240;
/// What has been received when the transcript is asked for: `SPECULATE_AFTER`.
const TAIL_MS: usize = 100;
