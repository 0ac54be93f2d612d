//! A whole call in text: a caller who says what a person would, the LLM as told, the tools on a real database.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tieline::config::{Config, Strings};
use tieline::dialog::agent::{Agents, parse};
use tieline::dialog::conversation::{CallerTurn, Ending, Mind, Said, Staff, ToolRecord};
use tieline::dialog::form::{CallFacts, Dialog};
use tieline::dialog::llm::{Message, Timing};
use tieline::dialog::slot::Date;
use tieline::privacy::egress::Egress;
use tieline::store::{Store, TaskOrder};
use tokio::sync::watch;

use crate::llm_calls::{client, client_at, one, piece, redacting, say, stream};
use crate::script::{Answer, Server, soon};

pub(crate) const ELIGIBILITY: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/agents/eligibility.toml"));
pub(crate) const SERVICE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/agents/service-request.toml"));
/// Dana Whitfield, customer 482615 of the seed data.
pub(crate) const KNOWN: &str = "+12125550101";

thread_local! {
    /// Each test has a thread of its own.
    static AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

#[expect(clippy::disallowed_methods, reason = "a clock that tests can set forward")]
fn clock() -> Instant {
    Instant::now() + AHEAD.get()
}

/// Time passes for the breaker.
pub(crate) fn pass(time: Duration) {
    AHEAD.set(AHEAD.get() + time);
}

/// A database with the seed data.
pub(crate) struct Base {
    pub(crate) store: Store,
    raw: sqlx::AnyPool,
    _dir: TempDir,
}

impl Base {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", dir.path().join("tieline.db").display());
        let data = dir.path().to_str().expect("UTF-8");
        let strings: Strings = [("DATABASE_URL", url.as_str()), ("DATA_DIR", data)]
            .into_iter()
            .collect();
        let config = Config::parse(&strings).expect("valid");
        let store = Store::open(&config.database).await.expect("a usable database");
        sqlx::any::install_default_drivers();
        let raw = sqlx::AnyPool::connect(&url).await.expect("a database");
        Self { store, raw, _dir: dir }
    }

    /// Rows, by a question for their number.
    pub(crate) async fn count(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question)
            .fetch_one(&self.raw)
            .await
            .expect("a count")
    }

    /// Dana's orders.
    pub(crate) async fn orders(&self) -> Vec<TaskOrder> {
        self.store.task_orders("482615").await.expect("readable")
    }

    /// A call's orders, whoever's.
    pub(crate) async fn orders_of(&self, sid: &str) -> Vec<TaskOrder> {
        self.store.task_orders_of_call(sid).await.expect("readable")
    }

    pub(crate) async fn is_untouched(&self) -> bool {
        let orders = self.count("SELECT count(*) FROM task_orders").await;
        let customers = self.count("SELECT count(*) FROM customers").await;
        (orders, customers) == (0, 3)
    }
}

/// One call.
pub(crate) struct Call {
    pub(crate) server: Server,
    mind: Mind,
    staff: Arc<Staff>,
    dialog: Dialog,
    history: Vec<Message>,
    /// All tools that were run.
    pub(crate) tools: Vec<ToolRecord>,
    pub(crate) end: Option<Ending>,
}

impl Call {
    /// An agent's call from Dana's telephone, as `sid`.
    pub(crate) async fn begin(agent: &str, base: &Base, sid: &str, patience: Duration) -> Self {
        Self::begin_from(agent, base, sid, patience, Some(KNOWN)).await
    }

    /// The same from any telephone.
    pub(crate) async fn begin_from(
        agent: &str,
        base: &Base,
        sid: &str,
        patience: Duration,
        from: Option<&str>,
    ) -> Self {
        let agents = Agents::single(parse(agent, "test.toml").expect("a good file"));
        Self::of(agents, base, sid, patience, from).await
    }

    /// The same with several agents.
    pub(crate) async fn of(agents: Agents, base: &Base, sid: &str, patience: Duration, from: Option<&str>) -> Self {
        let server = Server::start([]).await;
        let staff = Staff::of(agents, Some(base.store.clone()), |_| None, &Egress::default()).expect("good tools");
        let agents = Arc::clone(&staff.agents);
        let agent = Arc::clone(agents.default());
        let history = vec![Message::Agent(agent.greeting.clone())];
        let facts = CallFacts {
            id: sid.to_owned(),
            from: from.map(str::to_owned),
        };
        let timing = Timing {
            clock,
            ..Timing::default()
        };
        Self {
            mind: Mind {
                llm: Some(client(&server).with_timing(timing)),
                patience,
            },
            server,
            staff: Arc::new(staff),
            dialog: Dialog::new(agents, agent, facts),
            history,
            tools: Vec::new(),
            end: None,
        }
    }

    /// With the LLM at `url` instead.
    pub(crate) fn with_llm(mut self, url: &str) -> Self {
        self.mind.llm = Some(client_at(url));
        self
    }

    /// With an LLM that is not to learn who calls.
    pub(crate) fn redacting(mut self) -> Self {
        self.mind.llm = Some(redacting(&format!("http://{}/v1", self.server.address)));
        self
    }

    /// Something is known before anybody has spoken.
    pub(crate) fn knows(&mut self, name: &str, facts: &Value) {
        let facts = facts.as_object().cloned().unwrap_or_default();
        self.dialog.know(name, facts);
    }

    /// Without an LLM.
    pub(crate) fn alone(mut self) -> Self {
        self.mind.llm = None;
        self
    }

