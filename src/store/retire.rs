//! Deleting for good: what is old enough, and what belongs to a person.
//!
//! A key, the ciphertext it opened, what the record was found by, and the event in the audit trail go or come in one transaction: nothing is
//! deleted without proof, and no proof is there of what was not done. What is on hold stays. `data_keys` keeps the id of each key that was
//! deleted, so that a backup can be told to do without it (see `privacy::shredlist`).

use jiff::Timestamp;
use sqlx::{Any, Transaction};

use super::audit::{AuditEvent, Who};
use super::error::cannot;
use super::holds::{self, holds_call, holds_voicemail};
use super::keys::now;
use super::vault::{call_key, customer_key, order_key, patient_key, voicemail_key};
use super::{Kind, Store, StoreError};
use crate::privacy::shredlist::Dead;

/// What is kept for a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The audio of calls.
    Recordings,
    /// What was said and done in calls.
    Transcripts,
    /// The rest of calls: when, by whom, how it ended.
    Calls,
    /// Messages with their audio.
    Voicemails,
}

impl Class {
    /// All, in the order they are purged.
    pub const ALL: [Self; 4] = [Self::Recordings, Self::Transcripts, Self::Calls, Self::Voicemails];

    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::Transcripts => "transcripts",
            Self::Calls => "calls",
            Self::Voicemails => "voicemails",
        }
    }
}

/// Why, and by whom, something is deleted. For the audit trail: no PHI.
#[derive(Debug, Clone, Copy)]
pub struct Because<'a> {
    /// By whom.
    pub who: Who<'a>,
    /// `purge`, or `delete` for a person's request.
    pub action: &'a str,
    /// Which class, or at whose request.
    pub detail: &'a str,
}

/// What is to be deleted, as rows name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// What was said and done in a call; its row stays, with what is in plain.
    Content(String),
    /// A call with its row.
    Call(String),
    /// A message. Its row stays until [`Store::forget_voicemail`], so that its file is not forgotten.
    Voicemail(String),
    /// A call's audio, by the call's sid. Its rows stay and say that it was deleted; the call's key stays, too.
    Recording(String),
    /// A task order.
    Order(String),
    /// A customer, by hash. Orders go first.
    Customer(String),
    /// A patient with coverage, by hash.
    Patient(String),
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retired {
    /// It is gone.
    Gone,
    /// It was gone already.
    NotThere,
    /// It is on hold since then, and stays.
    OnHold(Timestamp),
}

type Tx = Transaction<'static, Any>;

impl Store {
    /// Takes what only one server may do at a time, for a minute; until when somebody else has it otherwise. Who has it may take it again.
    pub async fn take_lease(&self, name: &str, holder: &str) -> Result<Option<Timestamp>, StoreError> {
        let what = "take a lease";
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        let taken = sqlx::query(
            "UPDATE leases SET holder = $2, until_ms = $3 WHERE name = $1 AND (holder = $2 OR until_ms < $4)",
        )
        .bind(name)
        .bind(holder)
        .bind(now + LEASE_MS)
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map_err(cannot(what))?;
        if taken.rows_affected() == 1 {
            transaction.commit().await.map_err(cannot(what))?;
            return Ok(None);
        }
        let until: i64 = sqlx::query_scalar("SELECT until_ms FROM leases WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        super::timestamp(until, "leases.until_ms").map(Some)
    }

    /// Gives it back.
    pub async fn end_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let what = "give a lease back";
        let mut transaction = self.begin(what).await?;
        sqlx::query("UPDATE leases SET holder = NULL, until_ms = 0 WHERE name = $1 AND holder = $2")
            .bind(name)
            .bind(holder)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// The time, by the database's clock.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        let what = "read the clock";
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?;
        let now = now(self.kind, &mut connection).await.map_err(cannot(what))?;
        super::timestamp(now, "now")
    }

