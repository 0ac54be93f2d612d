//! The keys of the records: made with a record, opened when it is read, deleted to make it unreadable for good.
//!
//! Nothing keeps a data key longer than one question to the database, so what is shredded is unreadable at once, in every process.
//! The row `index` wraps the key of the look-up hashes. It is also what a key-encryption key is tried on at start, and the id of the one
//! that wrapped it is the id of the one that new data keys are wrapped by: whoever [rotates](super::rotate) changes it first, and
//! whoever adds a key holds it.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};

use super::connect::Why;
use super::error::cannot;
use super::{Kind, Store, StoreError, timestamp};
use crate::config::KekSource;
use crate::privacy::chain::ChainKey;
use crate::privacy::kek::{KekError, KeyRing, UnwrapError};
use crate::privacy::seal::{DataKey, IndexKey, Place};

/// A record that has a data key of its own.
#[derive(Clone, Copy)]
pub enum Record<'a> {
    /// A call with its turns, tool runs and recording, by the carrier's id.
    Call(&'a str),
    /// A customer, by number.
    Customer(&'a str),
    /// A patient with what the plan pays, by member id.
    Patient(&'a str),
    /// A task order, by number.
    Order(&'a str),
    /// A message with its file, by id.
    Voicemail(&'a str),
}

/// The keys at hand.
pub(super) struct Vault {
    source: KekSource,
    ring: RwLock<Arc<KeyRing>>,
    index: IndexKey,
    chain: ChainKey,
    /// Whether the key that wraps was made by this opening.
    made: bool,
}

impl Vault {
    /// Gets the keys ready. A database that is new gets an index key; one that is not must open.
    pub(super) async fn open(pool: &AnyPool, kind: Kind, source: &KekSource) -> Result<Self, Why> {
        let failed = |error: sqlx::Error| (super::connect::explain(&error), kind.remedy());
        let found = index_row(pool).await.map_err(failed)?;
        let (ring, made) = match KeyRing::load(source).map_err(told)? {
            Some(ring) => (ring, false),
            // Without this the new key would only be the wrong one.
            None if found.is_some() => return Err(missing(source)),
            None => (KeyRing::create(source).map_err(told)?, true),
        };
        let (kek_id, wrapped) = match found {
            Some(found) => found,
            None => make_index(pool, &ring).await.map_err(failed)?,
        };
        let opened = ring.unwrap(&kek_id, INDEX, &wrapped);
        let index = opened.map_err(|error| wrong(source, &ring, &kek_id, error))?;
        Ok(Self {
            source: source.clone(),
            ring: RwLock::new(Arc::new(ring)),
            index: IndexKey::of(&index),
            chain: ChainKey::of(&index),
            made,
        })
    }

    /// What the audit trail is chained with.
    pub(super) fn chain(&self) -> &ChainKey {
        &self.chain
    }

    /// The id of the key that was made when the database was opened.
    pub(super) fn made(&self) -> Option<String> {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        self.made.then(|| ring.first().to_owned())
    }

    /// What stands for a text that is looked up by.
    pub(super) fn hash(&self, column: &'static str, text: &str) -> String {
        self.index.hash(column, text)
    }

    /// Opens a data key as it lies in its row.
    pub(super) fn unlock(&self, id: &str, kek_id: &str, wrapped: &str) -> Result<DataKey, StoreError> {
        let ring = self.ring_with(kek_id);
        ring.unwrap(kek_id, id, wrapped).map_err(|error| match error {
            UnwrapError::NoSuchKek => StoreError::NoKek {
                record: id.to_owned(),
                kek_id: kek_id.to_owned(),
                place: KeyRing::place(&self.source),
            },
            UnwrapError::DoesNotOpen(_) => StoreError::Altered {
                what: format!("data_keys.wrapped of {id}"),
            },
        })
    }

    /// The ring, read again if it lacks that key: another process may have added it.
    pub(super) fn ring_with(&self, kek_id: &str) -> Arc<KeyRing> {
        let ring = Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner));
        if ring.has(kek_id) {
            return ring;
        }
        match KeyRing::load(&self.source) {
            Ok(Some(again)) if again.has(kek_id) => {
                tracing::info!(
                    kek_id,
                    "the keys were read again, as records are encrypted with the new key {kek_id}"
                );
                let again = Arc::new(again);
                *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&again);
                again
            }
            Ok(_) => ring,
            Err(error) => {
                tracing::error!(%error, "the keys cannot be read again: {error}");
                ring
            }
        }
    }

    pub(super) fn source(&self) -> &KekSource {
        &self.source
    }
}

impl Store {
    /// The data key of a record, for what is kept beside the database. `None` if there is no such record.
    /// [`StoreError::Shredded`] if it was deleted for good.
    pub async fn data_key(&self, record: Record<'_>) -> Result<Option<DataKey>, StoreError> {
        let id = self.key_id(record)?;
        let mut connection = self.pool.acquire().await.map_err(cannot("read a data key"))?;
        match self.find_key(&mut connection, &id).await? {
            Found::Key(key) => Ok(Some(key)),
            Found::Shredded => Err(StoreError::Shredded),
            Found::None => Ok(None),
        }
    }

    /// Deletes a data key; whether there was one. Whoever has deleted what they wanted calls [`Store::forget_old_pages`].
    pub(super) async fn shred_key(
        &self,
        transaction: &mut Transaction<'static, Any>,
        id: &str,
    ) -> Result<bool, StoreError> {
        sqlx::query(self.by_kind(SHRED_SQLITE, SHRED_POSTGRES))
            .bind(id)
            .execute(&mut **transaction)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(cannot("delete a data key"))
    }

    /// When a record was deleted for good; `None` if it is there, or never was.
    pub async fn deleted_at(&self, record: Record<'_>) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<(Option<i64>,)> = sqlx::query_as("SELECT shredded_at_ms FROM data_keys WHERE id = $1")
            .bind(self.key_id(record)?)
            .fetch_optional(&self.pool)
            .await
            .map_err(cannot("read a data key"))?;
        at.and_then(|(at,)| at)
            .map(|at| timestamp(at, "data_keys.shredded_at_ms"))
            .transpose()
    }

    /// Makes what was deleted or replaced unreadable on the disk too, as far as the database can.
    pub(super) async fn forget_old_pages(&self, what: &'static str) -> Result<(), StoreError> {
        match self.kind {
            // `secure_delete` has overwritten it in the new pages; this writes them over the old ones and empties the log.
            Kind::Sqlite => {
                let mut connection = self.apart(CHECKPOINT_PATIENCE, what).await?;
                let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
                    .fetch_one(&mut connection)
                    .await
                    .map_err(cannot(what))?;
                connection.close().await.map_err(cannot(what))?;
                if busy != 0 {
                    tracing::warn!(
                        "the write-ahead log could not be emptied, as the database is busy; the next time will do"
                    );
                }
                Ok(())
            }
            // Removes the old versions of the rows; the server's own log ages by itself.
            Kind::Postgres => self.vacuum(&["VACUUM data_keys"], what).await,
        }
    }

    /// A large table takes longer than any other statement may.
    pub(super) async fn vacuum(&self, statements: &[&'static str], what: &'static str) -> Result<(), StoreError> {
        let mut connection = self.apart("SET statement_timeout = 0", what).await?;
        for statement in statements {
            sqlx::query(*statement)
                .execute(&mut connection)
                .await
                .map_err(cannot(what))?;
        }
        connection.close().await.map_err(cannot(what))
    }

    /// A connection with a time limit of its own, which never comes back to the pool.
    async fn apart(&self, limit: &'static str, what: &'static str) -> Result<AnyConnection, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?.detach();
        connection.execute(limit).await.map_err(cannot(what))?;
        Ok(connection)
    }

    /// What names a record in `data_keys`. No PHI: what stands for a customer or patient is a keyed hash.
    pub fn key_id(&self, record: Record<'_>) -> Result<String, StoreError> {
        use super::text;
        Ok(match record {
            Record::Call(sid) => call_key(text::required(sid, "call_sid")?),
            Record::Customer(number) => customer_key(&self.customer_hash(&text::id(number, "customer_number")?)),
            Record::Patient(member) => patient_key(&self.member_hash(&text::id(member, "member_id")?)),
            Record::Order(number) => order_key(text::required(number, "order_number")?),
            Record::Voicemail(id) => voicemail_key(text::required(id, "id")?),
        })
    }

    pub(super) async fn find_key(&self, connection: &mut AnyConnection, id: &str) -> Result<Found, StoreError> {
        let found: Option<(Option<String>, Option<String>)> =
            sqlx::query_as("SELECT kek_id, wrapped FROM data_keys WHERE id = $1")
                .bind(id)
                .fetch_optional(connection)
                .await
                .map_err(cannot("read a data key"))?;
        Ok(match found {
            None => Found::None,
            Some((Some(kek_id), Some(wrapped))) => Found::Key(self.vault.unlock(id, &kek_id, &wrapped)?),
            Some(_) => Found::Shredded,
        })
    }

    /// Writes the key of a new record down; one that was shredded gets a new key. A record that has one keeps it, and `false` is told.
    pub(super) async fn add_key(
        &self,
        transaction: &mut Transaction<'static, Any>,
        key: &DataKey,
    ) -> Result<bool, StoreError> {
        let what = "write a data key";
        // Held until the transaction ends, so that no rotation ends before it.
        let (kek_id,): (String,) = sqlx::query_as(self.by_kind(CURRENT_SQLITE, CURRENT_POSTGRES))
            .fetch_one(&mut **transaction)
            .await
            .map_err(cannot(what))?;
        let ring = self.vault.ring_with(&kek_id);
        let wrapped = ring.wrap(&kek_id, key).ok_or_else(|| StoreError::NoKek {
            record: INDEX.to_owned(),
            kek_id: kek_id.clone(),
            place: KeyRing::place(self.vault.source()),
        })?;
        sqlx::query(ADD)
            .bind(key.id())
            .bind(&kek_id)
            .bind(wrapped)
            .execute(&mut **transaction)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(cannot(what))
    }

    /// The key of a record that may be there already, and whether it was made now: then nothing there can be read.
    pub(super) async fn key_for(
        &self,
        transaction: &mut Transaction<'static, Any>,
        id: String,
    ) -> Result<(DataKey, bool), StoreError> {
        if let Found::Key(key) = self.find_key(&mut *transaction, &id).await? {
            return Ok((key, false));
        }
        let made = self.add_key(transaction, &DataKey::random(id.clone())).await?;
        // Another one may have been quicker.
        match self.find_key(&mut *transaction, &id).await? {
            Found::Key(key) => Ok((key, made)),
            Found::Shredded | Found::None => Err(StoreError::Shredded),
        }
    }
}

pub(super) enum Found {
    Key(DataKey),
    Shredded,
    None,
}

/// Seals a record's content, as JSON.
pub(super) fn seal(key: &DataKey, place: Place<'_>, content: &impl Serialize) -> String {
    let text = serde_json::to_string(content).expect("invariant: our contents are plain data");
    key.seal(place, &text)
}

/// The same back.
pub(super) fn open<T: DeserializeOwned>(key: &DataKey, place: Place<'_>, sealed: &str) -> Result<T, StoreError> {
    let text = key.open(place, sealed).map_err(|_| altered(place))?;
    serde_json::from_str(&text).map_err(|_| StoreError::Unreadable { column: place.column })
}

pub(super) fn altered(place: Place<'_>) -> StoreError {
    StoreError::Altered {
        what: place.to_string(),
    }
}

pub(super) fn call_key(sid: &str) -> String {
    format!("call/{sid}")
}

pub(super) fn customer_key(hash: &str) -> String {
    format!("customer/{hash}")
}

pub(super) fn patient_key(hash: &str) -> String {
    format!("patient/{hash}")
}

pub(super) fn order_key(number: &str) -> String {
    format!("order/{number}")
}

pub(super) fn voicemail_key(id: &str) -> String {
    format!("voicemail/{id}")
}

/// Whether the keys open a database, without changing anything.
pub(super) async fn examine(
    connection: &mut AnyConnection,
    kind: Kind,
    source: &KekSource,
    ring: Option<&KeyRing>,
) -> Result<(), Why> {
    let found = index_row(connection).await;
    let found = found.map_err(|error| (super::connect::explain(&error), kind.remedy()))?;
    match (found, ring) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(missing(source)),
        (Some((kek_id, wrapped)), Some(ring)) => match ring.unwrap(&kek_id, INDEX, &wrapped) {
            Ok(_) => Ok(()),
            Err(error) => Err(wrong(source, ring, &kek_id, error)),
        },
    }
}

