//! The one who writes the journal: events in order, what they tell made durable before they are written, one sync for many.

use super::super::journal::JournalFile;
use super::super::{Cleaner, Facilities, Moment, Provider};
use ostler_roles::outcome::{Event, Failure, FailureKind, Outcome};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// Events that may wait: more make the steps wait, none is dropped.
const WAITING: usize = 256;
/// Events that share one sync.
const BATCH: usize = 128;
/// Notes that one run may leave.
const NOTES: u32 = 1000;

/// What the journal_thread is sent.
enum Entry {
    Event(Box<Event>),
    /// Everything before this is in the journal when the sender hears back.
    Barrier(SyncSender<()>),
}

/// The steps' end: cheap to share.
#[derive(Clone)]
pub(super) struct JournalWriter<'a> {
    lines: SyncSender<Entry>,
    state: &'a JournalState,
}

/// What the journal_thread has to tell back.
#[derive(Debug, Default)]
pub(super) struct JournalState {
    /// Something could not be made durable or written: no further step may begin.
    failed: AtomicBool,
    /// Why the first change could not be made durable.
    lost: Mutex<Option<Failure>>,
    notes: AtomicU32,
}

impl JournalWriter<'_> {
    /// Hands an event over. Once the journal is lost there is nobody to hand it to, and the run stops at its next step.
    pub(super) fn write(&self, event: Event) {
        if matches!(event, Event::Note { .. }) && self.state.notes.fetch_add(1, Ordering::Relaxed) >= NOTES {
            return;
        }
        if self.lines.send(Entry::Event(Box::new(event))).is_err() {
            self.state.failed.store(true, Ordering::Release);
        }
    }
    /// Waits until everything handed over is in the journal. True when all of it went well.
    pub(super) fn all_is_written(&self) -> bool {
        let (tell, heard) = sync_channel(1);
        let reached = self.lines.send(Entry::Barrier(tell)).is_ok() && heard.recv().is_ok();
        reached && !self.has_failed()
    }
    /// Why something that was done cannot be kept.
    pub(super) fn why_lost(&self) -> Option<Failure> {
        self.state.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Whether the run must stop because what it does cannot be kept.
    pub(super) fn has_failed(&self) -> bool {
        self.state.failed.load(Ordering::Acquire)
    }
}

/// The journal_thread itself, in a thread of its own.
pub(super) struct JournalThread<'a> {
    pub(super) facilities: &'a dyn Facilities,
    pub(super) provider: &'a dyn Provider,
    pub(super) cleaner: &'a Cleaner,
    pub(super) state: &'a JournalState,
    pub(super) journal: JournalFile,
    lines: Receiver<Entry>,
    broken: bool,
}

/// A journal_thread and its writer.
pub(super) fn start_journal<'a>(
    facilities: &'a dyn Facilities,
    provider: &'a dyn Provider,
    cleaner: &'a Cleaner,
    state: &'a JournalState,
    journal: JournalFile,
) -> (JournalThread<'a>, JournalWriter<'a>) {
    let (sender, lines) = sync_channel(WAITING);
    (JournalThread { facilities, provider, cleaner, state, journal, lines, broken: false }, JournalWriter { lines: sender, state })
}

impl JournalThread<'_> {
    /// Writes until every writer is gone.
    pub(super) fn write_on(mut self) {
        while let Ok(first) = self.lines.recv() {
            let mut events = Vec::new();
            let mut barrier = None;
            let mut next = Some(first);
            while let Some(line) = next {
                match line {
                    Entry::Event(event) => events.push(*event),
                    Entry::Barrier(tell) => barrier = Some(tell),
                }
                next = if barrier.is_none() && events.len() < BATCH { self.lines.try_recv().ok() } else { None };
            }
            // Behind a torn record nothing counts: once one append has failed, no other is tried.
            let broken = self.broken || self.keep(events).is_err();
            self.broken = broken;
            if broken {
                self.state.failed.store(true, Ordering::Release);
            }
            if let Some(tell) = barrier {
                // Whoever asked may have stopped listening.
                let _ = tell.send(());
            }
        }
    }

    fn keep(&mut self, mut events: Vec<Event>) -> Result<(), super::super::EngineError> {
        // Without its beginning a run is held for one that never began, whatever it changed.
        let weighty = events.iter().any(|event| is_change(event) || matches!(event, Event::Started { .. } | Event::Ended { .. }));
        if events.iter().any(is_change)
            && let Err(failure) = self.provider.sync()
        {
            self.state.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| failure.clone());
            self.state.failed.store(true, Ordering::Release);
            events = events.into_iter().map(|event| unsettled(event, &failure)).collect();
        }
        for event in events {
            self.facilities.passed(Moment::Synced(self.journal.last() + 1));
            self.journal.append(self.cleaner.event(event))?;
            self.facilities.passed(Moment::Journalled(self.journal.last()));
        }
        if weighty { self.journal.sync() } else { Ok(()) }
    }
}

