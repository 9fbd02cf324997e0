//! Removal of trees: by open directories, never through a link, never into another file system.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// How a directory of a tree is opened: the directory itself, never what a link leads to.
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a file or a tree; none there is as well.
///
/// # Errors
/// What is there still, and why: also where another file system is mounted below it, which stays as it is.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = match rustix::fs::openat(CWD, parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    remove_at(parent.as_fd(), path.file_name().unwrap_or_default())
}

/// Removes a file or a tree of a directory that is open; none there is as well.
///
/// # Errors
/// As [`remove`].
pub(crate) fn remove_at(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let device = rustix::fs::fstat(parent)?.st_dev;
    below(parent, name, device)
}

fn below(parent: BorrowedFd<'_>, name: &OsStr, device: u64) -> io::Result<()> {
    let directory = match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Ok(directory) => directory,
        Err(Errno::NOTDIR | Errno::LOOP) => return gone(rustix::fs::unlinkat(parent, name, AtFlags::empty())),
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if rustix::fs::fstat(&directory)?.st_dev != device {
        return Err(Errno::XDEV.into());
    }
    empty(&directory, device)?;
    gone(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR))
}

fn empty(directory: &OwnedFd, device: u64) -> io::Result<()> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        match entry.file_type() {
            _ if name == "." || name == ".." => {}
            FileType::Directory | FileType::Unknown => below(directory.as_fd(), name, device)?,
            _ => gone(rustix::fs::unlinkat(directory, name, AtFlags::empty()))?,
        }
    }
    Ok(())
}

/// What another one has removed meanwhile is gone too.
fn gone(removed: rustix::io::Result<()>) -> io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        removed => Ok(removed?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_goes_and_what_its_links_lead_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, other) = (dir.path().join("tree"), dir.path().join("other"));
        std::fs::create_dir_all(tree.join("a/b/c")).unwrap();
        std::fs::create_dir_all(&other).unwrap();
        std::fs::write(tree.join("a/file"), "x").unwrap();
        std::fs::write(other.join("kept"), "x").unwrap();
        for at in [tree.join("link"), tree.join("a/b/link")] {
            std::os::unix::fs::symlink(&other, at).unwrap();
        }
        remove(&tree).unwrap();
        assert!(!tree.exists() && other.join("kept").exists());
        remove(&tree).unwrap();
        remove(&dir.path().join("no/such")).unwrap();
        // A link itself goes, not what it leads to.
        std::os::unix::fs::symlink(&other, &tree).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.is_symlink() && other.join("kept").exists());
    }
}
