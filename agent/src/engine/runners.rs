//! Runners by their processes: also those whose records somebody has removed.

use super::clock::now;
use super::{JournalReader, StatePaths};
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

/// Whether the run's journal tells its end: of its process only a thread is left that the kernel keeps.
fn has_ended(paths: &StatePaths, run: &RunId) -> bool {
    JournalReader::open(&paths.journal(run))
        .is_ok_and(|journal| journal.is_some_and(|mut journal| journal.count().is_ok_and(|told| told.1)))
}

/// A runner that is at work though its lock was free: somebody has removed its files. One that was told not to begin has `patience` to
/// leave; one that has told its end does nothing any more, whether it leaves or not.
pub(super) fn without_record(paths: &StatePaths, patience: Duration) -> Option<ActiveRun> {
    let end = Instant::now() + patience;
    loop {
        let (run, process) = all(paths).find(|(run, _)| !has_ended(paths, run))?;
        if Instant::now() >= end {
            let controller = "a controller whose record was removed from this node, with its journal".to_owned();
            let since = now().saturating_sub(process.age.duration().as_secs());
            return Some(ActiveRun { run, alive: true, controller, since, age: process.age, events: 0, owes: true });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::journal::JournalFile;
    use super::*;
    use ostler_roles::outcome::{Ending, Event};
    use std::process::{Child, Command, Stdio};

    /// A process of this run's runner that stays, as one that the kernel keeps.
    pub(in super::super) fn left(place: &std::path::Path, paths: &StatePaths, run: &RunId) -> Child {
        let program = paths.bin().join("agent-1");
        std::fs::create_dir_all(paths.bin().as_os_str()).unwrap();
        std::fs::copy("/bin/sh", &program).unwrap();
        // It is asked to interpret the file `run`, and waits there.
        std::fs::write(place.join("run"), "read nothing\n").unwrap();
        let mut command = Command::new(&program);
        command.args(["run", run.as_str()]).current_dir(place).stdin(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_process_whose_run_has_ended_holds_nobody_up_and_one_without_a_journal_does() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().canonicalize().unwrap();
        let paths = StatePaths::below(&place);
        let run = RunId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let mut left = left(&place, &paths, &run);
        let found = || without_record(&paths, Duration::ZERO).map(|active| active.run);
        assert_eq!(found(), Some(run.clone()), "nothing is known of it");
        paths.of_run(&run).make_directory(0o700).unwrap();
        let mut journal = JournalFile::create(&paths.journal(&run)).unwrap();
        assert_eq!(found(), Some(run.clone()), "it has not ended");
        journal.append(Event::Ended { ending: Ending::Failed, millis: 1 }).unwrap();
        let began = Instant::now();
        assert_eq!(without_record(&paths, Duration::from_secs(20)).map(|active| active.run), None, "it has ended");
        assert!(began.elapsed() < Duration::from_secs(10), "nobody waits until it leaves");
        std::fs::remove_file(&*paths.journal(&run)).unwrap();
        assert_eq!(found(), Some(run.clone()), "its journal was removed");
        left.kill().unwrap();
        left.wait().unwrap();
    }
}
