//! A database of one's own for each test: a SQLite file, or one database of a PostgreSQL server that this binary starts.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AnyPool, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use tieline::config::{Config, Database, Strings};
use tieline::store::Store;

/// Runs each of the tests named, `async fn(Fresh)`, on both databases.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fresh::Fresh::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fresh::Fresh::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both;

pub(crate) struct Fresh {
    /// As in `DATABASE_URL`.
    pub(crate) url: String,
    _dir: Option<TempDir>,
}

impl Fresh {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self {
            url: format!("sqlite:{}", dir.path().join("new/tieline.db").display()),
            _dir: Some(dir),
        }
    }

    pub(crate) async fn postgres() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let server = &*SERVER;
        let mut connection = PgConnection::connect(&server.url("postgres"))
            .await
            .expect("the test server");
        connection
            .execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await
            .expect("a new database");
        Self {
            url: server.url(&name),
            _dir: None,
        }
    }

    pub(crate) fn database(&self, seed: bool) -> Database {
        database(&self.url, seed)
    }

    /// Opens it, with the seed data if it is new.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.database(true)).await.expect("a usable database")
    }

    /// The database itself, beside the store.
    pub(crate) async fn raw(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        AnyPool::connect(&self.url).await.expect("a database that exists")
    }
}

pub(crate) fn database(url: &str, seed: bool) -> Database {
    let strings: Strings = [("DATABASE_URL", url), ("SEED_DATA", if seed { "on" } else { "off" })]
        .into_iter()
        .collect();
    Config::parse(&strings).expect("a good URL").database
}

pub(crate) async fn count(pool: &AnyPool, question: &'static str) -> i64 {
    sqlx::query_scalar(question).fetch_one(pool).await.expect("a count")
}

struct Server {
    socket_dir: String,
    /// Its standard input is closed when this process ends, however it ends; then the server stops.
    _alive: Child,
}

impl Server {
    fn url(&self, database: &str) -> String {
        let dir = self.socket_dir.replace('/', "%2F");
        format!("postgres://tieline:no-password-asked@{dir}/{database}")
    }
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let programs = programs().expect(
        "PostgreSQL is not installed, and the store must be tested on it too: run scripts/bootstrap.sh --tests (Debian's package \
         postgresql), or put initdb and pg_ctl in PATH",
    );
    let script = include_str!("postgres.sh");
    let mut child = Command::new("sh")
        .args(["-c", script])
        .env("SCRIPT", script)
        .env("BIN", programs)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("readable");
    assert!(!line.is_empty(), "PostgreSQL did not start; its log is above");
    Server {
        socket_dir: line.trim_end().to_owned(),
        _alive: child,
    }
});

/// The directory of PostgreSQL's programs: Debian keeps them out of PATH, by version.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt"] {
        let versions = std::fs::read_dir(parent).into_iter().flatten().flatten();
        found.extend(versions.map(|version| version.path().join("bin")));
    }
    found.retain(|bin| has_programs(bin));
    found.sort();
    let in_path = || {
        #[expect(clippy::disallowed_methods, reason = "looks for a program as a shell does")]
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).find(|bin| has_programs(bin))
    };
    found.pop().or_else(in_path)
}

fn has_programs(bin: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"]
        .iter()
        .all(|program| bin.join(program).is_file())
}
