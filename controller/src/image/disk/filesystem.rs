//! The root file system: ext4, written by `mke2fs -d` right inside the disk's file. How large it must be is counted beforehand.

use std::collections::HashSet;
use std::path::Path;

use rustix::fs::FileType;
use uuid::Uuid;

use super::super::error::ImageError;
use super::super::tools;
use super::super::tree::Tree;

const BLOCK: u64 = 4096;
const INODE: u64 = 256;
/// The journal keeps this size when the file system grows.
const JOURNAL: u64 = 64 << 20;
/// Those of mke2fs.conf of Debian 12, without what its GRUB cannot read (`metadata_csum_seed`) and what its kernel cannot (`orphan_file`):
/// named, so that no machine's configuration has a say.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,\
                        dir_nlink,extra_isize,metadata_csum";

/// What a tree takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in whole blocks.
    pub bytes: u64,
    /// Files, directories and all else.
    pub inodes: u64,
}

/// Counts what a tree takes in a file system.
///
/// # Errors
/// When it cannot be read.
pub fn measure(tree: &Tree) -> Result<Usage, ImageError> {
    let mut usage = Usage { bytes: 0, inodes: 0 };
    let mut linked = HashSet::new();
    tree.walk("/", &mut |visit| {
        let stat = visit.stat;
        let kind = visit.kind();
        if kind != FileType::Directory && stat.st_nlink > 1 && !linked.insert((stat.st_dev, stat.st_ino)) {
            return Ok(());
        }
        usage.inodes += 1;
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        usage.bytes += match kind {
            FileType::RegularFile => size.div_ceil(BLOCK) * BLOCK,
            FileType::Directory => size.max(BLOCK).div_ceil(BLOCK) * BLOCK,
            // A short link is in its inode.
            FileType::Symlink if size >= 60 => BLOCK,
            _ => 0,
        };
        Ok(())
    })?;
    Ok(usage)
}

impl Usage {
    /// Returns how large a file system for it is: its content and a fifth, with a journal and inodes.
    pub(super) fn file_system(self) -> u64 {
        let content = self.bytes + self.inodes * INODE;
        // One inode for each 16 KiB takes a sixty-fourth; bitmaps, descriptors and room to grow a thousandfold take less than two more.
        (content + content / 5 + JOURNAL) * 33 / 32 + (16 << 20)
    }

    /// Returns how many bytes of a file system of this size there are for each inode.
    fn bytes_per_inode(self, file_system: u64) -> u64 {
        let wanted = self.inodes + self.inodes / 5 + 1000;
        [16384, 8192, 4096, 2048].into_iter().find(|ratio| file_system / ratio >= wanted).unwrap_or(1024)
    }
}

/// What a new file system is made with.
#[derive(Debug)]
pub(super) struct Make {
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) id: Uuid,
    pub(super) hash_seed: Uuid,
    pub(super) epoch: u32,
}

/// Writes the file system with all that is in the tree.
pub(super) fn make(disk: &Path, tree: &Path, usage: Usage, make: &Make) -> Result<(), ImageError> {
    let mut command = tools::program("mke2fs", "e2fsprogs")?;
    let epoch = make.epoch.to_string();
    // FAKE_TIME until 1.47.0, the other since.
    command.env("MKE2FS_CONFIG", "/dev/null").env("E2FSPROGS_FAKE_TIME", &epoch).env("SOURCE_DATE_EPOCH", &epoch);
    // The file is new and sparse: its tables need no zeroes, now or at the first boot.
    let extended = format!("offset={},hash_seed={},assume_storage_prezeroed=1,nodiscard", make.at, make.hash_seed);
    command.args([
        "-q",
        "-F",
        "-t",
        "ext4",
        "-O",
        FEATURES,
        "-b",
        &BLOCK.to_string(),
        "-I",
        &INODE.to_string(),
        "-m",
        "0",
        "-E",
        &extended,
    ]);
    command.args([
        "-i",
        &usage.bytes_per_inode(make.bytes).to_string(),
        "-J",
        &format!("size={}", JOURNAL >> 20),
        "-U",
        &make.id.to_string(),
    ]);
    command.arg("-d").arg(tree).arg(disk).arg((make.bytes / BLOCK).to_string());
    tools::run(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_tree_is_counted_in_blocks_and_hard_links_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("small"), "x").unwrap();
        fs::write(dir.path().join("large"), vec![0; 4097]).unwrap();
        fs::hard_link(dir.path().join("large"), dir.path().join("again")).unwrap();
        std::os::unix::fs::symlink("small", dir.path().join("link")).unwrap();
        let usage = measure(&Tree::open(dir.path()).unwrap()).unwrap();
        assert_eq!(usage, Usage { bytes: 4096 * 4, inodes: 4 });
    }

    #[test]
    fn many_small_files_get_their_inodes() {
        let usage = Usage { bytes: 4096 * 100_000, inodes: 100_000 };
        let size = usage.file_system();
        assert!(size > usage.bytes * 6 / 5 && size < usage.bytes * 8 / 5, "{size}");
        assert_eq!(usage.bytes_per_inode(size), 4096);
        assert!(size / usage.bytes_per_inode(size) > usage.inodes);
    }
}
