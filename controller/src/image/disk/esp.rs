//! The partition that UEFI reads: a FAT file system with one program, made by mtools right inside the disk's file.

use std::path::Path;
use std::process::Command;

use super::super::error::ImageError;
use super::super::tools;

/// A program of mtools on the file system at this offset, at this time, without anybody's configuration.
fn mtool(name: &'static str, epoch: u32) -> Result<Command, ImageError> {
    let mut command = tools::program(name, "mtools")?;
    command
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .env("MTOOLSRC", "/dev/null")
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("MTOOLS_LOWER_CASE", "0");
    Ok(command)
}

/// Writes the file system, with this program where firmware looks for one on a disk that it does not know (UEFI 2.10, 3.5.1.1).
pub(super) fn make(disk: &Path, at: u64, sectors: u64, serial: u32, epoch: u32, program: &[u8]) -> Result<(), ImageError> {
    let image = format!("{}@@{at}", disk.display());
    let mut format = mtool("mformat", epoch)?;
    format.args(["-i", &image, "-F", "-T", &sectors.to_string(), "-h", "255", "-s", "63", "-H", &(at / super::gpt::SECTOR).to_string()]);
    tools::run(format.args(["-N", &format!("{serial:08x}"), "-v", "EFI", "::"]))?;
    tools::run(mtool("mmd", epoch)?.args(["-i", &image, "::/EFI", "::/EFI/BOOT"]))?;
    tools::feed(mtool("mcopy", epoch)?.args(["-i", &image, "-", "::/EFI/BOOT/BOOTX64.EFI"]), program).map(drop)
}
