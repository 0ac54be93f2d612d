//! Messages that callers left.

use jiff::Timestamp;

use super::error::cannot;
use super::{Store, StoreError, text, timestamp};

/// A message whose audio is on the disk. The numbers are PHI.
#[derive(Clone)]
pub struct NewVoicemail {
    /// Names the file.
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
    /// Of the file, in hexadecimal digits.
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
    /// Writes a message down, on the disk when this returns.
    pub async fn save_voicemail(&self, new: &NewVoicemail) -> Result<(), StoreError> {
        let what = "save a voicemail";
        let duration = i64::try_from(new.duration_ms).unwrap_or(i64::MAX);
        let mut transaction = self.begin(what).await?;
        sqlx::query(SAVE)
            .bind(text::required(&new.id, "id")?)
            .bind(text::required(&new.call_sid, "call_sid")?)
            .bind(text::optional(new.from.as_deref(), "from")?)
            .bind(text::optional(new.to.as_deref(), "to")?)
            .bind(text::required(&new.agent, "agent")?)
            .bind(text::required(&new.language, "language")?)
            .bind(duration)
            .bind(text::required(&new.sha256, "sha256")?)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Adds what was said. `None`: it cannot be transcribed. A message that is gone by now stays gone.
    pub async fn save_transcript(&self, id: &str, transcript: Option<&str>) -> Result<(), StoreError> {
        let what = "save a voicemail's transcript";
        let transcript = transcript.map(|said| text::any(said, "transcript")).transpose()?;
        let mut transaction = self.begin(what).await?;
        sqlx::query("UPDATE voicemails SET transcribed = $2, transcript = $3 WHERE id = $1")
            .bind(text::required(id, "id")?)
            .bind(if transcript.is_some() { DONE } else { FAILED })
            .bind(transcript)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// The newest messages.
    pub async fn recent_voicemails(&self, limit: u32) -> Result<Vec<Voicemail>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(RECENT)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list voicemails"))?;
        rows.into_iter().map(voicemail).collect()
    }

    /// Messages that nobody has transcribed yet, the oldest first.
    pub async fn untranscribed_voicemails(&self, limit: u32) -> Result<Vec<Voicemail>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(UNTRANSCRIBED)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list voicemails"))?;
        rows.into_iter().map(voicemail).collect()
    }
}

type Row = (
    String,
    String,
    Option<String>,
    Option<String>,
    String,
    String,
    i64,
    String,
    String,
    Option<String>,
    i64,
);

fn voicemail(row: Row) -> Result<Voicemail, StoreError> {
    let (id, call_sid, from, to, agent, language, duration, sha256, transcribed, transcript, created_at) = row;
    let unreadable = |column| StoreError::Unreadable { column };
    Ok(Voicemail {
        new: NewVoicemail {
            id,
            call_sid,
            from,
            to,
            agent,
            language,
            duration_ms: u64::try_from(duration).map_err(|_| unreadable("voicemails.duration_ms"))?,
            sha256,
        },
        transcript: match (transcribed.as_str(), transcript) {
            (DONE, Some(transcript)) => Transcript::Done(transcript),
            (FAILED, None) => Transcript::Failed,
            (WAITING, None) => Transcript::Waiting,
            _ => return Err(unreadable("voicemails.transcribed")),
        },
        created_at: timestamp(created_at, "voicemails.created_at_ms")?,
    })
}

const WAITING: &str = "waiting";
const DONE: &str = "done";
const FAILED: &str = "failed";

const SAVE: &str = "INSERT INTO voicemails (id, call_sid, from_number, to_number, agent, language, duration_ms, sha256) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const RECENT: &str = "SELECT id, call_sid, from_number, to_number, agent, language, duration_ms, sha256, transcribed, transcript, \
     created_at_ms FROM voicemails ORDER BY created_at_ms DESC, id LIMIT $1";
const UNTRANSCRIBED: &str = "SELECT id, call_sid, from_number, to_number, agent, language, duration_ms, sha256, transcribed, \
     transcript, created_at_ms FROM voicemails WHERE transcribed = 'waiting' ORDER BY created_at_ms, id LIMIT $1";
