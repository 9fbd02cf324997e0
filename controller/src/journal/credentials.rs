//! What stands for the credentials that were sent to masters last: an HMAC for each, never a value.

use super::{StateError, write_private};
use ostler_roles::words::{Digest, MasterName};
use std::path::{Path, PathBuf};

/// Fingerprints by master and credential, of one site.
#[derive(Debug, Clone)]
pub struct CredentialStore(PathBuf);

impl CredentialStore {
    /// Below a site's state directory.
    pub fn new(site_state: &Path) -> Self {
        Self(site_state.join("credentials"))
    }

    /// The fingerprint of what was sent last. A file that cannot be understood counts as none: the credential is sent once more.
    pub fn get(&self, master: &MasterName, id: &str) -> Option<Digest> {
        let text = std::fs::read_to_string(self.path(master, id)).ok()?;
        Digest::parse(text.trim()).ok()
    }

    /// Keeps the fingerprint of what was sent.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, master: &MasterName, id: &str, fingerprint: &Digest) -> Result<(), StateError> {
        write_private(&self.path(master, id), fingerprint.hex().as_bytes())
    }

    /// Ids are hashed: one may hold anything that a master takes.
    fn path(&self, master: &MasterName, id: &str) -> PathBuf {
        self.0.join(master.as_str()).join(Digest::of(id.as_bytes()).hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_fingerprint_is_kept_for_each_master_and_id_and_for_nobody_else_to_read() {
        let directory = tempfile::tempdir().unwrap();
        let store = CredentialStore::new(directory.path());
        let (one, two) = (MasterName::parse("one").unwrap(), MasterName::parse("two").unwrap());
        assert_eq!(store.get(&one, "a/../b"), None);
        store.keep(&one, "a/../b", &Digest::of(b"1")).unwrap();
        assert_eq!(store.get(&one, "a/../b"), Some(Digest::of(b"1")));
        assert_eq!((store.get(&two, "a/../b"), store.get(&one, "b")), (None, None));
        store.keep(&one, "a/../b", &Digest::of(b"2")).unwrap();
        assert_eq!(store.get(&one, "a/../b"), Some(Digest::of(b"2")));
        let mode = std::fs::metadata(store.path(&one, "a/../b")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
