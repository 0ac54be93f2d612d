//! Backups: all rows of one moment and the files beside the database, in one sealed file.
//!
//! ```text
//! first line   "tieline-backup 1", the id of the key that wraps the backup's, the backup's id, its wrapped key
//! the rest     a sealed file (privacy::chunks) of lines of JSON: head, tables with their rows, files with their bytes, end
//! ```
//!
//! The key that wraps is not in it. What is private is sealed twice: by its record's key in the row, and by the backup's.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Keeper, RECORDINGS, RetentionError, VOICEMAIL, private_file};
use crate::privacy::chunks::{ChunkReader, ChunkWriter};
use crate::privacy::seal::DataKey;
use crate::store::{
    AuditEvent, DumpError, Dumped, Record, RecordingState, Store, StoreError, Table, Who, recording_key,
};

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Names it in the audit trail.
    pub id: String,
    /// The key that is needed to read it.
    pub kek_id: String,
    /// Rows of the database.
    pub rows: u64,
    /// Files beside it.
    pub files: u64,
    /// Messages and recordings that have no file here: `voicemail/ID`, `recording/ID`.
    pub missing: Vec<String>,
}

/// Why a backup was not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The rows cannot be read.
    #[error(transparent)]
    Dump(#[from] DumpError),
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files, or the list of deleted keys.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// The backup cannot be written.
    #[error("the backup {} cannot be written: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A line of a backup.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    Head(Head),
    Table(Table),
    Row(Vec<Value>),
    File(FileHead),
    End(End),
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The program's version.
    pub version: String,
    /// The newest change to the tables.
    pub schema: i64,
    /// When it was made, RFC 3339.
    pub made_at: String,
}

/// A file, whose bytes follow, and after them a line's end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileHead {
    /// `voicemail`, or `recordings`.
    pub(super) directory: String,
    pub(super) name: String,
    /// Whose key opens it, as in `data_keys`.
    pub(super) key: String,
    pub(super) bytes: u64,
    /// In hexadecimal digits.
    pub(super) sha256: String,
}

/// How much there was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) rows: u64,
    pub(super) files: u64,
}

type Out = ChunkWriter<BufWriter<File>>;

impl Keeper {
    /// Writes a backup to a file that must not be there, while servers go on. It has its name once it is whole.
    pub async fn backup(&self, out: &Path, who: Who<'_>) -> Result<Backup, BackupError> {
        // A list that cannot be written is told before anything is done.
        self.bring_list_up_to_date().await?;
        let failed = |source| BackupError::File {
            path: out.to_owned(),
            source,
        };
        if out.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let mut name = out.as_os_str().to_owned();
        name.push(".partial");
        let partial = PathBuf::from(name);
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let written = self.write(&partial, out).await;
        if written.is_err() {
            // What is half written is of no use; the error that counts is the first.
            let _ = std::fs::remove_file(&partial);
        }
        let backup = written?;
        let detail = format!("{} rows, {} files", backup.rows, backup.files);
        let event = AuditEvent {
            actor: who.actor,
            origin: who.origin,
            action: "backup",
            subject: &backup.id,
            outcome: "written",
            detail: &detail,
        };
        self.store.audit(&event).await?;
        Ok(backup)
    }

    async fn write(&self, partial: &Path, out: &Path) -> Result<Backup, BackupError> {
        let failed = |source| BackupError::File {
            path: out.to_owned(),
            source,
        };
        let key = DataKey::random(format!("backup/{:016x}", rand::random::<u64>()));
        let (kek_id, wrapped) = self.store.wrap(&key).await?;
        let mut file = BufWriter::new(private_file(partial).map_err(failed)?);
        writeln!(file, "{MAGIC} {kek_id} {} {wrapped}", key.id()).map_err(failed)?;
        let mut writer = ChunkWriter::new(file, &key, key.id()).map_err(failed)?;
        let head = Head {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: Store::schema(),
            made_at: self.store.now().await?.to_string(),
        };
        put(&mut writer, &Line::Head(head)).map_err(failed)?;
        let mut live = Live::default();
        let rows = self.store.dump(|dumped| live.put(&mut writer, dumped)).await?;
        // Something may have been deleted before the moment that the rows are of.
        self.bring_list_up_to_date().await?;
        let (files, missing) = self.put_files(&mut writer, &live).await?;
        put(&mut writer, &Line::End(End { rows, files })).map_err(failed)?;
        let file = writer.end().map_err(failed)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        // A link is not made over a file that came meanwhile, as a new name would be.
        std::fs::hard_link(partial, out).map_err(failed)?;
        std::fs::remove_file(partial).map_err(failed)?;
        let directory = out.parent().filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))
            .and_then(|directory| directory.sync_all())
            .map_err(failed)?;
        Ok(Backup {
            id: key.id().to_owned(),
            kek_id,
            rows,
            files,
            missing,
        })
    }

    /// The files of what the rows have a key for; how many, and of what there is none.
    async fn put_files(&self, writer: &mut Out, live: &Live) -> Result<(u64, Vec<String>), BackupError> {
        let (mut files, mut missing) = (0, Vec::new());
        for key in &live.keys {
            let Some(id) = key.strip_prefix("voicemail/") else {
                continue;
            };
            if put_file(writer, VOICEMAIL, &self.mailbox.path(id), key)? {
                files += 1;
            } else if self.store.deleted_at(Record::Voicemail(id)).await?.is_none() {
                missing.push(key.clone());
            }
        }
        for part in &live.recordings {
            let (key, path) = (format!("call/{}", part.call_sid), self.recordings.path(&part.id));
            if !live.keys.contains(&key) {
                continue;
            }
            // What has only begun may have no header yet: it is left out, and comes back as failed.
            let begun = part.state != OPEN || ChunkReader::key_id(&path).is_ok();
            if begun && put_file(writer, RECORDINGS, &path, &key)? {
                files += 1;
            } else if part.state == WHOLE && self.is_there(part).await? {
                missing.push(recording_key(&part.id));
            }
        }
        Ok((files, missing))
    }

    /// Whether a part was not deleted meanwhile.
    async fn is_there(&self, part: &Part) -> Result<bool, StoreError> {
        Ok(self
            .store
            .recording_ids_to_be_heard(&part.call_sid)
            .await?
            .contains(&part.id))
    }
}

