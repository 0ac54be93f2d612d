//! Who answers a caller: the LLM where there is one that works, the guided dialog otherwise. Both fill the same forms.

mod talking;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::talking::Talk;
use crate::dialog::agent::{Agents, SetError};
use crate::dialog::form::{Dialog, Next, Step};
use crate::dialog::llm::{LlmClient, Message};
use crate::dialog::slot::Date;
use crate::dialog::tool::http::HttpToolsError;
use crate::dialog::tool::sms::Texts;
use crate::dialog::tool::{Place, ToolCall, ToolResult, Tools};
use crate::privacy::egress::Egress;
use crate::speech::sentence::SentenceSplitter;
use crate::store::Store;

/// Everything an answer needs beside the call's own state; shared by all calls.
#[derive(Clone)]
pub struct Mind {
    /// Who talks, if anybody is configured to.
    pub llm: Option<LlmClient>,
    /// How long the LLM may be silent before the guided dialog goes on in its place.
    pub patience: Duration,
}

/// The agents and what they can do, as their files were when a call began.
pub struct Staff {
    /// Who answers.
    pub agents: Arc<Agents>,
    /// What can be done.
    pub tools: Tools,
}

/// Why there is no staff.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// An agent's file.
    #[error(transparent)]
    Agents(#[from] SetError),
    /// A tool in one.
    #[error(transparent)]
    Tools(#[from] HttpToolsError),
}

impl Staff {
    /// Reads the agents' files. `lookup` gives what `${NAME}` in a tool's header stands for; HTTP tools connect where
    /// `egress` lets them.
    pub fn load(
        dir: &Path,
        default: &str,
        store: Option<Store>,
        lookup: impl Fn(&str) -> Option<String>,
        egress: &Egress,
    ) -> Result<Self, StaffError> {
        Self::of(Agents::load(dir, default)?, store, lookup, egress)
    }

    /// These agents.
    pub fn of(
        agents: Agents,
        store: Option<Store>,
        lookup: impl Fn(&str) -> Option<String>,
        egress: &Egress,
    ) -> Result<Self, StaffError> {
        let tools = Tools::new(store, &agents, lookup, egress)?;
        let agents = Arc::new(agents);
        Ok(Self { agents, tools })
    }

    /// The same, and they send text messages.
    #[must_use]
    pub fn texting(mut self, texts: Option<Texts>) -> Self {
        self.tools.texts = texts;
        self
    }
}

/// What to answer.
#[derive(Clone)]
pub struct CallerTurn {
    /// What the caller said or typed.
    pub text: String,
    /// Whether it was typed.
    pub typed: bool,
    /// The conversation, what was said last included.
    pub history: Vec<Message>,
    /// The day at the caller's place.
    pub today: Date,
}

/// What comes of it, in this order; after the last [`Said::State`] there may be an [`Said::End`].
pub enum Said {
    /// The LLM's first token is here.
    FirstToken,
    /// A sentence to be spoken.
    Sentence(String),
    /// A tool begins to run: what comes of it cannot be taken back.
    Acting,
    /// A tool was run.
    Tool(ToolRecord),
    /// The conversation as it is from here on, once the turn counts.
    State(Box<Dialog>),
    /// The LLM wants the caller handed over to this number, which is nobody's to trust. Before [`Said::End`].
    Destination(String),
    /// The call ends when all was heard.
    End(Ending),
    /// There is no answer, or no more of it.
    Failed(String),
}

/// Why a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All is said.
    Goodbye,
    /// A person has to go on.
    HandOver,
}

/// A tool that was run. Holds PHI: never logged.
#[derive(Clone)]
pub struct ToolRecord {
    /// What was asked.
    pub call: ToolCall,
    /// What came of it.
    pub result: ToolResult,
    /// How long it took.
    pub took: Duration,
}

impl Mind {
    /// `deadline` is when a turn without words of the agent has failed: before that, the guided dialog must have spoken.
    pub fn new(llm: Option<LlmClient>, deadline: Duration) -> Self {
        let patience = deadline * 3 / 4;
        Self { llm, patience }
    }

    /// Answers `heard`. Nothing with a side effect is done before `committed` is true. Dropping the stream ends the answer; a tool
    /// that runs is not stopped half-way.
    pub fn answer(
        &self,
        staff: Arc<Staff>,
        dialog: Dialog,
        heard: CallerTurn,
        committed: watch::Receiver<bool>,
    ) -> impl Stream<Item = Said> + Send + 'static {
        let (out, said) = mpsc::channel(QUEUE);
        let answering = Answering {
            mind: self.clone(),
            staff,
            dialog,
            heard,
            committed,
            out,
            until: now() + self.patience,
        };
        let said = stream::unfold(said, async |mut said| Some((said.recv().await?, said)));
        // One stream that is polled drives both sides.
        let work = stream::once(answering.run()).filter_map(|()| std::future::ready(None));
        stream::select(said.boxed(), work.boxed())
    }
}

struct Answering {
    mind: Mind,
    staff: Arc<Staff>,
    dialog: Dialog,
    heard: CallerTurn,
    committed: watch::Receiver<bool>,
    out: mpsc::Sender<Said>,
    /// When the next sentence must be there.
    until: Instant,
}

