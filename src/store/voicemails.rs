//! Messages that callers left.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Transaction};

use super::error::cannot;
use super::lists::readable;
use super::vault::{self, altered, voicemail_key};
use super::{Record, Store, StoreError, text, timestamp};
use crate::privacy::seal::{DataKey, Place};

/// A message whose audio is on the disk. The numbers are PHI.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewVoicemail {
    /// Names the file.
    #[serde(skip)]
    pub id: String,
    /// The call in which it was left.
    pub call_sid: String,
    /// Who called, E.164, if told.
    pub from: Option<String>,
    /// Which number was called, E.164.
    pub to: Option<String>,
    /// Whose line it was left on.
    pub agent: String,
    /// What that agent speaks.
    pub language: String,
    /// How long it is, in milliseconds.
    pub duration_ms: u64,
    /// Of the sealed file, in hexadecimal digits.
    pub sha256: String,
}

/// A message as it is kept. PHI.
#[derive(Clone)]
pub struct Voicemail {
    /// What was written down at once.
    pub new: NewVoicemail,
    /// What was said.
    pub transcript: Transcript,
    /// When it was left.
    pub created_at: Timestamp,
}

/// What is known of a message's words. PHI.
#[derive(Clone, PartialEq, Eq)]
pub enum Transcript {
    /// They are still to be transcribed.
    Waiting,
    /// All of them; empty if nothing was understood.
    Done(String),
    /// They could not be transcribed: somebody has to listen.
    Failed,
}

impl Store {
    /// The key that a message's file is sealed by, before there is a row.
    pub fn new_voicemail_key(id: &str) -> DataKey {
        DataKey::random(voicemail_key(id))
    }

    /// Writes a message down with the key of its file, on the disk when this returns.
    pub async fn save_voicemail(&self, new: &NewVoicemail, key: &DataKey) -> Result<(), StoreError> {
        let what = "save a voicemail";
        let mut transaction = self.begin(what).await?;
        self.insert_voicemail(&mut transaction, new, key).await?;
        transaction.commit().await.map_err(cannot(what))
    }

