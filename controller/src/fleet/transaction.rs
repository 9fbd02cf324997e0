//! One node's way through a run, told as it goes.

use super::event::{EventSender, FleetEvent};
use super::stage::{ExecutorRef, Stage, Stages};
use ostler_roles::words::{Digest, NodeName};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One node's way through a run. Its clones stand for the same node.
#[derive(Debug, Clone)]
pub struct Transaction {
    node: NodeName,
    events: EventSender,
    stages: Arc<Mutex<Stages>>,
}

impl Transaction {
    /// Of a node whose plan has come, which was told.
    pub fn of_planned(node: &NodeName, plan: Digest, events: &EventSender) -> Self {
        let stages = Stages { node: Some(Stage::Planned(plan)), executors: BTreeMap::new() };
        Self { node: node.clone(), events: events.clone(), stages: Arc::new(Mutex::new(stages)) }
    }

    /// Of one that was not met: whatever its masters do, it goes no way in this run.
    pub fn of_lost(node: &NodeName, events: &EventSender) -> Self {
        Self { node: node.clone(), events: events.clone(), stages: Arc::default() }
    }

    /// It has come so far. What it has reached already is not told again.
    pub fn reach(&self, stage: Stage) {
        // Told under the lock: the log has the order in which things happened.
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if stages.take(&stage) {
            self.events.send(&self.node, FleetEvent::Stage(stage));
        }
    }

    /// The node goes no further.
    pub fn fail(&self, why: &str) {
        let at = self.stages.lock().unwrap_or_else(PoisonError::into_inner).node.clone();
        if let Some(at) = at {
            self.reach(Stage::Failed { at: Box::new(at), why: why.to_owned() });
        }
    }

    /// An executor of it goes no further.
    pub fn fail_at(&self, place: &ExecutorRef, why: &str) {
        let at = self.stages.lock().unwrap_or_else(PoisonError::into_inner).executors.get(place).cloned();
        // One that is not on its master yet would have been quarantined there.
        let at = at.unwrap_or_else(|| Stage::Quarantined(place.clone()));
        self.reach(Stage::Failed { at: Box::new(at), why: why.to_owned() });
    }
}
