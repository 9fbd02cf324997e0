//! How far long steps are: one small file that is replaced, read by tails, and may be lost.

use super::StatePaths;
use super::stored::{self, Durable};
use crate::host::own::OwnPath;
use ostler_roles::outcome::Event;
use ostler_roles::words::RunId;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// At most ten times a second.
const EVERY: Duration = Duration::from_millis(100);
/// How many steps may show progress at once.
const SHOWN: usize = 64;
/// Its name in the run's directory in memory.
pub(super) const FILE: &str = "progress";

/// The runner's end.
#[derive(Debug)]
pub(super) struct ProgressBoard {
    path: OwnPath,
    state: Mutex<(Option<Instant>, BTreeMap<u32, Event>)>,
}

impl ProgressBoard {
    pub(super) fn of(paths: &StatePaths, run: &RunId) -> Self {
        Self { path: paths.in_memory(run).below(FILE), state: Mutex::new((None, BTreeMap::new())) }
    }
    /// Shows how far a step is; too many in a short time are dropped.
    pub(super) fn show(&self, index: u32, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.1.len() < SHOWN || state.1.contains_key(&index) {
            state.1.insert(index, event);
        }
        if state.0.is_none_or(|last| last.elapsed() >= EVERY) {
            state.0 = Some(Instant::now());
            let shown: Vec<&Event> = state.1.values().collect();
            // Progress that cannot be written is progress that is not shown.
            let _ = stored::write(&self.path, FILE, &shown, 0o600, Durable::No);
        }
    }
    /// A step has ended: nothing of it is shown any more.
    pub(super) fn done(&self, index: u32) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&index);
    }
}

/// What a tail may show now.
pub fn shown_progress(paths: &StatePaths, run: &RunId) -> Vec<Event> {
    let shown = stored::read::<Vec<Event>>(&paths.in_memory(run).below(FILE), FILE);
    shown.ok().flatten().unwrap_or_default().into_iter().filter(|event| matches!(event, Event::Progress { .. })).take(SHOWN).collect()
}
