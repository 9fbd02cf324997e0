//! The wish to stop: a file that anybody who may can leave, and the runner sees between steps.

use super::stored::{self, Durable};
use super::{EngineError, StatePaths};
use ostler_roles::words::RunId;

/// Leaves the wish.
///
/// # Errors
/// When it cannot be written.
pub fn ask_to_cancel(paths: &StatePaths, run: &RunId) -> Result<(), EngineError> {
    let directory = paths.in_memory(run);
    stored::make_directory(&directory, 0o700)?;
    stored::write_bytes(&directory.join("cancel"), b"", 0o600, Durable::No)
}

/// Whether it was left.
pub fn is_cancelled(paths: &StatePaths, run: &RunId) -> bool {
    paths.in_memory(run).join("cancel").exists()
}
