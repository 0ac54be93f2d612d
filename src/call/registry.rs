//! Which calls there are: admission, the token that binds a stream to its webhook, drain.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use subtle::ConstantTimeEq;
use tokio::sync::{broadcast, mpsc, watch};

use crate::call::command::{AnsweredBy, Command, CommandError, MOST_ORDERS, Order};
use crate::call::end::CallEnd;
use crate::call::opening::{Direction, Opening};
use crate::call::trace::{Hub, LiveEvent, Trace, TraceEvent};

/// All calls of this process.
#[derive(Debug)]
pub struct Registry {
    calls: Mutex<HashMap<String, Entry>>,
    max_calls: usize,
    stop: watch::Sender<bool>,
    draining: watch::Sender<bool>,
    hub: Hub,
}

#[derive(Debug)]
struct Entry {
    /// Whose call it is, and on which line.
    account: String,
    parties: Parties,
    token: String,
    state: State,
    trace: Trace,
    /// Streams this call has had.
    streams: u32,
    /// How often it was promised one: the carrier may be unable to open any.
    promises: u32,
    opening: Opening,
    /// Said of the call before its stream was there.
    answered_by: Option<AnsweredBy>,
    live: Option<Live>,
    pen: Pen,
}

/// Whoever writes a call down holds it: of two streams of one call the later one waits until the earlier one has written its last.
pub(super) type Pen = Arc<tokio::sync::Mutex<()>>;

/// What is known of a call while its stream is live.
#[derive(Debug)]
struct Live {
    orders: mpsc::Sender<Order>,
    since: Timestamp,
    /// Set by the driver.
    agent: Arc<OnceLock<String>>,
}

/// A live call, for those who run this server. The numbers are PHI.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveInfo {
    /// The carrier's id.
    pub call_sid: String,
    /// Who calls, E.164, unless withheld.
    pub from: Option<String>,
    /// Who is called.
    pub to: Option<String>,
    /// The agent that began the conversation.
    pub agent: Option<String>,
    /// When the stream opened.
    pub since: Timestamp,
    /// Who placed the call.
    pub direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The webhook was answered; the stream may open until then.
    Expected { until: Instant },
    /// A stream is live.
    Live,
    /// The stream ended.
    Ended { end: CallEnd, at: Instant },
}

/// The numbers at the ends of a call, as the carrier shows them. PHI: its `Debug` hides them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parties {
    /// The caller's, in E.164, unless it is withheld.
    pub from: Option<String>,
    /// The one that was called.
    pub to: Option<String>,
}

impl fmt::Debug for Parties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parties(hidden)")
    }
}

/// Why a call is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `MAX_CALLS` are live or expected.
    #[error("all lines are busy")]
    Full,
    /// The server finishes its calls and stops.
    #[error("the server is draining")]
    Draining,
    /// Another account, or another line, has a call of this id.
    #[error("the call is another account's")]
    Foreign,
}

/// Why a stream is not accepted. Says nothing an attacker could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream does not belong to an expected call")]
pub struct NotExpected;

/// A live call; dropping it ends the call as lost.
#[derive(Debug)]
pub struct LiveCall {
    registry: Arc<Registry>,
    call_sid: String,
    /// Which of the call's streams this is, from 1.
    stream: u32,
    /// Who calls whom.
    pub parties: Parties,
    /// Events of this call.
    pub trace: Trace,
    seat: Option<Seat>,
    end: CallEnd,
}

/// What the driver of a call is told from outside, and tells.
#[derive(Debug)]
pub struct Seat {
    /// Becomes true when the call must end now.
    pub(super) stop: watch::Receiver<bool>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) opening: Opening,
    /// The agent's name, once it is chosen.
    pub(super) agent: Arc<OnceLock<String>>,
    pub(super) pen: Pen,
}

impl Seat {
    /// Whether another stream has the call now.
    pub(super) fn is_taken_over(&self) -> bool {
        self.orders.is_closed()
    }
}

impl Registry {
    /// At most `max_calls` at a time.
    pub fn new(max_calls: usize) -> Self {
        Self {
            calls: Mutex::new(HashMap::new()),
            max_calls,
            stop: watch::Sender::new(false),
            draining: watch::Sender::new(false),
            hub: Hub::new(),
        }
    }

    /// Expects a stream for this call and returns its token. A repeated webhook gets the same token. `account` names the line too
    /// ([`Dialect::account`](crate::twilio::dialect::Dialect::account)): carriers may give the same names.
    pub fn expect(&self, call_sid: &str, account: &str, parties: Parties, now: Instant) -> Result<String, Refused> {
        self.expect_with(call_sid, account, parties, None, now)
    }

