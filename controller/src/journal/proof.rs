//! What the site knows of its nodes' proofs. It is written down before a node is changed, so that a run that is cut anywhere cannot lose it.

use super::{Key, StateError, Store};
use crate::fleet::new_run;
use ostler_roles::ledger::Ledger;
use ostler_roles::words::{NodeName, RunId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The version of what is written and read.
const VERSION: u32 = 1;

/// The ledgers of one site, by node.
#[derive(Debug, Clone)]
pub struct ProofStore(Arc<dyn Store>);

/// A ledger as it was found: what it is compared with before another takes its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What it says; what cannot be understood says nothing, and so is owed.
    pub ledger: Ledger,
    kept: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    ledger: Ledger,
    /// Another one each time: two runs that note the same do not take each other's note for their own.
    #[serde(default)]
    written_as: Option<RunId>,
}

impl ProofStore {
    /// In a site's store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// What the site knows of a node.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn get(&self, node: &NodeName) -> Result<Seen, StateError> {
        let kept = self.0.get(&Key::proofs(node))?;
        let read = kept.as_deref().and_then(|bytes| serde_json::from_slice::<Kept>(bytes).ok()).filter(|read| read.v == VERSION);
        Ok(Seen { ledger: read.map(|read| read.ledger).unwrap_or_default(), kept })
    }

    /// Puts a ledger in the place of the one that was seen; none: somebody else was faster, and it is not what was seen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn swap(&self, node: &NodeName, seen: &Seen, ledger: Ledger) -> Result<Option<Seen>, StateError> {
        let key = Key::proofs(node);
        let bytes = serde_json::to_vec(&Kept { v: VERSION, ledger: ledger.clone(), written_as: Some(new_run()) });
        let bytes = bytes.map_err(|error| StateError::Value { key: key.clone(), why: error.to_string() })?;
        let is_swapped = self.0.swap(&key, seen.kept.as_deref(), Some(&bytes))?;
        Ok(is_swapped.then_some(Seen { ledger, kept: Some(bytes) }))
    }
}
