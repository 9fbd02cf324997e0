//! Carries out one run, outside of any session: every step in its turn, then the proofs, then the end.

mod groups;
mod journal_writer;
mod proofs;
mod run_step;
mod watchdog;

use super::go::mask_of;
use super::journal::JournalFile;
use super::node::{LastRun, NodeRecord};
use super::progress::ProgressBoard;
use super::secrets::SecretStore;
use super::stored::{self, Durable};
use super::{
    BlobStore, Cleaner, EngineError, Facilities, Lock, Moment, PendingActions, Provider, StatePaths, cancel, defect, detach, runners,
};
use crate::host::child;
use crate::host::own::OwnPath;
use groups::{Group, groups};
use journal_writer::{JournalState, JournalWriter, start_journal};
use ostler_roles::catalog::Catalog;
use ostler_roles::outcome::{Ending, Event, FailureKind, Outcome};
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::Effect;
use ostler_roles::words::{Digest, RunId};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use watchdog::Steps;

/// How long those who only ask may stand in the way of the lock.
const LOCK_WITHIN: Duration = Duration::from_secs(10);
/// Finished runs that are kept.
const KEPT_RUNS: usize = 20;

/// The runner: `run ID`. With `detach_from` it only starts itself again in a session of its own.
///
/// # Errors
/// When the run cannot be begun or its end cannot be written; failures of steps are told in the journal.
pub fn run(facilities: &dyn Facilities, run: &RunId, detach_from: Option<&Path>) -> Result<(), EngineError> {
    if let Some(program) = detach_from {
        return detach::detach(program, run);
    }
    let paths = facilities.paths();
    let Some(lock) = Lock::take(&paths.run_lock(), LOCK_WITHIN)? else { return Ok(()) };
    let record = NodeRecord::read(paths)?;
    let Some(last) = record.last.clone().filter(|last| last.run == *run && !last.ended) else { return Ok(()) };
    let absent = |path: &OwnPath| EngineError::Content { path: path.to_path_buf(), why: "it is not there".to_owned() };
    let catalog: Catalog = stored::read(&paths.catalog(run), "catalog")?.ok_or_else(|| absent(&paths.catalog(run)))?;
    let plan: Plan = stored::read(&paths.plan(run), "plan")?.ok_or_else(|| absent(&paths.plan(run)))?;
    let journal = JournalFile::create(&paths.journal(run))?;
    let secrets = SecretStore::of(paths, run);
    let key = secrets.key()?;
    let mask = mask_of(&secrets.masked()?);
    child::mask_output(mask.clone());
    let cleaner = Cleaner::of(mask);
    defect::keep_words(paths, run, cleaner.clone());
    let owed = PendingActions::read(paths)?;
    let provider = facilities.provider(key.expose()).map_err(|failure| EngineError::Provider { why: failure.message })?;
    let state = JournalState::default();
    let generation = record.generation;
    let ending = std::thread::scope(|scope| {
        let (journal_thread, writer) = start_journal(facilities, &*provider, &cleaner, &state, journal);
        scope.spawn(move || journal_thread.write_on());
        let runner = Runner {
            facilities,
            provider: &*provider,
            catalog: &catalog,
            plan: &plan,
            run,
            generation,
            cleaner: &cleaner,
            secrets: &secrets,
            blobs: BlobStore::of(paths),
            progress: ProgressBoard::of(paths, run),
            owed: Mutex::new(owed),
            writer,
            changed: AtomicU32::new(0),
            unchanged: AtomicU32::new(0),
            may_open: AtomicBool::new(false),
            stop: Mutex::new(None),
            began: Instant::now(),
            steps: Steps::default(),
        };
        let record = record.clone();
        std::thread::scope(|beside| {
            beside.spawn(|| runner.watch(record, &lock));
            let ending = runner.carry_out(&last);
            runner.steps.are_through();
            ending
        })
    });
    if let Some(ending) = ending {
        facilities.passed(Moment::Ended);
        finished(paths, record, &ending)?;
    }
    Ok(())
}

/// The end is in the journal: the record may say so too.
fn finished(paths: &StatePaths, mut record: NodeRecord, ending: &Ending) -> Result<(), EngineError> {
    if let Some(last) = &mut record.last {
        last.ended = true;
        // What changed nothing leaves every proof as it was.
        if let (Ending::Good { changed: 0, .. }, Some(before)) = (ending, last.before) {
            record.ledger.change(before.changed);
        }
    }
    record.write(paths, Durable::Yes)
}

