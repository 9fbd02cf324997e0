//! A disk written from a tree, without loop devices and mounts.

mod archive;
mod esp;
mod filesystem;
mod gpt;
mod grub;
mod ids;
mod prepare;
mod qcow2;
mod times;

use std::fs::File;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::error::ImageError;
use super::tree::Tree;
use gpt::{Partition, SECTOR};
use ids::Purpose;

pub use archive::{BoxUser, Config, oci, tar, vagrant_box};
pub use filesystem::{Usage, measure};
pub use prepare::{configure, prepare};
pub use qcow2::{Compat, Compression, Qcow2, qcow2};

/// Which firmware starts the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Firmware {
    /// BIOS and UEFI.
    #[default]
    Both,
    /// BIOS alone.
    Bios,
    /// UEFI alone, without secure boot.
    Uefi,
}

impl Firmware {
    fn bios(self) -> bool {
        self != Self::Uefi
    }

    fn uefi(self) -> bool {
        self != Self::Bios
    }
}

/// What a disk is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpec {
    /// Bytes of the qcow2 as a machine sees it. A raw is as large as its content and a fifth.
    pub size: u64,
    /// Nothing on the disk is newer: seconds since 1970.
    pub epoch: u32,
    /// Which firmware starts it.
    pub firmware: Firmware,
    /// Values of the kernel's `console=`, the last being the one of messages (`tty0`, `ttyS0,115200`).
    pub console: Vec<String>,
    /// What all identifiers of the disk come from: one image, one seed.
    pub seed: String,
}

impl DiskSpec {
    /// Returns the identifier of the root file system.
    #[must_use]
    pub fn root_id(&self) -> String {
        ids::of(&self.seed, Purpose::RootFilesystem).to_string()
    }
}

/// First sectors of the partitions: each begins at a whole MiB.
const BIOS_AT: u64 = 2048;
const ESP_AT: u64 = 2 * 2048;
/// 64 MiB, the least that is a FAT32 to everybody, and something for loaders to come. Only what is written takes room.
const ESP_SECTORS: u64 = 64 * 2048;
const ROOT_AT: u64 = ESP_AT + ESP_SECTORS;
/// What the second table takes at the end, in a whole MiB.
const END: u64 = 1 << 20;

/// Where programs of the loader are in the tree: `prepare` makes them.
const BOOT_IMG: &str = "/boot/grub/i386-pc/boot.img";
const CORE_IMG: &str = "/boot/grub/i386-pc/core.img";
const CORE_EFI: &str = "/boot/grub/x86_64-efi/core.efi";

/// Numbers as cloud images have them: the root first, though it is the last on the disk, where it can grow.
fn partitions(spec: &DiskSpec, bytes: u64) -> Vec<Partition> {
    let id = |purpose| ids::of(&spec.seed, purpose);
    // At a whole MiB: where the size is no multiple of 4 KiB, systemd-repart 257 rounds it up and then "can't fit" it.
    let last = (gpt::last_usable(bytes / SECTOR) + 1) / 2048 * 2048 - 1;
    let mut all = vec![Partition { number: 1, kind: gpt::ROOT, id: id(Purpose::RootPartition), first: ROOT_AT, last, name: "root" }];
    if spec.firmware.bios() {
        all.push(Partition {
            number: 14,
            kind: gpt::BIOS_BOOT,
            id: id(Purpose::BiosPartition),
            first: BIOS_AT,
            last: ESP_AT - 1,
            name: "bios",
        });
    }
    if spec.firmware.uefi() {
        all.push(Partition { number: 15, kind: gpt::ESP, id: id(Purpose::EspPartition), first: ESP_AT, last: ROOT_AT - 1, name: "esp" });
    }
    all
}

/// Writes the table of a disk of this size.
fn write_table(disk: &File, spec: &DiskSpec, bytes: u64) -> std::io::Result<()> {
    gpt::write(disk, bytes, ids::of(&spec.seed, Purpose::Disk), &partitions(spec, bytes))
}

/// Returns how large a raw disk of this content is.
///
/// # Errors
/// When that is more than the image may have.
pub fn raw_bytes(usage: Usage, spec: &DiskSpec) -> Result<u64, ImageError> {
    let bytes = (ROOT_AT * SECTOR + usage.file_system() + END).next_multiple_of(1 << 20);
    if bytes > spec.size {
        let shown = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
        let what = format!("the image's content needs a disk of {}, and its `size` is {}", shown(bytes), shown(spec.size));
        return Err(ImageError::refused(what, format!("set `size: {} GiB` or more", bytes.div_ceil(1 << 30))));
    }
    Ok(bytes)
}

