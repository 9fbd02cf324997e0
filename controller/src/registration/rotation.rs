//! A password of a Buildbot's workers that changes in a run: workers whose nodes are no part of it keep the old one.

use super::Registrar;
use crate::fleet::Ready;
use ostler_roles::author::compile::{Master, MasterSettings};
use ostler_roles::catalog::Step;
use ostler_roles::plan::Planned;
use ostler_roles::resource::Desired;
use ostler_roles::words::{AbsPath, MasterName, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How the files of such passwords begin, below the master's directory (role `buildbot-master`).
const PASSWORDS: &str = "secrets/worker-password";

impl Registrar {
    /// Notes in the plan of a master's machine which nodes are left behind.
    pub async fn note_rotations(&self, masters: &BTreeMap<MasterName, Master>, ready: &mut [Ready]) {
        for master in masters.values() {
            let MasterSettings::Buildbot { directory, .. } = &master.settings else { continue };
            let Some(at) = ready.iter().position(|one| Some(&one.node) == master.node.as_ref() && rotates(one, directory)) else {
                continue;
            };
            let compile = Arc::clone(&self.preparation.compile);
            let all = match tokio::task::spawn_blocking(move || compile.executors()).await {
                Ok(all) => all,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            let is_left = |node: &NodeName| ready.iter().all(|one| one.node != *node);
            let left: BTreeSet<&str> =
                all.known.iter().filter(|(node, one)| one.master == master.name && is_left(node)).map(|(node, _)| node.as_str()).collect();
            if !left.is_empty() {
                let left = left.into_iter().collect::<Vec<_>>().join(", ");
                let text = format!(
                    "{}: passwords of workers change; no part of this run, and no longer let in with the old one until they are applied: {left}",
                    master.name
                );
                ready[at].plan.notes.push(text);
            }
        }
    }
}

/// Whether a plan replaces such a password. One that is new replaces none.
fn rotates(one: &Ready, directory: &AbsPath) -> bool {
    let prefix = format!("{directory}/{PASSWORDS}");
    let is_one = |step: &Step| matches!(&step.desired, Desired::File(file) if file.path.as_str().starts_with(&prefix));
    let replaces = |planned: &Planned| match planned {
        Planned::Change { changes, .. } | Planned::MayChange { changes, .. } => {
            !changes.is_empty() && changes.iter().all(|change| change.from != "absent")
        }
        Planned::Unchanged { .. } | Planned::Impossible(_) => false,
    };
    one.prepared.catalog.steps.iter().zip(&one.plan.steps).any(|(step, planned)| is_one(step) && replaces(planned))
}