    pub(super) async fn insert_voicemail(
        &self,
        transaction: &mut Transaction<'static, Any>,
        new: &NewVoicemail,
        key: &DataKey,
    ) -> Result<(), StoreError> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let id = text::required(&new.id, "id")?;
        let content = NewVoicemail {
            id: id.to_owned(),
            call_sid: text::required(&new.call_sid, "call_sid")?.to_owned(),
            from: owned(text::optional(new.from.as_deref(), "from")?),
            to: owned(text::optional(new.to.as_deref(), "to")?),
            agent: text::required(&new.agent, "agent")?.to_owned(),
            language: text::required(&new.language, "language")?.to_owned(),
            duration_ms: new.duration_ms,
            sha256: text::required(&new.sha256, "sha256")?.to_owned(),
        };
        sqlx::query(SAVE)
            .bind(id)
            .bind(&content.call_sid)
            .bind(content.from.as_deref().map(|from| self.caller_hash(FROM, from)))
            .bind(vault::seal(key, message_place(id), &content))
            .execute(&mut **transaction)
            .await
            .map_err(cannot("save a voicemail"))?;
        self.add_key(transaction, key).await.map(drop)
    }

    /// Adds what was said. `None`: it cannot be transcribed. A message that is gone by now stays gone.
    pub async fn save_transcript(&self, id: &str, transcript: Option<&str>) -> Result<(), StoreError> {
        let what = "save a voicemail's transcript";
        let id = text::required(id, "id")?;
        let transcript = transcript.map(|said| text::any(said, "transcript")).transpose()?;
        let key = match self.data_key(Record::Voicemail(id)).await {
            Ok(Some(key)) => key,
            Ok(None) | Err(StoreError::Shredded) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut transaction = self.begin(what).await?;
        sqlx::query("UPDATE voicemails SET transcribed = $2, transcript_sealed = $3 WHERE id = $1")
            .bind(id)
            .bind(if transcript.is_some() { DONE } else { FAILED })
            .bind(transcript.map(|said| key.seal(transcript_place(id), said)))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Writes down that a message's file is another now: see [`NewVoicemail::sha256`].
    pub async fn replace_voicemail_file(&self, id: &str, sha256: &str) -> Result<(), StoreError> {
        let what = "write down a voicemail's file";
        let Some(found) = self.voicemail(id).await? else {
            return Ok(());
        };
        let Some(key) = self.data_key(Record::Voicemail(id)).await? else {
            return Ok(());
        };
        let content = NewVoicemail {
            sha256: text::required(sha256, "sha256")?.to_owned(),
            ..found.new
        };
        let mut transaction = self.begin(what).await?;
        sqlx::query("UPDATE voicemails SET message_sealed = $2 WHERE id = $1")
            .bind(id)
            .bind(vault::seal(&key, message_place(id), &content))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// One message.
    pub async fn voicemail(&self, id: &str) -> Result<Option<Voicemail>, StoreError> {
        let row: Option<Row> = sqlx::query_as(ONE)
            .bind(text::required(id, "id")?)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot("read a voicemail"))?;
        row.map(|row| self.read_voicemail(row)).transpose()
    }

    /// The ids of all messages, those that were deleted for good too.
    pub async fn voicemail_ids(&self) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT id FROM voicemails ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list voicemails"))?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The newest messages.
    pub async fn recent_voicemails(&self, limit: u32) -> Result<Vec<Voicemail>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(RECENT)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list voicemails"))?;
        readable(rows, |row| &row.0, |row| self.read_voicemail(row))
    }

    /// Messages that nobody has transcribed yet, the oldest first.
    pub async fn untranscribed_voicemails(&self, limit: u32) -> Result<Vec<Voicemail>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(UNTRANSCRIBED)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list voicemails"))?;
        readable(rows, |row| &row.0, |row| self.read_voicemail(row))
    }

    pub(super) fn read_voicemail(&self, row: Row) -> Result<Voicemail, StoreError> {
        let (id, call_sid, message, transcribed, transcript, created_at, kek_id, wrapped) = row;
        let key = self.vault.unlock(&voicemail_key(&id), &kek_id, &wrapped)?;
        let new: NewVoicemail = vault::open(&key, message_place(&id), &message)?;
        if new.call_sid != call_sid {
            return Err(altered(Place {
                column: "call_sid",
                ..message_place(&id)
            }));
        }
        let place = transcript_place(&id);
        let transcript = transcript.map(|sealed| key.open(place, &sealed).map_err(|_| altered(place)));
        Ok(Voicemail {
            transcript: match (transcribed.as_str(), transcript.transpose()?) {
                (DONE, Some(transcript)) => Transcript::Done(transcript),
                (FAILED, None) => Transcript::Failed,
                (WAITING, None) => Transcript::Waiting,
                _ => {
                    return Err(StoreError::Unreadable {
                        column: "voicemails.transcribed",
                    });
                }
            },
            created_at: timestamp(created_at, "voicemails.created_at_ms")?,
            new: NewVoicemail { id, ..new },
        })
    }
}

/// Id, call, sealed message, how far its words are, sealed words, when it was left, wrapping key, data key.
pub(super) type Row = (String, String, String, String, Option<String>, i64, String, String);

fn message_place(record: &str) -> Place<'_> {
    Place {
        table: "voicemails",
        column: "message_sealed",
        record,
    }
}

pub(super) fn transcript_place(record: &str) -> Place<'_> {
    Place {
        table: "voicemails",
        column: "transcript_sealed",
        record,
    }
}

const WAITING: &str = "waiting";
const DONE: &str = "done";
const FAILED: &str = "failed";
/// What the hash of a caller's number is made for.
pub(super) const FROM: &str = "voicemails.from";

const SAVE: &str = "INSERT INTO voicemails (id, call_sid, from_hash, message_sealed) VALUES ($1, $2, $3, $4)";
const ONE: &str = "SELECT v.id, call_sid, message_sealed, transcribed, transcript_sealed, v.created_at_ms, kek_id, wrapped FROM voicemails v \
     JOIN data_keys k ON k.id = 'voicemail/' || v.id WHERE v.id = $1 AND wrapped IS NOT NULL";
const RECENT: &str = "SELECT v.id, call_sid, message_sealed, transcribed, transcript_sealed, v.created_at_ms, kek_id, wrapped FROM voicemails v \
     JOIN data_keys k ON k.id = 'voicemail/' || v.id WHERE wrapped IS NOT NULL ORDER BY v.created_at_ms DESC, v.id LIMIT $1";
const UNTRANSCRIBED: &str = "SELECT v.id, call_sid, message_sealed, transcribed, transcript_sealed, v.created_at_ms, kek_id, wrapped \
     FROM voicemails v JOIN data_keys k ON k.id = 'voicemail/' || v.id WHERE transcribed = 'waiting' AND wrapped IS NOT NULL \
     ORDER BY v.created_at_ms, v.id LIMIT $1";
