//! The node's store of public contents, by digest. A stored content is hashed before it is believed, so it needs no fsync.

use super::stored::{self, Durable};
use super::{EngineError, StatePaths};
use crate::host::own::OwnPath;
use ostler_roles::words::Digest;
use std::time::SystemTime;

/// What the store is cut to when a run ends.
const KEPT: u64 = 256 * 1024 * 1024;
/// No content is larger than what is held in memory before `Go`.
const CAP: u64 = 512 * 1024 * 1024;

/// The store.
#[derive(Debug, Clone)]
pub struct BlobStore {
    directory: OwnPath,
}

impl BlobStore {
    /// The store of a node.
    pub fn of(paths: &StatePaths) -> Self {
        Self { directory: paths.blobs() }
    }
    /// A content.
    ///
    /// # Errors
    /// When it is not there, or is not what its name says (it is then removed).
    pub fn read(&self, digest: &Digest) -> std::io::Result<Vec<u8>> {
        let path = self.directory.below(&digest.hex());
        let absent = || std::io::Error::new(std::io::ErrorKind::NotFound, format!("{} is not there", path.display()));
        let bytes = path.read(CAP)?.ok_or_else(absent)?;
        if Digest::of(&bytes) == *digest {
            return Ok(bytes);
        }
        // Torn by a power cut: as good as not there.
        let _ = path.remove();
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("{} does not hold what its name says", path.display())))
    }
    /// Whether a content is there and whole.
    pub fn has(&self, digest: &Digest) -> bool {
        self.read(digest).is_ok()
    }
    pub(super) fn write(&self, digest: &Digest, bytes: &[u8]) -> Result<(), EngineError> {
        stored::write_bytes(&self.directory.below(&digest.hex()), bytes, 0o600, Durable::No)
    }
    /// Removes the oldest contents above the limit. What cannot be removed stays: the store is only a cache.
    pub(super) fn prune(&self) {
        let names = self.directory.names().unwrap_or_default();
        let mut files: Vec<(SystemTime, u64, OwnPath)> = names
            .iter()
            .filter_map(|name| {
                let path = self.directory.below(name.to_str()?);
                let (length, time) = path.length_and_time().ok()??;
                Some((time, length, path))
            })
            .collect();
        files.sort_by_key(|(time, length, _)| (*time, *length));
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= KEPT {
                break;
            }
            if path.remove().is_ok() {
                total -= length;
            }
        }
    }
}
