//! One reply: from the body's bytes to sentences and calls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, Stream, stream};
use reqwest::{RequestBuilder, Response};

use super::breaker::SharedBreaker;
use super::chunk::{Calls, Chunk, ChunkDelta, Fragment};
use super::prose::Prose;
use super::request;
use super::sse::Events;
use super::{Delta, LlmError, Timing, now};
use crate::privacy::egress::innermost;
use crate::speech::sentence::SentenceSplitter;

/// See [`super::LlmClient::reply`].
pub(super) fn stream(
    request: RequestBuilder,
    breaker: Arc<SharedBreaker>,
    timing: Timing,
    earlier_calls: usize,
) -> impl Stream<Item = Result<Delta, LlmError>> + Send + 'static {
    let reply = Reply {
        state: State::Unsent(request),
        breaker,
        timing,
        earlier_calls,
        reader: Reader::new(),
        ready: VecDeque::new(),
    };
    stream::unfold(reply, |mut reply| async move {
        let delta = reply.next().await?;
        Some((delta, reply))
    })
}

struct Reply {
    state: State,
    breaker: Arc<SharedBreaker>,
    timing: Timing,
    earlier_calls: usize,
    reader: Reader,
    ready: VecDeque<Result<Delta, LlmError>>,
}

enum State {
    Unsent(RequestBuilder),
    Streaming(Response, Attempt),
    Ended,
}

impl Reply {
    async fn next(&mut self) -> Option<Result<Delta, LlmError>> {
        loop {
            if let Some(delta) = self.ready.pop_front() {
                return Some(delta);
            }
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return None,
                State::Unsent(request) => self.send(request).await,
                State::Streaming(response, attempt) => self.read(response, attempt).await,
            }
        }
    }

    async fn send(&mut self, request: RequestBuilder) {
        if !self.breaker.allows((self.timing.clock)()) {
            self.ready.push_back(Err(LlmError::Resting));
            return;
        }
        let attempt = Attempt::new(Arc::clone(&self.breaker), self.timing.clock);
        match tokio::time::timeout(self.timing.stall, request::open(request)).await {
            Ok(Ok(response)) => self.state = State::Streaming(response, attempt),
            Ok(Err(error)) => self.fail(error, attempt),
            Err(_) => self.fail(LlmError::Stalled, attempt),
        }
    }

    /// Reads until there is something to tell or the stream has ended.
    async fn read(&mut self, mut response: Response, mut attempt: Attempt) {
        let mut deadline = now() + self.patience();
        while self.ready.is_empty() {
            let part = tokio::time::timeout_at(deadline.into(), response.chunk()).await;
            let step = match part {
                Ok(Ok(Some(bytes))) => self.reader.bytes(&bytes),
                Ok(Ok(None)) => self.reader.end_of_body(),
                // What comes after the end is nobody's loss.
                Ok(Err(_)) | Err(_) if self.reader.finished => Ok(Step::End),
                Ok(Err(error)) => Err(LlmError::Unreachable(innermost(&error.without_url()))),
                Err(_) => Err(LlmError::Stalled),
            };
            self.ready.extend(self.reader.told.drain(..).map(Ok));
            attempt.answered |= self.reader.begun;
            match step {
                Ok(Step::Comment) => {}
                Ok(Step::Event) => deadline = now() + self.patience(),
                Ok(Step::End) => {
                    // What is left is the end of the body, mostly here already: the connection can be used again.
                    let _ = response.chunk().now_or_never();
                    let (calls, dropped) = self.reader.finish(self.earlier_calls);
                    if dropped {
                        tracing::warn!(
                            "the LLM asked for more or larger tool calls than are allowed; they are left out"
                        );
                    }
                    self.ready.extend(calls.into_iter().map(Ok));
                    attempt.succeeded();
                    return;
                }
                // The end of this stream closes the connection: a model that does not stop is stopped here.
                Ok(Step::Enough) => return attempt.succeeded(),
                Err(error) => return self.fail(error, attempt),
            }
        }
        self.state = State::Streaming(response, attempt);
    }

    /// How long the next event may take.
    fn patience(&self) -> Duration {
        if self.reader.finished {
            LINGER
        } else {
            self.timing.stall
        }
    }

    fn fail(&mut self, error: LlmError, attempt: Attempt) {
        attempt.failed(&error);
        self.ready.push_back(Err(error));
    }
}

enum Step {
    /// Only keep-alives, or a part of an event.
    Comment,
    Event,
    End,
    /// Nobody listens to a lecture on the phone.
    Enough,
}

/// The part that needs no socket.
struct Reader {
    events: Events,
    prose: Prose,
    splitter: SentenceSplitter,
    calls: Calls,
    told: Vec<Delta>,
    sentences: usize,
    bytes: usize,
    any_event: bool,
    begun: bool,
    /// The model has given the reason why it ended; only formalities follow.
    finished: bool,
}

