//! Writes a call down turn by turn, beside it: a slow database delays no word.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::call::driver::{Call, CallEnd};
use crate::dialog::conversation::ToolRecord;
use crate::store::{NewCall, Store, StoreError, ToolRun, Turn};
use crate::telemetry::latency::TurnLatency;
use crate::turn::event::{TurnId, TurnSummary};

/// The writing side of one call; writes nothing without a store.
pub(super) struct Record {
    writer: Option<(mpsc::Sender<Entry>, JoinHandle<()>)>,
    call_sid: String,
}

enum Entry {
    Turn(Turn),
    Tool(ToolRun),
    Agent(String),
    End(&'static str),
}

impl Record {
    pub(super) fn begin(store: Option<&Store>, call: &Call<'_>, agent: &str) -> Self {
        let call_sid = call.call_sid.to_owned();
        let new = NewCall {
            call_sid: call_sid.clone(),
            from: call.parties.from.clone(),
            to: call.parties.to.clone(),
            agent: agent.to_owned(),
        };
        let writer = store.cloned().map(|store| {
            let (entries, received) = mpsc::channel(BACKLOG);
            (entries, tokio::spawn(write(store, new, received)))
        });
        Self { writer, call_sid }
    }

    pub(super) fn turn(&self, summary: &TurnSummary) {
        let latency = TurnLatency::from(&summary.ledger);
        self.add(Entry::Turn(Turn {
            number: summary.turn.0,
            said: summary.caller.clone().unwrap_or_default(),
            heard: summary.heard.clone(),
            outcome: summary.outcome.name().to_owned(),
            ledger: serde_json::to_value(latency).unwrap_or_default(),
        }));
    }

    pub(super) fn tool(&self, turn: TurnId, tool: &ToolRecord) {
        self.add(Entry::Tool(ToolRun {
            turn: turn.0,
            tool: tool.call.tool.clone(),
            args: tool.call.args.clone().into(),
            outcome: tool.result.outcome.clone(),
            duration_ms: u32::try_from(tool.took.as_millis()).unwrap_or(u32::MAX),
        }));
    }

    /// Another agent answers than the one it began with.
    pub(super) fn agent(&self, name: &str) {
        self.add(Entry::Agent(name.to_owned()));
    }

    /// Waits until all is written, for a while.
    pub(super) async fn end(self, end: CallEnd) {
        self.add(Entry::End(end.name()));
        self.leave().await;
    }

    /// The same where the call goes on in another stream, which will write its end.
    pub(super) async fn leave(mut self) {
        if let Some((entries, writing)) = self.writer.take() {
            drop(entries);
            if tokio::time::timeout(LAST_WORDS, writing).await.is_err() {
                let call = &self.call_sid;
                tracing::error!(
                    call,
                    "the end of call {call} is not written down: the database is too slow"
                );
            }
        }
    }

    fn add(&self, entry: Entry) {
        if let Some((entries, _)) = &self.writer
            && entries.try_send(entry).is_err()
        {
            let call = &self.call_sid;
            tracing::error!(
                call,
                "a part of call {call} is not written down: the database is too slow"
            );
        }
    }
}

async fn write(store: Store, new: NewCall, mut entries: mpsc::Receiver<Entry>) {
    let call = new.call_sid.clone();
    let lost = |what: &str, error: &StoreError| {
        tracing::error!(call, %error, "{what} of call {call} is not written down: {error}");
    };
    if let Err(error) = store.begin_call(&new).await {
        return lost("the beginning", &error);
    }
    while let Some(entry) = entries.recv().await {
        let (what, written) = match entry {
            Entry::Turn(turn) => ("a turn", store.save_turn(&call, &turn).await),
            Entry::Tool(run) => ("a tool's run", store.save_tool_run(&call, &run).await),
            Entry::Agent(name) => ("who answers", store.answered_by(&call, &name).await),
            Entry::End(outcome) => ("the end", store.end_call(&call, outcome).await),
        };
        if let Err(error) = written {
            lost(what, &error);
        }
    }
}

/// Entries that may wait for the database: more than a call of minutes has.
const BACKLOG: usize = 64;
/// How long the end of a call waits for its record.
const LAST_WORDS: Duration = Duration::from_secs(5);
