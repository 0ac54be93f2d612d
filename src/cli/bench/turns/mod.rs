//! `tieline bench turns`: how often the agent cuts in, against how long it keeps silent.
//!
//! Labelled turns go through the real audio path and the real machine, which asks the real engines, in virtual time: the
//! engines answer after a nominal time, so that the table does not depend on the machine it was made on.

mod answers;
mod audio;
mod evidence;
mod noise;
mod people;
mod replay;
mod score;
mod set;
mod slot;
mod sweep;
mod table;
mod voice;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use answers::Engines;
use audio::Turn;
use noise::Noise;
use replay::{Nominal, Recording};
use set::Half;
use sweep::{Awaiting, Setting};
use table::{Row, Table};

use crate::config::Config;

/// Arguments of `tieline bench turns`.
#[derive(Debug, Args)]
pub(in crate::cli) struct TurnsArgs {
    /// Labelled turns for the voice to speak, instead of the built-in ones [form: benches/turns/set.tsv]
    #[arg(long, conflicts_with = "clips")]
    set: Option<PathBuf>,
    /// Let the voice draw its melody and timing: livelier, and different in every run
    #[arg(long)]
    lively: bool,
    /// Speak the pieces between pauses one by one, with the melody of an end at each pause. Otherwise a turn is spoken in
    /// one breath and widened at its marks, where they are found
    #[arg(long)]
    apart: bool,
    /// Compose turns from people's recordings instead: tab-separated files with the columns `path` and `text`
    #[arg(long, value_delimiter = ',')]
    clips: Vec<PathBuf>,
    /// Fixes the voice's paces, the noise, and how recordings are put together
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run everything again with white noise and with babble of this RMS; the caller speaks at -22
    #[arg(long, allow_hyphen_values = true, value_parser = dbfs)]
    noise_dbfs: Option<f32>,
    /// A transcript comes so long after it was asked for
    #[arg(long, default_value_t = 200)]
    stt_ms: u64,
    /// A judgement of the turn's end comes so long after it was asked for
    #[arg(long, default_value_t = 50)]
    sound_ms: u64,
    /// Take the time that the engines really needed instead; the table then depends on the machine
    #[arg(long)]
    measured: bool,
    /// Fixed delays to run without witnesses, in ms
    #[arg(long, value_delimiter = ',', default_value = "300,400,500,600,800,1000,1600")]
    silence: Vec<u64>,
    /// The least, usual and greatest delay to run with each other set of witnesses, in ms, such as 350/600/1500
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "350/600/1500,250/400/1500,300/500/1500,350/600/1000,350/600/2000,350/800/2000,500/800/2500,300/600/2500"
    )]
    delays: Vec<sweep::Delays>,
    /// Only turns of this half: settings are chosen by `tune`
    #[arg(long, value_enum, default_value = "all")]
    half: Half,
    /// Only turns whose id begins so
    #[arg(long, default_value = "")]
    only: String,
    /// A table for each kind of turn, too
    #[arg(long)]
    by_category: bool,
    /// Write every row to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write what the witnesses say at each pause to this file, tab-separated
    #[arg(long)]
    evidence: Option<PathBuf>,
}

pub(super) fn run(args: &TurnsArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let mut engines = Engines::load(config)?;
    let everything = turns(args, config)?;
    let chosen: Vec<&Turn> = everything
        .iter()
        .filter(|turn| args.half.holds(turn.half) && turn.id.starts_with(&args.only))
        .collect();
    anyhow::ensure!(!chosen.is_empty(), "no turn is left");
    let nominal = Nominal {
        words: Duration::from_millis(args.stt_ms),
        sound: Duration::from_millis(args.sound_ms),
        measured: args.measured,
    };
    let noises: &[Noise] = match args.noise_dbfs {
        Some(_) => &[Noise::Quiet, Noise::White, Noise::Babble],
        None => &[Noise::Quiet],
    };
    let settings = sweep::settings(&args.silence, &args.delays);
    let mut table = Table::default();
    let mut evidence = args.evidence.as_ref().map(|_| String::from(evidence::HEADER));
    for (n, &noise) in noises.iter().enumerate() {
        for (place, &turn) in chosen.iter().enumerate() {
            let recording = Recording {
                index: n * chosen.len() + place,
                turn,
                payload: noise.payload(turn, &everything, args.noise_dbfs.unwrap_or_default(), args.seed),
            };
            for (setting, awaiting) in cases(&settings, turn) {
                let policy = setting.policy(&config.turn.policy);
                let slot = turn.slot.as_ref().filter(|_| awaiting == Awaiting::Slot);
                let ear = engines.ear();
                let trace = replay::replay(&recording, slot, &policy, ear, nominal, &mut engines)?;
                let row = Row {
                    noise,
                    awaiting,
                    setting,
                };
                table.add(row, turn, score::Result::of(turn, &trace));
            }
            if let Some(lines) = &mut evidence {
                lines.push_str(&evidence::of(&recording, noise, config, nominal, &mut engines)?);
            }
        }
    }
    report(args, &table, evidence, &engines, &chosen)
}

fn report(
    args: &TurnsArgs,
    table: &Table,
    evidence: Option<String>,
    engines: &Engines,
    turns: &[&Turn],
) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let (words, sounds) = engines.asked();
    let pauses: usize = turns.iter().map(|turn| turn.pauses().len()).sum();
    writeln!(
        out,
        "{} turns, {pauses} inner pauses; seed {}; {words} spans transcribed, {sounds} judged",
        turns.len(),
        args.seed
    )?;
    table.write(&mut out, args.by_category)?;
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&table.figures())?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let (Some(path), Some(lines)) = (&args.evidence, evidence) {
        std::fs::write(path, lines).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn turns(args: &TurnsArgs, config: &Config) -> anyhow::Result<Vec<Turn>> {
    if !args.clips.is_empty() {
        return people::turns(&args.clips, args.seed);
    }
    let scripts = match &args.set {
        Some(path) => {
            let table = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            set::parse(&table)?
        }
        None => set::parse(BUILT_IN)?,
    };
    let mut voice = voice::Voice::load(config, args.lively, !args.apart)?;
    scripts.iter().map(|script| voice.speak(script, args.seed)).collect()
}

/// Every setting with nothing awaited; and again with the turn's slot, if it has one.
fn cases(settings: &[Setting], turn: &Turn) -> Vec<(Setting, Awaiting)> {
    let nothing = settings.iter().map(|&setting| (setting, Awaiting::Nothing));
    let slot = settings.iter().map(|&setting| (setting, Awaiting::Slot));
    nothing.chain(slot.filter(|_| turn.slot.is_some())).collect()
}

fn dbfs(text: &str) -> Result<f32, String> {
    let level = text.parse::<f32>().ok().filter(|level| (-90.0..=-10.0).contains(level));
    level.ok_or_else(|| "a level from -90 to -10".to_owned())
}

/// The set of the repository.
const BUILT_IN: &str = include_str!("../../../../benches/turns/set.tsv");
