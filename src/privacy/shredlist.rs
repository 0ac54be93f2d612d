//! The list of data keys that were deleted for good: a file outside of the database and its backups, by which `tieline data restore` does
//! without what was deleted after a backup was made.
//!
//! One line for each: generation, when, id, and an authentication code over all lines up to it, so that none can be altered, left out or
//! reordered. That lines are missing at the end is told only by a backup that knows some of them. No PHI: ids are sids and keyed hashes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A data key that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dead {
    /// As in `data_keys`.
    pub id: String,
    /// A record that comes back has a key of the next one.
    pub generation: i64,
    /// When it was deleted, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The file.
#[derive(Debug, Clone)]
pub struct ShredList {
    path: PathBuf,
}

/// Why the list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ShredListError {
    /// The file system fails.
    #[error("the list of deleted keys {} cannot be used: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line does not follow from those before it.
    #[error(
        "line {line} of the list of deleted keys {} was altered, or belongs to another database; put a copy of yours in its place",
        .path.display()
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
}

/// The highest generation of each id that was deleted, and when.
pub type DeadKeys = BTreeMap<String, Dead>;

impl ShredList {
    /// The list in that file, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file if it is not there, and adds what it does not have, on the disk when this returns; how many that were. Several processes may do so at the same time.
    pub fn add(&self, dead: &[Dead], sign: &dyn Fn(&str) -> String) -> Result<usize, ShredListError> {
        let fail = |source| self.failed(source);
        let mut file = self.open().map_err(fail)?;
        file.lock().map_err(fail)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(fail)?;
        let Read { known, last, whole } = self.parse(&text, sign)?;
        let mut added = String::new();
        let (mut signed, mut count) = (last, 0);
        for dead in dead {
            if known
                .get(&dead.id)
                .is_some_and(|known| known.generation >= dead.generation)
            {
                continue;
            }
            let line = format!("{} {} {}", dead.generation, dead.at_ms, dead.id);
            signed = sign(&format!("{signed} {line}"));
            added.push_str(&format!("{line} {signed}\n"));
            count += 1;
        }
        if count > 0 {
            // What a crash has left of a line goes.
            file.set_len(whole as u64).map_err(fail)?;
            file.seek(SeekFrom::End(0)).map_err(fail)?;
            file.write_all(added.as_bytes()).map_err(fail)?;
            file.sync_all().map_err(fail)?;
        }
        Ok(count)
    }

    /// All of it; `None` if the file is not there.
    pub fn read(&self, sign: &dyn Fn(&str) -> String) -> Result<Option<DeadKeys>, ShredListError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => self.parse(&text, sign).map(|read| Some(read.known)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Nobody else's eyes need it.
    fn open(&self) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }

    fn parse(&self, text: &str, sign: &dyn Fn(&str) -> String) -> Result<Read, ShredListError> {
        let mut read = Read::default();
        for (index, line) in text.split_inclusive('\n').enumerate() {
            let Some(line) = line.strip_suffix('\n') else { break };
            let parsed =
                Dead::parse(line).filter(|(_, plain, signed)| sign(&format!("{} {plain}", read.last)) == *signed);
            let Some((dead, _, signed)) = parsed else {
                let path = self.path.clone();
                return Err(ShredListError::Altered { path, line: index + 1 });
            };
            signed.clone_into(&mut read.last);
            read.whole += line.len() + 1;
            read.known.insert(dead.id.clone(), dead);
        }
        Ok(read)
    }

    fn failed(&self, source: io::Error) -> ShredListError {
        let path = self.path.clone();
        ShredListError::File { path, source }
    }
}

/// What is in the file.
#[derive(Default)]
struct Read {
    known: DeadKeys,
    /// The code of the last line.
    last: String,
    /// Bytes of whole lines.
    whole: usize,
}

impl Dead {
    /// With the line without its code, and the code.
    fn parse(line: &str) -> Option<(Self, &str, &str)> {
        let (plain, signed) = line.rsplit_once(' ')?;
        let mut parts = plain.splitn(3, ' ');
        let (generation, at_ms, id) = (parts.next()?, parts.next()?, parts.next()?);
        let dead = Self {
            id: id.to_owned(),
            generation: generation.parse().ok()?,
            at_ms: at_ms.parse().ok()?,
        };
        Some((dead, plain, signed))
    }
}

/// What the codes are made for.
pub const SIGNED: &str = "shred list";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::seal::{DataKey, IndexKey};

    fn dead(id: &str, generation: i64) -> Dead {
        let id = id.to_owned();
        Dead {
            id,
            generation,
            at_ms: 1_800_000_000_000,
        }
    }

    #[test]
    fn what_was_deleted_is_known_and_no_line_can_be_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let list = ShredList::new(dir.path().join("new/shredded.list"));
        let index = IndexKey::of(&DataKey::random("index"));
        let sign = |line: &str| index.hash(SIGNED, line);
        assert_eq!(list.read(&sign).expect("readable"), None);
        assert_eq!(list.add(&[], &sign).expect("added"), 0);
        assert_eq!(
            list.read(&sign).expect("readable"),
            Some(DeadKeys::new()),
            "an empty list is one, too"
        );
        let first = [dead("call/CA1", 1), dead("customer/0f", 1)];
        assert_eq!(list.add(&first, &sign).expect("added"), 2);
        let again = [dead("call/CA1", 1), dead("customer/0f", 2), dead("voicemail/a b", 1)];
        assert_eq!(list.add(&again, &sign).expect("added"), 2);
        let known = list.read(&sign).expect("readable").expect("there");
        assert_eq!(known.len(), 3);
        assert_eq!(known["customer/0f"].generation, 2);
        let text = fs::read_to_string(list.path()).expect("readable");
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for bad in [
            text.replacen("CA1", "CA2", 1),
            [lines[1], lines[0], lines[2], lines[3]].concat(),
            [lines[0], lines[2], lines[3]].concat(),
            [&lines[..], &["x\n"]].concat().concat(),
        ] {
            fs::write(list.path(), bad).expect("written");
            assert!(matches!(list.read(&sign), Err(ShredListError::Altered { .. })));
            assert!(
                list.add(&[dead("call/CA9", 1)], &sign).is_err(),
                "nothing is added to what is not good"
            );
        }
        // A crash in the middle of a line.
        fs::write(list.path(), &text[..text.len() - 9]).expect("written");
        assert_eq!(list.read(&sign).expect("readable").expect("there").len(), 2);
        assert_eq!(list.add(&again, &sign).expect("added"), 1);
        assert_eq!(fs::read_to_string(list.path()).expect("readable"), text);
        let other = IndexKey::of(&DataKey::random("index"));
        assert!(
            list.read(&|line: &str| other.hash(SIGNED, line)).is_err(),
            "of another database"
        );
    }
}
