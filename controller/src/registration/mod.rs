//! Registration: executors of nodes that came through are brought to their labels, each as soon as its node is ready.

mod buildbot;
mod connections;
mod equipment;
mod event_text;
#[cfg(test)]
mod fake;
mod jenkins;
mod machine;
mod masters;
mod node_job;
mod proofs;
mod rotation;
mod survey;
mod witness;
mod worker_service;

pub use connections::Connections;
pub use masters::{Blocked, Cordoned, Masters};
pub use proofs::{Proofs, Unfit};
pub use survey::{ObservedMasters, Survey, former_names};

use crate::fleet::{Preparation, Ready};
use crate::journal::Store;
use crate::masters::Cancellation;
use crate::masters::driver::Driver;
use crate::masters::http::Dial;
use crate::masters::register;
use ostler_roles::author::compile::{Master, MasterSettings};
use ostler_roles::executor::Executor;
use ostler_roles::master::jenkins as model;
use ostler_roles::words::{MasterName, NodeName};
use std::sync::Arc;
use std::time::Duration;

/// One executor on its way, with the node it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeName,
    /// The executor.
    pub executor: Executor,
    /// The node's host keys, to pin.
    pub host_keys: Vec<String>,
}

impl Candidate {
    /// The executors of these nodes.
    pub fn of(ready: &[Ready]) -> Vec<Self> {
        let all = ready.iter().flat_map(|one| one.prepared.executors.iter().map(move |executor| (one, executor)));
        let candidate = |(one, executor): (&Ready, &Executor)| Self {
            node: one.node.clone(),
            executor: executor.clone(),
            host_keys: one.connection.session.hello.facts.host_keys.clone(),
        };
        all.map(candidate).collect()
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
    /// Its name there.
    pub executor: NodeName,
    /// Whether it is registered as it should be.
    pub is_good: bool,
    /// It is not, as another run has its node.
    pub is_taken: bool,
    /// Why it takes no jobs though it has its labels.
    pub held: Option<String>,
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
    pub stop: Cancellation,
    /// How long each wait on a master may last; none: as long as each kind of master takes.
    pub wait: Option<Duration>,
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar").field("site", &self.site).field("is_dialled", &self.dial.is_some()).finish_non_exhaustive()
    }
}

/// A master that is opened for a run.
#[derive(Default)]
struct Opened {
    /// Talks to it; none when no executor is fit for it.
    driver: Option<Box<dyn Driver>>,
    /// Executors that it cannot take, and why.
    refused: Vec<Registered>,
    /// What else to say of an executor that is new there.
    hint: Option<String>,
}

impl Opened {
    fn refuse(&mut self, one: &Candidate, why: String) {
        self.refused.push(failed(one, why));
    }
}

impl Registrar {
    /// Opens a master for these executors. Nothing is asked yet. The one place that knows all kinds of masters.
    async fn open(&self, master: &Master, batch: &[Candidate], connections: &Connections) -> Result<Opened, String> {
        match &master.settings {
            MasterSettings::Buildbot { .. } => self.buildbot(master, batch, connections),
            MasterSettings::Jenkins { .. } => self.jenkins(master, batch, connections).await,
        }
    }
}

fn ended(one: &Candidate, ending: &register::Ending) -> Registered {
    match ending {
        register::Ending::Unchanged | register::Ending::Resting => one.good(ending.to_string(), 0),
        register::Ending::Away(hold) => Registered { held: Some(hold.to_string()), ..one.good(ending.to_string(), 0) },
        register::Ending::Labelled(_) => one.good(ending.to_string(), 1),
        register::Ending::Taken(_) => Registered { is_taken: true, ..failed(one, ending.to_string()) },
        register::Ending::Red(_)
        | register::Ending::Unproved(_)
        | register::Ending::Held(_)
        | register::Ending::Lapsed
        | register::Ending::Busy
        | register::Ending::Stopped(..)
        | register::Ending::Failed(_) => Registered { tail: ending.tail().to_vec(), ..failed(one, ending.to_string()) },
    }
}

/// What to say at something new of a site that has no `id`.
fn nameless(site: &model::Site) -> String {
    format!("only this machine knows it as this site's: write `id: \"{site}\"` in ostler.yaml")
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    crate::fleet::chain(error).join(": ")
}

fn failed(one: &Candidate, text: String) -> Registered {
    let (node, master, executor) = (one.node.clone(), one.executor.master.clone(), one.executor.name.clone());
    Registered {
        node,
        master,
        executor,
        is_good: false,
        is_taken: false,
        held: None,
        labels: Vec::new(),
        changed: 0,
        text,
        tail: Vec::new(),
    }
}
