//! What tells one state of a file from another without reading it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// One state of a file. Two that are written within one tick of the file system's clock, with the same length, may have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// Of its content and of its inode, in seconds and nanoseconds.
    changed: [i64; 4],
    access: [u32; 3],
}

impl Stamp {
    /// Asks for a file's; a link's is that of the file behind it.
    ///
    /// # Errors
    /// There is no such file, or it cannot be asked for.
    pub fn of(file: &Path) -> io::Result<Self> {
        std::fs::metadata(file).map(|found| Self::from(&found))
    }

    /// Its mode, owner and group.
    pub fn access(&self) -> [u32; 3] {
        self.access
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        let changed = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        let access = [found.mode(), found.uid(), found.gid()];
        Self { device: found.dev(), inode: found.ino(), length: found.len(), changed, access }
    }
}
