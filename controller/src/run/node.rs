//! One node's way through a run: whom it needs, its own run, its masters, what is then owed no more.

use super::fleet_run::{Completion, Ended, Outcome, Run};
use crate::fleet::{FleetEvent, NodeEnd, Ready, Transaction, Trouble, TroubleKind, new_run, prove_again};
use crate::registration::{Blocked, Cordoned, Proofs, former_names};
use ostler_roles::executor::Executor;
use ostler_roles::master::Proof;
use ostler_roles::outcome::Ending;
use ostler_roles::words::NodeName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// What all nodes of a run share.
pub(super) struct Shared {
    run: Run,
    ends: BTreeMap<NodeName, Ended>,
    /// Nodes that may still be changed.
    left: AtomicUsize,
}

impl Shared {
    pub(super) fn new(run: Run, ends: BTreeMap<NodeName, Ended>, nodes: usize) -> Self {
        Self { run, ends, left: AtomicUsize::new(nodes) }
    }

    pub(super) async fn go(
        &self,
        ready: Ready,
        proofs: Option<Proofs>,
        sender: Option<watch::Sender<Option<Completion>>>,
        transaction: &Transaction,
    ) -> Outcome {
        let (missing, is_touched) = self.needs(&ready.node).await;
        // Nothing is changed under a job that runs. Whoever waits for jobs, or for others, has no turn: none of them waits for a turn of his.
        let is_begun = missing.is_empty() && !ready.plan.is_empty() && !*self.run.runner.cancel.borrow();
        let disturbed = if is_begun { (ready.prepared.executors.clone(), former_names(&ready)) } else { Default::default() };
        let drained = self.run.masters.drain(&ready.node, disturbed, self.run.jobs_within, transaction).await;
        let limit = self.run.runner.preparation.limit.clone();
        let _permit = limit.acquire().await;
        let (mut end, is_touched, cordoned) = match drained {
            Ok(cordoned) => {
                let (end, is_touched) = self.apply(ready, &missing, is_touched, transaction).await;
                (end, is_touched, cordoned)
            }
            Err((Blocked::Stopped, cordoned)) => (NodeEnd::untouched(ready, Ok(Ending::Cancelled)), is_touched, cordoned),
            Err((Blocked::Trouble(trouble), cordoned)) => (self.out(ready, trouble), is_touched, cordoned),
        };
        let why = match &end.ending {
            Ok(Ending::Good { .. }) => None,
            Ok(Ending::Failed) => Some("a step failed, or a proof does not hold".to_owned()),
            Ok(Ending::Cancelled) => Some("cancelled".to_owned()),
            Err(trouble) => Some(trouble.chain.first().cloned().unwrap_or_default()),
        };
        why.iter().for_each(|why| transaction.fail(why));
        // What others need of it is its connection to be free, and the word that it has come through.
        let connections = self.run.masters.connections();
        connections.give(&end.node, end.connection.take(), end.prepared.masked.clone(), end.generation()).await;
        if let Some(sender) = sender {
            sender.send_replace(Some(Completion { is_good: end.is_good(), is_touched }));
        }
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            (self.run.applied)();
        }
        let node = end.node.clone();
        let outcome = match proofs {
            Some(proofs) => self.register(end, proofs, cordoned, transaction).await,
            None => {
                // What it was called before is nobody's to prove: once the node has changed, it stays out of service.
                let is_changed = end.run.is_some() && !matches!(end.ending, Ok(Ending::Good { changed: 0, .. }));
                let stays = is_changed && !(self.run.is_partial && end.is_good());
                let registered = match stays {
                    false => self.run.masters.give_back(&end.node, cordoned, end.run.as_ref(), transaction).await,
                    true => Vec::new(),
                };
                Outcome { end, registered }
            }
        };
        if limit.is_tight() {
            connections.release(&node).await;
        }
        outcome
    }

    /// On the node itself; whether it was changed, or one whom it needs.
    async fn apply(&self, mut ready: Ready, missing: &[NodeName], is_touched: bool, transaction: &Transaction) -> (NodeEnd, bool) {
        if !missing.is_empty() {
            return (self.out(ready, not_started(missing)), false);
        }
        let runner = &self.run.runner;
        if *runner.cancel.borrow() {
            return (NodeEnd::untouched(ready, Ok(Ending::Cancelled)), false);
        }
        // Its proofs were asked with its plan: before those whom they name were changed.
        let is_stale = is_touched && ready.plan.is_empty() && !ready.prepared.catalog.verify.is_empty();
        if is_stale && let Err(trouble) = prove_again(&runner.preparation, &mut ready).await {
            return (self.out(ready, trouble), is_touched);
        }
        let end = runner.clone().go(ready, new_run(), transaction).await;
        let is_touched = is_touched || end.run.is_some();
        (end, is_touched)
    }

    /// Waits for all whom a node needs; those who did not come through, and whether any was changed.
    async fn needs(&self, node: &NodeName) -> (Vec<NodeName>, bool) {
        let (mut missing, mut is_touched) = (Vec::new(), false);
        for need in self.run.after.get(node).into_iter().flatten().filter(|need| *need != node) {
            // Others are no part of this run.
            let Some(mut ended) = self.ends.get(need).cloned() else { continue };
            // A node whose task is gone without a word is one that did not come through.
            let came = ended.wait_for(Option::is_some).await.ok().and_then(|came| *came);
            let came = came.unwrap_or(Completion { is_good: false, is_touched: true });
            is_touched |= came.is_touched;
            if !came.is_good {
                missing.push(need.clone());
            }
        }
        (missing, is_touched)
    }

    fn out(&self, ready: Ready, trouble: Trouble) -> NodeEnd {
        self.run.runner.preparation.events.send(&ready.node, FleetEvent::Trouble(Box::new(trouble.clone())));
        NodeEnd::untouched(ready, Err(trouble))
    }

    /// Also after an interrupt or a failure: a node that was changed must not keep labels that it earned before.
    async fn register(&self, end: NodeEnd, mut proofs: Proofs, mut cordoned: Cordoned, transaction: &Transaction) -> Outcome {
        let masters = &self.run.masters;
        let wanted = proofs.ended(&end, self.run.is_partial);
        // Whose labels are still earned, or not this run's to judge, takes jobs again as before.
        let unearned: Vec<&Executor> = wanted.iter().filter(|(_, proof)| *proof != Proof::Standing).map(|(one, _)| one).collect();
        let mut left = masters.give_back(&end.node, cordoned.without(&unearned), end.run.as_ref(), transaction).await;
        if self.run.is_partial && end.is_good() {
            left.extend(masters.left_held(cordoned, transaction).await);
        }
        let mut registered = masters.register(&end.node, wanted, (Proofs::unfit(&end), end.run.clone()), transaction).await;
        // Of one that was registered all the same, that says how it ended.
        let known: BTreeSet<_> = registered.iter().map(|one| (one.master.clone(), one.executor.clone())).collect();
        registered.extend(left.into_iter().filter(|one| !known.contains(&(one.master.clone(), one.executor.clone()))));
        let is_partial = self.run.is_partial;
        let settle = move || {
            proofs.settle(&registered, &end, is_partial);
            Outcome { end, registered }
        };
        match tokio::task::spawn_blocking(settle).await {
            Ok(outcome) => outcome,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn not_started(missing: &[NodeName]) -> Trouble {
    let names: Vec<&str> = missing.iter().map(NodeName::as_str).collect();
    Trouble {
        kind: TroubleKind::Failed,
        chain: vec![format!("not started: waits for {}", names.join(", "))],
        hint: format!("mend {} first", names.join(", ")),
        failure: None,
    }
}
