//! One cgroup a node, one a command: how the lab cuts, freezes and counts what runs in it.
//!
//! cgroup directories are the one thing that outlives the namespaces: they are swept when a lab goes down and when the next comes up.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::LabError;

/// Directory below the root of the unified hierarchy that holds every lab.
const HOUSE: &str = "ostler-lab";

/// Long enough for any number of sweeps by others.
const MOVE_LIMIT: Duration = Duration::from_secs(2);

/// A cgroup of the lab.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Moves the calling process into a lab's own cgroup below a mounted unified hierarchy, made where it is missing.
    pub(crate) fn move_in(hierarchy: &Path, id: &str) -> Result<Self, LabError> {
        let end = Instant::now() + MOVE_LIMIT;
        loop {
            let moved = Self::make(hierarchy.join(HOUSE).join(id)).and_then(|lab| lab.child("keeper")?.enter().map(|()| lab));
            // A sweep of another lab takes empty directories until somebody has moved in, that of all labs included.
            if moved.is_ok() || Instant::now() >= end {
                return moved;
            }
        }
    }

    /// Returns a child cgroup, made where it is missing.
    pub(crate) fn child(&self, name: &str) -> Result<Self, LabError> {
        Self::make(self.dir.join(name))
    }

    fn make(dir: PathBuf) -> Result<Self, LabError> {
        fs::create_dir_all(&dir).map_err(LabError::file("create cgroup", &dir))?;
        Ok(Self { dir })
    }

    /// Moves the calling process in.
    pub(crate) fn enter(&self) -> Result<(), LabError> {
        self.write("cgroup.procs", "0")
    }

    /// Kills every process in it, at once (`cgroup.kill`, Linux 5.14).
    pub(crate) fn kill(&self) -> Result<(), LabError> {
        self.write("cgroup.kill", "1")
    }

    /// Stops or continues every process in it.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<(), LabError> {
        self.write("cgroup.freeze", if frozen { "1" } else { "0" })
    }

    fn write(&self, file: &str, value: &str) -> Result<(), LabError> {
        let path = self.dir.join(file);
        fs::write(&path, value).map_err(LabError::file("write", &path))
    }

    /// Removes it with all its children; returns whether it is gone.
    pub(crate) fn remove(&self) -> bool {
        remove(&self.dir)
    }

    /// Returns words to put before a command so that it runs in this cgroup from its first instruction on.
    ///
    /// The shell text is fixed; the command is only ever data to it.
    pub(crate) fn wrap(&self) -> [OsString; 4] {
        let join = r#"echo 0 > "$0" && exec "$@""#;
        ["/bin/sh".into(), "-c".into(), join.into(), self.dir.join("cgroup.procs").into()]
    }
}

/// Returns where the unified hierarchy is mounted for the calling process.
pub(crate) fn hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .map(|fields| fields[1].into())
}

fn populated(dir: &Path) -> bool {
    fs::read_to_string(dir.join("cgroup.events")).is_ok_and(|text| text.lines().any(|line| line == "populated 1"))
}

/// Waits until no process of the lab is left, then removes its cgroups.
pub(crate) fn sweep_lab(hierarchy: &Path, id: &str, limit: Duration) -> Result<(), LabError> {
    let dir = hierarchy.join(HOUSE).join(id);
    let end = Instant::now() + limit;
    while !remove(&dir) {
        if Instant::now() >= end {
            return Err(LabError::Deadline { what: format!("the processes in {} to end", dir.display()), after: limit });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = fs::remove_dir(hierarchy.join(HOUSE));
    Ok(())
}

/// Kills every process of a lab, wherever in it.
pub(crate) fn kill_lab(hierarchy: &Path, id: &str) {
    // One that is gone is what was wanted.
    let _ = Cgroup { dir: hierarchy.join(HOUSE).join(id) }.kill();
}

/// Removes what labs that are gone left behind.
pub(crate) fn sweep_dead(hierarchy: &Path) {
    let house = hierarchy.join(HOUSE);
    for lab in fs::read_dir(&house).into_iter().flatten().filter_map(Result::ok) {
        if !populated(&lab.path()) {
            remove(&lab.path());
        }
    }
    let _ = fs::remove_dir(house);
}

/// Removes a cgroup depth first; the kernel itself refuses one with a process in it.
fn remove(dir: &Path) -> bool {
    for entry in fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    match fs::remove_dir(dir) {
        Ok(()) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn moving_in_succeeds_while_others_sweep() {
        let hierarchy = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Acquire) {
                        sweep_dead(hierarchy.path());
                    }
                });
            }
            let failed = (0..2000).find_map(|_| {
                let moved = Cgroup::move_in(hierarchy.path(), "one");
                // Here nothing is a cgroup: who has moved in is a file, and goes by hand.
                let left = fs::remove_file(hierarchy.path().join("ostler-lab/one/keeper/cgroup.procs"));
                moved.err().map(|error| error.to_string()).or(left.err().map(|error| error.to_string()))
            });
            done.store(true, Ordering::Release);
            assert_eq!(failed, None);
        });
    }
}
