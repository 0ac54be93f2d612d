//! The language model.

use super::parse::{self, Reader};
use super::secret::Secret;
use super::{or_unset, set_or_not};
use crate::privacy::egress::Mode;

/// Any OpenAI-compatible chat endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Llm {
    /// Base URL without a trailing slash, such as `http://127.0.0.1:8081/v1`. Default: OpenAI's when a key is set, else `None`,
    /// which means that no LLM is configured. Nothing is sent out of the house unless the operator says so.
    pub base_url: Option<String>,
    /// Sent as a bearer token. `LLM_API_KEY`, else `OPENAI_API_KEY`; local servers need none.
    pub api_key: Option<Secret>,
    /// The model's name at the endpoint. Default `gpt-4o-mini`: quick and cheap; servers with one model ignore it.
    pub model: String,
    /// Randomness, 0 to 2. Default 0.4: keeps to the facts of the prompt without sounding canned.
    pub temperature: f32,
    /// Longest reply in tokens. Default 200: about a minute of speech, more than a caller wants to hear.
    pub max_tokens: u32,
    /// Whether ids, numbers, dates, names and addresses leave as placeholders. Default: where the endpoint may be outside of the house.
    pub redact: bool,
}

impl Llm {
    pub(super) fn parse(reader: &mut Reader<'_>, privacy: Mode) -> Self {
        let own_key = reader.optional("LLM_API_KEY", parse::secret);
        let openai_key = reader.optional("OPENAI_API_KEY", parse::secret);
        let api_key = own_key.or(openai_key);
        let base_url = reader.optional("LLM_BASE_URL", parse::base_url("http://127.0.0.1:8081/v1"));
        Self {
            base_url: base_url.or_else(|| api_key.is_some().then(|| OPENAI.to_owned())),
            api_key,
            model: reader.or_default("LLM_MODEL", parse::text),
            temperature: reader.or_default("LLM_TEMPERATURE", parse::number(0.0, 2.0)),
            max_tokens: reader.or_default("LLM_MAX_TOKENS", parse::number(1, 32_768)),
            redact: reader
                .optional("LLM_REDACT", |text| {
                    parse::on_or_off(text).map_err(|bad| bad.example("on"))
                })
                .unwrap_or(privacy == Mode::CloudLlm),
        }
    }

    /// Whether the endpoint is the one that a key alone means.
    pub fn is_openai(&self) -> bool {
        self.base_url.as_deref() == Some(OPENAI)
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        lines.extend([
            ("LLM_BASE_URL", or_unset(self.base_url.as_ref(), "not set")),
            ("LLM_API_KEY", set_or_not(self.api_key.as_ref())),
            ("LLM_MODEL", self.model.clone()),
            ("LLM_TEMPERATURE", self.temperature.to_string()),
            ("LLM_MAX_TOKENS", self.max_tokens.to_string()),
            ("LLM_REDACT", if self.redact { "on" } else { "off" }.to_owned()),
        ]);
    }
}

/// Where a key without a URL belongs. Source: <https://platform.openai.com/docs/api-reference>.
const OPENAI: &str = "https://api.openai.com/v1";
