//! `tieline bench calls`: whole calls by voice, and whether they came to what they should.
//!
//! The calls are those of a set (`tests/calls/calls.toml` describes its form). Piper speaks the caller's lines, keys go as
//! Twilio sends them, the real server answers with a database of its own, and what was said, run and written is checked.

mod course;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::load::Used;
use super::server::{self, now};
use crate::caller::calls::{CallSet, Line, Outcome, Said, ScriptedCall, Talk};
use crate::caller::{Held, Level, Plan, Target, Utterance, hold_call};
use crate::cli::engines;
use crate::config::{Config, Database, KekSource, Location};
use crate::dialog::agent::Agents;
use crate::dialog::slot::Language;
use crate::store::Store;
use course::Conversation;
use table::{Figures, Result};

/// Arguments of `tieline bench calls`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CallsArgs {
    /// The set of calls
    #[arg(long, value_name = "FILE", default_value = "tests/calls/calls.toml")]
    set: PathBuf,
    /// Only calls with this in their name; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Without an LLM, whatever is configured
    #[arg(long)]
    guided: bool,
    /// Calls at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,
    /// Level of the callers' active speech in dBFS, or "as-is"
    #[arg(long, default_value = "-22", allow_hyphen_values = true)]
    level: Level,
    /// Print what was said in every call, not only in those that failed
    #[arg(long)]
    all: bool,
    /// Write everything to a JSON file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave the database and its key in this folder, which must have none
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Fail when fewer percent of the calls come to what they should
    #[arg(long, value_name = "PERCENT", default_value_t = 90.0)]
    min: f64,
}

/// A call with its caller's voice.
struct Prepared {
    call: ScriptedCall,
    place: usize,
    talk: Talk,
    turns: Vec<Utterance>,
}

