//! What watchers owe: written before a watched resource changes, cleared after the watcher has acted. Survives everything.

use super::stored::{self, Durable};
use super::{Cleaner, EngineError, StatePaths};
use ostler_roles::catalog::{Action, Catalog, Step};
use ostler_roles::resource::{Kind, ResourceId};
use serde::{Deserialize, Serialize};

/// How many causes are remembered of one action: for people, so a few are enough.
const CAUSES: usize = 50;

/// All actions owed on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingActions(Vec<PendingAction>);

/// One watcher's debt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAction {
    /// Who must act.
    pub watcher: ResourceId,
    /// What it must do; a restart outweighs a reload.
    pub action: Action,
    /// What has changed, or was about to.
    pub because: Vec<ResourceId>,
}

impl PendingAction {
    /// Told where no step is there that would do it.
    fn told(&self) -> String {
        let because: Vec<String> = self.because.iter().map(ToString::to_string).collect();
        let (watcher, because) = (&self.watcher, because.join(", "));
        let done = match self.action {
            Action::Run => "run",
            Action::Reload => "reloaded",
            Action::Restart => "restarted",
        };
        let by_hand = match watcher.kind {
            Kind::Service => format!("; by hand, on the node: systemctl {} {}", self.action.word(), watcher.key),
            _ => String::new(),
        };
        let told = format!(
            "{watcher} was to be {done} because of {because}, and is in no step of this plan: it is told until a run changes something here, and \
             dropped with that{by_hand}"
        );
        Cleaner::default().note(told)
    }
}

impl PendingActions {
    /// Reads what is owed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(paths: &StatePaths) -> Result<Self, EngineError> {
        Ok(stored::read(&paths.pending(), "pending")?.unwrap_or_default())
    }
    /// As [`Self::read`]; nothing where only root may know.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn read_if_allowed(paths: &StatePaths) -> Result<Self, EngineError> {
        match Self::read(paths) {
            Err(EngineError::Read { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => Ok(Self::default()),
            other => other,
        }
    }
    /// What one step owes.
    pub fn of(&self, watcher: &ResourceId) -> Option<&PendingAction> {
        self.0.iter().find(|owed| owed.watcher == *watcher)
    }
    /// Notes that `changed` is about to change, for each of the later steps that watch it, and for itself where it `owes` something then.
    /// True when that was news.
    pub(super) fn mark(&mut self, changed: &Step, owes: Option<Action>, later: &[Step]) -> bool {
        let mut news = owes.is_some_and(|action| self.add(changed.id(), action, changed.id()));
        for step in later {
            if let Some(action) = step.action_for(&changed.desired) {
                news |= self.add(step.id(), action, changed.id());
            }
        }
        news
    }
    fn add(&mut self, watcher: ResourceId, action: Action, because: ResourceId) -> bool {
        let Some(owed) = self.0.iter_mut().find(|owed| owed.watcher == watcher) else {
            self.0.push(PendingAction { watcher, action, because: vec![because] });
            return true;
        };
        let raised = action > owed.action;
        owed.action = owed.action.max(action);
        let named = owed.because.contains(&because) || owed.because.len() >= CAUSES;
        if !named {
            owed.because.push(because);
        }
        raised || !named
    }
    /// Takes back what was noted for `changed`, which then did not change, as far as it was not owed `before`.
    pub(super) fn unmark(&mut self, changed: &ResourceId, before: &Self) {
        for owed in &mut self.0 {
            let earlier = before.of(&owed.watcher);
            if earlier.is_some_and(|earlier| earlier.because.contains(changed)) {
                continue;
            }
            owed.because.retain(|cause| cause != changed);
            if let Some(earlier) = earlier.filter(|earlier| earlier.because == owed.because) {
                owed.action = earlier.action;
            }
        }
        self.0.retain(|owed| !owed.because.is_empty());
    }
    /// What is owed by steps that this catalog does not have, told for people.
    pub(super) fn left_over<'a>(&'a self, catalog: &'a Catalog) -> impl Iterator<Item = String> + 'a {
        let has = |watcher: &ResourceId| catalog.steps.iter().any(|step| step.id() == *watcher);
        self.0.iter().filter(move |owed| !has(&owed.watcher)).map(PendingAction::told)
    }
    /// Drops what a plan has told as left over. True when there was any.
    pub(super) fn drop_told(&mut self, notes: &[String]) -> bool {
        let before = self.0.len();
        self.0.retain(|owed| !notes.contains(&owed.told()));
        self.0.len() < before
    }
    /// Notes that a watcher has acted. True when it owed something.
    pub(super) fn clear(&mut self, watcher: &ResourceId) -> bool {
        let before = self.0.len();
        self.0.retain(|owed| owed.watcher != *watcher);
        self.0.len() < before
    }
    pub(super) fn write(&self, paths: &StatePaths) -> Result<(), EngineError> {
        stored::write(&paths.pending(), "pending", self, 0o600, Durable::Yes)
    }
}
