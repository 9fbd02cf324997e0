//! What preparing needs: the way to nodes, what they shall be, the agent, the password, bounds.

use super::{ConnectionLimit, EventSender, ReconnectLimits, SiteExecutors};
use crate::mask::RunMask;
use crate::session::{AgentFile, Content, Identity, Password, PlanOf};
use crate::transport::{BoxFuture, ConnectError, Link};
use ostler_roles::catalog::Catalog;
use ostler_roles::executor::Executor;
use ostler_roles::facts::Facts;
use ostler_roles::words::{Digest, NodeName, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The way to nodes: SSH in earnest, something at hand in tests.
pub trait Reach: Send + Sync {
    /// Opens a link.
    fn connect<'a>(&'a self, node: &'a NodeName, events: &'a EventSender) -> BoxFuture<'a, Result<Arc<dyn Link>, ConnectError>>;
    /// Who we are to a node.
    fn identity<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Identity>;
    /// The host and the port of a node's sshd, as far as they are known.
    fn address<'a>(&'a self, _node: &'a NodeName) -> BoxFuture<'a, Option<(String, u16)>> {
        Box::pin(std::future::ready(None))
    }
}

/// What a node shall be, from what is known of it.
pub trait Compile: Send + Sync {
    /// Compiles for one node. Pure but for reading what is in memory: may take milliseconds, is called where blocking is allowed.
    ///
    /// # Errors
    /// All faults, rendered.
    fn compile(&self, node: &NodeName, facts: &Facts) -> Result<Prepared, CompileError>;
    /// The facts that the node told last, if it ever did.
    fn last_facts(&self, node: &NodeName) -> Option<Facts>;
    /// Keeps what the node told.
    fn keep_facts(&self, node: &NodeName, facts: &Facts);
    /// The key under which secrets are compared.
    fn secret_key(&self) -> Vec<u8>;
    /// All executors of the site, compiled once for as long as nothing new is known of any node. May take seconds, is called where blocking
    /// is allowed.
    fn executors(&self) -> Arc<SiteExecutors>;
}

/// Why a node has no catalog.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} in the site", ostler_roles::words::count(*.count, "fault"))]
pub struct CompileError {
    /// How many.
    pub count: usize,
    /// All of them, rendered.
    pub rendered: String,
}

/// Gives public contents by digest.
pub type Blobs = Arc<dyn Fn(&Digest) -> Option<Content> + Send + Sync>;

/// Values of secrets by their HMAC.
pub type OpenedSecrets = BTreeMap<Digest, Arc<Secret<Vec<u8>>>>;

/// Values that a node's run must not show, sent with `Go`.
pub type Masked = Vec<Arc<Secret<Vec<u8>>>>;

/// One node's catalog with what it refers to.
#[derive(Clone)]
pub struct Prepared {
    /// The catalog.
    pub catalog: Catalog,
    /// Gives the public contents it names.
    pub blob: Blobs,
    /// The values of the secrets it names.
    pub secrets: Arc<OpenedSecrets>,
    /// What no output of a run with it may show.
    pub masked: Masked,
    /// Its executors.
    pub executors: Vec<Executor>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("node", &self.catalog.node).field("steps", &self.catalog.steps.len()).finish_non_exhaustive()
    }
}

/// How preparing is done.
#[derive(Clone)]
pub struct Preparation {
    /// The way to nodes.
    pub reach: Arc<dyn Reach>,
    /// What they shall be.
    pub compile: Arc<dyn Compile>,
    /// The agent to run there.
    pub agent: AgentFile,
    /// Gives sudo's password.
    pub password: Arc<Password>,
    /// How many connections are made at once.
    pub forks: usize,
    /// What of each node's plan is asked for.
    pub plan_of: PlanOf,
    /// How hard a run is looked for whose connection was lost.
    pub reconnect: ReconnectLimits,
    /// How many connections may be open at once.
    pub limit: ConnectionLimit,
    /// Whether nothing comes after the plan.
    pub plans_only: bool,
    /// Takes events.
    pub events: EventSender,
    /// What nothing of it may show.
    pub mask: RunMask,
}

impl std::fmt::Debug for Preparation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preparation").field("forks", &self.forks).finish_non_exhaustive()
    }
}
