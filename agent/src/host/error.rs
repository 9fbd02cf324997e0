//! What the operating system refused: which operation, on what.

use super::file_flags::unalterable;
use super::room::Room;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::words::Bytes;
use std::fmt;
use std::io;
use std::path::Path;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Opening a directory on the way.
    Open,
    /// Reading attributes.
    Look,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Making a directory.
    MakeDirectory,
    /// Making a link.
    MakeLink,
    /// Changing owner or mode.
    Own,
    /// Giving a file the attributes of the one that it replaces.
    Keep,
    /// Giving a file its name.
    Rename,
    /// Removing.
    Remove,
    /// Making it durable.
    Sync,
    /// Starting a program.
    Start,
    /// Waiting for a program.
    Wait,
    /// Talking to a service of the system.
    Ask,
    /// Setting a kernel value.
    Set,
    /// Connecting.
    Connect,
    /// Looking a name up.
    Resolve,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Look => "look at",
            Self::Read => "read",
            Self::Write => "write",
            Self::MakeDirectory => "make directory",
            Self::MakeLink => "make link",
            Self::Own => "set owner or mode of",
            Self::Keep => "keep the ACL and extended attributes of",
            Self::Rename => "put in place",
            Self::Remove => "remove",
            Self::Sync => "make durable",
            Self::Start => "start",
            Self::Wait => "wait for",
            Self::Ask => "ask",
            Self::Set => "set",
            Self::Connect => "connect to",
            Self::Resolve => "resolve",
        })
    }
}

/// Where bytes are free and names are not, df(1) shows nothing of it: its numbers; none where names are left.
fn no_inodes(path: &Path) -> Option<String> {
    let room = Room::at(path).ok().filter(|room| room.inodes > 0 && room.inodes_free == 0)?;
    Some(format!("0 of {} inodes are left there, and {} are free", room.inodes, Bytes(room.free)))
}

/// The operating system said no.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {subject}")]
pub struct OsError {
    /// What was being done.
    pub operation: Operation,
    /// To what: a path, a program.
    pub subject: String,
    /// What it said.
    pub source: io::Error,
}

impl OsError {
    /// `operation` on `subject` failed.
    pub fn new(operation: Operation, subject: impl fmt::Display, source: impl Into<io::Error>) -> Self {
        Self { operation, subject: subject.to_string(), source: source.into() }
    }

    /// Whether a file system is out of blocks, inodes or quota.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether a link on the way was not followed, or there were too many.
    pub fn is_loop(&self) -> bool {
        self.source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
    }

    fn is_of_path(&self, kind: io::ErrorKind) -> bool {
        self.source.kind() == kind && self.subject.starts_with('/')
    }

    /// What chattr(1) has forbidden, and of which path: its own, or that of the directory it stands in.
    fn unalterable(&self) -> Option<(&'static str, &Path)> {
        let is_refused = self.source.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) && self.subject.starts_with('/');
        Path::new(&self.subject).ancestors().take(2).filter(|_| is_refused).find_map(|path| Some((unalterable(path)?, path)))
    }

    /// As it is told: `kind` unless the disk is full.
    pub fn failure(&self, kind: FailureKind) -> Failure {
        let mut cause = self.source.to_string();
        let (kind, hint) = if self.is_unreachable() {
            cause = "its file system does not answer: the server or program behind it is gone".to_owned();
            (kind, Some(format!("on the node: `findmnt -T {}` names it", self.subject)))
        } else if self.is_full() {
            let there = Path::new(&self.subject).ancestors().find(|path| path.is_absolute() && path.exists());
            if let Some(said) = there.and_then(no_inodes) {
                cause = format!("{cause}: {said}");
            }
            (FailureKind::NoSpace, Some("on the node: df -h; df -i".to_owned()))
        } else if let Some((what, path)) = self.unalterable() {
            cause = format!("{} is {what}", path.display());
            (kind, Some(format!("on the node: chattr -ia {}", path.display())))
        } else if self.source.kind() == io::ErrorKind::FileTooLarge {
            (kind, Some(format!("on the node: ls -l {}; what is so large is no text: a `download` proves it by its sha256", self.subject)))
        } else if self.is_of_path(io::ErrorKind::ReadOnlyFilesystem) {
            (kind, Some(format!("on the node: findmnt -T {}; dmesg | tail", self.subject)))
        } else if self.is_of_path(io::ErrorKind::PermissionDenied) {
            (kind, Some(format!("on the node: namei -l {}", self.subject)))
        } else if self.is_loop() {
            (kind, Some("a link on the way belongs to neither root nor us and is not followed: name the real path".to_owned()))
        } else {
            (kind, None)
        };
        Failure { kind, message: format!("cannot {self}"), causes: vec![cause], command: None, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::SmallDisk;
    use crate::host::{Host, Writing};

    #[test]
    fn a_disk_without_inodes_is_told_with_its_numbers_and_loses_nothing() {
        if !crate::host::tests::proves_as_root("a disk that has no inodes left") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = SmallDisk::made(directory.path(), &["-N", "64"]);
        let file = disk.path().join("kept");
        std::fs::write(&file, "old").unwrap();
        let fillers = (0..).map(|number| disk.path().join(number.to_string())).take_while(|path| std::fs::write(path, "").is_ok());
        assert!(fillers.count() > 1);
        // The disk's real path: the numbers are asked for where it is.
        let host = Host::running().unwrap();
        let (user, group) = host.default_owner();
        let write = || host.write::<OsError>(&file, b"new", Writing { user, group, mode: 0o644 }, None);
        let failed = write().unwrap_err().failure(FailureKind::Apply);
        assert_eq!(failed.kind, FailureKind::NoSpace);
        let told = &failed.causes[0];
        assert!(
            told.starts_with("No space left on device (os error 28): 0 of 64 inodes are left there, and ") && told.ends_with(" are free"),
            "{told}"
        );
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
        std::fs::remove_file(disk.path().join("0")).unwrap();
        write().unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
    }
}
