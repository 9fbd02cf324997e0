//! The partition table: GPT with its protective MBR, written by us (UEFI 2.10, 5.2 and 5.3).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use uuid::{Uuid, uuid};

/// All sizes on the disk are in these.
pub(super) const SECTOR: u64 = 512;
/// Entries of the table; what is below 128 is read by nobody.
const ENTRIES: usize = 128;
const ENTRY_BYTES: usize = 128;
/// Sectors of the entries; a header comes before them or behind.
const TABLE_SECTORS: u64 = (ENTRIES * ENTRY_BYTES) as u64 / SECTOR;

/// Types of partitions.
pub(super) const BIOS_BOOT: Uuid = uuid!("21686148-6449-6e6f-744e-656564454649");
pub(super) const ESP: Uuid = uuid!("c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
/// The root of x86-64 (uapi-group.org, Discoverable Partitions): what systemd-repart grows.
pub(super) const ROOT: Uuid = uuid!("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Partition {
    /// Its number, from 1.
    pub(super) number: usize,
    pub(super) kind: Uuid,
    pub(super) id: Uuid,
    /// First and last sector, both of it.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) name: &'static str,
}

/// Returns the last sector that a partition may have on a disk of this many sectors.
pub(super) fn last_usable(sectors: u64) -> u64 {
    sectors - TABLE_SECTORS - 2
}

/// Writes both tables of a disk of this size. The code of the first sector stays.
pub(super) fn write(disk: &File, bytes: u64, id: Uuid, partitions: &[Partition]) -> io::Result<()> {
    let sectors = bytes / SECTOR;
    let last = sectors - 1;
    let mut table = vec![0; ENTRIES * ENTRY_BYTES];
    for partition in partitions {
        let start = (partition.number - 1) * ENTRY_BYTES;
        entry(partition, &mut table[start..start + ENTRY_BYTES]);
    }
    disk.write_all_at(&protective(sectors), 440)?;
    disk.write_all_at(&header(1, last, 2, sectors, id, &table), SECTOR)?;
    disk.write_all_at(&table, 2 * SECTOR)?;
    disk.write_all_at(&table, (last - TABLE_SECTORS) * SECTOR)?;
    disk.write_all_at(&header(last, 1, last - TABLE_SECTORS, sectors, id, &table), last * SECTOR)
}

/// Takes the second table away, before a disk becomes shorter or longer.
pub(super) fn wipe_second(disk: &File, bytes: u64) -> io::Result<()> {
    let length = (TABLE_SECTORS + 1) * SECTOR;
    disk.write_all_at(&vec![0; usize::try_from(length).unwrap_or_default()], bytes - length)
}

fn entry(partition: &Partition, to: &mut [u8]) {
    to[..16].copy_from_slice(&partition.kind.to_bytes_le());
    to[16..32].copy_from_slice(&partition.id.to_bytes_le());
    to[32..40].copy_from_slice(&partition.first.to_le_bytes());
    to[40..48].copy_from_slice(&partition.last.to_le_bytes());
    for (place, unit) in to[56..].chunks_exact_mut(2).zip(partition.name.encode_utf16()) {
        place.copy_from_slice(&unit.to_le_bytes());
    }
}

fn header(own: u64, other: u64, table_at: u64, sectors: u64, id: Uuid, table: &[u8]) -> Vec<u8> {
    let mut to = Vec::with_capacity(512);
    to.extend(b"EFI PART");
    to.extend(0x0001_0000_u32.to_le_bytes());
    to.extend(92_u32.to_le_bytes());
    to.extend([0; 8]); // the checksum, then nothing
    for number in [own, other, 2 + TABLE_SECTORS, last_usable(sectors)] {
        to.extend(number.to_le_bytes());
    }
    to.extend(id.to_bytes_le());
    to.extend(table_at.to_le_bytes());
    to.extend(u32::try_from(ENTRIES).unwrap_or_default().to_le_bytes());
    to.extend(u32::try_from(ENTRY_BYTES).unwrap_or_default().to_le_bytes());
    to.extend(crc32(table).to_le_bytes());
    let own_sum = crc32(&to);
    to[16..20].copy_from_slice(&own_sum.to_le_bytes());
    to.resize(512, 0);
    to
}

/// The 72 bytes behind the boot code: one partition over the whole disk. It is marked active, which UEFI ignores: some BIOSes boot
/// from no disk that has no active partition.
fn protective(sectors: u64) -> Vec<u8> {
    let mut to = vec![0; 6];
    let length = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    to.extend([0x80, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff]);
    to.extend(1_u32.to_le_bytes());
    to.extend(length.to_le_bytes());
    to.resize(70, 0);
    to.extend([0x55, 0xaa]);
    to
}

/// CRC-32 as in IEEE 802.3, reflected.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn others_read_the_table_and_find_no_fault_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let bytes = 64 << 20;
        file.set_len(bytes).unwrap();
        let id = uuid!("00000000-1111-8222-8333-444444444444");
        let root = Partition { number: 1, kind: ROOT, id, first: 4096, last: last_usable(bytes / SECTOR), name: "root" };
        let bios = Partition { number: 14, kind: BIOS_BOOT, id: ESP, first: 2048, last: 4095, name: "bios" };
        write(&file, bytes, id, &[root, bios]).unwrap();
        let dump = Command::new("sfdisk").arg("--dump").arg(&path).env("LC_ALL", "C").output().unwrap();
        let text = String::from_utf8(dump.stdout).unwrap();
        assert_eq!(String::from_utf8_lossy(&dump.stderr), "", "{text}");
        for line in [
            "label-id: 00000000-1111-8222-8333-444444444444",
            "first-lba: 34",
            "last-lba: 131038",
            "disk1 : start=        4096, size=      126943, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=00000000-1111-8222-8333-444444444444, name=\"root\"",
            "disk14 : start=        2048, size=        2048, type=21686148-6449-6E6F-744E-656564454649",
        ] {
            assert!(text.contains(line), "no {line:?} in:\n{text}");
        }
        let verified = Command::new("sfdisk").arg("--verify").arg(&path).env("LC_ALL", "C").output().unwrap();
        let text = String::from_utf8_lossy(&verified.stdout);
        assert!(verified.status.success() && text.contains("No errors detected."), "{text}");
    }
}
