//! A CSV file as rows with named fields; collects every fault instead of stopping at the first.

use csv::{ByteRecord, ReaderBuilder};
use jiff::civil::Date;

use super::{ImportError, ImportKind};
use crate::store::text;

/// One field that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: {field}: {remedy}")]
pub struct RowFault {
    /// The line on which the row begins; the header is 1. A spreadsheet counts the same if no field above holds a line break.
    pub row: usize,
    /// The column's name, or `row` for all of it.
    pub field: &'static str,
    /// What to write there instead.
    pub remedy: String,
}

/// Tells by the header what a file holds.
pub(super) fn kind(csv: &[u8]) -> Result<ImportKind, ImportError> {
    let (_, header) = records(csv).next().unwrap_or_default();
    let has = |name: &str| header.iter().any(|cell| column(cell) == name);
    match (has("customer_number"), has("member_id")) {
        (true, false) => Ok(ImportKind::Customers),
        (false, true) => Ok(ImportKind::Coverage),
        (true, true) => Err(problem("has both customer_number and member_id")),
        (false, false) => Err(problem("has neither customer_number nor member_id")),
    }
}

/// The rows, the header checked.
pub(super) struct Table {
    rows: Vec<(usize, ByteRecord)>,
    /// For each known column, where it is in the file.
    places: Vec<(&'static str, Option<usize>)>,
    width: usize,
    faults: Vec<RowFault>,
}

impl Table {
    pub(super) fn new(csv: &[u8], columns: &'static [&'static str], optional: &[&str]) -> Result<Self, ImportError> {
        let mut records = records(csv);
        let (_, header) = records.next().unwrap_or_default();
        let header: Vec<String> = header.iter().map(column).collect();
        let mut places = Vec::new();
        for &name in columns {
            let mut found = header
                .iter()
                .enumerate()
                .filter(|(_, cell)| *cell == name)
                .map(|(at, _)| at);
            let place = found.next();
            if found.next().is_some() {
                return Err(problem(&format!("has {name} twice")));
            }
            if place.is_none() && !optional.contains(&name) {
                return Err(problem(&format!("lacks {name}")));
            }
            places.push((name, place));
        }
        if let Some(unknown) = header.iter().position(|cell| !columns.contains(&cell.as_str())) {
            return Err(problem(&format!(
                "has a column that is not known, number {}",
                unknown + 1
            )));
        }
        Ok(Self {
            rows: records.collect(),
            places,
            width: header.len(),
            faults: Vec::new(),
        })
    }

    /// Calls `read` for each row that has as many fields as the header; empty lines are no rows. Fails if anything was wrong.
    pub(super) fn read<T>(mut self, mut read: impl FnMut(&mut Row<'_>) -> Option<T>) -> Result<Vec<T>, ImportError> {
        let mut all = Vec::new();
        for (number, record) in &std::mem::take(&mut self.rows) {
            let number = *number;
            if record.len() != self.width {
                let (found, expected) = (record.len(), self.width);
                self.faults.push(RowFault {
                    row: number,
                    field: "row",
                    remedy: format!(
                        "it has {found} fields where the header has {expected}; quote a field that holds a comma"
                    ),
                });
                continue;
            }
            let mut row = Row {
                number,
                record,
                places: &self.places,
                faults: &mut self.faults,
            };
            all.extend(read(&mut row));
        }
        if self.faults.is_empty() {
            Ok(all)
        } else {
            Err(ImportError::Rows(self.faults))
        }
    }
}

/// One row. Each getter gives `None` after noting a fault.
pub(super) struct Row<'a> {
    number: usize,
    record: &'a ByteRecord,
    places: &'a [(&'static str, Option<usize>)],
    faults: &'a mut Vec<RowFault>,
}

