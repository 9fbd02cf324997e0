//! The only door to the operating system: files, accounts, children, names, systemd.

pub mod account;
pub mod accounts;
mod acl;
mod attributes;
pub mod child;
pub mod dbus;
pub mod deadline;
mod directories;
mod entry;
mod error;
mod file_flags;
pub mod git;
pub mod http;
pub mod mounts;
pub mod own;
mod place;
pub mod processes;
mod remote_mounts;
pub mod resolve;
mod rights;
mod rivals;
mod room;
mod trusted;
mod unsynced;
mod write;

pub use acl::Member;
pub use attributes::Writing;
pub use entry::{Entry, EntryKind};
pub use error::{Operation, OsError};
#[cfg(test)]
pub(crate) use remote_mounts::tests;
pub use rights::Right;
pub use rivals::Rival;
pub use trusted::WorkingDirectory;
pub use write::{Proof, aside_path};

use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A node's root tree. `/` in production; a directory in tests.
#[derive(Debug)]
pub struct Host {
    root: OwnedFd,
    prefix: PathBuf,
    unsynced: unsynced::Unsynced,
    remote_mounts: Arc<remote_mounts::RemoteMounts>,
    user: u32,
    group: u32,
    /// What replaced files had and their new ones have not: sentences for people.
    lost: std::sync::Mutex<Vec<String>>,
}

impl Host {
    /// The running system.
    ///
    /// # Errors
    /// When `/` cannot be opened.
    pub fn running() -> Result<Self, OsError> {
        Self::at(Path::new("/"))
    }

    /// The tree below `prefix`: every path is looked up in it, absolute links too.
    ///
    /// # Errors
    /// When it is no directory that we may open.
    pub fn at(prefix: &Path) -> Result<Self, OsError> {
        let root = rustix::fs::open(prefix, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|source| OsError::new(Operation::Open, prefix.display(), source))?;
        Ok(Self {
            root,
            prefix: prefix.to_owned(),
            unsynced: unsynced::Unsynced::default(),
            remote_mounts: Arc::default(),
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            lost: std::sync::Mutex::default(),
        })
    }

    /// The same tree for a thread that may be left behind; which file systems answer is asked once for both.
    ///
    /// # Errors
    /// When its root cannot be opened any more.
    pub fn again(&self) -> Result<Self, OsError> {
        Ok(Self { remote_mounts: self.remote_mounts.clone(), ..Self::at(&self.prefix)? })
    }

    /// Whether this is the running system and not a tree beside it.
    pub fn is_running(&self) -> bool {
        self.prefix == Path::new("/")
    }
    /// Whether we may change owners.
    pub fn is_root(&self) -> bool {
        self.user == 0
    }
    /// Where `path` stands for programs that know nothing of the tree.
    pub fn outside(&self, path: &Path) -> PathBuf {
        self.prefix.join(path.strip_prefix("/").unwrap_or(path))
    }
    /// The owner and group of what no role owns: root's; our own where we are not root (tests).
    pub fn default_owner(&self) -> (u32, u32) {
        (self.user, self.group)
    }
}