    /// What of a class began before then and is neither gone nor on hold, in the order of its ids, from the one after `after`.
    pub async fn due(
        &self,
        class: Class,
        before: Timestamp,
        after: &str,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let question = match class {
            Class::Recordings => DUE_RECORDINGS,
            Class::Transcripts => DUE_TRANSCRIPTS,
            Class::Calls => DUE_CALLS,
            Class::Voicemails => DUE_VOICEMAILS,
        };
        sqlx::query_scalar(question)
            .bind(before.as_millisecond())
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("look for what is old"))
    }

    /// How much of a class is old enough, and how much of that is on hold.
    pub async fn count_due(&self, class: Class, before: Timestamp) -> Result<(u64, u64), StoreError> {
        let questions = match class {
            Class::Recordings => (COUNT_RECORDINGS, HELD_RECORDINGS),
            Class::Transcripts => (COUNT_TRANSCRIPTS, HELD_TRANSCRIPTS),
            Class::Calls => (COUNT_CALLS, HELD_CALLS),
            Class::Voicemails => (COUNT_VOICEMAILS, HELD_VOICEMAILS),
        };
        let count = async |question| -> Result<u64, StoreError> {
            let count: i64 = sqlx::query_scalar(question)
                .bind(before.as_millisecond())
                .fetch_one(&self.pool)
                .await
                .map_err(cannot("count what is old"))?;
            Ok(u64::try_from(count).unwrap_or(0))
        };
        Ok((count(questions.0).await?, count(questions.1).await?))
    }

    /// Deletes some items in one transaction, each with its event. Call [`Store::forget_deleted`] when all is done.
    pub async fn retire(&self, items: &[Item], because: Because<'_>) -> Result<Vec<Retired>, StoreError> {
        let what = "delete for good";
        let mut transaction = self.begin(what).await?;
        self.lock_holds(&mut transaction, false).await?;
        let mut retired = Vec::with_capacity(items.len());
        for item in items {
            let held = self.held_since(&mut transaction, item.hold(), item.name()).await?;
            if let Some(since) = held {
                retired.push(Retired::OnHold(since));
                continue;
            }
            let gone = self.remove(&mut transaction, item).await?;
            if gone {
                let subject = item.key();
                let event = AuditEvent {
                    actor: because.who.actor,
                    action: because.action,
                    subject: &subject,
                    outcome: "deleted",
                    detail: because.detail,
                    origin: because.who.origin,
                };
                self.append(&mut transaction, &event).await?;
            }
            retired.push(if gone { Retired::Gone } else { Retired::NotThere });
        }
        transaction.commit().await.map_err(cannot(what))?;
        Ok(retired)
    }

    /// Whether there was anything to remove.
    async fn remove(&self, tx: &mut Tx, item: &Item) -> Result<bool, StoreError> {
        let name = item.name();
        match item {
            Item::Content(sid) => {
                let gone = self.shred_key(tx, &call_key(sid)).await?;
                run(tx, EMPTY_CALL, name).await?;
                Ok(gone)
            }
            Item::Call(sid) => {
                self.shred_key(tx, &call_key(sid)).await?;
                let mut gone = 0;
                for &statement in REMOVE_CALL {
                    gone = run(tx, &[statement], name).await?;
                }
                Ok(gone > 0)
            }
            Item::Voicemail(id) => {
                let gone = self.shred_key(tx, &voicemail_key(id)).await?;
                run(tx, &[EMPTY_VOICEMAIL], name).await?;
                Ok(gone)
            }
            Item::Recording(sid) => self.bury_recording(tx, sid).await,
            Item::Order(_) => {
                self.remove_row(tx, item, "DELETE FROM task_orders WHERE order_number = $1")
                    .await
            }
            Item::Customer(_) => {
                self.remove_row(tx, item, "DELETE FROM customers WHERE number_hash = $1")
                    .await
            }
            Item::Patient(_) => {
                self.remove_row(tx, item, "DELETE FROM patients WHERE member_hash = $1")
                    .await
            }
        }
    }

    async fn remove_row(&self, tx: &mut Tx, item: &Item, statement: &'static str) -> Result<bool, StoreError> {
        let gone = self.shred_key(tx, &item.key()).await?;
        Ok(run(tx, &[statement], item.name()).await? > 0 || gone)
    }

    /// Messages that are deleted, whose files may be there yet.
    pub async fn deleted_voicemails(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT v.id FROM voicemails v JOIN data_keys k ON k.id = 'voicemail/' || v.id WHERE wrapped IS NULL ORDER BY v.id LIMIT 1000",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(cannot("list deleted voicemails"))
    }

    /// Removes the row of a deleted message, whose file is gone.
    pub async fn forget_voicemail(&self, id: &str) -> Result<(), StoreError> {
        let what = "remove a voicemail's row";
        let mut transaction = self.begin(what).await?;
        run(
            &mut transaction,
            &["DELETE FROM voicemails WHERE id = $1 \
              AND EXISTS (SELECT 1 FROM data_keys k WHERE k.id = 'voicemail/' || voicemails.id AND wrapped IS NULL)"],
            id,
        )
        .await?;
        transaction.commit().await.map_err(cannot(what))
    }

    /// Carriers' reports of calls that had no stream, and answers kept for repetition, when their time is over.
    pub async fn remove_loose_ends(&self, before: Timestamp) -> Result<u64, StoreError> {
        let what = "remove what belongs to no call";
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        let mut removed = 0;
        for (statement, at) in [
            (LOOSE_STATUS, before.as_millisecond()),
            (super::requests::FORGET_KEYS, now - super::requests::KEPT),
            (super::requests::FORGET, now - super::requests::KEPT),
        ] {
            let done = sqlx::query(statement)
                .bind(at)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
            removed += done.rows_affected();
        }
        transaction.commit().await.map_err(cannot(what))?;
        Ok(removed)
    }

    /// Deletes what was answered to requests, which may be about anybody. The requests are known still, so none is carried out again.
    pub async fn forget_answers(&self) -> Result<(), StoreError> {
        let what = "delete kept answers";
        let mut transaction = self.begin(what).await?;
        for statement in [
            "UPDATE api_requests SET body_sealed = NULL WHERE body_sealed IS NOT NULL",
            "DELETE FROM data_keys WHERE id LIKE 'answer/%'",
        ] {
            sqlx::query(statement)
                .execute(&mut *transaction)
                .await
                .map_err(cannot(what))?;
        }
        transaction.commit().await.map_err(cannot(what))
    }

    /// Makes what was deleted unreadable in the database's files too.
    pub async fn forget_deleted(&self) -> Result<(), StoreError> {
        let what = "forget what was deleted";
        match self.kind {
            Kind::Sqlite => self.forget_old_pages(what).await,
            Kind::Postgres => self.vacuum(VACUUM, what).await,
        }
    }

    /// All data keys that were deleted for good.
    pub async fn dead_keys(&self) -> Result<Vec<Dead>, StoreError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(DEAD)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list deleted keys"))?;
        let dead = rows
            .into_iter()
            .map(|(id, generation, at_ms)| Dead { id, generation, at_ms });
        Ok(dead.collect())
    }

    /// Authenticates a line of the list of deleted keys.
    pub fn sign_dead(&self, line: &str) -> String {
        self.vault.hash(crate::privacy::shredlist::SIGNED, line)
    }
}

