//! Refusals that are written down: whoever was refused may be up to something.
//!
//! A flood of them must cost nothing but itself. So they pass a gate in memory first: it lets as many through as the audit trail takes in a
//! day, and of a stream that nobody had to sign for, which is anybody's to open, far fewer. What the gate keeps back asks the database nothing.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::{App, refuse};
use crate::store::{AuditEvent, Store};
use crate::twilio::dialect::Dialect;
use crate::twilio::form::is_call;

/// The gate. Each kind of request and each line has its own share.
#[derive(Debug)]
pub struct Refusals {
    proved: DefaultKeyedRateLimiter<&'static str>,
    unproved: DefaultKeyedRateLimiter<&'static str>,
}

/// Who was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A request with the carrier's proof.
    Proved,
    /// Anybody who can reach this line.
    Unproved(Dialect),
}

/// Who was refused at the management API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knocking {
    /// Anybody who can reach the server.
    Stranger,
    /// Who has a good key.
    Known,
}

/// What was refused. No text may hold PHI.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal<'a> {
    pub(super) actor: &'a str,
    pub(super) action: &'static str,
    pub(super) subject: &'a str,
    pub(super) detail: &'a str,
    pub(super) origin: &'a str,
}

impl Refusals {
    fn lets_through(&self, source: Source, action: &'static str) -> bool {
        match source {
            Source::Proved => self.proved.check_key(&action).is_ok(),
            Source::Unproved(line) => self.unproved.check_key(&line.name()).is_ok(),
        }
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            proved: RateLimiter::keyed(daily(MOST, MOST)),
            unproved: RateLimiter::keyed(daily(MOST_UNPROVED, BURST_UNPROVED)),
        }
    }
}

/// Writes down that somebody was refused, so many times a day. No text may hold PHI.
pub(super) async fn audit(app: &App, source: Source, action: &'static str, subject: &str, detail: &'static str) {
    if let Some(store) = &app.services.store
        && app.refusals.lets_through(source, action)
    {
        write(store, of_carrier(source, action, subject, detail)).await;
    }
}

/// The same for the management API.
pub(super) async fn of_api(app: &App, who: Knocking, refusal: Refusal<'_>) {
    let lets_through = match who {
        Knocking::Stranger => app.refusals.unproved.check_key(&refusal.action).is_ok(),
        Knocking::Known => app.refusals.proved.check_key(&refusal.action).is_ok(),
    };
    if let Some(store) = app.services.store.as_ref().filter(|_| lets_through) {
        write(store, refusal).await;
    }
}

/// Refuses a webhook of a call that another account, or another line, has.
pub(super) fn foreign(app: &App, call: &str) -> Response {
    tracing::warn!(
        call,
        "a webhook of call {call} came from another account or line than the call's own and was refused"
    );
    if let Some(store) = app.services.store.clone()
        && app.refusals.lets_through(Source::Proved, "webhook")
    {
        let call = call.to_owned();
        tokio::spawn(async move { write(&store, of_carrier(Source::Proved, "webhook", &call, "foreign")).await });
    }
    refuse(StatusCode::FORBIDDEN, "not a call of this account")
}

fn of_carrier<'a>(source: Source, action: &'static str, call: &'a str, detail: &'static str) -> Refusal<'a> {
    Refusal {
        actor: "carrier",
        action,
        subject: Some(call).filter(|sid| is_call(sid)).unwrap_or_default(),
        detail,
        origin: match source {
            Source::Proved => "webhook",
            Source::Unproved(line) => line.name(),
        },
    }
}

async fn write(store: &Store, refusal: Refusal<'_>) {
    let Refusal {
        actor,
        action,
        subject,
        detail,
        origin,
    } = refusal;
    let event = AuditEvent {
        actor,
        action,
        subject,
        outcome: "refused",
        detail,
        origin,
    };
    // The database counts too: other servers use it, and a restart opens the gate anew.
    if let Err(error) = store.audit_within(&event, MOST).await {
        tracing::error!(action, %error, "a refusal is not in the audit trail: {error}");
    }
}

fn daily(most: u32, burst: u32) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(DAY / most).map_or_else(|| Quota::per_hour(burst), |quota| quota.allow_burst(burst))
}

const DAY: Duration = Duration::from_secs(86_400);
/// Refusals of one kind that are written down in 24 hours: enough to be seen, too few to fill a disk.
const MOST: u32 = 1_000;
/// Of streams that anybody may open, on one line: all lines together leave most of the day's share to the others.
const MOST_UNPROVED: u32 = 96;
/// Of which so many at once.
const BURST_UNPROVED: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_on_one_line_leaves_the_others_their_share() {
        let refusals = Refusals::default();
        let through = |source, action| (0..3_000).filter(|_| refusals.lets_through(source, action)).count();
        let unproved = Source::Unproved(Dialect::Exotel);
        assert_eq!(through(unproved, "stream"), BURST_UNPROVED as usize);
        assert_eq!(
            through(Source::Unproved(Dialect::Plivo), "stream"),
            BURST_UNPROVED as usize
        );
        assert_eq!(through(Source::Proved, "stream"), MOST as usize);
        assert_eq!(through(Source::Proved, "webhook"), MOST as usize);
        const {
            assert!(
                4 * (MOST_UNPROVED + BURST_UNPROVED) < MOST / 2,
                "most is left to what was proved"
            );
        };
    }
}
