//! What is built once: named by a digest of its ingredients, renamed into place when whole, never changed afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use super::child::run;
use super::error::LabError;

/// Everything that goes into one thing of the cache.
#[derive(Default)]
pub(crate) struct CacheKey(Sha256);

impl CacheKey {
    /// Adds one ingredient.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    /// Returns the name of what they make.
    pub(crate) fn name(self, start: &str) -> String {
        let digest: String = self.0.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{start}-{digest}")
    }
}

/// Returns the thing of that name, building it where it is missing: `build` gets the path to build at, which does not exist.
pub(crate) fn ensure(shelf: &Path, name: &str, build: impl FnOnce(&Path) -> Result<(), LabError>) -> Result<PathBuf, LabError> {
    fs::create_dir_all(shelf).map_err(LabError::file("create directory", shelf))?;
    let whole = shelf.join(name);
    if whole.is_dir() {
        return Ok(whole);
    }
    // One builder each; who waited finds it ready.
    let lock_path = shelf.join(format!(".{name}.lock"));
    let lock = fs::File::create(&lock_path).map_err(LabError::file("create", &lock_path))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| LabError::file("lock", &lock_path)(error.into()))?;
    if !whole.is_dir() {
        let half = shelf.join(format!(".{name}.part"));
        // A builder killed in the middle may have left mounts below: never cross into another file system.
        run(Command::new("rm").args(["-rf", "--one-file-system", "--"]).arg(&half))?;
        build(&half)?;
        fs::rename(&half, &whole).map_err(LabError::file("rename into place", &whole))?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_built_thing_is_never_used_and_a_whole_one_is_never_built_again() {
        let dir = tempfile::tempdir().expect("scratch");
        let failed = ensure(dir.path(), "x", |half| {
            fs::create_dir(half).expect("made");
            Err(LabError::Spec("cut short".into()))
        });
        assert!(failed.is_err() && !dir.path().join("x").exists());
        let built = ensure(dir.path(), "x", |half| {
            assert!(!half.exists(), "what was left is gone");
            fs::create_dir(half).map_err(LabError::file("make", half))
        });
        assert_eq!(built.expect("built"), dir.path().join("x"));
        ensure(dir.path(), "x", |_| Err(LabError::Spec("never".into()))).expect("there already");
    }
}
