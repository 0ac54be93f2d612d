//! The end of a server that was told to stop: its calls are finished, or ended in order and written down.

use std::time::{Duration, Instant};

use crate::call::registry::Registry;

/// How long a server that stops waits for its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace {
    /// For calls to end by themselves.
    pub calls: Duration,
    /// For what was said in those that were then ended to be written down.
    pub last_words: Duration,
}

/// Finishes the calls there are, for as long as the grace lasts. Those that were ended are written down when this returns, unless the database is slow.
pub async fn drain(registry: &Registry, grace: Grace) {
    registry.drain();
    let unfinished = registry.unfinished(now());
    tracing::info!(
        unfinished,
        "draining: {unfinished} calls go on or begin, no new ones are taken"
    );
    if tokio::time::timeout(grace.calls, none_unfinished(registry))
        .await
        .is_err()
    {
        let live = registry.live();
        tracing::warn!(live, "{live} calls outlasted SHUTDOWN_GRACE and are ended");
        registry.stop_all();
        // Their connections close in order; Twilio then asks the fallback. What was said is written down before the database closes.
        if tokio::time::timeout(grace.last_words, none_live(registry))
            .await
            .is_err()
        {
            tracing::error!("calls are not written down to their end: the database is too slow");
        }
    }
    tracing::info!("stopped");
}

/// A call whose webhook was answered is waited for: its stream may still come.
async fn none_unfinished(registry: &Registry) {
    let mut check = tokio::time::interval(CHECK);
    while registry.unfinished(now()) > 0 {
        check.tick().await;
    }
}

async fn none_live(registry: &Registry) {
    let mut check = tokio::time::interval(CHECK);
    while registry.live() > 0 {
        check.tick().await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the end of a server is the end of real time")]
fn now() -> Instant {
    Instant::now()
}

/// What a call may need to be written down after it was ended: a message or a tool that runs 10 s, a record 5 s.
pub const LAST_WORDS: Duration = Duration::from_secs(16);
/// How long the end of a call waits for what comes of a tool that runs.
pub(super) const LAST_TOOL: Duration = Duration::from_secs(10);
const CHECK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;

    use super::*;
    use crate::call::end::CallEnd;
    use crate::call::registry::Parties;

    #[tokio::test]
    async fn a_call_that_was_promised_a_stream_is_waited_for() {
        let registry = Arc::new(Registry::new(4));
        let token = registry.expect("CA1", "AC1", Parties::default(), now());
        let token = token.expect("admitted");
        let grace = Grace {
            calls: Duration::from_secs(60),
            last_words: Duration::ZERO,
        };
        let mut drained = pin!(drain(&registry, grace));
        let mut live = None;
        for _ in 0..2 {
            let mut beat = tokio::time::interval(CHECK);
            for _ in 0..3 {
                tokio::select! {
                    biased;
                    () = &mut drained => panic!("it stops before the call's end"),
                    _ = beat.tick() => {}
                }
            }
            live.get_or_insert_with(|| registry.open("CA1", "AC1", &token, now()).expect("expected"));
        }
        live.expect("it is live").ended(CallEnd::Caller);
        let finished = tokio::time::timeout(Duration::from_secs(10), drained).await;
        assert!(finished.is_ok(), "nobody is left to wait for");
    }
}
