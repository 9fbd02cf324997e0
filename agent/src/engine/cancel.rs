//! The wish to stop: a file that anybody who may can leave, and the runner sees between steps.

use super::stored::{self, Durable};
use super::{EngineError, StatePaths};
use ostler_roles::words::RunId;

/// Leaves the wish.
///
/// # Errors
/// When it cannot be written.
pub fn ask_to_cancel(paths: &StatePaths, run: &RunId) -> Result<(), EngineError> {
    stored::write_bytes(&paths.in_memory(run).below("cancel"), b"", 0o600, Durable::No)
}

/// Whether it was left.
pub fn is_cancelled(paths: &StatePaths, run: &RunId) -> bool {
    paths.in_memory(run).below("cancel").is_there()
}
