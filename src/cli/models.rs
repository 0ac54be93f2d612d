//! `tieline models`: list, pull and verify model files.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::models::{self, Manifest, Model, PullEvent, Report, State};

/// Lists, fetches and checks model files.
#[derive(Debug, Args)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,
}

#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// Shows every model in the manifest
    List,
    /// Fetches models, checking each file's sha256
    Pull {
        /// Names from `tieline models list`; none: what the configuration needs
        names: Vec<String>,
        /// Every model in the manifest
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
    /// Checks the sha256 of model files
    Verify {
        /// Names from `tieline models list`; none: all that are here
        names: Vec<String>,
    },
}

/// Runs `tieline models`. `default_names` are the models that the configuration needs.
pub(super) async fn run(
    args: ModelsArgs,
    models_dir: &Path,
    hf_endpoint: &str,
    default_names: &[String],
) -> anyhow::Result<()> {
    let manifest = Manifest::load(models_dir)?;
    match args.command {
        ModelsCommand::List => list(&manifest, models_dir)?,
        ModelsCommand::Verify { names } => verify(&manifest, models_dir, &names)?,
        ModelsCommand::Pull { names, all } => {
            let names = match (all, names.is_empty()) {
                (true, _) => manifest.models().iter().map(|model| model.name.clone()).collect(),
                (false, true) => default_names.to_vec(),
                (false, false) => names,
            };
            models::pull(&manifest, models_dir, &names, hf_endpoint, &progress()).await?;
        }
    }
    Ok(())
}

fn list(manifest: &Manifest, models_dir: &Path) -> anyhow::Result<()> {
    let names = manifest.models().iter().map(|model| model.name.len());
    let width = names.max().unwrap_or(0).max("NAME".len());
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:width$}  {:<11}  {:>8}  {:<9}  LICENCE",
        "NAME", "PURPOSE", "SIZE", "INSTALLED"
    )?;
    for model in manifest.models() {
        let size = model.bytes().map_or_else(|| "?".to_owned(), megabytes);
        let (name, purpose, licence) = (&model.name, model.purpose, &model.licence);
        let installed = installed(manifest, models_dir, model)?;
        writeln!(
            out,
            "{name:width$}  {purpose:<11}  {size:>8}  {installed:<9}  {licence}"
        )?;
    }
    Ok(())
}

/// The worst state of a model's files, in a word.
fn installed(manifest: &Manifest, models_dir: &Path, model: &Model) -> anyhow::Result<&'static str> {
    let reports = models::verify(manifest, models_dir, std::slice::from_ref(&model.name))?;
    let has = |test: fn(&State) -> bool| reports.iter().any(|report| test(&report.state));
    Ok(if has(|state| matches!(state, State::Missing)) {
        "missing"
    } else if has(|state| matches!(state, State::Corrupt { .. } | State::Unreadable { .. })) {
        "corrupt"
    } else if has(|state| matches!(state, State::Unpinned { .. })) {
        "unchecked"
    } else {
        "ok"
    })
}

fn verify(manifest: &Manifest, models_dir: &Path, names: &[String]) -> anyhow::Result<()> {
    let reports = models::verify(manifest, models_dir, names)?;
    let mut out = std::io::stdout().lock();
    if reports.is_empty() {
        writeln!(out, "no models in {} (run: tieline models pull)", models_dir.display())?;
    }
    let mut bad: Vec<&str> = Vec::new();
    for Report { model, file, state } in &reports {
        let file = file.display();
        match state {
            State::Verified => writeln!(out, "{file}: ok, verified")?,
            State::Unpinned { sha256 } => writeln!(out, "{file}: not checked; its sha256 is {sha256}")?,
            State::Missing => writeln!(out, "{file}: missing")?,
            State::Corrupt { expected, found } => {
                writeln!(out, "{file}: corrupt: expected sha256 {expected}, found {found}")?;
            }
            State::Unreadable { reason } => writeln!(out, "{reason}")?,
        }
        if !matches!(state, State::Verified | State::Unpinned { .. }) && bad.last() != Some(&model.as_str()) {
            bad.push(model);
        }
    }
    anyhow::ensure!(
        bad.is_empty(),
        "not every model is intact (run: tieline models pull {})",
        bad.join(" ")
    );
    Ok(())
}

