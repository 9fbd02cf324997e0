//! A smoke job that passed: kept on the node, unless a run has changed it since.

use super::node::NodeRecord;
use super::stored::Durable;
use super::{EngineError, Facilities, Lock};
use ostler_roles::ledger::Proved;
use ostler_roles::wire::message::Refusal;
use std::time::Duration;

/// How long a run that has told its end may take to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// Compares the generation that was proved with the one that changed the node last, and keeps the proof.
///
/// # Errors
/// The refusal; nothing was changed.
pub fn prove(facilities: &dyn Facilities, proved: Proved) -> Result<(), Refusal> {
    if !facilities.is_root() {
        return Err(Refusal::NotRoot);
    }
    let paths = facilities.paths();
    let own = |error: EngineError| Refusal::NoRunner(error.told());
    // Whoever begins a run writes the record under this lock.
    let Some(_lock) = Lock::take(&paths.run_lock(), LEAVE_WITHIN).map_err(own)? else {
        return Err(NodeRecord::read(paths).map_err(own)?.active(paths).map_err(own)?.map_or(Refusal::Starting, Refusal::Locked));
    };
    let mut record = NodeRecord::read(paths).map_err(own)?;
    let generation = proved.generation;
    record.ledger.prove(proved).map_err(|found| Refusal::ChangedSince { proved: generation, found })?;
    record.write(paths, Durable::Yes).map_err(own)
}
