//! What is sealed of a call: its numbers, its turns, its tools' runs, and a list of what there is, so that nothing can go missing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Any, Transaction};

use super::{Call, NewCall, RecordedCall, ToolRun, Turn};
use crate::privacy::seal::{DataKey, Place};
use crate::store::error::cannot;
use crate::store::vault::{self, call_key};
use crate::store::{Store, StoreError, small, text, timestamp};

impl Store {
    /// Adds a call's row, with a key of its own; not if there is one.
    pub(in crate::store) async fn insert_call(
        &self,
        transaction: &mut Transaction<'static, Any>,
        new: &NewCall,
    ) -> Result<bool, StoreError> {
        let sid = text::required(&new.call_sid, "call_sid")?;
        let numbers = Numbers {
            from: text::optional(new.from.as_deref(), "from")?.map(str::to_owned),
            to: text::optional(new.to.as_deref(), "to")?.map(str::to_owned),
        };
        let key = DataKey::random(call_key(sid));
        let inserted = sqlx::query(BEGIN)
            .bind(sid)
            .bind(vault::seal(&key, numbers_place(sid), &numbers))
            .bind(numbers.from.map(|from| self.caller_hash(FROM, &from)))
            .bind(vault::seal(&key, contents_place(sid), &Contents::default()))
            .bind(text::required(&new.agent, "agent")?)
            .execute(&mut **transaction)
            .await
            .map_err(cannot("begin a call"))?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }
        self.add_key(transaction, &key).await
    }

    pub(in crate::store) async fn put_turn(
        &self,
        transaction: &mut Transaction<'static, Any>,
        call_sid: &str,
        turn: &Turn,
        saved_at_ms: i64,
    ) -> Result<(), StoreError> {
        let sid = text::required(call_sid, "call_sid")?;
        text::any(&turn.ledger.to_string(), "ledger")?;
        let content = SealedTurn {
            saved_at_ms,
            said: text::any(&turn.said, "said")?.to_owned(),
            heard: text::any(&turn.heard, "heard")?.to_owned(),
            outcome: text::any(&turn.outcome, "outcome")?.to_owned(),
            ledger: turn.ledger.clone(),
        };
        let mut open = self.call_to_change(transaction, sid).await?;
        sqlx::query(SAVE_TURN)
            .bind(sid)
            .bind(i64::from(turn.number))
            .bind(vault::seal(&open.key, turn_place(&part(sid, turn.number)), &content))
            .execute(&mut **transaction)
            .await
            .map_err(cannot("save a turn"))?;
        if open.contents.turns.insert(turn.number) {
            open.contents.reach(turn.number);
            open.save_contents(transaction, sid).await?;
        }
        Ok(())
    }

    pub(in crate::store) async fn put_tool_run(
        &self,
        transaction: &mut Transaction<'static, Any>,
        call_sid: &str,
        run: &ToolRun,
        saved_at_ms: i64,
    ) -> Result<(), StoreError> {
        let sid = text::required(call_sid, "call_sid")?;
        text::any(&run.args.to_string(), "args")?;
        let content = SealedRun {
            saved_at_ms,
            turn: run.turn,
            tool: text::required(&run.tool, "tool")?.to_owned(),
            args: run.args.clone(),
            outcome: text::any(&run.outcome, "outcome")?.to_owned(),
            duration_ms: run.duration_ms,
        };
        let mut open = self.call_to_change(transaction, sid).await?;
        open.contents.runs += 1;
        open.contents.reach(run.turn);
        let number = open.contents.runs;
        sqlx::query(SAVE_TOOL_RUN)
            .bind(sid)
            .bind(i64::from(number))
            .bind(vault::seal(&open.key, run_place(&part(sid, number)), &content))
            .execute(&mut **transaction)
            .await
            .map_err(cannot("save a tool's run"))?;
        self.link(transaction, sid, &run.args).await?;
        open.save_contents(transaction, sid).await
    }

    /// What stands for a caller's number.
    pub(in crate::store) fn caller_hash(&self, column: &'static str, number: &str) -> String {
        // As it would be looked for, if it is a number at all.
        let number = text::phone(number).unwrap_or_else(|| number.trim().to_owned());
        self.vault.hash(column, &number)
    }

    /// Reads a call's row; no second part if it was shredded.
    pub(in crate::store) fn open_row(&self, row: CallRow) -> Result<(Call, Option<OpenCall>), StoreError> {
        let (call_sid, numbers, contents, agent, started_at, ended_at, outcome, id, kek_id, wrapped) = row;
        let key = self.unlock_call(&call_sid, id, kek_id, wrapped)?;
        let numbers: Option<Numbers> = key
            .as_ref()
            .map(|key| vault::open(key, numbers_place(&call_sid), &numbers))
            .transpose()?;
        let open = key.map(|key| OpenCall::new(key, &call_sid, &contents)).transpose()?;
        let shredded = open.is_none();
        let Numbers { from, to } = numbers.unwrap_or_default();
        let call = Call {
            call_sid,
            from,
            to,
            agent,
            started_at: timestamp(started_at, "calls.started_at_ms")?,
            ended_at: ended_at.map(|at| timestamp(at, "calls.ended_at_ms")).transpose()?,
            outcome,
            shredded,
        };
        Ok((call, open))
    }

    pub(in crate::store) fn call_of(&self, row: CallRow) -> Result<Call, StoreError> {
        self.open_row(row).map(|(call, _)| call)
    }

    /// A call's key and contents; nobody else adds to it until the transaction ends.
    pub(in crate::store) async fn call_to_change(
        &self,
        transaction: &mut Transaction<'static, Any>,
        sid: &str,
    ) -> Result<OpenCall, StoreError> {
        let row: Option<OpenRow> = sqlx::query_as(self.by_kind(OPEN_SQLITE, OPEN_POSTGRES))
            .bind(sid)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(cannot("read a call"))?;
        let (contents, id, kek_id, wrapped) = row.ok_or(StoreError::UnknownCall)?;
        let key = self.unlock_call(sid, id, kek_id, wrapped)?;
        OpenCall::new(key.ok_or(StoreError::Shredded)?, sid, &contents)
    }

    /// The key of a call's row; `None` if it was shredded.
    fn unlock_call(
        &self,
        sid: &str,
        id: Option<String>,
        kek_id: Option<String>,
        wrapped: Option<String>,
    ) -> Result<Option<DataKey>, StoreError> {
        let Some(id) = id else {
            return Err(StoreError::Missing {
                what: format!("data_keys: the row call/{sid}"),
            });
        };
        let wrapped = kek_id.zip(wrapped);
        let key = wrapped.map(|(kek_id, wrapped)| self.vault.unlock(&id, &kek_id, &wrapped));
        key.transpose()
    }
}

