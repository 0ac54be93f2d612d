use proptest::prelude::*;

use super::*;

fn key() -> DataKey {
    DataKey::random("call/CA1")
}

fn sealed(key: &DataKey, text: &[u8]) -> Vec<u8> {
    let mut writer = ChunkWriter::new(Vec::new(), key, "CA1").expect("begun");
    writer.write(text).expect("written");
    writer.end().expect("ended")
}

fn read(key: &DataKey, file: &[u8]) -> (Vec<u8>, Result<(), ChunkError>) {
    match ChunkReader::new(file, key, "CA1") {
        Ok(reader) => reader.read_prefix(),
        Err(error) => (Vec::new(), Err(error)),
    }
}

/// The bytes of each chunk in a file.
fn chunks(file: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (head, mut rest) = file.split_at(MAGIC.len() + SALT_BYTES + 2 + "call/CA1".len() + TAG_BYTES);
    let mut chunks = Vec::new();
    while let Some((length, _)) = rest.split_first_chunk::<LENGTH_BYTES>() {
        let length = (u32::from_le_bytes(*length) & !LAST) as usize + LENGTH_BYTES + TAG_BYTES;
        chunks.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    (head.to_vec(), chunks)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn what_was_written_is_read() {
    let key = key();
    for length in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        5 * CHUNK_BYTES,
        50_000,
    ] {
        let file = sealed(&key, &text(length));
        let (found, ended) = read(&key, &file);
        assert!(ended.is_ok() && found == text(length), "{length}");
        let shown = text(64);
        assert!(
            length < 64 || !file.windows(64).any(|window| window == shown),
            "{length}"
        );
    }
}

#[test]
fn a_file_is_made_for_its_owner_and_read_by_its_record_and_key_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (path, key) = (dir.path().join("x.sealed"), key());
    let mut writer = ChunkWriter::create(&path, &key, "CA1").expect("made");
    for frame in text(10_000).chunks(640) {
        writer.write(frame).expect("written");
    }
    writer.finish().expect("finished");
    assert_eq!(ChunkReader::key_id(&path).expect("a header"), "call/CA1");
    let all = ChunkReader::open(&path, &key, "CA1").and_then(ChunkReader::read_to_end);
    assert_eq!(all.expect("readable"), text(10_000));
    for (key, record) in [(&key, "CA2"), (&DataKey::random("call/CA1"), "CA1")] {
        let error = ChunkReader::open(&path, key, record).expect_err("not theirs");
        assert!(matches!(error, ChunkError::Header), "{error}");
    }
    assert!(
        ChunkWriter::create(&path, &key, "CA1").is_err(),
        "nothing is overwritten"
    );
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("a file").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn what_a_crash_leaves_can_be_read() {
    let (key, all) = (key(), text(3 * CHUNK_BYTES + 100));
    let mut writer = ChunkWriter::new(Vec::new(), &key, "CA1").expect("begun");
    writer.write(&all).expect("written");
    let (found, ended) = read(&key, &writer.out);
    assert_eq!(found, all[..3 * CHUNK_BYTES]);
    assert!(matches!(ended, Err(ChunkError::Cut { chunk: 3, .. })), "{ended:?}");
    writer.flush().expect("flushed");
    writer.flush().expect("nothing to do");
    let (found, ended) = read(&key, &writer.out);
    assert_eq!(found, all);
    assert!(matches!(ended, Err(ChunkError::Cut { chunk: 4, at }) if at == writer.out.len() as u64));
    // Torn anywhere, it is read up to there.
    for length in 0..writer.out.len() {
        let (found, ended) = read(&key, &writer.out[..length]);
        assert!(ended.is_err() && all.starts_with(&found), "{length}");
    }
}

#[test]
fn whatever_is_moved_doubled_left_out_or_added_is_named() {
    let key = key();
    let (head, parts) = chunks(&sealed(&key, &text(4 * CHUNK_BYTES + 7)));
    assert_eq!(parts.len(), 5);
    let at = |chunk: usize| (head.len() + chunk * parts[0].len()) as u64;
    let damaged = |order: &[usize], expected: usize| {
        let moved = order.iter().flat_map(|&part| parts[part].clone());
        let file: Vec<u8> = head.iter().copied().chain(moved).collect();
        let (found, ended) = read(&key, &file);
        assert_eq!(found, text(expected * CHUNK_BYTES), "{order:?}");
        let error = ended.expect_err("found out").to_string();
        let place = format!("chunk {expected} at byte {}", at(expected));
        assert!(error.contains(&place), "{order:?}: {error}");
    };
    damaged(&[0, 2, 1, 3, 4], 1);
    damaged(&[0, 1, 1, 2, 3, 4], 2);
    damaged(&[0, 1, 3, 4], 2);
    damaged(&[1, 2, 3, 4], 0);
    damaged(&[0, 1, 4], 2);
    damaged(&[4], 0);
    damaged(&[0, 1, 2, 3], 4);
    damaged(&[], 0);
    let whole: Vec<u8> = head.iter().copied().chain(parts.concat()).collect();
    for added in [parts[0].as_slice(), b"x"] {
        let (_, ended) = read(&key, &[&whole[..], added].concat());
        let end = whole.len() as u64;
        assert!(
            matches!(ended, Err(ChunkError::Trailing { at }) if at == end),
            "{ended:?}"
        );
    }
    // A chunk of another file under the same key.
    let (_, others) = chunks(&sealed(&key, &text(4 * CHUNK_BYTES + 7)));
    let mixed = [&head[..], &parts[0], &others[1], &parts[2]].concat();
    let (found, ended) = read(&key, &mixed);
    assert!(found.len() == CHUNK_BYTES && matches!(ended, Err(ChunkError::Damaged { chunk: 1, .. })));
}

#[test]
fn after_an_error_nothing_more_is_read() {
    let key = key();
    let mut file = sealed(&key, &text(3 * CHUNK_BYTES));
    let (head, parts) = chunks(&file);
    file[head.len() + parts[0].len() + 10] ^= 1;
    let mut reader = ChunkReader::new(&file[..], &key, "CA1").expect("a good header");
    assert!(matches!(reader.next_chunk(), Ok(Some(chunk)) if chunk.len() == CHUNK_BYTES));
    for _ in 0..3 {
        assert!(matches!(reader.next_chunk(), Err(ChunkError::Damaged { chunk: 1, .. })));
    }
}

/// A disk that is full after some bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(taken)
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_chunk_that_was_half_written_is_not_written_again() {
    let mut writer = ChunkWriter::new(Full(5_000), &key(), "CA1").expect("room for the header");
    writer.write(&text(CHUNK_BYTES)).expect("room for one");
    assert!(writer.write(&text(CHUNK_BYTES)).is_err());
    writer.out.0 = 100_000;
    assert!(writer.write(b"more").is_err());
    assert!(writer.flush().is_err());
    assert!(writer.end().is_err());
}

#[test]
fn debug_shows_nothing() {
    let writer = ChunkWriter::new(Vec::new(), &key(), "CA1").expect("begun");
    let file = sealed(&key(), b"");
    assert_eq!(format!("{writer:?}"), "ChunkWriter { number: 0, .. }");
    assert!(ChunkReader::new(&file[..], &key(), "CA1").is_err(), "another key");
}

proptest! {
    #[test]
    fn every_flipped_bit_is_found(length in 0_usize..10_000, at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let key = key();
        let mut file = sealed(&key, &text(length));
        let at = at.index(file.len());
        file[at] ^= 1_u8 << bit;
        let (found, ended) = read(&key, &file);
        prop_assert!(ended.is_err());
        prop_assert!(text(length).starts_with(&found));
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), ours in any::<bool>()) {
        let file = if ours { [&MAGIC[..], &bytes].concat() } else { bytes };
        let (found, ended) = read(&key(), &file);
        prop_assert!(found.is_empty() && ended.is_err());
    }
}
