//! What the carrier tells about calls beside their streams, kept for as long as it matters here: a call that is over stays over.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::call::socket::{Outgoing, Received, Socket};
use crate::twilio::status::CallStatus;

/// What is known of all calls, by their ids.
#[derive(Debug)]
pub struct Progress {
    calls: Mutex<HashMap<String, Known>>,
}

#[derive(Debug)]
struct Known {
    status: Option<CallStatus>,
    is_answered: bool,
    over: watch::Sender<bool>,
    at: Instant,
}

impl Progress {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            calls: Mutex::new(HashMap::new()),
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
        true
    }

    /// Takes that somebody answered; the first answer counts. `false` if there was one.
    pub fn answered(&self, call_sid: &str, now: Instant) -> bool {
        let mut calls = self.lock();
        let known = known(&mut calls, call_sid, now);
        !std::mem::replace(&mut known.is_answered, true)
    }

    /// How far a call is, if told.
    pub fn status_of(&self, call_sid: &str) -> Option<CallStatus> {
        self.lock().get(call_sid)?.status
    }

    /// Becomes true when the carrier says that the call is over.
    pub fn over(&self, call_sid: &str, now: Instant) -> watch::Receiver<bool> {
        known(&mut self.lock(), call_sid, now).over.subscribe()
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
        is_answered: false,
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
                std::future::pending::<()>().await;
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
    }

    #[test]
    fn the_first_answer_counts() {
        let (progress, now) = (Progress::new(), start());
        assert!(progress.answered("CA1", now));
        assert!(!progress.answered("CA1", now));
        assert!(progress.answered("CA2", now), "another call");
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