/// A call that can be read and added to.
pub(in crate::store) struct OpenCall {
    key: DataKey,
    contents: Contents,
}

impl OpenCall {
    fn new(key: DataKey, sid: &str, contents: &str) -> Result<Self, StoreError> {
        let contents = vault::open(&key, contents_place(sid), contents)?;
        Ok(Self { key, contents })
    }

    /// The first number that no turn has; nor has a tool's run that is there before its turn, or without it.
    pub(in crate::store) fn free(&self) -> u32 {
        self.contents.last_turn.map_or(0, |last| last.saturating_add(1))
    }

    pub(in crate::store) fn key(&self) -> &DataKey {
        &self.key
    }

    /// How many parts of a recording there are.
    pub(in crate::store) fn recordings(&self) -> u32 {
        self.contents.recordings
    }

    /// One more part of the recording, which counts once the contents are saved.
    pub(in crate::store) fn next_recording(&mut self) -> u32 {
        self.contents.recordings += 1;
        self.contents.recordings
    }

    pub(in crate::store) async fn save_contents(
        &self,
        transaction: &mut Transaction<'static, Any>,
        sid: &str,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE calls SET contents_sealed = $2 WHERE call_sid = $1")
            .bind(sid)
            .bind(vault::seal(&self.key, contents_place(sid), &self.contents))
            .execute(&mut **transaction)
            .await
            .map(drop)
            .map_err(cannot("write a call's contents"))
    }

    /// Puts a call together, of which nothing may be missing.
    pub(in crate::store) fn recorded(
        &self,
        call: Call,
        turns: Vec<PartRow>,
        tool_runs: Vec<PartRow>,
    ) -> Result<RecordedCall, StoreError> {
        let sid = call.call_sid.clone();
        self.contents.all_there(&sid, &turns, &tool_runs)?;
        let turns = turns.into_iter().map(|row| self.turn(&sid, row));
        let tool_runs = tool_runs.into_iter().map(|row| self.tool_run(&sid, row));
        Ok(RecordedCall {
            call,
            turns: turns.collect::<Result<_, _>>()?,
            tool_runs: tool_runs.collect::<Result<_, _>>()?,
        })
    }

    pub(in crate::store) fn turn(&self, sid: &str, (number, sealed): PartRow) -> Result<Turn, StoreError> {
        let number = small(number, "turns.number")?;
        let turn: SealedTurn = vault::open(&self.key, turn_place(&part(sid, number)), &sealed)?;
        Ok(Turn {
            number,
            said: turn.said,
            heard: turn.heard,
            outcome: turn.outcome,
            ledger: turn.ledger,
        })
    }

    pub(in crate::store) fn tool_run(&self, sid: &str, (number, sealed): PartRow) -> Result<ToolRun, StoreError> {
        let number = small(number, "tool_calls.number")?;
        let run: SealedRun = vault::open(&self.key, run_place(&part(sid, number)), &sealed)?;
        Ok(ToolRun {
            turn: run.turn,
            tool: run.tool,
            args: run.args,
            outcome: run.outcome,
            duration_ms: run.duration_ms,
        })
    }

