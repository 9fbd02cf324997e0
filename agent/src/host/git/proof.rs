//! Whether a mirror is whole: proved when it was filled, and remembered with the files that its objects were in, so that a look afterwards
//! reads names and lengths and no object.

use super::program::{VERDICT, good, is_of_the_machine, program};
use super::{Asking, References};
use crate::host::{Operation, OsError};
use ostler_roles::words::{Digest, Secret};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The file of a mirror that says which objects were proved.
const RECORD: &str = "ostler-proved";

/// Proves that everything is there which the mirror's references lead to. Where `proved` was whole already, only what is new is looked at.
///
/// # Errors
/// What is missing.
pub fn prove(
    mirror: &Path,
    references: &References,
    proved: Option<&References>,
    asking: Asking<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), OsError> {
    let ids = |references: &References| references.values().cloned().collect::<BTreeSet<String>>();
    let (now, before) = (ids(references), proved.map(ids).unwrap_or_default());
    let mut input: Vec<String> = now.difference(&before).cloned().collect();
    if input.is_empty() {
        return Ok(());
    }
    // What was proved and has gone may be packed away by now.
    input.extend(before.intersection(&now).map(|id| format!("^{id}")));
    let place = mirror.to_string_lossy();
    // As git itself proves what it has fetched (git's connected.c); what nobody vouches for is read, every byte of it: a power cut leaves
    // files that are there and empty.
    let objects = if proved.is_some() { "--objects" } else { "--verify-objects" };
    let mut walk = program(&["--git-dir", &place, "rev-list", objects, "--quiet", "--stdin"], asking);
    walk.stdin = Some(Secret::new((input.join("\n") + "\n").into_bytes()));
    let finished = good(walk.run(asking.deadline, cancelled)?, Operation::Read, &place)?;
    // Bytes that are not what their name says are an error to git, and no bad end.
    match finished.tail.into_lines().into_iter().find(|line| line.contains("error:")) {
        Some(error) => {
            let kind = if is_of_the_machine(&error) { io::ErrorKind::Interrupted } else { VERDICT };
            Err(OsError::new(Operation::Read, place, io::Error::new(kind, error)))
        }
        None => Ok(()),
    }
}

/// Makes all of a mirror durable, and then remembers its objects as proved: what a power cut tears has no such record, or another one.
///
/// # Errors
/// When the disk says no.
pub fn remember(mirror: &Path) -> Result<(), OsError> {
    let fail = |source: io::Error| OsError::new(Operation::Sync, mirror.display(), source);
    sync(mirror).map_err(fail)?;
    let (record, aside) = (mirror.join(RECORD), mirror.join(format!("{RECORD}.new")));
    let write = || {
        let mut file = File::create(&aside)?;
        writeln!(file, "{}", objects(mirror)?.hex())?;
        file.sync_all()?;
        std::fs::rename(&aside, &record)?;
        File::open(mirror)?.sync_all()
    };
    write().map_err(|source| OsError::new(Operation::Write, record.display(), source))
}

/// What a mirror's objects are, held against those that were proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proved {
    /// The very same, and when that was: seconds since 1970.
    Since(u64),
    /// Others, or none ever were: which of it.
    Not(&'static str),
}

/// Whether its objects are the proved ones, by their files' names, lengths and times.
///
/// # Errors
/// When they cannot be listed.
pub fn proved(mirror: &Path) -> Result<Proved, OsError> {
    let fail = |source: io::Error| OsError::new(Operation::Read, mirror.display(), source);
    let record = match File::options().read(true).custom_flags(NO_LINK).open(mirror.join(RECORD)) {
        Ok(record) => record,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Proved::Not("was never proved to be whole")),
        Err(error) => return Err(fail(error)),
    };
    let since = record.metadata().map_err(fail)?.mtime();
    let mut known = String::new();
    io::Read::read_to_string(&mut io::Read::take(record, 1 << 10), &mut known).map_err(fail)?;
    if known.trim_end() != objects(mirror).map_err(fail)?.hex() {
        return Ok(Proved::Not("has other object files than were proved to be whole"));
    }
    Ok(Proved::Since(u64::try_from(since).unwrap_or(0)))
}

/// O_NOFOLLOW and O_NONBLOCK (open(2)), the same number on all architectures of ours.
const NO_LINK: i32 = (rustix::fs::OFlags::NOFOLLOW.bits() | rustix::fs::OFlags::NONBLOCK.bits()).cast_signed();

/// A digest of the files that hold objects (gitrepository-layout(5)): packs, their indexes, loose ones, and where others may lie.
fn objects(mirror: &Path) -> io::Result<Digest> {
    let root = mirror.join("objects");
    let mut seen = Vec::new();
    for directory in std::fs::read_dir(&root)? {
        let name = directory?.file_name().to_string_lossy().into_owned();
        let counts: fn(&str) -> bool = match name.as_str() {
            "pack" => |file| file.ends_with(".pack") || file.ends_with(".idx"),
            "info" => |file| file == "alternates",
            loose if loose.len() == 2 => |file| !file.starts_with("tmp_"),
            _ => continue,
        };
        for file in std::fs::read_dir(root.join(&name))? {
            let file = file?;
            let what = file.file_name().to_string_lossy().into_owned();
            if counts(&what) {
                let told = file.metadata()?;
                seen.push(format!("{name}/{what} {} {} {}\n", told.len(), told.mtime(), told.mtime_nsec()));
            }
        }
    }
    seen.sort();
    Ok(Digest::of(seen.concat().as_bytes()))
}

/// Every file and directory of the tree, each by itself. No link is followed.
fn sync(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync(&entry.path())?;
        } else if kind.is_file() {
            File::options().read(true).custom_flags(NO_LINK).open(entry.path())?.sync_all()?;
        }
    }
    File::open(directory)?.sync_all()
}
