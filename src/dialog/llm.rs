//! Replies from any OpenAI-compatible chat-completions endpoint, streamed sentence by sentence.

use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionRequestAssistantMessage, ChatCompletionRequestAssistantMessageContent, ChatCompletionRequestMessage,
    ChatCompletionRequestSystemMessageContent, ChatCompletionRequestUserMessageContent, CreateChatCompletionRequest,
};
use futures_util::{Stream, StreamExt, stream};

use crate::config::Llm;
use crate::speech::sentence::SentenceSplitter;
use crate::turn::machine::{Line, Speaker};

/// One endpoint and model.
#[derive(Debug, Clone)]
pub struct LlmClient {
    client: Client<OpenAIConfig>,
    settings: Llm,
    base_url: String,
}

/// What arrives while a reply is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// The first token is here.
    FirstToken,
    /// The next sentence, ready to be spoken.
    Sentence(String),
}

/// Why there is no reply, or no more of it. Never holds what was said.
#[derive(Debug, thiserror::Error)]
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
}

impl LlmClient {
    /// `None` when no endpoint is configured.
    pub fn new(settings: &Llm) -> Result<Option<Self>, LlmError> {
        let Some(base_url) = settings.base_url.clone() else {
            return Ok(None);
        };
        let key = settings.api_key.as_ref().map_or("none", |key| key.expose());
        let config = OpenAIConfig::new().with_api_base(base_url.as_str()).with_api_key(key);
        // Keep-alive: a new TCP and TLS handshake would cost a turn its first token.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(None)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| LlmError::Unreachable(error.to_string()))?;
        let client = Client::build(http, config);
        Ok(Some(Self {
            client,
            settings: settings.clone(),
            base_url,
        }))
    }

    /// Where the endpoint is.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Streams the reply to `history`. Dropping the stream closes the connection.
    pub fn reply(
        &self,
        system: &str,
        history: &[Line],
    ) -> impl Stream<Item = Result<Delta, LlmError>> + Send + 'static {
        let request = self.request(system, history);
        let client = self.client.clone();
        let open = async move { client.chat().create_stream(request).await };
        stream::once(open).flat_map(|opened| match opened {
            Ok(tokens) => sentences(tokens.map(|chunk| {
                let chunk = chunk.map_err(|error| reason(&error))?;
                Ok(chunk
                    .choices
                    .into_iter()
                    .next()
                    .and_then(|choice| choice.delta.content)
                    .unwrap_or_default())
            }))
            .boxed(),
            Err(error) => stream::once(std::future::ready(Err(reason(&error)))).boxed(),
        })
    }

    fn request(&self, system: &str, history: &[Line]) -> CreateChatCompletionRequest {
        let mut messages: Vec<ChatCompletionRequestMessage> = vec![ChatCompletionRequestMessage::System(
            ChatCompletionRequestSystemMessageContent::from(system).into(),
        )];
        messages.extend(history.iter().map(|line| match line.speaker {
            Speaker::Caller => ChatCompletionRequestMessage::User(
                ChatCompletionRequestUserMessageContent::from(line.text.as_str()).into(),
            ),
            Speaker::Agent => {
                let content = ChatCompletionRequestAssistantMessageContent::Text(line.text.clone());
                ChatCompletionRequestMessage::Assistant(ChatCompletionRequestAssistantMessage::from(content))
            }
        }));
        let mut request = CreateChatCompletionRequest {
            model: self.settings.model.clone(),
            messages,
            temperature: Some(self.settings.temperature),
            ..Default::default()
        };
        // OpenAI's newer models refuse the old name, most local servers know only the old one.
        if self.base_url.contains("api.openai.com") {
            request.max_completion_tokens = Some(self.settings.max_tokens);
        } else {
            #[expect(deprecated, reason = "what llama.cpp, vLLM and Ollama read")]
            {
                request.max_tokens = Some(self.settings.max_tokens);
            }
        }
        request
    }
}

/// Cuts a stream of tokens into sentences.
fn sentences(
    tokens: impl Stream<Item = Result<String, LlmError>> + Send + 'static,
) -> impl Stream<Item = Result<Delta, LlmError>> + Send + 'static {
    let state = Cutter {
        splitter: SentenceSplitter::new(MAX_SENTENCE).with_first_clause(true),
        begun: false,
        said: 0,
    };
    let ended = tokens.map(Some).chain(stream::once(std::future::ready(None)));
    ended
        .scan(state, |state, token| {
            // The end of this stream closes the connection: a model that does not stop is stopped here.
            std::future::ready((state.said < MAX_SENTENCES).then(|| state.take(token)))
        })
        .flat_map(stream::iter)
}

struct Cutter {
    splitter: SentenceSplitter,
    begun: bool,
    said: usize,
}

impl Cutter {
    fn take(&mut self, token: Option<Result<String, LlmError>>) -> Vec<Result<Delta, LlmError>> {
        let mut out = Vec::new();
        let mut ready = Vec::new();
        match token {
            Some(Ok(token)) => {
                if !self.begun && !token.is_empty() {
                    self.begun = true;
                    out.push(Ok(Delta::FirstToken));
                }
                self.splitter.push(&token, &mut ready);
            }
            None => ready.extend(self.splitter.finish()),
            Some(Err(error)) => out.push(Err(error)),
        }
        // Nobody listens to a lecture on the phone.
        let room = MAX_SENTENCES.saturating_sub(self.said);
        self.said += ready.len();
        out.extend(
            ready
                .into_iter()
                .take(room)
                .map(|sentence| Ok(Delta::Sentence(sentence))),
        );
        out
    }
}

fn reason(error: &OpenAIError) -> LlmError {
    match error {
        OpenAIError::Reqwest(error) => match error.status() {
            Some(status) => LlmError::Refused(status.as_u16()),
            None => LlmError::Unreachable(root_cause(error)),
        },
        OpenAIError::ApiError(answer) => LlmError::Refused(answer.status_code.as_u16()),
        OpenAIError::JSONDeserialize(..) | OpenAIError::StreamError(_) | OpenAIError::InvalidArgument(_) => {
            LlmError::Nonsense
        }
        OpenAIError::FileSaveError(_) | OpenAIError::FileReadError(_) => LlmError::Nonsense,
    }
}

/// The innermost reason, which names neither URL nor body.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Characters after which a run-on sentence is cut.
const MAX_SENTENCE: usize = 220;
const MAX_SENTENCES: usize = 12;