    /// Names the rows that are missing.
    pub(in crate::store) fn missing(&self, sid: &str, turns: &[PartRow], runs: &[PartRow]) -> Vec<String> {
        self.contents.missing(sid, turns, runs)
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Numbers {
    from: Option<String>,
    to: Option<String>,
}

/// What there is of a call.
#[derive(Default, Serialize, Deserialize)]
struct Contents {
    turns: BTreeSet<u32>,
    runs: u32,
    /// Parts of its recording; a call of an earlier version has none.
    #[serde(default)]
    recordings: u32,
    /// The highest number of a turn, or of one that a tool was run in.
    last_turn: Option<u32>,
}

impl Contents {
    fn reach(&mut self, turn: u32) {
        self.last_turn = self.last_turn.max(Some(turn));
    }

    fn all_there(&self, sid: &str, turns: &[PartRow], runs: &[PartRow]) -> Result<(), StoreError> {
        match self.missing(sid, turns, runs).into_iter().next() {
            None => Ok(()),
            Some(what) => Err(StoreError::Missing { what }),
        }
    }

    fn missing(&self, sid: &str, turns: &[PartRow], runs: &[PartRow]) -> Vec<String> {
        let has = |rows: &[PartRow], wanted: u32| rows.iter().any(|(number, _)| *number == i64::from(wanted));
        let named = |table: &str, number: u32| format!("{table}: number {number} of {sid}");
        let turns = self.turns.iter().filter(|number| !has(turns, **number));
        let runs = (1..=self.runs).filter(|number| !has(runs, *number));
        let turns = turns.map(|number| named("turns", *number));
        turns.chain(runs.map(|number| named("tool_calls", number))).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct SealedTurn {
    saved_at_ms: i64,
    said: String,
    heard: String,
    outcome: String,
    ledger: Value,
}

#[derive(Serialize, Deserialize)]
struct SealedRun {
    saved_at_ms: i64,
    turn: u32,
    tool: String,
    args: Value,
    outcome: String,
    duration_ms: u32,
}

/// Sid, numbers, contents, agent, begin, end, outcome; id, wrapping key and data key of `data_keys`.
pub(in crate::store) type CallRow = (
    String,
    String,
    String,
    String,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);
/// Contents; id, wrapping key and data key of `data_keys`.
type OpenRow = (String, Option<String>, Option<String>, Option<String>);
/// Number and sealed content of a turn or a tool's run.
pub(in crate::store) type PartRow = (i64, String);

/// What names a turn or a tool's run.
fn part(sid: &str, number: u32) -> String {
    format!("{sid}/{number}")
}

fn numbers_place(record: &str) -> Place<'_> {
    place("calls", "numbers_sealed", record)
}

fn contents_place(record: &str) -> Place<'_> {
    place("calls", "contents_sealed", record)
}

fn turn_place(record: &str) -> Place<'_> {
    place("turns", "turn_sealed", record)
}

fn run_place(record: &str) -> Place<'_> {
    place("tool_calls", "run_sealed", record)
}

fn place<'a>(table: &'static str, column: &'static str, record: &'a str) -> Place<'a> {
    Place { table, column, record }
}

/// What the hash of a caller's number is made for.
pub(in crate::store) const FROM: &str = "calls.from";

const BEGIN: &str = "INSERT INTO calls (call_sid, numbers_sealed, from_hash, contents_sealed, agent) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (call_sid) DO NOTHING";
const OPEN_SQLITE: &str = "SELECT contents_sealed, k.id, k.kek_id, k.wrapped FROM calls \
     LEFT JOIN data_keys k ON k.id = 'call/' || call_sid WHERE call_sid = $1";
const OPEN_POSTGRES: &str = "SELECT contents_sealed, k.id, k.kek_id, k.wrapped FROM calls \
     LEFT JOIN data_keys k ON k.id = 'call/' || call_sid WHERE call_sid = $1 FOR UPDATE OF calls";
const SAVE_TURN: &str = "INSERT INTO turns (call_sid, number, turn_sealed) VALUES ($1, $2, $3) \
     ON CONFLICT (call_sid, number) DO UPDATE SET turn_sealed = excluded.turn_sealed";
const SAVE_TOOL_RUN: &str = "INSERT INTO tool_calls (call_sid, number, run_sealed) VALUES ($1, $2, $3)";
pub(in crate::store) const TURNS: &str = "SELECT number, turn_sealed FROM turns WHERE call_sid = $1 ORDER BY number";
pub(in crate::store) const TOOL_RUNS: &str =
    "SELECT number, run_sealed FROM tool_calls WHERE call_sid = $1 ORDER BY number";
