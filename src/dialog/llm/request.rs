//! What is sent, and the one quick second attempt.

use std::time::Duration;

use async_openai::types::chat::{
    ChatCompletionMessageToolCall, ChatCompletionRequestAssistantMessage as Assistant, ChatCompletionRequestMessage,
    ChatCompletionRequestToolMessage, ChatCompletionTool, ChatCompletionTools, CreateChatCompletionRequest,
    FunctionCall, FunctionObject,
};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::{CallRequest, LlmError, Message, Prompt, ToolSpec, now};
use crate::config::Llm;
use crate::privacy::egress::innermost;

/// The body of `POST /chat/completions`.
#[expect(deprecated, reason = "most local servers know only the old name of the limit")]
pub(super) fn body(settings: &Llm, prompt: &Prompt) -> CreateChatCompletionRequest {
    let base_url = settings.base_url.as_ref();
    // Its newer models refuse the old name.
    let openai = base_url.is_some_and(|url| url.contains("api.openai.com"));
    let limit = Some(settings.max_tokens);
    CreateChatCompletionRequest {
        model: settings.model.clone(),
        messages: messages(prompt),
        temperature: Some(settings.temperature),
        stream: Some(true),
        max_completion_tokens: limit.filter(|_| openai),
        max_tokens: limit.filter(|_| !openai),
        // An empty list is refused by some servers.
        tools: Some(prompt.tools.iter().map(tool).collect()).filter(|tools: &Vec<_>| !tools.is_empty()),
        ..CreateChatCompletionRequest::default()
    }
}

fn messages(prompt: &Prompt) -> Vec<ChatCompletionRequestMessage> {
    let mut messages = vec![ChatCompletionRequestMessage::System(prompt.system.as_str().into())];
    let mut after_agent = false;
    for message in &prompt.messages {
        let said = std::mem::replace(&mut after_agent, matches!(message, Message::Agent(_)));
        let next = match message {
            Message::Caller(text) => ChatCompletionRequestMessage::User(text.as_str().into()),
            Message::Agent(text) => ChatCompletionRequestMessage::Assistant(text.as_str().into()),
            Message::Calls(calls) => {
                let tool_calls = Some(calls.iter().map(|asked| call(asked).into()).collect());
                // What was said before the calls is part of the same message.
                let before = if said { messages.pop() } else { None };
                match before {
                    Some(ChatCompletionRequestMessage::Assistant(last)) => Assistant { tool_calls, ..last },
                    _ => Assistant {
                        tool_calls,
                        ..Assistant::default()
                    },
                }
                .into()
            }
            Message::Result { id, content } => ChatCompletionRequestToolMessage {
                content: content.as_str().into(),
                tool_call_id: id.clone(),
            }
            .into(),
        };
        messages.push(next);
    }
    messages
}

fn tool(tool: &ToolSpec) -> ChatCompletionTools {
    let function = FunctionObject {
        name: tool.name.clone(),
        description: Some(tool.description.clone()),
        parameters: Some(tool.parameters.clone()),
        strict: None,
    };
    ChatCompletionTools::Function(ChatCompletionTool { function })
}

fn call(call: &CallRequest) -> ChatCompletionMessageToolCall {
    // Chat templates read the arguments as JSON, and the server fails if they are none.
    let is_object = serde_json::from_str::<Value>(&call.arguments).is_ok_and(|value| value.is_object());
    let arguments = if is_object { call.arguments.as_str() } else { "{}" };
    let function = FunctionCall {
        name: call.name.clone(),
        arguments: arguments.to_owned(),
    };
    ChatCompletionMessageToolCall {
        id: call.id.clone(),
        function,
    }
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
        (LlmError::Unreachable(innermost(&error)), Some(PAUSE))
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

/// From the first attempt to the second: longer would be silence on the line.
const BUDGET: Duration = Duration::from_millis(700);
/// Long enough for a server that is just being restarted behind its proxy to be another one.
const PAUSE: Duration = Duration::from_millis(100);
