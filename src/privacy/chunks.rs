//! Files under seal, written as a call runs: a header, then chunks, of which the last says so.
//!
//! ```text
//! header   "tieline" 0x01 · salt (16) · length of the data key's id (2) · that id · tag (16)
//! chunk    length of its text (4, the highest bit: it is the last) · its text, sealed · tag (16)
//! ```
//!
//! Numbers are little-endian. Each file has a key of its own, made of the record's data key, the salt and the record's id, so a file that was put
//! in another's place does not open. A chunk's nonce is its number and its length is authenticated (ChaCha20-Poly1305): what was altered,
//! moved, doubled or left out is found, and told by chunk and byte. A file whose writer was killed has no last chunk; what is there up to
//! then can be read and is authentic. Files are never written to again, as that could use a nonce twice.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::{fmt, mem};

use chacha20poly1305::aead::AeadInOut as _;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use hmac::Mac as _;
use zeroize::Zeroizing;

use super::seal::{DataKey, mac, random};

/// Writes a sealed file. What was written is on its way to the disk a chunk later; all of it once [`ChunkWriter::finish`] returns.
pub struct ChunkWriter<W: Write = File> {
    out: W,
    /// Of the file, if it is one.
    path: PathBuf,
    cipher: ChaCha20Poly1305,
    number: u64,
    /// The next chunk: room for its length, its text so far.
    chunk: Zeroizing<Vec<u8>>,
    /// A chunk is half written: another one of its number could give its text away.
    broken: bool,
}

/// Reads a sealed file.
pub struct ChunkReader<R: Read = File> {
    input: R,
    cipher: ChaCha20Poly1305,
    /// The next chunk.
    number: u64,
    /// Where it begins.
    at: u64,
    text: Zeroizing<Vec<u8>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Broken,
}

/// Why a sealed file cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// The file system fails.
    #[error("the sealed file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It does not begin as one of ours does.
    #[error("this is not a sealed file")]
    NotSealed,
    /// Altered, of another record, or its key is another.
    #[error("the header does not open: it was altered, or the file belongs to another record")]
    Header,
    /// Altered, moved, or doubled; or one before it is missing.
    #[error("chunk {chunk} at byte {at} does not open: it was altered, moved or doubled, or one before it is missing")]
    Damaged {
        /// From 0.
        chunk: u64,
        /// Where it begins in the file.
        at: u64,
    },
    /// The last chunk is missing: the writer was killed, or somebody has cut the file.
    #[error("the file ends in chunk {chunk} at byte {at}, before its last one: its writer was stopped, or it was cut")]
    Cut {
        /// The chunk that is missing or not whole, from 0.
        chunk: u64,
        /// Where it begins in the file.
        at: u64,
    },
    /// Something was added.
    #[error("something was added behind the last chunk, at byte {at}")]
    Trailing {
        /// Where it begins in the file.
        at: u64,
    },
}

