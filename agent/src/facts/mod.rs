//! What is known of this node: stable facts for templates, live ones for people and requirements.

mod machine;
mod network;
mod system;

pub use machine::virtualization;

use crate::host::deadline::within;
use crate::host::mounts::room;
use crate::host::{Host, Operation, OsError};
use ostler_roles::facts::{Facts, Kernel, LiveFacts, MOST, Mount};
use ostler_roles::words::{Bytes, Version};
use std::path::Path;
use std::time::{Duration, Instant};
use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, RefreshKind, System};

/// A file system that does not tell its room in this time is away: its line is left out.
const DISKS: Duration = Duration::from_secs(3);
/// Files of /proc and /etc that facts are read from are small.
const CAP: u64 = 4 << 20;

/// What holds for the whole run. Every account reads the same.
///
/// # Errors
/// When something every Linux has cannot be read.
pub fn stable(host: &Host) -> Result<Facts, OsError> {
    let kind = machine::kind(host)?;
    let system = sample(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()).with_cpu(CpuRefreshKind::nothing()))?;
    let present = |path: &str| host.look(Path::new(path)).is_ok_and(|found| found.is_some());
    let managers = [("/usr/bin/apt-get", "apt"), ("/usr/bin/dnf", "dnf"), ("/sbin/apk", "apk")];
    let init = match machine::init_of_tree(host) {
        Some(init) => init,
        None => text(host, "/proc/1/comm")?.trim().to_owned(),
    };
    Ok(Facts {
        hostname: System::host_name().map_err(|source| unread("the host's name", source))?,
        system: system::read(host)?,
        arch: system::arch(),
        kernel: Kernel { release: release()?, shared: kind.container },
        virtualization: kind.word,
        cpus: u32::try_from(system.cpus().len()).unwrap_or(u32::MAX),
        memory: Bytes(system.total_memory()),
        addresses: network::addresses(host)?,
        host_keys: system::host_keys(host)?,
        package_manager: managers.iter().find(|(path, _)| present(path)).map_or_else(String::new, |(_, word)| (*word).to_owned()),
        init,
    })
}

/// What changes under our feet.
///
/// # Errors
/// When the kernel does not tell.
pub fn live() -> Result<LiveFacts, OsError> {
    let system = sample(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()))?;
    let load = System::load_average().map_err(|source| unread("the load", source))?;
    Ok(LiveFacts {
        mounts: mounts(),
        memory_available: Bytes(system.available_memory()),
        // Loads are small positive numbers: a cast of one that is not gives 0.
        load_hundredths: (load.one * 100.0).round() as u32,
    })
}

/// Installed memory.
///
/// # Errors
/// When the kernel does not tell.
pub fn memory() -> Result<Bytes, OsError> {
    let system = sample(RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()))?;
    Ok(Bytes(system.total_memory()))
}

/// `uname -r`.
///
/// # Errors
/// When the kernel does not tell.
pub fn release() -> Result<Version, OsError> {
    System::kernel_version().map(Version).map_err(|source| unread("the kernel's release", source))
}

fn sample(what: RefreshKind) -> Result<System, OsError> {
    System::new_with_specifics(what).map_err(|source| unread("the system", source))
}

fn unread(what: &str, source: impl std::fmt::Display) -> OsError {
    OsError::new(Operation::Ask, what, std::io::Error::other(source.to_string()))
}

/// File systems that hold data. One that hangs holds up nobody: the thread that asks for it is left behind.
fn mounts() -> Vec<Mount> {
    let ask = || Disks::new_with_refreshed_list().map(|disks| disks.iter().map(mount).collect()).unwrap_or_default();
    // Shown to people, and decided by nothing: those that cannot be read are left out.
    let mut mounts: Vec<Mount> = within("the disks", Instant::now() + DISKS, ask).unwrap_or_default();
    mounts.sort_by(|a, b| a.point.cmp(&b.point));
    mounts.truncate(MOST);
    mounts
}

fn mount(disk: &sysinfo::Disk) -> Mount {
    let room = room(disk.mount_point()).ok();
    Mount {
        point: disk.mount_point().to_string_lossy().into_owned(),
        kind: disk.file_system().to_string_lossy().into_owned(),
        device: disk.name().to_string_lossy().into_owned(),
        size: Bytes(disk.total_space()),
        free: Bytes(disk.available_space()),
        inodes: room.map_or(0, |room| room.inodes),
        inodes_free: room.map_or(0, |room| room.inodes_free),
    }
}

/// A small text file; empty where there is none.
fn text(host: &Host, path: &str) -> Result<String, OsError> {
    Ok(String::from_utf8_lossy(&host.read_through(Path::new(path), CAP)?.unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts_and_they_hold() {
        let host = Host::running().unwrap();
        let facts = stable(&host).unwrap();
        assert!(facts.cpus > 0 && facts.memory.count() > 64 << 20, "{facts:?}");
        assert!(!facts.kernel.release.as_str().is_empty() && !facts.system.id.is_empty() && !facts.virtualization.is_empty());
        assert_eq!(facts.digest(), stable(&host).unwrap().digest());
        let live = live().unwrap();
        assert!(live.memory_available.count() > 0);
        let holds = |mount: &Mount| mount.size >= mount.free && mount.size.count() > 0 && !mount.point.is_empty();
        assert!(!live.mounts.is_empty() && live.mounts.iter().all(holds), "{:?}", live.mounts);
    }
}