pub(super) fn run(args: &CallsArgs, config: &Config, runtime: &Runtime) -> anyhow::Result<ExitCode> {
    server::quiet_log(config);
    let mut config = config.clone();
    if args.guided {
        config.llm.base_url = None;
    }
    let path = args.set.display();
    let text = std::fs::read_to_string(&args.set).with_context(|| format!("cannot read {path}"))?;
    let set = CallSet::parse(&text).with_context(|| format!("{path} is no set of calls"))?;
    let prepared = {
        // A remote voice needs the runtime at hand.
        let _entered = runtime.enter();
        prepare(args, &config, &set)?
    };
    let figures = runtime.block_on(measure(args, &config, prepared))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n\n{}", headline(args, &config), figures.text(args.all))?;
    if let Some(path) = &args.json {
        let described: BTreeMap<_, _> = config.describe().into_iter().collect();
        let document = json!({
            "settings": { "version": env!("CARGO_PKG_VERSION"), "set": args.set, "parallel": args.parallel, "config": described },
            "measured": figures,
        });
        std::fs::write(path, serde_json::to_string_pretty(&document)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if figures.percent() >= args.min {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Gives the callers their voice, each text as often as they may have to say it differently.
fn prepare(args: &CallsArgs, config: &Config, set: &CallSet) -> anyhow::Result<Vec<Prepared>> {
    let agents = Agents::load(&config.server.agents_dir, &config.agent)?;
    let mut voice = engines::CallerVoice::new(config);
    let mut spoken: HashMap<(String, usize), Utterance> = HashMap::new();
    let mut speak = |line: &Line, take: usize| match line.said() {
        Said::Keys(keys) => Ok(Utterance {
            label: keys.to_owned(),
            frames: Vec::new(),
        }),
        Said::Words { say, .. } => {
            if let Some(known) = spoken.get(&(say.to_owned(), take)) {
                return Ok(known.clone());
            }
            let (samples, rate) = voice.speak(say).with_context(|| format!("cannot speak {say:?}"))?;
            let utterance = Utterance::with_margin(say.to_owned(), &samples, rate, args.level, MARGIN)?;
            spoken.insert((say.to_owned(), take), utterance.clone());
            anyhow::Ok(utterance)
        }
    };
    let wanted = |call: &ScriptedCall| {
        call.text_only.is_none() && (args.only.is_empty() || args.only.iter().any(|only| call.name.contains(only)))
    };
    let calls = set.calls.iter().enumerate().filter(|(_, call)| wanted(call));
    let prepared: anyhow::Result<Vec<Prepared>> = calls
        .map(|(place, call)| {
            let agent = agents
                .get(&call.agent)
                .with_context(|| format!("call {}: there is no agent {}", call.name, call.agent))?;
            let language = if agent.language == Language::Es { "es" } else { "en" };
            let talk = Talk::new(&call.lines, set.spare(language), &set.again);
            let takes = (0..course::TAKES).flat_map(|take| talk.lines().iter().map(move |line| (line, take)));
            let turns = takes
                .map(|(line, take)| speak(line, take))
                .collect::<anyhow::Result<_>>()?;
            Ok(Prepared {
                call: call.clone(),
                place,
                talk,
                turns,
            })
        })
        .collect();
    let prepared = prepared?;
    anyhow::ensure!(!prepared.is_empty(), "the set has no such calls");
    Ok(prepared)
}

/// One server after the other: an agent is chosen by its configuration, as each call would be by the number that is called.
async fn measure(args: &CallsArgs, config: &Config, prepared: Vec<Prepared>) -> anyhow::Result<Figures> {
    let scratch = Scratch::new()?;
    let dir = args.keep.as_ref().unwrap_or(&scratch.0);
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let path = dir.join("calls.db");
    anyhow::ensure!(!path.exists(), "--keep: {} is there already", path.display());
    let database = Database {
        location: Location::Sqlite(path),
        seed: true,
        kek: KekSource::File(dir.join("kek.key")),
    };
    let store = Store::open(&database).await?;
    let mut by_agent: BTreeMap<String, Vec<Prepared>> = BTreeMap::new();
    for call in prepared {
        by_agent.entry(call.call.agent.clone()).or_default().push(call);
    }
    let (before, started) = (Used::so_far(), now());
    let mut results = Vec::new();
    for (agent, calls) in by_agent {
        let config = Config {
            agent,
            ..config.clone()
        };
        let (target, serving) = server::start_with(&config, Some(store.clone()), usize::from(args.parallel)).await?;
        results.extend(place_calls(args, &config, &target, &store, calls).await?);
        serving.abort();
    }
    store.close().await;
    results.sort_by_key(|(place, _)| *place);
    let elapsed = now() - started;
    Ok(Figures {
        calls: results.into_iter().map(|(_, result)| result).collect(),
        elapsed_s: elapsed.as_secs_f64().round(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        load: before
            .zip(Used::so_far())
            .map(|(before, after)| after.since(before, elapsed))
            .map(|load| [load.own, load.foreign]),
    })
}

async fn place_calls(
    args: &CallsArgs,
    config: &Config,
    target: &Target,
    store: &Store,
    calls: Vec<Prepared>,
) -> anyhow::Result<Vec<(usize, Result)>> {
    let lines = Arc::new(Semaphore::new(usize::from(args.parallel)));
    let mut running = JoinSet::new();
    for Prepared {
        call,
        place,
        talk,
        turns,
    } in calls
    {
        let plan = Plan {
            from: call.number(place).unwrap_or_else(|| WITHHELD.to_owned()),
            turns,
            ..server::plan(config, target.clone(), &[])
        };
        let (lines, store) = (Arc::clone(&lines), store.clone());
        running.spawn(async move {
            let _line = lines.acquire().await;
            let held = Box::pin(hold_call(plan, Vec::new(), Conversation::new(talk), &mut |_| {})).await;
            let result = match held {
                Ok(held) => judge(&call, held, &store).await,
                Err(error) => Result::lost(&call, format!("{:#}", anyhow::Error::from(error))),
            };
            // A closed standard error ends the lines, not the measurement.
            let _ = writeln!(std::io::stderr(), "{}", result.line());
            (place, result)
        });
    }
    let mut results = Vec::new();
    while let Some(ended) = running.join_next().await {
        results.push(ended.context("a caller panicked")?);
    }
    Ok(results)
}

async fn judge(call: &ScriptedCall, held: Held<Conversation>, store: &Store) -> Result {
    let mut look = tokio::time::interval(LOOK);
    for _ in 0..LOOKS {
        look.tick().await;
        match Outcome::read(store, &held.call_sid, held.course.said()).await {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                let mut faults = outcome.faults(&call.expect, false);
                faults.extend(held.errors.iter().cloned());
                return Result {
                    faults,
                    tools: outcome.tools,
                    seconds: held.seconds,
                    lines: held.course.lines,
                    ..Result::of(call)
                };
            }
            Err(error) => return Result::lost(call, error.to_string()),
        }
    }
    Result::lost(call, "the call's end was not written down".to_owned())
}

fn headline(args: &CallsArgs, config: &Config) -> String {
    let mind = match &config.llm.base_url {
        Some(_) => config.llm.model.as_str(),
        None => "no LLM",
    };
    format!(
        "{}, {}, {mind}; {} calls at once",
        config.stt.model, config.tts.voice, args.parallel
    )
}

/// A directory that goes with its owner.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("tieline-calls-{}", std::process::id()));
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Frames of 20 ms that are kept around what is voiced.
const MARGIN: usize = 10;
/// As Twilio names a number that is not shown.
const WITHHELD: &str = "anonymous";
/// How often the end of a call is looked for in the database, and how many times.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 100;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        calls: CallsArgs,
    }

    #[test]
    fn the_arguments_have_defaults() {
        let args = Cli::try_parse_from(["calls", "--only", "mri", "--only", "keypad", "--guided"]);
        let args = args.expect("arguments").calls;
        assert_eq!((args.only.len(), args.parallel, args.guided), (2, 1, true));
        assert!(Cli::try_parse_from(["calls", "--parallel", "0"]).is_err());
    }

    #[test]
    fn the_default_set_is_good() {
        let set = CallSet::parse(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/calls/calls.toml"
        )));
        assert!(!set.expect("a good set").calls.is_empty());
    }
}
