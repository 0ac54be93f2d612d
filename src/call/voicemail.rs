//! Messages that callers leave: the audio in a sealed file, a row that names it, and its words as soon as a transcriber is free.
//!
//! The file is on the disk before the row, which has its key, and the row before the caller hears that the message is kept. What a crash
//! leaves between the two can be read by nobody.

use std::fs;
use std::io::{self, Cursor, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::audio::mulaw;
use crate::audio::resample::resample;
use crate::audio::wav::{self, Recording};
use crate::call::disk::{files, make_dir, on_a_thread, remove};
use crate::dialog::slot::Language;
use crate::engine::{Engine, EngineError, Urgency};
use crate::privacy::chunks::{ChunkError, ChunkReader, ChunkWriter};
use crate::privacy::seal::DataKey;
use crate::speech::{Code, Listen};
use crate::store::{NewVoicemail, Record, Store, StoreError, Voicemail};
use crate::time::SampleRate;

/// Where messages are kept.
#[derive(Debug, Clone)]
pub struct Mailbox {
    dir: PathBuf,
    store: Store,
}

/// A message as it was recorded. Holds PHI: it has no `Debug`.
pub(super) struct Message {
    pub(super) call_sid: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) agent: String,
    /// What that agent speaks.
    pub(super) language: Code,
    /// At the line rate.
    pub(super) audio: Vec<i16>,
}

