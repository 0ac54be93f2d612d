//! Writes a call down turn by turn, beside it: a slow database delays no word, and one that fails for a while loses none.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::call::backoff::Backoff;
use crate::call::driver::Call;
use crate::call::end::CallEnd;
use crate::call::registry::{Pen, Seat};
use crate::dialog::conversation::ToolRecord;
use crate::store::{AuditEvent, Fault, NewCall, Store, StoreError, ToolRun, Turn};
use crate::telemetry::latency::TurnLatency;
use crate::turn::event::{TurnId, TurnSummary};

/// The writing side of one stream of a call; writes nothing without a store.
pub(super) struct Record {
    writer: Option<Writer>,
    call_sid: String,
}

struct Writer {
    entries: mpsc::Sender<Entry>,
    /// How the call ended: not among the entries, of which there may be too many. Dropped unsent if it goes on elsewhere.
    over: oneshot::Sender<CallEnd>,
    /// Whether the call's row is there.
    begun: watch::Receiver<bool>,
    writing: JoinHandle<()>,
}

enum Entry {
    Turn(Turn),
    Tool(ToolRun),
    Agent(String),
    About(Json),
}

impl Record {
    pub(super) fn begin(store: Option<&Store>, call: &Call<'_>, agent: &str, seat: &Seat) -> Self {
        let call_sid = call.call_sid.to_owned();
        let new = NewCall {
            call_sid: call_sid.clone(),
            from: call.parties.from.clone(),
            to: call.parties.to.clone(),
            agent: agent.to_owned(),
        };
        let writer = store.cloned().map(|store| {
            let (entries, received) = mpsc::channel(BACKLOG);
            let (over, ended) = oneshot::channel();
            let (there, begun) = watch::channel(false);
            let script = Script {
                store,
                new,
                first: seat.opening.first_turn(),
                pen: Pen::clone(&seat.pen),
            };
            let writing = tokio::spawn(script.write(received, ended, there));
            Writer {
                entries,
                over,
                begun,
                writing,
            }
        });
        Self { writer, call_sid }
    }

