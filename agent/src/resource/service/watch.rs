//! What a run started is looked at once more before its end: a program that only systemd keeps alive does not run.

use super::super::fault::{hinted, unread};
use super::super::node::Node;
use super::manager::UnitState;
use super::{ANSWER, diagnose};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::service::{Desired, State};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long after its start a unit is looked at again, at the earliest: a program that cannot work mostly ends within its first second,
/// and systemd starts it again after 100 ms (systemd.service(5), `RestartSec=`).
const LOOK_AFTER: Duration = Duration::from_secs(2);
/// How often we look whether the run was cancelled meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// Units that this run started, restarted or reloaded.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<Vec<Started>>);

#[derive(Debug)]
struct Started {
    unit: String,
    /// The step that did it.
    index: u32,
    at: Instant,
    /// Whether it shall run, and not only have run.
    shall_run: bool,
    /// How often systemd had started it by itself until then (`NRestarts`): a healthy unit may have some.
    restarts: u32,
}

impl Watched {
    fn add(&self, started: Started) {
        let mut units = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        units.retain(|other| other.unit != started.unit);
        units.push(started);
    }

    /// It was stopped, and may stay so.
    pub(super) fn forget(&self, unit: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| other.unit != unit);
    }

    fn take(&self) -> Vec<Started> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Remembers a unit that was found good behind what was done to it.
pub(super) fn watch(desired: &Desired, node: &Node, state: &UnitState, unit: &str, index: u32) {
    let restarts = node.manager.restarts(node, state);
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
    let state = node.manager.state(node, unit, Instant::now() + ANSWER).map_err(unread)?;
    let again = node.manager.restarts(node, &state).saturating_sub(started.restarts);
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

    #[test]
    fn only_the_last_start_of_a_unit_counts_and_none_of_one_that_was_stopped() {
        let started = |unit: &str, index| Started { unit: unit.to_owned(), index, at: Instant::now(), shall_run: true, restarts: 0 };
        let watched = Watched::default();
        watched.add(started("a", 1));
        watched.add(started("b", 2));
        watched.add(started("a", 3));
        watched.forget("b");
        let left: Vec<(String, u32)> = watched.take().into_iter().map(|started| (started.unit, started.index)).collect();
        assert_eq!(left, [("a".to_owned(), 3)]);
    }
}
