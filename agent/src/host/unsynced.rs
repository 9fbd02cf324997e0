//! What was written: made durable before the journal says "done". Our own files and directories each by itself, so that nobody waits for
//! what others have written beside them; whole file systems only where a program wrote, which does not tell what.

use super::{Host, Operation, OsError};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// So many are held open until they are made durable together; more are made so at once. A process has 1024 descriptors (getrlimit(2)).
const HELD: usize = 256;

/// How long a disk may take for one file, or for all that programs wrote: a slow one with much in memory takes minutes.
const PATIENCE: Duration = Duration::from_secs(900);

/// What was written to since the last time.
#[derive(Debug, Default)]
pub(super) struct Unsynced(Mutex<Writes>);

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
        Ok(())
    }

    /// Our own files and directories to be made durable, those left out whose file system is synced whole.
    fn take_own(&mut self) -> Vec<Pending> {
        let own = std::mem::take(&mut self.own);
        let alone = own.into_iter().filter(|((device, _), _)| !self.file_systems.contains_key(device));
        alone.map(|((device, _), opened)| Pending { device, opened, whole: false }).collect()
    }
}

/// Something to be made durable.
#[derive(Debug)]
struct Pending {
    device: u64,
    opened: OwnedFd,
    /// Its whole file system.
    whole: bool,
}

impl Pending {
    fn sync(&self) -> Result<(), Errno> {
        match if self.whole { rustix::fs::syncfs(&self.opened) } else { rustix::fs::fsync(&self.opened) } {
            // What has no disk behind it (fsync(2)).
            Err(Errno::INVAL | Errno::ROFS) if !self.whole => Ok(()),
            done => done,
        }
    }

    fn failed(&self, source: Errno) -> OsError {
        let place = place_of(&self.opened);
        let what = if self.whole { format!("the file system of {}", place.display()) } else { place.display().to_string() };
        OsError::new(Operation::Sync, what, source)
    }
}