    /// How many tools are run for a turn that nobody is left to commit.
    pub(crate) async fn answers_nobody(&self, text: &str) -> usize {
        let heard = CallerTurn {
            text: text.to_owned(),
            typed: false,
            history: self.history.clone(),
            today: Date::constant(2026, 11, 21),
        };
        let (counts, committed) = watch::channel(false);
        drop(counts);
        let answer = self
            .mind
            .answer(Arc::clone(&self.staff), self.dialog.clone(), heard, committed);
        let said = soon(answer.collect::<Vec<_>>()).await;
        said.iter()
            .filter(|said| matches!(said, Said::Acting | Said::Tool(_)))
            .count()
    }

    /// The caller says something, and hears this. It is never an error.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        self.history.push(Message::Caller(text.to_owned()));
        let heard = CallerTurn {
            text: text.to_owned(),
            typed: false,
            history: self.history.clone(),
            today: Date::constant(2026, 11, 21),
        };
        let (_counts, committed) = watch::channel(true);
        let answer = self
            .mind
            .answer(Arc::clone(&self.staff), self.dialog.clone(), heard, committed);
        let mut said = Vec::new();
        for item in soon(answer.collect::<Vec<_>>()).await {
            match item {
                Said::Sentence(sentence) => said.push(sentence),
                Said::Tool(tool) => self.tools.push(tool),
                Said::State(dialog) => self.dialog = *dialog,
                Said::End(end) => self.end = Some(end),
                Said::FirstToken | Said::Acting | Said::Destination(_) => {}
                Said::Failed(reason) => panic!("after {text:?} the caller hears an error: {reason}"),
            }
        }
        let said = said.join(" ");
        assert!(!said.is_empty(), "after {text:?} the caller hears nothing");
        self.history.push(Message::Agent(said.clone()));
        said
    }

    /// The caller goes on as `reply` has it, until the call ends. Gives all that was said.
    pub(crate) async fn goes_on(&mut self, mut said: String, reply: fn(&str) -> &'static str) -> Vec<String> {
        let mut all = Vec::new();
        while self.end.is_none() {
            assert!(all.len() < 60, "this leads nowhere: {all:#?}");
            let text = reply(&said);
            all.push(format!("AGENT  {said}"));
            all.push(format!("CALLER {text}"));
            said = self.says(text).await;
        }
        all.push(format!("AGENT  {said}"));
        all
    }

    /// Runs of a tool with this outcome.
    pub(crate) fn runs(&self, tool: &str, outcome: &str) -> Vec<&ToolRecord> {
        let runs = self.tools.iter();
        runs.filter(|run| run.call.tool == tool && run.result.outcome == outcome)
            .collect()
    }
}

/// A caller who wants to know whether an MRI is covered for MB123456, born on 15 March 1985.
pub(crate) fn member(said: &str) -> &'static str {
    let said = said.to_lowercase();
    let has = |text: &str| said.contains(text);
    if has("is that right") {
        if has("for an m r i. is") {
            "Yes."
        } else {
            "No, it is for an MRI."
        }
    } else if has("which part is wrong") {
        "The procedure."
    } else if has("anything else") {
        "No, thank you. Goodbye."
    } else if has("date of birth") {
        "March fifteenth, nineteen eighty-five."
    } else if has("member id") {
        "M B 1 2 3 4 5 6."
    } else if has("for an m r i, an office visit") || has("which one is it") || has("say m r i") {
        "An MRI."
    } else {
        "I would like to know whether an MRI is covered."
    }
}

/// A caller whose kitchen sink at 12 Harbor Street leaks; it is urgent.
pub(crate) fn customer(said: &str) -> &'static str {
    let said = said.to_lowercase();
    let has = |text: &str| said.contains(text);
    if has("shall i send this off") {
        if !has("plumbing for") {
            "No, it is about plumbing."
        } else if !has("at 12 harbor street:") {
            "No, the location is 12 Harbor Street."
        } else if !has("sink") {
            "No, the description is wrong."
        } else if !has("urgency is urgent") {
            "No, it is urgent."
        } else {
            "Yes, please."
        }
    } else if has("which part is wrong") {
        "The description."
    } else if has("anything else") {
        "No, thank you. Goodbye."
    } else if has("describe the problem") {
        "The kitchen sink is leaking."
    } else if has("street address") {
        "12 Harbor Street."
    } else if has("how urgent") {
        "It is urgent."
    } else if has("customer number") {
        "It is 4 8 2 6 1 5."
    } else if has("heating, plumbing") {
        "Plumbing, please."
    } else {
        "The kitchen sink is leaking."
    }
}

/// The LLM says this.
pub(crate) fn words(text: &str) -> Answer {
    Answer::stream(&stream(&[say(text)], "stop"))
}

/// The LLM calls these at once, each name with its arguments as they are written.
pub(crate) fn calls(calls: &[(&str, &str)]) -> Answer {
    let deltas: Vec<Value> = calls
        .iter()
        .enumerate()
        .map(|(n, (name, arguments))| one(piece(n, Some(&format!("c{n}")), Some(name), Some(arguments))))
        .collect();
    Answer::stream(&stream(&deltas, "tool_calls"))
}

/// The LLM calls this.
pub(crate) fn call(name: &str, arguments: &Value) -> Answer {
    calls(&[(name, &arguments.to_string())])
}

/// Everything that the form of the eligibility line asks, as it is.
pub(crate) fn coverage(member_id: &str, born: &str, procedure: &str) -> Value {
    json!({ "member_id": member_id, "date_of_birth": born, "procedure": procedure })
}

/// The same for a service request.
pub(crate) fn request(service_type: &str, description: &str, location: &str, urgency: &str) -> Value {
    json!({ "service_type": service_type, "description": description, "location": location, "urgency": urgency })
}
