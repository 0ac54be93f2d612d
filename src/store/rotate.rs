//! A new key-encryption key in the place of another, while servers run.
//!
//! The row `index` of `data_keys` is wrapped first: from then on every server wraps new keys by the new one (see [`super::vault`]). All
//! others follow in batches. Whoever meets a key that it does not know reads its keys again. What was interrupted goes on.

use super::error::cannot;
use super::vault::INDEX;
use super::{Store, StoreError};
use crate::privacy::kek::{KekError, KeyRing};

/// What a rotation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The key that wraps all data keys now.
    pub kek_id: String,
    /// Data keys that it has wrapped.
    pub keys: u64,
    /// Records whose key does not open, so that it stayed as it is.
    pub unreadable: Vec<String>,
    /// Keys that wrap nothing any more.
    pub old: Vec<String>,
}

/// Why keys were not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The new key could not be made or read.
    #[error("{source}. {}", .source.remedy())]
    Kek {
        /// Why.
        #[from]
        source: KekError,
    },
    /// The key that would come next was exchanged before.
    #[error(
        "{kek_id}, the first key of {place}, was replaced before, and {current} is the one that encrypts: put the line of {current} \
         first, and run this again"
    )]
    Retired {
        /// The first key.
        kek_id: String,
        /// The key that wraps.
        current: String,
        /// Where the keys are.
        place: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Puts a new key into the key file without using it yet, so that it can be brought to servers with files of their own. Gives its id; one
    /// that is there already is not added to.
    pub async fn stage_kek(&self) -> Result<String, RotateError> {
        let ring = self.ring()?;
        if self.is_staged(&ring).await? {
            return Ok(ring.first().to_owned());
        }
        Ok(KeyRing::add_new(self.vault.source())?.first().to_owned())
    }

    /// Wraps all data keys by another key: the first of those at hand or, if that one does it already, a new one. If `go_on`, and an
    /// earlier rotation was interrupted, it is only brought to its end.
    pub async fn rotate_kek(&self, go_on: bool) -> Result<Rotated, RotateError> {
        let ring = self.ring()?;
        if self.is_staged(&ring).await? {
            return Ok(self.wrap_all(&ring).await?);
        }
        if go_on {
            let rotated = self.wrap_all(&ring).await?;
            // What does not open is left each time.
            if rotated.keys > 0 {
                return Ok(rotated);
            }
        }
        Ok(self.wrap_all(&KeyRing::add_new(self.vault.source())?).await?)
    }

    /// Whether the first key is one that comes next, not the one that wraps. One that was replaced must not come back.
    async fn is_staged(&self, ring: &KeyRing) -> Result<bool, RotateError> {
        let (kek_id, current) = (ring.first().to_owned(), self.current_kek().await?);
        if kek_id == current {
            return Ok(false);
        }
        let retired: i64 = sqlx::query_scalar("SELECT count(*) FROM facts WHERE name = $1")
            .bind(format!("{RETIRED}{kek_id}"))
            .fetch_one(&self.pool)
            .await
            .map_err(cannot(WHAT))?;
        if retired == 0 {
            return Ok(true);
        }
        let place = KeyRing::place(self.vault.source());
        Err(RotateError::Retired { kek_id, current, place })
    }

    /// Wraps all data keys by the first key.
    async fn wrap_all(&self, ring: &KeyRing) -> Result<Rotated, StoreError> {
        let mut rotated = Rotated {
            kek_id: ring.first().to_owned(),
            keys: 0,
            unreadable: Vec::new(),
            old: ring.ids().skip(1).map(str::to_owned).collect(),
        };
        self.wrap_again(ring, &[(INDEX.to_owned(),)], &mut rotated).await?;
        let mut after = String::new();
        loop {
            let rows: Vec<Row> = sqlx::query_as(BATCH)
                .bind(ring.first())
                .bind(&after)
                .fetch_all(&self.pool)
                .await
                .map_err(cannot(WHAT))?;
            let Some((last,)) = rows.last() else { break };
            after.clone_from(last);
            self.wrap_again(ring, &rows, &mut rotated).await?;
        }
        self.forget_old_pages(WHAT).await?;
        Ok(rotated)
    }

    /// In one transaction. What was changed or deleted meanwhile is left alone.
    async fn wrap_again(&self, ring: &KeyRing, ids: &[Row], rotated: &mut Rotated) -> Result<(), StoreError> {
        let mut transaction = self.begin(WHAT).await?;
        for (id,) in ids {
            let row: Option<(String, String)> = sqlx::query_as(self.by_kind(ONE_SQLITE, ONE_POSTGRES))
                .bind(id)
                .bind(ring.first())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(cannot(WHAT))?;
            let Some((kek_id, wrapped)) = row else { continue };
            let key = match self.vault.unlock(id, &kek_id, &wrapped) {
                Ok(key) => key,
                Err(StoreError::Altered { .. }) if id != INDEX => {
                    rotated.unreadable.push(id.clone());
                    continue;
                }
                Err(error) => return Err(error),
            };
            sqlx::query("UPDATE data_keys SET kek_id = $2, wrapped = $3 WHERE id = $1")
                .bind(id)
                .bind(ring.first())
                .bind(ring.wrap(ring.first(), &key))
                .execute(&mut *transaction)
                .await
                .map_err(cannot(WHAT))?;
            if id == INDEX {
                sqlx::query("INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                    .bind(format!("{RETIRED}{kek_id}"))
                    .bind(ring.first())
                    .execute(&mut *transaction)
                    .await
                    .map_err(cannot(WHAT))?;
            }
            rotated.keys += 1;
        }
        transaction.commit().await.map_err(cannot(WHAT))
    }

    /// The keys as they are in their place now.
    fn ring(&self) -> Result<KeyRing, KekError> {
        let source = self.vault.source();
        let place = || KeyRing::place(source);
        KeyRing::load(source)?.ok_or_else(|| KekError::Empty { place: place() })
    }

    pub(super) async fn current_kek(&self) -> Result<String, StoreError> {
        sqlx::query_scalar("SELECT kek_id FROM data_keys WHERE id = 'index'")
            .fetch_one(&self.pool)
            .await
            .map_err(cannot(WHAT))
    }
}

/// The record whose key it is; the rest is read again when it is locked.
type Row = (String,);

const WHAT: &str = "wrap data keys again";
/// Begins the name of the fact that a key was replaced; the value is its successor.
const RETIRED: &str = "kek-replaced/";

const BATCH: &str = "SELECT id FROM data_keys WHERE kek_id <> $1 AND id > $2 ORDER BY id LIMIT 200";
const ONE_SQLITE: &str = "SELECT kek_id, wrapped FROM data_keys WHERE id = $1 AND kek_id <> $2";
const ONE_POSTGRES: &str = "SELECT kek_id, wrapped FROM data_keys WHERE id = $1 AND kek_id <> $2 FOR UPDATE";
