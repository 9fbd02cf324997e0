//! What the node remembers of its last run: one small file, compared and swapped at `Go`.

use super::clock::now;
use super::stored::{self, Durable};
use super::{EngineError, JournalReader, StatePaths, lock, runners};
use ostler_roles::ledger::Ledger;
use ostler_roles::wire::message::ActiveRun;
use ostler_roles::words::{RunId, Span};
use serde::{Deserialize, Serialize};

/// The record. Its default is a node that has had no run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Counts the runs that began.
    pub generation: u64,
    /// The last of them.
    #[serde(default)]
    pub last: Option<LastRun>,
    /// What labels rest on.
    #[serde(default)]
    pub ledger: Ledger,
}

/// The run that began last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its id.
    pub run: RunId,
    /// Whose it is: `user@host`.
    pub controller: String,
    /// When it began, in seconds since 1970.
    pub since: u64,
    /// Whether its end was seen. False asks for a look at its journal.
    pub ended: bool,
    /// Whether the run before it had been cut off: this one goes on where that one stopped.
    #[serde(default)]
    pub resumes: bool,
    /// The generation that had changed the node before: it is so again when this run changes nothing. None: this run owes no proof.
    #[serde(default)]
    pub before: Option<LedgerBefore>,
}

/// What the ledger said before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerBefore {
    /// The generation of the run that had changed the node last.
    pub changed: Option<u64>,
}

/// Whether the run's runner lives, and how many events it has told; none: it has ended.
fn at_work(paths: &StatePaths, run: &RunId) -> Result<Option<(bool, u64)>, EngineError> {
    // Only root may open lock and journal. Others see by its process whether it is there.
    let told = lock::is_held(&paths.run_lock()).and_then(|alive| Ok((alive, JournalReader::open(&paths.journal(run))?)));
    let (alive, journal) = match told {
        Err(EngineError::Read { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            return Ok(runners::find(paths, run).map(|_| (true, 0)));
        }
        told => told?,
    };
    let (events, ended) = journal.map_or(Ok((0, false)), |mut journal| journal.count())?;
    Ok((!ended).then_some((alive, events)))
}

impl NodeRecord {
    /// Reads the record.
    ///
    /// # Errors
    /// When there is one and it cannot be read.
    pub fn read(paths: &StatePaths) -> Result<Self, EngineError> {
        Ok(stored::read(&paths.node(), "node")?.unwrap_or_default())
    }
    pub(super) fn write(&self, paths: &StatePaths, durable: Durable) -> Result<(), EngineError> {
        stored::write(&paths.node(), "node", self, 0o644, durable)
    }
    /// The last run, when it has not ended: at work, or cut off.
    ///
    /// # Errors
    /// When lock or journal cannot be asked.
    pub fn active(&self, paths: &StatePaths) -> Result<Option<ActiveRun>, EngineError> {
        let Some(last) = self.last.as_ref().filter(|last| !last.ended) else { return Ok(None) };
        let Some((alive, events)) = at_work(paths, &last.run)? else { return Ok(None) };
        let age = Span::seconds(now().saturating_sub(last.since));
        let (run, controller, owes) = (last.run.clone(), last.controller.clone(), last.before.is_some());
        Ok(Some(ActiveRun { run, alive, controller, since: last.since, age, events, owes }))
    }
}
