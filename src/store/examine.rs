//! What [`Store::open`] would find, without changing anything: no file, no table, no row.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use sqlx::any::{AnyConnectOptions, install_default_drivers};
use sqlx::{AnyConnection, Connection as _, Executor as _};

use super::connect::{
    NEWER, POSTGRES_TABLES, PREPARE_TIMEOUT, SQLITE, SQLITE_TABLES, Why, explain, set_up, sqlite_options,
};
use super::{Kind, OpenError, Store, reach, vault};
use crate::config::{Database, KekSource, Location};
use crate::privacy::egress::Egress;
use crate::privacy::kek::KeyRing;

/// How a database stands that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// There are no tables yet, and they can be made.
    New,
    /// The tables are an older version's; the next start changes them.
    Older,
    /// The tables are this version's, and can be written to.
    Current,
}

impl Store {
    /// Looks whether the database can be opened and written to, as [`Store::open`] would.
    pub async fn examine(database: &Database) -> Result<Condition, OpenError> {
        Self::examine_within(database, &Egress::default()).await
    }

    /// As [`Store::examine`], and connects where `egress` lets it.
    pub async fn examine_within(database: &Database, egress: &Egress) -> Result<Condition, OpenError> {
        install_default_drivers();
        let fail = |(reason, remedy)| OpenError {
            location: database.location.to_string(),
            reason,
            remedy,
        };
        let ring = KeyRing::load(&database.kek).map_err(|error| fail(vault::told(error)))?;
        let (options, kind) = match &database.location {
            Location::Sqlite(path) if !path.exists() => return can_create(path).map_err(fail),
            Location::Sqlite(path) => (sqlite_options(path).map_err(fail)?, Kind::Sqlite),
            Location::Postgres(url) => (
                reach::admitted(url.expose(), egress).await.map_err(fail)?,
                Kind::Postgres,
            ),
        };
        let looking = tokio::time::timeout(PREPARE_TIMEOUT, look(&options, kind, &database.kek, ring.as_ref()));
        looking
            .await
            .map_err(|_| fail(("it did not answer in time".to_owned(), kind.remedy())))?
            .map_err(fail)
    }
}

/// Whether the file, and the directories above it, can be made.
fn can_create(path: &Path) -> Result<Condition, Why> {
    let directory = nearest(path);
    if !directory.is_dir() {
        return Err((format!("{} is not a directory", directory.display()), SQLITE));
    }
    access(&directory, Access::WRITE_OK | Access::EXEC_OK)
        .map(|()| Condition::New)
        .map_err(|error| {
            let error = std::io::Error::from(error);
            (format!("{}: {error}", directory.display()), SQLITE)
        })
}

/// The nearest thing above a path that is there.
fn nearest(path: &Path) -> PathBuf {
    let mut above = path.ancestors().skip(1).filter(|above| above.exists());
    // A relative path begins in the working directory, written as nothing.
    above.next().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

async fn look(
    options: &AnyConnectOptions,
    kind: Kind,
    source: &KekSource,
    ring: Option<&KeyRing>,
) -> Result<Condition, Why> {
    let because = |error: sqlx::Error| (explain(&error), kind.remedy());
    let mut connection = AnyConnection::connect_with(options).await.map_err(because)?;
    set_up(&mut connection, kind).await.map_err(because)?;
    let (tables, ours) = match kind {
        Kind::Sqlite => (
            "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
            &SQLITE_TABLES,
        ),
        Kind::Postgres => (
            "SELECT count(*) FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_name = '_sqlx_migrations'",
            &POSTGRES_TABLES,
        ),
    };
    let made: i64 = sqlx::query_scalar(tables)
        .fetch_one(&mut connection)
        .await
        .map_err(because)?;
    let theirs: i64 = if made == 0 {
        0
    } else {
        let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
        sqlx::query_scalar(newest)
            .fetch_one(&mut connection)
            .await
            .map_err(because)?
    };
    can_write(&mut connection, kind).await?;
    let keys = match kind {
        Kind::Sqlite => "SELECT count(*) FROM sqlite_master WHERE name = 'data_keys'",
        Kind::Postgres => {
            "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'data_keys'"
        }
    };
    let keys: i64 = sqlx::query_scalar(keys)
        .fetch_one(&mut connection)
        .await
        .map_err(because)?;
    if keys > 0 {
        vault::examine(&mut connection, kind, source, ring).await?;
    }
    // Nothing is left to lose when closing fails.
    let _ = connection.close().await;
    let ours = ours.iter().map(|migration| migration.version).max().unwrap_or(0);
    match theirs {
        0 => Ok(Condition::New),
        version if version < ours => Ok(Condition::Older),
        version if version == ours => Ok(Condition::Current),
        _ => Err(("a newer tieline has changed its tables".to_owned(), NEWER)),
    }
}

async fn can_write(connection: &mut AnyConnection, kind: Kind) -> Result<(), Why> {
    let because = |error: sqlx::Error| (explain(&error), kind.remedy());
    match kind {
        Kind::Sqlite => {
            connection.execute("BEGIN IMMEDIATE").await.map_err(because)?;
            connection.execute("ROLLBACK").await.map_err(because)?;
            Ok(())
        }
        Kind::Postgres => {
            let allowed = "SELECT CASE WHEN current_setting('transaction_read_only') = 'off' \
                           AND has_schema_privilege(current_schema(), 'CREATE') THEN 1::bigint ELSE 0::bigint END";
            let allowed: i64 = sqlx::query_scalar(allowed)
                .fetch_one(connection)
                .await
                .map_err(because)?;
            if allowed == 1 {
                return Ok(());
            }
            Err((
                "it can be read, but not written to".to_owned(),
                "Give the user CREATE on the schema (GRANT CREATE ON SCHEMA public TO …), and name the primary, not a replica",
            ))
        }
    }
}
