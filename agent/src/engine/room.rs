//! Room for our own state: asked for before a run is put on record, and told with its numbers when it is missing.

use super::{EngineError, Places};
use crate::host::mounts::{self, Mount};
use ostler_roles::words::Bytes;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// What a run needs beside its plan and its contents: its journal's reserve, and some blocks for directories and records.
const FOR_A_RUN: Bytes = Bytes(super::journal::RESERVE.0 + (64 << 10));
/// Inodes that a run takes beside those of its contents.
const NAMES: u64 = 16;

/// The file system that our state lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where our state is.
    path: PathBuf,
    /// The mount that holds it.
    mount: String,
    /// For root.
    free: Bytes,
    size: Bytes,
    /// Free and all; none where the file system counts none.
    inodes: Option<(u64, u64)>,
    /// What may be removed of ours, and how much that is.
    spare: (PathBuf, Bytes),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, which holds {}, has {} of {} free", self.mount, self.path.display(), self.free, self.size)?;
        if let Some((free, all)) = self.inodes.filter(|(free, _)| *free < 1000) {
            write!(f, " and {free} of {all} inodes")?;
        }
        write!(f, ": make room there")?;
        if self.spare.1.count() > 0 {
            write!(f, ", first with `rm -r {}` ({}; it is only a store)", self.spare.0.display(), self.spare.1)?;
        }
        Ok(())
    }
}

impl Place {
    /// As it is now; none when that cannot be told.
    fn of(places: &Places) -> Option<Self> {
        let there = places.state.ancestors().find(|path| path.exists())?;
        // What root may use: a disk that jobs have filled has some left for it (mke2fs(8), -m).
        let room = rustix::fs::statvfs(there).ok().filter(|room| room.f_blocks > 0)?;
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let table: Vec<Mount> = mounts::parse(&table);
        let real = there.canonicalize().ok()?;
        let mount = mounts::holding(&table, &real);
        let named = |mount: &Mount| format!("the file system {} ({})", mount.point.display(), mount.kind);
        Some(Self {
            path: places.state.clone(),
            mount: mount.map_or_else(|| "the file system".to_owned(), named),
            free: Bytes(room.f_bfree.saturating_mul(room.f_frsize)),
            size: Bytes(room.f_blocks.saturating_mul(room.f_frsize)),
            inodes: (room.f_files > 0).then_some((room.f_ffree, room.f_files)),
            spare: (places.blobs(), held(&places.blobs())),
        })
    }
}

/// The bytes of a directory's files.
fn held(directory: &Path) -> Bytes {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    Bytes(entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum())
}

/// Whether there is room for a run that writes so much.
///
/// # Errors
/// When there is too little. What cannot be told is tried.
pub(super) fn wanted(places: &Places, bytes: Bytes, files: u64) -> Result<(), EngineError> {
    let Some(place) = Place::of(places) else { return Ok(()) };
    let wanted = Bytes(bytes.count().saturating_add(FOR_A_RUN.count()));
    let names = place.inodes.is_none_or(|(free, _)| free >= NAMES.saturating_add(files));
    if place.free >= wanted && names { Ok(()) } else { Err(EngineError::NoRoom { wanted: Some(wanted), place }) }
}

/// The same error, or which file system has no room where that is what it means.
pub(crate) fn explained(places: &Places, error: EngineError) -> EngineError {
    match Place::of(places).filter(|_| is_full(&error)) {
        Some(place) => EngineError::NoRoom { wanted: None, place },
        None => error,
    }
}

/// Whether the error, or one below it, is that of a full file system or an exhausted quota.
fn is_full(error: &EngineError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(below) = cause {
        let code = below.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        if [Errno::NOSPC, Errno::DQUOT].into_iter().any(|full| code == Some(full.raw_os_error())) {
            return true;
        }
        cause = below.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_with_what_is_free_and_what_may_go() {
        let inodes = Some((3, 100));
        let spare = (PathBuf::from("/var/lib/ostler/blobs"), Bytes(3 << 20));
        let path = PathBuf::from("/var/lib/ostler");
        let mount = "the file system /var (ext4)".to_owned();
        let mut place = Place { path, mount, free: Bytes(512), size: Bytes(1 << 30), inodes, spare };
        assert_eq!(
            place.to_string(),
            "the file system /var (ext4), which holds /var/lib/ostler, has 512 B of 1 GiB free and 3 of 100 inodes: make room there, \
             first with `rm -r /var/lib/ostler/blobs` (3 MiB; it is only a store)"
        );
        place.inodes = None;
        place.spare.1 = Bytes(0);
        let told = EngineError::NoRoom { wanted: Some(Bytes(1 << 20)), place }.to_string();
        assert_eq!(
            told,
            "keep the run's plan and journal, 1 MiB in all: the file system /var (ext4), which holds /var/lib/ostler, has 512 B of 1 GiB \
             free: make room there"
        );
    }

    #[test]
    fn only_what_a_full_file_system_said_is_explained_by_it() {
        let places = Places::below(&std::env::temp_dir());
        let wrote = |errno: Errno| EngineError::Write { path: "/x".into(), source: errno.into() };
        for full in [Errno::NOSPC, Errno::DQUOT] {
            assert!(matches!(explained(&places, wrote(full)), EngineError::NoRoom { wanted: None, .. }));
        }
        assert!(matches!(explained(&places, wrote(Errno::ROFS)), EngineError::Write { .. }));
        assert!(matches!(wanted(&places, Bytes(u64::MAX / 2), 0), Err(EngineError::NoRoom { .. })));
        assert!(wanted(&places, Bytes(0), 0).is_ok());
    }

    /// A small ext4 of its own; none where we may not mount.
    fn small_disk(directory: &Path) -> Option<PathBuf> {
        let (image, point) = (directory.join("image"), directory.join("state"));
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        std::fs::create_dir(&point).unwrap();
        let done = |program: &str, words: &[&Path]| {
            let output = std::process::Command::new(program).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(words).output();
            output.is_ok_and(|output| output.status.success())
        };
        let made = done("mkfs.ext4", &[Path::new("-q"), &image]) && done("mount", &[Path::new("-o"), Path::new("loop"), &image, &point]);
        made.then_some(point)
    }

    #[test]
    fn a_disk_that_jobs_have_filled_has_room_for_a_run_of_roots() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let Some(point) = small_disk(directory.path()) else { return };
        for place in [directory.path(), &point] {
            std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        }
        let fill = format!("cat /dev/zero > {}/filler", point.display());
        let filled = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", &fill])
            .stderr(std::process::Stdio::null())
            .status();
        assert!(!filled.unwrap().success(), "it is full");
        let (jobs, root) = (mounts::room(&point).unwrap().free, wanted(&Places::below(directory.path()), Bytes(0), 0));
        let none = wanted(&Places::below(directory.path()), Bytes(64 << 20), 0);
        std::process::Command::new("umount").arg(&point).status().unwrap();
        assert!(jobs < FOR_A_RUN.count(), "{jobs}");
        assert!(root.is_ok(), "{root:?}");
        assert!(matches!(none, Err(EngineError::NoRoom { .. })));
    }
}
