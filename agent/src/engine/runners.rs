//! Runners by their processes: also those whose records somebody has removed.

use super::StatePaths;
use crate::host::processes::{self, Process};
use ostler_roles::words::RunId;

/// The process of this run's runner.
pub(super) fn find(paths: &StatePaths, run: &RunId) -> Option<Process> {
    processes::of_programs_in(&paths.bin()).into_iter().find(|process| process.arguments == ["run", run.as_str()])
}
