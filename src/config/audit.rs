//! The audit trail.

use std::path::PathBuf;

use super::parse::{self, Reader};

/// What is done with the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Where its end is written to every hour, so that it is known elsewhere. Default nowhere: beside the database it would prove nothing.
    pub anchor_file: Option<PathBuf>,
}

impl Audit {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        Self {
            anchor_file: reader.optional("AUDIT_ANCHOR_FILE", parse::text).map(PathBuf::from),
        }
    }

    pub(super) fn describe(&self, lines: &mut Vec<(&'static str, String)>) {
        let file = self.anchor_file.as_ref().map(|path| path.display());
        lines.push(("AUDIT_ANCHOR_FILE", super::or_unset(file.as_ref(), "not set")));
    }
}
