//! The builds that are there: which, which is current, which are kept.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::super::error::ImageError;
use super::{BUILDING, is_at, lock_new, names, sync_directory};

/// Says that a build stays whatever else is built.
const HELD: &str = "held";

/// A build that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its number.
    pub number: u64,
    /// Its formats, in order.
    pub formats: Vec<String>,
    /// Whether it stays for ever.
    pub held: bool,
}

/// Returns the builds of an image, oldest first.
///
/// # Errors
/// When the directory cannot be read.
pub fn builds(dir: &Path, name: &str) -> Result<Vec<Build>, ImageError> {
    let there = names(dir)?;
    let whole = numbers_of(&there, name)
        .into_iter()
        .filter(|number| there.contains(&format!("{name}-{number}.d")) && !there.contains(&format!("{name}-{number}.{BUILDING}")));
    let build = |number: u64| {
        let start = format!("{name}-{number}.");
        let formats = there
            .iter()
            .filter_map(|file| file.strip_prefix(&start))
            .filter(|rest| !rest.contains('.') && !["d", HELD].contains(rest))
            .map(str::to_owned)
            .collect();
        Build { number, formats, held: there.contains(&format!("{start}{HELD}")) }
    };
    Ok(whole.map(build).collect())
}

/// Returns the number of the current build.
///
/// # Errors
/// When it cannot be asked.
pub fn current(dir: &Path, name: &str) -> Result<Option<u64>, ImageError> {
    let link = dir.join(format!("{name}-current.d"));
    match fs::read_link(&link) {
        Ok(target) => Ok(target.to_str().and_then(|target| number(target, name))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ImageError::file("read the link", &link)(error)),
    }
}

/// Makes a build the current one: `NAME-current.FORMAT` are links to its files, that of the manifests last.
///
/// # Errors
/// When there is no such build, or a link cannot be made.
pub fn set_current(dir: &Path, name: &str, wanted: u64) -> Result<(), ImageError> {
    let build = find(dir, name, wanted)?;
    let links = build.formats.iter().map(String::as_str).chain(["d"]);
    for suffix in links {
        let (link, aside) =
            (dir.join(format!("{name}-current.{suffix}")), dir.join(format!(".{name}-current.{suffix}.{}", std::process::id())));
        let _ = fs::remove_file(&aside);
        std::os::unix::fs::symlink(format!("{name}-{wanted}.{suffix}"), &aside).map_err(ImageError::file("link", &aside))?;
        fs::rename(&aside, &link).map_err(ImageError::file("rename into place", &link))?;
    }
    let start = format!("{name}-current.");
    for stale in names(dir)?.iter().filter(|file| {
        file.strip_prefix(&start).is_some_and(|suffix| suffix != "d" && !build.formats.iter().any(|format| format == suffix))
    }) {
        let path = dir.join(stale);
        fs::remove_file(&path).map_err(ImageError::file("remove", &path))?;
    }
    sync_directory(dir)
}

/// Holds a build for ever, or no longer.
///
/// # Errors
/// When there is no such build, or it cannot be marked.
pub fn hold(dir: &Path, name: &str, wanted: u64, held: bool) -> Result<(), ImageError> {
    find(dir, name, wanted)?;
    let mark = dir.join(format!("{name}-{wanted}.{HELD}"));
    let done = if held { File::create(&mark).map(drop) } else { fs::remove_file(&mark) };
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(ImageError::file("mark", &mark)(error)),
        _ => sync_directory(dir),
    }
}

