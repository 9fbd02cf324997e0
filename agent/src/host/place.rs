//! Looking paths up without being led astray: a link on the way is followed only when root or we made it.

use super::{Host, Operation, OsError};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// The kernel's limit of links on one way (path_resolution(7)).
const LINKS: usize = 40;

/// What stands at a path; a link at its end is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its type.
    pub kind: EntryKind,
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes.
    pub length: u64,
    /// The file system's number.
    pub device: u64,
    /// Number in the file system.
    pub inode: u64,
    /// Last change of its bytes: seconds since 1970 and nanoseconds.
    pub modified: (i64, u64),
    /// Last change of anything: seconds since 1970 and nanoseconds.
    pub changed: (i64, u64),
}

/// Types of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else.
    Special(&'static str),
}

impl EntryKind {
    /// Its word, as in `/etc/motd is a directory`.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "symbolic link",
            Self::Special(word) => word,
        }
    }
}

impl Entry {
    pub(super) fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Directory,
            FileType::Symlink => EntryKind::Link,
            FileType::Fifo => EntryKind::Special("named pipe"),
            FileType::Socket => EntryKind::Special("socket"),
            FileType::CharacterDevice => EntryKind::Special("character device"),
            FileType::BlockDevice => EntryKind::Special("block device"),
            FileType::Unknown => EntryKind::Special("thing of unknown type"),
        };
        Self {
            kind,
            user: stat.st_uid,
            group: stat.st_gid,
            mode: stat.st_mode & 0o7777,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            device: stat.st_dev,
            inode: stat.st_ino,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

impl Host {
    /// What stands at `path`; none: nothing, or a directory on the way is missing.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn look(&self, path: &Path) -> Result<Option<Entry>, OsError> {
        let found = self.place(path).and_then(|(parent, name)| rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(stat) => Ok(Some(Entry::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(OsError::new(Operation::Look, path.display(), source)),
        }
    }

    /// Opens a regular file for reading; none: no such file.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub fn open(&self, path: &Path) -> Result<Option<(File, Entry)>, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Read, path.display(), source);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        match self.place(path).and_then(|(parent, name)| rustix::fs::openat(&parent, &name, flags, Mode::empty())) {
            Ok(file) => {
                let entry = Entry::of(&rustix::fs::fstat(&file).map_err(fail)?);
                match entry.kind {
                    EntryKind::File => Ok(Some((File::from(file), entry))),
                    EntryKind::Directory => Err(fail(Errno::ISDIR)),
                    EntryKind::Link | EntryKind::Special(_) => Err(fail(Errno::INVAL)),
                }
            }
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(fail(source)),
        }
    }

    /// The bytes of a regular file, at most `cap` of them; none: no such file.
    ///
    /// # Errors
    /// When it cannot be read, or is longer.
    pub fn read(&self, path: &Path, cap: u64) -> Result<Option<Vec<u8>>, OsError> {
        let Some((file, entry)) = self.open(path)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(usize::try_from(entry.length.min(cap)).unwrap_or(0) + 1);
        file.take(cap + 1).read_to_end(&mut bytes).map_err(|source| OsError::new(Operation::Read, path.display(), source))?;
        if bytes.len() as u64 > cap {
            return Err(OsError::new(Operation::Read, path.display(), std::io::Error::from(std::io::ErrorKind::FileTooLarge)));
        }
        Ok(Some(bytes))
    }

    /// What stands at `path` once a link at its end is followed, whoever made it: only to look.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn look_through(&self, path: &Path) -> Result<Option<Entry>, OsError> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            match self.look(&path)? {
                Some(entry) if entry.kind == EntryKind::Link => {
                    let target = self.read_link(&path)?.unwrap_or_default();
                    path = path.parent().unwrap_or(Path::new("/")).join(target);
                }
                found => return Ok(found),
            }
        }
        Err(OsError::new(Operation::Look, path.display(), Errno::LOOP))
    }

    /// Like `read`, and a link at the end is followed when root or we made it: os-release(5), resolv.conf(5).
    ///
    /// # Errors
    /// When it cannot be read, or is longer.
    pub fn read_through(&self, path: &Path, cap: u64) -> Result<Option<Vec<u8>>, OsError> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            match self.look(&path)? {
                Some(entry) if entry.kind == EntryKind::Link && (entry.user == 0 || entry.user == self.user) => {
                    let target = self.read_link(&path)?.unwrap_or_default();
                    path = path.parent().unwrap_or(Path::new("/")).join(target);
                }
                Some(_) | None => break,
            }
        }
        self.read(&path, cap)
    }

    /// What a symbolic link points to, as written; none: nothing there.
    ///
    /// # Errors
    /// When it is no link, or cannot be read.
    pub fn read_link(&self, path: &Path) -> Result<Option<PathBuf>, OsError> {
        match self.place(path).and_then(|(parent, name)| rustix::fs::readlinkat(&parent, &name, Vec::new())) {
            Ok(target) => Ok(Some(PathBuf::from(OsStr::from_bytes(target.as_bytes())))),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(OsError::new(Operation::Read, path.display(), source)),
        }
    }

    /// The names in a directory, sorted; none: no such directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn list(&self, path: &Path) -> Result<Option<Vec<OsString>>, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Read, path.display(), source);
        let opened = self
            .directory(path)
            .and_then(|directory| rustix::fs::openat(&directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()));
        let directory = match opened {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(None),
            Err(source) => return Err(fail(source)),
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(Some(names))
    }

    /// The opened directory that holds `path`, and its last part.
    pub(super) fn place(&self, path: &Path) -> Result<(OwnedFd, OsString), Errno> {
        let name = path.file_name().unwrap_or(OsStr::new("."));
        let parent = path.parent().unwrap_or(Path::new("/"));
        Ok((self.directory(parent)?, name.to_owned()))
    }

    /// The opened directory `path` (O_PATH): by one call where no link is on the way.
    pub(super) fn directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::BENEATH;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.root, inside, flags, Mode::empty(), resolve) {
            // A link on the way, or a kernel before 5.6, or a sandbox without the call.
            Err(Errno::LOOP | Errno::NOSYS | Errno::PERM | Errno::XDEV) => self.walk(inside),
            other => other,
        }
    }

    /// Part by part; a link is followed only when root or we own it, so that no other account can lead us.
    fn walk(&self, inside: &Path) -> Result<OwnedFd, Errno> {
        let mut ahead: Vec<OsString> = parts(inside);
        let mut way = vec![self.root.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?];
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(here) = way.last() else { return Err(Errno::NOENT) };
            let next = rustix::fs::openat(here, &part, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            let entry = Entry::of(&rustix::fs::fstat(&next)?);
            match entry.kind {
                EntryKind::Directory => way.push(next),
                EntryKind::Link => {
                    links += 1;
                    if links > LINKS || (entry.user != 0 && entry.user != self.user) {
                        return Err(Errno::LOOP);
                    }
                    let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
                    let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                    if target.is_absolute() {
                        way.truncate(1);
                    }
                    ahead.extend(parts(target));
                }
                EntryKind::File | EntryKind::Special(_) => return Err(Errno::NOTDIR),
            }
        }
        way.pop().ok_or(Errno::NOENT)
    }
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect::<Vec<_>>().into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        (tree, host)
    }

    #[test]
    fn absolute_links_stay_inside_the_tree() {
        let (tree, host) = tree();
        std::fs::create_dir_all(tree.path().join("run/x")).unwrap();
        std::fs::create_dir_all(tree.path().join("var")).unwrap();
        std::os::unix::fs::symlink("/run", tree.path().join("var/run")).unwrap();
        std::fs::write(tree.path().join("run/x/f"), "inside").unwrap();
        assert_eq!(host.read(Path::new("/var/run/x/f"), 100).unwrap().unwrap(), b"inside");
        std::os::unix::fs::symlink("../../../../../../run", tree.path().join("var/up")).unwrap();
        assert_eq!(host.read(Path::new("/var/up/x/f"), 100).unwrap().unwrap(), b"inside");
    }

    #[test]
    fn a_link_of_another_account_is_not_followed() {
        let (tree, host) = tree();
        if !host.is_root() {
            return;
        }
        std::fs::create_dir_all(tree.path().join("etc")).unwrap();
        let link = tree.path().join("home");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        assert!(host.look(Path::new("/home/passwd")).unwrap().is_none());
        std::os::unix::fs::lchown(&link, Some(4242), Some(4242)).unwrap();
        let error = host.look(Path::new("/home/passwd")).unwrap_err();
        assert!(error.is_loop(), "{error:?}");
    }

    #[test]
    fn a_loop_of_links_ends() {
        let (tree, host) = tree();
        std::os::unix::fs::symlink("b", tree.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", tree.path().join("b")).unwrap();
        assert!(host.look(Path::new("/a/x")).unwrap_err().is_loop());
    }

    #[test]
    fn too_long_a_file_is_an_error_and_not_cut() {
        let (tree, host) = tree();
        std::fs::write(tree.path().join("f"), "12345").unwrap();
        assert_eq!(host.read(Path::new("/f"), 5).unwrap().unwrap(), b"12345");
        assert_eq!(host.read(Path::new("/f"), 4).unwrap_err().source.kind(), std::io::ErrorKind::FileTooLarge);
        assert_eq!(host.read(Path::new("/none/f"), 4).unwrap(), None);
    }
}