/// Whether an event says that something on the node was changed.
fn is_change(event: &Event) -> bool {
    matches!(event, Event::StepDone { outcome: Outcome::Changed { .. } | Outcome::Failed(_), .. } | Event::Triggered { .. })
}

/// What cannot be made durable was not done.
fn unsettled(event: Event, failure: &Failure) -> Event {
    match event {
        Event::StepDone { index, id, outcome: Outcome::Changed { .. }, millis } => {
            let message = format!("make the change durable: {}", failure.message);
            let kind = if failure.kind == FailureKind::NoSpace { FailureKind::NoSpace } else { FailureKind::Apply };
            Event::StepDone { index, id, outcome: Outcome::Failed(Failure { message, kind, ..failure.clone() }), millis }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Applied, ApplyContext, Differing, EngineError, Examined, JournalReader, StatePaths};
    use super::*;
    use crate::host::tests::{SmallDisk, proves_as_root};
    use ostler_roles::catalog::{Action, Step};
    use ostler_roles::check::{Check, Demands, Verdict};
    use ostler_roles::facts::{Facts, LiveFacts};
    use ostler_roles::resource::{Desired, Effect};
    use ostler_roles::words::{Digest, RunId, Span};
    use std::path::PathBuf;

    /// A node of which nothing is asked here.
    struct Unasked(StatePaths);

    impl Provider for Unasked {
        fn examine(&self, _: &Desired) -> Result<Examined, Failure> {
            unreachable!()
        }
        fn check(&self, _: &Check, _: Span, _: &Demands) -> Verdict {
            unreachable!()
        }
        fn old_content(&self, _: &Desired) -> Option<String> {
            unreachable!()
        }
        fn apply(&self, _: &[Differing<'_>], _: &ApplyContext<'_>) -> Vec<Result<Applied, Failure>> {
            unreachable!()
        }
        fn act(&self, _: &Step, _: Action, _: &ApplyContext<'_>) -> Result<bool, Failure> {
            unreachable!()
        }
        fn look_again(&self, _: &dyn Fn() -> bool) -> Vec<(u32, Failure)> {
            unreachable!()
        }
        fn forget(&self, _: &[Effect]) {}
        fn sync(&self) -> Result<(), Failure> {
            Ok(())
        }
    }

    impl Facilities for Unasked {
        fn facts(&self) -> Result<Facts, Failure> {
            unreachable!()
        }
        fn live(&self) -> Result<LiveFacts, Failure> {
            unreachable!()
        }
        fn provider(&self, _: &[u8]) -> Result<Box<dyn Provider + '_>, Failure> {
            unreachable!()
        }
        fn paths(&self) -> &StatePaths {
            &self.0
        }
        fn digest(&self) -> Digest {
            unreachable!()
        }
        fn roots_copy(&self) -> Option<PathBuf> {
            None
        }
        fn install(&self) -> Result<PathBuf, EngineError> {
            unreachable!()
        }
    }

    #[test]
    fn that_a_run_has_begun_is_on_the_disk_before_its_first_step() {
        if !proves_as_root("the beginning of a run survives a power cut") {
            return;
        }
        let (directory, later) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = SmallDisk::at(directory.path());
        let run = RunId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        let node = Unasked(StatePaths::below(disk.path()));
        let (cleaner, state) = (Cleaner::default(), JournalState::default());
        let journal = JournalFile::create(&node.0.journal(&run)).unwrap();
        let found = std::thread::scope(|scope| {
            let (thread, writer) = start_journal(&node, &node, &cleaner, &state, journal);
            scope.spawn(move || thread.write_on());
            writer.write(Event::Started { run: run.clone(), steps: 1, resumed_at: None });
            assert!(writer.all_is_written(), "the first step begins behind this");
            disk.after_a_power_cut(later.path())
        });
        let journal = JournalReader::open(&StatePaths::below(found.path()).journal(&run)).unwrap();
        assert_eq!(journal.map(|mut journal| journal.count().unwrap()), Some((1, false)));
    }
}
