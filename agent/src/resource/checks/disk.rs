//! `disk`: room on the file system that really holds a path, with all that the plan and other requirements take of it.

use super::super::fault::{failure, unread};
use super::Reading;
use crate::host::deadline::within;
use crate::host::{Host, mounts};
use ostler_roles::check::{Demands, Disk, disk::Evidence};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::words::Bytes;
use std::path::Path;

pub(super) fn read(disk: &Disk, reading: &Reading<'_>) -> Result<Evidence, Failure> {
    let what = format!("the file system of {}", disk.path);
    let (host, disk, demands) = (reading.node.host.again().map_err(unread)?, disk.clone(), reading.demands.clone());
    let answer = within(&what, reading.deadline, move || found(&host, &disk, &demands));
    answer.map_err(unread)?
}

fn found(host: &Host, disk: &Disk, demands: &Demands) -> Result<Evidence, Failure> {
    let mounts = host.mounts().map_err(unread)?;
    let nearest = host.nearest(disk.path.as_path()).map_err(unread)?;
    let mount = mounts::holding(&mounts, &nearest)
        .ok_or_else(|| failure(FailureKind::Observe, format!("no file system of the mount table holds {}", nearest.display())))?;
    let room = mounts::room(&nearest).map_err(unread)?;
    // One file system may be mounted in several places; what is taken of another one takes nothing of this.
    let here = |path: &Path| {
        let place = host.nearest(path).ok()?;
        Some(mounts::holding(&mounts, &place)?.device == mount.device)
    };
    let (mut to_write, mut unknown) = (0u64, Vec::new());
    for write in demands.writes.iter().filter(|write| here(Path::new(&write.path)).unwrap_or(true)) {
        match write.bytes {
            Some(bytes) => to_write = to_write.saturating_add(bytes.count()),
            None => unknown.push(write.by.clone()),
        }
    }
    let on_it = |(_, share): &(usize, &ostler_roles::check::Share)| here(share.path.as_path()).unwrap_or(false);
    let shares: Vec<_> = demands.shares.iter().enumerate().filter(on_it).collect();
    // The sum is told once, with the largest part of it; each of the others must hold alone as well.
    let largest = shares.iter().max_by_key(|(index, share)| (share.free_after, std::cmp::Reverse(*index)));
    let largest = demands.own.is_some() && largest.map(|(index, _)| *index) == demands.own;
    Ok(Evidence {
        mount: mount.point.display().to_string(),
        file_system: mount.kind.clone(),
        size: Bytes(room.size),
        free: Bytes(room.free),
        to_write: Bytes(to_write),
        unknown,
        shares: if largest { shares.into_iter().map(|(_, share)| share.clone()).collect() } else { Vec::new() },
    })
}
