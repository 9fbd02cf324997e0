//! The facts that each node told last: a catalog compiled from them travels right behind the exec.

use super::{StateError, write_private};
use ostler_roles::facts::Facts;
use ostler_roles::words::NodeName;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Last facts by node, of one site.
#[derive(Debug, Clone)]
pub struct FactStore(PathBuf);

impl FactStore {
    /// Below a site's state directory.
    pub fn new(site_state: &Path) -> Self {
        Self(site_state.join("facts"))
    }

    /// What the node told last. A file that cannot be understood counts as none: it is only a memory, written anew at the next meeting.
    pub fn get(&self, node: &NodeName) -> Option<Facts> {
        let bytes = std::fs::read(self.path(node)).ok()?;
        rmp_serde::from_slice(&bytes).ok()
    }

    /// Of all these nodes.
    pub fn all<'a>(&self, nodes: impl IntoIterator<Item = &'a NodeName>) -> BTreeMap<NodeName, Facts> {
        nodes.into_iter().filter_map(|node| self.get(node).map(|facts| (node.clone(), facts))).collect()
    }

    /// Keeps what the node told; nothing is written while it is the same.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, node: &NodeName, facts: &Facts) -> Result<(), StateError> {
        if self.get(node).as_ref() == Some(facts) {
            return Ok(());
        }
        let path = self.path(node);
        let bytes = rmp_serde::to_vec_named(facts)
            .map_err(|error| StateError::Write { path: path.clone(), source: std::io::Error::other(error) })?;
        write_private(&path, &bytes)
    }

    fn path(&self, node: &NodeName) -> PathBuf {
        self.0.join(format!("{node}.facts"))
    }
}
