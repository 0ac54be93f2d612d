//! What is sent, and the one quick second attempt.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{CallRequest, LlmError, Message, Prompt, ToolSpec, now};
use crate::config::Llm;

/// The body of `POST /chat/completions`.
pub(super) fn body(settings: &Llm, prompt: &Prompt) -> Value {
    let mut body = json!({
        "model": settings.model,
        "messages": messages(prompt),
        "temperature": settings.temperature,
        "stream": true,
    });
    // OpenAI's newer models refuse the old name, most local servers know only the old one.
    let openai = settings
        .base_url
        .as_ref()
        .is_some_and(|url| url.contains("api.openai.com"));
    let limit = if openai { "max_completion_tokens" } else { "max_tokens" };
    body[limit] = settings.max_tokens.into();
    // An empty list is refused by some servers.
    if !prompt.tools.is_empty() {
        body["tools"] = prompt.tools.iter().map(tool).collect();
    }
    body
}

fn messages(prompt: &Prompt) -> Vec<Value> {
    let mut messages = vec![json!({ "role": "system", "content": prompt.system })];
    let mut after_agent = false;
    for message in &prompt.messages {
        let said = std::mem::replace(&mut after_agent, matches!(message, Message::Agent(_)));
        match message {
            Message::Caller(text) => messages.push(json!({ "role": "user", "content": text })),
            Message::Agent(text) => messages.push(json!({ "role": "assistant", "content": text })),
            Message::Calls(calls) => {
                let calls: Value = calls.iter().map(call).collect();
                match messages.last_mut().filter(|_| said) {
                    // What was said before the calls is part of the same message.
                    Some(last) => last["tool_calls"] = calls,
                    None => messages.push(json!({ "role": "assistant", "content": null, "tool_calls": calls })),
                }
            }
            Message::Result { id, content } => {
                messages.push(json!({ "role": "tool", "tool_call_id": id, "content": content }));
            }
        }
    }
    messages
}

fn tool(tool: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": { "name": tool.name, "description": tool.description, "parameters": tool.parameters },
    })
}

fn call(call: &CallRequest) -> Value {
    // Chat templates read the arguments as JSON, and the server fails if they are none.
    let is_object = serde_json::from_str::<Value>(&call.arguments).is_ok_and(|value| value.is_object());
    let arguments = if is_object { call.arguments.as_str() } else { "{}" };
    json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": arguments } })
}

/// Sends until the head of an answer is here that is a stream, or until a second attempt makes no sense.
pub(super) async fn open(request: RequestBuilder) -> Result<Response, LlmError> {
    let begun = now();
    let second = request.try_clone();
    let (error, delay) = match attempt(request).await {
        Ok(response) => return Ok(response),
        Err(failed) => failed,
    };
    let (Some(second), Some(delay)) = (second, delay) else {
        return Err(error);
    };
    let at = now() + delay;
    if at.saturating_duration_since(begun) > BUDGET {
        return Err(error);
    }
    tracing::debug!(%error, "the LLM endpoint is asked again: {error}");
    tokio::time::sleep_until(at.into()).await;
    attempt(second).await.map_err(|(error, _)| error)
}

/// An error comes with the delay after which another attempt may do better.
async fn attempt(request: RequestBuilder) -> Result<Response, (LlmError, Option<Duration>)> {
    let response = request.send().await.map_err(|error| {
        let error = error.without_url();
        (LlmError::Unreachable(root_cause(&error)), Some(PAUSE))
    })?;
    let status = response.status();
    if status.is_success() {
        let kind = response.headers().get(CONTENT_TYPE);
        let kind = kind
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        // Servers label a stream in many ways; these are surely none.
        if ["text/html", "application/json"]
            .iter()
            .any(|other| kind.starts_with(other))
        {
            return Err((LlmError::Nonsense, None));
        }
        return Ok(response);
    }
    let delay = (status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS)
        .then(|| retry_after(&response))
        .flatten();
    Err((LlmError::Refused(status.as_u16()), delay))
}

/// What the server asks for, [`PAUSE`] if it does not say. `None` if it is a date, which is never soon.
fn retry_after(response: &Response) -> Option<Duration> {
    let Some(value) = response.headers().get(RETRY_AFTER) else {
        return Some(PAUSE);
    };
    let seconds: f64 = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).ok()?.max(PAUSE))
}

/// The innermost reason, which names neither URL nor body.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// From the first attempt to the second: longer would be silence on the line.
const BUDGET: Duration = Duration::from_millis(700);
/// Long enough for a server that is just being restarted behind its proxy to be another one.
const PAUSE: Duration = Duration::from_millis(100);
