//! Opening: the file or the server, the tables, the pool.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, Connection as _, Executor as _};

use super::vault::Vault;
use super::{Kind, OpenError, Store, reach};
use crate::config::{Database, Location};
use crate::privacy::egress::Egress;

impl Store {
    /// Opens the database, creates what is missing, and brings its tables up to this version's.
    ///
    /// An SQLite file is created with its directory, readable by its owner only. Several processes may open one database at the
    /// same time. A database that is new gets the seed data if `database.seed`; this is decided once for its whole life.
    /// A server is connected to only on this machine or in a private network: [`Store::open_within`] takes other rules.
    pub async fn open(database: &Database) -> Result<Self, OpenError> {
        Self::open_within(database, &Egress::default()).await
    }

    /// As [`Store::open`], and connects where `egress` lets it.
    pub async fn open_within(database: &Database, egress: &Egress) -> Result<Self, OpenError> {
        install_default_drivers();
        let fail = |(reason, remedy)| OpenError {
            location: database.location.to_string(),
            reason,
            remedy,
        };
        let (options, kind) = match &database.location {
            Location::Sqlite(path) => {
                create(path).map_err(|error| fail((error.to_string(), SQLITE)))?;
                (sqlite_options(path).map_err(fail)?, Kind::Sqlite)
            }
            Location::Postgres(url) => (
                reach::admitted(url.expose(), egress).await.map_err(fail)?,
                Kind::Postgres,
            ),
        };
        // First by itself: a pool would try a refused connection again and again, and then only say that time ran out.
        let preparing = tokio::time::timeout(PREPARE_TIMEOUT, prepare(&options, kind));
        preparing
            .await
            .map_err(|_| fail(("it did not answer in time".to_owned(), kind.remedy())))?
            .map_err(fail)?;
        let connections = match kind {
            Kind::Sqlite => SQLITE_CONNECTIONS,
            Kind::Postgres => POSTGRES_CONNECTIONS,
        };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    set_up(connection, kind).await?;
                    if kind == Kind::Postgres {
                        connection.execute(STATEMENT_TIMEOUT).await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(options.clone());
        if let Location::Postgres(url) = &database.location {
            reach::follow(pool.clone(), url.expose().to_owned(), egress.clone(), options);
        }
        let vault = Vault::open(&pool, kind, &database.kek).await.map_err(fail)?;
        let vault = Arc::new(vault);
        let store = Self { pool, kind, vault };
        store
            .seal_plain_rows()
            .await
            .map_err(|error| fail((error.to_string(), kind.remedy())))?;
        store
            .begin_audit()
            .await
            .map_err(|error| fail((error.to_string(), kind.remedy())))?;
        store
            .seed_once(database.seed)
            .await
            .map_err(|error| fail((error.to_string(), kind.remedy())))?;
        Ok(store)
    }
}

impl Kind {
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Sqlite => SQLITE,
            Self::Postgres => POSTGRES,
        }
    }
}

pub(super) type Why = (String, &'static str);

/// Makes the tables on a connection of its own.
pub(super) async fn prepare(options: &AnyConnectOptions, kind: Kind) -> Result<(), Why> {
    let because = |error: &sqlx::Error| (explain(error), kind.remedy());
    let mut connection = AnyConnection::connect_with(options)
        .await
        .map_err(|error| because(&error))?;
    set_up(&mut connection, kind).await.map_err(|error| because(&error))?;
    let migrated = match kind {
        Kind::Sqlite => {
            use_wal(&mut connection).await.map_err(|error| because(&error))?;
            // sqlx locks nothing on SQLite; its own transactions become savepoints in this one.
            let mut locked = connection
                .begin_with("BEGIN IMMEDIATE")
                .await
                .map_err(|error| because(&error))?;
            let migrated = SQLITE_TABLES.run_direct(None, &mut *locked, false).await;
            if migrated.is_ok() {
                locked.commit().await.map_err(|error| because(&error))?;
            }
            migrated
        }
        // Under an advisory lock of the server.
        Kind::Postgres => POSTGRES_TABLES.run_direct(None, &mut connection, false).await,
    };
    migrated.map_err(|error| {
        if let MigrateError::VersionMissing(_) = error {
            ("a newer tieline has changed its tables".to_owned(), NEWER)
        } else if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) = &error {
            because(error)
        } else {
            (error.to_string(), kind.remedy())
        }
    })?;
    // Nothing is left to lose when closing fails.
    let _ = connection.close().await;
    Ok(())
}

/// What each connection needs by itself.
pub(super) async fn set_up(connection: &mut AnyConnection, kind: Kind) -> Result<(), sqlx::Error> {
    let settings = match kind {
        // What is deleted is overwritten, and what is sorted stays in memory.
        Kind::Sqlite => {
            "PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; \
             PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY"
        }
        // Else each start logs that the table of migrations is there already.
        Kind::Postgres => "SET client_min_messages = warning",
    };
    connection.execute(settings).await.map(drop)
}

/// The file remembers it. While another process does the same, SQLite says "busy" without waiting.
async fn use_wal(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let mut again = tokio::time::interval(WAL_RETRY);
    loop {
        match connection.execute("PRAGMA journal_mode = WAL").await {
            // The caller's time limit ends this.
            Err(error) if is_busy(&error) => drop(again.tick().await),
            done => return done.map(drop),
        }
    }
}

/// `SQLITE_BUSY` in the low byte of the result code.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}

/// Before there are rows of ours, the database's own words may be shown; a configuration error may quote the URL.
pub(super) fn explain(error: &sqlx::Error) -> String {
    if let Some(error) = error.as_database_error() {
        error.message().to_owned()
    } else if let sqlx::Error::Io(error) = error {
        error.to_string()
    } else if let sqlx::Error::Tls(error) = error {
        format!("TLS: {error}")
    } else if let sqlx::Error::Configuration(_) = error {
        "one of its parameters is not known or has no such value".to_owned()
    } else {
        super::Fault::from(error).to_string()
    }
}

/// Creates the file, for its owner only, and the directories above it.
pub(super) fn create(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

pub(super) fn sqlite_options(path: &Path) -> Result<AnyConnectOptions, Why> {
    sqlite_url(path)
        .parse()
        .map_err(|_| ("it is not a URL".to_owned(), SQLITE))
}

/// Escapes whatever could mean something in a URL.
fn sqlite_url(path: &Path) -> String {
    let mut url = "sqlite:".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

/// After a new file there, `touch` this one: cargo watches only the files that were there.
pub(super) static SQLITE_TABLES: Migrator = sqlx::migrate!("migrations/sqlite");
pub(super) static POSTGRES_TABLES: Migrator = sqlx::migrate!("migrations/postgres");

/// One writes, the others read beside it.
const SQLITE_CONNECTIONS: u32 = 4;
/// PostgreSQL allows 100 for all servers together by default.
const POSTGRES_CONNECTIONS: u32 = 10;
/// A caller is waiting.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connecting and changing tables, while other servers may be doing the same.
pub(super) const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);
/// Ours take milliseconds; what waits longer waits for a lock that somebody forgot. Changing tables may take longer.
const STATEMENT_TIMEOUT: &str = "SET statement_timeout = '15s'";
const WAL_RETRY: Duration = Duration::from_millis(20);

pub(super) const SQLITE: &str = "Make the directory writable for this user, stop what else holds the file, or set DATABASE_URL to sqlite: and another path";
const POSTGRES: &str = "See that PostgreSQL runs there and that user, password and database are right (psql with the same URL), \
     or unset DATABASE_URL to use a SQLite file";
pub(super) const NEWER: &str = "Start the newer version, or set DATABASE_URL to another database";
