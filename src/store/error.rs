//! What can go wrong. Nothing here holds what a row holds: a database's own messages quote values, so they are left out.

use std::fmt;

/// Why a question to the database has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The customer number of a new task order is nobody's.
    #[error("there is no customer of that number")]
    UnknownCustomer,
    /// The call was never begun, or was deleted since.
    #[error("there is no call of that sid")]
    UnknownCall,
    /// A text that PostgreSQL cannot hold or that no caller says.
    #[error(
        "{field} cannot be stored: it is empty, longer than {} bytes, holds a NUL or has the wrong form",
        super::text::MAX_BYTES
    )]
    BadText {
        /// The field's name, not its value.
        field: &'static str,
    },
    /// Every number tried is taken: the range is nearly used up.
    #[error("no free {what} was found")]
    NumbersUsedUp {
        /// Which kind of number.
        what: &'static str,
    },
    /// A row holds what this version did not write.
    #[error("{column} of a row cannot be read; was it changed by hand?")]
    Unreadable {
        /// The table and column.
        column: &'static str,
    },
    /// A sealed value does not open. Names where, without what was there.
    #[error("{what} was altered, or belongs to another record")]
    Altered {
        /// Table, column and record.
        what: String,
    },
    /// A part of a record is gone, and nothing of ours has deleted it.
    #[error("{what} is missing; was it deleted by hand?")]
    Missing {
        /// Table and record.
        what: String,
    },
    /// The record was deleted for good: its key is gone.
    #[error("the record was deleted for good")]
    Shredded,
    /// The key that a record's key is wrapped by is not at hand.
    #[error(
        "{record} is encrypted with the key {kek_id}, which is not in {place}; put it there: as the first line if it is the newest, \
         else below"
    )]
    NoKek {
        /// What names the record in `data_keys`.
        record: String,
        /// Its id.
        kek_id: String,
        /// Where keys are looked for.
        place: String,
    },
    /// The database refused or did not answer.
    #[error("cannot {what}: {fault}")]
    Database {
        /// What was attempted, such as `save a turn`.
        what: &'static str,
        /// How it failed.
        fault: Fault,
    },
}

/// How a database failed, without the values that its message may quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An SQLSTATE of PostgreSQL or a result code of SQLite.
    Code(String),
    /// No connection was free, or none could be made, within the time limit.
    Timeout,
    /// The connection broke.
    Io(std::io::ErrorKind),
    /// Anything else: a fault of ours or of the driver.
    Other,
}

impl Fault {
    /// Whether the values were refused, so that they would be again: SQLSTATE's classes 22 and 23, SQLite's `TOOBIG`,
    /// `CONSTRAINT` and `MISMATCH`.
    pub fn is_of_values(&self) -> bool {
        let Self::Code(code) = self else { return false };
        match code.len() {
            5 => code.starts_with("22") || code.starts_with("23"),
            _ => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "the database answered with code {code}"),
            Self::Timeout => f.write_str("no database connection in time"),
            Self::Io(kind) => write!(f, "the database connection failed: {kind}"),
            Self::Other => f.write_str("the database driver failed"),
        }
    }
}

impl From<&sqlx::Error> for Fault {
    fn from(error: &sqlx::Error) -> Self {
        if let Some(code) = error.as_database_error().map(sqlx::error::DatabaseError::code) {
            return code.map_or(Self::Other, |code| Self::Code(code.into_owned()));
        }
        if let sqlx::Error::Io(error) = error {
            return Self::Io(error.kind());
        }
        if matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::Timeout;
        }
        Self::Other
    }
}

/// The database cannot be used at all. Names `DATABASE_URL` without its password, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("DATABASE_URL {location} cannot be used: {reason}. {remedy}")]
pub struct OpenError {
    /// As shown to people.
    pub location: String,
    /// What failed.
    pub reason: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// For `map_err`: names what was attempted.
pub(super) fn cannot(what: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::Database {
        what,
        fault: Fault::from(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_values_are_to_blame_for() {
        let code = |code: &str| Fault::Code(code.to_owned());
        for (fault, values) in [
            (code("23505"), true),
            (code("22021"), true),
            (code("57P01"), false),
            (code("40001"), false),
            (code("1555"), true),
            (code("1811"), true),
            (code("20"), true),
            (code("1"), false),
            (code("5"), false),
            (code("517"), false),
            (Fault::Timeout, false),
            (Fault::Other, false),
        ] {
            assert_eq!(fault.is_of_values(), values, "{fault}");
        }
    }
}
