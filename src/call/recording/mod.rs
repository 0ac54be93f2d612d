//! Recordings of calls: both sides as they were heard, in a file sealed by the call's key while the call runs.
//!
//! [`Tap`] is the audio loop's end and never waits; behind a bounded queue a thread of the recording holds what it takes back half a second long
//! (`tape`) and writes the rest sealed ([`crate::privacy::chunks`]). What a killed server leaves can be read up to its last second.

mod clock;
mod tap;
mod tape;
mod wav;
mod writing;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use tap::{Tap, Why};
pub use tape::{Paused, Played, Unreadable};
pub use wav::Wav;
pub use writing::tap_into;

use crate::call::disk::{self, make_dir, on_a_thread};
use crate::privacy::chunks::{ChunkError, ChunkReader};
use crate::privacy::seal::DataKey;
use crate::store::{Record, Recording, RecordingState, Store, StoreError};
use crate::time::SampleRate;

/// Where recordings are kept.
#[derive(Debug, Clone)]
pub struct Recordings {
    dir: PathBuf,
    store: Store,
}

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file could not be written or read.
    #[error("the file of a recording cannot be used: {0}; see that RECORDINGS_DIR is writable and has room")]
    File(#[from] io::Error),
    /// The sealed file does not open.
    #[error("the file of a recording does not open: {0}")]
    Sealed(#[from] ChunkError),
    /// It opens, and makes no sense.
    #[error("the file of a recording opens, but {0}")]
    Text(#[from] Unreadable),
    /// The rows could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A call's recording with the parts it is made of.
pub struct Tape {
    /// The parts, in order, with their facts.
    pub parts: Vec<Recording>,
    /// What was heard, the time between two parts as silence.
    pub played: Played,
}

/// What is wrong with the parts of a recording, by their number.
pub type Faults = Vec<(u32, RecordingError)>;

impl Recordings {
    /// Files go to `dir`; rows to `store`.
    pub fn new(dir: PathBuf, store: Store) -> Self {
        Self { dir, store }
    }

    /// Makes the folder, so that what is wrong with it is known before a call comes.
    pub fn prepare(&self) -> io::Result<()> {
        make_dir(&self.dir)?;
        let probe = self.dir.join(".probe");
        fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe))
    }

    /// What was recorded of a call. `None` if nothing was, or it was deleted for good.
    pub async fn read(&self, call_sid: &str) -> Result<Option<Tape>, RecordingError> {
        match self.read_what_opens(call_sid).await? {
            None => Ok(None),
            Some((tape, faults)) => match faults.into_iter().next() {
                None => Ok(Some(tape)),
                Some((_, fault)) => Err(fault),
            },
        }
    }

    /// The same as far as it can be read, with what is wrong with which part.
    pub async fn read_what_opens(&self, call_sid: &str) -> Result<Option<(Tape, Faults)>, RecordingError> {
        let parts = self.store.recordings_of(call_sid).await?;
        if !parts.iter().any(|part| part.state.may_be_heard()) {
            return Ok(None);
        }
        let key = match self.store.data_key(Record::Call(call_sid)).await {
            Ok(Some(key)) => key,
            Ok(None) | Err(StoreError::Shredded) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let files: Vec<(Recording, PathBuf)> = parts.iter().map(|part| (part.clone(), self.path(&part.id))).collect();
        let (played, faults) = on_a_thread(THREAD, move || Ok(joined(&files, &key))).await?;
        Ok(Some((Tape { parts, played }, faults)))
    }

    /// Where the files of a call are, if they are on this machine.
    pub async fn files(&self, call_sid: &str) -> Result<Vec<PathBuf>, RecordingError> {
        let ids = self.store.recording_ids(call_sid).await?;
        Ok(ids.iter().map(|id| self.path(id)).collect())
    }

    /// Deletes the files of a call, and tells how many there were. The rows stay: they say what there was.
    pub async fn delete_files(&self, call_sid: &str) -> Result<usize, RecordingError> {
        Ok(remove(self.files(call_sid).await?).await?)
    }

    /// Deletes the files of this machine that nobody may hear any more: their row says so, or their call's key is gone. How many there were.
    pub async fn sweep(&self) -> Result<usize, RecordingError> {
        let dir = self.dir.clone();
        // Before the rows are asked for: each file has one before it is there.
        let files = on_a_thread(THREAD, move || disk::files(&dir, SEALED)).await?;
        if files.is_empty() {
            return Ok(0);
        }
        let heard = self.store.recordings_to_be_heard().await?;
        let mut over = Vec::new();
        for (id, path) in files {
            if !heard.contains(&id) && self.is_over(&path).await? {
                over.push(path);
            }
        }
        Ok(remove(over).await?)
    }

    /// Whether a file is one that nobody may hear any more.
    async fn is_over(&self, path: &Path) -> Result<bool, RecordingError> {
        let Some(id) = id_of(path) else { return Ok(false) };
        if self.store.is_recording_deleted(id).await? {
            return Ok(true);
        }
        // Rows go with their call; the file says which that was.
        let path = path.to_owned();
        let key = on_a_thread(THREAD, move || Ok(ChunkReader::key_id(&path).ok())).await?;
        let Some(sid) = key.as_deref().and_then(|key| key.strip_prefix("call/")) else {
            return Ok(false);
        };
        match self.store.deleted_at(Record::Call(sid)).await {
            Err(error @ StoreError::Database { .. }) => Err(error.into()),
            deleted => Ok(matches!(deleted, Ok(Some(_)))),
        }
    }

    /// Looks through the files of all recordings. Faults name call and part. The rows are for [`Store::verify`] to look through.
    pub async fn verify(&self) -> Result<Vec<String>, RecordingError> {
        let dir = self.dir.clone();
        // Before the rows are asked for: each file has one before it is there.
        let there = on_a_thread(THREAD, move || disk::files(&dir, SEALED)).await?;
        let (mut faults, mut known) = (Vec::new(), HashSet::new());
        let mut after = String::new();
        loop {
            let calls = self.store.recorded_calls(&after).await?;
            let Some(last) = calls.last() else { break };
            after.clone_from(last);
            for sid in &calls {
                known.extend(self.files(sid).await?);
                self.verify_call(sid, &mut faults).await?;
            }
        }
        for (_, path) in there {
            // A file that is to go is none either; nor is one that has gone meanwhile.
            if known.contains(&path) || self.is_over(&path).await? || !path.exists() {
                continue;
            }
            let path = path.display();
            faults.push(format!(
                "the file {path} belongs to no recording there is: its row was deleted, or it was moved here"
            ));
        }
        Ok(faults)
    }

    async fn verify_call(&self, sid: &str, faults: &mut Vec<String>) -> Result<(), RecordingError> {
        let parts = match self.store.recordings_of(sid).await {
            Ok(parts) => parts,
            Err(error @ StoreError::Database { .. }) => return Err(error.into()),
            // The row's fault, which is told of already.
            Err(_) => return Ok(()),
        };
        let key = match self.store.data_key(Record::Call(sid)).await {
            Ok(Some(key)) => key,
            Err(error @ StoreError::Database { .. }) => return Err(error.into()),
            Ok(None) | Err(_) => return Ok(()),
        };
        for part in parts.into_iter().filter(|part| part.state.has_file()) {
            let (path, key) = (self.path(&part.id), key.clone());
            let (id, number) = (part.id.clone(), part.part);
            let found = on_a_thread(THREAD, move || Ok(fault(&part, &path, &key))).await?;
            // It may have been deleted meanwhile.
            if let Some(fault) = found
                && self.store.recording_ids_to_be_heard(sid).await?.contains(&id)
            {
                faults.push(format!("the recording of call {sid}, part {number}: {fault}"));
            }
        }
        Ok(())
    }

    /// Where a part is.
    pub fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}{SEALED}"))
    }
}

