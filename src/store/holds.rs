//! What must not be deleted, for as long as a court or an audit wants it.
//!
//! Whoever deletes, and whoever adds a hold, holds the row `holds` of `leases` until the transaction ends: nothing that was put on hold is
//! deleted a moment later.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Any, Transaction};

use super::audit::{AuditEvent, Who};
use super::error::cannot;
use super::keys::now;
use super::subjects::{CUSTOMER, PATIENT, PHONE};
use super::vault::{self, Found};
use super::verify::Verified;
use super::{CustomerKey, Record, Store, StoreError, calls, text, timestamp, voicemails};
use crate::privacy::seal::{DataKey, Place};

/// A hold. The reason may be private.
#[derive(Clone, PartialEq, Eq)]
pub struct Hold {
    /// What it is released by.
    pub id: String,
    /// What is on hold, as in the audit trail: `call/SID`, `customer/HASH`, `patient/HASH`.
    pub record: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if it is over.
    pub released: Option<Timestamp>,
}

impl Store {
    /// Puts a call, or whatever there is and will be of a customer or patient, on hold. Gives the hold's id. Of a customer that is what has the
    /// telephone number that is known now, too.
    pub async fn add_hold(&self, record: Record<'_>, reason: &str, who: Who<'_>) -> Result<String, StoreError> {
        let what = "add a hold";
        let held = self.what_is_held(record).await?;
        let record = self.key_id(record)?;
        let id = format!("{:016x}", rand::random::<u64>());
        let key = DataKey::random(hold_key(&id));
        let content = Content {
            reason: text::required(reason, "reason")?.to_owned(),
            held: held
                .iter()
                .map(|(kind, hash)| ((*kind).to_owned(), hash.clone()))
                .collect(),
        };
        let mut transaction = self.begin(what).await?;
        self.lock_holds(&mut transaction, true).await?;
        sqlx::query("INSERT INTO holds (id, record, hold_sealed) VALUES ($1, $2, $3)")
            .bind(&id)
            .bind(&record)
            .bind(vault::seal(&key, place(&id), &content))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        self.add_key(&mut transaction, &key).await?;
        for (kind, hash) in held {
            sqlx::query("INSERT INTO held (hold_id, kind, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                .bind(&id)
                .bind(kind)
                .bind(hash)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        }
        let event = AuditEvent {
            actor: who.actor,
            origin: who.origin,
            action: "hold",
            subject: &record,
            outcome: "added",
            detail: &id,
        };
        self.append(&mut transaction, &event).await?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok(id)
    }

    /// Ends a hold; whether it was one. What it held is deleted when its time has come.
    pub async fn release_hold(&self, id: &str, reason: &str, who: Who<'_>) -> Result<bool, StoreError> {
        let what = "release a hold";
        let reason = text::required(reason, "reason")?;
        let mut transaction = self.begin(what).await?;
        self.lock_holds(&mut transaction, true).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT record, hold_sealed FROM holds WHERE id = $1 AND released_at_ms IS NULL")
                .bind(id)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        let Some((record, sealed)) = row else { return Ok(false) };
        let Found::Key(key) = self.find_key(&mut transaction, &hold_key(id)).await? else {
            return Err(StoreError::Shredded);
        };
        let mut content: Content = vault::open(&key, place(id), &sealed)?;
        content.reason = format!("{}; released: {reason}", content.reason);
        content.held.clear();
        sqlx::query("UPDATE holds SET released_at_ms = $2, hold_sealed = $3 WHERE id = $1")
            .bind(id)
            .bind(now)
            .bind(vault::seal(&key, place(id), &content))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        sqlx::query("DELETE FROM held WHERE hold_id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let event = AuditEvent {
            actor: who.actor,
            origin: who.origin,
            action: "hold",
            subject: &record,
            outcome: "released",
            detail: id,
        };
        self.append(&mut transaction, &event).await?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok(true)
    }

    /// All holds, the oldest first; those that are over too.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(ALL)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list holds"))?;
        rows.into_iter().map(|row| self.hold(row)).collect()
    }

    fn hold(&self, (id, record, sealed, since, released, kek_id, wrapped): Row) -> Result<Hold, StoreError> {
        let key = self.vault.unlock(&hold_key(&id), &kek_id, &wrapped)?;
        let Content { reason, .. } = vault::open(&key, place(&id), &sealed)?;
        Ok(Hold {
            id,
            record,
            reason,
            since: timestamp(since, "holds.created_at_ms")?,
            released: released.map(|at| timestamp(at, "holds.released_at_ms")).transpose()?,
        })
    }

    /// Names what is altered or missing of the holds.
    pub(super) async fn verify_holds(&self, found: &mut Verified) -> Result<(), StoreError> {
        let what = "look through the holds";
        let rows: Vec<Row> = sqlx::query_as(ALL).fetch_all(&self.pool).await.map_err(cannot(what))?;
        for (id, _, sealed, _, _, kek_id, wrapped) in rows {
            let opened = self.vault.unlock(&hold_key(&id), &kek_id, &wrapped);
            let opened = opened.and_then(|key| vault::open::<Content>(&key, place(&id), &sealed));
            let Some(content) = found.note(opened)? else { continue };
            let held: Vec<(String, String)> = sqlx::query_as("SELECT kind, hash FROM held WHERE hold_id = $1")
                .bind(&id)
                .fetch_all(&self.pool)
                .await
                .map_err(cannot(what))?;
            found.same(content.held == BTreeSet::from_iter(held), || {
                format!("held: a row of {id}")
            });
        }
        Ok(())
    }

