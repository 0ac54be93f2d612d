//! Leaves an endpoint alone that keeps failing, so that no caller waits for what will not come.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Opens after [`FAILURES`] in a row; lets one request through after [`FIRST_REST`], and after twice the last rest, up to
/// [`LONGEST_REST`], each time that one fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        rest: Duration,
    },
    /// One request is on its way. If nothing is heard of it until then, the next may go.
    Probing {
        until: Instant,
        rest: Duration,
    },
}

impl Breaker {
    /// Closed: everything may go.
    pub fn new() -> Self {
        Self {
            state: State::Closed { failures: 0 },
        }
    }

    /// Whether a request may go now. When it may go as the probe, nobody else's may until something is heard of it.
    pub fn allows(&mut self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until, rest } | State::Probing { until, rest } => {
                let due = now >= until;
                if due {
                    self.state = State::Probing {
                        until: now + rest,
                        rest,
                    };
                }
                due
            }
        }
    }

    /// A request was answered.
    pub fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A request was not answered. `true` if this is what opened the breaker, or kept it open.
    pub fn failed(&mut self, now: Instant) -> bool {
        let rest = match self.state {
            State::Closed { failures } if failures + 1 < FAILURES => {
                self.state = State::Closed { failures: failures + 1 };
                return false;
            }
            State::Closed { .. } => FIRST_REST,
            State::Probing { rest, .. } => (rest * 2).min(LONGEST_REST),
            // A straggler from before: it says nothing new.
            State::Open { .. } => return false,
        };
        self.state = State::Open {
            until: now + rest,
            rest,
        };
        true
    }

    /// Nothing was learnt of a request, as its caller hung up: the next one may be the probe instead.
    pub fn abandoned(&mut self, now: Instant) {
        if let State::Probing { rest, .. } = self.state {
            self.state = State::Open { until: now, rest };
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

/// One breaker for all calls. The lock is held for a few instructions and never while waiting.
#[derive(Debug, Default)]
pub struct SharedBreaker(Mutex<Breaker>);

impl SharedBreaker {
    /// [`Breaker::allows`].
    pub fn allows(&self, now: Instant) -> bool {
        self.lock().allows(now)
    }

    /// [`Breaker::succeeded`].
    pub fn succeeded(&self) {
        self.lock().succeeded();
    }

    /// [`Breaker::failed`].
    pub fn failed(&self, now: Instant) -> bool {
        self.lock().failed(now)
    }

    /// [`Breaker::abandoned`].
    pub fn abandoned(&self, now: Instant) {
        self.lock().abandoned(now);
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        // Every change is one assignment, so that a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two may be bad luck, and each costs a caller an apology.
pub const FAILURES: u32 = 3;
/// A restarted model server is back after about this long.
pub const FIRST_REST: Duration = Duration::from_secs(15);
/// Then the first call after a repair notices within two minutes.
pub const LONGEST_REST: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "tests need some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn open(at: Instant) -> Breaker {
        let mut breaker = Breaker::new();
        for n in 1..=FAILURES {
            assert!(breaker.allows(at));
            assert_eq!(breaker.failed(at), n == FAILURES);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let now = start();
        let mut breaker = Breaker::new();
        for _ in 0..10 {
            assert!(!breaker.failed(now) && !breaker.failed(now));
            breaker.succeeded();
            assert!(breaker.allows(now));
        }
        assert!(!open(now).allows(now));
    }

    #[test]
    fn one_probe_then_twice_the_rest_up_to_the_longest() {
        let mut now = start();
        let mut breaker = open(now);
        for rest in [15, 30, 60, 120, 120, 120] {
            assert!(!breaker.allows(now + secs(rest) - Duration::from_nanos(1)), "{rest}");
            now += secs(rest);
            assert!(breaker.allows(now), "{rest}");
            assert!(!breaker.allows(now), "a second probe after {rest} s");
            assert!(breaker.failed(now));
        }
        now += secs(120);
        assert!(breaker.allows(now));
        breaker.succeeded();
        assert!(breaker.allows(now) && breaker.allows(now));
        assert_eq!(breaker, Breaker::new());
    }

    #[test]
    fn a_probe_of_which_nothing_is_heard_blocks_nobody_for_ever() {
        let begun = start();
        let now = begun + FIRST_REST;
        let mut breaker = open(begun);
        assert!(breaker.allows(now));
        breaker.abandoned(now);
        assert!(breaker.allows(now), "the next is the probe instead");
        assert!(!breaker.allows(now + secs(14)));
        assert!(breaker.allows(now + FIRST_REST), "and if that one is lost, one more");
    }

    proptest! {
        #[test]
        fn never_closed_for_longer_than_the_longest_rest(steps in prop::collection::vec((0..4_u8, 0..40_u64), 0..200)) {
            let mut now = start();
            let mut breaker = Breaker::new();
            let mut refused_since: Option<Instant> = None;
            let mut in_a_row = 0;
            for (step, wait) in steps {
                now += secs(wait);
                match step {
                    0 => {
                        let allowed = breaker.allows(now);
                        prop_assert!(allowed || in_a_row >= FAILURES, "open after {in_a_row} failures");
                        if allowed {
                            refused_since = None;
                        } else {
                            let since = *refused_since.get_or_insert(now);
                            prop_assert!(now - since <= LONGEST_REST);
                        }
                    }
                    1 => {
                        breaker.succeeded();
                        in_a_row = 0;
                        refused_since = None;
                    }
                    2 => {
                        if breaker.failed(now) {
                            refused_since = None;
                        }
                        in_a_row += 1;
                    }
                    _ => breaker.abandoned(now),
                }
            }
        }
    }
}
