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
    dir: Option<TempDir>,
}

impl Fresh {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self {
            url: format!("sqlite:{}", dir.path().join("new/tieline.db").display()),
            dir: Some(dir),
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
            dir: None,
        }
    }

    pub(crate) fn database(&self, seed: bool) -> Database {
        database(&self.url, seed)
    }

    /// Opens it, with the seed data if it is new.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.database(true)).await.expect("a usable database")
    }

    /// Its directory, of a SQLite file.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.dir.as_ref().map(TempDir::path)
    }

    /// All that is kept: the bytes of SQLite's files, or all rows of PostgreSQL as text.
    pub(crate) async fn everything(&self) -> Vec<u8> {
        if let Some(dir) = self.dir() {
            return bytes_below(dir);
        }
        let raw = self.raw().await;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'",
        )
        .fetch_all(&raw)
        .await
        .expect("tables");
        let mut all = String::new();
        for table in tables {
            let question = format!("SELECT CAST(t AS TEXT) FROM {table} t");
            let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(question))
                .fetch_all(&raw)
                .await
                .expect("rows");
            all.push_str(&format!("{table}\n{}\n", rows.join("\n")));
        }
        all.into_bytes()
    }

    /// The database itself, beside the store.
    pub(crate) async fn raw(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        AnyPool::connect(&self.url).await.expect("a database that exists")
    }
}

pub(crate) fn database(url: &str, seed: bool) -> Database {
    let seed = if seed { "on" } else { "off" };
    let strings: Strings = [("DATABASE_URL", url), ("SEED_DATA", seed), ("KEK", KEK)]
        .into_iter()
        .collect();
    Config::parse(&strings).expect("a good URL").database
}

/// The bytes of all files in a directory and those in it, each after its name.
pub(crate) fn bytes_below(dir: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        all.extend_from_slice(path.display().to_string().as_bytes());
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else {
            // A server that runs removes files of its own meanwhile.
            all.extend(std::fs::read(&path).unwrap_or_default());
        }
    }
    all
}

/// Which of the texts are there, as they are or in small letters. They should have six characters: sealed values are base64, in which
/// anything shorter may be by chance.
pub(crate) fn found_in<'a>(bytes: &[u8], texts: &[&'a str]) -> Vec<&'a str> {
    let there = |texts: &[&str]| {
        let forms = texts.iter().flat_map(|text| [(*text).to_owned(), text.to_lowercase()]);
        let any: Vec<String> = forms.map(|text| regex::escape(&text)).collect();
        let any = regex::bytes::RegexBuilder::new(&any.join("|"))
            .size_limit(1 << 26)
            .build();
        any.expect("texts").is_match(bytes)
    };
    // All at once, and one by one only if that finds something.
    if texts.is_empty() || !there(texts) {
        return Vec::new();
    }
    texts.iter().copied().filter(|text| there(&[text])).collect()
}

pub(crate) async fn count(pool: &AnyPool, question: &'static str) -> i64 {
    sqlx::query_scalar(question).fetch_one(pool).await.expect("a count")
}

/// The key of all databases of these tests, so that child processes have it too.
pub(crate) const KEK: &str = "6ZlXh9uMZ9nUj1hN0Yq0F5bX2c7t9m3kQ1w4e5r6t7A=";

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