/// Bars on a terminal, plain lines elsewhere.
fn progress() -> impl Fn(PullEvent) + Sync {
    let bar: Mutex<Option<ProgressBar>> = Mutex::new(None);
    let is_terminal = std::io::stderr().is_terminal();
    move |event| {
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        if is_terminal {
            follow(&mut bar, &event);
        }
        if let Some(line) = line(&event, is_terminal) {
            // Nobody to tell if stdout is closed; the pull itself goes on.
            let print = || drop(writeln!(std::io::stdout(), "{line}"));
            match &*bar {
                Some(bar) => bar.suspend(print),
                None => print(),
            }
        }
    }
}

fn follow(bar: &mut Option<ProgressBar>, event: &PullEvent) {
    match event {
        PullEvent::Working { what } => {
            let spinner = ProgressBar::new_spinner().with_message(what.clone());
            spinner.enable_steady_tick(TICK);
            *bar = Some(spinner);
        }
        PullEvent::Started { file, done, total } => {
            let new = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
            // A template that does not parse would only cost the looks.
            let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
            *bar = Some(new.with_style(style).with_message(file.clone()).with_position(*done));
        }
        PullEvent::Advanced { bytes } => {
            if let Some(bar) = bar {
                bar.inc(*bytes);
            }
        }
        PullEvent::Ended => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        }
        PullEvent::Verified { .. } | PullEvent::SourceFailed { .. } | PullEvent::Installed { .. } => {}
    }
}

/// What stays on the screen, or in a log.
fn line(event: &PullEvent, has_bar: bool) -> Option<String> {
    match event {
        PullEvent::Verified { file } => Some(format!("{file}: ok, verified")),
        PullEvent::SourceFailed { source, reason, .. } => Some(format!("{source}: {reason}")),
        PullEvent::Installed { file, pinned: true, .. } => Some(format!("{file}: installed, verified")),
        PullEvent::Installed {
            file,
            sha256,
            pinned: false,
        } => Some(format!(
            "{file}: installed, NOT CHECKED: the manifest has no sha256 for it; to have it checked from now on add: sha256 = \"{sha256}\""
        )),
        PullEvent::Working { what } => (!has_bar).then(|| format!("{what} …")),
        PullEvent::Started { file, done, total } => (!has_bar).then(|| {
            let size = total.map_or("unknown size".to_owned(), megabytes);
            let resumed = if *done > 0 {
                format!(", resumed at {}", megabytes(*done))
            } else {
                String::new()
            };
            format!("downloading {file} ({size}{resumed}) …")
        }),
        PullEvent::Advanced { .. } | PullEvent::Ended => None,
    }
}

/// Megabytes as 10^6 bytes.
fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

const TICK: Duration = Duration::from_millis(100);
const BAR: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_a_terminal() {
        let started = PullEvent::Started {
            file: "m.bin".to_owned(),
            done: 1_000_000,
            total: Some(77_704_715),
        };
        assert_eq!(
            line(&started, false).unwrap(),
            "downloading m.bin (77.7 MB, resumed at 1.0 MB) …"
        );
        assert_eq!(line(&started, true), None);
        let unpinned = PullEvent::Installed {
            file: "m.bin".to_owned(),
            sha256: "ab".to_owned(),
            pinned: false,
        };
        assert!(line(&unpinned, true).unwrap().ends_with("add: sha256 = \"ab\""));
    }

    #[test]
    fn the_bar_template_parses() {
        ProgressStyle::with_template(BAR).unwrap();
    }

    #[tokio::test]
    async fn verify_of_a_missing_model_fails_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let args = ModelsArgs {
            command: ModelsCommand::Verify {
                names: vec!["tiny.en".to_owned()],
            },
        };
        let error = run(args, dir.path(), "http://127.0.0.1:9", &[]).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "not every model is intact (run: tieline models pull tiny.en)"
        );
    }
}
