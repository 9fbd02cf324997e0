//! All executors that the site has, those of nodes that are no part of a run too.

use ostler_roles::executor::{Executor, Launch};
use ostler_roles::words::{MasterName, NodeName};
use std::collections::BTreeSet;

/// The executors of a whole site, by what each node was when it was met last.
#[derive(Debug, Default)]
pub struct SiteExecutors {
    /// Of every node that can be compiled with what is known of it.
    pub known: Vec<(NodeName, Executor)>,
    /// Nodes of which that cannot be told.
    pub unknown: Vec<NodeName>,
}

impl SiteExecutors {
    /// The names of all that the site has on a master, under whichever of its names; none where that is not known of every node.
    pub fn names_on(&self, is_it: &dyn Fn(&MasterName) -> bool) -> Option<BTreeSet<NodeName>> {
        let here = self.known.iter().filter(|(_, executor)| is_it(&executor.master));
        self.unknown.is_empty().then(|| here.map(|(_, executor)| executor.name.clone()).collect())
    }

    /// Nodes that a master logs in to with the credential of this id.
    pub fn logged_in_with(&self, master: &MasterName, id: &str) -> BTreeSet<NodeName> {
        let is_one = |executor: &Executor| {
            executor.master == *master && matches!(&executor.launch, Some(Launch::Ssh { credential }) if credential == id)
        };
        self.known.iter().filter(|(_, executor)| is_one(executor)).map(|(node, _)| node.clone()).collect()
    }
}
