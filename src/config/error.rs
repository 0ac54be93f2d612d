//! What can be wrong with the configuration. Every message is one line: the key, its source, what is expected, the remedy.

use std::{fmt, io};

use super::strings::Origin;

/// One thing to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The `.env` file exists and cannot be read.
    #[error("{path}: cannot be read: {source}. Mend its permissions, or save it as UTF-8 text")]
    Unreadable {
        /// The file as the caller named it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the `.env` file is not an assignment. The line itself is not shown: it may hold a secret.
    #[error(
        "{path}:{line}: {subject} is not of the form KEY=value. \
         A value with spaces, # or $ needs single quotes around it, and every quote must be closed"
    )]
    Line {
        /// The file as the caller named it.
        path: String,
        /// Line number from 1: where the faulty assignment starts.
        line: usize,
        /// The key on that line, or "the line" when there is none to be seen.
        subject: String,
    },
    /// One key has a value that does not do.
    #[error("{key} from {origin} is {shown}: expected {expected}. Write {key}={example}")]
    Value {
        /// The key.
        key: &'static str,
        /// Where the value came from.
        origin: Origin,
        /// The value, quoted and shortened; `***` for a secret.
        shown: String,
        /// What would do, with unit and bounds.
        expected: String,
        /// A value that would do.
        example: String,
    },
    /// Keys that are right alone and wrong together.
    #[error("{message}")]
    Conflict {
        /// Names all keys involved and the remedy.
        message: String,
    },
}

/// Everything wrong with a configuration at once, never empty. Displays as one line each.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
