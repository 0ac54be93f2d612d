//! Keys of the management API: who may do what, until when.
//!
//! A key reads `tl_<id>_<secret>`. The id is public and finds the row; the secret is 256 random bits, of which only the SHA-256 is
//! kept. That is enough: a fast hash is a weakness only where a secret can be guessed, as passwords can.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;
use subtle::ConstantTimeEq as _;

use super::audit::AuditEvent;
use super::error::cannot;
use super::scopes::{NoScope, Scope};
use super::{Kind, Store, StoreError, text, timestamp};
use crate::config::Secret;

/// A key as it is listed; the secret is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// 12 hexadecimal digits. Public.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub scopes: BTreeSet<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// What lets it see what is private for a while, by id. Told by [`Store::authenticate`] and [`Store::key_now`].
    pub glass: Option<String>,
}

impl ApiKey {
    /// Whether it is good for `scope`. `admin` includes `read` and `operate`; nothing includes `phi`, `audit` or `break-glass`.
    pub fn may(&self, scope: Scope) -> bool {
        let by_admin = matches!(scope, Scope::Read | Scope::Operate) && self.scopes.contains(&Scope::Admin);
        let by_glass = scope == Scope::Phi && self.glass.is_some();
        by_admin || by_glass || self.scopes.contains(&scope)
    }

    /// As the audit trail names it.
    pub fn actor(&self) -> String {
        format!("{} ({})", self.name, self.id)
    }

    /// Whether it is good at `now`, in milliseconds since 1970.
    fn state(&self, now: i64) -> Result<(), Denied> {
        if self.revoked_at.is_some() {
            return Err(Denied::Revoked);
        }
        let expired = self.expires_at.is_some_and(|end| end.as_millisecond() <= now);
        if expired { Err(Denied::Expired) } else { Ok(()) }
    }
}

/// A key to be.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// What people call it; several keys may share a name, so that one can replace another.
    pub name: String,
    /// At least one.
    pub scopes: BTreeSet<Scope>,
    /// How long it is good; `None` until it is revoked.
    pub lifetime: Option<Duration>,
}

/// Why a key is refused. Whoever is told that it is expired or revoked has shown its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is none like it.
    #[error("the key is unknown")]
    Unknown,
    /// It was good until some time ago.
    #[error("the key has expired")]
    Expired,
    /// It was taken back.
    #[error("the key was revoked")]
    Revoked,
}

impl Store {
    /// Makes a key. The second part is the key itself, which is nowhere else.
    pub async fn create_api_key(&self, new: &NewApiKey) -> Result<(ApiKey, Secret), StoreError> {
        let what = "create an API key";
        let name = text::required(&new.name, "name")?;
        if new.scopes.is_empty() {
            return Err(StoreError::BadText { field: "scopes" });
        }
        let id = hex(&rand::random::<[u8; 6]>());
        let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.name()).collect();
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        let lifetime = new
            .lifetime
            .map(|life| i64::try_from(life.as_millis()).unwrap_or(i64::MAX));
        sqlx::query(INSERT)
            .bind(&id)
            .bind(name)
            .bind(hash(&secret))
            .bind(scopes.join(","))
            .bind(lifetime.map(|life| now.saturating_add(life).min(FAR)))
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let row: Row = sqlx::query_as(BY_ID)
            .bind(&id)
            .fetch_one(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        transaction.commit().await.map_err(cannot(what))?;
        Ok((api_key(row)?.0, Secret::new(format!("{PREFIX}{id}_{secret}"))))
    }

    /// All keys, the oldest first; revoked and expired ones too.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(ALL)
            .fetch_all(&self.pool)
            .await
            .map_err(cannot("list API keys"))?;
        rows.into_iter().map(|row| Ok(api_key(row)?.0)).collect()
    }

    /// Takes a key back, from now on and for good. `None` if there is none of that id; one that was revoked before stays so.
    pub async fn revoke_api_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        let what = "revoke an API key";
        let id = text::any(id, "id")?;
        let mut transaction = self.begin(what).await?;
        let now = now(self.kind, &mut transaction).await.map_err(cannot(what))?;
        sqlx::query(REVOKE)
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
        transaction.commit().await.map_err(cannot(what))?;
        row.map(|row| Ok(api_key(row)?.0)).transpose()
    }

    /// Whose key this is, if it is good now. Its use is noted, and the first in each hour is written into the audit trail, with `origin`.
    pub async fn authenticate(&self, key: &str, origin: &str) -> Result<Result<ApiKey, Denied>, StoreError> {
        let what = "check an API key";
        let Some((id, secret)) = split(key) else {
            return Ok(Err(Denied::Unknown));
        };
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?;
        let row: Option<Row> = sqlx::query_as(BY_ID)
            .bind(id)
            .fetch_optional(&mut *connection)
            .await
            .map_err(cannot(what))?;
        let given = hash(secret);
        let Some(row) = row else {
            return Ok(Err(Denied::Unknown));
        };
        let (mut key, expected) = api_key(row)?;
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Ok(Err(Denied::Unknown));
        }
        let now = now(self.kind, &mut connection).await.map_err(cannot(what))?;
        if let Err(denied) = key.state(now) {
            return Ok(Err(denied));
        }
        key.glass = self.glass_of(&mut connection, &key, now).await?;
        drop(connection);
        let noted = key.last_used_at.is_some_and(|last| now - last.as_millisecond() < NOTED);
        if !noted {
            self.note_use(&key, now, origin).await?;
        }
        Ok(Ok(key))
    }

    /// Whether the key of that id is good still: for what goes on after it was checked.
    pub async fn is_key_good(&self, id: &str) -> Result<bool, StoreError> {
        Ok(self.key_now(id).await?.is_some())
    }

    /// The key of that id as it is now, if it is good still.
    pub async fn key_now(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        let what = "check an API key";
        let mut connection = self.pool.acquire().await.map_err(cannot(what))?;
        let row: Option<Row> = sqlx::query_as(BY_ID)
            .bind(text::any(id, "id")?)
            .fetch_optional(&mut *connection)
            .await
            .map_err(cannot(what))?;
        let now = now(self.kind, &mut connection).await.map_err(cannot(what))?;
        let Some(row) = row else { return Ok(None) };
        let (mut key, _) = api_key(row)?;
        if key.state(now).is_err() {
            return Ok(None);
        }
        key.glass = self.glass_of(&mut connection, &key, now).await?;
        Ok(Some(key))
    }

    async fn note_use(&self, key: &ApiKey, now: i64, origin: &str) -> Result<(), StoreError> {
        let what = "note the use of an API key";
        let mut transaction = self.begin(what).await?;
        // Of several requests at once one is the first.
        let noted = sqlx::query(USED)
            .bind(now)
            .bind(&key.id)
            .bind(now - NOTED)
            .execute(&mut *transaction)
            .await
            .map_err(cannot(what))?;
        let hour = |at: i64| at.div_euclid(HOUR);
        let is_first = key
            .last_used_at
            .is_none_or(|last| hour(last.as_millisecond()) != hour(now));
        if is_first && noted.rows_affected() == 1 {
            let event = AuditEvent {
                actor: &key.actor(),
                action: "api-login",
                subject: &key.id,
                outcome: "allowed",
                detail: "",
                origin,
            };
            self.append(&mut transaction, &event).await?;
        }
        transaction.commit().await.map_err(cannot(what))
    }
}

