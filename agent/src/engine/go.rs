//! `Go`: from a shown plan to a runner that has it. The moments stand in the decision page; nothing exists before `Recorded`.

use super::clock::now;
use super::node::{LastRun, LedgerBefore, NodeRecord};
use super::secrets::{self, SecretStore};
use super::stored::{self, Durable};
use super::{BlobStore, EngineError, Facilities, JournalReader, Lock, Moment, StatePaths, detach, free_space, lock, runners};
use ostler_roles::catalog::Catalog;
use ostler_roles::mask::Mask;
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::wire::message::{ActiveRun, Hidden, Refusal, SecretData};
use ostler_roles::words::{Bytes, Digest, RunId, Span};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the runner may take to begin: a disk that others are writing to may hold its first sync up for many seconds. Below what a
/// controller that comes back waits for the lock of this.
const BEGIN_WITHIN: Duration = Duration::from_secs(25);
/// How long those who only ask may hold the lock. A runner has it until its end.
const ASKED_WITHIN: Duration = Duration::from_secs(2);
/// How long a runner that has told its end may take to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// What is asked for, and what came before it.
#[derive(Debug)]
pub struct Order<'a> {
    /// The run's id, chosen by the controller.
    pub run: RunId,
    /// The plan that was shown there.
    pub plan_digest: Digest,
    /// The generation it was made on.
    pub generation: u64,
    /// Values of secrets.
    pub secrets: &'a [SecretData],
    /// What no output of the run may show.
    pub masked: &'a [Hidden],
    /// `user@host`.
    pub controller: String,
    /// Whether what is changed has to be proved.
    pub owes: bool,
    /// The plan that was made here.
    pub plan: &'a Plan,
    /// Its catalog.
    pub catalog: &'a Catalog,
    /// The key under which secrets are compared.
    pub secret_key: &'a [u8],
    /// Contents that were asked for and came.
    pub contents: &'a BTreeMap<Digest, Vec<u8>>,
    /// How many of those asked for did not come.
    pub missing: u32,
}

/// The runner has the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Which.
    pub run: RunId,
}

/// Carries out `Go`.
///
/// # Errors
/// The refusal; nothing was changed on the node, except that after [`Refusal::NoRunner`] the run may be on record without an event.
pub fn go(facilities: &dyn Facilities, order: &Order<'_>) -> Result<Accepted, Refusal> {
    refuse_at_once(facilities, order)?;
    let paths = facilities.paths();
    let own = |error: EngineError| Refusal::NoRunner(free_space::explained(paths, error).told());
    let Some(go_lock) = Lock::take(&paths.go_lock(), Duration::ZERO).map_err(own)? else { return Err(locked(facilities)) };
    let record = NodeRecord::read(paths).map_err(own)?;
    let over = record.active(paths).map_err(own)?.is_none();
    let patience = if over { LEAVE_WITHIN } else { Duration::ZERO };
    let Some(run_lock) = Lock::take(&paths.run_lock(), patience).map_err(own)? else { return Err(locked(facilities)) };
    // A lock goes with its file: whoever removes that lets a second runner begin.
    if let Some(left) = runners::without_record(paths, LEAVE_WITHIN) {
        return Err(Refusal::Locked(left));
    }
    // Read again: only now nobody else can write it.
    let record = NodeRecord::read(paths).map_err(own)?;
    if record.generation != order.generation {
        return Err(Refusal::Moved { planned: order.generation, found: record.generation });
    }
    let resumes = record.active(paths).map_err(own)?.is_some();
    facilities.passed(Moment::Locked);
    let program = facilities.install().map_err(own)?;
    let directory = paths.of_run(&order.run);
    // One that is there is another call's, or the answer that this run never begins: it stays.
    directory.make_new_directory(0o700).map_err(|error| own(EngineError::write(&directory)(error)))?;
    if let Err(error) = persist(facilities, order) {
        // Nothing names the run yet; what is left of it would be removed by the next one as well.
        let _ = stored::remove_tree(&directory);
        let _ = SecretStore::of(paths, &order.run).remove();
        return Err(own(error));
    }
    facilities.passed(Moment::Persisted);
    if let Err(error) = record_begin(order, record, resumes).write(paths, Durable::Yes) {
        // No record names the run: values of secrets would stay until the next one.
        if NodeRecord::read(paths).is_ok_and(|record| record.last.is_none_or(|last| last.run != order.run)) {
            let _ = SecretStore::of(paths, &order.run).remove();
        }
        return Err(own(error));
    }
    facilities.passed(Moment::Recorded);
    drop(run_lock);
    facilities.passed(Moment::Released);
    let begun = detach::start_runner(facilities, &program, &order.run).and_then(|()| {
        facilities.passed(Moment::Launched);
        await_beginning(facilities, &order.run)
    });
    begun.or_else(|error| call_off(paths, &order.run, error)).map_err(own)?;
    facilities.passed(Moment::Begun);
    drop(go_lock);
    Ok(Accepted { run: order.run.clone() })
}

