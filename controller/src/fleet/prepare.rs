//! The way to a plan: connect, meet, compile, ask. Nothing on any node is changed by it.

use super::{Connection, EventSender, FleetEvent, Lines, Patience, SiteExecutors, Stage, Trouble, TroubleKind};
use crate::mask::RunMask;
use crate::session::{AgentFile, Answer, Content, Identity, Password, Session, SessionError, ask_plan};
use crate::transport::{BoxFuture, ConnectError, Link};
use ostler_roles::catalog::Catalog;
use ostler_roles::executor::Executor;
use ostler_roles::facts::Facts;
use ostler_roles::plan::Plan;
use ostler_roles::words::{Digest, NodeName, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

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

/// A node with its plan, its conversation still open.
#[derive(Debug)]
pub struct Ready {
    /// Which node.
    pub node: NodeName,
    /// What was asked.
    pub prepared: Prepared,
    /// What was answered.
    pub plan: Plan,
    /// The open conversation on its connection.
    pub connection: Connection,
}

impl Ready {
    /// Proofs that do not hold though no step would change.
    pub fn unproved(&self) -> Vec<String> {
        let proofs = self.prepared.catalog.verify.iter().zip(&self.plan.verify);
        proofs.filter(|(_, verdict)| !verdict.passed()).map(|(proof, _)| proof.check.to_string()).collect()
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
    /// Ask for the present content of files that would change.
    pub want_old: bool,
    /// How hard a run is looked for whose connection was lost.
    pub patience: Patience,
    /// How many lines may be open at once.
    pub lines: Lines,
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

/// Prepares all nodes, `forks` at a time; those in trouble come back with it.
pub async fn prepare(preparation: &Preparation, nodes: &[NodeName]) -> (Vec<Ready>, Vec<(NodeName, Trouble)>) {
    let workers = Arc::new(Semaphore::new(preparation.forks.max(1)));
    let mut tasks = JoinSet::new();
    for node in nodes {
        let (preparation, node, workers) = (preparation.clone(), node.clone(), Arc::clone(&workers));
        tasks.spawn(async move {
            // The semaphore is never closed: a permit always comes.
            let _worker = workers.acquire().await;
            let result = one(&preparation, &node).await;
            (node, result)
        });
    }
    let (mut ready, mut lost) = (Vec::new(), Vec::new());
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok((_, Ok(one))) => ready.push(one),
            Ok((node, Err(trouble))) => {
                preparation.events.send(&node, FleetEvent::Trouble(Box::new(trouble.clone())));
                lost.push((node, trouble));
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    let place = |node: &NodeName| nodes.iter().position(|one| one == node);
    ready.sort_by_key(|one| place(&one.node));
    lost.sort_by_key(|(node, _)| place(node));
    (ready, lost)
}

async fn one(preparation: &Preparation, node: &NodeName) -> Result<Ready, Trouble> {
    let events = &preparation.events;
    events.send(node, FleetEvent::Connecting);
    let key = preparation.compile.secret_key();
    let mut sent = None;
    // The catalog of the last known facts is compiled while the connection is made, and travels right behind the exec.
    let early = async {
        if let Some(facts) = preparation.compile.last_facts(node) {
            sent = compile(preparation, node, facts).await.ok();
        }
        sent.iter().map(|prepared| ask_plan(&prepared.catalog, preparation.want_old, &key)).collect()
    };
    let mut connection = preparation.meet(node, early).await.map_err(|error| Trouble::from(&error))?;
    let session = &mut connection.session;
    events.send(node, FleetEvent::Met { placed: session.placed, noise: session.noise().to_vec() });
    preparation.compile.keep_facts(node, &session.hello.facts);
    let (prepared, mut plan) = converse(preparation, node, session, sent, &key).await?;
    super::lockout::guard(&prepared.catalog, &mut plan, connection.link.login());
    events.send(node, FleetEvent::Stage(Stage::Planned(plan.digest())));
    // A node that will hardly be asked again does not keep its line while others are met: there may be a thousand of them.
    let rests = preparation.plans_only || (plan.is_empty() && prepared.executors.is_empty());
    let connection = if rests || !preparation.lines.may_stay() { connection.hang_up().await } else { connection };
    Ok(Ready { node: node.clone(), prepared, plan, connection })
}

/// From hello to plan: an early catalog that proves stale is compiled again from the facts that came.
async fn converse(
    preparation: &Preparation,
    node: &NodeName,
    session: &mut Session,
    early: Option<Prepared>,
    key: &[u8],
) -> Result<(Prepared, Plan), Trouble> {
    let trouble = |error: SessionError| Trouble::from(&error);
    let mut sent = early;
    let mut facts = session.hello.facts.clone();
    // Facts that change between hello and catalog, twice in a row, do not hold for a run.
    for _ in 0..3 {
        let prepared = match sent.take() {
            Some(prepared) => prepared,
            None => {
                let prepared = compile(preparation, node, facts.clone()).await?;
                session.ask(&prepared.catalog, preparation.want_old, key).await.map_err(trouble)?;
                prepared
            }
        };
        match session.answer().await.map_err(trouble)? {
            Answer::Planned(plan) => return Ok((prepared, *plan)),
            Answer::Stale(present) => facts = *present,
        }
    }
    Err(Trouble {
        kind: TroubleKind::Failed,
        chain: vec!["the node's facts change faster than a plan can be made".to_owned()],
        hint: "compare two runs of `ostler nodes --facts`".to_owned(),
        failure: None,
    })
}

async fn compile(preparation: &Preparation, node: &NodeName, facts: Facts) -> Result<Prepared, Trouble> {
    let (compiler, node) = (Arc::clone(&preparation.compile), node.clone());
    let compiled = tokio::task::spawn_blocking(move || compiler.compile(&node, &facts)).await;
    match compiled {
        Ok(result) => result.map_err(|error| Trouble {
            kind: TroubleKind::Site,
            chain: vec![error.rendered],
            hint: "ostler lint".to_owned(),
            failure: None,
        }),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
