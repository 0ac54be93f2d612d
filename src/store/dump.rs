//! All rows as text, of one moment, while servers go on: for backups.
//!
//! Tables and columns are those that the database has, so that none is forgotten. Values are integers and texts in both databases, so what
//! one has written the other can read. What is private is sealed in the rows as it is in the database.

use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::error::cannot;
use super::{Kind, Store, StoreError};
use crate::privacy::kek::KeyRing;
use crate::privacy::seal::DataKey;

/// A table of a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub table: String,
    /// Its columns, each with whether it holds numbers; otherwise texts.
    pub columns: Vec<(String, bool)>,
}

/// What a dump consists of, in this order.
pub enum Dumped<'a> {
    /// The rows that follow are of that table.
    Table(&'a Table),
    /// Values, in the order of the table's columns.
    Row(&'a [Value]),
}

/// Why rows cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// They have nowhere to go.
    #[error("the backup cannot be written: {0}")]
    Io(#[from] std::io::Error),
    /// A column has a type that backups do not know.
    #[error("the column {column} has a type that backups do not know: {kind}")]
    Type {
        /// Table and column.
        column: String,
        /// As the database calls it.
        kind: String,
    },
}

/// Whether a table's rows belong into a backup: leases are of the moment, and kept answers of a day.
fn is_dumped(table: &str) -> bool {
    !["leases", "api_requests", "_sqlx_migrations"].contains(&table)
}

impl Store {
    /// Gives each table, those first that others refer to, and then each of its rows; how many rows there were.
    pub async fn dump(
        &self,
        mut write: impl FnMut(Dumped<'_>) -> std::io::Result<()> + Send,
    ) -> Result<u64, DumpError> {
        let begun = match self.kind {
            // What it reads is of the moment of its first question.
            Kind::Sqlite => self.pool.begin_with("BEGIN").await,
            Kind::Postgres => {
                self.pool
                    .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await
            }
        };
        let mut transaction = begun.map_err(cannot(WHAT))?;
        if self.kind == Kind::Postgres {
            sqlx::query("SET LOCAL statement_timeout = 0")
                .execute(&mut *transaction)
                .await
                .map_err(cannot(WHAT))?;
        }
        let mut rows = 0;
        for table in tables(&mut transaction, self.kind).await? {
            write(Dumped::Table(&table))?;
            let mut found = sqlx::query(AssertSqlSafe(table.question())).fetch(&mut *transaction);
            while let Some(row) = found.try_next().await.map_err(cannot(WHAT))? {
                write(Dumped::Row(&table.values(&row)?))?;
                rows += 1;
            }
        }
        Ok(rows)
    }

    /// Wraps the key of a backup as new data keys are; with the id of the key that did.
    pub async fn wrap(&self, key: &DataKey) -> Result<(String, String), StoreError> {
        let kek_id = self.current_kek().await?;
        let ring = self.vault.ring_with(&kek_id);
        let wrapped = ring.wrap(&kek_id, key).ok_or_else(|| StoreError::NoKek {
            record: key.id().to_owned(),
            kek_id: kek_id.clone(),
            place: KeyRing::place(self.vault.source()),
        })?;
        Ok((kek_id, wrapped))
    }

    /// The number of the newest change to the tables.
    pub fn schema() -> i64 {
        let versions = super::connect::SQLITE_TABLES.iter().map(|migration| migration.version);
        versions.max().unwrap_or_default()
    }
}

impl Table {
    fn question(&self) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let of_a_day = if self.table == "data_keys" {
            " WHERE id NOT LIKE 'answer/%'"
        } else {
            ""
        };
        format!("SELECT {} FROM {}{of_a_day}", columns.join(", "), self.table)
    }

    fn values(&self, row: &AnyRow) -> Result<Vec<Value>, StoreError> {
        let value = |(at, (_, number)): (usize, &(String, bool))| {
            if *number {
                row.try_get::<Option<i64>, _>(at).map(Value::from)
            } else {
                row.try_get::<Option<String>, _>(at).map(Value::from)
            }
        };
        let values = self.columns.iter().enumerate().map(value);
        values.collect::<Result<_, _>>().map_err(cannot(WHAT))
    }
}

/// The tables there are, those first that others refer to.
pub(super) async fn tables(connection: &mut AnyConnection, kind: Kind) -> Result<Vec<Table>, DumpError> {
    let (names, columns) = match kind {
        Kind::Sqlite => (TABLES_SQLITE, COLUMNS_SQLITE),
        Kind::Postgres => (TABLES_POSTGRES, COLUMNS_POSTGRES),
    };
    let mut names: Vec<String> = sqlx::query_scalar(names)
        .fetch_all(&mut *connection)
        .await
        .map_err(cannot(WHAT))?;
    names.retain(|name| is_dumped(name));
    names.sort_by_key(|name| {
        let place = REFERRED_TO.iter().position(|table| table == name);
        (place.unwrap_or(REFERRED_TO.len()), name.clone())
    });
    let mut tables = Vec::new();
    for table in names {
        let found: Vec<(String, String)> = sqlx::query_as(columns)
            .bind(&table)
            .fetch_all(&mut *connection)
            .await
            .map_err(cannot(WHAT))?;
        let mut columns = Vec::new();
        for (name, kind) in found {
            let number = match kind.to_ascii_lowercase().as_str() {
                "integer" | "bigint" => true,
                "text" => false,
                _ => {
                    let column = format!("{table}.{name}");
                    return Err(DumpError::Type { column, kind });
                }
            };
            columns.push((name, number));
        }
        tables.push(Table { table, columns });
    }
    Ok(tables)
}

const WHAT: &str = "read all rows";

/// Before those that refer to them; a test looks whether it is so.
const REFERRED_TO: &[&str] = &[
    "facts",
    "data_keys",
    "api_keys",
    "customers",
    "patients",
    "calls",
    "holds",
];

const TABLES_SQLITE: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
const TABLES_POSTGRES: &str = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables \
     WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";
const COLUMNS_SQLITE: &str = "SELECT name, type FROM pragma_table_info($1) ORDER BY cid";
const COLUMNS_POSTGRES: &str = "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT) FROM information_schema.columns \
     WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position";
