//! A run's events: typed, timed, versioned, one JSON object a line, in the order in which they came; read back as they were.

use super::{Log, StateError, Store};
use crate::fleet::{FleetEvent, new_run};
use crate::report::Journal;
use ostler_roles::words::{NodeName, RunId};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Runs whose logs are kept, at most.
pub const KEPT_RUNS: usize = 200;
/// Days for which a run's log is kept, at most.
pub const KEPT_DAYS: u64 = 90;
/// The version of a record that is written and read.
const VERSION: u32 = 2;

/// One event as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The record's version: another one is refused.
    pub v: u32,
    /// When it was heard of, in milliseconds since 1970 by the controller's clock.
    pub at: u64,
    /// Whose it is.
    pub node: NodeName,
    /// What happened.
    pub event: FleetEvent,
}

/// The log of one invocation, being written.
#[derive(Debug)]
pub struct RunLog(Box<dyn Log>);

impl RunLog {
    /// A new log, named so that names sort by time; logs that are too many or too old go.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(store: &dyn Store) -> Result<Self, StateError> {
        let log = store.begin_log(&new_run())?;
        if let Err(error) = prune_logs(store, KEPT_RUNS, Duration::from_secs(KEPT_DAYS * 24 * 3600)) {
            // They take room, no more: the next run tries again.
            tracing::warn!(%error, "old logs were not removed");
        }
        Ok(Self(log))
    }

    /// Where people find it.
    pub fn place(&self) -> String {
        self.0.place()
    }
}

/// Removes the logs behind the youngest `kept` and those older than `age`, but for those that are being written.
///
/// # Errors
/// When they cannot be listed or removed.
pub fn prune_logs(store: &dyn Store, kept: usize, age: Duration) -> Result<(), StateError> {
    let logs = store.logs()?;
    let spare = logs.into_iter().enumerate().filter(|(place, (_, old))| *place >= kept || *old > age);
    spare.map(|(_, (run, _))| run).try_for_each(|run| store.remove_log(&run))
}

/// Reads a run's events back.
///
/// # Errors
/// When they cannot be read, or a record is of another version.
pub fn read_run(store: &dyn Store, run: &RunId) -> Result<Vec<Record>, StateError> {
    store.read_log(run)?.iter().enumerate().map(|(at, line)| record(run, at + 1, line)).collect()
}

/// Only the version of a record, whatever else is in it.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

fn record(run: &RunId, number: usize, line: &str) -> Result<Record, StateError> {
    let wrong = |why: String| StateError::Record { run: run.clone(), number, why };
    let Version { v } = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
    if v != VERSION {
        return Err(wrong(format!("it is of version {v}, this program reads {VERSION}")));
    }
    serde_json::from_str(line).map_err(|error| wrong(error.to_string()))
}

impl Journal for RunLog {
    fn keep(&mut self, node: &NodeName, event: &FleetEvent) {
        if event.is_fleeting() {
            return;
        }
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let record = Record { v: VERSION, at, node: node.clone(), event: event.clone() };
        let line = serde_json::to_string(&record).map_err(|error| error.to_string());
        let kept = line.and_then(|line| self.0.append(&line).map_err(|error| error.to_string()));
        if let Err(error) = kept {
            // The node's own journal holds what its run did: losing this copy costs nothing but a second look.
            tracing::warn!(%node, error, log = self.place(), "an event was not kept");
        }
    }
}