impl Answering {
    async fn run(mut self) {
        let (text, today) = (self.heard.text.clone(), self.heard.today);
        let step = if self.heard.typed {
            self.dialog.press(&text, today)
        } else if self.mind.llm.is_none() {
            if !self.dialog.guides() {
                return self
                    .emit(Said::Failed("no LLM endpoint is configured".to_owned()))
                    .await;
            }
            self.dialog.hear(&text, today)
        } else if let Some(step) = self.dialog.overhear(&text, today) {
            step
        } else {
            // Whoever interrupts the LLM need not say it all again.
            self.emit_state().await;
            match self.talk().await {
                Talk::Answered => match self.dialog.chatted(today) {
                    Some(step) => step,
                    None => return self.emit_state().await,
                },
                Talk::Step(step) => step,
                Talk::Silent(_) | Talk::Broken(_) if self.dialog.guides() => self.dialog.take_over(&text, today),
                Talk::Silent(reason) | Talk::Broken(reason) => return self.emit(Said::Failed(reason)).await,
            }
        };
        self.carry_out(step).await;
    }

    /// Says what the dialog wants said, and runs the tools it wants run, until it waits for the caller.
    async fn carry_out(mut self, mut step: Step) {
        loop {
            for text in &step.say {
                for sentence in sentences(text) {
                    self.say(sentence).await;
                }
            }
            let ending = match step.next {
                Next::Run(call) => {
                    self.emit_state().await;
                    let result = self.tool(call).await;
                    step = self.dialog.done(&result, self.heard.today);
                    continue;
                }
                Next::Listen => None,
                Next::HandOver => Some(Ending::HandOver),
                Next::End => Some(Ending::Goodbye),
            };
            self.emit_state().await;
            if let Some(ending) = ending {
                self.emit(Said::End(ending)).await;
            }
            return;
        }
    }

    /// Runs a tool once the turn counts, and talks meanwhile if it takes long.
    async fn tool(&mut self, call: ToolCall) -> ToolResult {
        // Without whom it counts for, it never will.
        if self.committed.wait_for(|&committed| committed).await.is_err() {
            return ToolResult::plain(ToolResult::FAILED);
        }
        self.emit(Said::Acting).await;
        let began = now();
        let (staff, asked) = (Arc::clone(&self.staff), call.clone());
        let (agent, call_sid) = (self.dialog.agent().name.clone(), self.dialog.call_sid().to_owned());
        let (caller, today) = (self.dialog.person().map(str::to_owned), self.heard.today);
        let mut running = tokio::spawn(async move {
            let place = Place {
                agent: &agent,
                call_sid: &call_sid,
                caller: caller.as_deref(),
                today,
            };
            staff.tools.run(place, &asked).await
        });
        let mut phrase = self.dialog.agent().phrases.checking.clone();
        // The turn would fail if nothing was said for longer.
        let mut pause = SLOW.min(self.mind.patience);
        let result = loop {
            match tokio::time::timeout(pause, &mut running).await {
                Ok(Ok(result)) => break result,
                Ok(Err(_)) => break ToolResult::plain(ToolResult::FAILED),
                Err(_) if began.elapsed() > TOOL_DEADLINE => break ToolResult::plain(ToolResult::FAILED),
                Err(_) => {
                    self.say(phrase).await;
                    phrase = self.dialog.agent().phrases.still_checking.clone();
                    pause = VERY_SLOW.min(self.mind.patience);
                }
            }
        };
        let took = began.elapsed();
        let record = ToolRecord {
            call,
            result: result.clone(),
            took,
        };
        self.emit(Said::Tool(record)).await;
        result
    }

    async fn say(&mut self, sentence: String) {
        self.until = now() + self.mind.patience;
        self.emit(Said::Sentence(sentence)).await;
    }

    async fn emit_state(&self) {
        self.emit(Said::State(Box::new(self.dialog.clone()))).await;
    }

    async fn emit(&self, said: Said) {
        // An error means that nobody listens any more, and this future is dropped next.
        let _ = self.out.send(said).await;
    }
}

/// A text of the agent's file, cut as it is spoken.
pub fn sentences(text: &str) -> Vec<String> {
    let mut splitter = SentenceSplitter::new(MAX_SENTENCE);
    let mut out = Vec::new();
    splitter.push(text, &mut out);
    out.extend(splitter.finish());
    out
}

#[expect(
    clippy::disallowed_methods,
    reason = "a tool's time is taken, and the LLM's patience counted, where they run"
)]
fn now() -> Instant {
    Instant::now()
}

/// Items between the answer and the call.
const QUEUE: usize = 16;
const MAX_SENTENCE: usize = 220;
/// After this the caller is told that it takes a moment.
const SLOW: Duration = Duration::from_millis(800);
/// And again after each of these.
const VERY_SLOW: Duration = Duration::from_secs(5);
/// No tool takes longer; its own time-out is shorter.
const TOOL_DEADLINE: Duration = Duration::from_secs(35);
