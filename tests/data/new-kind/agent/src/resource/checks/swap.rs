//! `swap`: what /proc/meminfo says of it (proc_meminfo(5)).

use super::super::fault::{failure, unread};
use super::Reading;
use ostler_roles::check::{Swap, swap::Evidence};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::words::Bytes;
use std::path::Path;

pub(super) fn read(_: &Swap, reading: &Reading<'_>) -> Result<Evidence, Failure> {
    let text = reading.node.host.read_through(Path::new("/proc/meminfo"), 1 << 16).map_err(unread)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let total = text.lines().find_map(|line| line.strip_prefix("SwapTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    total.map(|kib| Bytes(kib * 1024)).ok_or_else(|| failure(FailureKind::Observe, "/proc/meminfo names no SwapTotal"))
}
