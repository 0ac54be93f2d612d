//! How every ONNX session is built.

use std::path::Path;

use ort::session::Session;
use ort::session::builder::SessionBuilder;

/// A session whose threads sleep when idle. [`super::piper::load_runtime`] comes first.
pub(super) fn session(model: &Path, threads: usize) -> Result<Session, String> {
    builder(threads)?
        .commit_from_file(model)
        .map_err(|error| error.to_string())
}

/// The same of a model that is not in a file.
pub(super) fn session_of(model: &[u8], threads: usize) -> Result<Session, String> {
    builder(threads)?
        .commit_from_memory(model)
        .map_err(|error| error.to_string())
}

fn builder(threads: usize) -> Result<SessionBuilder, String> {
    let builder = Session::builder().map_err(|error| error.to_string())?;
    let builder = builder
        .with_intra_threads(threads.max(1))
        .map_err(|error| error.to_string())?;
    // Idle ONNX threads must not spin: the cores belong to the next caller.
    builder.with_intra_op_spinning(false).map_err(|error| error.to_string())
}
