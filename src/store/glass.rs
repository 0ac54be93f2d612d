//! Break-glass: a key that has the scope of that name takes `phi` for a while, with a reason.
//!
//! It holds for that key alone, on all servers and after a restart, and ends by itself. The reason may tell of somebody, so it is sealed, by a
//! data key of its own.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::AnyConnection;

use super::audit::AuditEvent;
use super::error::cannot;
use super::keys::now;
use super::vault::{self, Found};
use super::{ApiKey, Scope, Store, StoreError, text, timestamp};
use crate::privacy::seal::{DataKey, Place};

/// One taking of `phi`. The reason may be PHI: it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Glass {
    /// 16 hexadecimal digits.
    pub id: String,
    /// The key's id.
    pub key_id: String,
    /// Why. Empty if its data key was deleted, or it does not open.
    pub reason: String,
    /// Since when.
    pub begun_at: Timestamp,
    /// Until when.
    pub ends_at: Timestamp,
    /// When it was taken back, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Whether it holds now.
    pub is_open: bool,
}

impl Store {
    /// Lets a key see what is private from now on. It is in the audit trail as soon as it holds.
    pub async fn break_glass(
        &self,
        key: &ApiKey,
        reason: &str,
        lifetime: Duration,
        origin: &str,
    ) -> Result<Glass, StoreError> {
        let what = "break the glass";
        let reason = text::required(reason, "reason")?;
        let id: String = rand::random::<[u8; 8]>()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let data_key = DataKey::random(key_id(&id));
        let mut transaction = self.begin(what).await?;
        self.add_key(&mut transaction, &data_key).await?;
        let begun = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        let ends = begun.saturating_add(i64::try_from(lifetime.as_millis()).unwrap_or(0));
        sqlx::query(INSERT)
            .bind(&id)
            .bind(&key.id)
            .bind(vault::seal(&data_key, place(&id), &reason))
            .bind(begun)
            .bind(ends)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let event = AuditEvent {
            actor: &key.actor(),
            action: "break-glass",
            subject: &id,
            outcome: "allowed",
            detail: &format!("{} minutes", lifetime.as_secs() / 60),
            origin,
        };
        self.append(&mut transaction, &event).await?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok(Glass {
            id,
            key_id: key.id.clone(),
            reason: reason.to_owned(),
            begun_at: timestamp(begun, "break_glass.begun_at_ms")?,
            ends_at: timestamp(ends, "break_glass.ends_at_ms")?,
            revoked_at: None,
            is_open: true,
        })
    }

    /// The newest takings, those that hold now among them.
    pub async fn glasses(&self, limit: u32) -> Result<Vec<Glass>, StoreError> {
        let what = "list what was taken by break-glass";
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?;
        let now = now(self.kind, &mut connection).await.map_err(cannot(what))?;
        let rows: Vec<Row> = sqlx::query_as(NEWEST)
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await
            .map_err(cannot(what))?;
        let mut glasses = Vec::with_capacity(rows.len());
        for row in rows {
            glasses.push(self.shown(&mut connection, row, now).await?);
        }
        Ok(glasses)
    }

