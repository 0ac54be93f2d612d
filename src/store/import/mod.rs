//! Customers and coverage from CSV files: all rows or none.
//!
//! UTF-8, comma-separated, a header first; its columns may come in any order. Values are never repeated in a fault.

mod coverage;
mod customers;
mod table;

use std::fmt;

pub use table::RowFault;

use super::{Store, StoreError};
use table::Table;

/// What a file held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportKind {
    /// One row for each customer.
    Customers,
    /// One row for each patient and procedure.
    Coverage,
}

/// What an import did. Rows that were there already, just so, are unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// What the file held.
    pub kind: ImportKind,
    /// Rows that are new.
    pub added: usize,
    /// Rows that replaced others.
    pub changed: usize,
    /// Rows that changed nothing.
    pub unchanged: usize,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The first row is not a header of ours.
    #[error("the first row {problem}. Expected one of these headers, the columns in any order:\n  customers: {}\n  coverage:  {}", customers::COLUMNS.join(","), coverage::COLUMNS.join(","))]
    Header {
        /// What is wrong, without the cells: the header may be missing, and they a patient's.
        problem: String,
    },
    /// Rows that cannot be taken, all of them, in order.
    #[error("{} of the fields cannot be taken, so nothing was imported:\n{}", .0.len(), Lines(.0))]
    Rows(Vec<RowFault>),
    /// The database failed; nothing was imported.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Reads a CSV file and writes all of its rows in one transaction, or none. What is there is found by customer number, or by
    /// member id and procedure, and replaced; nothing is deleted.
    pub async fn import(&self, csv: &[u8]) -> Result<Imported, ImportError> {
        let kind = table::kind(csv)?;
        match kind {
            ImportKind::Customers => {
                let rows = customers::read(Table::new(csv, customers::COLUMNS, customers::OPTIONAL)?)?;
                Ok(self.write_customers(rows).await?)
            }
            ImportKind::Coverage => {
                let rows = coverage::read(Table::new(csv, coverage::COLUMNS, coverage::OPTIONAL)?)?;
                Ok(self.write_coverage(rows).await?)
            }
        }
    }
}

impl Imported {
    fn nothing(kind: ImportKind) -> Self {
        Self {
            kind,
            added: 0,
            changed: 0,
            unchanged: 0,
        }
    }

    /// Counts one row by what was there before it.
    fn count<T: PartialEq>(&mut self, before: Option<&T>, now: &T) {
        match before {
            None => self.added += 1,
            Some(before) if before == now => self.unchanged += 1,
            Some(_) => self.changed += 1,
        }
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ImportKind::Customers => "customers",
            ImportKind::Coverage => "coverage",
        };
        let (added, changed, unchanged) = (self.added, self.changed, self.unchanged);
        let rows = added + changed + unchanged;
        write!(
            f,
            "{what}: {rows} rows: {added} added, {changed} changed, {unchanged} unchanged"
        )
    }
}

struct Lines<'a>(&'a [RowFault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            let end = if index + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "  {fault}{end}")?;
        }
        Ok(())
    }
}
