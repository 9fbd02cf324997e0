//! Room for our own state: asked for before a run is put on record, and told with its numbers when it is missing.

use super::state_file_system::StateFileSystem;
use super::{EngineError, StatePaths};
use ostler_roles::words::Bytes;
use rustix::io::Errno;
use std::path::Path;

/// What a run needs beside its plan and its contents: its journal's reserve, and some blocks for directories and records.
const FOR_A_RUN: Bytes = Bytes(super::journal::RESERVE.0 + (64 << 10));
/// Inodes that a run takes beside those of its contents.
const NAMES: u64 = 16;

/// What writing a unit down takes.
const ONE_UNIT: u64 = 16 << 10;

/// Whether there is room for a run that writes so much.
///
/// # Errors
/// When there is too little. What cannot be told is tried.
pub(super) fn wanted(paths: &StatePaths, bytes: Bytes, files: u64) -> Result<(), EngineError> {
    let Some(place) = StateFileSystem::of(paths) else { return Ok(()) };
    let wanted = Bytes(bytes.count().saturating_add(FOR_A_RUN.count()));
    let names = place.inodes.is_none_or(|(free, _)| free >= NAMES.saturating_add(files));
    if place.free >= wanted && names { Ok(()) } else { Err(EngineError::NoRoom { wanted: Some(wanted), place }) }
}

/// The same error, or which file system has no room where that is what it means: the one of our state. A quota or a full /run has other
/// numbers.
pub(crate) fn explained(paths: &StatePaths, error: EngineError) -> EngineError {
    let there = error.written().is_some_and(|path| path.starts_with(&paths.state)) && is_full(&error);
    match StateFileSystem::of(paths).filter(|_| there) {
        Some(place) => EngineError::NoRoom { wanted: None, place },
        None => error,
    }
}

/// What to say of a file system on which nothing more can be written; none where there is room, or nothing can be told.
pub(super) fn full(path: &Path) -> Option<String> {
    let room = rustix::fs::statvfs(path).ok().filter(|room| room.f_blocks > 0)?;
    let bytes = |blocks: u64| Bytes(blocks.saturating_mul(room.f_frsize));
    said_of(path, bytes(room.f_bfree), bytes(room.f_blocks), (room.f_files > 0).then_some((room.f_ffree, room.f_files)))
}

fn said_of(path: &Path, free: Bytes, size: Bytes, inodes: Option<(u64, u64)>) -> Option<String> {
    let no_names = inodes.filter(|(free, _)| *free == 0);
    if free.count() >= ONE_UNIT && no_names.is_none() {
        return None;
    }
    let inodes = no_names.map(|(_, all)| format!(" and 0 of {all} inodes")).unwrap_or_default();
    Some(format!("the file system of {} has {free} of {size} free{inodes}: make room there", path.display()))
}

