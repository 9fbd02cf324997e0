//! Which file systems were written to: each is made durable once, before the journal says "done".

use super::{Host, Operation, OsError};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// An opened directory for each file system written to.
#[derive(Debug, Default)]
pub(super) struct Touched(Mutex<HashMap<u64, OwnedFd>>);

impl Host {
    /// Remembers that something was written in the file system of `directory`.
    pub(super) fn touch(&self, directory: impl AsFd) {
        let directory = directory.as_fd();
        let Ok(stat) = rustix::fs::fstat(directory) else { return };
        let mut touched = self.touched.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let std::collections::hash_map::Entry::Vacant(place) = touched.entry(stat.st_dev) {
            // syncfs wants a real descriptor, not an O_PATH one.
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
            if let Ok(opened) = rustix::fs::openat(directory, ".", flags, rustix::fs::Mode::empty()) {
                place.insert(opened);
            }
        }
    }

    /// Remembers that a program wrote somewhere below `path`.
    pub fn touched_below(&self, path: &std::path::Path) {
        if let Ok(directory) = self.directory(path) {
            self.touch(&directory);
        }
    }

    /// One syncfs(2) for each file system written to since the last time.
    ///
    /// # Errors
    /// When the disk says no: what was written may be lost.
    pub fn settle(&self) -> Result<(), OsError> {
        let touched = std::mem::take(&mut *self.touched.0.lock().unwrap_or_else(PoisonError::into_inner));
        for directory in touched.into_values() {
            rustix::fs::syncfs(&directory).map_err(|source| OsError::new(Operation::Sync, "the file system", source))?;
        }
        Ok(())
    }
}
