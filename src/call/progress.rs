//! What the carrier tells about calls beside their streams, kept for as long as it matters here: a call that is over stays over,
//! and who waits for an outbound call's answer hears of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, watch};

use crate::call::socket::{Outgoing, Received, Socket};
use crate::twilio::status::{AnsweredBy, CallStatus};

/// What is known of all calls, by their ids.
#[derive(Debug)]
pub struct Progress {
    calls: Mutex<HashMap<String, Known>>,
    news: broadcast::Sender<News>,
}

#[derive(Debug)]
struct Known {
    status: Option<CallStatus>,
    answered_by: Option<AnsweredBy>,
    over: watch::Sender<bool>,
    at: Instant,
}

/// Something the carrier told for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Of this call.
    pub call_sid: String,
    /// What it told.
    pub what: What,
}

/// What the carrier told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The call has come this far.
    Status(CallStatus),
    /// Answering machine detection has decided.
    Answered(AnsweredBy),
    /// A recording at the carrier is this far: `in-progress`, `completed`, `absent` or `failed`.
    Recording {
        /// The carrier's id of the recording.
        recording_sid: String,
        /// The carrier's word.
        status: &'static str,
    },
}

impl Progress {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            calls: Mutex::new(HashMap::new()),
            news: broadcast::Sender::new(NEWS),
        }
    }

    /// Takes a state. `false` if the call was as far already, so that a report that is late or repeated changes nothing.
    pub fn status(&self, call_sid: &str, status: CallStatus, now: Instant) -> bool {
        let mut calls = self.lock();
        let known = known(&mut calls, call_sid, now);
        if known.status.is_some_and(|before| before.rank() >= status.rank()) {
            return false;
        }
        known.status = Some(status);
        if status.is_final() {
            known.over.send_replace(true);
        }
        self.tell(call_sid, What::Status(status));
        true
    }

    /// Takes who answered; the first answer counts. `false` if there was one.
    pub fn answered(&self, call_sid: &str, by: AnsweredBy, now: Instant) -> bool {
        let mut calls = self.lock();
        let known = known(&mut calls, call_sid, now);
        if known.answered_by.is_some() {
            return false;
        }
        known.answered_by = Some(by);
        self.tell(call_sid, What::Answered(by));
        true
    }

    /// Takes the state of a recording, for who follows the news.
    pub fn recording(&self, call_sid: &str, recording_sid: &str, status: &'static str) {
        let recording_sid = recording_sid.to_owned();
        self.tell(call_sid, What::Recording { recording_sid, status });
    }

    /// How far a call is, if told.
    pub fn status_of(&self, call_sid: &str) -> Option<CallStatus> {
        self.lock().get(call_sid)?.status
    }

    /// Who answered a call, if told.
    pub fn answered_by(&self, call_sid: &str) -> Option<AnsweredBy> {
        self.lock().get(call_sid)?.answered_by
    }

    /// Becomes true when the carrier says that the call is over.
    pub fn over(&self, call_sid: &str, now: Instant) -> watch::Receiver<bool> {
        known(&mut self.lock(), call_sid, now).over.subscribe()
    }

    /// All that is told from here on. A reader that is slow loses the oldest.
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    fn tell(&self, call_sid: &str, what: What) {
        let call_sid = call_sid.to_owned();
        // Nobody may be listening.
        let _ = self.news.send(News { call_sid, what });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// The entry of a call. Making one lets go of those that nothing more is expected of, so that the map stays small.
fn known<'a>(calls: &'a mut HashMap<String, Known>, call_sid: &str, now: Instant) -> &'a mut Known {
    if !calls.contains_key(call_sid) {
        calls.retain(|_, known| {
            let over = known.status.is_some_and(CallStatus::is_final);
            known.at + if over { REMEMBERED } else { LONGEST } > now
        });
        if calls.len() >= MOST
            && let Some(oldest) = calls.iter().min_by_key(|(_, known)| known.at)
        {
            let oldest = oldest.0.clone();
            calls.remove(&oldest);
        }
    }
    let known = calls.entry(call_sid.to_owned()).or_insert_with(|| Known {
        status: None,
        answered_by: None,
        over: watch::Sender::new(false),
        at: now,
    });
    known.at = now;
    known
}

