//! The rows of a backup into a database that is empty, in one transaction.
//!
//! Keys that are known to be deleted are left out on the way: they never reach the new database's files.

use std::collections::BTreeSet;

use serde_json::Value;
use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyPool, AssertSqlSafe, Transaction};

use super::connect::{self, Why};
use super::dump::{Table, tables};
use super::error::cannot;
use super::{DumpError, Kind, OpenError, RecordingState, StoreError, call_recordings, reach, vault};
use crate::config::{Database, Location};
use crate::privacy::egress::Egress;
use crate::privacy::kek::KeyRing;
use crate::privacy::seal::DataKey;
use crate::privacy::shredlist::DeadKeys;

/// An empty database, with the tables of this version.
pub struct Target {
    pool: AnyPool,
    kind: Kind,
    /// As this version has them.
    tables: Vec<Table>,
}

/// Rows on their way into a database: all or none.
pub struct Loading<'a> {
    target: &'a Target,
    transaction: Transaction<'static, Any>,
    known: Known<'a>,
    table: Option<Filling>,
    /// Keys that were left out.
    left_out: u64,
}

/// What is known of a backup beside its rows.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Keys that were deleted, before or after it was made.
    pub dead: &'a DeadKeys,
    /// What opens the keys in it.
    pub ring: &'a KeyRing,
    /// The parts of recordings whose file is in it.
    pub recordings: &'a BTreeSet<String>,
}

/// The table whose rows come now.
struct Filling {
    statement: String,
    table: Table,
    /// Where a data key's row has what is left out, if it is the table of keys.
    keys: Option<KeyColumns>,
    /// The same of a part of a recording.
    recordings: Option<RecordingColumns>,
}

struct RecordingColumns {
    id: usize,
    call_sid: usize,
    part: usize,
    state: usize,
    facts: usize,
}

struct KeyColumns {
    id: usize,
    generation: usize,
    kek_id: usize,
    wrapped: usize,
    shredded_at: usize,
}

/// Why rows cannot be put back.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is something in it.
    #[error("the database {location} is not empty ({table} has rows): restore into a new one, named by --into")]
    NotEmpty {
        /// As shown to people.
        location: String,
        /// A table with rows.
        table: String,
    },
    /// The backup has what this version does not know.
    #[error("the backup has {what}, which this version does not know: it was made by a newer tieline, or is damaged")]
    Unknown {
        /// A table or column.
        what: String,
    },
}

