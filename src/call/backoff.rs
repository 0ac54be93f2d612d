//! Pauses between attempts at something that fails for a while: each twice as long as the one before.

use std::time::{Duration, Instant};

/// How often, and for how long, something is tried again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    within: Duration,
    /// The next pause, and when there is none any more; unset until something has failed.
    failing: Option<(Duration, Instant)>,
}

impl Backoff {
    /// Pauses from `first` to `longest`, for as long as nothing has succeeded `within` the first failure.
    pub(crate) const fn new(first: Duration, longest: Duration, within: Duration) -> Self {
        Self {
            first,
            longest,
            within,
            failing: None,
        }
    }

    /// An attempt has failed: waits until it is time for another. `false`, at once, if there is to be none.
    pub(crate) async fn pause(&mut self) -> bool {
        let Some(at) = self.next(now()) else { return false };
        tokio::time::sleep_until(at.into()).await;
        true
    }

    /// When to try again what has failed at `now`, if at all.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        let (pause, until) = self.failing.unwrap_or((self.first, now + self.within));
        self.failing = Some(((pause * 2).min(self.longest), until));
        (now < until).then(|| (now + pause).min(until))
    }

    /// Whether something has failed since the last success.
    pub(crate) fn is_pausing(&self) -> bool {
        self.failing.is_some()
    }

    /// An attempt has succeeded; the next failure is a first one.
    pub(crate) fn succeeded(&mut self) {
        self.failing = None;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long something has failed is a fact of the monotonic clock"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_come_to_an_end() {
        let [first, longest, within] = [100, 1_000, 10_000].map(Duration::from_millis);
        let mut backoff = Backoff::new(first, longest, within);
        let start = now();
        let mut at = start;
        let mut tried = Vec::new();
        while let Some(next) = backoff.next(at) {
            at = next;
            tried.push((at - start).as_millis());
        }
        assert_eq!(tried[..6], [100, 300, 700, 1_500, 2_500, 3_500]);
        assert_eq!(tried.last(), Some(&10_000), "the last attempt is at the very end");
        assert!(backoff.is_pausing() && backoff.next(at).is_none());
        backoff.succeeded();
        assert_eq!(backoff.next(at), Some(at + first), "from the beginning");
    }
}
