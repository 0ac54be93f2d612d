//! A simulated caller: Twilio's part of a call, played faithfully, with the latencies measured at the caller's ear.
//!
//! [`place_call`] posts the signed voice webhook, follows its TwiML to the media stream, and holds a scripted
//! conversation: one frame of 20 ms every 20 ms from start to end, the agent's audio through a buffer that plays in real
//! time, marks returned when played or cleared. Whatever the server does against the protocol is listed in the report.
//!
//! [`mod@line`], [`script`], [`wire`], [`trace`], `faults` and [`report`] are pure; `driver` owns the socket and the
//! clock, `webhook` the HTTP requests. The reading of server messages is deliberately not shared with `twilio`: a
//! simulator that uses the server's own code cannot find its mistakes.

pub mod calls;
mod driver;
mod faults;
pub mod line;
pub mod report;
pub mod script;
pub mod speech;
mod tls;
pub mod trace;
mod webhook;
pub mod wire;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use report::Report;
pub use script::{Order, Pace};
pub use speech::{Level, SpeechError, Utterance};
pub use tls::Trust;
pub use trace::TraceEvent;

use crate::twilio::twiml::TwimlError;

/// Everything about a call before it is placed.
#[derive(Clone)]
pub struct Plan {
    /// Whom to call.
    pub target: Target,
    /// Signs the webhook and the upgrade when set. A secret.
    pub auth_token: Option<String>,
    /// `AC…` of the pretended account.
    pub account_sid: String,
    /// The caller's number.
    pub from: String,
    /// The number that is called.
    pub to: String,
    /// What the caller says, one turn each. Empty: listen to the greeting and hang up.
    pub turns: Vec<Utterance>,
    /// The caller's patience.
    pub pace: Pace,
}

/// Where a call goes.
#[derive(Debug, Clone)]
pub enum Target {
    /// The voice webhook; its TwiML names the stream.
    Webhook {
        /// `http://` or `https://` URL to post to.
        url: String,
        /// The server's public base URL when it is reached by another one: what is signed names it, and a stream under
        /// it is dialled at the webhook's host.
        public_url: Option<String>,
    },
    /// The media stream itself. There is no token then, so no trace either.
    Stream {
        /// `ws://` or `wss://` URL.
        url: String,
    },
}

/// What the caller does when, 20 ms by 20 ms. [`script::Script`] is one; a measurement may bring its own.
///
/// All times count from the `start` message.
pub trait Course: Send {
    /// Audio of the agent arrived.
    fn on_media(&mut self, now: Duration, audible: bool);

    /// The agent cleared its audio, of which so much had not been played.
    fn on_clear(&mut self, now: Duration, dropped_ms: usize);

    /// The server told something.
    fn on_trace(&mut self, _now: Duration, _event: &TraceEvent) {}

    /// 20 ms were sent and played; `drained` tells whether nothing waits to be played now.
    fn on_tick(&mut self, now: Duration, tick: &line::Tick, drained: bool) -> Option<Order>;

    /// Whether the background is heard now.
    fn noisy(&self) -> bool {
        true
    }

    /// The caller's turn, counted from 1; 0 is the greeting.
    fn turn(&self) -> usize;

    /// Whether the tick of `now` was the first that is heard of an answer, and its voice-to-voice latency.
    fn answered(&self, _now: Duration) -> Option<Option<Duration>> {
        None
    }
}

/// A call that came through, after its end.
#[derive(Debug)]
pub struct Held<C> {
    /// What held it.
    pub course: C,
    /// The call's id, as in the webhook.
    pub call_sid: String,
    /// The server's account.
    pub transcript: trace::Transcript,
    /// Faults of the server, each once, with their number; empty on a good call.
    pub errors: Vec<String>,
    /// Length of the stream in seconds.
    pub seconds: f64,
    /// Time the webhook took to answer; absent when the stream was dialled directly.
    pub webhook_ms: Option<f64>,
    /// The latest this client was with a frame.
    pub worst_lag_ms: f64,
    /// Both sides of the call.
    pub recording: report::Recording,
}

/// Something to tell while the call runs.
#[derive(Debug, Clone)]
pub struct Event {
    /// Time since the `start` message.
    pub at: Duration,
    /// What it is.
    pub happened: Happened,
}