    /// Kinds and hashes that are matched with the rows of calls, voicemails and so on.
    async fn what_is_held(&self, record: Record<'_>) -> Result<Vec<(&'static str, String)>, StoreError> {
        Ok(match record {
            Record::Call(sid) => vec![("call", text::required(sid, "call_sid")?.to_owned())],
            Record::Patient(member) => vec![(PATIENT, self.member_hash(&text::id(member, "member_id")?))],
            Record::Customer(number) => {
                let mut held = vec![(CUSTOMER, self.customer_hash(&text::id(number, "customer_number")?))];
                let customer = self.find_customer(CustomerKey::Number(number)).await?;
                if let Some(phone) = customer.and_then(|customer| customer.phone) {
                    held.push((PHONE, self.number_hash(&phone)));
                    held.push((calls::FROM, self.caller_hash(calls::FROM, &phone)));
                    held.push((voicemails::FROM, self.caller_hash(voicemails::FROM, &phone)));
                }
                held
            }
            Record::Order(_) | Record::Voicemail(_) => {
                return Err(StoreError::BadText { field: "record" });
            }
        })
    }

    /// Whoever adds or releases a hold has it alone; those who delete share it.
    pub(super) async fn lock_holds(
        &self,
        transaction: &mut Transaction<'static, Any>,
        alone: bool,
    ) -> Result<(), StoreError> {
        // On SQLite the transaction has the write lock already.
        let statement = self.by_kind(LOCK, if alone { LOCK_ALONE } else { LOCK_SHARED });
        sqlx::query(statement)
            .fetch_one(&mut **transaction)
            .await
            .map(drop)
            .map_err(cannot("lock the holds"))
    }

    /// Since when a record is on hold, as the question says that is about it.
    pub(super) async fn held_since(
        &self,
        transaction: &mut Transaction<'static, Any>,
        question: &'static str,
        name: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let since: Option<(Option<i64>,)> = sqlx::query_as(question)
            .bind(name)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(cannot("look for holds"))?;
        let since = since.and_then(|(since,)| since);
        since.map(|at| timestamp(at, "holds.created_at_ms")).transpose()
    }
}

/// What is sealed of a hold.
#[derive(Serialize, Deserialize)]
struct Content {
    reason: String,
    /// What the rows of `held` must say, so that none can be taken away.
    held: BTreeSet<(String, String)>,
}

/// Id, record, sealed content, since, until; wrapping key, data key.
type Row = (String, String, String, i64, Option<i64>, String, String);

fn hold_key(id: &str) -> String {
    format!("hold/{id}")
}

fn place(record: &str) -> Place<'_> {
    Place {
        table: "holds",
        column: "hold_sealed",
        record,
    }
}

/// Whether a hold `h` is about the call of the row of `calls`.
macro_rules! holds_call {
    () => {
        "((h.kind = 'call' AND h.hash = calls.call_sid) OR (h.kind = 'calls.from' AND h.hash = calls.from_hash) \
         OR EXISTS (SELECT 1 FROM call_subjects s WHERE s.call_sid = calls.call_sid AND s.kind = h.kind AND s.hash = h.hash) \
         OR (h.kind = 'customer' AND EXISTS \
            (SELECT 1 FROM task_orders o WHERE o.call_sid = calls.call_sid AND o.customer_hash = h.hash)))"
    };
}
pub(super) use holds_call;

/// The same for the message of the row of `voicemails`.
macro_rules! holds_voicemail {
    () => {
        concat!(
            "((h.kind = 'call' AND h.hash = voicemails.call_sid) OR (h.kind = 'voicemails.from' AND h.hash = voicemails.from_hash) \
             OR EXISTS (SELECT 1 FROM calls WHERE calls.call_sid = voicemails.call_sid AND ",
            crate::store::holds::holds_call!(),
            "))"
        )
    };
}
pub(super) use holds_voicemail;

const ALL: &str = "SELECT holds.id, record, hold_sealed, holds.created_at_ms, released_at_ms, kek_id, wrapped FROM holds \
     JOIN data_keys k ON k.id = 'hold/' || holds.id WHERE wrapped IS NOT NULL ORDER BY holds.created_at_ms, holds.id";
const LOCK: &str = "SELECT name FROM leases WHERE name = 'holds'";
const LOCK_SHARED: &str = "SELECT name FROM leases WHERE name = 'holds' FOR SHARE";
const LOCK_ALONE: &str = "SELECT name FROM leases WHERE name = 'holds' FOR UPDATE";

/// Since when what `$1` names is on hold.
pub(super) const OF_CALL: &str = concat!(
    "SELECT min(created_at_ms) FROM calls, held h JOIN holds ON holds.id = h.hold_id WHERE calls.call_sid = $1 AND ",
    holds_call!()
);
pub(super) const OF_VOICEMAIL: &str = concat!(
    "SELECT min(holds.created_at_ms) FROM voicemails, held h JOIN holds ON holds.id = h.hold_id WHERE voicemails.id = $1 AND ",
    holds_voicemail!()
);
pub(super) const OF_CUSTOMER: &str = "SELECT min(created_at_ms) FROM held h JOIN holds ON holds.id = h.hold_id \
     WHERE (h.kind = 'customer' AND h.hash = $1) OR (h.kind = 'call' \
     AND EXISTS (SELECT 1 FROM task_orders o WHERE o.customer_hash = $1 AND o.call_sid = h.hash))";
pub(super) const OF_PATIENT: &str = "SELECT min(created_at_ms) FROM held h JOIN holds ON holds.id = h.hold_id \
     WHERE h.kind = 'patient' AND h.hash = $1";
pub(super) const OF_ORDER: &str = "SELECT min(holds.created_at_ms) FROM task_orders, held h JOIN holds ON holds.id = h.hold_id \
     WHERE order_number = $1 AND ((h.kind = 'customer' AND h.hash = customer_hash) OR (h.kind = 'call' AND h.hash = call_sid))";
