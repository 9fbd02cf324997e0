//! What watchers owe: written before a watched resource changes, cleared after the watcher has acted. Survives everything.

use super::stored::{self, Durable};
use super::{EngineError, StatePaths};
use ostler_roles::catalog::{Action, Step};
use ostler_roles::resource::ResourceId;
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
