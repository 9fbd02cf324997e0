//! Values of secrets of one run: in memory only (tmpfs), one file each, gone with the run.

use super::stored::{self, Durable};
use super::{EngineError, StatePaths};
use ostler_roles::wire::message::SecretData;
use ostler_roles::words::{Digest, RunId, Secret};
use std::path::{Path, PathBuf};

/// What statfs(2) says of a tmpfs, and of a ramfs.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// Where one run's values are.
#[derive(Debug, Clone)]
pub(super) struct SecretStore {
    candidates: [PathBuf; 2],
}

fn is_in_memory(path: &Path) -> bool {
    // i64 on most architectures, i32 on some: compared as what it prints.
    #[allow(clippy::useless_conversion, reason = "the field's type differs between architectures")]
    rustix::fs::statfs(path).is_ok_and(|stat| IN_MEMORY.contains(&i64::from(stat.f_type)))
}

impl SecretStore {
    pub(super) fn of(paths: &StatePaths, run: &RunId) -> Self {
        Self { candidates: [paths.run.join(run.as_str()), paths.shm.join(run.as_str())] }
    }
    /// Writes the values and the key under which they are compared. Without any there is nothing to protect.
    pub(super) fn write(&self, key: &[u8], secrets: &[SecretData]) -> Result<(), EngineError> {
        for directory in &self.candidates {
            let made = stored::make_directory(directory, 0o700);
            if secrets.is_empty() && key.is_empty() {
                return made;
            }
            if made.is_ok() && is_in_memory(directory) {
                stored::write_bytes(&directory.join("key"), key, 0o600, Durable::No)?;
                for secret in secrets {
                    stored::write_bytes(&directory.join(secret.hmac.hex()), &secret.value.0, 0o600, Durable::No)?;
                }
                return Ok(());
            }
        }
        let [run, shm] = self.candidates.clone();
        Err(EngineError::NoTmpfs { run, shm })
    }
    /// The key; empty where none was brought.
    pub(super) fn key(&self) -> Result<Secret<Vec<u8>>, EngineError> {
        self.file("key").map(|key| Secret::new(key.unwrap_or_default()))
    }

    /// A value; none: only a controller can bring it.
    pub(super) fn value(&self, hmac: &Digest) -> Result<Option<Vec<u8>>, EngineError> {
        self.file(&hmac.hex())
    }

    fn file(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        for directory in &self.candidates {
            let path = directory.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(EngineError::read(&path)(error)),
            }
        }
        Ok(None)
    }

    /// Removes everything the run kept in memory.
    pub(super) fn remove(&self) -> Result<(), EngineError> {
        self.candidates.iter().try_for_each(|directory| stored::remove_tree(directory))
    }
}

/// Removes what other runs left in memory. Called under the run lock: they are dead.
pub(super) fn remove_others(paths: &StatePaths, run: &RunId) -> Result<(), EngineError> {
    for directory in [&paths.run, &paths.shm] {
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_name() != run.as_str()) {
            // Only directories named as runs are ours.
            if entry.file_name().to_str().is_some_and(|name| RunId::parse(name).is_ok()) {
                stored::remove_tree(&entry.path())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_there_and_cannot_be_read_is_an_error_and_not_missing() {
        let directory = tempfile::tempdir().unwrap();
        let run = RunId::parse("01234567-89ab-7cde-8f01-23456789abcd").unwrap();
        let store = SecretStore::of(&StatePaths::below(directory.path()), &run);
        let hmac = Digest::of(b"x");
        assert!(store.value(&hmac).unwrap().is_none());
        // A directory in its place reads as EISDIR.
        let place = directory.path().join("run").join(run.as_str()).join(hmac.hex());
        std::fs::create_dir_all(&place).unwrap();
        let error = store.value(&hmac).unwrap_err();
        assert!(matches!(&error, EngineError::Read { path, .. } if *path == place), "{error:?}");
    }
}
