//! Whose labels are to be earned again: noted before the first change, settled by the masters' word.

use super::Registered;
use crate::fleet::{NodeEnd, Ready};
use crate::journal::{ProofStore, StateError, Store};
use ostler_roles::outcome::Ending;
use ostler_roles::words::NodeName;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is owed before, during and after one run.
#[derive(Debug)]
pub struct Proofs {
    store: ProofStore,
    /// Noted by this run.
    new: BTreeSet<NodeName>,
}

impl Proofs {
    /// Notes every node with executors that this run is about to change. A run that is cut anywhere leaves the note to the next.
    ///
    /// # Errors
    /// When it cannot be noted: then nothing may be changed.
    pub fn owe(store: &Arc<dyn Store>, ready: &[Ready]) -> Result<Self, StateError> {
        let store = ProofStore::new(Arc::clone(store));
        let mut new = BTreeSet::new();
        for one in ready.iter().filter(|one| !one.plan.is_empty() && !one.prepared.executors.is_empty()) {
            if !store.is_owed(&one.node) {
                store.owe(&one.node)?;
                new.insert(one.node.clone());
            }
        }
        Ok(Self { store, new })
    }

    /// Whether a node is to be proved.
    pub fn is_owed(&self, node: &NodeName) -> bool {
        self.store.is_owed(node)
    }

    /// Nothing was begun on these nodes, or nothing had to be changed after all.
    pub fn settle_untouched(&self, ends: &[NodeEnd]) {
        let is_untouched = |end: &&NodeEnd| end.run.is_none() || matches!(end.ending, Ok(Ending::Good { changed: 0, .. }));
        ends.iter().filter(is_untouched).filter(|end| self.new.contains(&end.node)).for_each(|end| self.settle(&end.node));
    }

    /// Every master of these nodes has taken them.
    pub fn settle_proved(&self, registered: &[Registered]) {
        let bad: BTreeSet<&NodeName> = registered.iter().filter(|one| !one.is_good()).map(|one| &one.node).collect();
        registered.iter().filter(|one| !bad.contains(&one.node)).for_each(|one| self.settle(&one.node));
    }

    fn settle(&self, node: &NodeName) {
        if let Err(error) = self.store.settle(node) {
            // It costs one smoke job more.
            tracing::warn!(%node, %error, "a proof was not noted");
        }
    }
}
