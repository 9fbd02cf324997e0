//! A defect of ours: a runner that panics ends at once (`panic = "abort"`), and its words are kept for whoever follows the run.

use super::stored::{self, Durable};
use super::{Cleaner, StatePaths};
use ostler_roles::words::RunId;

const WHAT: &str = "defect";

/// From now on a panic of this process is written down beside the run, and ends it.
pub(super) fn keep_words(paths: &StatePaths, run: &RunId, cleaner: Cleaner) {
    let path = paths.of_run(run).below(WHAT);
    let as_usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |defect| {
        as_usual(defect);
        // Where it cannot be kept, systemd's journal has it.
        let _ = stored::write(&path, WHAT, &cleaner.note(defect.to_string()), 0o600, Durable::No);
        std::process::abort();
    }));
}

/// The words of the defect that this run has ended by.
pub fn words_of(paths: &StatePaths, run: &RunId) -> Option<String> {
    stored::read(&paths.of_run(run).below(WHAT), WHAT).ok()?
}
