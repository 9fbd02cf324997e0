//! apt's lists: how old they are, and which versions they offer.

use super::packages::{ByName, NATIVE, each_package, provide};
use crate::host::child::{Finished, Program};
use crate::host::mounts::room;
use crate::host::{Host, Operation, OsError, Writing};
use ostler_roles::words::{Bytes, Version};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const LISTS: &str = "/var/lib/apt/lists";
/// Where lists are read anew: in memory where there is room for that, else on the disk; in this and the number of the process.
const PLACES: [&str; 2] = ["/run", "/var/lib/ostler"];
const PLACE: &str = "ostler-lists-";
/// What the lists of a Debian release with all its parts take, with room to spare. /run may be no larger than a tenth of a small memory.
const ROOM: u64 = 256 << 20;
/// What stays free for everybody else who writes there, whatever the sources send.
const SPARE: u64 = 64 << 20;
/// Made anew by each of our updates: apt leaves no trace of an update that found nothing new.
const STAMP: &str = "/var/lib/apt/ostler-updated";
/// Lists older than this are read anew before an install.
const OLD: Duration = Duration::from_secs(24 * 3600);
/// The main list of a Debian release has 50 MB.
const CAP: u64 = 512 << 20;

/// Whether the lists are missing, a day old, or older than the package sources. `now` is in seconds since 1970 by the node's clock.
///
/// A time that has not come yet was given by a clock that was wrong: it tells nothing of an age. Nanoseconds count: a source is often
/// written in the second in which the lists were read without it.
fn are_old_at(host: &Host, now: u64) -> Result<bool, OsError> {
    let names = host.list(Path::new(LISTS))?.unwrap_or_default();
    if !names.iter().any(|name| name.to_string_lossy().contains("_Packages") || name.to_string_lossy().ends_with("Release")) {
        return Ok(true);
    }
    let changed = |path: &Path| -> Result<(u64, u64), OsError> {
        let (seconds, nanoseconds) = host.look(path)?.map_or((0, 0), |entry| entry.modified);
        Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds <= now).map_or((0, 0), |seconds| (seconds, nanoseconds)))
    };
    let read = changed(Path::new(STAMP))?.max(changed(Path::new(LISTS))?);
    let mut sources = changed(Path::new("/etc/apt/sources.list"))?.max(changed(Path::new("/etc/apt/sources.list.d"))?);
    for name in host.list(Path::new("/etc/apt/sources.list.d"))?.unwrap_or_default() {
        sources = sources.max(changed(&Path::new("/etc/apt/sources.list.d").join(name))?);
    }
    Ok(sources > read || now.saturating_sub(read.0) > OLD.as_secs())
}

