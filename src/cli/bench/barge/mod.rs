//! `tieline bench barge`: how the agent takes it when the caller does not sit still through its answers.
//!
//! The simulated caller interrupts, listens aloud, or has a noisy line, over the real socket; every figure is read from
//! what it sent, received and would have heard. [`noise`], [`course`], [`tape`] and [`words`] are pure.

mod args;
mod backchannel;
mod course;
mod ear;
mod figures;
mod noise;
mod tape;
mod words;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use tokio::runtime::Runtime;

use super::clips::{self, Clip};
use super::load::{Cores, Used};
use super::server::{self, now};
use super::stub_llm::Cadence;
use crate::audio::mulaw;
use crate::caller::{Event, Happened, Held, Target, hold_call};
use crate::cli::engines;
use crate::config::Config;
pub(super) use args::BargeArgs;
use args::{Planned, Scenario};
use backchannel::Backchannels;
use course::{Aim, Caller};
use ear::Ear;
use figures::{Heard, Interrupts, Noise};
use words::Answer;

/// All that was measured.
#[derive(Debug, Default, Serialize)]
struct Figures {
    interrupt: Option<Interrupts>,
    noise: Vec<Noise>,
    backchannel: Option<Backchannels>,
    heard: Option<Heard>,
    seconds: f64,
    worst_lag_ms: f64,
    foreign_cores: Option<f64>,
    own_cores: Option<f64>,
    cores: usize,
    clean: Option<bool>,
    /// The Whisper that listened.
    ear: Option<String>,
    errors: Vec<String>,
}

/// What callers say.
struct Speech {
    questions: Vec<Clip>,
    words: Vec<Clip>,
}

type Calls = Vec<(Planned, Held<Caller>)>;