async fn index_row<'a>(
    executor: impl sqlx::Executor<'a, Database = Any>,
) -> Result<Option<(String, String)>, sqlx::Error> {
    sqlx::query_as("SELECT kek_id, wrapped FROM data_keys WHERE id = 'index'")
        .fetch_optional(executor)
        .await
}

/// Whoever comes first makes it; all others read it.
async fn make_index(pool: &AnyPool, ring: &KeyRing) -> Result<(String, String), sqlx::Error> {
    let wrapped = ring.wrap(ring.first(), &DataKey::random(INDEX));
    sqlx::query("INSERT INTO data_keys (id, kek_id, wrapped) VALUES ('index', $1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(ring.first())
        .bind(wrapped)
        .execute(pool)
        .await?;
    index_row(pool).await?.ok_or(sqlx::Error::RowNotFound)
}

pub(super) fn told(error: KekError) -> Why {
    (format!("its key is not good: {error}"), error.remedy())
}

fn missing(source: &KekSource) -> Why {
    let place = KeyRing::place(source);
    (
        format!("it is encrypted, and its key is missing: there is no {place}"),
        WRONG,
    )
}

fn wrong(source: &KekSource, ring: &KeyRing, kek_id: &str, error: UnwrapError) -> Why {
    let place = KeyRing::place(source);
    let reason = match error {
        UnwrapError::NoSuchKek => {
            let ids: Vec<&str> = ring.ids().collect();
            format!(
                "it is encrypted with the key {kek_id}, and {place} holds {}",
                ids.join(", ")
            )
        }
        UnwrapError::DoesNotOpen(_) => format!("its index key does not open with {kek_id} of {place}: it was altered"),
    };
    (reason, WRONG)
}

/// The id of the key of the look-up hashes.
pub(super) const INDEX: &str = "index";

/// It has the write lock while it waits for those who read what was there before: a backup, for one.
const CHECKPOINT_PATIENCE: &str = "PRAGMA busy_timeout = 200";
const ADD: &str = "INSERT INTO data_keys (id, kek_id, wrapped) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET \
     kek_id = excluded.kek_id, wrapped = excluded.wrapped, shredded_at_ms = NULL, generation = data_keys.generation + 1 \
     WHERE data_keys.wrapped IS NULL";
const CURRENT_SQLITE: &str = "SELECT kek_id FROM data_keys WHERE id = 'index'";
const CURRENT_POSTGRES: &str = "SELECT kek_id FROM data_keys WHERE id = 'index' FOR SHARE";
const SHRED_SQLITE: &str = "UPDATE data_keys SET kek_id = NULL, wrapped = NULL, \
     shredded_at_ms = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE id = $1 AND wrapped IS NOT NULL";
const SHRED_POSTGRES: &str = "UPDATE data_keys SET kek_id = NULL, wrapped = NULL, \
     shredded_at_ms = CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) WHERE id = $1 AND wrapped IS NOT NULL";

const WRONG: &str = "Put the right key back (a copy of the file kek.key, the credential, or KEK), from where you keep it apart; or name \
     another database. A new key cannot open what the old one has encrypted";