/// Whether the error, or one below it, is that of a full file system.
fn is_full(error: &EngineError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(below) = cause {
        if below.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) == Some(Errno::NOSPC.raw_os_error()) {
            return true;
        }
        cause = below.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mounts;
    use crate::host::tests::{SmallDisk, proves_as_root};
    use std::path::PathBuf;
    use std::process::Command;

    #[test]
    fn a_place_is_told_with_what_is_free_and_what_may_go() {
        let inodes = Some((3, 100));
        let spare = (PathBuf::from("/var/lib/ostler/blobs"), Bytes(3 << 20));
        let path = PathBuf::from("/var/lib/ostler");
        let mount = "the file system /var (ext4)".to_owned();
        let mut place = StateFileSystem { path, mount, free: Bytes(512), size: Bytes(1 << 30), inodes, spare };
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
            "keep the run's plan and journal, at least 1 MiB: the file system /var (ext4), which holds /var/lib/ostler, has 512 B of 1 GiB \
             free: make room there"
        );
    }

    #[test]
    fn only_what_a_full_file_system_of_our_state_said_is_explained_by_it() {
        let paths = StatePaths::below(&std::env::temp_dir());
        let wrote = |path: PathBuf, errno: Errno| EngineError::Write { path, source: errno.into() };
        let of_state = || paths.state.join("runs");
        assert!(matches!(explained(&paths, wrote(of_state(), Errno::NOSPC)), EngineError::NoRoom { wanted: None, .. }));
        for (path, errno) in [
            (of_state(), Errno::ROFS),
            // Whose quota is used up has room enough on the disk.
            (of_state(), Errno::DQUOT),
            (paths.run.join("secrets"), Errno::NOSPC),
            (paths.shm.join("secrets"), Errno::NOSPC),
        ] {
            let told = wrote(path.clone(), errno).told();
            assert_eq!(explained(&paths, wrote(path, errno)).told(), told);
        }
        assert!(matches!(wanted(&paths, Bytes(u64::MAX / 2), 0), Err(EngineError::NoRoom { .. })));
        assert!(wanted(&paths, Bytes(0), 0).is_ok());
    }

    #[test]
    fn a_file_system_that_is_full_is_told_with_its_numbers_and_another_not() {
        if !proves_as_root("what is said of a full file system") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(full(directory.path()), None);
        let shell = |script: &str| {
            let script = format!("mount -t tmpfs -o size=256k,nr_inodes=50 none . && cd \"$PWD\" && {script}; umount -l .");
            Command::new("unshare").args(["-m", "sh", "-c", &script]).current_dir(directory.path()).output().unwrap()
        };
        let seen = |script: &str| {
            let output = shell(&format!("{{ {script}; }} 2>/dev/null; stat -f -c '%a %b %S %d %c' ."));
            let text = String::from_utf8(output.stdout).unwrap();
            let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let [free, all, size, names, all_names] = numbers[..] else { panic!("{text}") };
            said_of(Path::new("/run"), Bytes(free * size), Bytes(all * size), Some((names, all_names)))
        };
        assert_eq!(seen("true"), None);
        assert_eq!(seen("cat /dev/zero >filler").as_deref(), Some("the file system of /run has 0 B of 256 KiB free: make room there"));
        let names = seen("seq 100 | xargs touch").unwrap();
        assert!(names.ends_with(" free and 0 of 50 inodes: make room there"), "{names}");
    }

    #[test]
    fn a_disk_that_jobs_have_filled_has_room_for_a_run_of_roots() {
        if !proves_as_root("what is free for root on a disk that jobs have filled") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = SmallDisk::at(directory.path());
        for place in [directory.path(), disk.path()] {
            std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        }
        let fill = format!("cat /dev/zero > {}/filler", disk.path().display());
        let filled = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", &fill])
            .stderr(std::process::Stdio::null())
            .status();
        assert!(!filled.unwrap().success(), "it is full");
        let jobs = mounts::room(disk.path()).unwrap().free;
        assert!(jobs < FOR_A_RUN.count(), "{jobs}");
        let root = wanted(&StatePaths::below(directory.path()), Bytes(0), 0);
        assert!(root.is_ok(), "{root:?}");
        let none = wanted(&StatePaths::below(directory.path()), Bytes(64 << 20), 0);
        assert!(matches!(none, Err(EngineError::NoRoom { .. })));
    }

    #[test]
    fn a_run_that_would_find_no_inodes_is_refused_with_their_numbers() {
        if !proves_as_root("what is said of a state without inodes") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = SmallDisk::made(directory.path(), &["-N", "64"]);
        let paths = StatePaths::below(directory.path());
        assert!(wanted(&paths, Bytes(0), 0).is_ok());
        assert!(wanted(&paths, Bytes(0), 64).is_err(), "its contents are files too");
        let fillers = (0..).map(|number| disk.path().join(number.to_string())).take_while(|path| std::fs::write(path, "").is_ok());
        assert!(fillers.count() > 1);
        let refused = wanted(&paths, Bytes(0), 0).unwrap_err().told();
        assert!(refused.contains(" and 0 of 64 inodes: make room there"), "{refused}");
        // One that was begun, and then found none.
        let wrote =
            EngineError::Write { path: paths.state.join("runs"), source: std::fs::write(disk.path().join("more"), "").unwrap_err() };
        assert!(explained(&paths, wrote).told().contains(" and 0 of 64 inodes: make room there"));
    }
}
