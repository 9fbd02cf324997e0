//! How far a node's transaction has come: a state machine whose every step is told, and so is kept in the run's log.

use ostler_roles::texts::{Edit, Text, Texts};
use ostler_roles::words::{Digest, MasterName, NodeName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One executor of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExecutorRef {
    /// The master that it is registered with.
    pub master: MasterName,
    /// Its name there.
    pub executor: NodeName,
}

/// How far a node has come; from [`Self::Quarantined`] to [`Self::Labelled`] each executor of it for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its plan has come: its digest.
    Planned(Digest),
    /// It may be changed: somebody has said so, here or on the command line.
    Asked,
    /// Its run has begun.
    Going,
    /// Every step is done.
    Applied,
    /// Every proof on the node holds.
    Verified,
    /// This executor stands on its master without labels.
    Quarantined(ExecutorRef),
    /// A smoke job has passed on it in this run.
    Proved(ExecutorRef),
    /// It has its labels.
    Labelled(ExecutorRef),
    /// It went no further.
    Failed {
        /// Where it stood.
        at: Box<Stage>,
        /// Why.
        why: String,
    },
}

impl Stage {
    /// Its name, as logs and programs read it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Planned(_) => "planned",
            Self::Asked => "asked",
            Self::Going => "going",
            Self::Applied => "applied",
            Self::Verified => "verified",
            Self::Quarantined(_) => "quarantined",
            Self::Proved(_) => "proved",
            Self::Labelled(_) => "labelled",
            Self::Failed { .. } => "failed",
        }
    }

    /// The executor that it is about; none: the whole node.
    pub fn place(&self) -> Option<&ExecutorRef> {
        match self {
            Self::Quarantined(place) | Self::Proved(place) | Self::Labelled(place) => Some(place),
            Self::Failed { at, .. } => at.place(),
            Self::Planned(_) | Self::Asked | Self::Going | Self::Applied | Self::Verified => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Planned(_) => 0,
            Self::Asked => 1,
            Self::Going => 2,
            Self::Applied => 3,
            Self::Verified => 4,
            Self::Quarantined(_) => 5,
            Self::Proved(_) => 6,
            Self::Labelled(_) => 7,
            Self::Failed { .. } => 8,
        }
    }
}

impl Texts for Stage {
    fn texts(&mut self, edit: Edit<'_>) {
        if let Self::Failed { at, why } = self {
            edit(Text::One(why));
            at.texts(edit);
        }
    }
}

/// Where a node and its executors stand: a fold over stages, the same while a run tells them and when its log is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stages {
    /// The node's own.
    pub node: Option<Stage>,
    /// Its executors'.
    pub executors: BTreeMap<ExecutorRef, Stage>,
}

impl Stages {
    /// Takes a stage in; false: it does not follow from where things stand, and nothing is changed.
    pub fn take(&mut self, stage: &Stage) -> bool {
        let may = self.may(stage);
        if may {
            match stage.place() {
                Some(place) => drop(self.executors.insert(place.clone(), stage.clone())),
                None => self.node = Some(stage.clone()),
            }
        }
        may
    }

    fn may(&self, stage: &Stage) -> bool {
        let behind = |before: Option<&Stage>| before.is_none_or(|before| before.rank() < stage.rank());
        match (&self.node, stage) {
            (None, stage) => matches!(stage, Stage::Planned(_)),
            // A node whose run did not come through is put aside, and no more.
            (Some(Stage::Failed { .. }), Stage::Quarantined(place)) => behind(self.executors.get(place)),
            (Some(Stage::Failed { .. }), stage) => stage.place().is_some() && matches!(stage, Stage::Failed { .. }),
            (Some(node), stage) => match stage.place() {
                None => node.rank() < stage.rank(),
                Some(place) => matches!(node, Stage::Verified) && behind(self.executors.get(place)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(executor: &str) -> ExecutorRef {
        ExecutorRef { master: MasterName::parse("ci").unwrap(), executor: NodeName::parse(executor).unwrap() }
    }

    fn failed(at: Stage) -> Stage {
        Stage::Failed { at: Box::new(at), why: "no room".to_owned() }
    }

    /// Which of these are taken, one after the other.
    fn taken(stages: Vec<Stage>) -> Vec<bool> {
        let mut all = Stages::default();
        stages.iter().map(|stage| all.take(stage)).collect()
    }

    #[test]
    fn a_node_goes_forward_only_and_each_executor_for_itself_behind_it() {
        let planned = || Stage::Planned(Digest::of(b"plan"));
        let (one, two) = (place("one"), place("two"));
        let way = vec![
            planned(),
            Stage::Asked,
            Stage::Going,
            Stage::Applied,
            Stage::Verified,
            Stage::Quarantined(one.clone()),
            Stage::Proved(one.clone()),
            Stage::Quarantined(two.clone()),
            Stage::Labelled(one.clone()),
            failed(Stage::Quarantined(two.clone())),
        ];
        assert_eq!(taken(way), [true; 10]);
        assert_eq!(taken(vec![planned(), Stage::Verified, Stage::Labelled(one.clone())]), [true; 3], "nothing had to be done");
        assert_eq!(taken(vec![Stage::Going, planned(), Stage::Asked, planned(), Stage::Asked]), [false, true, true, false, false]);
        assert_eq!(taken(vec![planned(), Stage::Going, Stage::Labelled(one.clone())]), [true, true, false], "not verified");
        let again = vec![planned(), Stage::Verified, Stage::Labelled(one.clone()), Stage::Quarantined(one)];
        assert_eq!(taken(again), [true, true, true, false]);
    }

    #[test]
    fn a_node_that_failed_is_put_aside_and_never_proved() {
        let one = place("one");
        let way = vec![
            Stage::Planned(Digest::of(b"plan")),
            Stage::Going,
            failed(Stage::Going),
            Stage::Verified,
            Stage::Quarantined(one.clone()),
            Stage::Proved(one.clone()),
            Stage::Labelled(one),
        ];
        assert_eq!(taken(way), [true, true, true, false, true, false, false]);
    }
}
