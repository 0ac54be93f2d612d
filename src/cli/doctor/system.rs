//! What the machine must have: libraries that load, room on the disk.

use std::path::Path;

use super::page::Line;
use crate::cli::engines;
use crate::config::Config;
use crate::models::{Manifest, Purpose, locate};
use crate::speech::piper;

/// onnxruntime, and espeak-ng with its data.
pub(super) fn libraries(config: &Config) -> Vec<Line> {
    let mut lines: Vec<Line> = onnxruntime(config).into_iter().collect();
    if config.tts.url.is_none() {
        let languages: &[&str] = if config.tts.voice_es.is_some() {
            &["en-us", "es"]
        } else {
            &["en-us"]
        };
        let fault = languages
            .iter()
            .find_map(|language| piper::check_language(language).err());
        lines.push(match fault {
            None => Line::ok(LIBRARIES, "espeak-ng has its data"),
            Some(error) => Line::fail(
                LIBRARIES,
                error.to_string(),
                "keep espeak-ng-data beside the tieline program, or set PIPER_ESPEAKNG_DATA_DIRECTORY to the directory that holds it",
            ),
        });
    }
    lines
}

/// Whether it loads. Its checksum comes first: nothing is run that is not what it should be. A missing file is told
/// among the models.
fn onnxruntime(config: &Config) -> Option<Line> {
    let models_dir = &config.server.models_dir;
    let manifest = Manifest::load(models_dir).ok()?;
    let library = locate(&manifest, models_dir, engines::RUNTIME, Purpose::Runtime).ok()?;
    Some(match piper::load_runtime(library.path()) {
        Ok(()) => Line::ok(LIBRARIES, "onnxruntime loads"),
        Err(error) => Line::fail(LIBRARIES, error.to_string(), "tieline models pull onnxruntime"),
    })
}

/// Room for what the server writes, in bytes; `None` if nobody can tell.
pub(super) fn room(dir: &Path) -> Option<u64> {
    let there = dir
        .ancestors()
        .find(|above| above.exists())
        .unwrap_or_else(|| Path::new("."));
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let file_system = rustix::fs::statvfs(there).ok()?;
    Some(file_system.f_bavail.saturating_mul(file_system.f_frsize))
}

pub(super) fn judge_room(dir: &Path, bytes: Option<u64>) -> Line {
    let dir = dir.display();
    let Some(bytes) = bytes else {
        return Line::warn(
            DISK,
            format!("nobody knows how much room DATA_DIR {dir} has"),
            "look with df -h",
        );
    };
    let megabytes = bytes / 1_000_000;
    let found = format!("DATA_DIR {dir} has {megabytes} MB left");
    let remedy = "make room, or set DATA_DIR to a larger disk: a full one ends the keeping of records";
    match megabytes {
        0..100 => Line::fail(DISK, found, remedy),
        100..1_000 => Line::warn(DISK, found, remedy),
        _ => Line::ok(DISK, found),
    }
}

const LIBRARIES: &str = "libraries";
const DISK: &str = "disk";

#[cfg(test)]
mod tests {
    use super::super::page::State;
    use super::*;

    #[test]
    fn room_is_judged_by_what_is_left() {
        let judged = |bytes| judge_room(Path::new("data"), bytes).state;
        assert_eq!(judged(Some(99_999_999)), State::Fail);
        assert_eq!(judged(Some(500_000_000)), State::Warn);
        assert_eq!(judged(Some(5_000_000_000)), State::Ok);
        assert_eq!(judged(None), State::Warn);
        assert!(room(Path::new("not/there/yet")).is_some_and(|bytes| bytes > 0));
    }
}
