//! Nodes whose labels must be earned again: one was changed, or was about to be, and no master has proved it since.

use super::{StateError, write_private};
use ostler_roles::words::NodeName;
use std::path::{Path, PathBuf};

/// What is owed, of one site. It is written down before a node is changed, so that a run that is cut anywhere cannot lose it.
#[derive(Debug, Clone)]
pub struct ProofStore(PathBuf);

impl ProofStore {
    /// Below a site's state directory.
    pub fn new(site_state: &Path) -> Self {
        Self(site_state.join("unproved"))
    }

    /// Whether this node is to be proved.
    pub fn is_owed(&self, node: &NodeName) -> bool {
        self.path(node).exists()
    }

    /// From now on it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn owe(&self, node: &NodeName) -> Result<(), StateError> {
        write_private(&self.path(node), b"")
    }

    /// No longer.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn settle(&self, node: &NodeName) -> Result<(), StateError> {
        let path = self.path(node);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(StateError::Write { path, source }),
            _ => Ok(()),
        }
    }

    fn path(&self, node: &NodeName) -> PathBuf {
        self.0.join(format!("{node}.owed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_owed_until_it_is_settled() {
        let directory = tempfile::tempdir().unwrap();
        let store = ProofStore::new(directory.path());
        let (one, other) = (NodeName::parse("n1").unwrap(), NodeName::parse("n2").unwrap());
        store.settle(&one).unwrap();
        store.owe(&one).unwrap();
        store.owe(&one).unwrap();
        assert_eq!((store.is_owed(&one), store.is_owed(&other)), (true, false));
        store.settle(&one).unwrap();
        assert!(!store.is_owed(&one));
    }
}
