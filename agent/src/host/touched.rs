//! Which file systems were written to: each is made durable once, before the journal says "done".

use super::{Host, Operation, OsError};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What was written to since the last time.
#[derive(Debug, Default)]
pub(super) struct Touched(Mutex<Writes>);

#[derive(Debug, Default)]
struct Writes {
    /// An opened directory for each file system.
    file_systems: HashMap<u64, OwnedFd>,
    /// Directories that could not be opened for it: what was written there cannot be made durable.
    lost: Vec<OsError>,
}

impl Host {
    /// Remembers that something was written in the file system of `directory`.
    pub(super) fn touch(&self, directory: impl AsFd) {
        let directory = directory.as_fd();
        let mut writes = self.touched.0.lock().unwrap_or_else(PoisonError::into_inner);
        // syncfs wants a real descriptor, not an O_PATH one.
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        let opened = rustix::fs::fstat(directory).and_then(|stat| {
            if let Entry::Vacant(place) = writes.file_systems.entry(stat.st_dev) {
                place.insert(rustix::fs::openat(directory, ".", flags, rustix::fs::Mode::empty())?);
            }
            Ok(())
        });
        if let Err(source) = opened {
            writes.lost.push(OsError::new(Operation::Sync, place_of(directory).display(), source));
        }
    }

    /// Remembers that a program wrote somewhere below `path`; where nothing stands, nothing was written.
    pub fn touched_below(&self, path: &std::path::Path) {
        match self.directory(path) {
            Ok(directory) => self.touch(&directory),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(source) => {
                let lost = OsError::new(Operation::Sync, path.display(), source);
                self.touched.0.lock().unwrap_or_else(PoisonError::into_inner).lost.push(lost);
            }
        }
    }

    /// One syncfs(2) for each file system written to since the last time: all of them, whatever becomes of the first.
    ///
    /// # Errors
    /// Each that could not be made durable: what was written there may be lost.
    pub fn sync(&self) -> Result<(), Vec<OsError>> {
        let writes = std::mem::take(&mut *self.touched.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failed = writes.lost;
        for directory in writes.file_systems.into_values() {
            if let Err(source) = rustix::fs::syncfs(&directory) {
                failed.push(OsError::new(
                    Operation::Sync,
                    format_args!("the file system of {}", place_of(directory.as_fd()).display()),
                    source,
                ));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }
}

/// Where an opened directory stands, for people.
pub(super) fn place_of(directory: impl AsFd) -> PathBuf {
    let link = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
    std::fs::read_link(link).unwrap_or_else(|_| "a directory".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, open};

    #[test]
    fn every_file_system_is_synced_and_each_that_cannot_be_is_told() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        host.touched_below(std::path::Path::new("/"));
        assert!(host.sync().is_ok());
        // What syncfs(2) refuses with EBADF.
        for (device, name) in [(1, "one"), (2, "two")] {
            std::fs::create_dir(tree.path().join(name)).unwrap();
            let unusable = open(tree.path().join(name), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
            host.touched.0.lock().unwrap().file_systems.insert(device, unusable);
        }
        // No directory: it cannot be opened as one.
        host.touch(std::fs::File::create(tree.path().join("file")).unwrap());
        let mut told: Vec<String> = host.sync().unwrap_err().iter().map(|error| format!("{error}: {}", error.source)).collect();
        told.sort();
        let ends = |text: &str, end: &str| text.starts_with("make durable ") && text.ends_with(end);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(ends(&told[0], "/file: Not a directory (os error 20)"), "{told:?}");
        assert!(
            ends(&told[1], "/one: Bad file descriptor (os error 9)") && ends(&told[2], "/two: Bad file descriptor (os error 9)"),
            "{told:?}"
        );
        assert!(host.sync().is_ok(), "told once");
    }
}
