//! The files of recordings: `DATA_DIR/recordings/SID.*`, sealed by their call's key.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{RECORDINGS, RetentionError};

/// The files of a call's audio.
pub(super) fn of_call(data_dir: &Path, call_sid: &str) -> Result<Vec<PathBuf>, RetentionError> {
    Ok(all(data_dir)?
        .remove(call_sid)
        .map(|files| files.paths)
        .unwrap_or_default())
}

/// Files of one call.
pub(super) struct Files {
    pub(super) paths: Vec<PathBuf>,
    /// When the last of them was written to.
    pub(super) written: SystemTime,
}

/// All files, by call.
pub(super) fn all(data_dir: &Path) -> Result<BTreeMap<String, Files>, RetentionError> {
    let dir = data_dir.join(RECORDINGS);
    read(&dir).map_err(|source| RetentionError::File { path: dir, source })
}

fn read(dir: &Path) -> io::Result<BTreeMap<String, Files>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut calls: BTreeMap<String, Files> = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let name = entry.file_name();
        let Some((sid, _)) = name.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        if !metadata.is_file() || sid.is_empty() {
            continue;
        }
        let files = calls.entry(sid.to_owned()).or_insert_with(|| Files {
            paths: Vec::new(),
            written: SystemTime::UNIX_EPOCH,
        });
        files.written = files.written.max(metadata.modified()?);
        files.paths.push(entry.path());
    }
    Ok(calls)
}
