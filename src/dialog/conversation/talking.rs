//! The LLM's turn: what it is told, what it says, and the tools it calls.

use futures_util::StreamExt;

use super::{Answering, Said};
use crate::dialog::agent::{Context, OWN_TOOLS, Part, Then};
use crate::dialog::form::{Next, Step};
use crate::dialog::llm::{CallRequest, Delta, Message, Prompt, ToolSpec};
use crate::dialog::redact::Redaction;
use crate::dialog::tool::{ToolCall, ToolResult};

/// What the LLM's turn came to.
pub(super) enum Talk {
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
    /// Lets the LLM answer, and call tools, a few times over.
    pub(super) async fn talk(&mut self) -> Talk {
        let Some(llm) = self.mind.llm.clone() else {
            return Talk::Silent("no LLM endpoint is configured".to_owned());
        };
        let mut messages = self.heard.history.clone();
        let (mut spoken, mut run) = (false, Vec::new());
        for _ in 0..ROUNDS {
            let mut redaction = llm.redacts().then(|| self.redaction());
            let prompt = self.prompt(&messages, redaction.as_mut());
            let mut deltas = llm.reply(prompt).boxed();
            let mut calls = Vec::new();
            let mut text = String::new();
            loop {
                let delta = match tokio::time::timeout_at(self.until, deltas.next()).await {
                    Ok(Some(delta)) => delta.map_err(|error| error.to_string()),
                    Ok(None) => break,
                    Err(_) => Err("the LLM endpoint is too slow".to_owned()),
                };
                match delta {
                    Ok(Delta::FirstToken) => self.emit(Said::FirstToken).await,
                    Ok(Delta::Sentence(sentence)) => {
                        let sentence = match &redaction {
                            Some(hidden) => hidden.show(&sentence),
                            None => sentence,
                        };
                        spoken = true;
                        text.push_str(&sentence);
                        text.push(' ');
                        self.say(sentence).await;
                    }
                    Ok(Delta::Call(call)) => calls.push(match &redaction {
                        Some(hidden) => hidden.show_call(call),
                        None => call,
                    }),
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
            // What is to be done comes before the end of the call.
            calls.sort_by_key(|call| own_tool(&call.name).is_some());
            for call in calls {
                let same = |other: &CallRequest| other.name == call.name && other.arguments == call.arguments;
                let content = if run.iter().any(same) {
                    "error: this was called before; its answer is above".to_owned()
                } else {
                    match self.called(&call).await {
                        Ok(step) => return Talk::Step(step),
                        Err(content) => content,
                    }
                };
                let id = call.id.clone();
                messages.push(Message::Result { id, content });
                run.push(call);
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
        let text = &self.heard.text;
        match own_tool(&request.name) {
            // Nobody hangs up on a caller who has just said what the form asks for.
            Some(Next::End) if self.dialog.is_filling() => return Ok(self.dialog.take_over(text, today)),
            Some(next) => {
                // The tool takes no number; one that is given comes from a model that was talked into it.
                let mut numbers = args.iter().flatten().filter_map(|(_, value)| number_in(value));
                if next == Next::HandOver
                    && let Some(number) = numbers.next()
                {
                    self.emit(Said::Destination(number)).await;
                }
                return Ok(self.dialog.end(next));
            }
            None => {}
        }
        // What a form lacks is asked, so that bad arguments cost a question and not the call.
        let given = args.clone().unwrap_or_default();
        match self.dialog.submit(&request.name, &given, text, today) {
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

    fn prompt(&self, messages: &[Message], redaction: Option<&mut Redaction>) -> Prompt {
        let agent = self.dialog.agent();
        let mut tools: Vec<ToolSpec> = self.dialog.tools().into_iter().map(spec).collect();
        tools.extend(self.staff.tools.readable(&agent.name).map(|tool| ToolSpec {
            name: tool.name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone(),
        }));
        if self.dialog.guides() {
            tools.extend(OWN_TOOLS.iter().map(|own| {
                let parameters = serde_json::json!({ "type": "object", "properties": {} });
                spec((own.name.to_owned(), own.description.to_owned(), parameters))
            }));
        }
        let known = self.dialog.known();
        let mut told = agent.system_prompt.render_parts(&self.system_context());
        if !known.is_empty() {
            told.push(Part::Own("\n\nWhat is known so far:\n".to_owned()));
            told.extend(known);
        }
        // Of the conversation only: what this turn has called belongs together with its answers.
        let skip = self.heard.history.len().saturating_sub(agent.limits.max_history);
        let messages = messages[skip..].to_vec();
        let (messages, system) = match redaction {
            Some(hidden) => (hidden.messages(messages), hidden.system(&told)),
            None => (messages, told.iter().map(Part::text).collect()),
        };
        Prompt {
            system,
            messages,
            tools,
        }
    }

    /// For an LLM that is not to learn who somebody is.
    fn redaction(&self) -> Redaction {
        Redaction::new(self.dialog.private(), self.dialog.agent().language, self.heard.today)
    }

    fn system_context(&self) -> Context {
        self.dialog.template_context(self.heard.today)
    }
}

fn own_tool(name: &str) -> Option<Next> {
    let found = OWN_TOOLS.iter().find(|own| own.name == name)?;
    let hands_over = found.then == Then::HandOver;
    Some(if hands_over { Next::HandOver } else { Next::End })
}

/// A model's argument, if it is what can be dialled.
fn number_in(value: &serde_json::Value) -> Option<String> {
    let text = match value {
        serde_json::Value::String(text) => text.trim().to_owned(),
        serde_json::Value::Number(number) => number.to_string(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => return None,
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text.chars().all(|c| c.is_ascii_digit() || " +-.()/*#".contains(c));
    let dialled = ["sip:", "sips:", "tel:", "client:"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    (plain && digits >= MIN_DIGITS || dialled).then_some(text)
}

fn spec((name, description, parameters): (String, String, serde_json::Value)) -> ToolSpec {
    ToolSpec {
        name,
        description,
        parameters,
    }
}

/// Emergency and premium numbers are short.
const MIN_DIGITS: usize = 3;
/// Times that the LLM may call tools for one answer.
const ROUNDS: usize = 4;
