//! dpkg's locks: who holds them, and waiting for them within our own deadline.

use super::super::fault::{failure, hinted, unmade};
use super::super::{node::Node, note};
use crate::engine::ApplyContext;
use crate::host::{Operation, OsError, child};
use ostler_roles::outcome::{Failure, FailureKind};
use rustix::process::{Flock, FlockOffsetType, FlockType};
use std::path::Path;
use std::time::{Duration, Instant};

/// The locks of dpkg and apt (dpkg(1), apt-get(8)): the front end's first, as they take it first.
const LOCKS: [&str; 4] = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"];
/// How often a held lock is looked at.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    lock: &'static str,
    pid: i32,
    name: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pid {
            0 => write!(f, "a process outside this container holds {}", self.lock),
            pid => write!(f, "{} (process {pid}) holds {}", self.name, self.lock),
        }
    }
}

/// Waits until no one holds dpkg's locks, telling who does.
pub(super) fn wait(node: &Node, work: &ApplyContext<'_>) -> Result<(), Failure> {
    let mut told: Option<Holder> = None;
    let started = Instant::now();
    while let Some(holder) = holder(node)? {
        if (work.cancelled)() {
            return Err(failure(FailureKind::Cancelled, format!("cancelled while waiting: {holder}")));
        }
        if Instant::now() >= work.deadline {
            let hint = match holder.pid {
                0 => "see which program on the host works in this container".to_owned(),
                pid => format!("on the node: ps -fp {pid}; wait for it to end, or raise `within` of this step"),
            };
            let waited = started.elapsed().as_secs();
            return Err(hinted(FailureKind::Deadline, format!("waited {waited} s for the package lock: {holder}"), hint));
        }
        if told.as_ref() != Some(&holder) {
            note(work, format!("waiting for the package lock: {holder}"));
            told = Some(holder);
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

fn holder(node: &Node) -> Result<Option<Holder>, Failure> {
    for lock in LOCKS {
        let Some((file, _)) = node.host.open(Path::new(lock)).map_err(unmade)? else { continue };
        let wanted = Flock { start: 0, length: 0, pid: None, typ: FlockType::WriteLock, offset_type: FlockOffsetType::Set };
        let held = rustix::process::fcntl_getlk(&file, &wanted).map_err(|source| unmade(OsError::new(Operation::Ask, lock, source)))?;
        if let Some(held) = held {
            let pid = held.pid.map_or(0, |pid| pid.as_raw_nonzero().get());
            return Ok(Some(Holder { lock, pid, name: child::name_of(pid) }));
        }
    }
    Ok(None)
}
