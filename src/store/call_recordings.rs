//! Recordings of calls: a row for each part, which names the sealed file that holds its audio.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Transaction};

use super::calls::OpenCall;
use super::error::cannot;
use super::vault::{self, Found, call_key};
use super::verify::Verified;
use super::{Store, StoreError, small, text, timestamp};
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
    /// There was one, and nobody is to hear it any more.
    Deleted,
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
    /// When it was deleted, if it was.
    pub deleted_at: Option<Timestamp>,
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
    pub(super) const ALL: [Self; 5] = [Self::Open, Self::Whole, Self::Failed, Self::Refused, Self::Deleted];

    /// As in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Whole => "whole",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Deleted => "deleted",
        }
    }

    /// Whether there must be a file.
    pub const fn has_file(self) -> bool {
        matches!(self, Self::Open | Self::Whole)
    }

    /// Whether there may be one that may be heard.
    pub const fn may_be_heard(self) -> bool {
        matches!(self, Self::Open | Self::Whole | Self::Failed)
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

    /// Writes down what a part came to. Not if it was deleted meanwhile, which is told: then its file is to go, too.
    pub async fn end_recording(&self, id: &str, facts: &RecordingFacts) -> Result<bool, StoreError> {
        let what = "end a recording";
        let mut transaction = self.begin(what).await?;
        let found: Option<(String, i64)> = sqlx::query_as("SELECT call_sid, part FROM recordings WHERE id = $1")
            .bind(text::required(id, "id")?)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let Some((sid, part)) = found else {
            // With its call.
            return Ok(false);
        };
        let call = self.call_to_change(&mut transaction, &sid).await?;
        let name = name(&sid, small(part, PART)?, id);
        let ended =
            sqlx::query("UPDATE recordings SET state = $2, facts_sealed = $3 WHERE id = $1 AND state <> 'deleted'")
                .bind(id)
                .bind(facts.state.name())
                .bind(vault::seal(call.key(), place(&name), facts))
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok(ended.rows_affected() == 1)
    }

    /// Marks all parts of a call's recording as deleted; whether there was anything to be heard. A row that was altered stays so, and is found by
    /// whoever verifies.
    pub(super) async fn bury_recording(
        &self,
        transaction: &mut Transaction<'static, Any>,
        sid: &str,
    ) -> Result<bool, StoreError> {
        let what = "delete a recording";
        // The call first, as whoever ends a part does.
        sqlx::query(self.by_kind(LOCK_SQLITE, LOCK_POSTGRES))
            .bind(sid)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(cannot(what))?;
        let parts: Vec<(String, i64, String)> = sqlx::query_as(TO_BURY)
            .bind(sid)
            .fetch_all(&mut **transaction)
            .await
            .map_err(cannot(what))?;
        let key = match self.find_key(transaction, &call_key(sid)).await {
            Ok(Found::Key(key)) => Some(key),
            Ok(Found::Shredded | Found::None) => None,
            Err(error @ StoreError::Database { .. }) => return Err(error),
            Err(_) => None,
        };
        for (id, part, sealed) in &parts {
            let restated = key
                .as_ref()
                .and_then(|key| restated(key, (sid, *part, id), sealed, RecordingState::Deleted));
            sqlx::query("UPDATE recordings SET state = 'deleted', facts_sealed = $2 WHERE id = $1")
                .bind(id)
                .bind(restated.as_ref().unwrap_or(sealed))
                .execute(&mut **transaction)
                .await
                .map_err(cannot(what))?;
            sqlx::query(self.by_kind(BURY_SQLITE, BURY_POSTGRES))
                .bind(recording_key(id))
                .execute(&mut **transaction)
                .await
                .map_err(cannot(what))?;
        }
        Ok(!parts.is_empty())
    }

    /// The ids of a call's parts that have a file somewhere, or had.
    pub async fn recording_ids(&self, call_sid: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT id FROM recordings WHERE call_sid = $1 AND state <> 'refused' ORDER BY part")
            .bind(text::required(call_sid, "call_sid")?)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list recordings"))
    }

    /// The ids of a call's parts that may be heard.
    pub async fn recording_ids_to_be_heard(&self, call_sid: &str) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(HEARD_OF_CALL)
            .bind(text::required(call_sid, "call_sid")?)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list recordings"))
    }

    /// The ids of all parts that may be heard.
    pub async fn recordings_to_be_heard(&self) -> Result<HashSet<String>, StoreError> {
        let mut all = HashSet::new();
        let mut after = String::new();
        loop {
            let ids: Vec<String> = sqlx::query_scalar(HEARD)
                .bind(&after)
                .fetch_all(&self.pool)
                .await
                .map_err(cannot("list recordings"))?;
            let Some(last) = ids.last() else { return Ok(all) };
            after.clone_from(last);
            all.extend(ids);
        }
    }

    /// When the recording of a call was deleted, or all that was said in it; `None` if it is there, or never was.
    pub async fn recording_deleted_at(&self, call_sid: &str) -> Result<Option<Timestamp>, StoreError> {
        let sid = text::required(call_sid, "call_sid")?;
        let at: Option<i64> = sqlx::query_scalar(DELETED_AT)
            .bind(sid)
            .fetch_one(&self.pool)
            .await
            .map_err(cannot("read a recording"))?;
        match at {
            Some(at) => timestamp(at, "data_keys.shredded_at_ms").map(Some),
            None => self.deleted_at(super::Record::Call(sid)).await,
        }
    }

    /// Whether a part was deleted.
    pub async fn is_recording_deleted(&self, id: &str) -> Result<bool, StoreError> {
        let found: Option<(i64,)> = sqlx::query_as("SELECT part FROM recordings WHERE id = $1 AND state = 'deleted'")
            .bind(text::required(id, "id")?)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot("read a recording"))?;
        Ok(found.is_some())
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

