//! What this run started, and when: looked at once more before its end.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Units that this run started, restarted or reloaded.
#[derive(Debug, Default)]
pub(in super::super) struct StartedUnits(Mutex<Vec<Started>>);

/// One of them.
#[derive(Debug)]
pub(in super::super) struct Started {
    /// Its name.
    pub(in super::super) unit: String,
    /// The step that did it.
    pub(in super::super) index: u32,
    /// When.
    pub(in super::super) at: Instant,
    /// Whether it shall run, and not only have run.
    pub(in super::super) shall_run: bool,
    /// How often systemd had started it by itself until then (`NRestarts`): a healthy unit may have some.
    pub(in super::super) restarts: u32,
}

impl StartedUnits {
    /// Adds it; only the last start of a unit counts.
    pub(in super::super) fn add(&self, started: Started) {
        let mut units = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        units.retain(|other| other.unit != started.unit);
        units.push(started);
    }

    /// It was stopped, and may stay so.
    pub(in super::super) fn forget(&self, unit: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| other.unit != unit);
    }

    /// All of them, which are known no more.
    pub(in super::super) fn take(&self) -> Vec<Started> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_start_of_a_unit_counts_and_none_of_one_that_was_stopped() {
        let started = |unit: &str, index| Started { unit: unit.to_owned(), index, at: Instant::now(), shall_run: true, restarts: 0 };
        let watched = StartedUnits::default();
        watched.add(started("a", 1));
        watched.add(started("b", 2));
        watched.add(started("a", 3));
        watched.forget("b");
        let left: Vec<(String, u32)> = watched.take().into_iter().map(|started| (started.unit, started.index)).collect();
        assert_eq!(left, [("a".to_owned(), 3)]);
    }
}
