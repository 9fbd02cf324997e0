//! Opening what is ours beneath an opened directory, and what of it is believed: owner, type and mode by the descriptor.

use crate::host::Entry;
use crate::host::acl::{self, ACL};
use crate::host::entry::EntryKind;
use rustix::fs::{Gid, Mode, OFlags, ResolveFlags, Stat, XattrFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

pub(super) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether nobody but root and us can have written there.
pub(super) fn guarded(stat: &Stat) -> io::Result<()> {
    let wrong = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if stat.st_uid != 0 && stat.st_uid != user() {
        return wrong(format!("it belongs to uid {} and is not believed", stat.st_uid));
    }
    if stat.st_mode & 0o022 != 0 {
        return wrong(format!("others may write there (mode {:04o}), so it is not believed", stat.st_mode & 0o7777));
    }
    Ok(())
}

/// Gives a directory of ours its mode, whatever an umask or an older version gave it; another's is refused.
pub(super) fn settle(directory: &OwnedFd, mode: u32) -> io::Result<()> {
    let stat = rustix::fs::fstat(directory)?;
    if stat.st_uid == user() && stat.st_mode & 0o7777 != mode {
        rustix::fs::fchmod(directory, Mode::from_raw_mode(mode))?;
    }
    guarded(&rustix::fs::fstat(directory)?)
}

/// Opens beneath a directory: no link on the way is followed, none leads out, nothing is waited for.
pub(in crate::host) fn beneath(directory: &OwnedFd, rest: &Path, flags: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
    let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
    // Nothing is read or written through an O_PATH descriptor, so there is nothing to wait for (and openat2(2) refuses the pair).
    let unwaiting = if flags.contains(OFlags::PATH) { OFlags::empty() } else { OFlags::NONBLOCK | OFlags::NOCTTY };
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | unwaiting;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(directory, rest, flags, Mode::from_raw_mode(mode), resolve) {
        // A kernel before 5.6, or a sandbox without the call: part by part. Our own places have no `..`.
        Err(Errno::NOSYS | Errno::PERM) => part_by_part(directory, rest, flags, mode),
        other => other,
    }
}

fn part_by_part(directory: &OwnedFd, rest: &Path, flags: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
    let mut here = rustix::io::fcntl_dupfd_cloexec(directory, 3)?;
    for part in rest.parent().into_iter().flat_map(Path::components) {
        let on_the_way = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        here = rustix::fs::openat(&here, part.as_os_str(), on_the_way, Mode::empty())?;
    }
    rustix::fs::openat(&here, rest.file_name().unwrap_or(OsStr::new(".")), flags, Mode::from_raw_mode(mode))
}

/// The opened file, when it is a regular one that only root or we can have written.
pub(super) fn checked(file: OwnedFd) -> io::Result<File> {
    let stat = rustix::fs::fstat(&file)?;
    guarded(&stat)?;
    match Entry::of(&stat).kind {
        EntryKind::File => Ok(File::from(file)),
        other => Err(io::Error::other(format!("it is a {}", other.word()))),
    }
}

/// Lets one account read a file of ours: by an ACL, or where there are none by a group that is its alone.
pub(super) fn readable_by(file: &File, uid: u32, alone: Option<u32>) -> io::Result<()> {
    rustix::fs::fchmod(file, Mode::RUSR)?;
    match rustix::fs::fsetxattr(file, ACL, &acl::read_by(uid), XattrFlags::empty()) {
        Err(Errno::NOTSUP | Errno::NOSYS) => by_group(file, alone),
        done => Ok(done?),
    }
}

pub(super) fn by_group(file: &File, alone: Option<u32>) -> io::Result<()> {
    let why = "its file system has no ACLs, and the account's group is not its alone";
    let group = alone.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, why))?;
    rustix::fs::fchown(file, None, Some(Gid::from_raw(group)))?;
    Ok(rustix::fs::fchmod(file, Mode::RUSR | Mode::RGRP)?)
}

/// The kernel's own path to what was opened.
pub(in crate::host) fn of_descriptor(opened: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_openat2_it_is_opened_part_by_part_and_no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("a/b")).unwrap();
        std::fs::write(directory.path().join("a/b/c"), "x").unwrap();
        std::os::unix::fs::symlink("a", directory.path().join("link")).unwrap();
        let root = rustix::fs::open(directory.path(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        assert!(part_by_part(&root, Path::new("a/b/c"), flags, 0).is_ok());
        assert!(part_by_part(&root, Path::new("."), flags, 0).is_ok());
        assert_eq!(part_by_part(&root, Path::new("link/b/c"), flags, 0).unwrap_err(), Errno::NOTDIR);
    }
}
