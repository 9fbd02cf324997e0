//! `git_cache` at work: mirrors observed and filled by a process with only their owner's rights, swapped in whole by us.

mod fill;
mod look;
mod refill;
mod request;
mod worker;
mod workers;

use super::Act;
use super::as_account::AccountJob;
use super::fault::{failure, unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::accounts::Account;
use crate::host::child::Identity;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::git_cache::{Change, Desired, Mirror, Observed};
use ostler_roles::words::{AbsPath, Bytes};
use request::{Answer, Asked, Done, Request, Task, Work};
use std::time::{Duration, Instant};
use worker::Worker;

/// More at once only wait for each other.
const WORKERS: usize = 64;
/// The longest time without an answer while mirrors are only looked at: an origin has 30 s, a large mirror on a cold disk is read.
const SILENCE: Duration = Duration::from_secs(120);
/// No look at all mirrors takes longer.
const LOOKS: Duration = Duration::from_secs(6 * 3600);

pub(in crate::resource) use request::WORK;
pub(in crate::resource) use worker::serve;

/// The cache as we see it.
struct Cache<'a> {
    node: &'a Node,
    desired: &'a Desired,
    /// The owner, where the account is there.
    owner: Option<Account>,
    /// Whose rights the work has: nobody's where the owner is not there; none where we are the owner, or not root.
    identity: Option<Identity>,
}

impl<'a> Cache<'a> {
    fn of(node: &'a Node, desired: &'a Desired) -> Result<Self, Failure> {
        let accounts = node.accounts()?;
        let owner = accounts.account(&node.host, desired.owner.as_str()).map_err(unread)?;
        let identity = match &owner {
            Some(account) if node.host.is_root() && account.uid != 0 => Some(node.identity(&account.name)?),
            None if node.host.is_root() => Some(Identity::nobody()),
            Some(_) | None => None,
        };
        Ok(Self { node, desired, owner, identity })
    }

    fn place(&self, repository: &str) -> Result<AbsPath, Failure> {
        let bad = |error| failure(FailureKind::Observe, format!("{repository} is not a mirror's name: {error}"));
        self.desired.root.join(repository).map_err(bad)
    }

    fn asked(&self, repository: &str, work: Work) -> Result<Task, Failure> {
        let urls = self.desired.repositories.get(repository).map(|source| source.urls.clone()).unwrap_or_default();
        Ok(Task { repository: repository.to_owned(), place: self.place(repository)?, urls, work })
    }

    /// Has the work done with the owner's rights: by a process of its account, unless those are our own.
    fn send(
        &self,
        tasks: Vec<Task>,
        within: Duration,
        silence: Duration,
        stops: &(dyn Fn() -> bool + Sync),
        mut hear: impl FnMut(Answer) -> Result<(), Failure>,
        look: impl Fn(),
    ) -> Result<(), Failure> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut asked = Asked::of(&tasks);
        let hear = |answer: Answer| hear(asked.answered(answer)?);
        let workers = usize::from(self.desired.workers).clamp(1, WORKERS);
        let tree = self.node.host.outside(std::path::Path::new("/"));
        let request = Request { tree, owner: self.owner.clone(), workers, within, tasks };
        let Some(identity) = &self.identity else {
            Worker::of(&request, stops).map_err(unread)?.work(&request, hear, look)?;
            return asked.all();
        };
        let stops = || {
            look();
            stops()
        };
        let deadline = Instant::now() + within;
        AccountJob { identity, work: WORK, silence, deadline, stops: &stops }.ask(&request, hear)?;
        asked.all()
    }
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let cache = Cache::of(node, self)?;
        let mut observed = Observed::default();
        let mut tasks = Vec::new();
        for repository in self.repositories.keys() {
            let place = cache.place(repository)?;
            tasks.push(cache.asked(repository, Work::Look(node.mirrors.filled.take(place.as_str())))?);
        }
        let hear = |Answer { repository, done }: Answer| {
            let Done::Looked(mirror) = done else { return Ok(()) };
            let place = cache.place(&repository)?;
            // One that could not be filled in this run is not tried twice.
            let mirror = match (node.mirrors.failed.of(place.as_str()), mirror) {
                (Some(_), unreachable @ Mirror::Unreachable { .. }) => unreachable,
                (Some(why), mirror) => {
                    let usable = matches!(mirror, Mirror::Fresh | Mirror::Behind(_) | Mirror::Unproved(_));
                    Mirror::Unreachable { why, usable, since: None }
                }
                (None, mirror) => mirror,
            };
            observed.mirrors.insert(repository, mirror);
            Ok(())
        };
        cache.send(tasks, LOOKS, SILENCE, &|| false, hear, || {})?;
        Ok(observed)
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let cache = Cache::of(node, self)?;
        if cache.owner.is_none() {
            return Err(super::fault::no_account("user", self.owner.as_str()));
        }
        node.make_parents(&self.root)?;
        node.host.make_parent(self.root.as_path()).map_err(unmade)?;
        let notes = cache.refill(changes, work)?;
        node.host.touched_below(self.root.as_path());
        Ok(notes)
    }

    fn made(&self, node: &Node, change: &Change) -> bool {
        let place = self.root.join(change.repository());
        place.is_ok_and(|place| node.mirrors.failed.of(place.as_str()).is_none())
    }

    /// No git server tells a size before it sends.
    fn to_write(&self, _node: &Node, changes: &[Change]) -> Option<Bytes> {
        changes.is_empty().then_some(Bytes(0))
    }
}
