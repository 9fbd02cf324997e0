//! What a run would do on one node: the answer to a catalog, before anything is written.

use crate::catalog::Action;
use crate::check::Verdict;
use crate::outcome::Failure;
use crate::resource::{Essence, ResourceId, Shown};
use crate::words::Digest;
use serde::{Deserialize, Serialize};

/// The plan of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Digest of the catalog it answers.
    pub catalog: Digest,
    /// The node's generation when it was made.
    pub generation: u64,
    /// The answer to each requirement, in the catalog's order.
    pub requirements: Vec<Verdict>,
    /// What each step would do, in the catalog's order.
    pub steps: Vec<Planned>,
    /// The answer to each proof, in the catalog's order: asked only when no step would change, since a run asks them at its end.
    #[serde(default)]
    pub verify: Vec<Verdict>,
    /// What is not as wished though nothing fails for it, each with its step.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What one step would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Planned {
    /// Nothing: why.
    Unchanged {
        /// One sentence.
        why: String,
    },
    /// These changes.
    Change {
        /// Each of them.
        changes: Vec<Shown>,
        /// What a watcher would do, because of these resources.
        triggered: Option<(Action, Vec<ResourceId>)>,
        /// The present content of a file, for a diff: only when asked for, text, not secret, bounded.
        old: Option<String>,
    },
    /// It depends on an earlier change: it may change, and how is known in its turn.
    MayChange {
        /// What it depends on.
        because: ResourceId,
        /// What would change as things are now; empty where that could not be read.
        changes: Vec<Shown>,
    },
    /// It cannot be made so, as things are.
    Impossible(Failure),
}

impl Plan {
    /// Whether a run would do nothing: every step unchanged.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Planned::Unchanged { .. }))
    }
    /// Whether every requirement holds and no step is impossible.
    pub fn may_go(&self) -> bool {
        self.requirements.iter().all(Verdict::passed) && !self.steps.iter().any(|step| matches!(step, Planned::Impossible(_)))
    }
    /// The digest that `Go` names: what was shown, and nothing that differs from moment to moment.
    pub fn digest(&self) -> Digest {
        let changing: Vec<_> = self.steps.iter().map(Planned::essence).collect();
        Digest::of_value(&(self.catalog, self.generation, changing))
    }
}

impl Planned {
    /// What of it must still be true when its turn comes.
    fn essence(&self) -> (u8, Vec<Essence<'_>>) {
        match self {
            Self::Unchanged { .. } => (0, Vec::new()),
            Self::Change { changes, triggered, .. } => {
                let resting: Vec<_> = changes.iter().filter_map(Shown::essence).collect();
                // What only something beyond the node has changed is no other plan than one in which it had not yet.
                (u8::from(!resting.is_empty() || triggered.is_some()), resting)
            }
            Self::MayChange { .. } => (2, Vec::new()),
            Self::Impossible(_) => (3, Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Basis;

    fn digest(changes: Vec<Shown>) -> Digest {
        let step = if changes.is_empty() {
            Planned::Unchanged { why: String::new() }
        } else {
            Planned::Change { changes, triggered: None, old: None }
        };
        let catalog = Digest::of(b"a catalog");
        Plan { catalog, generation: 1, requirements: Vec::new(), steps: vec![step], verify: Vec::new(), notes: Vec::new() }.digest()
    }

    #[test]
    fn what_goes_on_by_itself_is_no_other_plan_and_what_stands_on_the_node_is() {
        let change = |from: &str, to: &str, basis| Shown::new("state", from, to).resting_on(basis);
        for (basis, same_from, same_to, none) in
            [(Basis::Node, false, false, false), (Basis::Passing, true, false, false), (Basis::Beyond, true, true, true)]
        {
            let shown = change("a", "c", basis);
            for (other, same) in [(change("b", "c", basis), same_from), (change("a", "d", basis), same_to)] {
                assert_eq!(other.is_among(std::slice::from_ref(&shown)), same, "{other:?}");
                assert_eq!(digest(vec![other.clone()]) == digest(vec![shown.clone()]), same, "{other:?}");
            }
            assert_eq!(shown.is_among(&[]), none, "{basis:?}");
            assert_eq!(digest(vec![shown]) == digest(Vec::new()), none, "{basis:?}");
        }
    }
}
