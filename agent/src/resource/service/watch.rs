//! What a run started is looked at once more before its end: a program that only systemd keeps alive does not run.

use super::super::fault::{hinted, unread};
use super::super::known::systemd::ANSWER;
use super::super::known::{Started, UnitState};
use super::super::node::Node;
use super::diagnose;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::service::{Desired, State};
use std::time::{Duration, Instant};

/// How long after its start a unit is looked at again, at the earliest: a program that cannot work mostly ends within its first second,
/// and systemd starts it again after 100 ms (systemd.service(5), `RestartSec=`).
const LOOK_AFTER: Duration = Duration::from_secs(2);
/// How often we look whether the run was cancelled meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// Remembers a unit that was found good behind what was done to it.
pub(super) fn watch(desired: &Desired, node: &Node, state: &UnitState, unit: &str, index: u32) {
    let restarts = node.manager.restarts(&node.host, state);
    let shall_run = desired.state == Some(State::Running);
    node.manager.watched.add(Started { unit: unit.to_owned(), index, at: Instant::now(), shall_run, restarts });
}

/// Looks at all of them, once the last has had its time: the steps whose units do not stay up.
pub(in super::super) fn look_again(node: &Node, cancelled: &dyn Fn() -> bool) -> Vec<(u32, Failure)> {
    let units = node.manager.watched.take();
    let Some(end) = units.iter().map(|started| started.at + LOOK_AFTER).max() else { return Vec::new() };
    while Instant::now() < end {
        if cancelled() {
            return Vec::new();
        }
        std::thread::sleep(PAUSE.min(end.saturating_duration_since(Instant::now())));
    }
    units.iter().filter_map(|started| look(node, started).err().map(|failure| (started.index, failure))).collect()
}

fn look(node: &Node, started: &Started) -> Result<(), Failure> {
    let unit = &started.unit;
    let state = node.manager.state(&node.host, unit, Instant::now() + ANSWER).map_err(unread)?;
    let again = node.manager.restarts(&node.host, &state).saturating_sub(started.restarts);
    let Some(why) = why_not_up(state.active_or_restarting(), again, started.shall_run) else { return Ok(()) };
    let within = started.at.elapsed().as_secs_f64();
    let message = format!("{unit} does not stay up: {why}, {within:.1} s after its start");
    let hint = format!("on the node: systemctl status {unit}; journalctl -u {unit}");
    Err(diagnose::diagnose(node, "start", unit, hinted(FailureKind::DidNotConverge, message, hint)))
}

/// What is wrong with a unit that was found so, and that systemd has started so often since.
fn why_not_up(active: &str, again: u32, shall_run: bool) -> Option<String> {
    match active {
        "auto-restart" => Some("it has ended, and systemd waits to start it again".to_owned()),
        "failed" => Some("it has failed".to_owned()),
        "inactive" if shall_run => Some("it has ended".to_owned()),
        _ if again > 0 => Some(format!("systemd has started it {} again", ostler_roles::words::count(again as usize, "time"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_stays_up_when_it_runs_and_was_not_started_again() {
        let up = |active, again, shall_run| why_not_up(active, again, shall_run).is_none();
        assert!(up("active", 0, true) && up("reloading", 0, true) && up("inactive", 0, false));
        assert!(!up("active", 1, true) && !up("active", 1, false));
        assert!(!up("auto-restart", 0, true) && !up("auto-restart", 0, false));
        assert!(!up("failed", 0, false) && !up("inactive", 0, true));
        assert!(up("activating", 0, true), "somebody else restarts it");
    }
}