    /// One of them.
    pub(super) async fn find_glass(&self, id: &str) -> Result<Option<Glass>, StoreError> {
        let what = "list what was taken by break-glass";
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?;
        let now = now(self.kind, &mut connection).await.map_err(cannot(what))?;
        let row: Option<Row> = sqlx::query_as(BY_ID)
            .bind(id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(cannot(what))?;
        let Some(row) = row else { return Ok(None) };
        let reason = self.reason(&mut connection, &row).await?;
        glass(row, reason, now).map(Some)
    }

    /// Takes it back, at once. `None` if there is none of that id; one that has ended stays ended.
    pub async fn revoke_glass(&self, id: &str, actor: &str, origin: &str) -> Result<Option<Glass>, StoreError> {
        let what = "revoke a break-glass";
        let id = text::any(id, "id")?;
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        sqlx::query("UPDATE break_glass SET revoked_at_ms = coalesce(revoked_at_ms, $1) WHERE id = $2")
            .bind(now)
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let row: Option<Row> = sqlx::query_as(BY_ID)
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let Some(row) = row else { return Ok(None) };
        let event = AuditEvent {
            actor,
            action: "break-glass",
            subject: id,
            outcome: "revoked",
            detail: "",
            origin,
        };
        self.append(&mut transaction, &event).await?;
        transaction.commit().await.map_err(cannot(what))?;
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?;
        self.shown(&mut connection, row, now).await.map(Some)
    }

    /// What lets a key see what is private now, though it lacks the scope.
    pub(super) async fn glass_of(
        &self,
        connection: &mut AnyConnection,
        key: &ApiKey,
        now: i64,
    ) -> Result<Option<String>, StoreError> {
        if key.scopes.contains(&Scope::Phi) || !key.scopes.contains(&Scope::BreakGlass) {
            return Ok(None);
        }
        sqlx::query_scalar(OPEN)
            .bind(&key.id)
            .bind(now)
            .fetch_optional(connection)
            .await
            .map_err(cannot("check an API key"))
    }

    async fn reason(&self, connection: &mut AnyConnection, (id, _, sealed, ..): &Row) -> Result<String, StoreError> {
        match self.find_key(connection, &key_id(id)).await? {
            Found::Key(data_key) => vault::open(&data_key, place(id), sealed),
            Found::Shredded => Ok(String::new()),
            Found::None => {
                let what = format!("data_keys: the row {}", key_id(id));
                Err(StoreError::Missing { what })
            }
        }
    }

    /// For people: what was taken is shown, and that it can be revoked, though its reason does not open.
    async fn shown(&self, connection: &mut AnyConnection, row: Row, now: i64) -> Result<Glass, StoreError> {
        let reason = match self.reason(connection, &row).await {
            Err(error @ StoreError::Database { .. }) => return Err(error),
            Err(error) => {
                tracing::error!(glass = row.0, %error, "the reason of a break-glass is not shown: {error}");
                String::new()
            }
            Ok(reason) => reason,
        };
        glass(row, reason, now)
    }
}

fn glass((id, key, _, begun, ends, revoked): Row, reason: String, now: i64) -> Result<Glass, StoreError> {
    let revoked_at = revoked.map(|at| timestamp(at, "break_glass.revoked_at_ms"));
    Ok(Glass {
        id,
        key_id: key,
        reason,
        begun_at: timestamp(begun, "break_glass.begun_at_ms")?,
        ends_at: timestamp(ends, "break_glass.ends_at_ms")?,
        is_open: revoked.is_none() && ends > now,
        revoked_at: revoked_at.transpose()?,
    })
}

/// Id, key, reason, begin, end, when it was taken back.
type Row = (String, String, String, i64, i64, Option<i64>);

fn key_id(id: &str) -> String {
    format!("break-glass/{id}")
}

fn place(id: &str) -> Place<'_> {
    Place {
        table: "break_glass",
        column: "reason_sealed",
        record: id,
    }
}

const INSERT: &str =
    "INSERT INTO break_glass (id, api_key, reason_sealed, begun_at_ms, ends_at_ms) VALUES ($1, $2, $3, $4, $5)";
const NEWEST: &str = "SELECT id, api_key, reason_sealed, begun_at_ms, ends_at_ms, revoked_at_ms FROM break_glass \
     ORDER BY begun_at_ms DESC, id LIMIT $1";
const BY_ID: &str =
    "SELECT id, api_key, reason_sealed, begun_at_ms, ends_at_ms, revoked_at_ms FROM break_glass WHERE id = $1";
const OPEN: &str = "SELECT id FROM break_glass WHERE api_key = $1 AND revoked_at_ms IS NULL AND ends_at_ms > $2 \
     ORDER BY ends_at_ms DESC LIMIT 1";
