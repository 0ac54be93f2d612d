//! Calls, turn by turn.

mod sealed;

use jiff::Timestamp;
use serde_json::Value;

use super::error::cannot;
use super::keys::now;
use super::lists::readable;
use super::{Kind, Store, StoreError, text};
pub(super) use sealed::{CallRow, FROM, OpenCall, PartRow, TOOL_RUNS, TURNS};

/// A call that begins. The numbers are PHI.
#[derive(Clone, Default)]
pub struct NewCall {
    /// The carrier's id of the call.
    pub call_sid: String,
    /// Who calls, E.164, if told.
    pub from: Option<String>,
    /// Which number was called, E.164.
    pub to: Option<String>,
    /// Name of the agent that answers.
    pub agent: String,
}

/// A call without its turns. The numbers are PHI.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// The carrier's id of the call.
    pub call_sid: String,
    /// Who called.
    pub from: Option<String>,
    /// Which number was called.
    pub to: Option<String>,
    /// Name of the agent that answered.
    pub agent: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it lasts, and for good if the process was killed.
    pub ended_at: Option<Timestamp>,
    /// How it ended, in a word.
    pub outcome: Option<String>,
    /// Its key was deleted: the numbers, and all that was said and done in it, are gone for good.
    pub shredded: bool,
}

/// One turn of a call, as it ended. PHI.
#[derive(Clone, PartialEq)]
pub struct Turn {
    /// From 1 within the call.
    pub number: u32,
    /// What the caller said, as transcribed.
    pub said: String,
    /// What the caller is known to have heard of the answer.
    pub heard: String,
    /// How it ended, in a word.
    pub outcome: String,
    /// Where its time went, as JSON.
    pub ledger: Value,
}

/// One tool that was run. PHI.
#[derive(Clone, PartialEq)]
pub struct ToolRun {
    /// The turn it belongs to.
    pub turn: u32,
    /// The tool's name.
    pub tool: String,
    /// By the tool's parameter names.
    pub args: Value,
    /// One of the tool's outcomes.
    pub outcome: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
}

/// A call with all that was kept of it. PHI.
#[derive(Clone, PartialEq)]
pub struct RecordedCall {
    /// The call itself.
    pub call: Call,
    /// By number.
    pub turns: Vec<Turn>,
    /// In the order they were saved.
    pub tool_runs: Vec<ToolRun>,
}

impl Store {
    /// Writes down that a call began, and tells the first number that none of its turns has. A call that is known already, as
    /// after a broken stream or a hand-over that came to nothing, goes on: it has not ended. [`StoreError::Shredded`] if it was
    /// deleted for good.
    pub async fn begin_call(&self, new: &NewCall) -> Result<u32, StoreError> {
        let what = "begin a call";
        let mut transaction = self.begin(what).await?;
        let mut free = 0;
        if !self.insert_call(&mut transaction, new).await? {
            let sid = text::required(&new.call_sid, "call_sid")?;
            free = self.call_to_change(&mut transaction, sid).await?.free();
            sqlx::query(GO_ON)
                .bind(sid)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        }
        transaction.commit().await.map_err(cannot(what))?;
        Ok(free)
    }

