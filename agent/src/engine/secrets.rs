//! Values of secrets of one run: in memory only (tmpfs), in one store of ours, one file each, gone with the run.

use super::stored::{self, Durable};
use super::{EngineError, StatePaths};
use crate::host::own::{OwnDirectory, OwnPath};
use ostler_roles::wire::message::{Hidden, SecretData};
use ostler_roles::words::{Digest, RunId, Secret};

/// Longest value: what a frame can bring.
const CAP: u64 = ostler_roles::wire::frame::FRAME_CAP as u64;

/// The file with what is masked.
const MASKED: &str = "masked";

/// Where one run's values are.
#[derive(Debug, Clone)]
pub(super) struct SecretStore {
    store: OwnDirectory,
    values: OwnPath,
    /// Its cancel and its progress.
    while_running: OwnPath,
}

impl SecretStore {
    pub(super) fn of(paths: &StatePaths, run: &RunId) -> Self {
        let store = paths.secrets();
        Self { values: store.join(run.as_str()), store, while_running: paths.in_memory(run) }
    }
    /// Writes the values, the key under which they are compared, and what no output may show. Without any there is nothing to protect.
    pub(super) fn write(&self, key: &[u8], secrets: &[SecretData], masked: &[Hidden]) -> Result<(), EngineError> {
        self.while_running.make_directory(0o700).map_err(EngineError::write(&self.while_running))?;
        if secrets.is_empty() && key.is_empty() && masked.is_empty() {
            return Ok(());
        }
        if !self.store.is_in_memory() {
            return Err(EngineError::NoTmpfs { run: self.while_running.to_path_buf(), shm: self.values.to_path_buf() });
        }
        stored::write_bytes(&self.values.below("key"), key, 0o600, Durable::No)?;
        stored::write(&self.values.below(MASKED), MASKED, &masked, 0o600, Durable::No)?;
        secrets.iter().try_for_each(|secret| stored::write_bytes(&self.of_value(&secret.hmac), &secret.value.0, 0o600, Durable::No))
    }
    /// The key; empty where none was brought.
    pub(super) fn key(&self) -> Result<Secret<Vec<u8>>, EngineError> {
        file(&self.values.below("key")).map(|key| Secret::new(key.unwrap_or_default()))
    }

    /// What no output of the run may show.
    pub(super) fn masked(&self) -> Result<Vec<Hidden>, EngineError> {
        Ok(stored::read(&self.values.below(MASKED), MASKED)?.unwrap_or_default())
    }

    /// A value; none: only a controller can bring it.
    pub(super) fn value(&self, hmac: &Digest) -> Result<Option<Vec<u8>>, EngineError> {
        file(&self.of_value(hmac))
    }

    fn of_value(&self, hmac: &Digest) -> OwnPath {
        self.values.below(&hmac.hex())
    }

    /// Removes everything the run kept in memory.
    pub(super) fn remove(&self) -> Result<(), EngineError> {
        [&self.values, &self.while_running].into_iter().try_for_each(stored::remove_tree)
    }
}

fn file(path: &OwnPath) -> Result<Option<Vec<u8>>, EngineError> {
    path.read(CAP).map_err(EngineError::read(path))
}

/// Removes what other runs left in memory. Called under the run lock: they are dead.
pub(super) fn remove_others(paths: &StatePaths, run: &RunId) -> Result<(), EngineError> {
    let store = paths.secrets();
    for directory in [paths.while_running(), store] {
        let names = directory.prepare().and_then(|()| directory.names()).map_err(EngineError::write(directory.path()))?;
        // Only directories named as runs are ours.
        let runs = names.iter().filter_map(|name| name.to_str()).filter(|name| *name != run.as_str() && RunId::parse(name).is_ok());
        for name in runs {
            stored::remove_tree(&directory.join(name))?;
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
        // A directory in its place is no value.
        let place = store.of_value(&hmac).to_path_buf();
        std::fs::create_dir_all(&place).unwrap();
        let error = store.value(&hmac).unwrap_err();
        assert!(matches!(&error, EngineError::Read { path, .. } if *path == place), "{error:?}");
    }
}
