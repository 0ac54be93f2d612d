//! The audit trail: who did what to what, and what was refused. Rows are added and never changed; they hold no PHI.

use jiff::Timestamp;

use super::error::cannot;
use super::{Kind, Store, StoreError, text, timestamp};

/// Something to be written down. No text may hold PHI: numbers are [`masked`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditEvent<'a> {
    /// Who: `agent`, `person`, `carrier`, or the name of an API key.
    pub actor: &'a str,
    /// What: `transfer`, `outbound-call`, `sms`, `webhook`, `stream`.
    pub action: &'a str,
    /// To what: the sid of a call, or empty.
    pub subject: &'a str,
    /// What came of it: `refused`, `dialled`, `placed`, `sent`, `failed`, `unclear` (it may have been done) and so on.
    pub outcome: &'a str,
    /// More of it, in a few words.
    pub detail: &'a str,
}

/// Something that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// In the order of writing.
    pub id: i64,
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
}

impl Store {
    /// Writes an event down, on the disk when this returns.
    pub async fn audit(&self, event: &AuditEvent<'_>) -> Result<(), StoreError> {
        let what = "write an audit event";
        let mut transaction = self.begin(what).await?;
        insert(&mut transaction, event).await?.map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Writes an event down, unless there are `limit` of its action and outcome already in the last 24 hours; whether it did.
    /// Several servers on one database count together, and a restart forgets nothing.
    pub async fn audit_within(&self, event: &AuditEvent<'_>, limit: u32) -> Result<bool, StoreError> {
        let what = "count audit events";
        let (lock, count) = match self.kind {
            // The transaction has the write lock already.
            Kind::Sqlite => (None, COUNT_SQLITE),
            Kind::Postgres => (Some(LOCK_POSTGRES), COUNT_POSTGRES),
        };
        let mut transaction = self.begin(what).await?;
        if let Some(lock) = lock {
            sqlx::query(lock)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        }
        let (count,): (i64,) = sqlx::query_as(count)
            .bind(text::required(event.action, "action")?)
            .bind(text::required(event.outcome, "outcome")?)
            .fetch_one(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        if count >= i64::from(limit) {
            return Ok(false);
        }
        insert(&mut transaction, event).await?.map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok(true)
    }

    /// The newest events.
    pub async fn audit_events(&self, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(NEWEST)
            .bind(i64::from(limit))
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

pub(super) async fn insert(
    transaction: &mut sqlx::Transaction<'static, sqlx::Any>,
    event: &AuditEvent<'_>,
) -> Result<Result<sqlx::any::AnyQueryResult, sqlx::Error>, StoreError> {
    let query = sqlx::query(INSERT)
        .bind(text::required(event.actor, "actor")?)
        .bind(text::required(event.action, "action")?)
        .bind(text::any(event.subject, "subject")?)
        .bind(text::required(event.outcome, "outcome")?)
        .bind(text::any(event.detail, "detail")?);
    Ok(query.execute(&mut **transaction).await)
}

pub(super) type Row = (i64, i64, String, String, String, String, String);

pub(super) fn record((id, at, actor, action, subject, outcome, detail): Row) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        id,
        at: timestamp(at, "audit_events.at_ms")?,
        actor,
        action,
        subject,
        outcome,
        detail,
    })
}

const INSERT: &str = "INSERT INTO audit_events (actor, action, subject, outcome, detail) VALUES ($1, $2, $3, $4, $5)";
const COUNT_SQLITE: &str = "SELECT count(*) FROM audit_events WHERE action = $1 AND outcome = $2 \
     AND at_ms > CAST(unixepoch('subsec') * 1000 AS INTEGER) - 86400000";
const COUNT_POSTGRES: &str = "SELECT count(*) FROM audit_events WHERE action = $1 AND outcome = $2 \
     AND at_ms > CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - 86400000";
/// Two that count at the same time would both find room.
const LOCK_POSTGRES: &str = "LOCK TABLE audit_events IN SHARE ROW EXCLUSIVE MODE";
const NEWEST: &str =
    "SELECT id, at_ms, actor, action, subject, outcome, detail FROM audit_events ORDER BY id DESC LIMIT $1";

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
