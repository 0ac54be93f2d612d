//! `tieline bench latency`: scripted calls through the real socket, and where the time of each turn goes.
//!
//! The simulated caller is that of `tieline call`. Unless `--target` names another server, the real one runs in this
//! process on a loopback port with the configured models, and asks a stub LLM of fixed speed.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::clips::{self, Clip};
use super::figures::{Call, Figures, Surroundings};
use super::load::Used;
use super::server::{self, now};
use super::stub_llm::Cadence;
use crate::caller::{Event, Happened, Level, Target, place_call};
use crate::cli::engines;
use crate::config::Config;

/// Arguments of `tieline bench latency`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LatencyArgs {
    /// Calls at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    calls: u16,
    /// Caller turns in each call
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..))]
    turns: u16,
    /// Time from the start of one call to the next
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    stagger: Duration,
    /// Measure the server behind this voice webhook, instead of one started here; it uses its own LLM
    #[arg(long, value_name = "URL", conflicts_with = "configured_llm")]
    target: Option<String>,
    /// Ask the configured LLM endpoint, not the stub
    #[arg(long)]
    configured_llm: bool,
    /// The stub's time to the first token
    #[arg(long, default_value = "100ms", value_parser = humantime::parse_duration)]
    ttft: Duration,
    /// The stub's time from token to token; a word is a token
    #[arg(long, default_value = "20ms", value_parser = humantime::parse_duration)]
    itl: Duration,
    /// What the stub says
    #[arg(long, default_value = REPLY)]
    reply: String,
    #[command(flatten)]
    speech: Speech,
    /// Write everything measured to a JSON file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail when the 95th percentile of voice-to-voice, measured here, is higher
    #[arg(long, value_name = "MS")]
    max_p95: Option<f64>,
}

/// What the callers say. By default: built-in sentences, spoken by Piper.
#[derive(Debug, Args)]
struct Speech {
    /// Tab-separated file with the columns `path` and `text`; paths are relative to it
    #[arg(long, value_name = "TSV", conflicts_with = "wav")]
    manifest: Option<PathBuf>,
    /// Wav files to speak; their texts are unknown, so there is no word error
    #[arg(long, value_name = "FILE", num_args = 1..)]
    wav: Vec<PathBuf>,
    /// Leave out clips longer than this many seconds
    #[arg(long, default_value_t = 8.0)]
    max_seconds: f32,
    /// Chooses the order of what is said
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Level of active speech in dBFS, or "as-is"
    #[arg(long, default_value = "-22", allow_hyphen_values = true)]
    level: Level,
}

pub(super) fn run(args: &LatencyArgs, config: &Config, runtime: &Runtime) -> anyhow::Result<ExitCode> {
    server::quiet_log(config);
    // Spoken before the server starts, so that only one Piper is at work; a remote voice needs the runtime at hand.
    let clips = {
        let _entered = runtime.enter();
        args.speech.clips(config)?
    };
    runtime.block_on(measure(args, config, &clips))
}