/// Removes what only this run needed. Told before the end, so that nothing is left to do after it.
fn tidy(paths: &StatePaths, run: &RunId, secrets: &SecretStore) -> Result<(), EngineError> {
    secrets.remove()?;
    BlobStore::of(paths).prune();
    let names = paths.runs().names().map_err(EngineError::read(&paths.runs()))?;
    // By the node's own clock: ids carry those of their controllers, which may be years apart.
    let runs = names
        .iter()
        .filter_map(|name| name.to_str().map(str::to_owned))
        .filter(|name| *name != run.as_str())
        .map(|name| (paths.runs().below(&name).length_and_time().ok().flatten().map(|(_, time)| time), name))
        .collect();
    let runs = oldest_first(runs, SystemTime::now());
    let spare = runs.len().saturating_sub(KEPT_RUNS - 1);
    // One whose process is left is known by its record alone to have ended.
    let left = |name: &&String| RunId::parse(name).is_ok_and(|run| runners::find(paths, &run).is_some());
    runs[..spare].iter().filter(|name| !left(name)).try_for_each(|name| stored::remove_tree(&paths.runs().below(name)))
}

/// By their times. One that has not come yet is of a clock that was wrong, and no run of the one that is right is given up for it.
fn oldest_first(runs: Vec<(Option<SystemTime>, String)>, now: SystemTime) -> Vec<String> {
    let mut runs: Vec<_> = runs.into_iter().map(|(time, name)| (time.filter(|time| *time <= now), name)).collect();
    runs.sort();
    runs.into_iter().map(|(_, name)| name).collect()
}

/// Why no further step is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Failed(u32),
    Cancelled,
    Journal,
}

struct Runner<'a> {
    facilities: &'a dyn Facilities,
    provider: &'a dyn Provider,
    catalog: &'a Catalog,
    plan: &'a Plan,
    run: &'a RunId,
    generation: u64,
    cleaner: &'a Cleaner,
    secrets: &'a SecretStore,
    blobs: BlobStore,
    progress: ProgressBoard,
    owed: Mutex<PendingActions>,
    writer: JournalWriter<'a>,
    changed: AtomicU32,
    unchanged: AtomicU32,
    /// A step was changed that may open a port.
    may_open: AtomicBool,
    stop: Mutex<Option<Stop>>,
    began: Instant,
    steps: Steps,
}