    /// The same for a call that begins in a way of its own. Without an `opening`, a call that is connected again keeps the one
    /// it had.
    pub fn expect_with(
        &self,
        call_sid: &str,
        account: &str,
        parties: Parties,
        opening: Option<Opening>,
        now: Instant,
    ) -> Result<String, Refused> {
        let mut calls = self.lock();
        calls.retain(|_, entry| match entry.state {
            // What was promised in vain is counted.
            State::Expected { until: at } | State::Ended { at, .. } => at + REMEMBERED > now,
            State::Live => true,
        });
        let until = now + TOKEN_LIFE;
        let busy = calls.values().filter(|entry| entry.is_unfinished(now)).count();
        if calls.get(call_sid).is_some_and(|entry| entry.account != account) {
            return Err(Refused::Foreign);
        }
        if let Some(entry) = calls.get_mut(call_sid)
            && let State::Expected { until: before } = entry.state
            && before > now
        {
            entry.state = State::Expected { until };
            entry.promises += 1;
            return Ok(entry.token.clone());
        }
        // A call that comes back, or that was placed here, is known to no other server.
        if *self.draining.borrow() && opening.is_none() {
            return Err(Refused::Draining);
        }
        let reconnect = calls.get(call_sid).is_some_and(|entry| entry.streams > 0);
        if busy >= self.max_calls && !reconnect {
            return Err(Refused::Full);
        }
        let token = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let before = calls.remove(call_sid);
        let (trace, counts, former, pen) = before.map_or_else(
            || {
                (
                    Trace::told_to(&self.hub, call_sid),
                    (0, 0),
                    Opening::default(),
                    Pen::default(),
                )
            },
            |entry| (entry.trace, (entry.streams, entry.promises), entry.opening, entry.pen),
        );
        let (streams, promises) = counts;
        let entry = Entry {
            account: account.to_owned(),
            parties,
            token: token.clone(),
            state: State::Expected { until },
            trace,
            streams,
            promises: promises + 1,
            opening: opening.unwrap_or(former),
            answered_by: None,
            live: None,
            pen,
        };
        calls.insert(call_sid.to_owned(), entry);
        Ok(token)
    }

    /// Whether [`Registry::open`] would accept this stream now. Nothing is spent.
    pub fn may_open(&self, call_sid: &str, account: &str, token: &str, now: Instant) -> bool {
        let calls = self.lock();
        calls
            .get(call_sid)
            .is_some_and(|entry| entry.admits(account, token, now))
    }

    /// Accepts a stream once: its token, its call and its account must be those of the webhook.
    pub fn open(
        self: &Arc<Self>,
        call_sid: &str,
        account: &str,
        token: &str,
        now: Instant,
    ) -> Result<LiveCall, NotExpected> {
        let mut calls = self.lock();
        let entry = calls.get_mut(call_sid).ok_or(NotExpected)?;
        if !entry.admits(account, token, now) {
            return Err(NotExpected);
        }
        entry.state = State::Live;
        entry.streams += 1;
        let (orders, received) = mpsc::channel(MOST_ORDERS);
        if let Some(answered_by) = entry.answered_by {
            // It is new, so there is room.
            let _ = orders.try_send(Order::Answered(answered_by));
        }
        let agent = Arc::new(OnceLock::new());
        entry.live = Some(Live {
            orders,
            since: Timestamp::now(),
            agent: Arc::clone(&agent),
        });
        let seat = Seat {
            stop: self.stop.subscribe(),
            orders: received,
            opening: entry.opening.clone(),
            agent,
            pen: Arc::clone(&entry.pen),
        };
        Ok(LiveCall {
            registry: Arc::clone(self),
            call_sid: call_sid.to_owned(),
            stream: entry.streams,
            trace: entry.trace.clone(),
            parties: entry.parties.clone(),
            seat: Some(seat),
            end: CallEnd::Lost,
        })
    }

    /// The events of an expected or live call, for whoever holds its token.
    pub fn watch(&self, call_sid: &str, token: &str) -> Option<broadcast::Receiver<TraceEvent>> {
        let calls = self.lock();
        let entry = calls.get(call_sid)?;
        let open = !matches!(entry.state, State::Ended { .. });
        (open && same(&entry.token, token)).then(|| entry.trace.subscribe())
    }

