//! GRUB in the first sectors: `boot.img` and `core.img` told where they are, as grub-bios-setup does it.

/// Where `core.img` begins, in `boot.img` (grub-core/boot/i386/pc/boot.S, `GRUB_BOOT_MACHINE_KERNEL_SECTOR`).
const KERNEL_SECTOR: usize = 0x5c;
/// A jump over the check of the drive's number, which some BIOSes pass wrongly (`GRUB_BOOT_MACHINE_DRIVE_CHECK`).
const DRIVE_CHECK: usize = 0x66;
/// Where the rest of `core.img` begins, in its first sector: the first block list (diskboot.S, `GRUB_DISKBOOT`).
const FIRST_BLOCK: usize = 0x1f4;
/// Boot code ends where the disk's signature and partitions begin.
pub(super) const CODE: usize = 440;

/// Returns the code of the first sector, for a `core.img` that begins at this one.
pub(super) fn boot_code(boot_img: &[u8], core_at: u64) -> Option<Vec<u8>> {
    if boot_img.len() != 512 || boot_img[510..] != [0x55, 0xaa] {
        return None;
    }
    let mut code = boot_img[..CODE].to_vec();
    code[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&core_at.to_le_bytes());
    code[DRIVE_CHECK..DRIVE_CHECK + 2].fill(0x90);
    Some(code)
}

/// Returns a `core.img` that finds its own rest right behind its first sector.
pub(super) fn core(core_img: &[u8], core_at: u64, room: u64) -> Option<Vec<u8>> {
    if core_img.len() <= 512 || core_img.len() as u64 > room * super::gpt::SECTOR {
        return None;
    }
    let mut core = core_img.to_vec();
    core.resize(core.len().next_multiple_of(512), 0);
    let rest = u16::try_from(core.len() / 512 - 1).ok()?;
    core[FIRST_BLOCK..FIRST_BLOCK + 8].copy_from_slice(&(core_at + 1).to_le_bytes());
    core[FIRST_BLOCK + 8..FIRST_BLOCK + 10].copy_from_slice(&rest.to_le_bytes());
    Some(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_are_told_where_they_are() {
        let mut boot = vec![7; 512];
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        let code = boot_code(&boot, 2048).unwrap();
        assert_eq!((code.len(), &code[0x5b..0x65], &code[0x66..0x69]), (440, &[7, 0, 8, 0, 0, 0, 0, 0, 0, 7][..], &[0x90, 0x90, 7][..]));
        let core = core(&[7; 1025], 2048, 3).unwrap();
        assert_eq!((core.len(), &core[0x1f3..0x1ff]), (1536, &[7, 1, 8, 0, 0, 0, 0, 0, 0, 2, 0, 7][..]));
    }

    #[test]
    fn what_is_no_boot_code_or_does_not_fit_is_refused() {
        assert_eq!(boot_code(&[0; 512], 2048), None);
        assert_eq!(boot_code(&[], 2048), None);
        assert_eq!(core(&[0; 512], 2048, 3), None);
        assert_eq!(core(&[0; 1537], 2048, 3), None);
    }
}