pub(super) fn run(args: &BargeArgs, config: &Config, runtime: &Runtime) -> anyhow::Result<ExitCode> {
    server::quiet_log(config);
    if let Some(folder) = &args.record {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let speech = {
        // A remote voice needs the runtime at hand.
        let _entered = runtime.enter();
        Speech::prepare(args, config)?
    };
    let mut figures = Figures::default();
    let calls = runtime.block_on(place_calls(args, config, &speech, &mut figures))?;
    // Afterwards, so that listening takes no time from the server.
    listen(args, config, &speech, &calls, &mut figures)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n\n{}", headline(args, config), figures.text())?;
    if let Some(path) = &args.json {
        let document = json!({ "settings": settings(args, config), "measured": figures });
        std::fs::write(path, serde_json::to_string_pretty(&document)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if figures.errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Speech {
    fn prepare(args: &BargeArgs, config: &Config) -> anyhow::Result<Self> {
        let mut voice = engines::CallerVoice::new(config);
        let (shortest, longest) = args.clip_seconds;
        let mut questions = match &args.clips {
            Some(manifest) => clips::from_manifest(manifest, args.level, longest as f32)?,
            None => clips::spoken(&clips::SENTENCES, args.level, |text| voice.speak(text))?,
        };
        questions.retain(|clip| (shortest..=longest).contains(&f64::from(clip.seconds())));
        anyhow::ensure!(!questions.is_empty(), "no clip is as long as --clip-seconds wants");
        clips::shuffle(&mut questions, args.seed);
        let mut words = match &args.backchannel_clips {
            Some(manifest) => clips::from_manifest(manifest, args.level, longest as f32)?,
            None => clips::spoken(&BACKCHANNELS, args.level, |text| voice.speak(text))?,
        };
        clips::shuffle(&mut words, args.seed);
        Ok(Self { questions, words })
    }

    /// Everything as linear samples, for babble.
    fn voices(&self) -> Vec<Vec<i16>> {
        let linear = |clip: &Clip| {
            clip.utterance
                .frames
                .iter()
                .flatten()
                .map(|&byte| mulaw::decode(byte))
                .collect()
        };
        self.questions.iter().map(linear).collect()
    }

    fn all(&self) -> Vec<Clip> {
        self.questions.iter().chain(&self.words).cloned().collect()
    }
}

/// Places the calls, one after the other.
async fn place_calls(
    args: &BargeArgs,
    config: &Config,
    speech: &Speech,
    figures: &mut Figures,
) -> anyhow::Result<Calls> {
    let target = match &args.target {
        Some(url) => server::elsewhere(config, url),
        None => {
            let stub = Cadence {
                first_token: args.ttft,
                token: args.itl,
                replies: ANSWERS.split("\n\n").map(|block| block.replace('\n', " ")).collect(),
            };
            server::start(config, Some(stub), 1).await?
        }
    };
    let (before, started) = (Used::so_far(), now());
    let mut calls = Vec::new();
    for planned in args.calls(speech.questions.len(), speech.words.len()) {
        match Box::pin(place_call(args, config, speech, &target, &planned)).await {
            Ok(held) => {
                let errors = held.errors.iter().map(|error| format!("{}: {error}", planned.name));
                figures.errors.extend(errors);
                figures.worst_lag_ms = figures.worst_lag_ms.max(held.worst_lag_ms);
                calls.push((planned, held));
            }
            Err(error) => figures.errors.push(format!("{}: {error:#}", planned.name)),
        }
    }
    let elapsed = now() - started;
    figures.seconds = elapsed.as_secs_f64().round();
    figures.cores = std::thread::available_parallelism().map_or(1, usize::from);
    if let Some((before, after)) = before.zip(Used::so_far()) {
        let Cores { foreign, own } = after.since(before, elapsed);
        (figures.foreign_cores, figures.own_cores) = (Some(foreign), Some(own));
        figures.clean = Some(foreign <= CLEAN_CORES);
    }
    Ok(calls)
}

async fn place_call(
    args: &BargeArgs,
    config: &Config,
    speech: &Speech,
    target: &Target,
    planned: &Planned,
) -> anyhow::Result<Held<Caller>> {
    let background = match planned.noise {
        Some(kind) => noise::minute(kind, args.noise_dbfs, args.seed, &speech.voices()),
        None => Vec::new(),
    };
    let plan = server::plan(config, target.clone(), &speech.all());
    let name = planned.name.as_str();
    let held = hold_call(plan, background, Caller::new(planned.settings.clone()), &mut |event| {
        progress(name, &event);
    })
    .await?;
    if let Some(folder) = &args.record {
        let path = folder.join(format!("{name}.wav"));
        held.recording
            .write_wav(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(held)
}

/// Reads the figures from the calls; Whisper is loaded only if a figure needs it.
fn listen(
    args: &BargeArgs,
    config: &Config,
    speech: &Speech,
    calls: &Calls,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let answers: Vec<Answer<'_>> = words::answers(ANSWERS);
    let mut ear = None;
    if args.wants(Scenario::Heard) || args.wants(Scenario::Backchannel) {
        let loaded = Ear::load(config, args.ear.as_deref())?;
        figures.ear = Some(loaded.model.clone());
        ear = Some(loaded);
    }
    for (planned, held) in calls {
        let (tape, recording) = (&held.course.tape, &held.recording);
        match (planned.settings.aim, planned.noise) {
            (Aim::Interrupt(_), _) => {
                figures.interrupt = args.wants(Scenario::Interrupt).then(|| Interrupts::of(tape));
                if let Some(ear) = ear.as_mut().filter(|_| args.wants(Scenario::Heard)) {
                    figures.heard = Some(Heard::of(tape, recording, &answers, ear)?);
                }
            }
            (Aim::Acknowledge(_), _) => {
                if let Some(ear) = &mut ear {
                    let labels: Vec<String> = speech.all().into_iter().map(|clip| clip.utterance.label).collect();
                    figures.backchannel = Some(Backchannels::of(tape, recording, &answers, &labels, ear)?);
                }
            }
            (Aim::Listen(_), kind) => figures.noise.extend(kind.map(|kind| Noise::of(kind, tape))),
        }
    }
    Ok(())
}

impl Figures {
    fn text(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.interrupt.as_ref().map(Interrupts::text));
        parts.extend(self.heard.as_ref().map(Heard::text));
        parts.extend(self.backchannel.as_ref().map(Backchannels::text));
        parts.extend(self.noise.iter().map(Noise::text));
        let load = match (self.foreign_cores, self.own_cores) {
            (Some(foreign), Some(own)) => format!(
                "of {} cores busy: {own:.2} with this program, {foreign:.2} with others{}",
                self.cores,
                if self.clean == Some(true) { "" } else { " (not clean)" }
            ),
            _ => format!("{} cores, load unknown", self.cores),
        };
        parts.push(format!("worst client lag {:.1} ms; {load}\n", self.worst_lag_ms));
        if !self.errors.is_empty() {
            parts.push(format!(
                "{} errors:\n  {}\n",
                self.errors.len(),
                self.errors.join("\n  ")
            ));
        }
        parts.join("\n")
    }
}

/// A line on standard error for each utterance: a long run shows that it lives.
fn progress(name: &str, event: &Event) {
    if let Happened::Speaks { said, .. } = &event.happened {
        // A closed standard error ends the lines, not the measurement.
        let _ = writeln!(std::io::stderr(), "{name} {:6.1} s: {said}", event.at.as_secs_f64());
    }
}

fn headline(args: &BargeArgs, config: &Config) -> String {
    let what = match &args.target {
        Some(url) => url.clone(),
        None => format!("{}, {}, stub LLM with long answers", config.stt.model, config.tts.voice),
    };
    let speech = if args.clips.is_some() { "clips" } else { "Piper" };
    format!("{what}; callers: {speech}; seed {}", args.seed)
}

fn settings(args: &BargeArgs, config: &Config) -> serde_json::Value {
    let described: Vec<(&str, String)> = if args.target.is_none() {
        config.describe()
    } else {
        Vec::new()
    };
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "scenario": args.scenario,
        "target": args.target,
        "interruptions": args.interruptions,
        "after_s": [args.after.0, args.after.1],
        "minutes": args.minutes,
        "noise_dbfs": args.noise_dbfs,
        "clean_questions": args.clean_questions,
        "backchannels": args.backchannels,
        "clips": args.clips,
        "backchannel_clips": args.backchannel_clips,
        "clip_seconds": [args.clip_seconds.0, args.clip_seconds.1],
        "seed": args.seed,
        "ttft_ms": args.ttft.as_secs_f64() * 1e3,
        "itl_ms": args.itl.as_secs_f64() * 1e3,
        "config": described.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

/// The stub's answers: blocks of one sentence a line.
const ANSWERS: &str = include_str!("answers.txt");

/// What listeners say, as far as Piper can say it: it reads the letters of "Mm-hmm." and makes two full vowels of "Um-hum."; "Hmm." is a hum.
const BACKCHANNELS: [&str; 6] = ["Uh-huh.", "Okay.", "Right.", "Yeah.", "Hmm.", "I see."];

/// With others busier than this, the figures are theirs too.
const CLEAN_CORES: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_are_long_and_no_two_alike() {
        let answers = words::answers(ANSWERS);
        assert_eq!(answers.len(), 6);
        for (place, block) in ANSWERS.split("\n\n").enumerate() {
            assert!(answers[place].len() >= 90 && answers[place].sentences() == 8);
            assert_eq!(words::likest(&answers, block), Some(place));
            for line in block.lines() {
                assert_eq!(words::likest(&answers, line), Some(place), "{line}");
            }
        }
    }
}
