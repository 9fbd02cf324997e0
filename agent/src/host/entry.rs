//! What stands at a path, as the kernel describes it.

use rustix::fs::{FileType, Stat};

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
    /// How many names it has (hard links).
    pub names: u64,
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
            names: stat.st_nlink,
            device: stat.st_dev,
            inode: stat.st_ino,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}
