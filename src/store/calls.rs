//! Calls, turn by turn.

use jiff::Timestamp;
use serde_json::Value;

use super::error::cannot;
use super::{Kind, Store, StoreError, text, timestamp};

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
    /// after a broken stream or a hand-over that came to nothing, goes on: it has not ended.
    pub async fn begin_call(&self, new: &NewCall) -> Result<u32, StoreError> {
        let what = "begin a call";
        let sid = text::required(&new.call_sid, "call_sid")?;
        let mut transaction = self.begin(what).await?;
        sqlx::query(BEGIN)
            .bind(sid)
            .bind(text::optional(new.from.as_deref(), "from")?)
            .bind(text::optional(new.to.as_deref(), "to")?)
            .bind(text::required(&new.agent, "agent")?)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let free: i64 = sqlx::query_scalar(FREE)
            .bind(sid)
            .fetch_one(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        small(free, "turns.number")
    }

    /// Writes a turn down, on the disk when this returns. The same number again replaces it: what was heard of an answer may
    /// become known later. [`StoreError::UnknownCall`] if the call was not begun.
    pub async fn save_turn(&self, call_sid: &str, turn: &Turn) -> Result<(), StoreError> {
        let what = "save a turn";
        let ledger = turn.ledger.to_string();
        let mut transaction = self.begin(what).await?;
        let saved = sqlx::query(SAVE_TURN)
            .bind(text::required(call_sid, "call_sid")?)
            .bind(i64::from(turn.number))
            .bind(text::any(&turn.said, "said")?)
            .bind(text::any(&turn.heard, "heard")?)
            .bind(text::any(&turn.outcome, "outcome")?)
            .bind(text::any(&ledger, "ledger")?)
            .execute(&mut *transaction)
            .await;
        saved.map_err(|error| of_call(error, what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Adds a tool's run to its call. Not idempotent: each run is one row. [`StoreError::UnknownCall`] as above.
    pub async fn save_tool_run(&self, call_sid: &str, run: &ToolRun) -> Result<(), StoreError> {
        let what = "save a tool's run";
        let args = run.args.to_string();
        let mut transaction = self.begin(what).await?;
        let saved = sqlx::query(SAVE_TOOL_RUN)
            .bind(text::required(call_sid, "call_sid")?)
            .bind(i64::from(run.turn))
            .bind(text::required(&run.tool, "tool")?)
            .bind(text::any(&args, "args")?)
            .bind(text::any(&run.outcome, "outcome")?)
            .bind(i64::from(run.duration_ms))
            .execute(&mut *transaction)
            .await;
        saved.map_err(|error| of_call(error, what))?;
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

    /// All that was kept of a call.
    pub async fn call(&self, call_sid: &str) -> Result<Option<RecordedCall>, StoreError> {
        let what = "read a call";
        let sid = text::required(call_sid, "call_sid")?;
        let found: Option<CallRow> = sqlx::query_as(CALL)
            .bind(sid)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        let Some(row) = found else { return Ok(None) };
        let turns: Vec<TurnRow> = sqlx::query_as(TURNS)
            .bind(sid)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot(what))?;
        let tool_runs: Vec<ToolRunRow> = sqlx::query_as(TOOL_RUNS)
            .bind(sid)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot(what))?;
        Ok(Some(RecordedCall {
            call: call(row)?,
            turns: turns.into_iter().map(turn).collect::<Result<_, _>>()?,
            tool_runs: tool_runs.into_iter().map(tool_run).collect::<Result<_, _>>()?,
        }))
    }

    /// The newest calls, without their turns.
    pub async fn recent_calls(&self, limit: u32) -> Result<Vec<Call>, StoreError> {
        let rows: Vec<CallRow> = sqlx::query_as(RECENT)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list calls"))?;
        rows.into_iter().map(call).collect()
    }
}

pub(super) type CallRow = (
    String,
    Option<String>,
    Option<String>,
    String,
    i64,
    Option<i64>,
    Option<String>,
);
type TurnRow = (i64, String, String, String, String);
type ToolRunRow = (i64, String, String, String, i64);

pub(super) fn call((call_sid, from, to, agent, started_at, ended_at, outcome): CallRow) -> Result<Call, StoreError> {
    Ok(Call {
        call_sid,
        from,
        to,
        agent,
        started_at: timestamp(started_at, "calls.started_at_ms")?,
        ended_at: ended_at.map(|at| timestamp(at, "calls.ended_at_ms")).transpose()?,
        outcome,
    })
}

fn turn((number, said, heard, outcome, ledger): TurnRow) -> Result<Turn, StoreError> {
    Ok(Turn {
        number: small(number, "turns.number")?,
        said,
        heard,
        outcome,
        ledger: json(&ledger, "turns.ledger")?,
    })
}

fn tool_run((turn, tool, args, outcome, duration): ToolRunRow) -> Result<ToolRun, StoreError> {
    Ok(ToolRun {
        turn: small(turn, "tool_calls.turn_number")?,
        tool,
        args: json(&args, "tool_calls.args")?,
        outcome,
        duration_ms: small(duration, "tool_calls.duration_ms")?,
    })
}

fn small(number: i64, column: &'static str) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Unreadable { column })
}

fn json(text: &str, column: &'static str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable { column })
}

fn of_call(error: sqlx::Error, what: &'static str) -> StoreError {
    match error.as_database_error() {
        Some(fault) if fault.is_foreign_key_violation() => StoreError::UnknownCall,
        _ => cannot(what)(error),
    }
}

const BEGIN: &str = "INSERT INTO calls (call_sid, from_number, to_number, agent) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (call_sid) DO UPDATE SET ended_at_ms = NULL, outcome = NULL";
/// A tool's run may be there before its turn, or without it.
const FREE: &str = "SELECT CAST(coalesce(max(number) + 1, 0) AS BIGINT) FROM (SELECT number FROM turns WHERE call_sid = $1 \
     UNION ALL SELECT turn_number FROM tool_calls WHERE call_sid = $1) AS numbered";
const SAVE_TURN: &str = "INSERT INTO turns (call_sid, number, said, heard, outcome, ledger) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (call_sid, number) DO UPDATE SET said = excluded.said, heard = excluded.heard, outcome = excluded.outcome, \
     ledger = excluded.ledger, saved_at_ms = excluded.saved_at_ms";
const SAVE_TOOL_RUN: &str =
    "INSERT INTO tool_calls (call_sid, turn_number, tool, args, outcome, duration_ms) VALUES ($1, $2, $3, $4, $5, $6)";
const END_SQLITE: &str = "UPDATE calls SET outcome = coalesce(outcome, $2), \
     ended_at_ms = coalesce(ended_at_ms, CAST(unixepoch('subsec') * 1000 AS INTEGER)) WHERE call_sid = $1";
const END_POSTGRES: &str = "UPDATE calls SET outcome = coalesce(outcome, $2), \
     ended_at_ms = coalesce(ended_at_ms, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)) WHERE call_sid = $1";
const CALL: &str = "SELECT call_sid, from_number, to_number, agent, started_at_ms, ended_at_ms, outcome FROM calls \
     WHERE call_sid = $1";
const RECENT: &str = "SELECT call_sid, from_number, to_number, agent, started_at_ms, ended_at_ms, outcome FROM calls \
     ORDER BY started_at_ms DESC, call_sid LIMIT $1";
const TURNS: &str = "SELECT number, said, heard, outcome, ledger FROM turns WHERE call_sid = $1 ORDER BY number";
const TOOL_RUNS: &str =
    "SELECT turn_number, tool, args, outcome, duration_ms FROM tool_calls WHERE call_sid = $1 ORDER BY id";