/// Makes all of it durable, in a thread that may be left behind: a file system whose server or disk is gone keeps whoever waits for it, for
/// ever. It is named then, and the others are done.
fn durable(all: Vec<Pending>, sync: fn(&Pending) -> Result<(), Errno>, patience: Duration) -> Vec<OsError> {
    let all = Arc::new(all);
    let (mut failed, mut next) = (Vec::new(), 0);
    let mut silent = BTreeSet::new();
    while next < all.len() {
        if silent.contains(&all[next].device) {
            failed.push(all[next].failed(Errno::HOSTDOWN));
            next += 1;
            continue;
        }
        let (send, receive) = mpsc::channel();
        let (todo, first) = (all.clone(), next);
        let work = move || {
            for pending in &todo[first..] {
                // Nobody listens any more once it was silent for too long.
                if send.send(sync(pending)).is_err() {
                    return;
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("sync".to_owned()).spawn(work) {
            failed.push(OsError::new(Operation::Sync, "what was written", error));
            return failed;
        }
        while next < all.len() {
            match receive.recv_timeout(patience) {
                Ok(Ok(())) => {}
                Ok(Err(source)) => failed.push(all[next].failed(source)),
                Err(_) => {
                    silent.insert(all[next].device);
                    break;
                }
            }
            next += 1;
        }
    }
    failed
}

impl Host {
    fn remember(&self, what: BorrowedFd<'_>, keep: impl FnOnce(&mut Writes) -> Result<(), Errno>) {
        let mut writes = self.unsynced.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(source) = keep(&mut writes) {
            writes.lost.push(OsError::new(Operation::Sync, place_of(what).display(), source));
        }
        if writes.own.len() >= HELD {
            let all = writes.take_own();
            writes.lost.extend(self.made_durable(all, PATIENCE));
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
        self.remember(file, |writes| writes.keep(held(file)?));
    }

    /// Remembers that a program wrote somewhere below `path`; where nothing stands, or nothing can be written, nothing was.
    pub fn touched_below(&self, path: &std::path::Path) {
        if let Err(lost) = self.may_be_touched_below(path) {
            self.unsynced.0.lock().unwrap_or_else(PoisonError::into_inner).lost.push(lost);
        }
    }

    /// The same of a program that may have written there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn may_be_touched_below(&self, path: &std::path::Path) -> Result<(), OsError> {
        if let Some(Pending { device, opened, .. }) = self.whole(path)? {
            self.unsynced.0.lock().unwrap_or_else(PoisonError::into_inner).file_systems.insert(device, opened);
        }
        Ok(())
    }

    /// Makes durable at once whatever was written below `path`, for what may only be said behind that.
    ///
    /// # Errors
    /// When it cannot be, or not by then.
    pub fn sync_below(&self, path: &std::path::Path, deadline: Instant) -> Result<(), OsError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let failed = self.made_durable(self.whole(path)?.into_iter().collect(), left.min(PATIENCE));
        failed.into_iter().next().map_or(Ok(()), Err)
    }

    /// The file system below `path`; none where nothing stands, or nothing can be written.
    fn whole(&self, path: &std::path::Path) -> Result<Option<Pending>, OsError> {
        let opened = self.directory(path).and_then(|directory| {
            let read_only = rustix::fs::fstatvfs(&directory)?.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
            let device = rustix::fs::fstat(&directory)?.st_dev;
            let pending = |opened| Some(Pending { device, opened, whole: true });
            if read_only { Ok(None) } else { readable(directory.as_fd()).map(pending) }
        });
        match opened {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            opened => opened.map_err(|source| OsError::new(Operation::Sync, path.display(), source)),
        }
    }

    /// Makes durable what was written since the last time: all of it, whatever becomes of the first.
    ///
    /// # Errors
    /// Each that could not be made durable: what was written there may be lost.
    pub fn sync(&self) -> Result<(), Vec<OsError>> {
        let mut writes = std::mem::take(&mut *self.unsynced.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut all = writes.take_own();
        let whole = std::mem::take(&mut writes.file_systems).into_iter();
        all.extend(whole.map(|(device, opened)| Pending { device, opened, whole: true }));
        let mut failed = writes.lost;
        failed.extend(self.made_durable(all, PATIENCE));
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }

    /// Servers are asked first: who has died since is not waited for as long as a disk that has much to write.
    fn made_durable(&self, all: Vec<Pending>, patience: Duration) -> Vec<OsError> {
        let (answer, silent): (Vec<Pending>, Vec<Pending>) =
            all.into_iter().partition(|pending| self.answers_now(&place_of(&pending.opened)).is_ok());
        let mut failed: Vec<OsError> = silent.iter().map(|pending| pending.failed(Errno::HOSTDOWN)).collect();
        failed.extend(durable(answer, Pending::sync, patience));
        failed
    }
}

/// What is held of a file until it is durable: opened anew for reading, for nobody can start a program that somebody has open for writing
/// (execve(2), ETXTBSY). Where its own account alone may read it, the same one again.
fn held(file: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NONBLOCK;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(path, flags, rustix::fs::Mode::empty()).or_else(|_| rustix::io::fcntl_dupfd_cloexec(file, 3))
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
    fn a_program_that_was_just_written_can_be_started_before_it_is_durable() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        let (user, group) = host.default_owner();
        let script = b"#!/bin/sh\nexit 0\n";
        host.write::<OsError>(Path::new("/script"), script, crate::host::Writing { user, group, mode: 0o755 }, None).unwrap();
        let status = std::process::Command::new(tree.path().join("script")).status().unwrap();
        assert!(status.success());
        host.sync().unwrap();
    }

    #[test]
    fn a_file_system_that_never_answers_is_named_and_the_others_are_synced() {
        let tree = tempfile::tempdir().unwrap();
        let pending =
            |device| Pending { device, opened: open(tree.path(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap(), whole: false };
        let hangs = |pending: &Pending| match pending.device {
            1 => loop {
                std::thread::park();
            },
            2 => Err(Errno::IO),
            _ => Ok(()),
        };
        let failed = durable([3, 1, 3, 1, 2].map(pending).into(), hangs, Duration::from_millis(100));
        let told: Vec<bool> = failed.iter().map(OsError::is_unreachable).collect();
        assert_eq!(told, [true, true, false], "waited for once: {failed:?}");
    }

    #[test]
    fn a_server_that_died_since_it_was_written_to_is_not_waited_for() {
        let tree = tempfile::tempdir().unwrap();
        let real = tree.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join("mnt")).unwrap();
        let Some(_dead) = crate::host::tests::Dead::at(&real.join("mnt")) else { return };
        let host = Host::at(&real).unwrap().with_answer(Duration::from_millis(300));
        let written = open(real.join("mnt"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        host.unsynced.0.lock().unwrap().own.insert((9, 9), written);
        host.touched_below(Path::new("/"));
        let failed = host.sync().unwrap_err();
        assert!(failed.len() == 1 && failed[0].is_unreachable() && failed[0].subject.ends_with("/mnt"), "{failed:?}");
    }

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
            host.unsynced.0.lock().unwrap().file_systems.insert(device, unusable);
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
    fn where_nothing_can_be_written_nothing_is_synced() {
        if !crate::host::tests::proves_as_root("a file system that is mounted to be read only") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = SmallDisk::at(directory.path());
        let host = Host::at(disk.path()).unwrap();
        let count = || {
            host.touched_below(Path::new("/"));
            let writes = std::mem::take(&mut *host.unsynced.0.lock().unwrap());
            (writes.file_systems.len(), writes.lost.len())
        };
        assert_eq!(count(), (1, 0));
        let mount = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status();
        assert!(mount.unwrap().success());
        assert_eq!(count(), (0, 0));
    }

    #[test]
    fn more_than_can_be_held_open_is_made_durable_at_once() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        let (user, group) = host.default_owner();
        for number in 0..2 * HELD {
            let path = format!("/{number}");
            host.write::<OsError>(Path::new(&path), b"x", super::super::Writing { user, group, mode: 0o644 }, None).unwrap();
            assert!(host.unsynced.0.lock().unwrap().own.len() < HELD);
        }
        host.sync().unwrap();
    }
}
