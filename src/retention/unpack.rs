//! Reads a backup piece by piece, each authenticated before it is given out; what is wrong is named with where it is.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::backup::{End, FileHead, Head, Line, MAGIC, hex};
use super::restore::RestoreError;
use super::{RECORDINGS, VOICEMAIL};
use crate::config::KekSource;
use crate::privacy::chunks::ChunkReader;
use crate::privacy::kek::{KeyRing, UnwrapError};
use crate::store::{Store, Table};

/// A part of a backup.
pub(super) enum Piece {
    Table(Table),
    Row(Vec<Value>),
    /// Its bytes are to be read before the next piece.
    File(FileHead),
}

/// Reads a backup, piece by piece.
pub(super) struct Reader {
    path: PathBuf,
    pub(super) id: String,
    pub(super) head: Head,
    chunks: ChunkReader<BufReader<File>>,
    /// What of the last chunk was not used yet.
    rest: Vec<u8>,
    at: usize,
    /// What was read last.
    after: String,
    seen: End,
    ended: bool,
}

impl Reader {
    pub(super) fn open(path: &Path, ring: &KeyRing, kek: &KekSource) -> Result<Self, RestoreError> {
        let failed = |source| RestoreError::File {
            path: path.to_owned(),
            source,
        };
        let mut file = BufReader::new(File::open(path).map_err(failed)?);
        let mut first = Vec::new();
        io::Read::take(&mut file, LONGEST_FIRST_LINE)
            .read_until(b'\n', &mut first)
            .map_err(failed)?;
        let not_one = || RestoreError::NotABackup { path: path.to_owned() };
        let first = String::from_utf8(first).map_err(|_| not_one())?;
        let told = first.strip_prefix(MAGIC).and_then(|told| told.strip_prefix(' '));
        let told = told.and_then(|told| told.strip_suffix('\n')).ok_or_else(not_one)?;
        let [kek_id, id, wrapped] = told.split(' ').collect::<Vec<_>>()[..] else {
            return Err(not_one());
        };
        let key = ring.unwrap(kek_id, id, wrapped).map_err(|error| match error {
            UnwrapError::NoSuchKek => RestoreError::OtherKek {
                kek_id: kek_id.to_owned(),
                place: KeyRing::place(kek),
            },
            UnwrapError::DoesNotOpen(_) => RestoreError::Key { path: path.to_owned() },
        })?;
        let sealed = |source| RestoreError::Sealed {
            path: path.to_owned(),
            after: "its first line".to_owned(),
            source,
        };
        let chunks = ChunkReader::new(file, &key, id).map_err(sealed)?;
        let mut reader = Self {
            path: path.to_owned(),
            id: id.to_owned(),
            head: Head {
                version: String::new(),
                schema: 0,
                made_at: String::new(),
            },
            chunks,
            rest: Vec::new(),
            at: 0,
            after: "its first line".to_owned(),
            seen: End { rows: 0, files: 0 },
            ended: false,
        };
        let Line::Head(head) = reader.line()? else {
            return Err(reader.odd("it does not say what it is"));
        };
        if head.schema > Store::schema() {
            return Err(RestoreError::Newer { version: head.version });
        }
        reader.head = head;
        Ok(reader)
    }

    /// `None` when it was all, and whole.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, RestoreError> {
        if self.ended {
            return Ok(None);
        }
        match self.line()? {
            Line::Head(_) => Err(self.odd("it begins twice")),
            Line::Table(table) => {
                self.after = format!("the beginning of the table {}", table.table);
                Ok(Some(Piece::Table(table)))
            }
            Line::Row(values) => {
                self.seen.rows += 1;
                Ok(Some(Piece::Row(values)))
            }
            Line::File(head) => {
                self.seen.files += 1;
                self.after = format!("the beginning of the file {}/{}", head.directory, head.name);
                let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                let good = [VOICEMAIL, RECORDINGS].contains(&head.directory.as_str())
                    && head.name.chars().all(plain)
                    && !head.name.starts_with('.')
                    && !head.name.is_empty();
                if good {
                    Ok(Some(Piece::File(head)))
                } else {
                    Err(self.odd("a file has an odd name"))
                }
            }
            Line::End(end) => {
                self.ended = true;
                if end != self.seen {
                    return Err(self.odd("rows or files are missing"));
                }
                if self.fill()? {
                    return Err(self.odd("something follows its end"));
                }
                Ok(None)
            }
        }
    }

    /// The bytes of the file that was told.
    pub(super) fn file(&mut self, head: &FileHead, to: &mut dyn Write) -> Result<(), RestoreError> {
        let mut left = head.bytes;
        let mut hash = Sha256::new();
        while left > 0 {
            if !self.fill()? {
                return Err(self.odd("it ends in a file"));
            }
            let there = &self.rest[self.at..];
            let now = &there[..there.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            hash.update(now);
            to.write_all(now).map_err(|source| RestoreError::File {
                path: PathBuf::from(&head.name),
                source,
            })?;
            left -= now.len() as u64;
            self.at += now.len();
        }
        if hex(&hash.finalize()) != head.sha256 || !self.text()?.is_empty() {
            return Err(self.odd(&format!("the file {} is not the one that was put in", head.name)));
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Line, RestoreError> {
        let text = self.text()?;
        serde_json::from_slice(&text).map_err(|_| self.odd("a line cannot be read"))
    }

    fn text(&mut self) -> Result<Vec<u8>, RestoreError> {
        let mut text = Vec::new();
        loop {
            if !self.fill()? || text.len() > LONGEST_LINE {
                return Err(self.odd("a line has no end"));
            }
            let there = &self.rest[self.at..];
            if let Some(end) = there.iter().position(|byte| *byte == b'\n') {
                text.extend_from_slice(&there[..end]);
                self.at += end + 1;
                return Ok(text);
            }
            text.extend_from_slice(there);
            self.at = self.rest.len();
        }
    }

    /// Whether there is more.
    fn fill(&mut self) -> Result<bool, RestoreError> {
        while self.at == self.rest.len() {
            match self.chunks.next_chunk() {
                Ok(Some(chunk)) => {
                    self.rest.clear();
                    self.rest.extend_from_slice(chunk);
                    self.at = 0;
                }
                Ok(None) => return Ok(false),
                Err(source) => {
                    return Err(RestoreError::Sealed {
                        path: self.path.clone(),
                        after: format!("{} ({} rows, {} files)", self.after, self.seen.rows, self.seen.files),
                        source,
                    });
                }
            }
        }
        Ok(true)
    }

    pub(super) fn odd(&self, what: &str) -> RestoreError {
        RestoreError::Odd {
            path: self.path.clone(),
            what: format!("{what}, after {}", self.after),
        }
    }
}

/// Ids and a wrapped key.
const LONGEST_FIRST_LINE: u64 = 1_024;
/// A row has a few texts of 64 KiB at most, sealed.
const LONGEST_LINE: usize = 16 << 20;
