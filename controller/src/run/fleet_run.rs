//! One run of many nodes: what it is made of, and how its nodes end.

use crate::fleet::{NodeEnd, Runner};
use crate::registration::{Masters, Registered};
use ostler_roles::words::NodeName;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;

/// How one node came through, on itself and on its masters.
#[derive(Debug)]
pub struct Outcome {
    /// On itself.
    pub end: NodeEnd,
    /// On its masters: its executors, as far as they had something to hear.
    pub registered: Vec<Registered>,
}

/// What others need to know of a node that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Completion {
    /// It came through.
    pub is_good: bool,
    /// It was changed in this run, or one whom it needs.
    pub is_touched: bool,
}

/// Where others hear of a node's end; none: not yet.
pub(super) type Ended = watch::Receiver<Option<Completion>>;

/// One run of many nodes.
pub struct Run {
    /// Lets nodes go.
    pub runner: Runner,
    /// Whom each node needs.
    pub after: BTreeMap<NodeName, BTreeSet<NodeName>>,
    /// Their masters.
    pub masters: Masters,
    /// How long jobs that run on a node may take to end before it is changed.
    pub jobs_within: Duration,
    /// It is about one role alone, and proves nothing.
    pub is_partial: bool,
    /// Called once, when no node is changed any more.
    pub applied: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("runner", &self.runner).field("masters", &self.masters).finish_non_exhaustive()
    }
}
