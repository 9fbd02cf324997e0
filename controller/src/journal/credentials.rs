//! What stands for the credentials that were sent to masters last: an HMAC for each, never a value.

use super::{Key, StateError, Store};
use ostler_roles::words::{Digest, MasterName};
use std::sync::Arc;

/// Fingerprints by master and credential, of one site.
#[derive(Debug, Clone)]
pub struct CredentialStore(Arc<dyn Store>);

impl CredentialStore {
    /// In a site's store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    /// The fingerprint of what was sent last. What cannot be read or understood counts as none: the credential is sent once more.
    pub fn get(&self, master: &MasterName, id: &str) -> Option<Digest> {
        let bytes = self.0.get(&Key::credential(master, id)).ok()??;
        Digest::parse(std::str::from_utf8(&bytes).ok()?.trim()).ok()
    }

    /// Keeps the fingerprint of what was sent.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, master: &MasterName, id: &str, fingerprint: &Digest) -> Result<(), StateError> {
        self.0.put(&Key::credential(master, id), fingerprint.hex().as_bytes())
    }
}