/// The database's clock, in milliseconds since 1970.
pub(super) async fn now(kind: Kind, connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
    let statement = match kind {
        Kind::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)",
        Kind::Postgres => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    };
    sqlx::query_scalar(statement).fetch_one(connection).await
}

/// SHA-256 in hexadecimal.
fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Id and secret, if it looks like a key at all.
fn split(key: &str) -> Option<(&str, &str)> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let plain = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    (id.len() == 12 && secret.len() == 43 && plain(id) && plain(secret)).then_some((id, secret))
}

type Row = (
    String,
    String,
    String,
    String,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// The key and the hash of its secret.
fn api_key((id, name, hash, scopes, created, expires, revoked, used): Row) -> Result<(ApiKey, String), StoreError> {
    let column = "api_keys.scopes";
    let optional = |at: Option<i64>, column| at.map(|at| timestamp(at, column)).transpose();
    let scopes: Result<_, NoScope> = scopes.split(',').map(str::parse).collect();
    let key = ApiKey {
        id,
        name,
        scopes: scopes.map_err(|_| StoreError::Unreadable { column })?,
        created_at: timestamp(created, "api_keys.created_at_ms")?,
        expires_at: optional(expires, "api_keys.expires_at_ms")?,
        revoked_at: optional(revoked, "api_keys.revoked_at_ms")?,
        last_used_at: optional(used, "api_keys.last_used_at_ms")?,
        glass: None,
    };
    Ok((key, hash))
}

/// Lets scanners of source code find keys that were committed by mistake.
const PREFIX: &str = "tl_";
/// How exactly the last use is known, in milliseconds: else each request would wait for the disk.
const NOTED: i64 = 60_000;
/// The first use in each hour is a login, in milliseconds.
const HOUR: i64 = 3_600_000;
/// The year 9999, the last that a timestamp can be in.
const FAR: i64 = 253_370_764_800_000;

const INSERT: &str = "INSERT INTO api_keys (id, name, secret_hash, scopes, expires_at_ms) VALUES ($1, $2, $3, $4, $5)";
const BY_ID: &str = "SELECT id, name, secret_hash, scopes, created_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms \
     FROM api_keys WHERE id = $1";
const ALL: &str = "SELECT id, name, secret_hash, scopes, created_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms \
     FROM api_keys ORDER BY created_at_ms, id";
const REVOKE: &str = "UPDATE api_keys SET revoked_at_ms = coalesce(revoked_at_ms, $1) WHERE id = $2";
const USED: &str =
    "UPDATE api_keys SET last_used_at_ms = $1 WHERE id = $2 AND (last_used_at_ms IS NULL OR last_used_at_ms <= $3)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_key_is_looked_up() {
        let secret = "a-_".repeat(14) + "b";
        let good = format!("tl_0123456789ab_{secret}");
        assert_eq!(split(&good), Some(("0123456789ab", secret.as_str())));
        for bad in [
            "",
            "tl_",
            "tl_0123456789ab",
            &good[1..],
            &good[..good.len() - 1],
            &good.replace('b', "\0"),
        ] {
            assert_eq!(split(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn admin_is_not_phi() {
        let at = Timestamp::UNIX_EPOCH;
        let key = |scopes: &[Scope]| ApiKey {
            id: String::new(),
            name: String::new(),
            scopes: scopes.iter().copied().collect(),
            created_at: at,
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            glass: None,
        };
        let admin = key(&[Scope::Admin]);
        assert!(admin.may(Scope::Read) && admin.may(Scope::Operate) && admin.may(Scope::Admin));
        assert!(!admin.may(Scope::Audit) && !admin.may(Scope::BreakGlass));
        assert!(!admin.may(Scope::Phi) && !key(&[Scope::Phi]).may(Scope::Read));
        assert!(!key(&[Scope::Read]).may(Scope::Operate));
        let broken = ApiKey {
            glass: Some("0123".to_owned()),
            ..key(&[Scope::Read])
        };
        assert!(broken.may(Scope::Phi) && !broken.may(Scope::Audit));
    }
}
