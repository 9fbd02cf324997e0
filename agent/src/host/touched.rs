//! What was written: made durable before the journal says "done". Our own files and directories each by itself, so that nobody waits for
//! what others have written beside them; whole file systems only where a program wrote, which does not tell what.

use super::{Host, Operation, OsError};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// So many are held open until they are made durable together; more are made so at once. A process has 1024 descriptors (getrlimit(2)).
const HELD: usize = 256;

/// What was written to since the last time.
#[derive(Debug, Default)]
pub(super) struct Touched(Mutex<Writes>);

#[derive(Debug, Default)]
struct Writes {
    /// Files that we wrote, and directories in which we made or removed names; by file system and number.
    own: BTreeMap<(u64, u64), OwnedFd>,
    /// An opened directory of each file system in which a program wrote.
    file_systems: HashMap<u64, OwnedFd>,
    /// What cannot be made durable.
    lost: Vec<OsError>,
}

impl Writes {
    fn keep(&mut self, opened: OwnedFd) -> Result<(), Errno> {
        let stat = rustix::fs::fstat(&opened)?;
        self.own.insert((stat.st_dev, stat.st_ino), opened);
        if self.own.len() >= HELD {
            self.sync_own();
        }
        Ok(())
    }

    fn sync_own(&mut self) {
        for ((device, _), opened) in std::mem::take(&mut self.own) {
            // Its file system is synced whole.
            if self.file_systems.contains_key(&device) {
                continue;
            }
            match rustix::fs::fsync(&opened) {
                // What has no disk behind it (fsync(2)).
                Ok(()) | Err(Errno::INVAL | Errno::ROFS) => {}
                Err(source) => self.lost.push(OsError::new(Operation::Sync, place_of(opened.as_fd()).display(), source)),
            }
        }
    }
}

impl Host {
    fn remember(&self, what: BorrowedFd<'_>, keep: impl FnOnce(&mut Writes) -> Result<(), Errno>) {
        let mut writes = self.touched.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(source) = keep(&mut writes) {
            writes.lost.push(OsError::new(Operation::Sync, place_of(what).display(), source));
        }
    }

    /// Remembers that a name was made or removed in `directory`.
    pub(super) fn touch(&self, directory: impl AsFd) {
        let directory = directory.as_fd();
        self.remember(directory, |writes| writes.keep(readable(directory)?));
    }

    /// Remembers that we wrote the bytes, the owner or the mode of an opened file or directory.
    pub(super) fn wrote(&self, file: impl AsFd) {
        let file = file.as_fd();
        self.remember(file, |writes| writes.keep(rustix::io::fcntl_dupfd_cloexec(file, 3)?));
    }

    /// Remembers that a program wrote somewhere below `path`; where nothing stands, nothing was written.
    pub fn touched_below(&self, path: &std::path::Path) {
        match self.directory(path) {
            Ok(directory) => self.remember(directory.as_fd(), |writes| {
                let stat = rustix::fs::fstat(&directory)?;
                writes.file_systems.insert(stat.st_dev, readable(directory.as_fd())?);
                Ok(())
            }),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(source) => {
                let lost = OsError::new(Operation::Sync, path.display(), source);
                self.touched.0.lock().unwrap_or_else(PoisonError::into_inner).lost.push(lost);
            }
        }
    }

    /// Makes durable what was written since the last time: all of it, whatever becomes of the first.
    ///
    /// # Errors
    /// Each that could not be made durable: what was written there may be lost.
    pub fn sync(&self) -> Result<(), Vec<OsError>> {
        let mut writes = std::mem::take(&mut *self.touched.0.lock().unwrap_or_else(PoisonError::into_inner));
        writes.sync_own();
        let mut failed = writes.lost;
        for directory in writes.file_systems.into_values() {
            if let Err(source) = rustix::fs::syncfs(&directory) {
                let place = place_of(directory.as_fd());
                failed.push(OsError::new(Operation::Sync, format_args!("the file system of {}", place.display()), source));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }
}

/// A directory opened anew: fsync and syncfs want a real descriptor, not an O_PATH one.
fn readable(directory: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::openat(directory, ".", flags, rustix::fs::Mode::empty())
}

/// Where an opened directory stands, for people.
pub(super) fn place_of(directory: impl AsFd) -> PathBuf {
    let link = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
    std::fs::read_link(link).unwrap_or_else(|_| "a directory".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::{SmallDisk, as_nobody};
    use rustix::fs::{Mode, OFlags, open};
    use std::path::Path;

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

    /// Bytes that the kernel has written to the disk behind this directory.
    fn written(directory: &Path) -> u64 {
        let device = rustix::fs::stat(directory).unwrap().st_dev;
        let place = format!("/sys/dev/block/{}:{}/stat", rustix::fs::major(device), rustix::fs::minor(device));
        // Field 7 counts sectors of 512 bytes (Documentation/block/stat.rst).
        std::fs::read_to_string(place).unwrap().split_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * 512
    }

    #[test]
    fn what_others_have_written_beside_our_files_is_not_waited_for() {
        if !crate::host::tests::proves_as_root("what others have written is not synced with our files") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = SmallDisk::at(directory.path());
        for place in [directory.path(), disk.path()] {
            std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        }
        let host = Host::at(disk.path()).unwrap();
        rustix::fs::sync();
        let before = written(disk.path());
        assert!(as_nobody(disk.path(), "head -c 16777216 /dev/zero > flood"));
        let writing = super::super::Writing { user: 0, group: 0, mode: 0o644 };
        host.write::<OsError>(Path::new("/ours"), b"bytes", writing, None).unwrap();
        host.make_directory(Path::new("/made"), writing).unwrap();
        host.sync().unwrap();
        let ours = written(disk.path()) - before;
        assert!((1..8 << 20).contains(&ours), "{ours} bytes were written");
        // A program wrote: nobody knows what.
        host.touched_below(Path::new("/"));
        host.sync().unwrap();
        assert!(written(disk.path()) - before >= 16 << 20);
    }

    #[test]
    fn more_than_can_be_held_open_is_made_durable_at_once() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        let (user, group) = host.default_owner();
        for number in 0..2 * HELD {
            let path = format!("/{number}");
            host.write::<OsError>(Path::new(&path), b"x", super::super::Writing { user, group, mode: 0o644 }, None).unwrap();
            assert!(host.touched.0.lock().unwrap().own.len() < HELD);
        }
        host.sync().unwrap();
    }
}