impl ChunkWriter {
    /// Makes the file, which must not be there, for its owner's eyes only. `record` names what it holds, and must be told again to read it.
    pub fn create(path: &Path, key: &DataKey, record: &str) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let begun = Self::new(options.open(path)?, key, record);
        match begun {
            Ok(mut writer) => {
                path.clone_into(&mut writer.path);
                Ok(writer)
            }
            Err(error) => {
                fs::remove_file(path)?;
                Err(error)
            }
        }
    }

    /// Writes the last chunk. All of the file, and its name, are on the disk when this returns.
    pub fn finish(mut self) -> io::Result<()> {
        let path = mem::take(&mut self.path);
        self.end()?.sync_all()?;
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

impl<W: Write> ChunkWriter<W> {
    /// Begins a sealed file in anything that takes bytes.
    pub fn new(mut out: W, key: &DataKey, record: &str) -> io::Result<Self> {
        let mut header = MAGIC.to_vec();
        let salt: [u8; SALT_BYTES] = random();
        header.extend_from_slice(&salt);
        let length = u16::try_from(key.id().len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        header.extend_from_slice(&length.to_le_bytes());
        header.extend_from_slice(key.id().as_bytes());
        let file_key = key.derive(PURPOSE, &[&salt, record.as_bytes()]);
        let tag = mac(&file_key).chain_update(&header).finalize().into_bytes();
        header.extend_from_slice(&tag[..TAG_BYTES]);
        out.write_all(&header)?;
        let mut chunk = Zeroizing::new(Vec::with_capacity(LENGTH_BYTES + CHUNK_BYTES + TAG_BYTES));
        chunk.resize(LENGTH_BYTES, 0);
        Ok(Self {
            out,
            path: PathBuf::new(),
            cipher: ChaCha20Poly1305::new((&*file_key).into()),
            number: 0,
            chunk,
            broken: false,
        })
    }

    /// Adds to the text. After a failure nothing more can be added.
    pub fn write(&mut self, mut text: &[u8]) -> io::Result<()> {
        self.whole()?;
        while !text.is_empty() {
            let room = LENGTH_BYTES + CHUNK_BYTES - self.chunk.len();
            let (now, later) = text.split_at(room.min(text.len()));
            self.chunk.extend_from_slice(now);
            text = later;
            if now.len() == room {
                self.seal(false)?;
            }
        }
        Ok(())
    }

    /// Makes a chunk of what there is, so that no crash of this process can lose it.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.chunk.len() > LENGTH_BYTES {
            self.seal(false)?;
        }
        self.out.flush()
    }

    /// Writes the last chunk, which may be empty, and gives back what it was written to.
    pub fn end(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn whole(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier part of the sealed file was not written"));
        }
        Ok(())
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        self.whole()?;
        // Until it is written.
        self.broken = true;
        let length = u32::try_from(self.chunk.len() - LENGTH_BYTES).expect("invariant: chunks are small");
        let length = (length | if last { LAST } else { 0 }).to_le_bytes();
        let (head, text) = self.chunk.split_at_mut(LENGTH_BYTES);
        head.copy_from_slice(&length);
        let tag = self
            .cipher
            .encrypt_inout_detached(&nonce(self.number), &length, text.into())
            .expect("invariant: no chunk has 256 GiB");
        self.chunk.extend_from_slice(&tag);
        self.out.write_all(&self.chunk)?;
        self.chunk.truncate(LENGTH_BYTES);
        self.number += 1;
        self.broken = false;
        Ok(())
    }
}

impl ChunkReader {
    /// Opens a file of that record.
    pub fn open(path: &Path, key: &DataKey, record: &str) -> Result<Self, ChunkError> {
        Self::new(File::open(path)?, key, record)
    }

    /// The id of the data key that opens a file. Not authenticated: only the right key tells.
    pub fn key_id(path: &Path) -> Result<String, ChunkError> {
        Ok(Header::read(&mut File::open(path)?)?.key_id)
    }
}

impl<R: Read> ChunkReader<R> {
    /// Reads what [`ChunkWriter::new`] began.
    pub fn new(mut input: R, key: &DataKey, record: &str) -> Result<Self, ChunkError> {
        let header = Header::read(&mut input)?;
        let file_key = key.derive(PURPOSE, &[&header.salt, record.as_bytes()]);
        mac(&file_key)
            .chain_update(&header.signed)
            .verify_truncated_left(&header.tag)
            .map_err(|_| ChunkError::Header)?;
        Ok(Self {
            input,
            cipher: ChaCha20Poly1305::new((&*file_key).into()),
            number: 0,
            at: (header.signed.len() + TAG_BYTES) as u64,
            text: Zeroizing::default(),
            state: State::Reading,
        })
    }

