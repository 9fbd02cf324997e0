//! The node's store of public contents, by digest. A stored content is hashed before it is believed, so it needs no fsync.

use super::stored::{self, Durable};
use super::{EngineError, StatePaths};
use ostler_roles::words::Digest;
use std::path::PathBuf;
use std::time::SystemTime;

/// What the store is cut to when a run ends.
const KEPT: u64 = 256 * 1024 * 1024;

/// The store.
#[derive(Debug, Clone)]
pub struct BlobStore {
    directory: PathBuf,
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
        let path = self.directory.join(digest.hex());
        let bytes = std::fs::read(&path)?;
        if Digest::of(&bytes) == *digest {
            return Ok(bytes);
        }
        // Torn by a power cut: as good as not there.
        let _ = std::fs::remove_file(&path);
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("{} does not hold what its name says", path.display())))
    }
    /// Whether a content is there and whole.
    pub fn has(&self, digest: &Digest) -> bool {
        self.directory.join(digest.hex()).exists() && self.read(digest).is_ok()
    }
    pub(super) fn write(&self, digest: &Digest, bytes: &[u8]) -> Result<(), EngineError> {
        stored::make_directory(&self.directory, 0o700)?;
        stored::write_bytes(&self.directory.join(digest.hex()), bytes, 0o600, Durable::No)
    }
    /// Removes the oldest contents above the limit. What cannot be removed stays: the store is only a cache.
    pub(super) fn prune(&self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (_, length, path) in files {
            if total <= KEPT {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                total -= length;
            }
        }
    }
}
