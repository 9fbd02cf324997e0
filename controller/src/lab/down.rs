//! The end of a lab, whatever holds it: asked, waited for, killed, swept away.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::process::Pid;

use super::cgroup;
use super::error::LabError;
use super::holder::{END_LIMIT, HOLDER_VERB};
use super::paths::LabPaths;
use super::protocol::{Reply, Request};
use super::wire::Wire;

/// How long a holder that goes down may take to say so.
const DOWN_ANSWER: Duration = Duration::from_secs(10);
/// How long one that said so may take before it is killed: it waits itself for those that it holds.
pub(super) const DOWN_PATIENCE: Duration = END_LIMIT.saturating_add(Duration::from_secs(2));
/// How long its end may take.
pub(super) const DOWN_LIMIT: Duration = Duration::from_secs(30);

/// Takes down whatever holds this place, and removes what a killed lab left.
///
/// # Errors
/// When something of it does not end.
pub(super) fn bring_down(place: &LabPaths) -> Result<(), LabError> {
    let wire = Wire::connect(&place.socket()).ok();
    let asked = wire.as_ref().map(|wire| wire.ask::<_, Reply>(&Request::Down, &[], DOWN_ANSWER, "the lab to go down"));
    // One that does not understand, hangs or cannot be reached ends like any other process; everything of the lab goes with it.
    // One that died while it answered is as good as one that has answered.
    let answered = matches!(asked, Some(Ok(Some((Reply::Done, _)))));
    if !answered || wait_for_holder(place, DOWN_PATIENCE).is_err() {
        kill_holder(place, wire.as_ref());
    }
    wait_for_holder(place, DOWN_LIMIT)?;
    // Nobody holds what is left, if anything is.
    if let Some(hierarchy) = cgroup::hierarchy() {
        cgroup::kill_lab(&hierarchy, &place.id());
    }
    clear(place, DOWN_LIMIT)
}

/// Kills the holder of this place, if one lives: it is who listens on the socket, or else who wrote its number into the lock.
fn kill_holder(place: &LabPaths, wire: Option<&Wire>) {
    let peer = wire.and_then(|wire| rustix::net::sockopt::socket_peercred(wire).ok()).map(|peer| peer.pid);
    let said = || Pid::from_raw(fs::read_to_string(place.lock()).ok()?.trim().parse().ok()?);
    let Some(holder) = peer.or_else(said) else { return };
    let line = fs::read(format!("/proc/{}/cmdline", holder.as_raw_pid())).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0);
    if words.any(|word| word == HOLDER_VERB.as_bytes()) && words.any(|word| word == place.dir().as_os_str().as_encoded_bytes()) {
        // One that has ended meanwhile is what was wanted.
        let _ = rustix::process::kill_process(holder, rustix::process::Signal::KILL);
    }
}

/// Waits until nothing of an earlier lab in this place lives, then removes its cgroups and what only it needed.
pub(super) fn clear(place: &LabPaths, limit: Duration) -> Result<(), LabError> {
    wait_for_holder(place, limit)?;
    if let Some(hierarchy) = cgroup::hierarchy() {
        cgroup::sweep_lab(&hierarchy, &place.id(), limit)?;
    }
    place.forget()
}

/// Waits for the holder's lock to be free: its process has ended then, and so has PID 1 of the lab.
fn wait_for_holder(place: &LabPaths, limit: Duration) -> Result<(), LabError> {
    let path = place.lock();
    let Ok(file) = fs::File::open(&path) else { return Ok(()) };
    let end = Instant::now() + limit;
    while rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err() {
        if Instant::now() >= end {
            return Err(LabError::Deadline { what: format!("the holder of {} to end", place.dir().display()), after: limit });
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