impl Runner<'_> {
    /// The ending, when it is in the journal.
    fn carry_out(&self, last: &LastRun) -> Option<Ending> {
        let steps = u32::try_from(self.catalog.steps.len()).unwrap_or(u32::MAX);
        let first = self.plan.steps.iter().position(|planned| !matches!(planned, Planned::Unchanged { .. }));
        let resumed_at = first.filter(|_| last.resumes).and_then(|index| u32::try_from(index).ok());
        self.writer.write(Event::Started { run: self.run.clone(), steps, resumed_at });
        // A run that is not in its journal must not change anything: whoever waits for its beginning would call it off.
        if !self.writer.all_is_written() {
            return None;
        }
        self.drop_left_over();
        for group in groups(&self.catalog.steps) {
            self.look_for_reasons_to_stop();
            match (self.stopped(), group) {
                (Some(stop), group) => self.leave_out(&group.members(), stop),
                (None, Group::Transaction(members)) => self.run_step(&members),
                (None, Group::Together(members)) => self.together(&members),
            }
        }
        let ending = self.ending();
        while !self.steps.are_through() {
            // Told to its end by the watchdog, which ends this process.
            std::thread::park();
        }
        if let Err(error) = tidy(self.facilities.paths(), self.run, self.secrets) {
            self.writer.write(Event::Note { index: None, text: error.told() });
        }
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.writer.write(Event::Ended { ending: ending.clone(), millis });
        self.writer.all_is_written().then_some(ending)
    }

    fn ending(&self) -> Ending {
        let written = self.writer.all_is_written();
        if let Some(ending) = self.ended_early() {
            return ending;
        }
        if !written {
            return Ending::Failed;
        }
        // What was told as changed is told once more: it did not stay so.
        for (index, failure) in self.provider.look_again(&|| self.is_cancelled()) {
            self.tell_done(index, Outcome::Failed(failure), Duration::ZERO);
        }
        if let Some(ending) = self.ended_early() {
            return ending;
        }
        let changed = self.changed.load(Ordering::Acquire);
        if changed > 0 {
            self.provider.forget(&[Effect::Everything]);
        }
        let good = self.prove(self.may_open.load(Ordering::Acquire));
        let unchanged = self.unchanged.load(Ordering::Acquire);
        if good { Ending::Good { changed, unchanged, generation: self.generation } } else { Ending::Failed }
    }

    /// The end of a run whose steps were not all made so.
    fn ended_early(&self) -> Option<Ending> {
        self.look_for_reasons_to_stop();
        self.stopped().map(|stop| match stop {
            Stop::Cancelled => Ending::Cancelled,
            Stop::Failed(_) | Stop::Journal => Ending::Failed,
        })
    }

    fn together(&self, members: &[u32]) {
        let next = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..members.len().min(groups::WORKERS) {
                scope.spawn(|| {
                    while let Some(member) = members.get(next.fetch_add(1, Ordering::AcqRel) as usize) {
                        self.run_step(&[*member]);
                    }
                });
            }
        });
    }

    fn stopped(&self) -> Option<Stop> {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first reason stands.
    fn stop(&self, stop: Stop) {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(stop);
    }

    fn look_for_reasons_to_stop(&self) {
        if self.writer.has_failed() {
            self.stop(Stop::Journal);
        }
        if self.is_cancelled() {
            self.stop(Stop::Cancelled);
        }
    }

    fn is_cancelled(&self) -> bool {
        cancel::is_cancelled(self.facilities.paths(), self.run)
    }

    fn leave_out(&self, members: &[u32], stop: Stop) {
        let because = match stop {
            Stop::Failed(index) => {
                let failed = self.catalog.steps.get(index as usize).map(|step| step.id().to_string());
                format!("{} failed before it", failed.unwrap_or_default())
            }
            Stop::Cancelled => "the run was cancelled before it".to_owned(),
            Stop::Journal => "the run can no longer keep what it does".to_owned(),
        };
        for index in members {
            self.done(*index, Outcome::NotStarted { because: because.clone() }, Duration::ZERO);
        }
    }

    fn done(&self, index: u32, outcome: Outcome, took: Duration) {
        if self.steps.is_done(index) {
            self.tell_done(index, outcome, took);
        }
    }

    fn tell_done(&self, index: u32, outcome: Outcome, took: Duration) {
        match &outcome {
            Outcome::Changed { .. } => {
                self.changed.fetch_add(1, Ordering::AcqRel);
                self.may_open.fetch_or(proofs::may_open_ports(&self.catalog.steps[index as usize]), Ordering::AcqRel);
            }
            Outcome::Unchanged { .. } => _ = self.unchanged.fetch_add(1, Ordering::AcqRel),
            Outcome::Failed(failure) if failure.kind == FailureKind::Cancelled => self.stop(Stop::Cancelled),
            Outcome::Failed(_) => self.stop(Stop::Failed(index)),
            Outcome::NotStarted { .. } => {}
        }
        self.progress.done(index);
        let id = self.catalog.steps[index as usize].id();
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.writer.write(Event::StepDone { index, id, outcome, millis });
    }

    fn secret(&self, hmac: &Digest) -> std::io::Result<Option<Vec<u8>>> {
        self.secrets.value(hmac).map_err(|error| std::io::Error::other(error.told()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_a_node_survives_a_power_cut_at_the_end_of_a_run() {
        if !crate::host::tests::proves_as_root("the record survives a power cut") {
            return;
        }
        let (directory, later) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = crate::host::tests::SmallDisk::at(directory.path());
        let paths = StatePaths::below(disk.path());
        let record = NodeRecord { generation: 7, ..NodeRecord::default() };
        record.write(&paths, Durable::Yes).unwrap();
        finished(&paths, record.clone(), &Ending::Failed).unwrap();
        let found = disk.after_a_power_cut(later.path());
        assert_eq!(NodeRecord::read(&StatePaths::below(found.path())).unwrap(), record);
        // What an older release left so says what it is.
        std::fs::write(paths.node(), [0; 40]).unwrap();
        let told = NodeRecord::read(&paths).unwrap_err().told();
        assert!(told.contains("a power cut took what was in it: remove it"), "{told}");
    }

    #[test]
    fn the_record_of_a_run_whose_process_is_left_stays() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().canonicalize().unwrap();
        let paths = StatePaths::below(&place.join("below"));
        let runs: Vec<RunId> =
            (0..KEPT_RUNS + 3).map(|number| RunId::parse(&format!("01890a5d-ac96-774b-bcce-b302099a8{number:03}")).unwrap()).collect();
        for (number, run) in runs.iter().enumerate() {
            paths.of_run(run).make_directory(0o700).unwrap();
            let opened = std::fs::File::open(&*paths.of_run(run)).unwrap();
            opened.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64)).unwrap();
        }
        let mut left = runners::tests::left(&place, &paths, &runs[1]);
        let this = &runs[KEPT_RUNS + 2];
        // It is what it is once it is its own program.
        while runners::find(&paths, &runs[1]).is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        tidy(&paths, this, &SecretStore::of(&paths, this)).unwrap();
        let gone: Vec<usize> = (0..runs.len()).filter(|number| !paths.of_run(&runs[*number]).is_there()).collect();
        left.kill().unwrap();
        left.wait().unwrap();
        assert_eq!(gone, [0, 2]);
    }

    #[test]
    fn runs_of_a_clock_that_was_ahead_go_before_those_of_the_right_one() {
        let now = SystemTime::now();
        let run = |name: &str, time| (time, name.to_owned());
        let minute = Duration::from_secs(60);
        let runs = vec![
            run("newest", Some(now)),
            run("ahead", Some(now + minute)),
            run("oldest", Some(now - minute * 2)),
            run("older", Some(now - minute)),
            run("untold", None),
        ];
        assert_eq!(oldest_first(runs, now), ["ahead", "untold", "oldest", "older", "newest"]);
    }
}
