//! `tieline bench barge`: how the agent takes it when the caller does not sit still through its answers.
//!
//! The simulated caller interrupts, listens aloud, or has a noisy line, over the real socket; every figure is read from
//! what it sent, received and would have heard. [`noise`], [`course`], [`tape`] and [`words`] are pure.

mod course;
mod ear;
mod figures;
mod noise;
mod tape;
mod words;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;
use tokio::runtime::Runtime;

use super::clips::{self, Clip};
use super::load::{Cores, Used};
use super::server::{self, now};
use super::stub_llm::Cadence;
use crate::audio::mulaw;
use crate::caller::{Event, Happened, Held, Level, Target, hold_call};
use crate::cli::engines;
use crate::config::Config;
use course::{Aim, Caller, Settings};
use ear::Ear;
use figures::{Backchannels, Heard, Interrupts, Noise};
use noise::Kind;
use words::Answer;

/// Arguments of `tieline bench barge`.
#[derive(Debug, Args)]
pub(in crate::cli) struct BargeArgs {
    /// What to measure
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    scenario: Vec<Scenario>,
    /// Measure the server behind this voice webhook, instead of one started here; it uses its own LLM, which should
    /// give long answers: those of the stub, which `backchannel` looks for, are in `src/cli/bench/barge/answers.txt`
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Interruptions to make, for interrupt and heard
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    interruptions: u16,
    /// Seconds of an answer after which it is interrupted: from, to
    #[arg(long, value_name = "FROM,TO", default_value = "1.0,3.0", value_parser = span)]
    after: (f64, f64),
    /// Minutes of each noise
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Kinds of noise
    #[arg(long, value_enum, value_delimiter = ',', default_value = "white,babble,line")]
    noise: Vec<Kind>,
    /// RMS of the noise in dBFS
    #[arg(long, default_value_t = -35.0, allow_hyphen_values = true)]
    noise_dbfs: f32,
    /// Noise only under and after the answers, not under the questions: also an agent whose endpoint the noise hides
    /// then comes to speak, and can be stopped
    #[arg(long)]
    clean_questions: bool,
    /// Words of listening to say
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    backchannels: u16,
    /// Tab-separated file with the columns `path` and `text` for questions, interruptions and babble, instead of Piper
    #[arg(long, value_name = "TSV")]
    clips: Option<PathBuf>,
    /// The same for the words of listening
    #[arg(long, value_name = "TSV")]
    backchannel_clips: Option<PathBuf>,
    /// Leave out clips shorter or longer than so many seconds; words of listening may be shorter
    #[arg(long, value_name = "FROM,TO", default_value = "1.0,5.0", value_parser = span)]
    clip_seconds: (f64, f64),
    /// Level of active speech in dBFS, or "as-is"
    #[arg(long, default_value = "-22", allow_hyphen_values = true)]
    level: Level,
    /// Chooses clips, moments and noise
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The stub's time to the first token
    #[arg(long, default_value = "100ms", value_parser = humantime::parse_duration)]
    ttft: Duration,
    /// The stub's time from token to token; a word is a token
    #[arg(long, default_value = "20ms", value_parser = humantime::parse_duration)]
    itl: Duration,
    /// Whisper model that listens to the recordings [default: base, or else tiny.en]
    #[arg(long, value_name = "MODEL")]
    ear: Option<String>,
    /// Write each call to a stereo wav in this folder, caller left, agent right
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Write everything measured to a JSON file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Scenario {
    /// Real words into the answer: how soon it stops.
    Interrupt,
    /// Noise on the line: how often it stops for nothing.
    Noise,
    /// "Uh-huh" into the answer: whether the answer survives.
    Backchannel,
    /// Whether the server knows what of a cut answer was heard.
    Heard,
    /// All of these.
    All,
}

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

/// A call that is to be placed.
struct Planned {
    name: String,
    noise: Option<Kind>,
    settings: Settings,
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

impl BargeArgs {
    fn wants(&self, scenario: Scenario) -> bool {
        self.scenario.contains(&scenario) || self.scenario.contains(&Scenario::All)
    }

