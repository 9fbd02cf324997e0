//! The way to the node of one executor: what a run gives it there.

use super::connections::SharedJob;
use crate::masters::driver::Cause;
use crate::masters::witness::{Nonce, Witness};
use ostler_roles::author::compile::Master;
use ostler_roles::challenge::Place;
use ostler_roles::executor::Executor;
use ostler_roles::wire::message::Hidden;
use ostler_roles::words::{AccountName, NodeName};
use std::sync::PoisonError;

/// The node of one executor, over its line of this run.
#[derive(Debug)]
pub struct SessionWitness {
    node: NodeName,
    place: Place,
    account: AccountName,
    job: SharedJob,
}

impl SessionWitness {
    /// That of this executor.
    pub fn new(node: &NodeName, master: &Master, executor: &Executor, job: SharedJob) -> Self {
        let place = Place::of(&master.url, &executor.name);
        Self { node: node.clone(), place, account: executor.user.clone(), job }
    }
}

impl Witness for SessionWitness {
    fn node(&self) -> String {
        self.node.to_string()
    }

    fn path(&self) -> String {
        self.place.path().to_string()
    }

    fn give(&self, nonce: &Nonce) -> Result<(), Cause> {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        job.challenge(self.place, &self.account, Some(Hidden(nonce.content()))).map(drop).map_err(|error| Box::new(error) as Cause)
    }

    fn take(&self) -> Result<bool, Cause> {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        job.challenge(self.place, &self.account, None).map_err(|error| Box::new(error) as Cause)
    }
}
