//! Sealed files, altered as the bytes say: whatever was done to a file is found, and what is read before is what was written.

use tieline::privacy::chunks::{CHUNK_BYTES, ChunkError, ChunkReader, ChunkWriter};
use tieline::privacy::seal::DataKey;

/// How reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Whole,
    NotSealed,
    Header,
    Damaged,
    Cut,
    Trailing,
}

/// The first byte chooses between a file as the bytes are and one of ours that is altered.
pub(crate) fn run(bytes: &[u8]) -> End {
    let key = DataKey::random("call/CAfuzz");
    match bytes.split_first() {
        Some((0, file)) => raw(&key, file),
        Some((_, script)) => altered(&key, script),
        None => raw(&key, &[]),
    }
}

fn raw(key: &DataKey, file: &[u8]) -> End {
    let (text, end, _) = read(key, file);
    assert!(
        text.is_empty() && end != End::Whole,
        "read what was never written: {end:?}"
    );
    end
}

fn altered(key: &DataKey, script: &[u8]) -> End {
    let mut script = Script(script);
    let text: Vec<u8> = (0..script.number() % (5 * CHUNK_BYTES))
        .map(|at| (at % 251) as u8)
        .collect();
    let original = write(key, &text, &mut script);
    let mut file = original.clone();
    while !script.0.is_empty() {
        alter(&mut file, original.len(), &mut script);
    }
    let (found, end, at) = read(key, &file);
    assert_eq!(end == End::Whole, file == original, "{end:?}");
    assert!(text.starts_with(&found), "read what was not written");
    assert!(end != End::Whole || found.len() == text.len());
    // What was not touched is read.
    let same = file
        .iter()
        .zip(&original)
        .take_while(|(one, other)| one == other)
        .count();
    assert!(
        at <= file.len() as u64 && (end == End::NotSealed || same < HEADER || at as usize + LONGEST >= same),
        "{end:?} at {at}, {same} bytes are the same"
    );
    end
}

/// In pieces, some of them flushed.
fn write(key: &DataKey, mut text: &[u8], script: &mut Script<'_>) -> Vec<u8> {
    let mut writer = ChunkWriter::new(Vec::new(), key, "CAfuzz").expect("memory");
    while !text.is_empty() {
        let (now, later) = text.split_at((1 + script.number() % 3_000).min(text.len()));
        writer.write(now).expect("memory");
        if script.byte() % 4 == 1 {
            writer.flush().expect("memory");
        }
        text = later;
    }
    writer.end().expect("memory")
}

fn alter(file: &mut Vec<u8>, length: usize, script: &mut Script<'_>) {
    let (what, at, by) = (script.byte(), script.number(), script.number());
    let from = at % (file.len() + 1);
    let to = (from + by % (2 * CHUNK_BYTES)).min(file.len());
    match what % 8 {
        0 => {}
        1 => {
            if let Some(byte) = file.get_mut(from) {
                *byte ^= 1_u8 << (by % 8);
            }
        }
        2 => file.truncate(from),
        3 => drop(file.drain(from..to)),
        4 if file.len() < 2 * length => {
            let copy = file[from..to].to_vec();
            file.extend(copy);
        }
        5 if file.len() < 2 * length => {
            let copy = file[from..to].to_vec();
            file.splice(from..from, copy);
        }
        6 => file[from..to].reverse(),
        7 => file.push(what),
        _ => {}
    }
}

/// What was read, how it ended, and where in the file the end is said to be.
fn read(key: &DataKey, file: &[u8]) -> (Vec<u8>, End, u64) {
    let reader = match ChunkReader::new(file, key, "CAfuzz") {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), end(&error).0, 0),
    };
    let (text, ended) = reader.read_prefix();
    let (end, at) = ended.as_ref().err().map_or((End::Whole, file.len() as u64), end);
    (text, end, at)
}

fn end(error: &ChunkError) -> (End, u64) {
    match error {
        ChunkError::NotSealed => (End::NotSealed, 0),
        ChunkError::Header => (End::Header, 0),
        ChunkError::Damaged { at, .. } => (End::Damaged, *at),
        ChunkError::Cut { at, .. } => (End::Cut, *at),
        ChunkError::Trailing { at } => (End::Trailing, *at),
        ChunkError::Io(error) => panic!("memory: {error}"),
    }
}

/// Zeros when it is used up.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }
}

/// Bytes of the header of these files.
const HEADER: usize = 8 + 16 + 2 + "call/CAfuzz".len() + 16;
/// Bytes of the longest chunk in a file.
const LONGEST: usize = CHUNK_BYTES + 20;