/// Why a message is not kept.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// The file could not be written or read.
    #[error("the file of a voicemail cannot be used: {0}; see that DATA_DIR is writable and has room")]
    File(#[from] io::Error),
    /// The sealed file does not open.
    #[error("the file of a voicemail does not open: {0}")]
    Sealed(#[from] ChunkError),
    /// The audio could not be made a WAV, or is none.
    #[error("the file of a voicemail is not good: {0}")]
    Wav(#[from] wav::WavError),
    /// The row could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Mailbox {
    /// Files go to `dir`, which is made when the first message comes; rows to `store`.
    pub fn new(dir: PathBuf, store: Store) -> Self {
        Self { dir, store }
    }

    /// Keeps a message, and gives its id once it is safe.
    pub(super) async fn keep(&self, message: &Message) -> Result<String, MailboxError> {
        let id = format!("{:032x}", rand::random::<u128>());
        let file = to_wav(&message.audio)?;
        let key = Store::new_voicemail_key(&id);
        let path = self.path(&id);
        let (target, sealing, record) = (path.clone(), key.clone(), id.clone());
        let sha256 = on_a_thread(THREAD, move || write(&target, &sealing, &record, &file)).await?;
        let new = NewVoicemail {
            id: id.clone(),
            call_sid: message.call_sid.clone(),
            from: message.from.clone(),
            to: message.to.clone(),
            agent: message.agent.clone(),
            language: message.language.to_owned(),
            duration_ms: message.audio.len() as u64 * 1_000 / u64::from(SampleRate::LINE.get()),
            sha256,
        };
        if let Err(error) = self.store.save_voicemail(&new, &key).await {
            // Nobody would ever find it, and the caller is told that it is lost.
            on_a_thread(THREAD, move || fs::remove_file(path)).await?;
            return Err(error.into());
        }
        Ok(id)
    }

    /// Transcribes a message that is kept, whenever no call needs the transcriber.
    pub(super) async fn transcribe(&self, engine: &Engine, id: &str, audio: &[i16], languages: &[Code]) {
        let said = words(engine, audio, languages).await;
        if let Err(error) = &said {
            tracing::error!(%error, "voicemail {id} could not be transcribed: {error}");
        }
        if let Err(error) = self.store.save_transcript(id, said.as_deref().ok()).await {
            tracing::error!(%error, "the transcript of voicemail {id} is not written down: {error}");
        }
    }

    /// Transcribes what was left untranscribed when the server stopped.
    pub async fn catch_up(self, engine: Arc<Engine>) {
        let waiting = match self.store.untranscribed_voicemails(CATCH_UP).await {
            Ok(waiting) => waiting,
            Err(error) => {
                tracing::error!(%error, "old voicemails cannot be listed: {error}");
                return;
            }
        };
        for Voicemail { new, .. } in waiting {
            let language = Language::named(&new.language).unwrap_or(Language::En).code();
            match self.read(&new.id).await {
                Ok(audio) => self.transcribe(&engine, &new.id, &audio, &[language]).await,
                Err(error) => tracing::error!(%error, "voicemail {} cannot be transcribed: {error}", new.id),
            }
        }
    }

    /// A message as WAV, for whoever may hear it. `None` if there is none, or it was deleted for good.
    pub async fn wav(&self, id: &str) -> Result<Option<Vec<u8>>, MailboxError> {
        let key = match self.store.data_key(Record::Voicemail(id)).await {
            Ok(Some(key)) => key,
            Ok(None) | Err(StoreError::Shredded) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (path, id) = (self.path(id), id.to_owned());
        let read = on_a_thread(THREAD, move || {
            let reader = ChunkReader::open(&path, &key, &id);
            Ok(reader.and_then(ChunkReader::read_to_end))
        });
        Ok(Some(read.await??))
    }

    /// The ids of the messages whose files are here.
    pub async fn ids(&self) -> Result<Vec<String>, MailboxError> {
        let dir = self.dir.clone();
        let found = on_a_thread(THREAD, move || files(&dir, SEALED)).await?;
        Ok(found.into_iter().map(|(id, _)| id).collect())
    }

    /// Removes a message's file, once nobody can read it any more. One that is gone already is none.
    pub async fn remove(&self, id: &str) -> Result<(), MailboxError> {
        let path = self.path(id);
        on_a_thread(THREAD, move || remove(&[path])).await?;
        Ok(())
    }

    /// Looks through the files of all messages. Faults name the message, not what is in it. Rows are for [`Store::verify`] to look
    /// through: without a good one there is nothing to compare a file with.
    pub async fn verify(&self) -> Result<Vec<String>, MailboxError> {
        let mut faults = Vec::new();
        for id in &self.store.voicemail_ids().await? {
            let new = match self.store.voicemail(id).await {
                Ok(Some(Voicemail { new, .. })) => new,
                Err(error @ StoreError::Database { .. }) => return Err(error.into()),
                Ok(None) | Err(_) => continue,
            };
            let path = self.path(id);
            match on_a_thread(THREAD, move || sha256(&path)).await {
                Ok(found) if found == new.sha256 => {}
                Ok(_) => faults.push(format!("the file of voicemail {id} is not the one that was written")),
                Err(error) => faults.push(format!("the file of voicemail {id} cannot be read: {error}")),
            }
            if let Err(error) = self.wav(id).await {
                faults.push(format!("voicemail {id}: {error}"));
            }
        }
        Ok(faults)
    }

    /// Seals the files that a version without encryption has written, and removes them. For the start of a server.
    pub async fn seal_plain_files(&self) -> Result<(), MailboxError> {
        let dir = self.dir.clone();
        let plain = on_a_thread(THREAD, move || files(&dir, PLAIN)).await?;
        let mut sealed = 0;
        for (id, path) in plain {
            let key = match self.store.data_key(Record::Voicemail(&id)).await {
                Ok(Some(key)) => key,
                Ok(None) | Err(StoreError::Shredded) => {
                    let path = path.display();
                    tracing::warn!(%path, "{path} is not encrypted and belongs to no voicemail: delete it");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let (target, record, from) = (self.path(&id), id.clone(), path.clone());
            let written = on_a_thread(THREAD, move || {
                let file = fs::read(from)?;
                // Of an earlier start that did not come to its end.
                remove(std::slice::from_ref(&target))?;
                write(&target, &key, &record, &file)
            });
            self.store.replace_voicemail_file(&id, &written.await?).await?;
            on_a_thread(THREAD, move || wipe(&path)).await?;
            sealed += 1;
        }
        if sealed > 0 {
            tracing::info!(
                files = sealed,
                "encrypted {sealed} voicemail files that an earlier version has written"
            );
        }
        Ok(())
    }

    async fn read(&self, id: &str) -> Result<Vec<i16>, MailboxError> {
        let file = self
            .wav(id)
            .await?
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let recording = Recording::read(Cursor::new(file))?;
        Ok(recording.samples.into_iter().map(mulaw::to_i16).collect())
    }

    /// Where a message's file is.
    pub fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}{SEALED}"))
    }
}

/// What is said in a message, piece by piece: a transcriber takes half a minute at most.
async fn words(engine: &Engine, audio: &[i16], languages: &[Code]) -> Result<String, EngineError> {
    let mut said: Vec<String> = Vec::new();
    for piece in pieces(audio) {
        let samples: Vec<f32> = piece.iter().map(|&sample| mulaw::to_f32(sample)).collect();
        let samples = resample(&samples, SampleRate::LINE, SampleRate::MODEL).unwrap_or_default();
        let heard = patiently(engine, samples, languages).await?;
        said.push(heard.trim().to_owned());
    }
    said.retain(|text| !text.is_empty());
    Ok(said.join(" "))
}

/// Behind everybody who waits at a telephone, and again while all are busy.
async fn patiently(engine: &Engine, audio: Vec<f32>, languages: &[Code]) -> Result<String, EngineError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let urgency = Urgency::speculative();
        let listen = Listen {
            languages: languages.to_vec(),
            answers: Vec::new(),
        };
        let heard = engine.transcribe(audio.clone(), listen, WITHIN, urgency).await;
        match heard {
            Ok(heard) => return Ok(heard.text),
            Err(EngineError::Dead) => return Err(EngineError::Dead),
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(_) => tokio::time::sleep_until((now() + RETRY).into()).await,
        }
    }
}

/// Cuts audio into pieces that a transcriber takes, each at the quietest place of its last seconds.
fn pieces(mut audio: &[i16]) -> Vec<&[i16]> {
    let mut pieces = Vec::new();
    while audio.len() > PIECE {
        let from = PIECE - SEARCH;
        let loudness = |start: usize| {
            let window = &audio[start..start + QUIET];
            window
                .iter()
                .map(|&sample| u64::from(sample.unsigned_abs()))
                .sum::<u64>()
        };
        let quietest = (from..=PIECE - QUIET)
            .step_by(QUIET / 2)
            .min_by_key(|&start| loudness(start));
        let (piece, rest) = audio.split_at(quietest.unwrap_or(PIECE - QUIET) + QUIET / 2);
        pieces.push(piece);
        audio = rest;
    }
    pieces.push(audio);
    pieces
}

fn to_wav(audio: &[i16]) -> Result<Vec<u8>, wav::WavError> {
    let mut file = Cursor::new(Vec::with_capacity(audio.len() * 2 + 64));
    wav::write_pcm(&mut file, audio, SampleRate::LINE)?;
    Ok(file.into_inner())
}

/// On the disk when it returns; for the owner's eyes only. Gives the SHA-256 of the sealed file.
fn write(path: &Path, key: &DataKey, id: &str, file: &[u8]) -> io::Result<String> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    make_dir(dir)?;
    let mut writer = ChunkWriter::create(path, key, id)?;
    let written = writer
        .write(file)
        .and_then(|()| writer.finish())
        .and_then(|()| sha256(path));
    if written.is_err() {
        // Half a message is none.
        fs::remove_file(path)?;
    }
    written
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut fs::File::open(path)?, &mut hash)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Overwrites a file and removes it: as much as can be done where the file system writes in place.
fn wipe(path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    file.flush()?;
    file.sync_all()?;
    fs::remove_file(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "when to try again is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// How the name of a message's file ends, after its id.
const SEALED: &str = ".wav.sealed";
/// How it ended before files were sealed.
const PLAIN: &str = ".wav";
/// Line samples of the longest piece: 25 s.
const PIECE: usize = 25 * 8_000;
/// At the end of a piece, where a pause is looked for.
const SEARCH: usize = 6 * 8_000;
/// The length of a pause.
const QUIET: usize = 1_600;
/// Nobody waits for it.
const WITHIN: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_secs(5);
const ATTEMPTS: u32 = 20;
/// Whatever uses their files.
const THREAD: &str = "voicemail";
/// Old messages that are transcribed at a start.
const CATCH_UP: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_in_its_pauses_and_nothing_is_lost() {
        let mut audio = vec![8_000_i16; 60 * 8_000];
        for pause in [20 * 8_000..20 * 8_000 + 3_200, 41 * 8_000..41 * 8_000 + 3_200] {
            audio[pause].fill(3);
        }
        for (at, sample) in audio.iter_mut().enumerate() {
            *sample += i16::try_from(at % 100).expect("small");
        }
        let cut = pieces(&audio);
        assert_eq!(cut.concat(), audio);
        assert!(cut.iter().all(|piece| piece.len() <= PIECE));
        let first = cut[0].len();
        assert!((20 * 8_000..20 * 8_000 + 3_200).contains(&first), "{first}");
        let second = first + cut[1].len();
        assert!((41 * 8_000..41 * 8_000 + 3_200).contains(&second), "{second}");
        assert_eq!(pieces(&audio[..PIECE]).len(), 1);
        assert_eq!(pieces(&[]).len(), 1);
    }

    #[test]
    fn a_message_that_cannot_be_written_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("there");
        fs::write(&file, "a file where the directory should be").expect("written");
        let key = Store::new_voicemail_key("x");
        let write = |path: &Path, text: &[u8]| write(path, &key, "x", text);
        assert!(write(&file.join("x.wav.sealed"), b"x").is_err());
        let path = dir.path().join("new/x.wav.sealed");
        assert_eq!(write(&path, b"x").expect("written"), sha256(&path).expect("readable"));
        assert!(write(&path, b"y").is_err(), "nothing is overwritten");
        let read = ChunkReader::open(&path, &key, "x").and_then(ChunkReader::read_to_end);
        assert_eq!(read.expect("readable"), b"x");
    }

    #[test]
    fn only_files_that_are_not_sealed_are_plain() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(files(&dir.path().join("none"), PLAIN).expect("none").is_empty());
        for name in ["a.wav", "b.wav.sealed", "c.txt"] {
            fs::write(dir.path().join(name), "RIFF").expect("written");
        }
        let plain = files(dir.path(), PLAIN).expect("listed");
        assert_eq!(plain, [("a".to_owned(), dir.path().join("a.wav"))]);
        wipe(&plain[0].1).expect("removed");
        assert!(files(dir.path(), PLAIN).expect("listed").is_empty());
    }
}
