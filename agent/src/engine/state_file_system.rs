//! The file system that our state lies in, and what is free on it.

use super::StatePaths;
use crate::host::mounts::{self, Mount};
use crate::host::own::OwnPath;
use ostler_roles::words::Bytes;
use std::path::PathBuf;

/// The file system that our state lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFileSystem {
    /// Where our state is.
    pub(super) path: PathBuf,
    /// The mount that holds it.
    pub(super) mount: String,
    /// For root.
    pub(super) free: Bytes,
    pub(super) size: Bytes,
    /// Free and all; none where the file system counts none.
    pub(super) inodes: Option<(u64, u64)>,
    /// What may be removed of ours, and how much that is.
    pub(super) spare: (PathBuf, Bytes),
}

impl std::fmt::Display for StateFileSystem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, which holds {}, has {} of {} free", self.mount, self.path.display(), self.free, self.size)?;
        if let Some((free, all)) = self.inodes.filter(|(free, _)| *free < 1000) {
            write!(f, " and {free} of {all} inodes")?;
        }
        write!(f, ": make room there")?;
        if self.spare.1.count() > 0 {
            write!(f, ", first with `rm -r {}` ({}; it is only a store)", self.spare.0.display(), self.spare.1)?;
        }
        Ok(())
    }
}

impl StateFileSystem {
    /// As it is now; none when that cannot be told.
    pub(super) fn of(paths: &StatePaths) -> Option<Self> {
        let there = paths.state.ancestors().find(|path| path.exists())?;
        // What root may use: a disk that jobs have filled has some left for it (mke2fs(8), -m).
        let room = rustix::fs::statvfs(there).ok().filter(|room| room.f_blocks > 0)?;
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let table: Vec<Mount> = mounts::parse(&table);
        let real = there.canonicalize().ok()?;
        let mount = mounts::holding(&table, &real);
        let named = |mount: &Mount| format!("the file system {} ({})", mount.point.display(), mount.kind);
        Some(Self {
            path: paths.state.clone(),
            mount: mount.map_or_else(|| "the file system".to_owned(), named),
            free: Bytes(room.f_bfree.saturating_mul(room.f_frsize)),
            size: Bytes(room.f_blocks.saturating_mul(room.f_frsize)),
            inodes: (room.f_files > 0).then_some((room.f_ffree, room.f_files)),
            spare: (paths.blobs().to_path_buf(), held(&paths.blobs())),
        })
    }
}

/// The bytes of a directory's files.
fn held(directory: &OwnPath) -> Bytes {
    let names = directory.names().unwrap_or_default();
    let lengths = names.iter().filter_map(|name| directory.below(name.to_str()?).length_and_time().ok()?);
    Bytes(lengths.map(|(length, _)| length).sum())
}
