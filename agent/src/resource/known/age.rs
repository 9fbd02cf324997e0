//! Whether systemd's memory is older than the disk. Its own word, NeedDaemonReload, passes over a directory of additions that it has not
//! seen, and over a file that takes another's place; and it looks at the time of the bytes, which dpkg(1) and `cp -p` keep.

use crate::host::{EntryKind, Host, OsError};
use ostler_roles::words::{UNIT_DIRECTORIES, UnitName};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
pub(in super::super) type Micros = u64;

/// The kernel stamps files with the time of its last tick: 10 ms behind at most (time(7), `CONFIG_HZ`).
const TICK: Micros = 10_000;

/// Whether what systemd has read may be older than a change at `newest`: for acts. One reading too many does no harm.
pub(in super::super) fn may_be_older(loaded: Option<Micros>, newest: Micros, now: Micros) -> bool {
    loaded.is_none_or(|loaded| loaded > now || newest + TICK > loaded)
}

/// Whether what systemd has read is surely older: what a plan says. Times that have not come yet tell nothing.
pub(in super::super) fn is_older(loaded: Micros, newest: Micros, now: Micros) -> bool {
    loaded > now || (loaded < newest && newest <= now)
}

pub(in super::super) fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| Micros::try_from(since.as_micros()).ok()).unwrap_or(0)
}

/// The last change of anything in the directories of units, by whatever it was made: ctime (inode(7)).
pub(in super::super) fn newest(host: &Host) -> Result<Micros, OsError> {
    let mut newest = 0;
    for directory in directories(host) {
        newest = newest.max(newest_below(host, &directory, 1)?);
    }
    Ok(newest)
}

/// The last change of a unit's own files: itself, its template, what is added to it.
pub(in super::super) fn newest_of(host: &Host, unit: &UnitName) -> Result<Micros, OsError> {
    let mut newest = 0;
    for path in unit.files() {
        newest = newest.max(changed(host, path.as_path())?);
        newest = newest.max(newest_below(host, &PathBuf::from(format!("{path}.d")), 0)?);
    }
    Ok(newest)
}

/// Without those of generators, which write while systemd reads.
fn directories(host: &Host) -> impl Iterator<Item = PathBuf> {
    let generated = |directory: &&str| directory.contains("generator");
    UNIT_DIRECTORIES.into_iter().filter(move |directory| !generated(directory)).map(PathBuf::from).filter(|path| !is_merged(host, path))
}

/// Whether this is another way to a directory below /usr: `/lib` is a link to `usr/lib` nearly everywhere.
pub(in super::super) fn is_merged(host: &Host, directory: &Path) -> bool {
    let top = directory.iter().nth(1).map(|top| Path::new("/").join(top));
    top.is_some_and(|top| host.look(&top).is_ok_and(|found| found.is_some_and(|found| found.kind == EntryKind::Link)))
}

/// The last change of a directory, of what stands in it, and so many levels further down.
fn newest_below(host: &Host, directory: &Path, levels: u8) -> Result<Micros, OsError> {
    let mut newest = changed(host, directory)?;
    for name in host.list(directory)?.unwrap_or_default() {
        let path = directory.join(name);
        newest = newest.max(changed(host, &path)?);
        if levels > 0 && host.look(&path)?.is_some_and(|entry| entry.kind == EntryKind::Directory) {
            newest = newest.max(newest_below(host, &path, levels - 1)?);
        }
    }
    Ok(newest)
}

/// The last change of what stands at a path, and of the file that a link leads to; the beginning of time where nothing does.
fn changed(host: &Host, path: &Path) -> Result<Micros, OsError> {
    let Some(entry) = host.look(path)? else { return Ok(0) };
    let micros = |(seconds, nanos): (i64, u64)| Micros::try_from(seconds).unwrap_or(0) * 1_000_000 + nanos / 1000;
    let own = micros(entry.changed);
    if entry.kind != EntryKind::Link {
        return Ok(own);
    }
    // One that leads nowhere, or round in circles, is no file.
    let target = host.look_through(path).ok().flatten().filter(|target| target.kind == EntryKind::File);
    Ok(own.max(target.map_or(0, |target| micros(target.changed))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::service::tests::Tree;

    #[test]
    fn a_memory_is_older_when_anything_changed_since_or_its_own_time_is_no_time() {
        let minute = 60_000_000;
        let now = 100 * minute;
        assert!(!may_be_older(Some(50 * minute), 40 * minute, now));
        assert!(may_be_older(Some(50 * minute), 51 * minute, now));
        assert!(may_be_older(Some(50 * minute), 50 * minute - TICK / 2, now), "within the kernel's tick");
        assert!(may_be_older(None, 0, now) && may_be_older(Some(now + minute), 0, now));
        assert!(is_older(50 * minute, 51 * minute, now) && is_older(now + minute, 0, now));
        assert!(!is_older(50 * minute, 50 * minute - TICK / 2, now), "it was written before, and read");
        assert!(!is_older(50 * minute, now + minute, now), "reading again would not help");
    }

    #[test]
    fn a_first_addition_an_override_and_a_kept_time_are_changes() {
        let tree = Tree::new();
        tree.file("usr/lib/systemd/system/web.service", "[Service]\n");
        tree.link("usr/lib", "lib");
        let host = tree.host();
        let web = UnitName::parse_service("web").unwrap();
        let made = |change: &dyn Fn()| {
            let before = newest(&host).unwrap();
            let own = newest_of(&host, &web).unwrap();
            while now() < before + 2 * TICK {
                std::thread::yield_now();
            }
            change();
            assert!(newest(&host).unwrap() > before && newest_of(&host, &web).unwrap() > own);
        };
        made(&|| tree.file("etc/systemd/system/web.service.d/n.conf", "[Service]\nNice=5\n"));
        made(&|| tree.file("etc/systemd/system/web.service", "[Service]\n"));
        let long_ago = SystemTime::UNIX_EPOCH;
        made(&|| std::fs::File::open(tree.at("etc/systemd/system/web.service")).unwrap().set_modified(long_ago).unwrap());
        tree.file("opt/web.service", "[Service]\n");
        made(&|| {
            std::fs::remove_file(tree.at("etc/systemd/system/web.service")).unwrap();
            tree.link("/opt/web.service", "etc/systemd/system/web.service");
        });
        made(&|| tree.file("opt/web.service", "[Service]\nNice=5\n"));
    }
}