/// Writes a raw disk from a prepared tree; the file is sparse, its owner's alone, and may be half there after an error.
///
/// # Errors
/// When the tree cannot be booted, is too large, or something cannot be written.
pub fn make(tree: &Path, spec: &DiskSpec, at: &Path) -> Result<(), ImageError> {
    let opened = Tree::open(tree)?;
    let loader = Loader::of(&opened, spec.firmware)?;
    let usage = measure(&opened)?;
    let bytes = raw_bytes(usage, spec)?;
    let wrong = |what| ImageError::file(what, at);
    let disk = File::options().read(true).write(true).create(true).truncate(true).mode(0o600).open(at).map_err(wrong("create the disk"))?;
    disk.set_len(bytes).map_err(wrong("size the disk"))?;
    write_table(&disk, spec, bytes).map_err(wrong("write the partition table of"))?;
    if let Some((code, core)) = &loader.bios {
        disk.write_all_at(code, 0).map_err(wrong("write the boot code of"))?;
        disk.write_all_at(core, BIOS_AT * SECTOR).map_err(wrong("write the boot loader of"))?;
    }
    if let Some(program) = &loader.efi {
        let serial = ids::of(&spec.seed, Purpose::EspSerial).as_fields().0;
        esp::make(at, ESP_AT * SECTOR, ESP_SECTORS, serial, spec.epoch, program)?;
    }
    let root_at = ROOT_AT * SECTOR;
    let make = filesystem::Make {
        at: root_at,
        bytes: bytes - root_at - END,
        id: ids::of(&spec.seed, Purpose::RootFilesystem),
        hash_seed: ids::of(&spec.seed, Purpose::DirectoryHash),
        epoch: spec.epoch,
    };
    filesystem::make(at, tree, usage, &make)?;
    times::settle(&disk, root_at, spec.epoch).map_err(wrong("set the times of the file system of"))
}

/// What firmware starts.
struct Loader {
    /// The first sector's code, and what comes behind it.
    bios: Option<(Vec<u8>, Vec<u8>)>,
    efi: Option<Vec<u8>>,
}

impl Loader {
    fn of(tree: &Tree, firmware: Firmware) -> Result<Self, ImageError> {
        let read = |path: &str| tree.read(path)?.ok_or_else(|| unprepared(path));
        let bios = if firmware.bios() {
            let code = grub::boot_code(&read(BOOT_IMG)?, BIOS_AT).ok_or_else(|| unprepared(BOOT_IMG))?;
            Some((code, grub::core(&read(CORE_IMG)?, BIOS_AT, ESP_AT - BIOS_AT).ok_or_else(|| unprepared(CORE_IMG))?))
        } else {
            None
        };
        let efi = if firmware.uefi() { Some(read(CORE_EFI)?) } else { None };
        for path in ["/boot/grub/grub.cfg", "/etc/fstab"] {
            read(path)?;
        }
        Ok(Self { bios, efi })
    }
}

fn unprepared(path: &str) -> ImageError {
    ImageError::refused(
        format!("the tree cannot be booted: {path} is missing or not what GRUB makes"),
        "add the packages grub2-common, grub-pc-bin and grub-efi-amd64-bin, and build again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(size: u64) -> DiskSpec {
        DiskSpec { size, epoch: 1, firmware: Firmware::Both, console: vec![], seed: "x".into() }
    }

    #[test]
    fn content_that_does_not_fit_is_refused_with_the_size_to_set() {
        let usage = Usage { bytes: 3 << 30, inodes: 10 };
        let refused = raw_bytes(usage, &spec(3 << 30)).expect_err("too small");
        let ImageError::Refused { what, hint } = refused else { panic!("{refused}") };
        assert_eq!(what, "the image's content needs a disk of 3.9 GiB, and its `size` is 3.0 GiB");
        assert_eq!(hint, "set `size: 4 GiB` or more");
        assert_eq!(raw_bytes(usage, &spec(4 << 30)).unwrap() % (1 << 20), 0);
    }

    #[test]
    fn the_root_takes_all_whole_mebibytes_up_to_the_second_table() {
        for bytes in [4 << 30, (4 << 30) + 512] {
            let root = &partitions(&spec(bytes), bytes)[0];
            assert_eq!((root.number, root.first % 2048, root.last + 1), (1, 0, (4096 - 1) * 2048));
        }
    }

    #[test]
    fn a_tree_without_a_loader_is_refused_and_no_file_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("raw");
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        let refused = make(&dir.path().join("tree"), &spec(4 << 30), &at).expect_err("no loader").to_string();
        assert_eq!(refused, "the tree cannot be booted: /boot/grub/i386-pc/boot.img is missing or not what GRUB makes");
        assert!(!at.exists());
    }
}
