//! Runners by their processes: also those whose records somebody has removed.

use super::StatePaths;
use super::clock::now;
use crate::host::processes::{self, Process};
use ostler_roles::wire::message::ActiveRun;
use ostler_roles::words::RunId;
use std::time::{Duration, Instant};

/// Every runner of this node, with its run.
fn all(paths: &StatePaths) -> impl Iterator<Item = (RunId, Process)> {
    processes::of_programs_in(&paths.bin()).into_iter().filter_map(|process| match process.arguments.as_slice() {
        [word, run] if word == "run" => Some((RunId::parse(run).ok()?, process)),
        _ => None,
    })
}

/// The process of this run's runner.
pub(super) fn find(paths: &StatePaths, run: &RunId) -> Option<Process> {
    all(paths).find(|(known, _)| known == run).map(|(_, process)| process)
}

/// A runner that is at work though its lock was free: somebody has removed its files. One that has told its end has `patience` to leave.
pub(super) fn without_record(paths: &StatePaths, patience: Duration) -> Option<ActiveRun> {
    let end = Instant::now() + patience;
    loop {
        let (run, process) = all(paths).next()?;
        if Instant::now() >= end {
            let controller = "a controller whose record was removed from this node, with its journal".to_owned();
            let since = now().saturating_sub(process.age.duration().as_secs());
            return Some(ActiveRun { run, alive: true, controller, since, age: process.age, events: 0, owes: true });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