    /// What happens in all calls from now on, for those who run this server.
    pub fn events(&self) -> broadcast::Receiver<LiveEvent> {
        self.hub.subscribe()
    }

    /// Whether we ended this call.
    pub fn was_finished(&self, call_sid: &str) -> bool {
        matches!(
            self.end_of(call_sid),
            Some(CallEnd::Agent(_) | CallEnd::Operator | CallEnd::Reception(_))
        )
    }

    /// How this call ended, if it did a short while ago.
    pub fn end_of(&self, call_sid: &str) -> Option<CallEnd> {
        match self.lock().get(call_sid)?.state {
            State::Ended { end, .. } => Some(end),
            State::Expected { .. } | State::Live => None,
        }
    }

    /// Whether the webhook of this call was answered with a stream that may still come.
    pub fn is_expected(&self, call_sid: &str, now: Instant) -> bool {
        let calls = self.lock();
        calls
            .get(call_sid)
            .is_some_and(|entry| matches!(entry.state, State::Expected { until } if until > now))
    }

    /// Whether there is, or was a short while ago, a stream for this call.
    pub fn knows(&self, call_sid: &str) -> bool {
        self.lock().contains_key(call_sid)
    }

    /// Has a live call do something. It is done soon after, in its turn.
    pub fn command(&self, call_sid: &str, command: Command) -> Result<(), CommandError> {
        self.order(call_sid, Order::Command(command))
    }

    /// The carrier has told who answered a call that we placed. [`CommandError::NotLive`] if nobody waits to know.
    pub fn answered_by(&self, call_sid: &str, answered_by: AnsweredBy) -> Result<(), CommandError> {
        if let Some(entry) = self.lock().get_mut(call_sid)
            && matches!(entry.state, State::Expected { .. })
        {
            entry.answered_by = Some(answered_by);
            return Ok(());
        }
        self.order(call_sid, Order::Answered(answered_by))
    }