impl Reader {
    fn new() -> Self {
        Self {
            events: Events::default(),
            prose: Prose::default(),
            splitter: SentenceSplitter::new(MAX_SENTENCE).with_first_clause(true),
            calls: Calls::default(),
            told: Vec::new(),
            sentences: 0,
            bytes: 0,
            any_event: false,
            begun: false,
            finished: false,
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<Step, LlmError> {
        self.bytes += bytes.len();
        let mut events = Vec::new();
        let fits = self.events.push(bytes, &mut events);
        let step = self.events(&events)?;
        if fits.is_err() || self.bytes > MAX_BODY {
            return Err(LlmError::Nonsense);
        }
        Ok(step)
    }

    fn end_of_body(&mut self) -> Result<Step, LlmError> {
        let mut events = Vec::new();
        let fits = self.events.finish(&mut events);
        match self.events(&events)? {
            Step::Enough => Ok(Step::Enough),
            // Not every server says [DONE]; but an answer without any event is none.
            Step::Comment | Step::Event | Step::End if self.any_event && fits.is_ok() => Ok(Step::End),
            Step::Comment | Step::Event | Step::End => Err(LlmError::Nonsense),
        }
    }

    fn events(&mut self, events: &[Vec<u8>]) -> Result<Step, LlmError> {
        for event in events {
            self.any_event = true;
            if event.trim_ascii() == DONE {
                return Ok(Step::End);
            }
            let chunk: Chunk = serde_json::from_slice(event).map_err(|_| LlmError::Nonsense)?;
            let Some(choice) = chunk.choices.into_iter().next() else {
                continue;
            };
            self.finished |= choice.finish_reason.is_some_and(|reason| !reason.is_empty());
            if !self.delta(choice.delta.unwrap_or_default()) {
                return Ok(Step::Enough);
            }
        }
        Ok(if events.is_empty() { Step::Comment } else { Step::Event })
    }

    /// `false` when enough was said.
    fn delta(&mut self, delta: ChunkDelta) -> bool {
        let mut fragments = delta.tool_calls.unwrap_or_default();
        fragments.extend(delta.function_call.map(|function| Fragment {
            function: Some(function),
            ..Fragment::default()
        }));
        let texts = [delta.content, delta.refusal];
        let texts: Vec<String> = texts.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        let empty = texts.is_empty() && fragments.is_empty();
        if !self.begun && !empty {
            self.begun = true;
            self.told.push(Delta::FirstToken);
        }
        self.calls.push(fragments);
        let mut spoken = String::new();
        for text in texts {
            self.prose.push(&text, &mut spoken);
        }
        self.speak(&spoken)
    }

    fn speak(&mut self, text: &str) -> bool {
        let mut sentences = Vec::new();
        self.splitter.push(text, &mut sentences);
        self.tell(sentences)
    }

    fn tell(&mut self, sentences: Vec<String>) -> bool {
        let room = MAX_SENTENCES - self.sentences;
        let sentences = sentences.into_iter().take(room);
        self.told.extend(sentences.map(|sentence| {
            self.sentences += 1;
            Delta::Sentence(sentence)
        }));
        self.sentences < MAX_SENTENCES
    }

    /// The last sentence and the calls; `true` if some of these are left out.
    fn finish(&mut self, earlier_calls: usize) -> (Vec<Delta>, bool) {
        let mut rest = String::new();
        let written = self.prose.finish(&mut rest);
        if self.speak(&rest) {
            let last = self.splitter.finish();
            self.tell(last.into_iter().collect());
        }
        let mut calls = std::mem::take(&mut self.calls);
        for (name, arguments) in written {
            calls.whole(name, arguments);
        }
        let (calls, dropped) = calls.finish(earlier_calls);
        let mut deltas = std::mem::take(&mut self.told);
        deltas.extend(calls.into_iter().map(Delta::Call));
        (deltas, dropped)
    }
}

/// Tells the breaker what came of a request, also when nobody waits for it any more.
struct Attempt {
    breaker: Arc<SharedBreaker>,
    clock: fn() -> Instant,
    begun: Instant,
    answered: bool,
    settled: bool,
}

impl Attempt {
    fn new(breaker: Arc<SharedBreaker>, clock: fn() -> Instant) -> Self {
        Self {
            breaker,
            clock,
            begun: clock(),
            answered: false,
            settled: false,
        }
    }

    fn succeeded(mut self) {
        self.settled = true;
        self.breaker.succeeded();
    }

    fn failed(mut self, error: &LlmError) {
        self.settled = true;
        match error {
            // The endpoint works; it is this request that it does not like, such as one conversation that is too long.
            LlmError::Refused(400 | 413 | 422) => self.breaker.abandoned((self.clock)()),
            LlmError::Refused(_) | LlmError::Unreachable(_) | LlmError::Nonsense | LlmError::Stalled => {
                if self.breaker.failed((self.clock)()) {
                    tracing::warn!(%error, "the LLM endpoint is left alone for a while, as it failed repeatedly: {error}");
                }
            }
            LlmError::Resting => {}
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let now = (self.clock)();
        if self.answered {
            self.breaker.succeeded();
        } else if now.saturating_duration_since(self.begun) >= GIVEN_UP {
            self.breaker.failed(now);
        } else {
            self.breaker.abandoned(now);
        }
    }
}

const DONE: &[u8] = b"[DONE]";
/// Characters after which a run-on sentence is cut.
const MAX_SENTENCE: usize = 220;
const MAX_SENTENCES: usize = 12;
/// Bytes of all events: some thousands of tokens, thoughts included.
const MAX_BODY: usize = 8 << 20;
/// After its end, a stream that stays open has this long for `[DONE]`.
const LINGER: Duration = Duration::from_millis(250);
/// Whoever waited so long for a first token and left has given up; before, it was the caller who went on speaking.
const GIVEN_UP: Duration = Duration::from_secs(4);
