//! One node's closed, ordered list: what it must be before, what it shall be, what must hold after. It leaves no choice to the agent.

mod at_rest;
mod provided_later;

pub use at_rest::{LeftOut, Omitted};
pub use provided_later::ProvidedLater;

use crate::check::Check;
use crate::resource::{Desired, Kind, ResourceId};
use crate::words::{AbsPath, Blob, Content, Digest, NodeName, Origin, RoleName, SecretRef, Span};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Everything for one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Whose it is.
    pub node: NodeName,
    /// Digest of the stable facts it was compiled from: the agent refuses others as stale.
    pub facts: Digest,
    /// Checks that must hold before anything changes anywhere.
    pub require: Vec<Requirement>,
    /// Resources, in order.
    pub steps: Vec<Step>,
    /// Checks that must hold after the steps.
    pub verify: Vec<Requirement>,
}

/// A check with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What must hold.
    pub check: Check,
    /// The role that says so.
    pub role: RoleName,
    /// Where it says so.
    pub origin: Origin,
    /// Deadline.
    pub within: Span,
}

/// A resource with its place in the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What shall be.
    pub desired: Desired,
    /// The role that declares it first.
    pub role: RoleName,
    /// Where.
    pub origin: Origin,
    /// Deadline of applying it.
    pub within: Span,
    /// Earlier resources whose changes make this one act.
    pub watches: Vec<Watch>,
    /// Members of one `together` block, which may run at once, share a number.
    pub together: Option<u32>,
    /// May change while jobs run.
    pub while_busy: bool,
}

/// One trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// What is watched; for a directory also every managed entry below it.
    pub id: ResourceId,
    /// What its change causes.
    pub action: Action,
}

/// What a watcher does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Run the command.
    Run,
    /// Reload the service.
    Reload,
    /// Restart the service.
    Restart,
}

impl Action {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Reload => "reload",
            Self::Restart => "restart",
        }
    }
}

impl Step {
    /// Kind and identity.
    pub fn id(&self) -> ResourceId {
        self.desired.id()
    }
    /// Whether a change of `changed` makes this act, and how; a restart outweighs a reload.
    pub fn action_for(&self, changed: &Desired) -> Option<Action> {
        if self.watches.is_empty() {
            return None;
        }
        let id = changed.id();
        self.watches.iter().filter(|watch| watch.id == id || watch.covers(changed)).map(|watch| watch.action).max()
    }
}

impl Watch {
    /// `directory PATH` stands for all managed entries below it.
    fn covers(&self, changed: &Desired) -> bool {
        self.id.kind == Kind::Directory
            && changed.path().is_some_and(|path| AbsPath::parse(&self.id.key).is_ok_and(|directory| path.is_within(&directory)))
    }
}

impl Catalog {
    /// Keeps what these roles say, and the steps that watch it: whose change nobody heard would never act. Checks of other roles go.
    pub fn keep_only(&mut self, roles: &BTreeSet<RoleName>) {
        self.require.retain(|requirement| roles.contains(&requirement.role));
        self.verify.retain(|requirement| roles.contains(&requirement.role));
        let mut kept: Vec<Step> = Vec::new();
        for step in self.steps.drain(..) {
            let watches = kept.iter().any(|earlier| step.action_for(&earlier.desired).is_some());
            if watches || roles.contains(&step.role) {
                kept.push(step);
            }
        }
        self.steps = kept;
    }
    /// The digest of what it says: origins left out, so that moving a line in a file changes nothing.
    pub fn digest(&self) -> Digest {
        let mut bare = self.clone();
        for requirement in bare.require.iter_mut().chain(&mut bare.verify) {
            requirement.origin = Origin::default();
        }
        for step in &mut bare.steps {
            step.origin = Origin::default();
        }
        Digest::of_value(&bare)
    }
    /// Public contents it names, each once.
    pub fn blobs(&self) -> BTreeSet<Blob> {
        let contents = self.steps.iter().flat_map(|step| step.desired.contents());
        contents.filter_map(|content| if let Content::Blob(blob) = content { Some(*blob) } else { None }).collect()
    }
    /// Secrets it names, by their HMAC.
    pub fn secrets(&self) -> BTreeMap<Digest, SecretRef> {
        self.steps.iter().flat_map(|step| step.desired.secrets()).map(|secret| (secret.hmac, secret.clone())).collect()
    }
}
