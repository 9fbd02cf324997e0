//! The connections to nodes that a run has, for what masters want done there: each is used by one at a time, and met when there is something to do.

use super::Registrar;
use super::node_job::NodeJob;
use crate::fleet::{Connection, Masked, leave};
use ostler_roles::ledger::Ledger;
use ostler_roles::wire::message::ActiveRun;
use ostler_roles::words::NodeName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// A job that several take turns with.
pub type SharedJob = Arc<Mutex<NodeJob>>;

/// The connections of one run. Its clones are the same connections.
#[derive(Clone)]
pub struct Connections {
    registrar: Registrar,
    jobs: Arc<Mutex<BTreeMap<NodeName, SharedJob>>>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Connections {
    /// No connection yet.
    pub fn new(registrar: &Registrar) -> Self {
        Self { registrar: registrar.clone(), jobs: Arc::default() }
    }

    /// The way to one node.
    pub(super) fn of(&self, node: &NodeName) -> SharedJob {
        let make = || {
            Arc::new(Mutex::new(NodeJob {
                node: node.clone(),
                masked: None,
                generation: None,
                connection: None,
                nonces: BTreeSet::new(),
                preparation: self.registrar.preparation.clone(),
                controller: self.registrar.controller.clone(),
                stop: self.registrar.stop.clone(),
                runtime: tokio::runtime::Handle::current(),
            }))
        };
        Arc::clone(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).entry(node.clone()).or_insert_with(make))
    }

    /// The session that a node's run has left, what none of its output may show, and the generation at which it has left the node.
    pub async fn give(&self, node: &NodeName, connection: Option<Connection>, masked: Masked, generation: u64) {
        let job = self.of(node);
        // Somebody may be at work there.
        let given = tokio::task::spawn_blocking(move || {
            let mut job = job.lock().unwrap_or_else(PoisonError::into_inner);
            job.masked = Some(masked);
            job.generation = Some(generation);
            if job.connection.is_none() { std::mem::replace(&mut job.connection, connection) } else { connection }
        });
        match given.await {
            Ok(spare) => leave(spare).await,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Asks a node, on a connection of its own, which run has it now and lets its executors in, and on what its labels rest.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn look_again(&self, node: &NodeName) -> Result<(Option<ActiveRun>, Ledger), String> {
        let job = self.of(node);
        let asked = move || job.lock().unwrap_or_else(PoisonError::into_inner).look();
        match tokio::task::spawn_blocking(asked).await {
            Ok(seen) => seen.map_err(|error| super::chain(&error)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Ends a node's connection, with which nothing is under way any more. Who wants one there makes another.
    pub async fn release(&self, node: &NodeName) {
        let job = self.of(node);
        // Somebody may be at work there, who is waited for.
        let idle = tokio::task::spawn_blocking(move || job.lock().unwrap_or_else(PoisonError::into_inner).connection.take());
        match idle.await {
            Ok(connection) => leave(connection).await,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Takes leave of all nodes.
    pub async fn leave(&self) {
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        leave(jobs.into_values().filter_map(|job| job.lock().unwrap_or_else(PoisonError::into_inner).connection.take())).await;
    }
}