/// The node's record from now on: one run more, and what it may change is owed.
fn record_begin(order: &Order<'_>, record: NodeRecord, resumes: bool) -> NodeRecord {
    let (generation, mut ledger) = (record.generation + 1, record.ledger);
    let before = order.owes.then_some(LedgerBefore { changed: ledger.changed() });
    if order.owes {
        ledger.change(Some(generation));
    }
    let last = LastRun { run: order.run.clone(), controller: order.controller.clone(), since: now(), ended: false, resumes, before };
    NodeRecord { generation, last: Some(last), ledger }
}

fn refuse_at_once(facilities: &dyn Facilities, order: &Order<'_>) -> Result<(), Refusal> {
    if !facilities.is_root() {
        return Err(Refusal::NotRoot);
    }
    if order.plan_digest != order.plan.digest() || order.generation != order.plan.generation {
        return Err(Refusal::OtherPlan);
    }
    if !order.plan.may_go() {
        return Err(Refusal::Unmet);
    }
    if order.missing > 0 {
        return Err(Refusal::MissingBlobs(order.missing));
    }
    Ok(())
}

/// Who has the node, as far as it is on record.
fn locked(facilities: &dyn Facilities) -> Refusal {
    let paths = facilities.paths();
    let record = NodeRecord::read(paths).unwrap_or_default();
    match record.last {
        Some(last) => {
            let age = Span::seconds(now().saturating_sub(last.since));
            let alive = lock::is_held(&paths.run_lock()).unwrap_or(true);
            let owes = last.before.is_some();
            Refusal::Locked(ActiveRun { run: last.run, alive, controller: last.controller, since: last.since, age, events: 0, owes })
        }
        None => Refusal::Starting,
    }
}

fn persist(facilities: &dyn Facilities, order: &Order<'_>) -> Result<(), EngineError> {
    let paths = facilities.paths();
    let contents: u64 = order.contents.values().map(|bytes| bytes.len() as u64).sum();
    free_space::wanted(paths, Bytes(contents), order.contents.len() as u64)?;
    stored::write(&paths.catalog(&order.run), "catalog", order.catalog, 0o600, Durable::No)?;
    stored::write(&paths.plan(&order.run), "plan", &kept(order), 0o600, Durable::No)?;
    let store = BlobStore::of(paths);
    for (digest, bytes) in order.contents {
        store.write(digest, bytes)?;
    }
    secrets::remove_others(paths, &order.run)?;
    let key = if order.catalog.secrets().is_empty() { &[] } else { order.secret_key };
    SecretStore::of(paths, &order.run).write(key, order.secrets, order.masked)
}

/// The plan as it is kept: made when no value was here, it may show some; and what files hold now is for people alone.
fn kept(order: &Order<'_>) -> Plan {
    let mut plan = order.plan.clone();
    for step in &mut plan.steps {
        if let Planned::Change { old, .. } = step {
            *old = None;
        }
    }
    mask_of(order.masked).hide_in(&mut plan);
    plan
}

/// The mask of a run.
pub(super) fn mask_of(masked: &[Hidden]) -> Mask {
    Mask::of(masked.iter().map(|value| value.0.as_slice()))
}

/// The runner was not seen to begin: makes sure that it never will. One that has its lock by now begins, however long its disk keeps it
/// from its first event, or has begun and ended since: once its journal is there, that tells what becomes of it.
pub(super) fn call_off(paths: &StatePaths, run: &RunId, error: EngineError) -> Result<(), EngineError> {
    let _run_lock = loop {
        match Lock::take(&paths.run_lock(), ASKED_WITHIN)? {
            Some(lock) => break lock,
            None if paths.journal(run).is_there() => return Ok(()),
            None => {}
        }
    };
    if has_begun(paths, run)? {
        return Ok(());
    }
    let mut record = NodeRecord::read(paths)?;
    if let Some(last) = record.last.as_mut().filter(|last| last.run == *run) {
        last.ended = true;
        if let Some(before) = last.before {
            record.ledger.change(before.changed);
        }
        record.write(paths, Durable::Yes)?;
    }
    SecretStore::of(paths, run).remove()?;
    Err(error)
}