    /// Writes a turn down, on the disk when this returns. The same number again replaces it: what was heard of an answer may
    /// become known later. [`StoreError::UnknownCall`] if the call was not begun.
    pub async fn save_turn(&self, call_sid: &str, turn: &Turn) -> Result<(), StoreError> {
        let what = "save a turn";
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        self.put_turn(&mut transaction, call_sid, turn, now).await?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Adds a tool's run to its call. Not idempotent: each run is one row. [`StoreError::UnknownCall`] as above.
    pub async fn save_tool_run(&self, call_sid: &str, run: &ToolRun) -> Result<(), StoreError> {
        let what = "save a tool's run";
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        self.put_tool_run(&mut transaction, call_sid, run, now).await?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Another agent answers than the one it began with, as the caller has chosen. [`StoreError::UnknownCall`] as above.
    pub async fn answered_by(&self, call_sid: &str, agent: &str) -> Result<(), StoreError> {
        let what = "write down who answers";
        let mut transaction = self.begin(what).await?;
        let changed = sqlx::query("UPDATE calls SET agent = $2 WHERE call_sid = $1")
            .bind(text::required(call_sid, "call_sid")?)
            .bind(text::required(agent, "agent")?)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if changed.rows_affected() == 0 {
            return Err(StoreError::UnknownCall);
        }
        transaction.commit().await.map_err(cannot(what))
    }

    /// Writes down how and when a call ended. The first end counts. [`StoreError::UnknownCall`] as above.
    pub async fn end_call(&self, call_sid: &str, outcome: &str) -> Result<(), StoreError> {
        let what = "end a call";
        let statement = match self.kind {
            Kind::Sqlite => END_SQLITE,
            Kind::Postgres => END_POSTGRES,
        };
        let mut transaction = self.begin(what).await?;
        let ended = sqlx::query(statement)
            .bind(text::required(call_sid, "call_sid")?)
            .bind(text::required(outcome, "outcome")?)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if ended.rows_affected() == 0 {
            return Err(StoreError::UnknownCall);
        }
        transaction.commit().await.map_err(cannot(what))
    }

    /// All that was kept of a call. Of one that was shredded that is when it was, and how it ended.
    pub async fn call(&self, call_sid: &str) -> Result<Option<RecordedCall>, StoreError> {
        let what = "read a call";
        let sid = text::required(call_sid, "call_sid")?;
        let found: Option<CallRow> = sqlx::query_as(CALL)
            .bind(sid)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        let Some(row) = found else { return Ok(None) };
        let (call, open) = self.open_row(row)?;
        let Some(open) = open else {
            return Ok(Some(RecordedCall {
                call,
                turns: Vec::new(),
                tool_runs: Vec::new(),
            }));
        };
        // After the contents, so that a turn that is saved now is too many rather than missing.
        let turns: Vec<PartRow> = sqlx::query_as(TURNS)
            .bind(sid)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot(what))?;
        let tool_runs: Vec<PartRow> = sqlx::query_as(TOOL_RUNS)
            .bind(sid)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot(what))?;
        open.recorded(call, turns, tool_runs).map(Some)
    }

    /// The newest calls, without their turns.
    pub async fn recent_calls(&self, limit: u32) -> Result<Vec<Call>, StoreError> {
        let rows: Vec<CallRow> = sqlx::query_as(RECENT)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list calls"))?;
        readable(rows, |row| &row.0, |row| self.call_of(row))
    }
}

const GO_ON: &str = "UPDATE calls SET ended_at_ms = NULL, outcome = NULL WHERE call_sid = $1";
const END_SQLITE: &str = "UPDATE calls SET outcome = coalesce(outcome, $2), \
     ended_at_ms = coalesce(ended_at_ms, CAST(unixepoch('subsec') * 1000 AS INTEGER)) WHERE call_sid = $1";
const END_POSTGRES: &str = "UPDATE calls SET outcome = coalesce(outcome, $2), \
     ended_at_ms = coalesce(ended_at_ms, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)) WHERE call_sid = $1";
pub(super) const CALL: &str = "SELECT call_sid, numbers_sealed, contents_sealed, agent, started_at_ms, ended_at_ms, outcome, k.id, k.kek_id, \
     k.wrapped FROM calls LEFT JOIN data_keys k ON k.id = 'call/' || call_sid WHERE call_sid = $1";
const RECENT: &str = "SELECT call_sid, numbers_sealed, contents_sealed, agent, started_at_ms, ended_at_ms, outcome, k.id, k.kek_id, \
     k.wrapped FROM calls LEFT JOIN data_keys k ON k.id = 'call/' || call_sid ORDER BY started_at_ms DESC, call_sid LIMIT $1";
