//! Registration: executors of nodes that came through are brought to their labels, one batch a master.

mod buildbot;
mod jenkins;
mod node_job;
mod proofs;

pub use proofs::Proofs;

use crate::fleet::{FleetEvent, NodeEnd, Preparation, Prepared};
use crate::journal::Store;
use crate::masters::Stop;
use crate::masters::http::Dial;
use ostler_roles::author::compile::{Master, MasterSettings};
use ostler_roles::executor::Executor;
use ostler_roles::master::buildbot::Proof;
use ostler_roles::master::jenkins as model;
use ostler_roles::outcome::Ending;
use ostler_roles::words::{MasterName, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One executor on its way, with the node it is on.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The node.
    pub node: NodeName,
    /// The executor.
    pub executor: Executor,
    /// Whether something on the node changed in this run, or in an earlier one that did not come to its proof.
    pub changed: bool,
    /// The node's host keys, to pin.
    pub host_keys: Vec<String>,
}

impl Candidate {
    /// What has to be proved of it.
    fn proof(&self) -> Proof {
        if self.changed { Proof::Wanted } else { Proof::Standing }
    }

    fn good(&self, text: String, changed: u32) -> Registered {
        let labels = self.executor.labels.iter().map(ToString::to_string).collect();
        Registered { is_good: true, labels, changed, ..failed(self, text) }
    }
}

/// How one executor ended.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The node.
    pub node: NodeName,
    /// The master.
    pub master: MasterName,
    /// Whether it is registered as it should be.
    pub is_good: bool,
    /// Labels attached and earned; empty when not.
    pub labels: Vec<String>,
    /// How many things were changed for it on its master.
    pub changed: u32,
    /// What to say of it.
    pub text: String,
    /// Last lines of a smoke job that failed.
    pub tail: Vec<String>,
}

impl Registered {
    /// Whether its labels are attached and earned.
    pub fn is_good(&self) -> bool {
        self.is_good
    }
}

/// What registration knows of the site.
#[derive(Clone)]
pub struct SiteState {
    /// The key under which secrets are compared.
    pub key: Vec<u8>,
    /// The `id` that all its admins share, where it has one.
    pub id: Option<model::Site>,
    /// What is kept of it.
    pub store: Arc<dyn Store>,
}

impl std::fmt::Debug for SiteState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteState").field("id", &self.id).field("store", &self.store).finish_non_exhaustive()
    }
}

/// Everything registration needs.
#[derive(Clone)]
pub struct Registrar {
    /// The site.
    pub site: SiteState,
    /// The way to nodes, for masters that are configured by files.
    pub preparation: Preparation,
    /// Opens sockets to masters, where this process does not do so itself.
    pub dial: Option<Dial>,
    /// Who asks.
    pub controller: String,
    /// Ends every wait on a master.
    pub stop: Stop,
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar").field("site", &self.site).field("is_dialled", &self.dial.is_some()).finish_non_exhaustive()
    }
}

impl Registrar {
    /// Registers all candidates, one batch a master, masters one after the other.
    pub async fn register(
        &self,
        masters: &BTreeMap<MasterName, Master>,
        candidates: &[Candidate],
        ends: &mut [NodeEnd],
    ) -> Vec<Registered> {
        let mut done = Vec::new();
        let mut by_master: BTreeMap<&MasterName, Vec<Candidate>> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for candidate in candidates {
            let executor = &candidate.executor;
            if names.insert((&executor.master, &executor.name)) {
                by_master.entry(&executor.master).or_default().push(candidate.clone());
            } else {
                done.push(failed(candidate, format!("another node of this run has an executor `{}` on this master", executor.name)));
            }
        }
        for (name, batch) in by_master {
            let Some(master) = masters.get(name) else {
                done.extend(batch.iter().map(|one| failed(one, "the site has no such master".to_owned())));
                continue;
            };
            done.extend(match &master.settings {
                MasterSettings::Buildbot { .. } => self.buildbot(name, master, &batch, ends).await,
                MasterSettings::Jenkins { .. } => self.jenkins(name, master, &batch, ends).await,
            });
        }
        done
    }

    fn tell(&self, node: &NodeName, master: &MasterName, text: &str) {
        self.preparation.events.send(node, FleetEvent::Master { master: master.to_string(), text: text.to_owned() });
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    crate::fleet::chain(error).join(": ")
}

fn failed(one: &Candidate, text: String) -> Registered {
    let (node, master) = (one.node.clone(), one.executor.master.clone());
    Registered { node, master, is_good: false, labels: Vec::new(), changed: 0, text, tail: Vec::new() }
}

/// The executors of nodes that came through.
pub fn candidates(ends: &[NodeEnd], proofs: &Proofs) -> Vec<Candidate> {
    let good = ends.iter().filter(|end| end.is_good());
    good.flat_map(|end| {
        let Prepared { executors, .. } = &end.prepared;
        let changed = matches!(end.ending, Ok(Ending::Good { changed, .. }) if changed > 0) || proofs.is_owed(&end.node);
        let host_keys = end.connection.as_ref().map(|connection| connection.session.hello.facts.host_keys.clone()).unwrap_or_default();
        let node = end.node.clone();
        executors.iter().map(move |executor| Candidate {
            node: node.clone(),
            executor: executor.clone(),
            changed,
            host_keys: host_keys.clone(),
        })
    })
    .collect()
}
