//! Who answers a caller: the LLM where there is one that works, the guided dialog otherwise. Both fill the same forms.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{mpsc, watch};

use crate::dialog::agent::{Agents, Context, SetError};
use crate::dialog::form::{Dialog, Next, Step};
use crate::dialog::llm::{CallRequest, Delta, LlmClient, Message, Prompt, ToolSpec};
use crate::dialog::slot::Date;
use crate::dialog::tool::http::HttpToolsError;
use crate::dialog::tool::{ToolCall, ToolResult, Tools};
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
    /// Reads the agents' files. `lookup` gives what `${NAME}` in a tool's header stands for.
    pub fn load(
        dir: &Path,
        default: &str,
        store: Option<Store>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StaffError> {
        Self::of(Agents::load(dir, default)?, store, lookup)
    }

    /// These agents.
    pub fn of(
        agents: Agents,
        store: Option<Store>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StaffError> {
        let tools = Tools::new(store, &agents, lookup)?;
        let agents = Arc::new(agents);
        Ok(Self { agents, tools })
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

/// What comes of it, in this order; the last item is [`Said::State`], after which there may be an [`Said::End`].
pub enum Said {
    /// The LLM's first token is here.
    FirstToken,
    /// A sentence to be spoken.
    Sentence(String),
    /// A tool was run.
    Tool(ToolRecord),
    /// The conversation as it is from here on, once the turn counts.
    State(Box<Dialog>),
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
}

/// What the LLM's turn came to.
enum Talk {
    /// It has answered.
    Answered,
    /// It has handed in a form, or ends the call.
    Step(Step),
    /// It has not, and said nothing.
    Silent(String),
    /// It broke off after a sentence.
    Broken(String),
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
            match self.talk().await {
                Talk::Answered => return self.emit_state().await,
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
                    self.emit(Said::Sentence(sentence)).await;
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
        // An error means that the call is gone, and this stream with it.
        let _ = self.committed.wait_for(|&committed| committed).await;
        let began = tokio::time::Instant::now();
        let (staff, asked) = (Arc::clone(&self.staff), call.clone());
        let (agent, call_sid) = (self.dialog.agent().name.clone(), self.dialog.call_sid().to_owned());
        let mut running = tokio::spawn(async move { staff.tools.run(&agent, &call_sid, &asked).await });
        let mut phrase = self.dialog.agent().phrases.checking.clone();
        let result = loop {
            match tokio::time::timeout(if began.elapsed() < SLOW { SLOW } else { VERY_SLOW }, &mut running).await {
                Ok(Ok(result)) => break result,
                Ok(Err(_)) => break ToolResult::plain(ToolResult::FAILED),
                Err(_) if began.elapsed() > TOOL_DEADLINE => break ToolResult::plain(ToolResult::FAILED),
                Err(_) => {
                    self.emit(Said::Sentence(phrase)).await;
                    phrase = self.dialog.agent().phrases.still_checking.clone();
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

    /// Lets the LLM answer, and call tools, a few times over.
    async fn talk(&mut self) -> Talk {
        let Some(llm) = self.mind.llm.clone() else {
            return Talk::Silent("no LLM endpoint is configured".to_owned());
        };
        let mut messages = self.heard.history.clone();
        let mut spoken = false;
        for _ in 0..ROUNDS {
            let mut deltas = llm.reply(self.prompt(messages.clone())).boxed();
            let mut calls = Vec::new();
            let mut text = String::new();
            loop {
                let delta = match tokio::time::timeout(self.mind.patience, deltas.next()).await {
                    Ok(Some(delta)) => delta.map_err(|error| error.to_string()),
                    Ok(None) => break,
                    Err(_) => Err("the LLM endpoint is too slow".to_owned()),
                };
                match delta {
                    Ok(Delta::FirstToken) => self.emit(Said::FirstToken).await,
                    Ok(Delta::Sentence(sentence)) => {
                        spoken = true;
                        text.push_str(&sentence);
                        text.push(' ');
                        self.emit(Said::Sentence(sentence)).await;
                    }
                    Ok(Delta::Call(call)) => calls.push(call),
                    Err(reason) => {
                        tracing::warn!(reason, "the LLM did not answer: {reason}");
                        return if spoken {
                            Talk::Broken(reason)
                        } else {
                            Talk::Silent(reason)
                        };
                    }
                }
            }
            drop(deltas);
            if calls.is_empty() {
                return if spoken {
                    Talk::Answered
                } else {
                    Talk::Silent("the LLM's answer was empty".to_owned())
                };
            }
            if !text.is_empty() {
                messages.push(Message::Agent(text.trim_end().to_owned()));
            }
            messages.push(Message::Calls(calls.clone()));
            for call in &calls {
                match self.called(call).await {
                    Ok(step) => return Talk::Step(step),
                    Err(content) => messages.push(Message::Result {
                        id: call.id.clone(),
                        content,
                    }),
                }
            }
        }
        let reason = "the LLM called tools over and over".to_owned();
        tracing::warn!(reason, "the LLM did not answer: {reason}");
        if spoken {
            Talk::Broken(reason)
        } else {
            Talk::Silent(reason)
        }
    }

    /// Does what the LLM asks for: a step of the dialog, or text for it to read.
    async fn called(&mut self, request: &CallRequest) -> Result<Step, String> {
        let today = self.heard.today;
        let args = serde_json::from_str::<serde_json::Value>(&request.arguments);
        let args = args.ok().and_then(|args| args.as_object().cloned());
        if let Some(next) = own_tool(&request.name) {
            return Ok(self.dialog.end(next));
        }
        // What a form lacks is asked, so that bad arguments cost a question and not the call.
        match self
            .dialog
            .submit(&request.name, &args.clone().unwrap_or_default(), today)
        {
            Ok(step) => Ok(step),
            Err(unfit) => {
                let readable = self.staff.tools.readable(&self.dialog.agent().name);
                if !readable.map(|tool| &tool.name).any(|name| *name == request.name) {
                    return Err(format!("error: {unfit}"));
                }
                let Some(args) = args else {
                    return Err("error: the arguments are not a JSON object".to_owned());
                };
                let call = ToolCall {
                    tool: request.name.clone(),
                    args,
                    key: String::new(),
                };
                let ToolResult { outcome, data } = self.tool(call).await;
                Err(serde_json::json!({ "outcome": outcome, "data": data }).to_string())
            }
        }
    }

    fn prompt(&self, messages: Vec<Message>) -> Prompt {
        let agent = self.dialog.agent();
        let mut tools: Vec<ToolSpec> = self.dialog.tools().into_iter().map(spec).collect();
        tools.extend(self.staff.tools.readable(&agent.name).map(|tool| ToolSpec {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone(),
        }));
        if self.dialog.guides() {
            tools.extend(OWN_TOOLS.iter().map(|(name, description, _)| {
                let parameters = serde_json::json!({ "type": "object", "properties": {} });
                spec(((*name).to_owned(), (*description).to_owned(), parameters))
            }));
        }
        let known = self.dialog.known();
        let mut system = agent.system_prompt.render_lines(&self.system_context());
        if !known.is_empty() {
            system = format!("{system}\n\nWhat is known so far:\n{known}");
        }
        let skip = messages.len().saturating_sub(agent.limits.max_history);
        Prompt {
            system,
            messages: messages.into_iter().skip(skip).collect(),
            tools,
        }
    }

    fn system_context(&self) -> Context {
        self.dialog.template_context(self.heard.today)
    }

    async fn emit_state(&self) {
        self.emit(Said::State(Box::new(self.dialog.clone()))).await;
    }

    async fn emit(&self, said: Said) {
        // An error means that nobody listens any more, and this future is dropped next.
        let _ = self.out.send(said).await;
    }
}

/// Tools that every agent has, beside its forms.
const OWN_TOOLS: &[(&str, &str, Next)] = &[
    (
        "end_call",
        "Says goodbye and ends the call, when the caller is done.",
        Next::End,
    ),
    (
        "transfer_call",
        "Hands the caller over to a person, when they ask for one or cannot be helped.",
        Next::HandOver,
    ),
];

fn own_tool(name: &str) -> Option<Next> {
    let found = OWN_TOOLS.iter().find(|(own, ..)| *own == name);
    found.map(|(.., next)| next.clone())
}

fn spec((name, description, parameters): (String, String, serde_json::Value)) -> ToolSpec {
    ToolSpec {
        name,
        description,
        parameters,
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

/// Items between the answer and the call.
const QUEUE: usize = 16;
/// Times that the LLM may call tools for one answer.
const ROUNDS: usize = 4;
const MAX_SENTENCE: usize = 220;
/// After this the caller is told that it takes a moment.
const SLOW: Duration = Duration::from_millis(800);
/// And again after each of these.
const VERY_SLOW: Duration = Duration::from_secs(5);
/// No tool takes longer; its own time-out is shorter.
const TOOL_DEADLINE: Duration = Duration::from_secs(35);
