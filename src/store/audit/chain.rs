//! The audit trail's chain: each event holds the MAC of the one before it, and a MAC of its own.
//!
//! The row `head` of `audit_marks` says where the trail ends. It is held while an event is added, so that all writers of all processes make
//! one chain, without gaps or forks. The row `checkpoint` says through where events were purged; the trail is followed from there. Both are
//! sealed by the key of the chain, which comes from the row `index` of `data_keys` and outlives every change of the key that wraps that.

use std::time::Duration;

use sqlx::{Any, Transaction};

use super::{AuditEvent, Row};
use crate::privacy::chain::{Anchor, same};
use crate::store::error::cannot;
use crate::store::keys::now;
use crate::store::{Kind, Store, StoreError, text};

type Tx = Transaction<'static, Any>;

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// How many events are gone.
    pub events: u64,
    /// The last of them.
    pub through: Anchor,
}

impl Store {
    /// Where the trail ends: to be kept elsewhere, so that it can be told whether its end was cut off, or all of it put back.
    pub async fn audit_head(&self) -> Result<Anchor, StoreError> {
        let found = self.mark(HEAD).await?;
        self.trusted(HEAD, found)
    }

    /// Adds an event at the end of the trail; others wait until the transaction ends.
    pub(in crate::store) async fn append(&self, tx: &mut Tx, event: &AuditEvent<'_>) -> Result<Anchor, StoreError> {
        let head = self.hold_head(tx).await?;
        self.append_after(tx, head, event).await
    }

    /// The end of the trail, which stays where it is until the transaction ends. Nothing is added behind a mark that we did not set.
    pub(super) async fn hold_head(&self, tx: &mut Tx) -> Result<Anchor, StoreError> {
        let found: Option<Mark> = sqlx::query_as(self.by_kind(MARK, MARK_HELD))
            .bind(HEAD)
            .fetch_optional(&mut **tx)
            .await
            .map_err(cannot(WHAT))?;
        self.trusted(HEAD, found)
    }

    /// Adds an event behind the head that is held.
    pub(super) async fn append_after(
        &self,
        tx: &mut Tx,
        head: Anchor,
        event: &AuditEvent<'_>,
    ) -> Result<Anchor, StoreError> {
        // Read under the lock, so that later events are not earlier.
        let at = now(self.kind, tx).await.map_err(cannot(WHAT))?;
        let head = self.put_event(tx, &head, at, event).await?;
        self.set_mark(tx, HEAD, &head).await?;
        Ok(head)
    }

    /// Makes the trail ready, and writes down if the key of the records was made just now.
    pub(in crate::store) async fn begin_audit(&self) -> Result<(), StoreError> {
        self.begin_chain().await?;
        let Some(kek_id) = self.vault.made() else { return Ok(()) };
        self.audit(&AuditEvent {
            actor: "server",
            action: "kek",
            subject: &kek_id,
            outcome: "created",
            detail: "",
            origin: "",
        })
        .await
    }

    /// Puts the events of an earlier version into the chain, once. Only the first of several that start at once does.
    async fn begin_chain(&self) -> Result<(), StoreError> {
        if !self.has_table(EARLIER).await? {
            return Ok(());
        }
        let mut tx = self.begin(WHAT).await?;
        if self.kind == Kind::Postgres {
            for statement in [
                "SET LOCAL statement_timeout = 0",
                "LOCK TABLE facts IN SHARE ROW EXCLUSIVE MODE",
            ] {
                sqlx::query(statement).execute(&mut *tx).await.map_err(cannot(WHAT))?;
            }
        }
        // Another one may have been quicker.
        if self.has_table(EARLIER).await? {
            self.chain_earlier(&mut tx).await?;
        }
        tx.commit().await.map_err(cannot(WHAT))
    }