impl Target {
    /// Makes the tables in a database that is new, and looks whether those there are have no rows.
    pub async fn open(database: &Database, egress: &Egress) -> Result<Self, LoadError> {
        install_default_drivers();
        let fail = |(reason, remedy): Why| OpenError {
            location: database.location.to_string(),
            reason,
            remedy,
        };
        let (options, kind) = match &database.location {
            Location::Sqlite(path) => {
                connect::create(path).map_err(|error| fail((error.to_string(), connect::SQLITE)))?;
                (connect::sqlite_options(path).map_err(fail)?, Kind::Sqlite)
            }
            Location::Postgres(url) => (
                reach::admitted(url.expose(), egress).await.map_err(fail)?,
                Kind::Postgres,
            ),
        };
        let preparing = tokio::time::timeout(connect::PREPARE_TIMEOUT, connect::prepare(&options, kind));
        preparing
            .await
            .map_err(|_| fail(("it did not answer in time".to_owned(), kind.remedy())))?
            .map_err(fail)?;
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .after_connect(move |connection, _| Box::pin(connect::set_up(connection, kind)))
            .connect_lazy_with(options);
        let mut connection = pool.acquire().await.map_err(cannot(WHAT))?;
        let tables = tables(&mut connection, kind).await.map_err(|error| match error {
            DumpError::Store(error) => LoadError::Store(error),
            DumpError::Io(_) | DumpError::Type { .. } => LoadError::Unknown {
                what: error.to_string(),
            },
        })?;
        for table in &tables {
            let question = format!("SELECT count(*) FROM {}", table.table);
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(question))
                .fetch_one(&mut *connection)
                .await
                .map_err(cannot(WHAT))?;
            if rows > 0 {
                let (location, table) = (database.location.to_string(), table.table.clone());
                return Err(LoadError::NotEmpty { location, table });
            }
        }
        drop(connection);
        Ok(Self { pool, kind, tables })
    }

    /// Begins to put rows in.
    pub async fn begin<'a>(&'a self, known: Known<'a>) -> Result<Loading<'a>, LoadError> {
        let begun = match self.kind {
            Kind::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Kind::Postgres => self.pool.begin().await,
        };
        Ok(Loading {
            target: self,
            transaction: begun.map_err(cannot(WHAT))?,
            known,
            table: None,
            left_out: 0,
        })
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

impl Loading<'_> {
    /// The rows that follow are of that table.
    pub fn table(&mut self, table: Table) -> Result<(), LoadError> {
        let unknown = |what: String| LoadError::Unknown { what };
        let known = self.target.tables.iter().find(|known| known.table == table.table);
        let known = known.ok_or_else(|| unknown(format!("the table {}", table.table)))?;
        for column in &table.columns {
            if !known.columns.contains(column) {
                return Err(unknown(format!("the column {}.{}", table.table, column.0)));
            }
        }
        let names: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
        let value = |(at, (_, number)): (usize, &(String, bool))| {
            let kind = if *number { "BIGINT" } else { "TEXT" };
            format!("CAST(${} AS {kind})", at + 1)
        };
        let values: Vec<String> = table.columns.iter().enumerate().map(value).collect();
        // Numbers that the database would give by itself.
        let overriding = match self.target.kind {
            Kind::Sqlite => "",
            Kind::Postgres => "OVERRIDING SYSTEM VALUE ",
        };
        let statement = format!(
            "INSERT INTO {} ({}) {overriding}VALUES ({})",
            table.table,
            names.join(", "),
            values.join(", ")
        );
        let at = |name: &str| names.iter().position(|column| *column == name);
        let keys = match (
            at("id"),
            at("generation"),
            at("kek_id"),
            at("wrapped"),
            at("shredded_at_ms"),
        ) {
            (Some(id), Some(generation), Some(kek_id), Some(wrapped), Some(shredded_at)) => Some(KeyColumns {
                id,
                generation,
                kek_id,
                wrapped,
                shredded_at,
            }),
            _ => None,
        };
        let keys = keys.filter(|_| table.table == "data_keys");
        let recordings = RecordingColumns::of(at).filter(|_| table.table == "recordings");
        self.table = Some(Filling {
            statement,
            table,
            keys,
            recordings,
        });
        Ok(())
    }

    /// Puts a row in.
    pub async fn row(&mut self, mut values: Vec<Value>) -> Result<(), LoadError> {
        let odd = || LoadError::Unknown {
            what: "a row without its table".to_owned(),
        };
        let Filling {
            statement,
            table,
            keys,
            recordings,
        } = self.table.as_ref().ok_or_else(odd)?;
        if values.len() != table.columns.len() {
            return Err(odd());
        }
        if let Some(keys) = keys
            && keys.leave_out(self.known.dead, &mut values)
        {
            self.left_out += 1;
        }
        if let Some(columns) = recordings
            && columns.restate(&mut self.transaction, self.known, &mut values).await?
        {
            self.left_out += 1;
        }
        let mut query = sqlx::query(AssertSqlSafe(statement.as_str()));
        for (value, (_, number)) in values.into_iter().zip(&table.columns) {
            query = if *number {
                query.bind(value.as_i64())
            } else {
                query.bind(value.as_str().map(str::to_owned))
            };
        }
        query
            .execute(&mut *self.transaction)
            .await
            .map(drop)
            .map_err(cannot(WHAT))
            .map_err(LoadError::Store)
    }

    /// Commits; how many keys were left out.
    pub async fn finish(mut self) -> Result<u64, LoadError> {
        for statement in EMPTY {
            sqlx::query(*statement)
                .execute(&mut *self.transaction)
                .await
                .map_err(cannot(WHAT))?;
        }
        if self.target.kind == Kind::Postgres {
            self.count_on().await?;
        }
        self.transaction.commit().await.map_err(cannot(WHAT))?;
        Ok(self.left_out)
    }

    /// PostgreSQL counts on from where it was, not from what was put in.
    async fn count_on(&mut self) -> Result<(), LoadError> {
        let counted: Vec<(String, String)> = sqlx::query_as(COUNTED)
            .fetch_all(&mut *self.transaction)
            .await
            .map_err(cannot(WHAT))?;
        for (table, column) in counted {
            let statement = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), max({column})) FROM {table} HAVING max({column}) IS NOT NULL"
            );
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut *self.transaction)
                .await
                .map_err(cannot(WHAT))?;
        }
        Ok(())
    }
}

