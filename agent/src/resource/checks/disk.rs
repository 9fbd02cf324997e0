//! `disk`: room on the file system that really holds a path.

use super::super::fault::{failure, unread};
use super::super::node::Node;
use crate::host::mounts;
use ostler_roles::check::{Disk, Evidence};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::words::Bytes;
use std::path::Path;

pub(super) fn read(node: &Node, disk: &Disk, to_write: &[(String, Bytes)]) -> Result<Evidence, Failure> {
    let mounts = node.host.mounts().map_err(unread)?;
    let nearest = node.host.nearest(disk.path.as_path()).map_err(unread)?;
    let mount = mounts::holding(&mounts, &nearest)
        .ok_or_else(|| failure(FailureKind::Observe, format!("no file system of the mount table holds {}", nearest.display())))?;
    let room = mounts::room(&nearest).map_err(unread)?;
    // What the plan writes elsewhere takes nothing from this file system.
    let here = |path: &str| {
        let place = node.host.nearest(Path::new(path)).ok()?;
        Some(mounts::holding(&mounts, &place)?.point == mount.point)
    };
    let planned = to_write.iter().filter(|(path, _)| here(path).unwrap_or(true)).map(|(_, bytes)| bytes.count()).sum();
    Ok(Evidence::Disk {
        mount: mount.point.display().to_string(),
        file_system: mount.kind.clone(),
        size: Bytes(room.size),
        free: Bytes(room.free),
        to_write: Bytes(planned),
    })
}
