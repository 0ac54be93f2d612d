//! Recordings of calls: a row for each part, which names the sealed file that holds its audio.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Transaction};

use super::calls::OpenCall;
use super::error::cannot;
use super::vault;
use super::verify::Verified;
use super::{Store, StoreError, text, timestamp};
use crate::privacy::seal::{DataKey, Place};

/// What a caller was told of the recording, and what they said to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Whether they were asked, or only told: `ask` or `notice`.
    pub asked: String,
    /// What was said to them.
    pub notice: String,
    /// `told`, `yes`, `no`, or `none` if no answer could be made out.
    pub answer: String,
    /// How they answered: `voice`, `key`, or empty.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What is known of a part of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingFacts {
    /// First of all.
    pub consent: Consent,
    /// How far it is; the column beside it is there to be searched.
    pub state: RecordingState,
    /// How long it is; 0 while it goes on.
    pub duration_ms: u64,
    /// How much of either side found no room and is silence.
    pub lost_ms: u64,
    /// Where it is silent because that was wanted.
    pub pauses: Vec<RecordingPause>,
}

/// A silence that was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingPause {
    /// From the part's beginning.
    pub from_ms: u64,
    /// To there.
    pub to_ms: u64,
    /// Why: `sensitive`, `keys` or `operator`.
    pub why: String,
}

/// How far a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingState {
    /// It goes on, or its server was killed.
    Open,
    /// All of it is there.
    Whole,
    /// It could not be written, or not to its end.
    Failed,
    /// The caller did not want it: there is no file.
    Refused,
}

/// A part of a call's recording: each stream of the call has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Names the file.
    pub id: String,
    /// The call.
    pub call_sid: String,
    /// From 1.
    pub part: u32,
    /// How far it is.
    pub state: RecordingState,
    /// When its first sample was heard.
    pub began_at: Timestamp,
    /// `None`: the call was shredded.
    pub facts: Option<RecordingFacts>,
}

/// A part that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecording {
    /// Names the file.
    pub id: String,
    /// The call, which must have been begun.
    pub call_sid: String,
    /// What is known by now; refused parts have no file.
    pub facts: RecordingFacts,
    /// How long ago its first sample was heard.
    pub age_ms: u64,
}

impl RecordingState {
    const ALL: [Self; 4] = [Self::Open, Self::Whole, Self::Failed, Self::Refused];

    /// As in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Whole => "whole",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }

    /// Whether there must be a file.
    pub const fn has_file(self) -> bool {
        matches!(self, Self::Open | Self::Whole)
    }
}

impl Store {
    /// Writes down that a part begins. Gives its number, and the call's key, which seals its file.
    pub async fn begin_recording(&self, new: &NewRecording) -> Result<(u32, DataKey), StoreError> {
        let what = "begin a recording";
        let (id, sid) = (
            text::required(&new.id, "id")?,
            text::required(&new.call_sid, "call_sid")?,
        );
        let mut transaction = self.begin(what).await?;
        let mut call = self.call_to_change(&mut transaction, sid).await?;
        let part = call.next_recording();
        let key = call.key().clone();
        let name = name(sid, part, id);
        sqlx::query(self.by_kind(BEGIN_SQLITE, BEGIN_POSTGRES))
            .bind(id)
            .bind(sid)
            .bind(i64::from(part))
            .bind(new.facts.state.name())
            .bind(vault::seal(&key, place(&name), &new.facts))
            .bind(i64::try_from(new.age_ms).unwrap_or(0))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        call.save_contents(&mut transaction, sid).await?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok((part, key))
    }

    /// Writes down what a part came to.
    pub async fn end_recording(&self, id: &str, facts: &RecordingFacts) -> Result<(), StoreError> {
        let what = "end a recording";
        let mut transaction = self.begin(what).await?;
        let found: Option<(String, i64)> = sqlx::query_as("SELECT call_sid, part FROM recordings WHERE id = $1")
            .bind(text::required(id, "id")?)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let Some((sid, part)) = found else {
            // The call was deleted meanwhile.
            return Ok(());
        };
        let call = self.call_to_change(&mut transaction, &sid).await?;
        let name = name(&sid, small(part)?, id);
        self.put_facts(&mut transaction, call.key(), &name, (id, facts)).await?;
        transaction.commit().await.map_err(cannot(what))
    }