impl Row<'_> {
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Notes a fault; gives `None` for the caller to return.
    pub(super) fn fault<T>(&mut self, field: &'static str, remedy: impl Into<String>) -> Option<T> {
        self.faults.push(RowFault {
            row: self.number,
            field,
            remedy: remedy.into(),
        });
        None
    }

    /// A field that may be empty or have no column.
    pub(super) fn optional(&mut self, field: &'static str) -> Option<Option<String>> {
        let place = self
            .places
            .iter()
            .find(|(name, _)| *name == field)
            .and_then(|(_, at)| *at);
        let bytes = place.and_then(|at| self.record.get(at)).unwrap_or_default();
        let Ok(cell) = std::str::from_utf8(bytes) else {
            return self.fault(field, "it is not UTF-8; save the file as CSV UTF-8");
        };
        if text::any(cell, field).is_err() {
            return self.fault(field, "it is too long or holds a NUL; shorten it");
        }
        let cell = cell.trim();
        Some((!cell.is_empty()).then(|| cell.to_owned()))
    }

    pub(super) fn required(&mut self, field: &'static str) -> Option<String> {
        match self.optional(field)? {
            Some(cell) => Some(cell),
            None => self.fault(field, "it is empty; fill it in"),
        }
    }

    /// Capitals, digits and dashes, 20 at most.
    pub(super) fn id(&mut self, field: &'static str) -> Option<String> {
        let id = self.required(field)?.to_uppercase();
        let good = id.len() <= 20 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if good {
            Some(id)
        } else {
            self.fault(field, "write 1 to 20 letters, digits and dashes")
        }
    }

    pub(super) fn date(&mut self, field: &'static str) -> Option<Date> {
        let cell = self.required(field)?;
        match strict_date(&cell) {
            Some(date) => Some(date),
            None => self.fault(field, "write the date as YYYY-MM-DD, such as 1985-03-15"),
        }
    }

    /// Whole cents, not negative.
    pub(super) fn cents(&mut self, field: &'static str) -> Option<i64> {
        self.whole(
            field,
            MAX_CENTS,
            "write whole cents without a sign or point, such as 5000 for $50",
        )
    }

    pub(super) fn percent(&mut self, field: &'static str) -> Option<i64> {
        self.whole(field, 100, "write a whole number from 0 to 100, without a % sign")
    }

    pub(super) fn yes_or_no(&mut self, field: &'static str) -> Option<bool> {
        match self.required(field)?.to_ascii_lowercase().as_str() {
            "yes" | "true" | "1" => Some(true),
            "no" | "false" | "0" => Some(false),
            _ => self.fault(field, "write yes or no"),
        }
    }

    fn whole(&mut self, field: &'static str, max: i64, remedy: &str) -> Option<i64> {
        let cell = self.required(field)?;
        let digits = cell.bytes().all(|b| b.is_ascii_digit());
        match cell.parse().ok().filter(|number| digits && *number <= max) {
            Some(number) => Some(number),
            None => self.fault(field, remedy),
        }
    }
}

/// Ten characters, as a database sorts them; jiff alone would also take other forms of ISO 8601.
pub(super) fn strict_date(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse().ok()).flatten()
}

/// Rows of any width, each with the line on which it begins; bytes, as a file may be of another encoding. Reading from memory and
/// without widths cannot fail.
fn records(csv: &[u8]) -> impl Iterator<Item = (usize, ByteRecord)> {
    let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv);
    let records = reader.into_byte_records().map_while(Result::ok);
    records.map(move |record| (line(csv, &record), record))
}

/// The reader's own count is that of the line breaks before the record, without the empty lines between.
fn line(csv: &[u8], record: &ByteRecord) -> usize {
    let position = record.position();
    let at = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let rest = position
        .and_then(|position| csv.get(at(position.byte())..))
        .unwrap_or_default();
    let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.map_or(1, |position| at(position.line())) + breaks.filter(|byte| **byte == b'\n').count()
}

fn column(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell)
        .trim_start_matches('\u{feff}')
        .trim()
        .to_lowercase()
}

fn problem(problem: &str) -> ImportError {
    ImportError::Header {
        problem: problem.to_owned(),
    }
}

/// Ten million dollars.
const MAX_CENTS: i64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::super::{coverage, customers};
    use super::*;

    #[test]
    fn the_header_tells_the_kind() {
        assert_eq!(
            kind(b"\xef\xbb\xbfCustomer_Number,name\n").unwrap(),
            ImportKind::Customers
        );
        assert_eq!(kind(b"name,member_id\n").unwrap(), ImportKind::Coverage);
        for text in [
            "",
            "\n",
            "Jane Doe,1985-03-15\n",
            "customer_number,member_id\n",
            "customer_number;name\n",
        ] {
            let message = kind(text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains("customers: customer_number,"), "{message}");
            assert!(!message.contains("Jane"), "{message}");
        }
        let lacking = Table::new(b"customer_number,name\n", customers::COLUMNS, customers::OPTIONAL);
        assert!(lacking.err().unwrap().to_string().contains("lacks phone"));
        let unknown = Table::new(
            b"customer_number,name,phone,Jane\n",
            customers::COLUMNS,
            customers::OPTIONAL,
        );
        let message = unknown.err().unwrap().to_string();
        assert!(
            message.contains("number 4") && !message.to_lowercase().contains("jane"),
            "{message}"
        );
    }

    #[test]
    fn readme_documents_the_columns() {
        let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
        for column in customers::COLUMNS.iter().chain(coverage::COLUMNS) {
            assert!(
                readme.contains(&format!("`{column}`")),
                "README.md does not explain {column}"
            );
        }
    }
}
