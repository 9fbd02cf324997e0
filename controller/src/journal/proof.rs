//! Nodes whose labels must be earned again: one was changed, or was about to be, and no master has proved it since.

use super::{Key, StateError, Store};
use ostler_roles::words::NodeName;
use std::sync::Arc;

/// What is owed, of one site. It is written down before a node is changed, so that a run that is cut anywhere cannot lose it.
#[derive(Debug, Clone)]
pub struct ProofStore(Arc<dyn Store>);

impl ProofStore {
    /// In a site's store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// Whether this node is to be proved. What cannot be read is not known, and so is owed.
    pub fn is_owed(&self, node: &NodeName) -> bool {
        self.0.get(&Key::proofs(node)).map_or(true, |kept| kept.is_some())
    }

    /// From now on it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn owe(&self, node: &NodeName) -> Result<(), StateError> {
        self.0.swap(&Key::proofs(node), None, Some(b"owed")).map(drop)
    }

    /// No longer.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn settle(&self, node: &NodeName) -> Result<(), StateError> {
        self.0.swap(&Key::proofs(node), Some(b"owed"), None).map(drop)
    }
}