impl Item {
    /// What names its row.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Content(name)
            | Self::Call(name)
            | Self::Voicemail(name)
            | Self::Recording(name)
            | Self::Order(name)
            | Self::Customer(name)
            | Self::Patient(name) => name,
        }
    }

    /// What names its key, and itself in the audit trail.
    pub fn key(&self) -> String {
        match self {
            Self::Content(sid) | Self::Call(sid) => call_key(sid),
            Self::Voicemail(id) => voicemail_key(id),
            Self::Recording(sid) => format!("recording/{sid}"),
            Self::Order(number) => order_key(number),
            Self::Customer(hash) => customer_key(hash),
            Self::Patient(hash) => patient_key(hash),
        }
    }

    /// Since when it is on hold.
    pub(super) fn hold(&self) -> &'static str {
        match self {
            Self::Content(_) | Self::Call(_) | Self::Recording(_) => holds::OF_CALL,
            Self::Voicemail(_) => holds::OF_VOICEMAIL,
            Self::Order(_) => holds::OF_ORDER,
            Self::Customer(_) => holds::OF_CUSTOMER,
            Self::Patient(_) => holds::OF_PATIENT,
        }
    }
}

/// How many rows the last of the statements has changed.
async fn run(tx: &mut Tx, statements: &[&'static str], name: &str) -> Result<u64, StoreError> {
    let mut changed = 0;
    for &statement in statements {
        let done = sqlx::query(statement)
            .bind(name)
            .execute(&mut **tx)
            .await
            .map_err(cannot("delete for good"))?;
        changed = done.rows_affected();
    }
    Ok(changed)
}

/// A lease that was taken and not given back: its server died.
const LEASE_MS: i64 = 60_000;

const EMPTY_CALL: &[&str] = &[
    "DELETE FROM turns WHERE call_sid = $1",
    "DELETE FROM tool_calls WHERE call_sid = $1",
    "DELETE FROM call_subjects WHERE call_sid = $1",
    "DELETE FROM recordings WHERE call_sid = $1",
    "UPDATE calls SET numbers_sealed = '', contents_sealed = '', from_hash = NULL WHERE call_sid = $1",
];
/// The call itself last.
const REMOVE_CALL: &[&str] = &[
    "DELETE FROM turns WHERE call_sid = $1",
    "DELETE FROM tool_calls WHERE call_sid = $1",
    "DELETE FROM call_subjects WHERE call_sid = $1",
    "DELETE FROM recordings WHERE call_sid = $1",
    "DELETE FROM call_status WHERE call_sid = $1",
    "DELETE FROM calls WHERE call_sid = $1",
];
const EMPTY_VOICEMAIL: &str = "UPDATE voicemails SET message_sealed = '', from_hash = NULL, transcribed = 'failed', \
     transcript_sealed = NULL WHERE id = $1";
const LOOSE_STATUS: &str = "DELETE FROM call_status WHERE updated_at_ms < $1 \
     AND NOT EXISTS (SELECT 1 FROM calls WHERE calls.call_sid = call_status.call_sid)";
const DEAD: &str = "SELECT id, CASE WHEN wrapped IS NULL THEN generation ELSE generation - 1 END, \
     coalesce(shredded_at_ms, created_at_ms) FROM data_keys WHERE wrapped IS NULL OR generation > 1 ORDER BY shredded_at_ms, id";
const VACUUM: &[&str] = &[
    "VACUUM turns",
    "VACUUM tool_calls",
    "VACUUM call_subjects",
    "VACUUM recordings",
    "VACUUM calls",
    "VACUUM voicemails",
    "VACUUM task_orders",
    "VACUUM customers",
    "VACUUM coverage",
    "VACUUM patients",
    "VACUUM api_requests",
    "VACUUM data_keys",
];

macro_rules! held_call {
    () => {
        concat!("EXISTS (SELECT 1 FROM held h WHERE ", holds_call!(), ")")
    };
}
macro_rules! held_voicemail {
    () => {
        concat!("EXISTS (SELECT 1 FROM held h WHERE ", holds_voicemail!(), ")")
    };
}
macro_rules! old_recordings {
    () => {
        concat!(
            old_transcripts!(),
            " AND EXISTS (SELECT 1 FROM recordings r WHERE r.call_sid = calls.call_sid AND r.state IN ('open', 'whole', 'failed'))"
        )
    };
}
macro_rules! old_transcripts {
    () => {
        "FROM calls JOIN data_keys k ON k.id = 'call/' || call_sid WHERE started_at_ms < $1 AND wrapped IS NOT NULL"
    };
}
macro_rules! old_calls {
    () => {
        "FROM calls WHERE started_at_ms < $1"
    };
}
macro_rules! old_voicemails {
    () => {
        "FROM voicemails JOIN data_keys k ON k.id = 'voicemail/' || voicemails.id \
         WHERE voicemails.created_at_ms < $1 AND wrapped IS NOT NULL"
    };
}
macro_rules! due {
    ($id:literal, $old:expr, $held:expr) => {
        concat!(
            "SELECT ",
            $id,
            " ",
            $old,
            " AND ",
            $id,
            " > $2 AND NOT ",
            $held,
            " ORDER BY ",
            $id,
            " LIMIT $3"
        )
    };
}
const DUE_RECORDINGS: &str = due!("calls.call_sid", old_recordings!(), held_call!());
const DUE_TRANSCRIPTS: &str = due!("calls.call_sid", old_transcripts!(), held_call!());
const DUE_CALLS: &str = due!("calls.call_sid", old_calls!(), held_call!());
const DUE_VOICEMAILS: &str = due!("voicemails.id", old_voicemails!(), held_voicemail!());
const COUNT_RECORDINGS: &str = concat!("SELECT count(*) ", old_recordings!());
const COUNT_TRANSCRIPTS: &str = concat!("SELECT count(*) ", old_transcripts!());
const COUNT_CALLS: &str = concat!("SELECT count(*) ", old_calls!());
const COUNT_VOICEMAILS: &str = concat!("SELECT count(*) ", old_voicemails!());
const HELD_RECORDINGS: &str = concat!("SELECT count(*) ", old_recordings!(), " AND ", held_call!());
const HELD_TRANSCRIPTS: &str = concat!("SELECT count(*) ", old_transcripts!(), " AND ", held_call!());
const HELD_CALLS: &str = concat!("SELECT count(*) ", old_calls!(), " AND ", held_call!());
const HELD_VOICEMAILS: &str = concat!("SELECT count(*) ", old_voicemails!(), " AND ", held_voicemail!());
