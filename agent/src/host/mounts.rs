//! Mounted file systems: which one really holds a path, and its room.

use super::room::Room;
use super::{EntryKind, Host, Operation, OsError};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// A line of /proc/self/mountinfo (proc(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where.
    pub point: PathBuf,
    /// `ext4`, `overlay`, ...
    pub kind: String,
    /// What.
    pub source: String,
    /// The file system's number, `MAJOR:MINOR`: the same wherever it is mounted.
    pub device: String,
}

/// Octal escapes of proc(5): blank, tab, newline, backslash.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let octal =
            behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal.filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ');
    let device = before.nth(2)?.to_owned();
    let point = unescape(before.nth(1)?);
    let mut after = after.split(' ');
    Some(Mount { point: PathBuf::from(point), kind: after.next()?.to_owned(), source: unescape(after.next()?), device })
}

/// Reads mountinfo; a later line hides an earlier one of the same place.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

/// The mount that holds `path`: the longest place above it, the last of its kind.
pub fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts.iter().filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.components().count())
}

impl Host {
    /// What is mounted in our view.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn mounts(&self) -> Result<Vec<Mount>, OsError> {
        let text = std::fs::read("/proc/self/mountinfo").map_err(|source| OsError::new(Operation::Read, "/proc/self/mountinfo", source))?;
        Ok(parse(&String::from_utf8_lossy(&text)))
    }

    /// The nearest part of `path` that exists, with links resolved as the kernel would.
    ///
    /// # Errors
    /// When a part cannot be read.
    pub fn nearest(&self, path: &Path) -> Result<PathBuf, OsError> {
        let mut nearest = path;
        loop {
            let fail = |source| OsError::new(Operation::Look, nearest.display(), source);
            match self.directory(nearest) {
                Ok(directory) => {
                    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&directory));
                    return std::fs::read_link(&link).map_err(fail);
                }
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    // A file stands in its directory's file system, unless it is itself a mount, which statvfs tells.
                    if self.look(nearest).ok().flatten().is_some_and(|entry| entry.kind == EntryKind::File) {
                        return Ok(self.outside(nearest));
                    }
                    nearest = nearest.parent().ok_or_else(|| fail(Errno::NOENT.into()))?;
                }
                Err(source) => return Err(fail(source.into())),
            }
        }
    }
}

/// The room of the file system at `path`.
///
/// # Errors
/// When the kernel does not tell.
pub fn room(path: &Path) -> Result<Room, OsError> {
    Room::at(path).map_err(|source| OsError::new(Operation::Look, path.display(), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "22 1 0:21 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/l\n\
        23 22 0:22 / /proc rw - proc proc rw\n\
        30 22 8:1 / /opt rw,relatime shared:5 - ext4 /dev/sda1 rw\n\
        31 30 8:2 / /opt/my\\040disk rw master:3 propagate_from:2 - xfs /dev/sd\\134x rw\n\
        32 22 0:40 / /opt rw - tmpfs tmpfs rw,size=10m\n";

    #[test]
    fn the_last_and_longest_mount_holds_a_path() {
        let mounts = parse(INFO);
        assert_eq!(mounts.len(), 5);
        let kind = |path: &str| holding(&mounts, Path::new(path)).map(|mount| mount.kind.clone());
        assert_eq!(kind("/opt/git"), Some("tmpfs".to_owned()));
        assert_eq!(kind("/opt/my disk/x"), Some("xfs".to_owned()));
        assert_eq!(kind("/optical"), Some("overlay".to_owned()));
        assert_eq!((mounts[3].source.as_str(), mounts[3].device.as_str()), ("/dev/sd\\x", "8:2"));
    }

    #[test]
    fn a_path_that_is_not_there_is_judged_by_its_nearest_parent() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        std::fs::create_dir(tree.path().join("opt")).unwrap();
        let real = tree.path().canonicalize().unwrap();
        assert_eq!(host.nearest(Path::new("/opt/a/b")).unwrap(), real.join("opt"));
        assert!(room(&real).unwrap().size > 0);
    }
}
