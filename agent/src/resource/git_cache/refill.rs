//! Filling: fetches into mirrors that are good, new ones beside those that are not, swapped in whole.

use super::super::fault::{failure, hinted, unmade};
use super::Cache;
use super::request::{Answer, Done, Task, Work};
use crate::engine::ApplyContext;
use crate::host::{OsError, Writing};
use ostler_roles::outcome::{Event, Failure, FailureKind};
use ostler_roles::resource::git_cache::Change;
use ostler_roles::words::Bytes;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what is left of all mirrors of a round may take to go: whose account they are may add to them meanwhile.
const DISCARD: Duration = Duration::from_secs(60);

/// What has been done so far.
#[derive(Default)]
struct Tally {
    done: u32,
    total: u32,
    bytes: u64,
    notes: Vec<String>,
    /// To be filled anew.
    again: Vec<String>,
    /// What is being filled, by its repository: the directory beside its place.
    asides: Vec<(String, PathBuf)>,
}

/// As it is told: by what ended it.
fn unremoved(error: &OsError, work: &ApplyContext<'_>) -> Failure {
    error.failure(match ((work.cancelled)(), work.stops()) {
        (true, _) => FailureKind::Cancelled,
        (false, true) => FailureKind::Deadline,
        (false, false) => FailureKind::Apply,
    })
}

impl Cache<'_> {
    /// Makes the changes; what could not be reached is a note, and remembered.
    pub(super) fn refill(&self, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let tally = RefCell::new(Tally { total: u32::try_from(changes.len()).unwrap_or(u32::MAX), ..Tally::default() });
        let mut tasks = Vec::new();
        for change in changes {
            let anew = !matches!(change, Change::Fetch { .. } | Change::Prove { .. });
            tasks.push(self.task(change.repository(), anew, &tally, work)?);
        }
        self.round(tasks, work, &tally)?;
        let again = std::mem::take(&mut tally.borrow_mut().again);
        let mut tasks = Vec::new();
        for repository in again {
            tasks.push(self.task(&repository, true, &tally, work)?);
        }
        self.round(tasks, work, &tally)?;
        let Tally { again, mut notes, .. } = tally.into_inner();
        notes.extend(again.into_iter().map(|left| format!("{left} could not be mended")));
        Ok(notes)
    }

    fn task(&self, repository: &str, anew: bool, tally: &RefCell<Tally>, work: &ApplyContext<'_>) -> Result<Task, Failure> {
        let place = self.place(repository)?;
        self.node.mirrors.failed.take(place.as_str());
        if !anew {
            return self.asked(repository, Work::Fetch);
        }
        self.node.make_parents(&place)?;
        let aside = place.as_path().with_file_name(format!(".{}.ostler-new", place.file_name()));
        self.node.host.remove_tree(&aside, &|| work.stops()).map_err(|error| unremoved(&error, work))?;
        let (user, group) = self.owner.as_ref().map_or(self.node.host.default_owner(), |owner| (owner.uid, owner.gid));
        self.node.host.make_directory(&aside, Writing { user, group, mode: 0o755 }).map_err(unmade)?;
        tally.borrow_mut().asides.push((repository.to_owned(), aside.clone()));
        self.asked(repository, Work::Fill(aside))
    }

    /// One round of work.
    fn round(&self, tasks: Vec<Task>, work: &ApplyContext<'_>, tally: &RefCell<Tally>) -> Result<(), Failure> {
        let told = |tally: &Tally, what: &str, growing: u64| {
            let (items, bytes) = (Some((tally.done, tally.total)), Some((Bytes(tally.bytes + growing), None)));
            (work.tell)(Event::Progress { index: work.index, what: what.to_owned(), items, bytes });
        };
        let take = |Answer { repository, done }: Answer| {
            let tally = &mut *tally.borrow_mut();
            self.take(&repository, done, tally, work)?;
            told(tally, &repository, 0);
            Ok(())
        };
        let look = || {
            let tally = tally.borrow();
            told(&tally, "", tally.asides.iter().map(|(_, aside)| self.packed(aside)).sum());
        };
        let left = work.deadline.saturating_duration_since(Instant::now());
        let done = self.send(tasks, left, left, work.cancelled, take, look);
        // What an end in the midst of it left has no use.
        let end = Instant::now() + DISCARD;
        for (_, aside) in std::mem::take(&mut tally.borrow_mut().asides) {
            let _ = self.node.host.remove_tree(&aside, &|| Instant::now() >= end);
        }
        done.map_err(|failed| match failed.kind {
            FailureKind::Cancelled => failure(FailureKind::Cancelled, "cancelled; mirrors that are filled stay"),
            _ => Failure { kind: if failed.kind == FailureKind::Observe { FailureKind::Apply } else { failed.kind }, ..failed },
        })
    }

    /// What became of one mirror.
    fn take(&self, repository: &str, done: Done, tally: &mut Tally, work: &ApplyContext<'_>) -> Result<(), Failure> {
        let place = self.place(repository)?;
        // It stays among them: what cannot be removed here is tried once more.
        let filled = tally.asides.iter().find(|(name, _)| name == repository).map(|(_, aside)| aside.clone());
        if let (Some(aside), false) = (&filled, matches!(done, Done::Good(_))) {
            // What a failed try left has no use.
            let _ = self.node.host.remove_tree(aside, &|| work.stops());
        }
        let why = match done {
            Done::Good(origin) => {
                if let Some(aside) = &filled {
                    tally.bytes += self.packed(aside);
                    self.node.host.swap_in(aside, place.as_path(), &|| work.stops()).map_err(|error| unremoved(&error, work))?;
                }
                self.node.mirrors.filled.put(place.as_str(), origin);
                tally.done += 1;
                return Ok(());
            }
            Done::Local(_) if filled.is_none() => {
                tally.again.push(repository.to_owned());
                return Ok(());
            }
            Done::Local(why) | Done::Failed(why) => why,
            Done::Looked(_) => "it was only looked at".to_owned(),
            Done::NoSpace(what, why) => {
                return Err(Failure { causes: vec![why], ..hinted(FailureKind::NoSpace, what, "on the node: df -h; df -i") });
            }
            Done::Cancelled => return Err(failure(FailureKind::Cancelled, "cancelled")),
        };
        self.node.mirrors.failed.put(place.as_str(), why.clone());
        tally.notes.push(format!("{repository}: {why}"));
        tally.done += 1;
        Ok(())
    }

    /// Bytes of packs in a mirror, the growing one too.
    fn packed(&self, mirror: &Path) -> u64 {
        self.node.host.bytes_in(&mirror.join("objects/pack"))
    }
}