    /// The calls in their order.
    fn calls(&self, speech: &Speech) -> Vec<Planned> {
        let settings = |aim, quiet, limit| Settings {
            aim,
            questions: speech.questions.len(),
            words: speech.words.len(),
            after: self.after.0..self.after.1,
            quiet,
            limit,
            clean_questions: self.clean_questions,
            seed: self.seed,
        };
        let planned = |name: &str, settings| Planned {
            name: name.to_owned(),
            noise: None,
            settings,
        };
        let mut calls = Vec::new();
        if self.wants(Scenario::Interrupt) || self.wants(Scenario::Heard) {
            let limit = LONGEST_ANSWER * (u32::from(self.interruptions) + 1);
            let aim = Aim::Interrupt(usize::from(self.interruptions));
            calls.push(planned(INTERRUPT, settings(aim, QUIET, limit)));
        }
        if self.wants(Scenario::Backchannel) {
            let limit = LONGEST_ANSWER * (u32::from(self.backchannels) + 2);
            let aim = Aim::Acknowledge(usize::from(self.backchannels));
            let mut call = planned(BACKCHANNEL, settings(aim, QUIET, limit));
            call.settings.after = BETWEEN_WORDS;
            calls.push(call);
        }
        if self.wants(Scenario::Noise) {
            for kind in &self.noise {
                let long = Duration::from_secs_f64(self.minutes.clamp(0.1, 60.0) * 60.0);
                calls.push(Planned {
                    name: format!("noise-{kind:?}").to_lowercase(),
                    noise: Some(*kind),
                    // The line is also heard while nobody speaks.
                    settings: settings(Aim::Listen(long), LISTENING, long),
                });
            }
        }
        calls
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
    for planned in args.calls(speech) {
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

/// Two numbers of seconds, the smaller first.
fn span(text: &str) -> Result<(f64, f64), String> {
    let parts = text
        .split_once(',')
        .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parts
        .filter(|(from, to): &(f64, f64)| (0.0..600.0).contains(from) && to > from && *to <= 600.0)
        .ok_or_else(|| format!("{text:?} is no span like 1.0,3.0"))
}

/// The stub's answers: blocks of one sentence a line.
const ANSWERS: &str = include_str!("answers.txt");

/// What listeners say.
const BACKCHANNELS: [&str; 6] = ["Uh-huh.", "Okay.", "Right.", "Yeah.", "Mm-hmm.", "I see."];

/// Seconds of an answer between two words of listening.
const BETWEEN_WORDS: std::ops::Range<f64> = 3.0..7.0;

/// Silence after which an answer is over; the questions wait for it and up to half a second more.
const QUIET: Duration = Duration::from_secs(1);

/// The same over a noisy line, which is listened to for a while.
const LISTENING: Duration = Duration::from_secs(4);

/// Longer than an answer takes, with its question.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// With others busier than this, the figures are theirs too.
const CLEAN_CORES: f64 = 0.1;

const INTERRUPT: &str = "interrupt";
const BACKCHANNEL: &str = "backchannel";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        barge: BargeArgs,
    }

    fn parse(line: &str) -> Result<BargeArgs, clap::Error> {
        Cli::try_parse_from(std::iter::once("barge").chain(line.split_whitespace())).map(|cli| cli.barge)
    }

    fn names(args: &BargeArgs) -> Vec<String> {
        let speech = Speech {
            questions: Vec::new(),
            words: Vec::new(),
        };
        args.calls(&speech).into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn scenarios_choose_the_calls() {
        let all = ["interrupt", "backchannel", "noise-white", "noise-babble", "noise-line"];
        assert_eq!(names(&parse("").expect("arguments")), all);
        assert_eq!(names(&parse("--scenario heard").expect("arguments")), ["interrupt"]);
        let noise = parse("--scenario noise,interrupt --noise line --minutes 0.5").expect("arguments");
        assert_eq!(names(&noise), ["interrupt", "noise-line"]);
    }

    #[test]
    fn arguments_have_bounds() {
        assert_eq!(parse("--after 0.5,2").expect("arguments").after, (0.5, 2.0));
        for wrong in [
            "--after 2,1",
            "--after 1",
            "--after nan,2",
            "--interruptions 0",
            "--scenario tea",
            "--noise pink",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

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
