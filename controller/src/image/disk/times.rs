//! The times in a new ext4 file system, set right in its inode tables: what `mke2fs -d` copies from the tree tells when and where it was built.
//!
//! Layout: Documentation/filesystems/ext4 of the kernel (super block, group descriptors, inodes, checksums).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Offsets in an inode.
const ATIME: usize = 0x08;
const CTIME: usize = 0x0c;
const MTIME: usize = 0x10;
const DTIME: usize = 0x14;
const LINKS: usize = 0x1a;
const GENERATION: usize = 0x64;
const SUM_LOW: usize = 0x7c;
const EXTRA_SIZE: usize = 0x80;
const SUM_HIGH: usize = 0x82;
const CTIME_EXTRA: usize = 0x84;
const MTIME_EXTRA: usize = 0x88;
const ATIME_EXTRA: usize = 0x8c;
const CRTIME: usize = 0x90;
const CRTIME_EXTRA: usize = 0x94;

/// What of the super block is needed.
struct Shape {
    block: u64,
    inodes_in_group: u32,
    inode: usize,
    groups: u32,
    descriptor: usize,
    descriptors_at: u64,
    /// What checksums start from; none where the file system has none.
    seed: Option<u32>,
}

/// Sets the times of every inode of the file system at this offset of a disk: nothing is newer than `epoch`, what was read or changed
/// when is nobody's matter.
pub(super) fn settle(disk: &File, at: u64, epoch: u32) -> io::Result<()> {
    let shape = shape(disk, at)?;
    let mut descriptors = vec![0; shape.groups as usize * shape.descriptor];
    disk.read_exact_at(&mut descriptors, at + shape.descriptors_at)?;
    for (group, descriptor) in (0..shape.groups).zip(descriptors.chunks_exact(shape.descriptor)) {
        let high = if shape.descriptor >= 64 { u64::from(word(descriptor, 0x28)) } else { 0 };
        let table_at = at + (u64::from(word(descriptor, 8)) | high << 32) * shape.block;
        let unused_high = if shape.descriptor >= 64 { u32::from(half(descriptor, 0x32)) } else { 0 };
        // The end of the table that was never written.
        let unused = u32::from(half(descriptor, 0x1c)) | unused_high << 16;
        let count = shape.inodes_in_group.saturating_sub(unused);
        let mut table = vec![0; count as usize * shape.inode];
        disk.read_exact_at(&mut table, table_at)?;
        for (index, inode) in (0..count).zip(table.chunks_exact_mut(shape.inode)) {
            settle_one(inode, group * shape.inodes_in_group + index + 1, shape.seed, epoch);
        }
        disk.write_all_at(&table, table_at)?;
    }
    Ok(())
}

fn shape(disk: &File, at: u64) -> io::Result<Shape> {
    let mut block = vec![0; 1024];
    disk.read_exact_at(&mut block, at + 1024)?;
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("no ext4 file system that is known here: {what}"));
    if half(&block, 0x38) != 0xef53 {
        return Err(bad("no magic number"));
    }
    let (incompatible, optional) = (word(&block, 0x60), word(&block, 0x64));
    let bytes = 1024 << word(&block, 0x18).min(6);
    let (blocks, in_group) = (u64::from(word(&block, 4)) | u64::from(word(&block, 0x150)) << 32, u64::from(word(&block, 0x20)));
    let inode = usize::from(half(&block, 0x58));
    // META_BG, and inodes too small for the times of today.
    if incompatible & 0x10 != 0 || inode < 256 || in_group == 0 {
        return Err(bad("another layout of groups or inodes"));
    }
    let seed = match (optional & 0x400 != 0, incompatible & 0x2000 != 0) {
        (false, _) => None,
        (true, true) => Some(word(&block, 0x270)),
        (true, false) => Some(crc32c(u32::MAX, &block[0x68..0x78])),
    };
    let first = u64::from(word(&block, 0x14));
    let groups = u32::try_from((blocks - first).div_ceil(in_group)).map_err(|_| bad("too many groups"))?;
    let descriptor = if incompatible & 0x80 != 0 { usize::from(half(&block, 0xfe)).max(64) } else { 32 };
    let descriptors_at = (first + 1) * bytes;
    Ok(Shape { block: bytes, inodes_in_group: word(&block, 0x28), inode, groups, descriptor, descriptors_at, seed })
}

fn settle_one(inode: &mut [u8], number: u32, seed: Option<u32>, epoch: u32) {
    let links = half(inode, LINKS);
    if links == 0 && word(inode, DTIME) == 0 && word(inode, MTIME) == 0 {
        return;
    }
    // Seconds are signed: what is before 1970 stays.
    let mtime = word(inode, MTIME).cast_signed().min(epoch.cast_signed());
    // Seconds beyond 2038 are in the low bits of the extra word, and would be newer than any epoch.
    let mtime = if word(inode, MTIME_EXTRA) & 3 == 0 { mtime } else { epoch.cast_signed() };
    for place in [ATIME, CTIME, MTIME] {
        put(inode, place, mtime.cast_unsigned());
    }
    put(inode, CRTIME, epoch);
    for place in [ATIME_EXTRA, CTIME_EXTRA, MTIME_EXTRA, CRTIME_EXTRA] {
        put(inode, place, 0);
    }
    let Some(seed) = seed else { return };
    inode[SUM_LOW..SUM_LOW + 2].fill(0);
    let wide = half(inode, EXTRA_SIZE) >= 4;
    if wide {
        inode[SUM_HIGH..SUM_HIGH + 2].fill(0);
    }
    let own = crc32c(crc32c(seed, &number.to_le_bytes()), &inode[GENERATION..GENERATION + 4]);
    let sum = crc32c(own, inode).to_le_bytes();
    inode[SUM_LOW..SUM_LOW + 2].copy_from_slice(&sum[..2]);
    if wide {
        inode[SUM_HIGH..SUM_HIGH + 2].copy_from_slice(&sum[2..]);
    }
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at: u32 = 0;
    while at < 256 {
        let (mut sum, mut bit) = (at, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
            bit += 1;
        }
        table[at as usize] = sum;
        at += 1;
    }
    table
}

/// CRC-32C (Castagnoli), without the inversion at its end, as ext4 chains it.
fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |sum, byte| sum >> 8 ^ TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(!crc32c(u32::MAX, b"123456789"), 0xe306_9283);
    }
}
