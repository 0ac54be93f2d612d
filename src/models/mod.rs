//! Model files: which there are, where they lie, whether they are intact, and how to get them.
//!
//! The manifest names every model with its licence, its sources in order, and the sha256 of the final file. Nothing is loaded that does
//! not match: [`locate`] hashes before it hands a path out, and [`pull`] hashes before it renames a download into place.
//! A path given by the user is used as it is; checking it is theirs.

pub mod convert;
mod glance;
mod locate;
mod manifest;
mod pull;

pub use glance::{Glance, glance};
pub use locate::{Located, ModelError, Report, State, is_path, locate, verify};
pub use manifest::{Manifest, ManifestError, Model, Purpose};
pub use pull::{Progress, PullError, PullEvent, pull};
