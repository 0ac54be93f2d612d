//! The end of a server that was told to stop: its calls are finished, or ended in order and written down.

use std::time::Duration;

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
    let live = registry.live();
    tracing::info!(live, "draining: {live} calls go on, no new ones are taken");
    if tokio::time::timeout(grace.calls, none_live(registry)).await.is_err() {
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

async fn none_live(registry: &Registry) {
    let mut check = tokio::time::interval(CHECK);
    while registry.live() > 0 {
        check.tick().await;
    }
}

/// What a call may need to be written down after it was ended: a message 10 s, a record 5 s.
pub const LAST_WORDS: Duration = Duration::from_secs(16);
const CHECK: Duration = Duration::from_millis(100);
