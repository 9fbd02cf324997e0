//! A raw disk packed for emulators and clouds: as large as the image says, its table at its very end.

use std::fs::File;
use std::path::Path;

use super::super::error::ImageError;
use super::super::tools;
use super::{DiskSpec, gpt, write_table};

/// How a qcow2 is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Small and quick; qemu 5.1 and later.
    #[default]
    Zstd,
    /// Small and slow; read by all.
    Zlib,
    /// Large and quickest.
    None,
}

/// Which qemu can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// Version 3 of the format.
    #[default]
    V1,
    /// Version 2, as old clouds want it (`compat=0.10`). It knows zlib alone.
    V0,
}

/// How a qcow2 is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Qcow2 {
    /// How it is packed.
    pub compression: Compression,
    /// Who can read it.
    pub compat: Compat,
}

/// Packs a raw disk, which must be nobody else's meanwhile: it is as long as the qcow2 until this returns, and then as it was.
///
/// # Errors
/// When it cannot be written; what is at `at` then is to be thrown away.
pub fn qcow2(raw: &Path, spec: &DiskSpec, how: Qcow2, at: &Path) -> Result<(), ImageError> {
    if how.compat == Compat::V0 && how.compression == Compression::Zstd {
        return Err(ImageError::refused("a qcow2 of `compat=0.10` cannot be packed with zstd", "pack it with zlib"));
    }
    let stretched = Stretched::to(raw, spec)?;
    let converted = convert(raw, how, at);
    let back = stretched.back().map_err(ImageError::file("write the partition table of", raw));
    converted.and(back)
}

fn convert(raw: &Path, how: Qcow2, at: &Path) -> Result<(), ImageError> {
    let mut command = tools::program("qemu-img", "qemu-utils")?;
    let mut options = vec![if how.compat == Compat::V0 { "compat=0.10" } else { "compat=1.1" }];
    command.args(["convert", "-q", "-f", "raw", "-O", "qcow2"]);
    match how.compression {
        Compression::None => {}
        Compression::Zlib => drop(command.arg("-c")),
        Compression::Zstd => {
            command.arg("-c");
            options.push("compression_type=zstd");
        }
    }
    tools::run(command.args(["-o", &options.join(",")]).arg(raw).arg(at)).map(drop)
}

/// A raw disk that is longer for a while.
struct Stretched<'a> {
    disk: File,
    spec: &'a DiskSpec,
    short: u64,
}

impl<'a> Stretched<'a> {
    fn to(raw: &Path, spec: &'a DiskSpec) -> Result<Self, ImageError> {
        let wrong = |what| ImageError::file(what, raw);
        let disk = File::options().read(true).write(true).open(raw).map_err(wrong("open"))?;
        let short = disk.metadata().map_err(wrong("look at"))?.len();
        let stretched = Self { disk, spec, short };
        if short < spec.size {
            gpt::wipe_second(&stretched.disk, short).map_err(wrong("write the partition table of"))?;
            stretched.disk.set_len(spec.size).map_err(wrong("size"))?;
            write_table(&stretched.disk, spec, spec.size).map_err(wrong("write the partition table of"))?;
        }
        Ok(stretched)
    }

    fn back(self) -> std::io::Result<()> {
        if self.short >= self.spec.size {
            return Ok(());
        }
        self.disk.set_len(self.short)?;
        write_table(&self.disk, self.spec, self.short)
    }
}
