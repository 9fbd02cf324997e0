//! `ostler image verify`: the proof that a build is what its roles say.

mod clones;
mod report;

use super::workshop::Workshop;
use crate::cli::{BootBy, ImageVerifyArgs};
use crate::command::{CommandError, Context, prepare};
use crate::image::boot::{self, BootFirmware, BootSpec};
use crate::image::output;
use crate::report::{Exit, Paint};
use clones::Clones;
use ostler_roles::author::image::Firmware;
use ostler_roles::words::count;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// A build and its disk.
#[derive(Debug)]
struct Disk {
    /// `NAME@BUILD`.
    build: String,
    number: u64,
    file: PathBuf,
    format: &'static str,
    /// What it takes on the disk.
    bytes: u64,
}

/// Boots clones of a build and tells what they are.
pub fn run(context: &Context, args: &ImageVerifyArgs) -> Result<Exit, CommandError> {
    let began = Instant::now();
    let (name, number) = asked(&args.build)?;
    let workshop = Arc::new(Workshop::open(context, name, &args.values.set)?);
    let dir = args.out.as_ref().unwrap_or(&workshop.builds).clone();
    let disk = disk(&dir, name, number)?;
    let printer = &context.printer;
    let (mut ways, mut missing) = (Vec::new(), None);
    for firmware in firmware(&workshop, &args.firmware)? {
        match boot::available(firmware) {
            Ok(()) => ways.push(firmware),
            Err(error) => {
                printer.say(Paint::Bad, &format!("Not proved: what {} is once it is booted under {}.", disk.build, word(firmware)));
                printer.aside(&format!("  {error}"));
                missing = Some(error);
            }
        }
    }
    if ways.is_empty() {
        return missing.map_or(Ok(Exit::Good), |error| Err(error.into()));
    }
    let machines = ways.len().max(usize::from(args.instances));
    let specs: Vec<BootSpec> = ways.iter().cycle().take(machines).map(|firmware| spec(&disk, *firmware)).collect();
    printer.details(&[format!("  {}: {} booted", disk.build, count(specs.len(), "clone"))]);
    let found = prepare::block_on(Clones { context, workshop: &workshop, specs }.look())?;
    let exit = report::report(context, &workshop, (&disk, &dir), &found, began.elapsed());
    Ok(if exit == Exit::Good && missing.is_some() { Exit::NodeFailed } else { exit })
}

/// `NAME` or `NAME@BUILD`.
fn asked(text: &str) -> Result<(&str, Option<u64>), CommandError> {
    let Some((name, build)) = text.split_once('@') else { return Ok((text, None)) };
    let wrong = |_| CommandError::Usage {
        what: format!("`{build}` is no number of a build"),
        hint: format!("ostler image verify {name} takes the current one"),
    };
    Ok((name, Some(build.parse().map_err(wrong)?)))
}

fn disk(dir: &std::path::Path, name: &str, number: Option<u64>) -> Result<Disk, CommandError> {
    let builds = output::builds(dir, name)?;
    let usage = |what: String, hint: String| CommandError::Usage { what, hint };
    let build_it = format!("ostler image build {name} --format qcow2");
    let Some(newest) = builds.last() else {
        return Err(usage(format!("{name} has no build in {}", dir.display()), build_it));
    };
    let wanted = match number {
        Some(number) => number,
        None => output::current(dir, name)?.unwrap_or(newest.number),
    };
    let Some(build) = builds.iter().find(|build| build.number == wanted) else {
        let known = builds.iter().map(|build| build.number.to_string()).collect::<Vec<_>>().join(", ");
        return Err(usage(format!("{name} has no build {wanted}"), format!("there are {known}")));
    };
    let Some(format) = ["qcow2", "raw"].into_iter().find(|format| build.formats.iter().any(|one| one == format)) else {
        return Err(usage(format!("{name}@{wanted} has no disk that could be booted: {}", build.formats.join(", ")), build_it));
    };
    let file = dir.join(format!("{name}-{wanted}.{format}"));
    let about = std::fs::metadata(&file).map_err(|source| CommandError::File { what: format!("read {}", file.display()), source })?;
    let bytes = std::os::unix::fs::MetadataExt::blocks(&about) * 512;
    Ok(Disk { build: format!("{name}@{wanted}"), number: wanted, file, format, bytes })
}

/// What is asked for, which the image has to say; all that it says where nothing is.
fn firmware(workshop: &Workshop, asked: &[BootBy]) -> Result<Vec<BootFirmware>, CommandError> {
    let known: Vec<BootFirmware> = workshop
        .image
        .firmware
        .iter()
        .map(|one| match one {
            Firmware::Bios => BootFirmware::Bios,
            Firmware::Uefi => BootFirmware::Uefi,
        })
        .collect();
    let mut ways = Vec::new();
    for one in asked {
        let way = match one {
            BootBy::Bios => BootFirmware::Bios,
            BootBy::Uefi => BootFirmware::Uefi,
        };
        if !known.contains(&way) {
            let name = &workshop.image.name.value;
            let what = format!("the image {name} is not made for {}", word(way));
            return Err(CommandError::Usage { what, hint: format!("see `firmware` in images/{name}.yaml") });
        }
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    Ok(if ways.is_empty() { known } else { ways })
}

fn spec(disk: &Disk, firmware: BootFirmware) -> BootSpec {
    BootSpec { format: disk.format, ..BootSpec::of(&disk.file, firmware) }
}

/// What a firmware is called.
fn word(firmware: BootFirmware) -> &'static str {
    match firmware {
        BootFirmware::Bios => "BIOS",
        BootFirmware::Uefi => "UEFI",
    }
}
