//! The audit trail: who did what to what, from where, and what was refused. Rows are added and never changed; they hold no PHI.
//!
//! They are a chain (see [`chain`]), which [`Store::verify_audit`] follows.

mod anchors;
mod chain;
mod egress;
mod follow;

use std::time::Duration;

use jiff::Timestamp;

use super::error::cannot;
use super::{Store, StoreError, text, timestamp};
pub use crate::privacy::chain::Anchor;
pub use chain::Purged;
pub use follow::AuditVerified;

/// Something to be written down. No text may hold PHI: numbers are [`masked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEvent<'a> {
    /// Who: `agent`, `person`, `carrier`, `server`, the name of an API key, or who runs a command.
    pub actor: &'a str,
    /// What: `transfer`, `outbound-call`, `sms`, `webhook`, `stream`; docs/guide/audit.md lists them.
    pub action: &'a str,
    /// To what: the sid of a call, what stands for a customer, the id of a key; or empty.
    pub subject: &'a str,
    /// What came of it: `refused`, `dialled`, `placed`, `sent`, `failed`, `unclear` (it may have been done) and so on.
    pub outcome: &'a str,
    /// More of it, in a few words.
    pub detail: &'a str,
    /// From where: the address that asked, `command line on …`, `call`, the line of a carrier; or empty.
    pub origin: &'a str,
}

/// Who does something, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    /// See [`AuditEvent::actor`].
    pub actor: &'a str,
    /// See [`AuditEvent::origin`].
    pub origin: &'a str,
}

/// Something that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// In the order of writing, from 1, without gaps.
    pub seq: i64,
    /// When, by the database's clock.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What came of it.
    pub outcome: String,
    /// More of it.
    pub detail: String,
    /// From where.
    pub origin: String,
    /// Its MAC, 64 hexadecimal digits.
    pub mac: String,
}

/// Which events are wanted; what is empty is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this action.
    pub action: String,
    /// Of this subject.
    pub subject: String,
    /// With this outcome.
    pub outcome: String,
    /// Before this number.
    pub before: Option<i64>,
}

impl Store {
    /// Writes an event down, on the disk when this returns.
    pub async fn audit(&self, event: &AuditEvent<'_>) -> Result<(), StoreError> {
        let what = "write an audit event";
        let mut transaction = self.begin(what).await?;
        self.append(&mut transaction, event).await?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Writes an event down, unless there are `limit` of its action and outcome already in the last 24 hours; whether it did.
    /// Several servers on one database count together, and a restart forgets nothing.
    pub async fn audit_within(&self, event: &AuditEvent<'_>, limit: u32) -> Result<bool, StoreError> {
        let what = "count audit events";
        let mut transaction = self.begin(what).await?;
        // Held from here on: two that count at the same time would both find room.
        let head = self.hold_head(&mut transaction).await?;
        let count: i64 = sqlx::query_scalar(self.by_kind(COUNT_SQLITE, COUNT_POSTGRES))
            .bind(text::required(event.action, "action")?)
            .bind(text::required(event.outcome, "outcome")?)
            .bind(i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX))
            .fetch_one(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if count >= i64::from(limit) {
            return Ok(false);
        }
        self.append_after(&mut transaction, head, event).await?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok(true)
    }

    /// The newest events.
    pub async fn audit_events(&self, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.audit_page(&AuditFilter::default(), limit).await
    }

    /// The newest of the events that are wanted, the newest first.
    pub async fn audit_page(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(NEWEST)
            .bind(i64::from(limit))
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(text::any(&filter.action, "action")?)
            .bind(text::any(&filter.subject, "subject")?)
            .bind(text::any(&filter.outcome, "outcome")?)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list audit events"))?;
        rows.into_iter().map(record).collect()
    }
}

/// A telephone number as it may be written down: its last two digits. What is no number shows nothing.
pub fn masked(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    match digits.as_slice() {
        [_, _, _, _, .., a, b] => format!("*{a}{b}"),
        _ => "*".to_owned(),
    }
}

/// Number, time in milliseconds, actor, action, subject, outcome, detail, origin, the MAC before, the MAC.
pub(super) type Row = (i64, i64, String, String, String, String, String, String, String, String);

pub(super) fn record(
    (seq, at, actor, action, subject, outcome, detail, origin, _, mac): Row,
) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        seq,
        at: timestamp(at, "audit_events.at_ms")?,
        actor,
        action,
        subject,
        outcome,
        detail,
        origin,
        mac,
    })
}

const DAY: Duration = Duration::from_secs(86_400);

const COUNT_SQLITE: &str = "SELECT count(*) FROM audit_events WHERE action = $1 AND outcome = $2 \
     AND at_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER) - $3";
const COUNT_POSTGRES: &str = "SELECT count(*) FROM audit_events WHERE action = $1 AND outcome = $2 \
     AND at_ms > CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - $3";
const NEWEST: &str = "SELECT seq, at_ms, actor, action, subject, outcome, detail, origin, previous, mac FROM audit_events \
     WHERE seq < $2 AND ($3 = '' OR action = $3) AND ($4 = '' OR subject = $4) AND ($5 = '' OR outcome = $5) ORDER BY seq DESC LIMIT $1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_number_two_digits_are_shown() {
        for (number, shown) in [
            ("+15550177123", "*23"),
            ("911", "*"),
            ("", "*"),
            ("my aunt", "*"),
            ("tel:+1 (900) 555-0199", "*99"),
        ] {
            assert_eq!(masked(number), shown, "{number}");
        }
    }
}
