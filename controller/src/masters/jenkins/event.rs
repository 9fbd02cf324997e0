//! What happens on the way of nodes to their labels, as it is told while it happens.

use ostler_roles::master::jenkins::{Change, Name, Stage};
use std::time::Duration;

/// What happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The node is being made, in quarantine.
    Creating(Name),
    /// Values are being set.
    Updating(Name, Stage, Vec<Change>),
    /// Its agent was brought to the node, or changed there.
    Brought(Name),
    /// Its agent is waited for.
    Connecting(Name),
    /// Its smoke job has left the queue and runs.
    Smoking(Name),
    /// Its smoke job ended, or is no longer followed.
    Smoked {
        /// The node.
        name: Name,
        /// What it showed.
        verdict: Verdict,
    },
    /// A wait lasts.
    Waiting(Waiting),
    /// Something that nobody is to find out by himself.
    Note(Name, String),
}

/// What a smoke job showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Green,
    /// It failed by its own word.
    Red,
    /// Nothing: why.
    Unknown(String),
}

/// A wait on the master that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The node that waits; none: all of the run's.
    pub node: Option<Name>,
    /// For what.
    pub what: String,
    /// Since when.
    pub waited: Duration,
    /// How long it may last in all.
    pub limit: Duration,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let left = self.limit.saturating_sub(self.waited);
        write!(f, "waits until {}: since {} s, at most {} s more", self.what, self.waited.as_secs(), left.as_secs())
    }
}