/// What an [`Event`] tells.
#[derive(Debug, Clone)]
pub enum Happened {
    /// The stream is open.
    Connected {
        /// The call's id.
        call_sid: String,
    },
    /// The caller begins to speak.
    Speaks {
        /// Turn, counted from 1.
        turn: usize,
        /// The utterance's label.
        said: String,
    },
    /// The agent's answer becomes audible.
    Answered {
        /// Turn; 0 is the greeting.
        turn: usize,
        /// Voice-to-voice latency as measured here.
        after: Option<Duration>,
    },
    /// The server's account.
    Trace(TraceEvent),
    /// The server gives no trace; the call goes on without.
    TraceRefused {
        /// Why.
        reason: String,
    },
    /// The server did something wrong. Told once for each kind.
    Fault {
        /// What.
        fault: String,
    },
}

/// Why a call did not come through. What goes wrong later stands in [`Report::errors`].
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// A URL that cannot be called.
    #[error("{url:?} is no {expected} URL")]
    Url {
        /// As given.
        url: String,
        /// The schemes that would do.
        expected: &'static str,
    },
    /// No HTTP client.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// A file of authorities that cannot be used.
    #[error("{path} cannot be used as an authority: {reason}")]
    Authority {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The webhook gave no answer.
    #[error("the webhook {url} gave no answer")]
    Webhook {
        /// Its URL.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The webhook refused the call.
    #[error("the webhook {url} answered {status}{}", hint(*status))]
    Refused {
        /// Its URL.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The webhook's answer is not marked as XML (12300).
    #[error("the webhook {url} answered with content type {content_type:?}, where Twilio takes text/xml")]
    ContentType {
        /// Its URL.
        url: String,
        /// The type it named.
        content_type: String,
    },
    /// The webhook's answer is longer than Twilio takes.
    #[error("the webhook {url} answered with more than 64 KiB")]
    TooLong {
        /// Its URL.
        url: String,
    },
    /// The webhook's answer connects no stream.
    #[error(transparent)]
    Twiml(#[from] TwimlError),
    /// The stream did not open.
    #[error("the media stream {url} did not open: {reason}")]
    Dial {
        /// Its URL.
        url: String,
        /// Why.
        reason: String,
    },
}

/// Places one call and holds it to its end. Over https and wss the server's certificate must be one that `trust` accepts.
///
/// # Errors
///
/// The call does not come through: webhook unreachable or refusing, TwiML without a stream, upgrade refused.
pub async fn place_call_trusting(
    plan: Plan,
    trust: &Trust,
    observer: &mut (dyn FnMut(Event) + Send),
) -> Result<Report, CallError> {
    let script = script::Script::new(plan.pace, plan.turns.len());
    let utterances = plan.turns.clone();
    let held = driver::place(plan, trust, line::Line::default(), script, observer).await?;
    Ok(Report::new(held, &utterances))
}

/// As [`place_call_trusting`], with the system's authorities.
///
/// # Errors
///
/// As there.
pub async fn place_call(plan: Plan, observer: &mut (dyn FnMut(Event) + Send)) -> Result<Report, CallError> {
    place_call_trusting(plan, &Trust::default(), observer).await
}

/// Places one call that follows a course of its own; [`Order::Speak`] names one of the plan's turns.
///
/// `background` is heard on the caller's side while the course is [noisy](Course::noisy), under the speech too, over and
/// over from its start: 8 kHz.
/// The plan's pace is not read.
///
/// # Errors
///
/// As for [`place_call`].
pub async fn hold_call<C: Course>(
    plan: Plan,
    background: Vec<i16>,
    course: C,
    observer: &mut (dyn FnMut(Event) + Send),
) -> Result<Held<C>, CallError> {
    driver::place(plan, &Trust::default(), line::Line::over(background), course, observer).await
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(20),
            answer: Duration::from_secs(20),
            quiet: Duration::from_secs(1),
            patience: Duration::from_secs(120),
            barge_after: None,
        }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => ": Twilio would follow the redirect with a GET and lose the form",
        403 => {
            ": the signature was refused; caller and server need the same TWILIO_AUTH_TOKEN (without one, the same DATA_DIR) and public URL"
        }
        404 => ": there is no voice webhook at this path",
        503 => ": the server takes no calls now",
        _ => "",
    }
}
