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

/// What is to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Everything below this path, with all else on its file system: a tree has a hundred thousand files.
    Everything,
    /// The names in this directory.
    Names,
}

fn sync(part: Part, path: &Path) -> std::io::Result<()> {
    let open = fs::File::open(path)?;
    match part {
        Part::Everything => Ok(rustix::fs::syncfs(open)?),
        Part::Names => open.sync_all(),
    }
}

/// Returns the thing of that name, building it where it is missing: `build` gets the path to build at, which does not exist.
pub(crate) fn ensure(shelf: &Path, name: &str, build: impl FnOnce(&Path) -> Result<(), LabError>) -> Result<PathBuf, LabError> {
    ensure_by(shelf, name, build, &sync)
}

fn ensure_by(
    shelf: &Path,
    name: &str,
    build: impl FnOnce(&Path) -> Result<(), LabError>,
    sync: &dyn Fn(Part, &Path) -> std::io::Result<()>,
) -> Result<PathBuf, LabError> {
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
        // A name that is there is never questioned again: it must not be on the disk before what it stands for (rename(2) orders nothing).
        sync(Part::Everything, &half).map_err(LabError::file("sync", &half))?;
        fs::rename(&half, &whole).map_err(LabError::file("rename into place", &whole))?;
        sync(Part::Names, shelf).map_err(LabError::file("sync", shelf))?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_on_the_disk_before_its_name_is() {
        let (dir, seen) = (tempfile::tempdir().expect("scratch"), std::sync::Mutex::new(Vec::new()));
        let build = |half: &Path| fs::create_dir(half).map_err(LabError::file("make", half));
        let is_there = || dir.path().join("x").exists();
        let sync = |part, path: &Path| {
            seen.lock().expect("whole").push((part, path.to_owned(), is_there()));
            super::sync(part, path)
        };
        ensure_by(dir.path(), "x", build, &sync).expect("built");
        let half = dir.path().join(".x.part");
        let order = [(Part::Everything, half, false), (Part::Names, dir.path().to_owned(), true)];
        assert_eq!(seen.into_inner().expect("whole"), order);
        // What cannot be synced has no name.
        let fails = |_, _: &Path| Err(std::io::ErrorKind::StorageFull.into());
        ensure_by(dir.path(), "y", build, &fails).expect_err("not on the disk");
        assert!(!dir.path().join("y").exists());
    }

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