/// A connection that ends, as if the carrier had said `stop` on it, when the carrier says elsewhere that the call is over.
#[derive(Debug)]
pub struct UntilOver<'a, S> {
    socket: &'a mut S,
    over: watch::Receiver<bool>,
}

impl<'a, S: Socket> UntilOver<'a, S> {
    /// `over` comes from [`Progress::over`].
    pub fn new(socket: &'a mut S, over: watch::Receiver<bool>) -> Self {
        Self { socket, over }
    }
}

impl<S: Socket> Socket for UntilOver<'_, S> {
    async fn receive(&mut self) -> Received<'_> {
        let over = async {
            if self.over.wait_for(|&over| over).await.is_err() {
                // It was forgotten, so nobody will say so any more.
                std::future::pending().await
            }
        };
        tokio::select! {
            () = over => Received::Stop,
            received = self.socket.receive() => received,
        }
    }

    async fn send(&mut self, outgoing: Outgoing<'_>) -> bool {
        self.socket.send(outgoing).await
    }

    async fn close(&mut self) {
        self.socket.close().await;
    }
}

/// Late and repeated reports come within minutes.
const REMEMBERED: Duration = Duration::from_secs(600);
/// No call lasts longer than a day.
const LONGEST: Duration = Duration::from_secs(86_400);
/// More calls than one server takes in ten minutes.
const MOST: usize = 4_096;
/// Reports a reader may be behind.
const NEWS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn states_only_move_forward_and_ends_stay() {
        let (progress, now) = (Progress::new(), start());
        let mut news = progress.news();
        let told = [
            (CallStatus::Ringing, true),
            (CallStatus::Queued, false),
            (CallStatus::Ringing, false),
            (CallStatus::InProgress, true),
            (CallStatus::NoAnswer, true),
            (CallStatus::Completed, false),
            (CallStatus::InProgress, false),
        ];
        let over = progress.over("CA1", now);
        for (status, counts) in told {
            assert!(!*over.borrow() || status.rank() >= 3);
            assert_eq!(progress.status("CA1", status, now), counts, "{status:?}");
        }
        assert!(*over.borrow() && *progress.over("CA1", now).borrow());
        assert!(!*progress.over("CA2", now).borrow());
        assert_eq!(progress.status_of("CA1"), Some(CallStatus::NoAnswer));
        let heard: Vec<What> = std::iter::from_fn(|| news.try_recv().ok())
            .map(|news| news.what)
            .collect();
        let counted = told.iter().filter(|(_, counts)| *counts);
        assert!(heard.into_iter().eq(counted.map(|(status, _)| What::Status(*status))));
    }

    #[test]
    fn the_first_answer_counts() {
        let (progress, now) = (Progress::new(), start());
        assert!(progress.answered("CA1", AnsweredBy::Human, now));
        assert!(!progress.answered("CA1", AnsweredBy::MachineStart, now));
        assert_eq!(progress.answered_by("CA1"), Some(AnsweredBy::Human));
        assert_eq!(progress.answered_by("CA2"), None);
    }

    #[test]
    fn what_is_over_is_forgotten_and_the_map_is_bounded() {
        let (progress, now) = (Progress::new(), start());
        progress.status("CA1", CallStatus::Completed, now);
        progress.status("CA2", CallStatus::InProgress, now);
        progress.status("CA3", CallStatus::Queued, now + REMEMBERED);
        assert_eq!(progress.status_of("CA1"), None);
        assert_eq!(progress.status_of("CA2"), Some(CallStatus::InProgress));
        for n in 0..MOST as u64 + 10 {
            progress.status(
                &format!("CB{n}"),
                CallStatus::Queued,
                now + REMEMBERED + Duration::from_micros(n),
            );
        }
        assert_eq!(progress.lock().len(), MOST);
        assert_eq!(progress.status_of("CA2"), None, "the oldest");
    }
}
