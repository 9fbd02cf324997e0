//! The way to a plan: connect, meet, compile, ask. Nothing on any node is changed by it.

use super::{Connection, FleetEvent, Preparation, Prepared, Stage, Trouble, TroubleKind};
use crate::session::{Answer, Session, SessionError, ask_plan};
use ostler_roles::facts::Facts;
use ostler_roles::plan::Plan;
use ostler_roles::words::NodeName;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

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
        sent.iter().map(|prepared| ask_plan(&prepared.catalog, preparation.plan_of, &key)).collect()
    };
    let mut connection = preparation.meet(node, early).await.map_err(|error| Trouble::from(&error))?;
    let session = &mut connection.session;
    events.send(node, FleetEvent::Met { placed: session.placed, noise: session.noise().to_vec() });
    preparation.compile.keep_facts(node, &session.hello.facts);
    let (prepared, mut plan) = converse(preparation, node, session, sent, &key).await?;
    super::lockout::guard(&prepared.catalog, &mut plan, connection.link.login());
    events.send(node, FleetEvent::Stage(Stage::Planned(plan.digest())));
    // A node that will hardly be asked again does not keep its connection while others are met: there may be a thousand of them.
    let rests = preparation.plans_only || (plan.is_empty() && prepared.executors.is_empty());
    let connection = if rests || !preparation.limit.may_stay() { connection.hang_up().await } else { connection };
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
                session.ask(&prepared.catalog, preparation.plan_of, key).await.map_err(trouble)?;
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