/// Whether an event is in its journal.
fn has_begun(paths: &StatePaths, run: &RunId) -> Result<bool, EngineError> {
    let Some(mut journal) = JournalReader::open(&paths.journal(run))? else { return Ok(false) };
    Ok(journal.next_record()?.is_some())
}

/// Waits until the runner's first event is in its journal.
fn await_beginning(facilities: &dyn Facilities, run: &RunId) -> Result<(), EngineError> {
    let paths = facilities.paths();
    let end = Instant::now() + BEGIN_WITHIN;
    let mut pause = Duration::from_micros(200);
    loop {
        if has_begun(paths, run)? {
            return Ok(());
        }
        // The runner holds its lock before it makes its journal, and until its end.
        if paths.journal(run).is_there() && !lock::is_held(&paths.run_lock())? {
            let died = ": it has died at once".to_owned();
            return if has_begun(paths, run)? { Ok(()) } else { Err(EngineError::Late { seconds: BEGIN_WITHIN.as_secs(), said: died }) };
        }
        if Instant::now() >= end {
            let log = || format!("; on the node, `journalctl -u ostler-run-{run}` may say why");
            let said = if facilities.has_systemd() { log() } else { String::new() };
            return Err(EngineError::Late { seconds: BEGIN_WITHIN.as_secs(), said });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::JournalFile;
    use super::*;
    use ostler_roles::outcome::{Ending, Event};

    /// A node on whose record a run stands that was not seen to begin.
    fn recorded() -> (tempfile::TempDir, StatePaths, RunId) {
        let directory = tempfile::tempdir().unwrap();
        let paths = StatePaths::below(&directory.path().canonicalize().unwrap());
        let run = RunId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let mut record = NodeRecord { generation: 7, ..NodeRecord::default() };
        let before = Some(LedgerBefore { changed: record.ledger.changed() });
        record.ledger.change(Some(7));
        record.last = Some(LastRun { run: run.clone(), controller: String::new(), since: 0, ended: false, resumes: false, before });
        record.write(&paths, Durable::No).unwrap();
        paths.of_run(&run).make_directory(0o700).unwrap();
        (directory, paths, run)
    }

    fn late() -> EngineError {
        EngineError::Late { seconds: 0, said: String::new() }
    }

    #[test]
    fn who_only_asks_whether_a_run_is_at_work_is_no_runner_that_has_begun() {
        let (_directory, paths, run) = recorded();
        let asked = Lock::share(&paths.run_lock(), Duration::ZERO).unwrap().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(100));
                drop(asked);
            });
            call_off(&paths, &run, late()).unwrap_err();
        });
        let record = NodeRecord::read(&paths).unwrap();
        assert!(record.last.is_some_and(|last| last.ended), "it never begins");
        assert_eq!(record.ledger.changed(), None, "it changed nothing");
    }

    #[test]
    fn a_runner_whose_disk_keeps_it_from_its_first_event_is_called_off_only_once_it_is_dead() {
        for dies in [false, true] {
            let (_directory, paths, run) = recorded();
            let its_lock = Lock::take(&paths.run_lock(), Duration::ZERO).unwrap().unwrap();
            let called_off = std::thread::scope(|scope| {
                let journal = paths.journal(&run);
                let runner = scope.spawn(move || {
                    std::thread::sleep(ASKED_WITHIN + Duration::from_secs(1));
                    if dies {
                        return None;
                    }
                    JournalFile::create(&journal).unwrap();
                    // It has its lock until its end.
                    Some(its_lock)
                });
                let called_off = call_off(&paths, &run, late());
                assert_eq!(paths.journal(&run).is_there(), !dies, "whoever follows it finds what tells of it");
                drop(runner.join().unwrap());
                called_off
            });
            assert_eq!(called_off.is_err(), dies, "{called_off:?}");
            let record = NodeRecord::read(&paths).unwrap();
            assert_eq!(record.last.map(|last| last.ended), Some(dies));
            assert_eq!(record.ledger.changed(), (!dies).then_some(7), "it changes what it was given, or nothing");
        }
    }

    #[test]
    fn a_run_that_began_and_ended_before_the_last_look_is_not_called_off() {
        let (_directory, paths, run) = recorded();
        let mut journal = JournalFile::create(&paths.journal(&run)).unwrap();
        journal.append(Event::Started { run: run.clone(), steps: 1, resumed_at: None }).unwrap();
        journal.append(Event::Ended { ending: Ending::Failed, millis: 1 }).unwrap();
        call_off(&paths, &run, late()).unwrap();
        assert_eq!(NodeRecord::read(&paths).unwrap().ledger.changed(), Some(7), "what it changed is owed a proof");
    }
}