    fn order(&self, call_sid: &str, order: Order) -> Result<(), CommandError> {
        let calls = self.lock();
        let entry = calls.get(call_sid).filter(|entry| entry.state == State::Live);
        let live = entry
            .and_then(|entry| entry.live.as_ref())
            .ok_or(CommandError::NotLive)?;
        live.orders.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::NotLive,
        })
    }

    /// Whether a stream of this call is live.
    pub fn is_live(&self, call_sid: &str) -> bool {
        self.lock()
            .get(call_sid)
            .is_some_and(|entry| entry.state == State::Live)
    }

    /// The live calls, the oldest first.
    pub fn live_calls(&self) -> Vec<LiveInfo> {
        let calls = self.lock();
        let live = calls.iter().filter(|(_, entry)| entry.state == State::Live);
        let mut found: Vec<LiveInfo> = live
            .filter_map(|(call_sid, entry)| {
                let live = entry.live.as_ref()?;
                Some(LiveInfo {
                    call_sid: call_sid.clone(),
                    from: entry.parties.from.clone(),
                    to: entry.parties.to.clone(),
                    agent: live.agent.get().cloned(),
                    since: live.since,
                    direction: entry.opening.direction,
                })
            })
            .collect();
        found.sort_by(|a, b| (a.since, &a.call_sid).cmp(&(b.since, &b.call_sid)));
        found
    }

    /// Whether this call has had a stream, so that its first webhook was answered long ago.
    pub fn had_stream(&self, call_sid: &str) -> bool {
        self.lock().get(call_sid).is_some_and(|entry| entry.streams > 0)
    }

    /// Whether a call whose stream broke, or could not be opened, should get another one: a few times, not for ever.
    pub fn should_reconnect(&self, call_sid: &str) -> bool {
        self.lock()
            .get(call_sid)
            .is_none_or(|entry| entry.promises < MAX_STREAMS)
    }

    /// Live calls.
    pub fn live(&self) -> usize {
        self.lock().values().filter(|entry| entry.state == State::Live).count()
    }

    /// Live calls, and those whose stream was promised and may still come.
    pub fn unfinished(&self, now: Instant) -> usize {
        self.lock().values().filter(|entry| entry.is_unfinished(now)).count()
    }

    /// How many calls are taken at a time.
    pub fn max_calls(&self) -> usize {
        self.max_calls
    }

    /// Takes no new calls from here on.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    /// Whether new calls are refused.
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Ends all live calls.
    pub fn stop_all(&self) {
        self.stop.send_replace(true);
    }

    /// A stream that breaks after its call was connected again ends nothing: the call is its successor's.
    fn end(&self, call_sid: &str, stream: u32, end: CallEnd) {
        if let Some(entry) = self.lock().get_mut(call_sid)
            && entry.streams == stream
            && entry.state == State::Live
        {
            entry.state = State::Ended { end, at: now() };
            entry.live = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether its stream is live, or may still come.
    fn is_unfinished(&self, now: Instant) -> bool {
        match self.state {
            State::Expected { until } => until > now,
            State::Live => true,
            State::Ended { .. } => false,
        }
    }

    /// Whether a stream with this token is the one that is expected.
    fn admits(&self, account: &str, token: &str, now: Instant) -> bool {
        let fresh = matches!(self.state, State::Expected { until } if until > now);
        fresh && self.account == account && same(&self.token, token)
    }
}

impl LiveCall {
    /// The call's id.
    pub fn call_sid(&self) -> &str {
        &self.call_sid
    }

    /// The driver's end of it; the first who asks has it.
    pub fn seat(&mut self) -> Option<Seat> {
        self.seat.take()
    }

    /// Records how the call ended.
    pub fn ended(mut self, end: CallEnd) {
        self.end = end;
    }
}

impl Drop for LiveCall {
    fn drop(&mut self) {
        self.registry.end(&self.call_sid, self.stream, self.end);
    }
}

fn same(expected: &str, given: &str) -> bool {
    expected.as_bytes().ct_eq(given.as_bytes()).into()
}

#[expect(
    clippy::disallowed_methods,
    reason = "when a call ended is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

/// Twilio opens the stream within a second or two of the answer.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// How long a call is remembered that has ended or never had its stream, so that its fall-through knows what to do.
const REMEMBERED: Duration = Duration::from_secs(600);
/// A call that was promised so many streams in vain is given up with a spoken apology.
const MAX_STREAMS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::event::HangupReason;

    #[test]
    fn a_token_opens_one_stream_of_its_own_call() {
        let registry = Arc::new(Registry::new(10));
        let now = now();
        let token = registry
            .expect("CA1", "AC1", Parties::default(), now)
            .expect("admitted");
        assert_eq!(
            registry.expect("CA1", "AC1", Parties::default(), now).as_deref(),
            Ok(token.as_str()),
            "a retried webhook changes nothing"
        );
        let other = registry
            .expect("CA2", "AC1", Parties::default(), now)
            .expect("admitted");
        assert!(registry.open("CA1", "AC1", &other, now).is_err());
        assert!(registry.open("CA1", "AC2", &token, now).is_err());
        assert!(registry.open("CA9", "AC1", &token, now).is_err());
        assert!(registry.open("CA1", "AC1", "", now).is_err());
        assert!(registry.watch("CA1", &other).is_none() && registry.watch("CA1", &token).is_some());
        let live = registry.open("CA1", "AC1", &token, now).expect("accepted");
        assert!(registry.open("CA1", "AC1", &token, now).is_err(), "single use");
        drop(live);
        assert!(
            registry.open("CA1", "AC1", &token, now).is_err(),
            "not after the end either"
        );
    }

    #[test]
    fn to_look_whether_a_stream_may_open_spends_nothing() {
        let registry = Arc::new(Registry::new(10));
        let now = now();
        let token = registry
            .expect("CA1", "twilio:AC1", Parties::default(), now)
            .expect("admitted");
        let may_open = |call, account, token: &str, at| registry.may_open(call, account, token, at);
        for _ in 0..2 {
            assert!(may_open("CA1", "twilio:AC1", &token, now));
        }
        assert!(!may_open("CA2", "twilio:AC1", &token, now));
        assert!(!may_open("CA1", "signalwire:AC1", &token, now));
        assert!(!may_open("CA1", "twilio:AC1", "guess", now));
        assert!(!may_open("CA1", "twilio:AC1", &token, now + TOKEN_LIFE));
        let _live = registry.open("CA1", "twilio:AC1", &token, now).expect("accepted");
        assert!(!may_open("CA1", "twilio:AC1", &token, now), "single use");
    }

    #[test]
    fn a_call_that_is_known_is_no_other_accounts() {
        let registry = Arc::new(Registry::new(10));
        let now = now();
        let expect = |account| registry.expect("CA1", account, Parties::default(), now);
        let token = expect("twilio:AC1").expect("admitted");
        assert_eq!(expect("signalwire:AC1"), Err(Refused::Foreign), "while it is expected");
        assert_eq!(
            expect("twilio:AC1").as_deref(),
            Ok(token.as_str()),
            "and it stays as it was"
        );
        let live = registry.open("CA1", "twilio:AC1", &token, now).expect("accepted");
        assert_eq!(expect("twilio:AC2"), Err(Refused::Foreign), "while it is live");
        assert!(registry.is_live("CA1"));
        drop(live);
        assert_eq!(expect("signalwire:AC1"), Err(Refused::Foreign), "and after its end");
        assert!(expect("twilio:AC1").is_ok());
    }

    #[test]
    fn a_call_that_comes_back_is_taken_while_new_ones_are_not() {
        let registry = Registry::new(10);
        registry.drain();
        let expect = |call, opening| registry.expect_with(call, "twilio:AC1", Parties::default(), opening, now());
        assert_eq!(expect("CA1", None), Err(Refused::Draining));
        assert!(expect("CA2", Some(Opening::default())).is_ok());
    }

    #[test]
    fn tokens_expire() {
        let registry = Arc::new(Registry::new(10));
        let start = now();
        let token = registry
            .expect("CA1", "AC1", Parties::default(), start)
            .expect("admitted");
        let last = start + TOKEN_LIFE - Duration::from_millis(1);
        assert!(registry.is_expected("CA1", last) && registry.unfinished(last) == 1);
        let late = start + TOKEN_LIFE;
        assert!(!registry.is_expected("CA1", late) && registry.unfinished(late) == 0);
        assert!(registry.open("CA1", "AC1", &token, late).is_err());
        let live = registry.open("CA1", "AC1", &token, last).expect("in time");
        assert!(!registry.is_expected("CA1", last) && registry.unfinished(late) == 1);
        live.ended(CallEnd::Caller);
        assert_eq!(
            (registry.unfinished(last), registry.end_of("CA1")),
            (0, Some(CallEnd::Caller))
        );
    }

    #[test]
    fn calls_beyond_the_limit_and_during_drain_are_refused() {
        let registry = Arc::new(Registry::new(1));
        let now = now();
        let token = registry
            .expect("CA1", "AC1", Parties::default(), now)
            .expect("admitted");
        let live = registry.open("CA1", "AC1", &token, now).expect("accepted");
        assert_eq!(
            registry.expect("CA2", "AC1", Parties::default(), now),
            Err(Refused::Full)
        );
        live.ended(CallEnd::Caller);
        assert!(registry.expect("CA2", "AC1", Parties::default(), now).is_ok());
        registry.drain();
        assert_eq!(
            registry.expect("CA3", "AC1", Parties::default(), now),
            Err(Refused::Draining)
        );
    }

    #[test]
    fn a_call_whose_streams_never_open_is_given_up_too() {
        let registry = Registry::new(1);
        let mut now = now();
        for _ in 0..MAX_STREAMS {
            assert!(registry.should_reconnect("CA1"));
            registry
                .expect("CA1", "AC1", Parties::default(), now)
                .expect("admitted");
            // The last attempt takes longer than the token lives, and other calls come meanwhile.
            assert_eq!(registry.unfinished(now), 1);
            now += TOKEN_LIFE;
            assert_eq!(registry.unfinished(now), 0, "its place is free");
            let other = registry.expect("CA2", "AC1", Parties::default(), now);
            other.expect("admitted");
            now += TOKEN_LIFE;
        }
        assert!(!registry.should_reconnect("CA1"));
        let much_later = now + REMEMBERED;
        registry
            .expect("CA3", "AC1", Parties::default(), much_later)
            .expect("admitted");
        assert!(!registry.knows("CA1"), "it is forgotten in the end");
    }

    #[test]
    fn a_lost_stream_is_reconnected_a_few_times_and_a_finished_call_never() {
        let registry = Arc::new(Registry::new(1));
        let now = now();
        for _ in 0..MAX_STREAMS {
            assert!(registry.should_reconnect("CA1"));
            let token = registry
                .expect("CA1", "AC1", Parties::default(), now)
                .expect("admitted");
            drop(registry.open("CA1", "AC1", &token, now).expect("accepted"));
        }
        assert!(!registry.should_reconnect("CA1"));
        let token = registry
            .expect("CA2", "AC1", Parties::default(), now)
            .expect("admitted");
        registry
            .open("CA2", "AC1", &token, now)
            .expect("accepted")
            .ended(CallEnd::Agent(HangupReason::MaxCall));
        assert!(registry.was_finished("CA2") && !registry.was_finished("CA1"));
    }
}