impl KeyColumns {
    /// Whether the key was deleted since; then its row says so instead of having it.
    fn leave_out(&self, dead: &DeadKeys, values: &mut [Value]) -> bool {
        let id = values[self.id].as_str().unwrap_or_default();
        let generation = values[self.generation].as_i64().unwrap_or_default();
        let Some(dead) = dead.get(id).filter(|dead| generation <= dead.generation) else {
            return false;
        };
        if values[self.wrapped].is_null() {
            return false;
        }
        values[self.kek_id] = Value::Null;
        values[self.wrapped] = Value::Null;
        values[self.shredded_at] = dead.at_ms.into();
        true
    }
}

impl RecordingColumns {
    fn of(at: impl Fn(&str) -> Option<usize>) -> Option<Self> {
        Some(Self {
            id: at("id")?,
            call_sid: at("call_sid")?,
            part: at("part")?,
            state: at("state")?,
            facts: at("facts_sealed")?,
        })
    }

    /// A part that was deleted since comes back as deleted, which is told; one that had begun, and whose file is not there, as failed.
    async fn restate(
        &self,
        transaction: &mut Transaction<'static, Any>,
        known: Known<'_>,
        values: &mut [Value],
    ) -> Result<bool, LoadError> {
        let text = |at: usize| values[at].as_str().unwrap_or_default();
        let (id, sid, sealed) = (text(self.id), text(self.call_sid), text(self.facts));
        let part = values[self.part].as_i64().unwrap_or_default();
        let was = RecordingState::ALL
            .into_iter()
            .find(|state| state.name() == text(self.state));
        let buried = call_recordings::recording_key(id);
        let dead = known.dead.get(&buried);
        let state = match (dead, was) {
            (Some(_), Some(was)) if was.may_be_heard() => RecordingState::Deleted,
            (None, Some(RecordingState::Open)) if !known.recordings.contains(id) => RecordingState::Failed,
            _ => return Ok(false),
        };
        // Without its call's key the row does not stay.
        let Some(key) = call_key(transaction, known.ring, sid).await? else {
            return Ok(false);
        };
        let restated = call_recordings::restated(&key, (sid, part, id), sealed, state);
        if let Some(dead) = dead {
            sqlx::query(BURY)
                .bind(&buried)
                .bind(dead.at_ms)
                .execute(&mut **transaction)
                .await
                .map_err(cannot(WHAT))?;
        }
        values[self.state] = state.name().into();
        if let Some(sealed) = restated {
            values[self.facts] = sealed.into();
        }
        Ok(dead.is_some())
    }
}

/// The key of a call that was put back already. One that does not open is for `verify` to tell.
async fn call_key(
    transaction: &mut Transaction<'static, Any>,
    ring: &KeyRing,
    sid: &str,
) -> Result<Option<DataKey>, LoadError> {
    let id = vault::call_key(sid);
    let row: Option<(Option<String>, Option<String>)> =
        sqlx::query_as("SELECT kek_id, wrapped FROM data_keys WHERE id = $1")
            .bind(&id)
            .fetch_optional(&mut **transaction)
            .await
            .map_err(cannot(WHAT))?;
    let found = row.and_then(|(kek_id, wrapped)| kek_id.zip(wrapped));
    Ok(found.and_then(|(kek_id, wrapped)| ring.unwrap(&kek_id, &id, &wrapped).ok()))
}

const WHAT: &str = "put rows back";
const BURY: &str = "INSERT INTO data_keys (id, shredded_at_ms) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";

/// What a record without a key is found by, and what nobody can open any more.
const EMPTY: &[&str] = &[
    "DELETE FROM turns WHERE 'call/' || call_sid IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "DELETE FROM tool_calls WHERE 'call/' || call_sid IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "DELETE FROM call_subjects WHERE 'call/' || call_sid IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "DELETE FROM recordings WHERE 'call/' || call_sid IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "UPDATE calls SET numbers_sealed = '', contents_sealed = '', from_hash = NULL \
     WHERE 'call/' || call_sid IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "UPDATE voicemails SET message_sealed = '', from_hash = NULL, transcribed = 'failed', transcript_sealed = NULL \
     WHERE 'voicemail/' || id IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "DELETE FROM task_orders WHERE 'order/' || order_number IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "DELETE FROM patients WHERE 'patient/' || member_hash IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "UPDATE customers SET customer_sealed = '', phone_hash = NULL \
     WHERE 'customer/' || number_hash IN (SELECT id FROM data_keys WHERE wrapped IS NULL)",
    "DELETE FROM customers WHERE 'customer/' || number_hash IN (SELECT id FROM data_keys WHERE wrapped IS NULL) \
     AND NOT EXISTS (SELECT 1 FROM task_orders o WHERE o.customer_hash = number_hash)",
];
const COUNTED: &str = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns \
     WHERE table_schema = current_schema() AND is_identity = 'YES'";
