//! Ends a run one of whose steps never comes back. A call into a file server that is gone, or a disk that died, keeps its thread for good,
//! and no thread can be stopped from outside: the run is told to its end beside it, and the process leaves.

use super::super::Lock;
use super::super::node::NodeRecord;
use super::{Runner, finished, tidy};
use ostler_roles::check::Verdict;
use ostler_roles::outcome::{Ending, Event, Failure, FailureKind, Outcome};
use ostler_roles::words::Span;
use rustix::thread::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the last words may take: what they lie on may hang as well.
const LAST_WORDS: Duration = Duration::from_secs(120);

/// A step at work.
#[derive(Debug, Clone, Copy)]
struct AtWork {
    within: Duration,
    began: Instant,
    until: Instant,
    thread: Pid,
}

#[derive(Debug, Default)]
struct State {
    at_work: BTreeMap<u32, AtWork>,
    done: BTreeSet<u32>,
    /// Told to its end by the watchdog: what others still say of it counts for nothing.
    is_over: bool,
    /// All steps have come to their end.
    is_through: bool,
}

/// Which steps are at work, and which are done.
#[derive(Debug, Default)]
pub(super) struct Steps {
    state: Mutex<State>,
    changed: Condvar,
}

impl Steps {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let told = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        told
    }

    /// Does the work of a step, or of a proof behind them, which has so long, and so much more to end what it began.
    pub(super) fn at_work<T>(&self, index: u32, within: Duration, more: Duration, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let at_work = AtWork { within, began, until: began + within + more, thread: rustix::thread::gettid() };
        self.with(|state| state.at_work.insert(index, at_work));
        let done = work();
        self.with(|state| state.at_work.remove(&index));
        done
    }

    /// Whether the end of this step or proof may be told, which it may once.
    pub(super) fn is_done(&self, index: u32) -> bool {
        self.with(|state| !state.is_over && state.done.insert(index))
    }

    /// All steps and proofs have come to their end. False when the run was told to its end before.
    pub(super) fn are_through(&self) -> bool {
        self.with(|state| {
            state.is_through = !state.is_over;
            state.is_through
        })
    }

    /// Waits for a step whose time is up: it and all that have no end yet. None when they are through.
    fn overdue(&self) -> Option<(u32, BTreeMap<u32, AtWork>, BTreeSet<u32>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.is_through {
                return None;
            }
            let next = state.at_work.iter().min_by_key(|(_, step)| step.until).map(|(index, step)| (*index, step.until));
            let now = Instant::now();
            state = match next {
                Some((index, until)) if until <= now => {
                    state.is_over = true;
                    return Some((index, state.at_work.clone(), state.done.clone()));
                }
                Some((_, until)) => self.changed.wait_timeout(state, until - now).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl Runner<'_> {
    /// Waits beside the run until its steps and proofs are through. Where one of them never comes back, tells the run to its end and leaves, and
    /// the lock with it: also where the kernel keeps that thread, or whoever would write down the end.
    pub(super) fn watch(&self, record: NodeRecord, lock: &Lock) {
        let Some((hung, at_work, done)) = self.steps.overdue() else { return };
        std::thread::scope(|beside| {
            let (told, is_told) = std::sync::mpsc::sync_channel::<()>(0);
            beside.spawn(move || {
                self.tell_end(hung, &at_work, &done, record);
                drop(told);
            });
            // An error in any case: it has told the end, or its time is up.
            let _ = is_told.recv_timeout(LAST_WORDS);
            lock.release();
            // Every other end would wait for those threads.
            std::process::exit(0);
        });
    }

    fn tell_end(&self, hung: u32, at_work: &BTreeMap<u32, AtWork>, done: &BTreeSet<u32>, record: NodeRecord) {
        let steps = self.number_of_proof(0);
        for index in (0..steps).filter(|index| !done.contains(index)) {
            let (outcome, took) = match at_work.get(&index) {
                Some(step) if index == hung => (Outcome::Failed(never_back(step)), step.began.elapsed()),
                Some(step) => (Outcome::Failed(cut_short(&self.step(hung).id().to_string())), step.began.elapsed()),
                None => (Outcome::NotStarted { because: format!("{} never came back", self.step(hung).id()) }, Duration::ZERO),
            };
            self.tell_done(index, outcome, took);
        }
        if let (Some(index), Some(proof)) = (hung.checked_sub(steps), at_work.get(&hung)) {
            let failure = never_back(proof);
            let why = std::iter::once(failure.message).chain(failure.causes).collect::<Vec<_>>().join(": ");
            self.tell_verdict(index, Verdict::CouldNotTell { why });
        }
        if let Err(error) = tidy(self.facilities.paths(), self.run, self.secrets) {
            self.writer.write(Event::Note { index: None, text: error.told() });
        }
        let ending = Ending::Failed;
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.writer.write(Event::Ended { ending: ending.clone(), millis });
        if self.writer.all_is_written() {
            // The journal says it: the record is read again with it.
            let _ = finished(self.facilities.paths(), record, &ending);
        }
    }
}

fn never_back(step: &AtWork) -> Failure {
    let at = std::fs::read_to_string(format!("/proc/self/task/{}/wchan", step.thread.as_raw_nonzero())).unwrap_or_default();
    let at = at.trim();
    let within = Span::seconds(step.within.as_secs());
    Failure {
        kind: FailureKind::Deadline,
        message: format!("it had {within} and never came back: a call into the system does not return"),
        causes: if matches!(at, "" | "0") { Vec::new() } else { vec![format!("its thread waits in the kernel ({at})")] },
        command: None,
        hint: Some(
            "on the node: `findmnt -t nfs,nfs4,cifs,fuse` and `dmesg | tail`; when what it waits for is back, apply again".to_owned(),
        ),
    }
}

fn cut_short(hung: &str) -> Failure {
    let message = format!("the run ended while it was at work: {hung} never came back");
    Failure { kind: FailureKind::Apply, message, causes: Vec::new(), command: None, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_never_comes_back_is_told_beside_those_that_are_done() {
        let steps = Steps::default();
        let forever = Duration::from_secs(3600);
        std::thread::scope(|scope| {
            let (end, ended) = std::sync::mpsc::channel::<()>();
            assert!(steps.at_work(0, forever, forever, || steps.is_done(0)));
            let steps = &steps;
            scope.spawn(move || steps.at_work(1, Duration::ZERO, Duration::ZERO, || ended.recv().unwrap_err()));
            let (hung, at_work, done) = steps.overdue().unwrap();
            assert_eq!((hung, at_work.len(), done), (1, 1, BTreeSet::from([0])));
            assert!(!steps.is_done(1) && !steps.are_through(), "what it says afterwards counts for nothing");
            drop(end);
        });
        let steps = Steps::default();
        assert!(steps.are_through() && steps.overdue().is_none());
    }
}
