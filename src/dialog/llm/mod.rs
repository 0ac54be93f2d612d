//! Replies from any OpenAI-compatible chat-completions endpoint, streamed sentence by sentence, and the tools they call.
//!
//! What is sent is written with async-openai's types; the stream is read here and not by its client: a caller waits for it, so that
//! attempts, deadlines and bounds are ours, and servers stream in more ways than that client reads.

pub mod breaker;
mod chunk;
mod prose;
mod reply;
mod request;
mod sse;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;

use crate::config::Llm;
use crate::privacy::egress::{Egress, Outlet, Purpose, Redirects, innermost};
use crate::turn::machine::{Line, Speaker};
use breaker::SharedBreaker;

/// One endpoint and model. Clones share the connections and the [breaker].
#[derive(Debug, Clone)]
pub struct LlmClient {
    outlet: Outlet,
    settings: Llm,
    base_url: String,
    breaker: Arc<SharedBreaker>,
    timing: Timing,
}

/// How long things take; other than the usual only in tests.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Without anything but keep-alives for so long, a stream is dead. Default [`STALL`].
    pub stall: Duration,
    /// By which the breaker's rests are counted.
    pub clock: fn() -> Instant,
}

private_debug!(Prompt, Message, CallRequest, Delta);

impl Default for Timing {
    fn default() -> Self {
        Self {
            stall: STALL,
            clock: now,
        }
    }
}

/// What a reply is wanted to. Holds PHI: never logged.
#[derive(Clone, PartialEq, Default)]
#[cfg_attr(test, derive(Debug))]
pub struct Prompt {
    /// What the model is told before the conversation.
    pub system: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// What the model may call; may be empty.
    pub tools: Vec<ToolSpec>,
}

/// A part of the conversation.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Message {
    /// The caller said it.
    Caller(String),
    /// We said it.
    Agent(String),
    /// The model asked for these. A [`Message::Result`] for each must follow.
    Calls(Vec<CallRequest>),
    /// What came of a call.
    Result {
        /// The call's.
        id: String,
        /// For the model to read, such as JSON.
        content: String,
    },
}

impl From<&Line> for Message {
    fn from(line: &Line) -> Self {
        match line.speaker {
            Speaker::Caller => Self::Caller(line.text.clone()),
            Speaker::Agent => Self::Agent(line.text.clone()),
        }
    }
}

/// A tool as the model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// `a-z`, `A-Z`, `0-9`, `_` and `-`, at most 64.
    pub name: String,
    /// What it does and when to call it.
    pub description: String,
    /// JSON schema of an object.
    pub parameters: serde_json::Value,
}

/// A tool call as the model wrote it: nothing in it is checked but its size. Holds PHI: never logged.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct CallRequest {
    /// The server's, else `call_<n>`, counted through the conversation.
    pub id: String,
    /// 1 to 64 bytes. Perhaps no tool there is.
    pub name: String,
    /// Perhaps JSON, perhaps empty; at most 8 KiB.
    pub arguments: String,
}

/// What arrives while a reply is generated.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Delta {
    /// The first token is here, be it of a text or of a call.
    FirstToken,
    /// The next sentence, ready to be spoken.
    Sentence(String),
    /// A complete tool call. After all text, at most 4 in a reply.
    Call(CallRequest),
}

/// Why there is no reply, or no more of it. Never holds what was said, nor a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// No answer, or a broken one.
    #[error("the LLM endpoint cannot be reached: {0}")]
    Unreachable(String),
    /// The endpoint refused.
    #[error("the LLM endpoint answered HTTP {0}")]
    Refused(u16),
    /// Not what the API promises.
    #[error("the LLM endpoint sent something that is no chat completion")]
    Nonsense,
    /// Nothing came for [`Timing::stall`].
    #[error("the LLM endpoint went silent")]
    Stalled,
    /// It failed several times in a row and is left alone for a while; see [breaker]. Told at once.
    #[error("the LLM endpoint failed repeatedly and is left alone for now")]
    Resting,
}

impl LlmClient {
    /// `None` when no endpoint is configured. Connects only where `egress` lets it.
    pub fn new(settings: &Llm, egress: &Egress) -> Result<Option<Self>, LlmError> {
        let Some(base_url) = settings.base_url.clone() else {
            return Ok(None);
        };
        // Keep-alive: a new TCP and TLS handshake would cost a turn its first token. A redirect would take what callers said
        // to another place than the operator chose.
        let outlet = egress
            .outlet(Purpose::Llm, &base_url, Redirects::Never, |client| {
                client
                    .connect_timeout(CONNECT_TIMEOUT)
                    .pool_idle_timeout(None)
                    .tcp_nodelay(true)
            })
            .map_err(|error| LlmError::Unreachable(error.to_string()))?;
        Ok(Some(Self {
            outlet,
            settings: settings.clone(),
            base_url,
            breaker: Arc::default(),
            timing: Timing::default(),
        }))
    }

    /// The same client by other clocks.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// Where the endpoint is.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Whether what is private is replaced before it is asked: see [`crate::dialog::redact`].
    pub fn redacts(&self) -> bool {
        self.settings.redact
    }

    /// The HTTP status of its list of models, which tells that it is there.
    pub async fn probe(&self, patience: Duration) -> Result<u16, LlmError> {
        let asked = self.outlet.get("models").timeout(patience).send().await;
        let answer = asked.map_err(|error| LlmError::Unreachable(innermost(&error.without_url())))?;
        Ok(answer.status().as_u16())
    }

    /// Streams the reply; nothing is sent before the stream is polled. Dropping it closes the connection. An error is the last
    /// item, and calls that were not complete before it are left out. What a model writes as thoughts, as JSON or as a tool
    /// call in the text is no [`Delta::Sentence`].
    ///
    /// One failed attempt is repeated within 0.7 s if nothing had come yet; three failed replies in a row, of whichever calls,
    /// and there are none for a while ([`LlmError::Resting`]).
    pub fn reply(&self, prompt: Prompt) -> impl Stream<Item = Result<Delta, LlmError>> + Send + 'static {
        let key = self.settings.api_key.as_ref().map_or("none", |key| key.expose());
        let request = self
            .outlet
            .post("chat/completions")
            .bearer_auth(key)
            .json(&request::body(&self.settings, &prompt));
        let earlier = prompt.messages.iter().map(|message| match message {
            Message::Calls(calls) => calls.len(),
            Message::Caller(_) | Message::Agent(_) | Message::Result { .. } => 0,
        });
        reply::stream(request, Arc::clone(&self.breaker), self.timing, earlier.sum())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "attempts and rests are counted where they happen"
)]
fn now() -> Instant {
    Instant::now()
}

/// The turn's own deadline is shorter.
pub const STALL: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