    /// The next piece of the text, authenticated; `None` when all of it was read. Whatever came before an error is authentic.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, ChunkError> {
        match self.state {
            State::Ended => return Ok(None),
            State::Broken => return Err(self.damaged()),
            State::Reading => {}
        }
        self.state = State::Broken;
        let mut length = [0; LENGTH_BYTES];
        if fill(&mut self.input, &mut length)? < LENGTH_BYTES {
            return Err(self.cut());
        }
        let last = u32::from_le_bytes(length) & LAST != 0;
        let size = (u32::from_le_bytes(length) & !LAST) as usize;
        if size > LONGEST_CHUNK {
            return Err(self.damaged());
        }
        self.text.resize(size, 0);
        let mut tag = [0; TAG_BYTES];
        if fill(&mut self.input, &mut self.text)? < size || fill(&mut self.input, &mut tag)? < TAG_BYTES {
            return Err(self.cut());
        }
        self.cipher
            .decrypt_inout_detached(
                &nonce(self.number),
                &length,
                self.text.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .map_err(|_| self.damaged())?;
        self.number += 1;
        self.at += (LENGTH_BYTES + size + TAG_BYTES) as u64;
        if last && fill(&mut self.input, &mut [0])? > 0 {
            return Err(ChunkError::Trailing { at: self.at });
        }
        self.state = if last { State::Ended } else { State::Reading };
        Ok(Some(&self.text))
    }

    /// All of the text, or an error.
    pub fn read_to_end(self) -> Result<Vec<u8>, ChunkError> {
        let (text, ended) = self.read_prefix();
        ended.map(|()| text)
    }

    /// The text as far as it is authentic, and why it ends there if that is not its end.
    pub fn read_prefix(mut self) -> (Vec<u8>, Result<(), ChunkError>) {
        let mut text = Vec::new();
        loop {
            match self.next_chunk() {
                Ok(Some(chunk)) => text.extend_from_slice(chunk),
                Ok(None) => return (text, Ok(())),
                Err(error) => return (text, Err(error)),
            }
        }
    }

    fn damaged(&self) -> ChunkError {
        let (chunk, at) = (self.number, self.at);
        ChunkError::Damaged { chunk, at }
    }

    fn cut(&self) -> ChunkError {
        let (chunk, at) = (self.number, self.at);
        ChunkError::Cut { chunk, at }
    }
}

/// Shows nothing of the file.
impl<W: Write> fmt::Debug for ChunkWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkWriter")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Shows nothing of the file.
impl<R: Read> fmt::Debug for ChunkReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkReader")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

struct Header {
    salt: [u8; SALT_BYTES],
    key_id: String,
    signed: Vec<u8>,
    tag: [u8; TAG_BYTES],
}

impl Header {
    fn read(input: &mut impl Read) -> Result<Self, ChunkError> {
        let mut fixed = [0; MAGIC.len() + SALT_BYTES + 2];
        let got = fill(input, &mut fixed)?;
        if got < MAGIC.len() || !fixed.starts_with(MAGIC) {
            return Err(ChunkError::NotSealed);
        }
        let (_, rest) = fixed.split_at(MAGIC.len());
        let (salt, length) = rest.split_at(SALT_BYTES);
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        let mut id = vec![0; length];
        let mut tag = [0; TAG_BYTES];
        let whole = got == fixed.len() && fill(input, &mut id)? == length && fill(input, &mut tag)? == TAG_BYTES;
        if !whole {
            return Err(ChunkError::Header);
        }
        Ok(Self {
            salt: salt.try_into().map_err(|_| ChunkError::Header)?,
            signed: [&fixed[..], &id].concat(),
            key_id: String::from_utf8(id).map_err(|_| ChunkError::Header)?,
            tag,
        })
    }
}

/// Reads until the buffer is full or nothing is left; how much that was.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = Nonce::default();
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    nonce
}

/// The format and its version.
const MAGIC: &[u8; 8] = b"tieline\x01";
const PURPOSE: &[u8] = b"tieline chunks";
const SALT_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;
const TAG_BYTES: usize = 16;
/// Text of one chunk: 128 ms of two channels of 16 bits at 8 kHz, which is what a crash can lose.
pub const CHUNK_BYTES: usize = 4_096;
/// What a reader takes, so that chunks may become longer without a new version.
const LONGEST_CHUNK: usize = 65_536;
/// The highest bit of a length.
const LAST: u32 = 1 << 31;

#[cfg(test)]
#[path = "chunks_tests.rs"]
mod tests;
