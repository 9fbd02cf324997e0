//! The room of a file system, as the kernel tells it.

use rustix::io::Errno;
use std::path::Path;

/// The room of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Size in bytes, as df(1) shows it.
    pub size: u64,
    /// Free for an ordinary account.
    pub free: u64,
    /// Inodes; 0 where there is no such number.
    pub inodes: u64,
    /// Free inodes for an ordinary account.
    pub inodes_free: u64,
}

impl Room {
    /// Of the file system at `path`.
    pub(super) fn at(path: &Path) -> Result<Self, Errno> {
        let stat = rustix::fs::statvfs(path)?;
        let unit = stat.f_frsize;
        Ok(Self {
            size: stat.f_blocks.saturating_mul(unit),
            free: stat.f_bavail.saturating_mul(unit),
            inodes: stat.f_files,
            inodes_free: stat.f_favail,
        })
    }
}
