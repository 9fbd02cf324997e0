//! Registration: executors of nodes that came through are brought to their labels, one batch a master.

mod buildbot;
mod jenkins;
mod machine;
mod node_job;
mod proofs;
mod survey;
mod told;

pub use proofs::Proofs;

use self::node_job::Jobs;
use crate::fleet::{FleetEvent, NodeEnd, Preparation};
use crate::journal::Store;
use crate::masters::Stop;
use crate::masters::driver::{Driver, Event};
use crate::masters::http::Dial;
use crate::masters::register;
use ostler_roles::author::compile::{Master, MasterSettings};
use ostler_roles::executor::Executor;
use ostler_roles::master::Proof;
use ostler_roles::master::jenkins as model;
use ostler_roles::words::{MasterName, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One executor on its way, with the node it is on.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The node.
    pub node: NodeName,
    /// The executor.
    pub executor: Executor,
    /// What is to be proved of it: nothing while what is known of its node and its smoke commands still holds.
    pub proof: Proof,
    /// The node's host keys, to pin.
    pub host_keys: Vec<String>,
}

impl Candidate {
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
        let mut jobs = Jobs::new(self, ends);
        for (name, batch) in by_master {
            let Some(master) = masters.get(name) else {
                done.extend(batch.iter().map(|one| failed(one, "the site has no such master".to_owned())));
                continue;
            };
            match self.open(master, &batch, &mut jobs).await {
                Ok(opened) => done.extend(self.batch(name, opened, &batch).await),
                Err(why) => done.extend(batch.iter().map(|one| failed(one, why.clone()))),
            }
            jobs.give_back().await;
        }
        done
    }

    /// Opens a master for these executors. Nothing is asked yet. The one place that knows all kinds of masters.
    async fn open(&self, master: &Master, batch: &[Candidate], jobs: &mut Jobs<'_>) -> Result<Opened, String> {
        match &master.settings {
            MasterSettings::Buildbot { .. } => self.buildbot(master, batch, jobs),
            MasterSettings::Jenkins { .. } => self.jenkins(master, batch, jobs).await,
        }
    }

    /// Brings a batch to its labels.
    async fn batch(&self, master: &MasterName, opened: Opened, batch: &[Candidate]) -> Vec<Registered> {
        let Opened { driver, refused: mut done, hint } = opened;
        let Some(driver) = driver else { return done };
        let fit = |one: &&Candidate| done.iter().all(|refused| refused.node != one.node || refused.executor != one.executor.name);
        let fit: Vec<Candidate> = batch.iter().filter(fit).cloned().collect();
        let (this, name) = (self.clone(), master.clone());
        let work = move || {
            let executors: Vec<(NodeName, Proof)> = fit.iter().map(|one| (one.executor.name.clone(), one.proof)).collect();
            let mut shared = 0;
            let mut events = |executor: &NodeName, event: Event| {
                shared += u32::from(matches!(event, Event::Shared(_)));
                if let Some(one) = fit.iter().find(|one| one.executor.name == *executor) {
                    this.tell(&one.node, &name, &told::text(&event, hint.as_deref()));
                }
            };
            let endings = match register::register(driver.as_ref(), &executors, &mut events) {
                Ok(endings) => endings,
                Err(error) => return fit.iter().map(|one| failed(one, error.told())).collect(),
            };
            let mut done: Vec<Registered> = fit.iter().zip(&endings).map(|(one, (_, ending))| ended(one, ending)).collect();
            // What all share is counted once.
            done.first_mut().into_iter().for_each(|first| first.changed += shared);
            done
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(registered) => done.extend(registered),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        done
    }

    fn tell(&self, node: &NodeName, master: &MasterName, text: &str) {
        self.preparation.events.send(node, FleetEvent::Master { master: master.to_string(), text: text.to_owned() });
    }
}

fn ended(one: &Candidate, ending: &register::Ending) -> Registered {
    match ending {
        register::Ending::Unchanged | register::Ending::Resting | register::Ending::Away(_) => one.good(ending.to_string(), 0),
        register::Ending::Labelled(_) => one.good(ending.to_string(), 1),
        register::Ending::Red(_)
        | register::Ending::Unproved(_)
        | register::Ending::Held(_)
        | register::Ending::Lapsed
        | register::Ending::Busy
        | register::Ending::Stopped(..)
        | register::Ending::Failed(_) => Registered { tail: ending.tail().to_vec(), ..failed(one, ending.to_string()) },
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    crate::fleet::chain(error).join(": ")
}

fn failed(one: &Candidate, text: String) -> Registered {
    let (node, master, executor) = (one.node.clone(), one.executor.master.clone(), one.executor.name.clone());
    Registered { node, master, executor, is_good: false, labels: Vec::new(), changed: 0, text, tail: Vec::new() }
}

/// The executors whose masters have something to hear: of nodes that came through, and of those that a run has changed and left. A run of
/// one role alone proves nothing.
pub fn candidates(ends: &[NodeEnd], proofs: &Proofs, is_partial: bool) -> Vec<Candidate> {
    let of = |end: &NodeEnd, executor: &Executor| {
        let is_owed = proofs.owes(&end.node, &end.ledger, executor);
        let proof = match end.is_good() {
            true if is_partial => return None,
            true if is_owed => Proof::Wanted,
            true => Proof::Standing,
            // Where no run was begun nothing was changed.
            false if is_owed && end.run.is_some() => Proof::Lapsed,
            false => return None,
        };
        Some(Candidate { node: end.node.clone(), executor: executor.clone(), proof, host_keys: end.host_keys.clone() })
    };
    ends.iter().flat_map(|end| end.prepared.executors.iter().filter_map(move |executor| of(end, executor))).collect()
}