/// What is wrong with a part's file.
fn fault(part: &Recording, path: &Path, key: &DataKey) -> Option<String> {
    let (text, ended) = match ChunkReader::open(path, key, &part.id) {
        Ok(reader) => reader.read_prefix(),
        Err(error) => return Some(error.to_string()),
    };
    match (ended, part.state) {
        // It is being written, or its writer was killed.
        (Ok(()) | Err(ChunkError::Cut { .. }), RecordingState::Open) => {}
        (Ok(()), _) => {}
        (Err(error), _) => return Some(error.to_string()),
    }
    tape::play(&text).err().map(|error| error.to_string())
}

/// Reads the parts and puts them behind one another, as far apart as they were heard.
fn joined(parts: &[(Recording, PathBuf)], key: &DataKey) -> (Played, Faults) {
    let mut all = Played {
        ended: true,
        ..Played::default()
    };
    let (mut first, mut faults) = (None, Vec::new());
    for (part, path) in parts.iter().filter(|(part, _)| part.state.may_be_heard()) {
        let (text, whole) = opened(part, path, key);
        all.ended &= matches!(whole, Ok(true));
        faults.extend(whole.err().map(|fault| (part.part, fault)));
        if text.is_empty() {
            continue;
        }
        let played = match tape::play(&text) {
            Ok(played) => played,
            Err(error) => {
                faults.push((part.part, error.into()));
                continue;
            }
        };
        let began = *first.get_or_insert(part.began_at);
        let offset_ms = part.began_at.duration_since(began).as_millis();
        let offset = u64::try_from(offset_ms).unwrap_or(0) * u64::from(SampleRate::LINE.get()) / 1_000;
        let end = all.caller.len() as u64;
        all.append(played, offset.clamp(end, end + LONGEST_GAP));
    }
    (all, faults)
}

/// The text of a part as far as it is authentic, and whether that is all of it: it is no fault if its writer was stopped.
fn opened(part: &Recording, path: &Path, key: &DataKey) -> (Vec<u8>, Result<bool, RecordingError>) {
    let (text, ended) = match ChunkReader::open(path, key, &part.id) {
        Ok(reader) => reader.read_prefix(),
        // What could not be written may not even have begun.
        Err(ChunkError::Io(_)) if part.state == RecordingState::Failed => return (Vec::new(), Ok(true)),
        Err(error) => (Vec::new(), Err(error)),
    };
    match ended {
        Ok(()) => (text, Ok(true)),
        Err(ChunkError::Cut { .. }) if part.state != RecordingState::Whole => (text, Ok(false)),
        Err(error) => (text, Err(error.into())),
    }
}

/// Which part a file is of, by its name.
pub fn id_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(SEALED)
}

/// Removes files; how many of them were there.
pub async fn remove(paths: Vec<PathBuf>) -> io::Result<usize> {
    on_a_thread(THREAD, move || disk::remove(&paths)).await
}

/// Whatever uses their files.
const THREAD: &str = "recordings";
/// How the name of a file ends, after its id.
const SEALED: &str = ".rec.sealed";
/// More silence between two parts than this is not written out: 10 min.
const LONGEST_GAP: u64 = 600 * 8_000;