/// The same, now.
pub(in super::super) fn are_old(host: &Host) -> Result<bool, OsError> {
    are_old_at(host, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// Remembers that the lists were just read.
pub(in super::super) fn now_fresh(host: &Host) -> Result<(), OsError> {
    let (user, group) = host.default_owner();
    host.write(Path::new(STAMP), b"", Writing { user, group, mode: 0o644 }, None)
}

/// What the lists offer.
#[derive(Debug, Default)]
pub(in super::super) struct Offers {
    /// Versions by name; those of another architecture under `name:arch`.
    versions: HashMap<String, BTreeSet<Version>>,
    /// Names that packages provide beside their own: by which, in which versions.
    provided: ByName,
}

impl Offers {
    /// Reads all lists, once for all packages that are asked for.
    pub(in super::super) fn read(host: &Host, deadline: Instant) -> Result<Self, OsError> {
        Self::of_lists(host, Path::new(LISTS), deadline)
    }

    /// What the package sources offer now, asked for into a place of our own: the node's lists stay as they are. Nothing where the
    /// lists are no older than the sources, or cannot be read anew.
    pub(in super::super) fn anew(host: &Host, deadline: Instant) -> Result<Self, OsError> {
        if !host.is_running() || !host.is_root() || !are_old(host)? {
            return Ok(Self::default());
        }
        remove_left_over(host);
        let need = ROOM.max(host.bytes_in(Path::new(LISTS)).saturating_mul(2));
        let place = roomy(&PLACES.map(Path::new), need)?.join(format!("{PLACE}{}", std::process::id()));
        let fail = |source| OsError::new(Operation::Write, place.display(), source);
        std::fs::create_dir_all(place.join("partial")).map_err(fail)?;
        let offers = update_into(&place, deadline).and_then(|()| Self::of_lists(host, &place, deadline));
        // The next one removes what stays.
        let _ = std::fs::remove_dir_all(&place);
        offers
    }

    /// Compressed lists are read through apt's own reader; that of an archive in a directory is a link to it.
    fn of_lists(host: &Host, lists: &Path, deadline: Instant) -> Result<Self, OsError> {
        let mut offers = Self { versions: HashMap::with_capacity(1 << 16), provided: HashMap::new() };
        let names = host.list(lists)?.unwrap_or_default();
        let mut compressed = Vec::new();
        for name in names.iter().filter(|name| name.to_string_lossy().contains("_Packages")) {
            let list = lists.join(name);
            if !name.to_string_lossy().ends_with("_Packages") {
                compressed.push(list.to_string_lossy().into_owned());
            } else if let Some(bytes) = host.read_through(&list, CAP)? {
                offers.collect(&bytes);
            }
        }
        if !compressed.is_empty() && host.is_running() {
            let mut program = Program::new(["/usr/lib/apt/apt-helper", "cat-file"].map(str::to_owned).into_iter().chain(compressed));
            program.keep = usize::try_from(CAP).unwrap_or(usize::MAX);
            let finished = program.run_to_end(deadline)?;
            if !finished.is_good() {
                let why = std::io::Error::other(format!("{}: {}", finished.status, finished.tail.last_line()));
                return Err(OsError::new(Operation::Read, lists.display(), why));
            }
            offers.collect(finished.said()?);
        }
        Ok(offers)
    }

    fn collect(&mut self, bytes: &[u8]) {
        each_package(bytes, &mut |package, provides| {
            if package.version.is_empty() {
                return;
            }
            if package.is_native() {
                provide(&mut self.provided, &package, provides);
            }
            let key = if package.is_native() { package.name } else { format!("{}:{}", package.name, package.arch) };
            self.versions.entry(key).or_default().insert(Version(package.version));
        });
    }

    /// The versions of `name`, newest first.
    pub(in super::super) fn of(&self, name: &str) -> Vec<Version> {
        self.versions.get(own_name(name)).map(|versions| versions.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// Packages of other names that provide `name` in their newest version, which is the one that apt would take.
    pub(in super::super) fn providers(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        let name = own_name(name);
        for by in self.provided.get(name).into_iter().flatten() {
            let newest = self.versions.get(&by.name).and_then(BTreeSet::last).is_some_and(|newest| newest.as_str() == by.version);
            if newest && by.name != name && !found.contains(&by.name) {
                found.push(by.name.clone());
            }
        }
        found.sort();
        found
    }
}

/// `git:amd64` is `git` where amd64 is the node's own architecture (apt-get(8), install).
fn own_name(name: &str) -> &str {
    name.rsplit_once(':').filter(|(_, arch)| *arch == NATIVE).map_or(name, |(name, _)| name)
}

/// The first of these places that has room for so many bytes; the nearest directory above counts for one that is not there.
fn roomy(places: &[&Path], need: u64) -> Result<PathBuf, OsError> {
    let mut said = Vec::new();
    for place in places {
        let there = place.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let free = room(there)?.free;
        if free >= need.saturating_add(SPARE) {
            return Ok((*place).to_owned());
        }
        said.push(format!("{} has {}", place.display(), Bytes(free)));
    }
    Err(no_room(format!("they may take {}, {} are to stay free, and {}", Bytes(need), Bytes(SPARE), said.join(", "))))
}

fn no_room(why: String) -> OsError {
    OsError::new(Operation::Read, "the package sources", std::io::Error::new(std::io::ErrorKind::StorageFull, why))
}

/// Removes the places of processes that were killed before they could. What cannot be removed, or goes meanwhile, is in nobody's way.
fn remove_left_over(host: &Host) {
    for above in PLACES.map(Path::new) {
        for name in host.list(above).ok().flatten().unwrap_or_default() {
            let owner = name.to_str().and_then(|name| name.strip_prefix(PLACE)).and_then(|number| number.parse::<u32>().ok());
            if owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists()) {
                let _ = std::fs::remove_dir_all(host.outside(&above.join(&name)));
            }
        }
    }
}

fn update_into(place: &Path, deadline: Instant) -> Result<(), OsError> {
    let lists = format!("Dir::State::lists={}", place.display());
    // Its cache would be that of the node; `_apt` has no way into our place.
    let options = [lists.as_str(), "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=", "APT::Sandbox::User=root"];
    let options = options.into_iter().flat_map(|option| ["-o", option]);
    let finished = within_room(Program::new(["apt-get", "--quiet"].into_iter().chain(options).chain(["update"])), place, deadline)?;
    if finished.is_good() && !finished.tail.mentions("Failed to fetch") {
        return Ok(());
    }
    let why = std::io::Error::other(format!("apt-get update: {}: {}", finished.status, finished.tail.last_line()));
    Err(OsError::new(Operation::Read, "the package sources", why))
}

/// Runs a program that writes to this place, and stops it before that is full.
fn within_room(program: Program, place: &Path, deadline: Instant) -> Result<Finished, OsError> {
    let is_short = || room(place).is_ok_and(|room| room.free < SPARE);
    let finished = program.run(deadline, &is_short)?;
    if finished.cancelled {
        return Err(no_room(format!("their lists were stopped: less than {} were left free in {}", Bytes(SPARE), place.display())));
    }
    Ok(finished)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::SmallDisk;

    fn host(tree: &Path) -> Host {
        std::fs::create_dir_all(tree.join("var/lib/apt/lists")).unwrap();
        Host::at(tree).unwrap()
    }

    #[test]
    fn versions_come_from_every_list_of_our_architecture() {
        let tree = tempfile::tempdir().unwrap();
        let host = host(tree.path());
        let list = format!(
            "Package: git\nArchitecture: {NATIVE}\nVersion: 1:2.39.5\n\nPackage: git\nArchitecture: m68k\nVersion: 9\n\n\
             Package: git-man\nArchitecture: all\nVersion: 1\n"
        );
        std::fs::write(tree.path().join("var/lib/apt/lists/deb_main_Packages"), list).unwrap();
        let list = format!("Package: git\nVersion: 1:2.40.0\nArchitecture: {NATIVE}\n\nPackage: other\n");
        std::fs::create_dir(tree.path().join("srv")).unwrap();
        std::fs::write(tree.path().join("srv/Packages"), list).unwrap();
        std::os::unix::fs::symlink("/srv/Packages", tree.path().join("var/lib/apt/lists/_srv_._Packages")).unwrap();
        let offers = Offers::read(&host, Instant::now()).unwrap();
        let of = |name: &str| offers.of(name).iter().map(|version| version.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(of("git"), ["1:2.40.0", "1:2.39.5"]);
        assert_eq!(of("git:m68k"), ["9"]);
        assert_eq!(of(&format!("git:{NATIVE}")), of("git"), "as apt reads the name");
        assert!(of("none").is_empty() && of("other").is_empty());
    }

    #[test]
    fn who_provides_a_name_in_its_newest_version_is_known() {
        let tree = tempfile::tempdir().unwrap();
        let host = host(tree.path());
        let list = "Package: gawk\nArchitecture: all\nVersion: 1\nProvides: awk\n\nPackage: mawk\nArchitecture: all\nVersion: 1\nProvides: awk (= 1), x\n\n\
            Package: old\nArchitecture: all\nVersion: 1\nProvides: awk\n\nPackage: old\nArchitecture: all\nVersion: 2\n\n\
            Package: far\nArchitecture: m68k\nVersion: 1\nProvides: awk\n";
        std::fs::write(tree.path().join("var/lib/apt/lists/x_Packages"), list).unwrap();
        let offers = Offers::read(&host, Instant::now()).unwrap();
        assert_eq!(offers.providers("awk"), ["gawk", "mawk"]);
        assert_eq!(offers.providers("x"), ["mawk"]);
        assert_eq!(offers.providers(&format!("x:{NATIVE}")), ["mawk"]);
        assert!(offers.providers("gawk").is_empty() && offers.of("awk").is_empty());
    }

    #[test]
    fn lists_are_old_when_missing_or_before_the_sources() {
        const YEAR: u64 = 365 * 24 * 3600;
        let tree = tempfile::tempdir().unwrap();
        let host = host(tree.path());
        assert!(are_old(&host).unwrap());
        std::fs::write(tree.path().join("var/lib/apt/lists/x_Release"), "").unwrap();
        assert!(!are_old(&host).unwrap());
        std::fs::create_dir_all(tree.path().join("etc/apt")).unwrap();
        let sources = std::fs::File::create(tree.path().join("etc/apt/sources.list")).unwrap();
        let lists = std::fs::File::open(tree.path().join("var/lib/apt/lists")).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let at = |(seconds, nanoseconds): (u64, u32)| UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        for (read, written, old, why) in [
            ((now - 60, 0), (now - 30, 0), true, "the sources are newer"),
            ((now - 60, 0), (0, 0), false, "they are not"),
            ((now - 60, 1), (now - 60, 2), true, "they are, in the same second"),
            ((now - 60, 2), (now - 60, 1), false, "they are not, in the same second"),
            ((now - 100_000, 0), (0, 0), true, "more than a day"),
            ((now + YEAR, 0), (0, 0), true, "read under a clock that was ahead: nobody knows when"),
            ((now + YEAR, 0), (now - 30, 0), true, "and the sources may be newer"),
            ((now - 60, 0), (now + YEAR, 0), false, "sources of the same clock cannot be told from older ones"),
            ((now - YEAR, 0), (0, 0), true, "read under a clock that was behind"),
        ] {
            lists.set_modified(at(read)).unwrap();
            sources.set_modified(at(written)).unwrap();
            assert_eq!(are_old_at(&host, now).unwrap(), old, "{why}");
        }
        now_fresh(&host).unwrap();
        assert!(!are_old(&host).unwrap(), "our own stamp counts, whatever the lists say");
    }

    #[test]
    fn lists_are_read_anew_where_there_is_room_and_stopped_before_it_is_full() {
        if !crate::host::tests::proves_as_root("lists that do not fit into a small /run") {
            return;
        }
        let tree = tempfile::tempdir().unwrap();
        // 128 MiB, some of it the file system's own.
        let small = SmallDisk::of_size(tree.path(), 128 << 20, &["-m", "0"]);
        let (run, disk) = (small.path(), tree.path().join("none/yet"));
        assert_eq!(roomy(&[run, &disk], 16 << 20).unwrap(), run);
        assert_eq!(roomy(&[run, &disk], ROOM).unwrap(), disk, "the disk has it");
        let refused = roomy(&[run], ROOM).unwrap_err();
        assert!(refused.is_full());
        let said = refused.source.to_string();
        assert!(said.starts_with(&format!("they may take 256 MiB, 64 MiB are to stay free, and {} has ", run.display())), "{said}");
        // More comes than was thought: the file system is not filled.
        let lists = run.join("lists");
        let program = Program::new(["sh", "-c", "head -c 80M /dev/zero >\"$0\"; exec sleep 600", lists.to_str().unwrap()]);
        let stopped = within_room(program, run, Instant::now() + Duration::from_secs(300)).unwrap_err();
        assert!(stopped.is_full() && stopped.source.to_string().starts_with("their lists were stopped: less than 64 MiB"), "{stopped:?}");
    }

    #[test]
    fn what_a_killed_process_left_in_run_goes_and_nothing_else() {
        let tree = tempfile::tempdir().unwrap();
        let host = host(tree.path());
        remove_left_over(&host);
        let (own, other) = (format!("{PLACE}{}", std::process::id()), format!("{PLACE}mine"));
        // Above what a process's number may be (proc(5), pid_max).
        for name in [&format!("{PLACE}4194305"), &own, &other, "ostler"] {
            std::fs::create_dir_all(tree.path().join("run").join(name).join("partial")).unwrap();
        }
        // One that cannot be removed so holds up neither the others nor the plan.
        let stays = format!("{PLACE}4194304");
        std::fs::write(tree.path().join("run").join(&stays), "").unwrap();
        remove_left_over(&host);
        let mut wanted = ["ostler", own.as_str(), other.as_str(), stays.as_str()];
        wanted.sort_unstable();
        assert_eq!(host.list(Path::new("/run")).unwrap().unwrap(), wanted);
        std::fs::create_dir_all(tree.path().join("var/lib/ostler").join(format!("{PLACE}4194305"))).unwrap();
        remove_left_over(&host);
        assert!(host.list(Path::new("/var/lib/ostler")).unwrap().unwrap().is_empty(), "and on the disk");
    }
}
