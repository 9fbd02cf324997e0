//! Who goes when: a node begins when all whom it needs have come through.

use super::fleet_run::{Completion, Ended, Outcome, Run};
use super::node::Shared;
use crate::fleet::{FleetEvent, Ready, Stage, Transaction};
use crate::registration::Proofs;
use ostler_roles::words::NodeName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

impl Run {
    /// Brings all these nodes to their end, in the order in which they are given. Those that were `lost` before hold back whoever needs them.
    /// `proofs`: what the nodes owe. Nodes that need each other would wait for ever: the site has none, or is refused before.
    pub async fn run(self, ready: Vec<Ready>, lost: &[NodeName], mut proofs: BTreeMap<NodeName, Proofs>) -> Vec<Outcome> {
        let (mut senders, mut ends) = (BTreeMap::new(), BTreeMap::<NodeName, Ended>::new());
        for one in &ready {
            let (sender, ended) = watch::channel(None);
            senders.insert(one.node.clone(), sender);
            ends.insert(one.node.clone(), ended);
        }
        let gone = watch::channel(Some(Completion { is_good: false, is_touched: false })).1;
        ends.extend(lost.iter().map(|node| (node.clone(), gone.clone())));
        self.tell_who_waits(&ready);
        let events = self.runner.preparation.events.clone();
        let shared = Arc::new(Shared::new(self, ends, ready.len()));
        let mut tasks = JoinSet::new();
        for (at, one) in ready.into_iter().enumerate() {
            let (shared, proofs, sender) = (Arc::clone(&shared), proofs.remove(&one.node), senders.remove(&one.node));
            let transaction = Transaction::of_planned(&one.node, one.plan.digest(), &events);
            if !one.plan.is_empty() {
                transaction.reach(Stage::Asked);
            }
            tasks.spawn(async move { (at, shared.go(one, proofs, sender, &transaction).await) });
        }
        let mut done = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok(one) => done.push(one),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Whoever is to be changed, and needs somebody who has something to do first, is told to wait.
    fn tell_who_waits(&self, ready: &[Ready]) {
        let events = &self.runner.preparation.events;
        let busy = busy(&self.after, ready);
        for one in ready.iter().filter(|one| !one.plan.is_empty()) {
            let needs = self.after.get(&one.node).into_iter().flatten();
            let first: Vec<NodeName> = needs.filter(|need| **need != one.node && busy.contains(*need)).cloned().collect();
            if !first.is_empty() && !*self.runner.cancel.borrow() {
                events.send(&one.node, FleetEvent::Waiting(first));
            }
        }
    }
}

/// Nodes that have something to do, or wait for one that has.
fn busy(after: &BTreeMap<NodeName, BTreeSet<NodeName>>, ready: &[Ready]) -> BTreeSet<NodeName> {
    let mut busy: BTreeSet<NodeName> = ready.iter().filter(|one| !one.plan.is_empty()).map(|one| one.node.clone()).collect();
    loop {
        let needs_busy = |node: &NodeName| after.get(node).is_some_and(|needs| needs.iter().any(|need| busy.contains(need)));
        let more = ready.iter().map(|one| &one.node).filter(|node| !busy.contains(*node) && needs_busy(node));
        let more: Vec<NodeName> = more.cloned().collect();
        if more.is_empty() {
            return busy;
        }
        busy.extend(more);
    }
}

/// Nodes whose proofs are asked again in a run: those that do not change, and wait for one that does.
pub fn proved_again(after: &BTreeMap<NodeName, BTreeSet<NodeName>>, ready: &[Ready]) -> BTreeSet<NodeName> {
    let mut again = busy(after, ready);
    ready.iter().filter(|one| !one.plan.is_empty()).for_each(|one| _ = again.remove(&one.node));
    again
}