/// Removes a build that is neither held nor current.
///
/// # Errors
/// When it must stay, is not there, or cannot be removed.
pub fn remove(dir: &Path, name: &str, wanted: u64) -> Result<(), ImageError> {
    let build = find(dir, name, wanted)?;
    if build.held {
        return Err(ImageError::refused(
            format!("build {wanted} of {name} is held"),
            format!("ostler image hold {name}@{wanted} --release"),
        ));
    }
    if current(dir, name)? == Some(wanted) {
        return Err(ImageError::refused(format!("build {wanted} of {name} is the current one"), format!("ostler image revert {name}")));
    }
    let stem = format!("{name}-{wanted}");
    // From here on it is no build any more, also when this ends in the middle. Where another removes it, that one does.
    let Some(_lock) = lock_new(&dir.join(format!("{stem}.{BUILDING}")))? else { return Ok(()) };
    clear(dir, &stem)
}

/// Removes all but the newest builds; what is held or current stays and does not count. Returns what was removed.
///
/// # Errors
/// When one cannot be removed.
pub fn retain(dir: &Path, name: &str, keep: usize) -> Result<Vec<u64>, ImageError> {
    let now = current(dir, name)?;
    let mut free: Vec<u64> = builds(dir, name)?.into_iter().filter(|build| !build.held).map(|build| build.number).collect();
    let newest = free.split_off(free.len().saturating_sub(keep.max(1)));
    free.retain(|number| Some(*number) != now && !newest.contains(number));
    free.iter().try_for_each(|number| remove(dir, name, *number))?;
    Ok(free)
}

/// Returns a build that is there.
///
/// # Errors
/// When there is no such build, with those that are.
pub fn find(dir: &Path, name: &str, wanted: u64) -> Result<Build, ImageError> {
    let all = builds(dir, name)?;
    let list: Vec<String> = all.iter().map(|build| build.number.to_string()).collect();
    let known = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    all.into_iter()
        .find(|build| build.number == wanted)
        .ok_or_else(|| ImageError::refused(format!("{name} has no build {wanted}; there are: {known}"), format!("ostler image ls {name}")))
}

/// Returns the numbers that are taken, also by what is no build yet, in order.
pub(super) fn numbers(dir: &Path, name: &str) -> Result<Vec<u64>, ImageError> {
    Ok(numbers_of(&names(dir)?, name))
}

fn numbers_of(there: &std::collections::BTreeSet<String>, name: &str) -> Vec<u64> {
    let found: std::collections::BTreeSet<u64> = there.iter().filter_map(|file| number(file, name)).collect();
    found.into_iter().collect()
}

/// The number of `NAME-NUMBER.…`; another image's name may begin with this one's.
fn number(file: &str, name: &str) -> Option<u64> {
    let digits = file.strip_prefix(name)?.strip_prefix('-')?.split('.').next()?;
    digits.parse().ok().filter(|number: &u64| number.to_string() == digits)
}

/// Removes what killed builds of an image left.
pub(super) fn sweep(dir: &Path, name: &str) -> Result<(), ImageError> {
    for number in numbers(dir, name)? {
        let stem = format!("{name}-{number}");
        if let Some(_lock) = lock_left(&dir.join(format!("{stem}.{BUILDING}")))? {
            clear(dir, &stem)?;
        }
    }
    Ok(())
}

/// Locks a marker that a killed process left; none where there is none, or its process lives.
pub(super) fn lock_left(marker: &Path) -> Result<Option<File>, ImageError> {
    let file = match File::open(marker) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ImageError::file("open", marker)(error)),
    };
    // One that was made a moment ago may not be locked yet: its maker then finds it gone, and takes the next number.
    Ok(Some(file).filter(|file| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() && is_at(file, marker)))
}

/// Removes all files of a stem, the marker last.
pub(super) fn clear(dir: &Path, stem: &str) -> Result<(), ImageError> {
    let (start, marker) = (format!("{stem}."), format!("{stem}.{BUILDING}"));
    let there = names(dir)?;
    for file in there.iter().filter(|file| file.starts_with(&start) && **file != marker).chain(there.get(&marker)) {
        let path = dir.join(file);
        let directory = path.symlink_metadata().is_ok_and(|data| data.is_dir());
        let removed = if directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(ImageError::file("remove", &path))?;
    }
    sync_directory(dir)
}
