//! The one writer of private files: nobody else may read them from birth, and they are whole or not there, also after a power cut.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How much a write is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// On the disk when the call returns.
    Yes,
    /// Whole or not at all while the machine runs; after a power cut nothing depends on it.
    No,
}

/// A file of this machine that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It could not be written.
    #[error("write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl FileError {
    /// Says of a fault that it came while this file was read.
    pub fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// Says of a fault that it came while this file was written.
    pub fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}

/// Writes a private file aside and renames it into place; directories that are missing are made, private too.
///
/// # Errors
/// When it cannot be written; what stood there before is then still there.
pub fn write(path: &Path, bytes: &[u8], durable: Durable) -> Result<()> {
    put(path, bytes, durable, &|aside| std::fs::rename(aside, path)).map(drop)
}

/// Makes a private file that is on the disk when this returns; false where there is one already, which stays.
///
/// # Errors
/// When it cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> Result<bool> {
    let made = put(path, bytes, Durable::Yes, &|aside| {
        std::fs::hard_link(aside, path)?;
        std::fs::remove_file(aside)
    });
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a file for good; none there is as well.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a directory, and those above it that are missing, for nobody else. One that is there stays as it is.
///
/// # Errors
/// When it cannot be made.
pub fn make_directory(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn put(path: &Path, bytes: &[u8], durable: Durable, place: &dyn Fn(&Path) -> Result<()>) -> Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_directory(parent)?;
    }
    let aside = aside(path);
    let written = || -> Result<()> {
        // What a killed program of the same numbers left may be a second name of the file itself.
        match std::fs::remove_file(&aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        out.write_all(bytes)?;
        // The name must not be on the disk before what it stands for (rename(2) orders nothing).
        if durable == Durable::Yes { out.sync_all() } else { Ok(()) }
    };
    written().and_then(|()| place(&aside)).inspect_err(|_| {
        // It may never have been made; the first error is the one that counts.
        let _ = std::fs::remove_file(&aside);
    })?;
    if durable == Durable::Yes { sync_parent(path) } else { Ok(()) }
}

/// Hidden, so that what a killed program leaves is nobody's file; of this process and thread alone, so that two do not mix.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{}", std::process::id(), rustix::thread::gettid().as_raw_nonzero()))
}

/// Makes a directory's entries durable.
fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_a_killed_call_left_beside_a_file_does_not_empty_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("identity");
        std::fs::write(&path, "theirs").unwrap();
        // Killed between the two steps of `create`.
        std::fs::hard_link(&path, aside(&path)).unwrap();
        assert!(!create(&path, b"ours").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "and it goes");
    }

    #[test]
    fn a_private_file_is_whole_private_and_alone_in_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/for.it/key");
        write(&path, b"one", Durable::Yes).unwrap();
        write(&path, b"two", Durable::No).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(left, ["key"]);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn what_somebody_else_made_a_moment_ago_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        assert!(create(&path, b"theirs").unwrap());
        assert!(!create(&path, b"ours").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::create_dir_all(path.join("in the way")).unwrap();
        write(&path, b"ours", Durable::Yes).unwrap_err();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