    async fn put_facts(
        &self,
        transaction: &mut Transaction<'static, Any>,
        key: &DataKey,
        name: &str,
        (id, facts): (&str, &RecordingFacts),
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE recordings SET state = $2, facts_sealed = $3 WHERE id = $1")
            .bind(id)
            .bind(facts.state.name())
            .bind(vault::seal(key, place(name), facts))
            .execute(&mut **transaction)
            .await
            .map(drop)
            .map_err(cannot("end a recording"))
    }

    /// The parts of a call's recording, in order. Those of a call that was shredded too, as their files may still be there.
    pub async fn recordings_of(&self, call_sid: &str) -> Result<Vec<Recording>, StoreError> {
        let sid = text::required(call_sid, "call_sid")?;
        let rows: Vec<Row> = sqlx::query_as(OF_CALL)
            .bind(sid)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list recordings"))?;
        let key = match self.data_key(super::Record::Call(sid)).await {
            Ok(key) => key,
            Err(StoreError::Shredded) => None,
            Err(error) => return Err(error),
        };
        rows.into_iter().map(|row| recording(row, sid, key.as_ref())).collect()
    }

    /// The calls that have a recording, a page of them behind that sid.
    pub async fn recorded_calls(&self, after: &str) -> Result<Vec<String>, StoreError> {
        let rows: Vec<(String,)> = sqlx::query_as(CALLS)
            .bind(after)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list recordings"))?;
        Ok(rows.into_iter().map(|(sid,)| sid).collect())
    }

    /// Looks through the rows of a call's recording.
    pub(super) async fn verify_recordings(
        &self,
        sid: &str,
        call: &OpenCall,
        found: &mut Verified,
    ) -> Result<(), StoreError> {
        let rows: Vec<Row> = sqlx::query_as(OF_CALL)
            .bind(sid)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("look through the records"))?;
        for part in 1..=call.recordings() {
            if !rows.iter().any(|row| row.1 == i64::from(part)) {
                let what = format!("recordings: part {part} of {sid}");
                found.faults.push(StoreError::Missing { what }.to_string());
            }
        }
        for row in rows {
            found.records += 1;
            match recording(row, sid, Some(call.key())) {
                Ok(_) => {}
                Err(error) => found.faults.push(error.to_string()),
            }
        }
        Ok(())
    }
}

/// Id, part, state, sealed facts, begin.
type Row = (String, i64, String, String, i64);

fn recording(row: Row, sid: &str, key: Option<&DataKey>) -> Result<Recording, StoreError> {
    let (id, part, state, facts, began_at) = row;
    let part = small(part)?;
    let name = name(sid, part, &id);
    let facts: Option<RecordingFacts> = key.map(|key| vault::open(key, place(&name), &facts)).transpose()?;
    let known = RecordingState::ALL.into_iter().find(|known| known.name() == state);
    let state = known.ok_or(StoreError::Unreadable {
        column: "recordings.state",
    })?;
    // What ended cannot be made to look as if it had not, nor the other way round.
    if facts.as_ref().is_some_and(|facts| facts.state != state) {
        let what = format!("recordings.state of {name}");
        return Err(StoreError::Altered { what });
    }
    Ok(Recording {
        call_sid: sid.to_owned(),
        part,
        state,
        began_at: timestamp(began_at, "recordings.began_at_ms")?,
        facts,
        id,
    })
}

fn small(part: i64) -> Result<u32, StoreError> {
    u32::try_from(part).map_err(|_| StoreError::Unreadable {
        column: "recordings.part",
    })
}

/// What names a part.
fn name(sid: &str, part: u32, id: &str) -> String {
    format!("{sid}/{part}/{id}")
}

fn place(record: &str) -> Place<'_> {
    Place {
        table: "recordings",
        column: "facts_sealed",
        record,
    }
}

const BEGIN_SQLITE: &str = "INSERT INTO recordings (id, call_sid, part, state, facts_sealed, began_at_ms) \
     VALUES ($1, $2, $3, $4, $5, CAST(unixepoch('subsec') * 1000 AS INTEGER) - $6)";
const BEGIN_POSTGRES: &str = "INSERT INTO recordings (id, call_sid, part, state, facts_sealed, began_at_ms) \
     VALUES ($1, $2, $3, $4, $5, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - $6)";
const OF_CALL: &str =
    "SELECT id, part, state, facts_sealed, began_at_ms FROM recordings WHERE call_sid = $1 ORDER BY part";
const CALLS: &str = "SELECT DISTINCT call_sid FROM recordings WHERE call_sid > $1 ORDER BY call_sid LIMIT 500";