    /// Becomes true when the call's row is there; ends without, if it cannot be written. `None` without a database.
    pub(super) fn begun(&self) -> Option<watch::Receiver<bool>> {
        self.writer.as_ref().map(|writer| writer.begun.clone())
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

    /// What is known by now of whom the call is about.
    pub(super) fn about(&self, known: Json) {
        self.add(Entry::About(known));
    }

    /// Another agent answers than the one it began with.
    pub(super) fn agent(&self, name: &str) {
        self.add(Entry::Agent(name.to_owned()));
    }

    /// Waits until all is written, for a while.
    pub(super) async fn end(self, end: CallEnd) {
        self.close(Some(end)).await;
    }

    /// The same where the call goes on in another stream, which will write its end.
    pub(super) async fn leave(self) {
        self.close(None).await;
    }

    async fn close(self, end: Option<CallEnd>) {
        let Some(Writer {
            entries, over, writing, ..
        }) = self.writer
        else {
            return;
        };
        match end {
            // A writer that has given up has said so.
            Some(end) => drop(over.send(end)),
            None => drop(over),
        }
        drop(entries);
        if tokio::time::timeout(LAST_WORDS, writing).await.is_err() {
            let call = self.call_sid;
            tracing::error!(
                call,
                "the end of call {call} is not written down yet: the database is too slow"
            );
        }
    }

    fn add(&self, entry: Entry) {
        if let Some(writer) = &self.writer
            && writer.entries.try_send(entry).is_err()
        {
            let call = &self.call_sid;
            tracing::error!(
                call,
                "a part of call {call} is not written down: the database is too slow"
            );
        }
    }
}

/// What there is to write, and with what.
struct Script {
    store: Store,
    new: NewCall,
    /// The number of the stream's first turn, as the machine counts.
    first: u32,
    pen: Pen,
}

impl Script {
    async fn write(
        self,
        mut entries: mpsc::Receiver<Entry>,
        ended: oneshot::Receiver<CallEnd>,
        there: watch::Sender<bool>,
    ) {
        let Self { store, new, first, pen } = self;
        let call = new.call_sid.as_str();
        // An earlier stream of the call writes its last turn first: then it is known which numbers are free.
        let _held = pen.lock().await;
        let backoff = Backoff::new(RETRY, LONGEST_RETRY, GIVEN_UP);
        let mut insistence = Insistence { call, backoff };
        let begun = insistence.on("the beginning", true, || store.begin_call(&new)).await;
        let Ok(free) = begun else { return };
        there.send_replace(true);
        let shift = free.saturating_sub(first);
        let mut about = Json::Null;
        while let Some(entry) = entries.recv().await {
            let written = match entry {
                Entry::Turn(mut turn) => {
                    turn.number = turn.number.saturating_add(shift);
                    insistence.on("a turn", true, || store.save_turn(call, &turn)).await
                }
                Entry::Tool(mut run) => {
                    run.turn = run.turn.saturating_add(shift);
                    let event = tool_event(call, &run);
                    let audited = insistence.on("a tool's run in the audit trail", false, || store.audit(&event));
                    if matches!(audited.await, Err(Lost::All)) {
                        return;
                    }
                    let saved = insistence.on("a tool's run", false, || store.save_tool_run(call, &run));
                    saved.await
                }
                Entry::About(known) if known == about => Ok(()),
                Entry::About(known) => {
                    about = known;
                    let linked = insistence.on("whom it is about", true, || store.link_call(call, &about));
                    linked.await
                }
                Entry::Agent(name) => {
                    let answered = insistence.on("who answers", true, || store.answered_by(call, &name));
                    answered.await
                }
            };
            if matches!(written, Err(Lost::All)) {
                return;
            }
        }
        if let Ok(end) = ended.await {
            // What is lost has been told.
            let _ = insistence
                .on("the end", true, || store.end_call(call, end.name()))
                .await;
        }
    }
}

/// That a tool was run, and what came of it; not with what.
fn tool_event<'a>(call: &'a str, run: &'a ToolRun) -> AuditEvent<'a> {
    AuditEvent {
        actor: "agent",
        action: "tool",
        subject: call,
        outcome: if run.outcome.is_empty() { "none" } else { &run.outcome },
        detail: &run.tool,
        origin: "call",
    }
}

/// Tries what a database does not do at once again, for as long as there is hope.
struct Insistence<'a> {
    call: &'a str,
    backoff: Backoff,
}

/// What is not written down.
#[derive(Debug, PartialEq, Eq)]
enum Lost {
    /// This alone.
    It,
    /// This, and whatever comes after it.
    All,
}

impl Insistence<'_> {
    /// `repeatable`: it does no harm if it was done although it seemed to fail.
    async fn on<T, F>(&mut self, what: &str, repeatable: bool, write: impl Fn() -> F) -> Result<T, Lost>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let call = self.call;
        loop {
            let error = match write().await {
                Ok(written) => {
                    self.backoff.succeeded();
                    return Ok(written);
                }
                Err(error) => error,
            };
            if !may_pass(&error, repeatable) {
                tracing::error!(call, %error, "{what} of call {call} is not written down: {error}");
                return Err(Lost::It);
            }
            if !self.backoff.is_pausing() {
                tracing::warn!(call, %error, "{what} of call {call} is not written down yet: {error}");
            }
            if !self.backoff.pause().await {
                tracing::error!(call, %error, "{what} of call {call}, and what follows, is not written down: {error}");
                return Err(Lost::All);
            }
        }
    }
}

