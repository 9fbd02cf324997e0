//! `git_cache` at work: mirrors observed and filled in workers, each with only its owner's rights, swapped in whole.

mod look;
mod refill;
mod workers;

pub(super) use look::{Failed, Filled};

use super::Act;
use super::fault::{failure, unmade};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::accounts::Account;
use crate::host::child::Identity;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::git_cache::{Change, Desired, Observed};
use ostler_roles::words::{AbsPath, Bytes};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// An origin that does not say within this time what it has is away.
const ANSWER: Duration = Duration::from_secs(30);
/// More at once only wait for each other.
const WORKERS: usize = 64;

/// The cache as all workers see it.
pub(super) struct Cache<'a> {
    node: &'a Node,
    desired: &'a Desired,
    /// The owner, where the account is there.
    owner: Option<Account>,
    /// Whose rights a lane takes on; none where we are the owner, or not root.
    identity: Option<Identity>,
    /// Servers that were waited for in vain: the others of their repositories are not waited for again.
    silent: Mutex<BTreeMap<String, String>>,
}

impl<'a> Cache<'a> {
    fn of(node: &'a Node, desired: &'a Desired) -> Result<Self, Failure> {
        let accounts = node.accounts()?;
        let owner = accounts.account(&node.host, desired.owner.as_str()).map_err(super::fault::unread)?;
        let identity = match &owner {
            Some(account) if node.host.is_root() && account.uid != 0 => Some(node.identity(&account.name)?),
            Some(_) | None => None,
        };
        Ok(Self { node, desired, owner, identity, silent: Mutex::default() })
    }

    fn workers(&self) -> usize {
        usize::from(self.desired.workers).clamp(1, WORKERS)
    }

    fn place(&self, repository: &str) -> Result<AbsPath, Failure> {
        let bad = |error| failure(FailureKind::Observe, format!("{repository} is no name of a mirror: {error}"));
        self.desired.root.join(repository).map_err(bad)
    }
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let cache = Cache::of(node, self)?;
        let http = node.http()?;
        let names: Vec<&String> = self.repositories.keys().collect();
        let mut observed = Observed::default();
        workers::run(
            &cache,
            names,
            |name| cache.look(name, &http, Instant::now() + ANSWER),
            |name, mirror| {
                observed.mirrors.insert(name.clone(), mirror?);
                Ok(())
            },
        )?;
        Ok(observed)
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let cache = Cache::of(node, self)?;
        if cache.owner.is_none() {
            return Err(super::fault::no_account("user", self.owner.as_str()));
        }
        for parent in node.host.missing_parents(&self.root).map_err(unmade)?.iter().chain([&self.root]) {
            node.host.make_parent(parent.as_path()).map_err(unmade)?;
        }
        let changing: Vec<String> = changes.iter().map(|change| change.repository().to_owned()).collect();
        let mut notes = cache.refill(changes, work)?;
        for repository in self.repositories.keys().filter(|repository| !changing.contains(repository)) {
            // Seen a moment ago, when the changes were decided.
            let place = cache.place(repository)?;
            notes.extend(node.git_unreachable.of(place.as_str()).map(|why| format!("{repository}: {why}")));
        }
        node.host.touched_below(self.root.as_path());
        Ok(notes)
    }

    /// No git server tells a size before it sends.
    fn to_write(&self, _node: &Node, changes: &[Change]) -> Option<Bytes> {
        changes.is_empty().then_some(Bytes(0))
    }
}
