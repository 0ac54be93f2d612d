//! What outlives a call: customers, task orders, coverage, calls with their turns and tool calls. SQLite or PostgreSQL.
//!
//! Rows in, domain types out. Money is in cents; times are UTC, kept as milliseconds since 1970 by the database's own clock, so
//! that several servers agree; dates are `YYYY-MM-DD`. Types that hold PHI have no `Debug`, and no error tells what a row holds.
//!
//! What is private is sealed (see `vault`): rows hold it encrypted by a data key of each record, and what is looked up by as a keyed hash.
//!
//! Every write is one committed transaction. On SQLite it takes the write lock at once (`BEGIN IMMEDIATE`), so that writers queue
//! instead of failing, and is on the disk when it returns (`synchronous=FULL`). Statements are the same text for both databases, but for those
//! that lock or read the clock (`Store::by_kind`).

mod audit;
mod call_recordings;
mod calls;
mod connect;
mod coverage;
mod customers;
mod dump;
mod error;
mod examine;
mod glass;
mod holds;
pub mod import;
mod keys;
mod lists;
mod load;
mod orders;
mod person;
mod plain;
mod reach;
mod recordings;
mod requests;
mod retire;
mod rotate;
mod scopes;
mod seed;
mod settings;
mod status;
mod subjects;
mod text;
mod vault;
mod verify;
mod voicemails;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::{Any, AnyPool, Transaction};

pub use audit::{Anchor, AuditEvent, AuditFilter, AuditRecord, AuditVerified, Purged, Who, masked};
pub use call_recordings::{
    Consent, NewRecording, Recording, RecordingFacts, RecordingPause, RecordingState, recording_key,
};
pub use calls::{Call, NewCall, RecordedCall, ToolRun, Turn};
pub use coverage::{Coverage, Eligibility, PROCEDURES};
pub use customers::{Customer, CustomerKey, NewCustomer};
pub use dump::{DumpError, Dumped, Table};
pub use error::{Fault, OpenError, StoreError};
pub use examine::Condition;
pub use glass::Glass;
pub use holds::Hold;
pub use keys::{ApiKey, Denied, NewApiKey};
pub use lists::{After, CallFilter, CustomerChange, OrderFilter, Page};
pub use load::{Known, LoadError, Loading, Target};
pub use orders::{NewTaskOrder, TaskOrder};
pub use person::{Belongings, Person};
pub use reach::postgres_origin;
pub use requests::{Answer, Claim};
pub use retire::{Because, Class, Item, Retired};
pub use rotate::{RotateError, Rotated};
pub use scopes::{NoRole, NoScope, Role, Scope};
pub use settings::Start;
pub use status::CallState;
pub use text::phone;
pub use vault::Record;
pub use verify::Verified;
pub use voicemails::{NewVoicemail, Transcript, Voicemail};

/// An open database with its tables as this version needs them. Clones share one bounded pool of connections.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    kind: Kind,
    vault: Arc<vault::Vault>,
}

/// Where the two databases differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Store {
    /// Closes the connections, waiting a few seconds for those in use. A store that is dropped instead loses nothing committed.
    pub async fn close(&self) {
        if tokio::time::timeout(CLOSE_TIMEOUT, self.pool.close()).await.is_err() {
            tracing::warn!("database connections were still in use when the store was closed");
        }
    }

    /// A transaction that writes. Dropped uncommitted, it is rolled back.
    async fn begin(&self, what: &'static str) -> Result<Transaction<'static, Any>, StoreError> {
        let begun = match self.kind {
            Kind::Sqlite => self.pool.begin_with("BEGIN IMMEDIATE").await,
            Kind::Postgres => self.pool.begin().await,
        };
        begun.map_err(error::cannot(what))
    }
}

/// Tells no connection, no row.
impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Longer than any statement of ours takes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

fn timestamp(milliseconds: i64, column: &'static str) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(milliseconds).map_err(|_| StoreError::Unreadable { column })
}

fn small(number: i64, column: &'static str) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Unreadable { column })
}

fn date(text: &str, column: &'static str) -> Result<Date, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable { column })
}