/// Whether another attempt may succeed, and does no harm.
fn may_pass(error: &StoreError, repeatable: bool) -> bool {
    match error {
        StoreError::Database { fault, .. } => match fault {
            // It has answered, or was never asked.
            Fault::Code(_) | Fault::Timeout => !fault.is_of_values(),
            Fault::Io(_) | Fault::Other => repeatable,
        },
        // An operator may put the key there; nothing was written without it.
        StoreError::NoKek { .. } => true,
        StoreError::UnknownCustomer
        | StoreError::UnknownCall
        | StoreError::BadText { .. }
        | StoreError::NumbersUsedUp { .. }
        | StoreError::Unreadable { .. }
        | StoreError::Altered { .. }
        | StoreError::Missing { .. }
        | StoreError::Shredded => false,
    }
}

/// Entries that may wait for the database: what is said in a quarter of an hour.
const BACKLOG: usize = 256;
/// How long the end of a call waits for its record. What is not written by then is still tried.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Before something that failed is tried again, the first time.
const RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// A database that has failed for so long is not asked any more by this call.
const GIVEN_UP: Duration = Duration::from_secs(600);

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use tempfile::TempDir;

    use super::*;
    use crate::call::registry::{LiveCall, Parties, Registry};
    use crate::config::{Config, Strings};
    use crate::dialog::tool::{ToolCall, ToolResult};
    use crate::store::RecordedCall;
    use crate::turn::event::Outcome;
    use crate::turn::ledger::Ledger;

    async fn store() -> (Store, TempDir) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
        let strings: Strings = [("DATABASE_URL", url.as_str())].into_iter().collect();
        let config = Config::parse(&strings).expect("valid");
        let store = Store::open(&config.database).await.expect("a usable database");
        (store, dir)
    }

    /// The next stream of the call; the one before, if there is one, is taken over.
    fn stream(registry: &Arc<Registry>) -> (LiveCall, Seat) {
        let now = std::time::Instant::now();
        let token = registry
            .expect("CA1", "AC1", Parties::default(), now)
            .expect("admitted");
        let mut live = registry.open("CA1", "AC1", &token, now).expect("expected");
        let seat = live.seat().expect("its driver's");
        (live, seat)
    }

    fn record(store: &Store, live: &LiveCall, seat: &Seat) -> Record {
        let call = Call {
            call_sid: "CA1",
            stream_sid: "",
            parties: &live.parties,
            trace: &live.trace,
        };
        Record::begin(Some(store), &call, "desk", seat)
    }

    fn turn(turn: u32, heard: &str) -> TurnSummary {
        TurnSummary {
            turn: TurnId(turn),
            caller: None,
            heard: heard.to_owned(),
            outcome: Outcome::Completed,
            caller_audio: Duration::ZERO,
            ledger: Ledger::default(),
        }
    }

    fn tool() -> ToolRecord {
        ToolRecord {
            call: ToolCall {
                tool: "look_up".to_owned(),
                args: serde_json::Map::new(),
                key: "key".to_owned(),
            },
            result: ToolResult::plain("found"),
            took: Duration::from_millis(1),
        }
    }

    /// What is kept, once all that writes has written.
    async fn kept(store: &Store, seat: &Seat) -> RecordedCall {
        let _written = seat.pen.lock().await;
        store.call("CA1").await.expect("readable").expect("kept")
    }

    #[tokio::test]
    async fn a_later_stream_goes_on_where_the_one_before_it_has_ended() {
        let (store, _dir) = store().await;
        let registry = Arc::new(Registry::new(1));
        let (live, seat) = stream(&registry);
        let first = record(&store, &live, &seat);
        first.turn(&turn(0, "Hello."));
        let is_empty = async || {
            let found = store.call("CA1").await.expect("readable");
            found.is_none_or(|call| call.turns.is_empty())
        };
        let first_turn = async { while is_empty().await {} };
        let written = tokio::time::timeout(Duration::from_secs(10), first_turn).await;
        written.expect("the first stream writes");
        let (next_live, next_seat) = stream(&registry);
        assert!(seat.is_taken_over() && !next_seat.is_taken_over());
        let second = record(&store, &next_live, &next_seat);
        second.turn(&turn(0, "Hello again."));
        second.tool(TurnId(1), &tool());
        // The first stream is not through yet.
        for _ in 0..50 {
            let call = store.call("CA1").await.expect("readable").expect("kept");
            assert_eq!(call.turns.len(), 1, "the second one waits");
        }
        first.turn(&turn(1, "What is the"));
        first.leave().await;
        second.turn(&turn(1, "It is there."));
        second.end(CallEnd::Caller).await;
        let kept = kept(&store, &next_seat).await;
        let turns: Vec<(u32, &str)> = kept
            .turns
            .iter()
            .map(|turn| (turn.number, turn.heard.as_str()))
            .collect();
        let all = [
            (0, "Hello."),
            (1, "What is the"),
            (2, "Hello again."),
            (3, "It is there."),
        ];
        assert_eq!(turns, all);
        assert_eq!(kept.tool_runs.iter().map(|run| run.turn).collect::<Vec<_>>(), [3]);
        assert_eq!(kept.call.outcome.as_deref(), Some("caller"));
        let mut events = store.audit_events(10).await.expect("readable");
        events.retain(|event| event.action == "tool");
        let runs: Vec<_> = events
            .iter()
            .map(|event| (event.subject.as_str(), event.detail.as_str(), event.outcome.as_str()))
            .collect();
        assert_eq!(runs, [("CA1", "look_up", "found")]);
    }

    #[tokio::test]
    async fn the_end_is_written_down_however_much_waits_before_it() {
        let (store, _dir) = store().await;
        let registry = Arc::new(Registry::new(1));
        let (live, seat) = stream(&registry);
        let record = record(&store, &live, &seat);
        // Nothing is written meanwhile: nobody awaits.
        for number in 0..BACKLOG as u32 + 10 {
            record.turn(&turn(number, "Yes."));
        }
        record.end(CallEnd::Operator).await;
        let kept = kept(&store, &seat).await;
        assert_eq!(kept.turns.len(), BACKLOG, "the rest was too much");
        assert_eq!(kept.call.outcome.as_deref(), Some("operator"));
    }

    fn fails(fault: Fault) -> Result<u32, StoreError> {
        let what = "do it";
        Err(StoreError::Database { what, fault })
    }

    /// Attempts until it succeeds with the attempt of that number, or is given up.
    async fn attempts(success: u32, repeatable: bool, fault: impl Fn() -> Fault) -> (Result<u32, Lost>, u32) {
        let [first, longest, within] = [1, 4, 40].map(Duration::from_millis);
        let backoff = Backoff::new(first, longest, within);
        let tried = Cell::new(0);
        let mut insistence = Insistence { call: "CA1", backoff };
        let written = insistence.on("it", repeatable, || {
            tried.set(tried.get() + 1);
            let result = if tried.get() == success { Ok(7) } else { fails(fault()) };
            std::future::ready(result)
        });
        (written.await, tried.get())
    }

    #[tokio::test]
    async fn what_fails_for_a_while_is_written_in_the_end_and_what_cannot_be_is_left() {
        let code = |code: &str| Fault::Code(code.to_owned());
        let broken = || Fault::Io(std::io::ErrorKind::BrokenPipe);
        assert_eq!(attempts(3, true, broken).await, (Ok(7), 3));
        assert_eq!(attempts(3, false, || code("57P01")).await, (Ok(7), 3));
        assert_eq!(attempts(3, false, || Fault::Timeout).await, (Ok(7), 3));
        // Nobody knows whether it was written.
        assert_eq!(attempts(3, false, broken).await, (Err(Lost::It), 1));
        assert_eq!(attempts(3, true, || code("23514")).await, (Err(Lost::It), 1));
        let (lost, tried) = attempts(0, true, || Fault::Timeout).await;
        assert_eq!(lost, Err(Lost::All));
        assert!((2..=13).contains(&tried), "{tried} attempts");
    }
}
