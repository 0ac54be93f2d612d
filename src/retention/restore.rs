//! A backup into an empty database, of either kind, with the files beside it.
//!
//! All of it is read and checked first; then rows are put in, files written, and the rows committed. Keys that the list of deleted keys names
//! are left out, with the files that they open. Interrupted, it has changed nothing but files, which the next attempt finds there.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::backup::{FileHead, Head, hex};
use super::unpack::{Piece, Reader};
use super::{RECORDINGS, RetentionError, private_directory, private_file};
use crate::call::recording;
use crate::config::{Database, KekSource, Server};
use crate::privacy::chunks::ChunkError;
use crate::privacy::egress::Egress;
use crate::privacy::kek::{KekError, KeyRing};
use crate::privacy::seal::{DataKey, IndexKey};
use crate::privacy::shredlist::{Dead, DeadKeys, SIGNED, ShredList, ShredListError};
use crate::store::{Known, LoadError, Table, Target, recording_key};

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Names the backup in the audit trail.
    pub id: String,
    /// What it said of itself.
    pub head: Head,
    /// Rows.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Keys that were left out, as they were deleted after the backup was made.
    pub left_out: u64,
}

/// Where to, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Into<'a> {
    /// The database, with the keys that open the backup.
    pub database: &'a Database,
    /// Where files go: messages below `DATA_DIR`, recordings to `RECORDINGS_DIR`.
    pub server: &'a Server,
    /// The list of deleted keys; `None`: it is lost, and what was deleted since may come back.
    pub list: Option<&'a ShredList>,
}