/// Records with files, as the rows tell.
#[derive(Default)]
struct Live {
    keys: BTreeSet<String>,
    recordings: Vec<Part>,
    /// What is in the rows that come now.
    rows: Rows,
}

/// A part of a recording that may be heard.
struct Part {
    id: String,
    call_sid: String,
    state: String,
}

/// Where in a row what is.
#[derive(Default)]
enum Rows {
    #[default]
    Others,
    Keys {
        id: usize,
        wrapped: usize,
    },
    Recordings {
        id: usize,
        call_sid: usize,
        state: usize,
    },
}

impl Live {
    fn put(&mut self, writer: &mut Out, dumped: Dumped<'_>) -> io::Result<()> {
        match dumped {
            Dumped::Table(table) => {
                self.rows = Rows::of(table).unwrap_or_default();
                put(writer, &Line::Table(table.clone()))
            }
            Dumped::Row(values) => {
                self.note(values);
                put(writer, &Line::Row(values.to_vec()))
            }
        }
    }

    fn note(&mut self, values: &[Value]) {
        let text = |at: usize| values[at].as_str().unwrap_or_default().to_owned();
        match self.rows {
            Rows::Keys { id, wrapped } if values[wrapped].is_string() => {
                let key = text(id);
                if ["call/", "voicemail/"].iter().any(|kind| key.starts_with(kind)) {
                    self.keys.insert(key);
                }
            }
            Rows::Recordings { id, call_sid, state } if MAY_BE_HEARD.contains(&text(state).as_str()) => {
                self.recordings.push(Part {
                    id: text(id),
                    call_sid: text(call_sid),
                    state: text(state),
                });
            }
            Rows::Others | Rows::Keys { .. } | Rows::Recordings { .. } => {}
        }
    }
}

impl Rows {
    fn of(table: &Table) -> Option<Self> {
        let at = |name: &str| table.columns.iter().position(|(column, _)| column == name);
        match table.table.as_str() {
            "data_keys" => Some(Self::Keys {
                id: at("id")?,
                wrapped: at("wrapped")?,
            }),
            "recordings" => Some(Self::Recordings {
                id: at("id")?,
                call_sid: at("call_sid")?,
                state: at("state")?,
            }),
            _ => None,
        }
    }
}

fn put(writer: &mut Out, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    writer.write(&text)
}

/// Whether the file is there. Of one that is being written to, as much as there was when it was opened.
fn put_file(writer: &mut Out, directory: &str, path: &Path, key: &str) -> Result<bool, RetentionError> {
    let failed = |source| RetentionError::File {
        path: path.to_owned(),
        source,
    };
    let content = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file.map_err(failed)?,
    };
    let length = content.metadata().map_err(failed)?.len();
    // An hour of a recording is 115 MB.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    content.take(length).read_to_end(&mut bytes).map_err(failed)?;
    let head = FileHead {
        directory: directory.to_owned(),
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        key: key.to_owned(),
        bytes: bytes.len() as u64,
        sha256: hex(&Sha256::digest(&bytes)),
    };
    put(writer, &Line::File(head))
        .and_then(|()| writer.write(&bytes))
        .and_then(|()| writer.write(b"\n"))
        .map_err(failed)?;
    Ok(true)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const OPEN: &str = RecordingState::Open.name();
const WHOLE: &str = RecordingState::Whole.name();
const MAY_BE_HEARD: [&str; 3] = [OPEN, WHOLE, RecordingState::Failed.name()];
/// The format and its version.
pub(super) const MAGIC: &str = "tieline-backup 1";