async fn measure(args: &LatencyArgs, config: &Config, clips: &[Clip]) -> anyhow::Result<ExitCode> {
    let target = match &args.target {
        Some(url) => server::elsewhere(config, url),
        None => server::start(config, args.cadence(), usize::from(args.calls)).await?,
    };
    let before = Used::so_far();
    let started = now();
    let calls = place_calls(args, config, &target, clips).await?;
    let elapsed = now() - started;
    let load = before.zip(Used::so_far());
    let figures = Figures::of(
        &calls,
        Surroundings {
            elapsed,
            load: load.map(|(before, after)| after.since(before, elapsed)),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        },
    );
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n\n{}", headline(args, config), figures.table())?;
    if let Some(path) = &args.json {
        let document = json!({ "settings": settings(args, config), "measured": figures });
        std::fs::write(path, serde_json::to_string_pretty(&document)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let passed = verdict(&figures, args.max_p95);
    if let Err(reason) = &passed {
        writeln!(out, "failed: {reason}")?;
    }
    Ok(if passed.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl LatencyArgs {
    /// How the stub speaks, where it is asked.
    fn cadence(&self) -> Option<Cadence> {
        (!self.configured_llm).then(|| Cadence {
            first_token: self.ttft,
            token: self.itl,
            replies: vec![self.reply.clone()],
        })
    }
}

impl Speech {
    fn clips(&self, config: &Config) -> anyhow::Result<Vec<Clip>> {
        let mut clips = if let Some(manifest) = &self.manifest {
            clips::from_manifest(manifest, self.level, self.max_seconds)?
        } else if self.wav.is_empty() {
            let mut voice = engines::CallerVoice::new(config);
            clips::spoken(&clips::SENTENCES, self.level, |text| voice.speak(text))?
        } else {
            clips::from_wavs(&self.wav, self.level)?
        };
        clips.retain(|clip| clip.seconds() <= self.max_seconds);
        anyhow::ensure!(!clips.is_empty(), "every clip is longer than --max-seconds");
        clips::shuffle(&mut clips, self.seed);
        Ok(clips)
    }
}

/// Places all calls, each `stagger` after the one before, and waits for the last.
async fn place_calls(
    args: &LatencyArgs,
    config: &Config,
    target: &Target,
    clips: &[Clip],
) -> anyhow::Result<Vec<Call>> {
    let started = now();
    let mut running = JoinSet::new();
    for index in 0..usize::from(args.calls) {
        let turns = usize::from(args.turns);
        let said: Vec<Clip> = clips.iter().cycle().skip(index * turns).take(turns).cloned().collect();
        let plan = server::plan(config, target.clone(), &said);
        let due = started + args.stagger * index as u32;
        running.spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            let report = Box::pin(place_call(plan, &mut |event| progress(index + 1, &event))).await;
            let outcome = report.map_err(|error| format!("{:#}", anyhow::Error::from(error)));
            (index, Call { clips: said, outcome })
        });
    }
    let mut calls = Vec::new();
    while let Some(ended) = running.join_next().await {
        calls.push(ended.context("a caller panicked")?);
    }
    calls.sort_by_key(|(index, _)| *index);
    Ok(calls.into_iter().map(|(_, call)| call).collect())
}

/// A line on standard error for each answer: a long run shows that it lives.
fn progress(call: usize, event: &Event) {
    if let Happened::Answered { turn, after } = &event.happened {
        let after = after.map_or(0.0, |after| after.as_secs_f64() * 1e3);
        // A closed standard error ends the lines, not the measurement.
        let _ = writeln!(std::io::stderr(), "call {call} turn {turn}: {after:.0} ms");
    }
}

/// Errors of the server fail the run, and so does the gate.
fn verdict(figures: &Figures, max_p95: Option<f64>) -> Result<(), String> {
    if !figures.errors.is_empty() {
        return Err(format!("{} errors", figures.errors.len()));
    }
    match (max_p95, figures.voice_to_voice().p95) {
        (Some(max), Some(p95)) if p95 > max => Err(format!("voice-to-voice p95 is {p95:.0} ms, over {max:.0} ms")),
        (Some(_), None) => Err("no turn was measured".to_owned()),
        (None | Some(_), _) => Ok(()),
    }
}

fn headline(args: &LatencyArgs, config: &Config) -> String {
    let what = match &args.target {
        Some(url) => url.clone(),
        None if args.configured_llm => format!("{}, {}, LLM {}", config.stt.model, config.tts.voice, config.llm.model),
        None => format!(
            "{}, {}, stub LLM with {} ms to the first token and {} ms a token",
            config.stt.model,
            config.tts.voice,
            args.ttft.as_millis(),
            args.itl.as_millis()
        ),
    };
    format!(
        "{what}; {} calls of {} turns, seed {}",
        args.calls, args.turns, args.speech.seed
    )
}

fn settings(args: &LatencyArgs, config: &Config) -> serde_json::Value {
    let stub = json!({
        "ttft_ms": args.ttft.as_secs_f64() * 1e3, "itl_ms": args.itl.as_secs_f64() * 1e3, "reply": args.reply,
    });
    let here = args.target.is_none();
    let described: Vec<(&str, String)> = if here { config.describe() } else { Vec::new() };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "target": args.target,
        "calls": args.calls,
        "turns": args.turns,
        "stagger_ms": args.stagger.as_secs_f64() * 1e3,
        "seed": args.speech.seed,
        "manifest": args.speech.manifest,
        "max_seconds": args.speech.max_seconds,
        "stub_llm": (here && !args.configured_llm).then_some(stub),
        "config": described.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

/// What the stub says: two sentences, as other benches of voice agents have it.
const REPLY: &str = "Sure, I can help you with that today. We are open from nine to five.";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        latency: LatencyArgs,
    }

    fn parse(line: &str) -> Result<LatencyArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once("latency").chain(line.split_whitespace())).map(|cli| cli.latency)
    }

    #[test]
    fn the_defaults_are_the_stub_and_the_built_in_sentences() {
        let args = parse("").expect("arguments");
        assert_eq!((args.calls, args.turns, args.stagger), (1, 12, Duration::from_secs(1)));
        assert_eq!(
            (args.ttft, args.itl),
            (Duration::from_millis(100), Duration::from_millis(20))
        );
        assert_eq!(args.reply, REPLY);
        assert_eq!((args.speech.seed, args.speech.level), (1, Level::Dbfs(-22.0)));
        assert!(args.target.is_none() && args.speech.manifest.is_none() && args.speech.wav.is_empty());
        assert!(args.max_p95.is_none() && !args.configured_llm);
    }

    #[test]
    fn arguments_that_contradict_each_other_are_refused() {
        let good = parse("--calls 4 --stagger 250ms --wav a.wav b.wav --max-p95 800").expect("arguments");
        assert_eq!((good.speech.wav.len(), good.max_p95), (2, Some(800.0)));
        for wrong in [
            "--calls 0",
            "--turns 0",
            "--ttft 100",
            "--manifest a.tsv --wav b.wav",
            "--target http://a/voice/incoming --configured-llm",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_measured_does_not_pass_the_gate() {
        let around = Surroundings {
            elapsed: Duration::from_secs(1),
            load: None,
            cores: 1,
        };
        let figures = Figures::of(&[], around);
        assert_eq!(verdict(&figures, None), Ok(()));
        assert!(verdict(&figures, Some(800.0)).is_err());
    }
}