    async fn chain_earlier(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let (mut head, mut after) = (Anchor::start(), i64::MIN);
        loop {
            let rows: Vec<EarlierRow> = sqlx::query_as(EARLIER_ROWS)
                .bind(after)
                .fetch_all(&mut **tx)
                .await
                .map_err(cannot(WHAT))?;
            let Some((last, ..)) = rows.last() else { break };
            after = *last;
            for (_, at, actor, action, subject, outcome, detail) in &rows {
                let event = AuditEvent {
                    actor,
                    action,
                    subject,
                    outcome,
                    detail,
                    origin: "",
                };
                head = self.put_event(tx, &head, *at, &event).await?;
            }
        }
        let events = head.seq;
        let begun: Option<Mark> = sqlx::query_as(MARK)
            .bind(HEAD)
            .fetch_optional(&mut **tx)
            .await
            .map_err(cannot(WHAT))?;
        // A database that was restored has its trail, and no events of an earlier version.
        if events > 0 || begun.is_none() {
            self.set_mark(tx, HEAD, &head).await?;
        }
        if events > 0 {
            tracing::info!(
                events,
                "the audit trail is a chain from now on, with {events} events of an earlier version; who may have changed those before cannot be told"
            );
            let event = AuditEvent {
                actor: "server",
                action: "audit-chained",
                subject: "",
                outcome: "done",
                detail: &format!("{events} events of an earlier version"),
                origin: "",
            };
            self.append_after(tx, head, &event).await?;
        }
        sqlx::query("DROP TABLE plain_audit_events")
            .execute(&mut **tx)
            .await
            .map(drop)
            .map_err(cannot(WHAT))
    }