/// Why a backup is not put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file cannot be read.
    #[error("the backup {} cannot be read: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It does not begin as a backup does.
    #[error("{} is no backup of tieline, or its first line was altered", .path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
    },
    /// The keys cannot be read.
    #[error("{0}. {remedy}", remedy = .0.remedy())]
    Kek(#[from] KekError),
    /// There are no keys.
    #[error("there is no {place}: put a copy of the key there that was used when the backup was made")]
    NoKek {
        /// Where keys are looked for.
        place: String,
    },
    /// The key that wraps the backup's is not there.
    #[error("the backup is encrypted with the key {kek_id}, which is not in {place}, or its first line was altered")]
    OtherKek {
        /// The key's id.
        kek_id: String,
        /// Where keys are looked for.
        place: String,
    },
    /// Its wrapped key does not open.
    #[error("the key in the first line of the backup {} does not open: the line was altered", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// What is sealed does not open.
    #[error("the backup {} is damaged after {after}: {source}", .path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// What was read last.
        after: String,
        /// Where, and how.
        source: ChunkError,
    },
    /// It opens, and is not as a backup should be.
    #[error("the backup {} is not good: {what}", .path.display())]
    Odd {
        /// The file.
        path: PathBuf,
        /// In what.
        what: String,
    },
    /// A newer version has made it.
    #[error("the backup was made by tieline {version}, which is newer than this one")]
    Newer {
        /// The version.
        version: String,
    },
    /// The list of deleted keys is not there.
    #[error(
        "there is no list of deleted keys at {}: put your copy of it there, or name it with --shred-list. If it is lost, say --without-shred-list: \
         what was deleted after the backup was made can then be read again",
        .path.display()
    )]
    NoList {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The list is older than the backup.
    #[error(
        "the list of deleted keys {} lacks {key}, which was deleted before the backup was made: it is an older copy, or another database's",
        .path.display()
    )]
    OldList {
        /// The list.
        path: PathBuf,
        /// What it lacks.
        key: String,
    },
    /// The list cannot be used.
    #[error(transparent)]
    List(#[from] ShredListError),
    /// The database cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file of another content is where one belongs.
    #[error("{} is there already, with another content: restore into an empty DATA_DIR and RECORDINGS_DIR", .path.display())]
    FileThere {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Retention(#[from] RetentionError),
}

/// Puts a backup back.
pub async fn restore(path: &Path, into: Into<'_>, egress: &Egress) -> Result<Restored, RestoreError> {
    let (ring, looked_at) = check(path, &into.database.kek)?;
    let dead = match into.list {
        Some(list) => looked_at.dead_by(list)?,
        None => DeadKeys::new(),
    };
    let target = Target::open(into.database, egress).await?;
    let known = Known {
        dead: &dead,
        ring: &ring,
        recordings: &looked_at.recordings,
    };
    let mut loading = target.begin(known).await?;
    let mut reader = Reader::open(path, &ring, &into.database.kek)?;
    let (mut rows, mut files) = (0, 0);
    while let Some(piece) = reader.next()? {
        match piece {
            Piece::Table(table) => loading.table(table)?,
            Piece::Row(values) => {
                loading.row(values).await?;
                rows += 1;
            }
            Piece::File(head) if is_dead(&dead, &looked_at.dead, &head) => reader.file(&head, &mut io::sink())?,
            Piece::File(head) => {
                put_file(&mut reader, &head, into.server)?;
                files += 1;
            }
        }
    }
    let left_out = loading.finish().await?;
    target.close().await;
    Ok(Restored {
        id: reader.id,
        head: looked_at.head,
        rows,
        files,
        left_out,
    })
}

/// A recording has an entry of its own; a message's file goes with its key.
fn is_dead(listed: &DeadKeys, known: &DeadKeys, head: &FileHead) -> bool {
    let recording = head.recording().map(recording_key);
    [listed, known].iter().any(|dead| {
        dead.contains_key(&head.key) || recording.as_ref().is_some_and(|recording| dead.contains_key(recording))
    })
}

impl FileHead {
    /// Of which part of a recording it is, if it is of one.
    fn recording(&self) -> Option<&str> {
        let recording = self.directory == RECORDINGS;
        recording.then(|| recording::id_of(Path::new(&self.name))).flatten()
    }
}

/// What a backup holds, as far as it matters beforehand.
struct LookedAt {
    head: Head,
    index: IndexKey,
    /// Keys that were deleted when it was made.
    dead: DeadKeys,
    /// Parts of recordings whose file is in it.
    recordings: BTreeSet<String>,
}

impl LookedAt {
    /// All keys that were deleted, which are those the backup knows and more.
    fn dead_by(&self, list: &ShredList) -> Result<DeadKeys, RestoreError> {
        let path = list.path().to_owned();
        let sign = |line: &str| self.index.hash(SIGNED, line);
        let Some(dead) = list.read(&sign)? else {
            return Err(RestoreError::NoList { path });
        };
        let lacking = self.dead.iter().find(|(id, known)| {
            let listed = dead.get(*id);
            listed.is_none_or(|listed| listed.generation < known.generation)
        });
        match lacking {
            None => Ok(dead),
            Some((id, _)) => Err(RestoreError::OldList { path, key: id.clone() }),
        }
    }
}

/// Reads all of it.
fn check(path: &Path, kek: &KekSource) -> Result<(KeyRing, LookedAt), RestoreError> {
    let place = KeyRing::place(kek);
    let ring = KeyRing::load(kek)?.ok_or(RestoreError::NoKek { place })?;
    let mut reader = Reader::open(path, &ring, kek)?;
    let (mut keys, mut index, mut dead) = (None, None, DeadKeys::new());
    let mut recordings = BTreeSet::new();
    while let Some(piece) = reader.next()? {
        match piece {
            Piece::Table(table) => keys = KeyColumns::of(&table),
            Piece::Row(values) => {
                let Some(columns) = &keys else { continue };
                let row = columns
                    .read(&values)
                    .ok_or_else(|| reader.odd("a row of data_keys is not whole"))?;
                if row.id == INDEX {
                    index = Some(opened(&row, &ring).ok_or_else(|| reader.odd("its index key does not open"))?);
                } else if let Some(gone) = row.dead() {
                    dead.insert(row.id.to_owned(), gone);
                }
            }
            Piece::File(head) => {
                recordings.extend(head.recording().map(str::to_owned));
                reader.file(&head, &mut io::sink())?;
            }
        }
    }
    let index = index.ok_or_else(|| reader.odd("it has no index key"))?;
    let index = IndexKey::of(&index);
    Ok((
        ring,
        LookedAt {
            head: reader.head,
            index,
            dead,
            recordings,
        },
    ))
}

fn opened(row: &KeyRow<'_>, ring: &KeyRing) -> Option<DataKey> {
    ring.unwrap(row.kek_id?, INDEX, row.wrapped?).ok()
}

/// Where a row of `data_keys` has what.
struct KeyColumns {
    id: usize,
    generation: usize,
    kek_id: usize,
    wrapped: usize,
}

struct KeyRow<'a> {
    id: &'a str,
    generation: i64,
    kek_id: Option<&'a str>,
    wrapped: Option<&'a str>,
}

impl KeyColumns {
    fn of(table: &Table) -> Option<Self> {
        let at = |name: &str| table.columns.iter().position(|(column, _)| column == name);
        if table.table != "data_keys" {
            return None;
        }
        Some(Self {
            id: at("id")?,
            generation: at("generation")?,
            kek_id: at("kek_id")?,
            wrapped: at("wrapped")?,
        })
    }

    fn read<'a>(&self, values: &'a [Value]) -> Option<KeyRow<'a>> {
        Some(KeyRow {
            id: values.get(self.id)?.as_str()?,
            generation: values.get(self.generation)?.as_i64()?,
            kek_id: values.get(self.kek_id)?.as_str(),
            wrapped: values.get(self.wrapped)?.as_str(),
        })
    }
}

impl KeyRow<'_> {
    /// What of it was deleted for good.
    fn dead(&self) -> Option<Dead> {
        let generation = self.generation - i64::from(self.wrapped.is_some());
        (generation > 0).then(|| Dead {
            id: self.id.to_owned(),
            generation,
            at_ms: 0,
        })
    }
}

/// Writes a file where it was. One that is there already is the work of an attempt before.
fn put_file(reader: &mut Reader, head: &FileHead, server: &Server) -> Result<(), RestoreError> {
    let directory = match head.directory.as_str() {
        RECORDINGS => server.recordings_dir.clone(),
        messages => server.data_dir.join(messages),
    };
    let path = directory.join(&head.name);
    let failed = |source| RetentionError::File {
        path: path.clone(),
        source,
    };
    private_directory(&directory).map_err(failed)?;
    match private_file(&path) {
        Ok(mut file) => {
            let written = reader.file(head, &mut file);
            let written = written.and_then(|()| file.sync_all().map_err(|source| failed(source).into()));
            if written.is_err() {
                // The error that counts is the first.
                let _ = std::fs::remove_file(&path);
            }
            written
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            reader.file(head, &mut io::sink())?;
            let there = std::fs::read(&path).map_err(failed)?;
            if hex(&Sha256::digest(&there)) == head.sha256 {
                Ok(())
            } else {
                Err(RestoreError::FileThere { path })
            }
        }
        Err(error) => Err(failed(error).into()),
    }
}

const INDEX: &str = "index";
