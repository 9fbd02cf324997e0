//! Passwords of a Buildbot's workers that change in a run: workers whose nodes are no part of it keep the old ones.

use super::Registrar;
use crate::fleet::{Prepared, Ready};
use crate::session;
use ostler_roles::author::compile::{Master, MasterSettings};
use ostler_roles::executor::Executor;
use ostler_roles::plan::Planned;
use ostler_roles::resource::{Desired, Shown};
use ostler_roles::words::{AbsPath, Content, MasterName, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What all workers show that have no password of their own, below the master's directory (role `buildbot-master`).
const SHARED: &str = "secrets/worker-password";
/// The passwords of those that have one.
const OWN: &str = "secrets/worker-passwords.json";

impl Registrar {
    /// Notes in the plan of a master's machine which nodes are left behind.
    pub async fn note_rotations(&self, masters: &BTreeMap<MasterName, Master>, ready: &mut [Ready]) {
        for (name, master) in masters {
            let MasterSettings::Buildbot { directory, .. } = &master.settings else { continue };
            let Some(at) = ready.iter().position(|one| Some(&one.node) == master.node.as_ref()) else { continue };
            let rotation = Rotation::of(&ready[at], directory);
            // The same server under another name is told of once.
            if rotation.is_none() || masters.range(..name).any(|(_, before)| before.is_one_with(master)) {
                continue;
            }
            let compile = Arc::clone(&self.preparation.compile);
            let all = match tokio::task::spawn_blocking(move || compile.executors()).await {
                Ok(all) => all,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            let is_here = |one: &Executor| masters.get(&one.master).is_some_and(|other| other.is_one_with(master));
            let is_left = |node: &NodeName| ready.iter().all(|one| one.node != *node);
            let left: Vec<&(NodeName, Executor)> = all.known.iter().filter(|(node, one)| is_here(one) && is_left(node)).collect();
            let those = |reach: Reach| {
                let nodes = left.iter().filter(|(_, one)| rotation.reaches(one.name.as_str()) == reach).map(|(node, _)| node.as_str());
                nodes.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
            };
            let notes = [
                (Reach::Surely, "passwords of workers change; no part of this run, and no longer let in with the old one until they are applied"),
                (
                    Reach::Perhaps,
                    "the list of workers' own passwords changes; no part of this run, and no longer let in until they are applied where theirs is another one now",
                ),
            ]
            .map(|(reach, text)| (text, those(reach)));
            for (text, nodes) in notes.into_iter().filter(|(_, nodes)| !nodes.is_empty()) {
                ready[at].plan.notes.push(format!("{name}: {text}: {nodes}"));
            }
        }
    }
}

/// What becomes of a file's content; whose it is and who may read it is no matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    New,
    Replaced,
}

impl Turn {
    fn of(changes: &[Shown]) -> Option<Self> {
        changes.iter().find_map(|change| match (change.field.as_str(), change.from.as_str()) {
            ("file", "absent") => Some(Self::New),
            ("content", _) => Some(Self::Replaced),
            _ => None,
        })
    }
}

/// Whether a worker is let in with its old password no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    No,
    /// Its own is another one now, or is not: what the list was before is a secret of the master's machine.
    Perhaps,
    Surely,
}

/// What a plan does to the passwords of a master's workers.
#[derive(Debug, Default)]
struct Rotation {
    shared: Option<Turn>,
    own: Option<Turn>,
    /// The workers that have a password of their own from then on.
    listed: BTreeSet<String>,
}

impl Rotation {
    fn of(one: &Ready, directory: &AbsPath) -> Self {
        let mut found = Self::default();
        for (step, planned) in one.prepared.catalog.steps.iter().zip(&one.plan.steps) {
            let Desired::File(file) = &step.desired else { continue };
            let turn = match planned {
                Planned::Change { changes, .. } | Planned::MayChange { changes, .. } => Turn::of(changes),
                Planned::Unchanged { .. } | Planned::Impossible(_) => None,
            };
            if file.path.as_str() == format!("{directory}/{SHARED}") {
                found.shared = turn;
            } else if file.path.as_str() == format!("{directory}/{OWN}") {
                found.own = turn;
                found.listed = file.present.as_ref().map(|present| listed(&one.prepared, &present.content)).unwrap_or_default();
            }
        }
        found
    }

    fn is_none(&self) -> bool {
        self.shared.is_none() && self.own.is_none()
    }

    fn reaches(&self, worker: &str) -> Reach {
        // Before, there was no password at all.
        if self.shared == Some(Turn::New) {
            return Reach::No;
        }
        match (self.own, self.listed.contains(worker)) {
            (Some(Turn::New), true) => Reach::Surely,
            (_, false) if self.shared.is_some() => Reach::Surely,
            (Some(Turn::Replaced), _) => Reach::Perhaps,
            (Some(Turn::New), false) | (None, _) => Reach::No,
        }
    }
}

/// The names of the workers on a list of passwords.
fn listed(prepared: &Prepared, content: &Content) -> BTreeSet<String> {
    #[derive(serde::Deserialize)]
    struct One {
        name: String,
    }
    let read = |bytes: &[u8]| serde_json::from_slice::<Vec<One>>(bytes).unwrap_or_default();
    let all = match content {
        Content::Secret(secret) => prepared.secrets.get(&secret.hmac).map(|value| read(value.expose())),
        Content::Blob(blob) => match (prepared.blob)(&blob.digest) {
            Some(session::Content::Bytes(bytes)) => Some(read(&bytes)),
            Some(session::Content::File(..)) | None => None,
        },
    };
    all.unwrap_or_default().into_iter().map(|one| one.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::resource::Describe as _;
    use ostler_roles::resource::file::Change;
    use ostler_roles::resource::ownership::OwnershipChange;
    use ostler_roles::words::Mode;

    #[test]
    fn a_file_is_replaced_by_another_content_alone() {
        let mode = |bits: &str| Mode::parse(bits).unwrap();
        let chmod = || Change::Ownership(OwnershipChange::Mode { from: mode("0644"), to: mode("0600") });
        let of = |changes: &[Change]| Turn::of(&changes.iter().map(Change::shown).collect::<Vec<_>>());
        assert_eq!(of(&[chmod()]), None);
        assert_eq!(of(&[Change::Content { from: None, to: None }, chmod()]), Some(Turn::Replaced));
        assert_eq!(of(&[Change::Create { length: None }]), Some(Turn::New));
    }

    #[test]
    fn a_worker_is_left_behind_where_its_own_password_changes() {
        let of = |shared, own| {
            let rotation = Rotation { shared, own, listed: ["on".to_owned()].into() };
            ["on", "off"].map(|worker| rotation.reaches(worker))
        };
        let (new, replaced) = (Some(Turn::New), Some(Turn::Replaced));
        assert_eq!(of(replaced, None), [Reach::No, Reach::Surely]);
        assert_eq!(of(None, new), [Reach::Surely, Reach::No]);
        assert_eq!(of(replaced, new), [Reach::Surely, Reach::Surely]);
        assert_eq!(of(None, replaced), [Reach::Perhaps, Reach::Perhaps]);
        assert_eq!(of(replaced, replaced), [Reach::Perhaps, Reach::Surely]);
        assert_eq!(of(new, new), [Reach::No, Reach::No], "a master that is new");
    }
}
