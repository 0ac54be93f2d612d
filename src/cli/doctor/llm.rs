//! The language model: a timed request for one token, as calls ask it.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;

use super::page::Line;
use crate::config::Llm;
use crate::dialog::llm::{Delta, LlmClient, LlmError, Message, Prompt};
use crate::privacy::egress::Egress;

/// What came of the request.
#[derive(Debug)]
pub(super) enum Asked {
    /// None is configured.
    Nobody,
    /// The first token came.
    Answered(Duration),
    /// An answer came, without a token.
    Empty,
    /// It refused, or was not there.
    Failed(LlmError),
    /// Nothing came for so long.
    Silent(Duration),
}

/// Asks for one token. Nothing of a caller is sent.
pub(super) async fn ask(settings: &Llm, patience: Duration, egress: &Egress) -> Asked {
    let settings = Llm {
        max_tokens: 1,
        ..settings.clone()
    };
    let client = match LlmClient::new(&settings, egress) {
        Ok(Some(client)) => client,
        Ok(None) => return Asked::Nobody,
        Err(error) => return Asked::Failed(error),
    };
    let prompt = Prompt {
        system: "Answer with one word.".to_owned(),
        messages: vec![Message::Caller("Hello".to_owned())],
        tools: Vec::new(),
    };
    let began = now();
    let mut reply = pin!(client.reply(prompt));
    match tokio::time::timeout(patience, reply.next()).await {
        Err(_) => Asked::Silent(patience),
        Ok(None) => Asked::Empty,
        Ok(Some(Err(error))) => Asked::Failed(error),
        Ok(Some(Ok(Delta::FirstToken | Delta::Sentence(_) | Delta::Call(_)))) => Asked::Answered(now() - began),
    }
}

/// `guides` tells whether the agent can do without.
pub(super) fn judge(settings: &Llm, guides: bool, asked: &Asked) -> Line {
    let url = settings.base_url.as_deref().unwrap_or_default();
    let model = &settings.model;
    let found = format!("{model} at {url}");
    let fault = |found: String, remedy: &str| {
        if guides {
            Line::warn(
                TOPIC,
                found,
                format!("{remedy}. Until then the agent guides callers by itself"),
            )
        } else {
            Line::fail(TOPIC, found, remedy)
        }
    };
    match asked {
        Asked::Nobody if guides => Line::ok(TOPIC, "none is configured: the agent guides callers by itself"),
        Asked::Nobody => Line::fail(
            TOPIC,
            "none is configured, and the agent has no forms or answers of its own",
            "set LLM_BASE_URL, or AGENT to an agent that guides callers by itself",
        ),
        Asked::Answered(after) if *after > SLOW => Line::warn(
            TOPIC,
            format!(
                "{found}: the first token took {} ms, which callers hear as silence",
                after.as_millis()
            ),
            "ask again: the first request may load the model. Else take a smaller model, or one nearer by",
        ),
        Asked::Answered(after) => Line::ok(TOPIC, format!("{found}: first token after {} ms", after.as_millis())),
        Asked::Empty => fault(format!("{found}: the answer was empty"), "try another LLM_MODEL"),
        Asked::Silent(patience) => fault(
            format!(
                "{found}: nothing came within LLM_DEADLINE ({} ms)",
                patience.as_millis()
            ),
            "see whether the server is busy loading its model; try it with curl",
        ),
        Asked::Failed(error) => fault(format!("{found}: {error}"), remedy(error)),
    }
}

fn remedy(error: &LlmError) -> &'static str {
    match error {
        LlmError::Refused(401 | 403) => "correct LLM_API_KEY: the endpoint does not accept it",
        LlmError::Refused(404) => {
            "correct LLM_BASE_URL (it usually ends in /v1) or LLM_MODEL: the endpoint knows one of them not"
        }
        LlmError::Refused(429) => "the account's limit is reached: see its plan, or wait",
        LlmError::Refused(300..=399) => "set LLM_BASE_URL to the address it redirects to",
        LlmError::Refused(400..=499) => "see whether LLM_MODEL is a chat model of this endpoint",
        LlmError::Refused(_) => "the endpoint is broken or overloaded: see its log",
        LlmError::Unreachable(_) => "start the server, or correct LLM_BASE_URL",
        LlmError::Nonsense => {
            "LLM_BASE_URL is no OpenAI-compatible endpoint, or its path is wrong (it usually ends in /v1)"
        }
        LlmError::Stalled | LlmError::Resting => "see the endpoint's log",
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}

const TOPIC: &str = "llm";
/// With the pause before it and the voice after it, a caller then waits for two seconds and more.
const SLOW: Duration = Duration::from_millis(1_500);

#[cfg(test)]
mod tests {
    use super::super::page::State;
    use super::*;
    use crate::config::{Config, Strings};

    #[test]
    fn a_fault_is_a_warning_where_the_agent_guides_by_itself() {
        let (config, _) = Config::read(
            &[("LLM_BASE_URL", "http://127.0.0.1:9/v1")]
                .into_iter()
                .collect::<Strings>(),
        );
        let judged = |guides, asked: &Asked| judge(&config.llm, guides, asked).state;
        let refused = Asked::Failed(LlmError::Refused(401));
        assert_eq!(
            (judged(true, &refused), judged(false, &refused)),
            (State::Warn, State::Fail)
        );
        assert_eq!(
            (judged(true, &Asked::Nobody), judged(false, &Asked::Nobody)),
            (State::Ok, State::Fail)
        );
        assert_eq!(judged(false, &Asked::Answered(SLOW)), State::Ok);
        assert_eq!(judged(false, &Asked::Answered(SLOW * 2)), State::Warn);
        let line = judge(&config.llm, false, &refused);
        assert!(line.remedy.is_some_and(|remedy| remedy.contains("LLM_API_KEY")));
    }
}