/// Id, part, state, sealed facts, begin, when it was deleted.
type Row = (String, i64, String, String, i64, Option<i64>);

fn recording(row: Row, sid: &str, key: Option<&DataKey>) -> Result<Recording, StoreError> {
    let (id, part, state, facts, began_at, deleted_at) = row;
    let part = small(part, PART)?;
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
    // What was deleted is so in two places, and what was not in none.
    match (state == RecordingState::Deleted, deleted_at) {
        (true, None) => {
            let what = format!("data_keys: the row {}", recording_key(&id));
            return Err(StoreError::Missing { what });
        }
        (false, Some(_)) => {
            let what = format!("recordings.state of {name}");
            return Err(StoreError::Altered { what });
        }
        (true, Some(_)) | (false, None) => {}
    }
    Ok(Recording {
        call_sid: sid.to_owned(),
        part,
        state,
        began_at: timestamp(began_at, "recordings.began_at_ms")?,
        deleted_at: deleted_at
            .map(|at| timestamp(at, "data_keys.shredded_at_ms"))
            .transpose()?,
        facts,
        id,
    })
}

/// The facts of a part, sealed again with another state; `None` if they do not open.
pub(super) fn restated(
    key: &DataKey,
    (sid, part, id): (&str, i64, &str),
    sealed: &str,
    state: RecordingState,
) -> Option<String> {
    let name = name(sid, small(part, PART).ok()?, id);
    let facts: RecordingFacts = vault::open(key, place(&name), sealed).ok()?;
    Some(vault::seal(key, place(&name), &RecordingFacts { state, ..facts }))
}

/// Stands in `data_keys` and in the list of deleted keys for a part that was deleted: its key is its call's, which stays.
pub fn recording_key(id: &str) -> String {
    format!("recording/{id}")
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

const PART: &str = "recordings.part";
const BEGIN_SQLITE: &str = "INSERT INTO recordings (id, call_sid, part, state, facts_sealed, began_at_ms) \
     VALUES ($1, $2, $3, $4, $5, CAST(unixepoch('subsec') * 1000 AS INTEGER) - $6)";
const BEGIN_POSTGRES: &str = "INSERT INTO recordings (id, call_sid, part, state, facts_sealed, began_at_ms) \
     VALUES ($1, $2, $3, $4, $5, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - $6)";
const OF_CALL: &str = "SELECT r.id, part, state, facts_sealed, began_at_ms, k.shredded_at_ms FROM recordings r \
     LEFT JOIN data_keys k ON k.id = 'recording/' || r.id WHERE call_sid = $1 ORDER BY part";
const HEARD_OF_CALL: &str = "SELECT r.id FROM recordings r JOIN data_keys k ON k.id = 'call/' || call_sid \
     WHERE call_sid = $1 AND state IN ('open', 'whole', 'failed') AND wrapped IS NOT NULL ORDER BY part";
const TO_BURY: &str = "SELECT id, part, facts_sealed FROM recordings \
     WHERE call_sid = $1 AND state IN ('open', 'whole', 'failed') ORDER BY part";
const HEARD: &str = "SELECT r.id FROM recordings r JOIN data_keys k ON k.id = 'call/' || call_sid \
     WHERE state IN ('open', 'whole', 'failed') AND wrapped IS NOT NULL AND r.id > $1 ORDER BY r.id LIMIT 1000";
const DELETED_AT: &str = "SELECT max(shredded_at_ms) FROM recordings r JOIN data_keys k ON k.id = 'recording/' || r.id \
     WHERE call_sid = $1 AND state = 'deleted'";
const LOCK_SQLITE: &str = "SELECT call_sid FROM calls WHERE call_sid = $1";
const LOCK_POSTGRES: &str = "SELECT call_sid FROM calls WHERE call_sid = $1 FOR UPDATE";
const BURY_SQLITE: &str = "INSERT INTO data_keys (id, shredded_at_ms) VALUES ($1, CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
     ON CONFLICT (id) DO NOTHING";
const BURY_POSTGRES: &str = "INSERT INTO data_keys (id, shredded_at_ms) \
     VALUES ($1, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)) ON CONFLICT (id) DO NOTHING";
const CALLS: &str = "SELECT DISTINCT call_sid FROM recordings WHERE call_sid > $1 ORDER BY call_sid LIMIT 500";