    /// Has the trail go on where its mark is not ours, behind the last event there is, and writes that down; `actor` and `origin` are of who
    /// wants it. What was lost stays lost, and what is wrong with events stays to be seen. `None` if the mark is good.
    pub async fn mend_audit(&self, actor: &str, origin: &str) -> Result<Option<Anchor>, StoreError> {
        let what = "mend the audit trail";
        let mut tx = self.begin(what).await?;
        if self.kind == Kind::Postgres {
            // There may be no mark to hold.
            sqlx::query("LOCK TABLE audit_marks IN SHARE ROW EXCLUSIVE MODE")
                .execute(&mut *tx)
                .await
                .map_err(cannot(what))?;
        }
        let found: Option<Mark> = sqlx::query_as(MARK)
            .bind(HEAD)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot(what))?;
        let Err(fault) = self.trusted(HEAD, found) else {
            return Ok(None);
        };
        let last: Option<(i64, String)> = sqlx::query_as("SELECT seq, mac FROM audit_events ORDER BY seq DESC LIMIT 1")
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot(what))?;
        let head = last.map_or_else(Anchor::start, |(seq, mac)| Anchor { seq, mac });
        let event = AuditEvent {
            actor,
            action: "audit-mended",
            subject: "",
            outcome: "done",
            detail: &format!("{fault}; it goes on behind event {}", head.seq),
            origin,
        };
        let head = self.append_after(&mut tx, head, &event).await?;
        tx.commit().await.map_err(cannot(what))?;
        tracing::warn!("the audit trail was mended: {fault}");
        Ok(Some(head))
    }

    /// Deletes the events that are older, from the beginning of the trail on, and writes that down, with the MAC reached: the trail is followed
    /// from there. `None` if there are none. What does not verify is not deleted.
    pub async fn purge_audit(&self, older_than: Duration) -> Result<Option<Purged>, StoreError> {
        let what = "purge audit events";
        let age = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
        let Some(through) = self.purgeable(age).await? else {
            return Ok(None);
        };
        let mut tx = self.begin(what).await?;
        let head = self.hold_head(&mut tx).await?;
        let checkpoint: Option<Mark> = sqlx::query_as(MARK)
            .bind(CHECKPOINT)
            .fetch_optional(&mut *tx)
            .await
            .map_err(cannot(what))?;
        let before = checkpoint.map_or(0, |(seq, ..)| seq);
        if before >= through.seq {
            // Another one has done it meanwhile.
            return Ok(None);
        }
        self.set_mark(&mut tx, CHECKPOINT, &through).await?;
        let gone = sqlx::query("DELETE FROM audit_events WHERE seq <= $1")
            .bind(through.seq)
            .execute(&mut *tx)
            .await
            .map_err(cannot(what))?;
        let events = gone.rows_affected();
        let event = AuditEvent {
            actor: "retention",
            action: "audit-purged",
            subject: "",
            outcome: "done",
            detail: &format!("{events} events through {through}"),
            origin: "",
        };
        self.append_after(&mut tx, head, &event).await?;
        tx.commit().await.map_err(cannot(what))?;
        tracing::info!(events, "{events} audit events were purged, through {through}");
        Ok(Some(Purged { events, through }))
    }

    /// The last of the events that may go, once they and those before them are known to be whole.
    async fn purgeable(&self, age: i64) -> Result<Option<Anchor>, StoreError> {
        let what = "purge audit events";
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?;
        let now = now(self.kind, &mut connection).await.map_err(cannot(what))?;
        drop(connection);
        let kept: Option<i64> = sqlx::query_scalar("SELECT min(seq) FROM audit_events WHERE at_ms >= $1")
            .bind(now.saturating_sub(age))
            .fetch_one(&self.pool)
            .await
            .map_err(cannot(what))?;
        let through = match kept {
            Some(kept) => kept - 1,
            None => self.audit_head().await?.seq,
        };
        let found: Option<(String,)> = sqlx::query_as("SELECT mac FROM audit_events WHERE seq = $1")
            .bind(through)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot(what))?;
        let Some((mac,)) = found else { return Ok(None) };
        if let Some(fault) = self.verify_audit(None).await?.faults.into_iter().next() {
            tracing::error!("nothing of the audit trail is purged, as it is not whole: {fault}");
            let what = format!("the audit trail ({fault})");
            return Err(StoreError::Altered { what });
        }
        Ok(Some(Anchor { seq: through, mac }))
    }

    async fn put_event(
        &self,
        tx: &mut Tx,
        head: &Anchor,
        at: i64,
        event: &AuditEvent<'_>,
    ) -> Result<Anchor, StoreError> {
        let fields = [
            text::required(event.actor, "actor")?,
            text::required(event.action, "action")?,
            text::any(event.subject, "subject")?,
            text::required(event.outcome, "outcome")?,
            text::any(event.detail, "detail")?,
            text::any(event.origin, "origin")?,
            head.mac.as_str(),
        ];
        let seq = head.seq.checked_add(1).ok_or(StoreError::NumbersUsedUp {
            what: "number of an audit event",
        })?;
        let mac = self.vault.chain().link(seq, at, &fields);
        let mut query = sqlx::query(INSERT).bind(seq).bind(at);
        for field in fields {
            query = query.bind(field);
        }
        query.bind(&mac).execute(&mut **tx).await.map_err(cannot(WHAT))?;
        Ok(Anchor { seq, mac })
    }

    /// The MAC that a row should have.
    pub(super) fn mac_of(&self, row: &Row) -> String {
        let (seq, at, actor, action, subject, outcome, detail, origin, previous, _) = row;
        self.vault
            .chain()
            .link(*seq, *at, &[actor, action, subject, outcome, detail, origin, previous])
    }

    async fn set_mark(&self, tx: &mut Tx, name: &str, anchor: &Anchor) -> Result<(), StoreError> {
        sqlx::query(SET_MARK)
            .bind(name)
            .bind(anchor.seq)
            .bind(&anchor.mac)
            .bind(self.vault.chain().seal(name, anchor))
            .execute(&mut **tx)
            .await
            .map(drop)
            .map_err(cannot(WHAT))
    }

    pub(super) async fn mark(&self, name: &str) -> Result<Option<Mark>, StoreError> {
        sqlx::query_as(MARK)
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot("read the marks of the audit trail"))
    }

    /// A mark, if we have set it.
    pub(super) fn trusted(&self, name: &str, found: Option<Mark>) -> Result<Anchor, StoreError> {
        let what = || format!("audit_marks: the row {name}");
        let (seq, mac, seal) = found.ok_or_else(|| StoreError::Missing { what: what() })?;
        let anchor = Anchor { seq, mac };
        if same(&seal, &self.vault.chain().seal(name, &anchor)) {
            Ok(anchor)
        } else {
            Err(StoreError::Altered { what: what() })
        }
    }
}

/// Number, MAC, seal.
pub(super) type Mark = (i64, String, String);

/// Id, time in milliseconds, actor, action, subject, outcome, detail.
type EarlierRow = (i64, i64, String, String, String, String, String);

pub(super) const HEAD: &str = "head";
pub(super) const CHECKPOINT: &str = "checkpoint";
/// Where the migration has set the events of an earlier version aside.
const EARLIER: &str = "plain_audit_events";
const WHAT: &str = "write an audit event";

const INSERT: &str = "INSERT INTO audit_events (seq, at_ms, actor, action, subject, outcome, detail, origin, previous, mac) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const MARK: &str = "SELECT seq, mac, seal FROM audit_marks WHERE name = $1";
const MARK_HELD: &str = "SELECT seq, mac, seal FROM audit_marks WHERE name = $1 FOR UPDATE";
const SET_MARK: &str = "INSERT INTO audit_marks (name, seq, mac, seal) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, mac = excluded.mac, seal = excluded.seal";
const EARLIER_ROWS: &str = "SELECT id, at_ms, actor, action, subject, outcome, detail FROM plain_audit_events WHERE id > $1 ORDER BY id LIMIT 500";
