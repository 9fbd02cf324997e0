//! "Did my run begin?": answered once and for all. An id that was answered "no" never begins afterwards.

use super::go::call_off;
use super::{EngineError, Facilities, Lock, NodeRecord};
use ostler_roles::words::RunId;
use std::time::Duration;

/// Longer than a `Go` takes whose runner was started at once: it waits for others to leave, for the first event, for who asks. Below what
/// the controller waits for this answer.
const GO_WITHIN: Duration = Duration::from_secs(45);

/// The run to show: the one named, or the last one; none where the node knows no such run.
///
/// A `Go` that is under way is waited for. A run that is not known gets an empty directory under its name, which a `Go` that was still
/// on a dead connection will find: it is refused.
///
/// # Errors
/// When the records cannot be read or written.
pub fn look_up(facilities: &dyn Facilities, run: Option<RunId>) -> Result<Option<RunId>, EngineError> {
    let paths = facilities.paths();
    let Some(run) = run else {
        let Some(last) = NodeRecord::read(paths)?.last else { return Ok(None) };
        return look_up(facilities, Some(last.run));
    };
    let journal = paths.journal(&run);
    if journal.is_there() {
        return Ok(Some(run));
    }
    let Some(_go_lock) = Lock::take(&paths.go_lock(), GO_WITHIN)? else { return Err(EngineError::Busy { seconds: GO_WITHIN.as_secs() }) };
    if journal.is_there() {
        return Ok(Some(run));
    }
    let recorded = NodeRecord::read(paths)?.last.is_some_and(|last| last.run == run && !last.ended);
    if recorded {
        // Whoever started it died before it was seen to begin. Either it holds its lock by now, or it never will.
        match call_off(paths, &run, EngineError::Late { seconds: 0, said: String::new() }) {
            Ok(()) => return Ok(Some(run)),
            Err(EngineError::Late { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let directory = paths.of_run(&run);
    directory.make_directory(0o700).map_err(EngineError::write(&directory))?;
    Ok(None)
}
