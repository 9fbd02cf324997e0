//! The facts that each node told last: a catalog compiled from them travels right behind the exec.

use super::{Key, StateError, Store};
use ostler_roles::author::compile::KnownFacts;
use ostler_roles::facts::Facts;
use ostler_roles::words::NodeName;
use std::sync::Arc;

/// Last facts by node, of one site.
#[derive(Debug, Clone)]
pub struct FactStore(Arc<dyn Store>);

impl FactStore {
    /// In a site's store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// What the node told last. What cannot be read or understood counts as none: it is only a memory, written anew at the next meeting.
    pub fn get(&self, node: &NodeName) -> Option<Facts> {
        let bytes = self.0.get(&Key::facts(node)).ok()??;
        rmp_serde::from_slice(&bytes).ok()
    }

    /// Of all these nodes.
    pub fn all<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeName>) -> KnownFacts {
        nodes.into_iter().filter_map(|node| self.get(node).map(|facts| (node.clone(), facts))).collect()
    }

    /// Keeps what the node told.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, node: &NodeName, facts: &Facts) -> Result<(), StateError> {
        let key = Key::facts(node);
        let bytes = rmp_serde::to_vec_named(facts).map_err(|error| StateError::Value { key: key.clone(), why: error.to_string() })?;
        self.0.put(&key, &bytes)
    }
}
