//! Whose labels are to be earned again: noted before the first change, settled by the masters' word, in the site's state and on the node. What
//! the node owes or does not know is owed, and what the site knows to be owed.

use super::Registered;
use crate::fleet::{FleetEvent, NodeEnd, Preparation, Ready};
use crate::journal::{ProofStore, Seen, StateError, Store};
use crate::session::SessionError;
use ostler_roles::executor::Executor;
use ostler_roles::ledger::{Ledger, Proved, Subject};
use ostler_roles::outcome::Ending;
use ostler_roles::words::NodeName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often a note is tried that others write meanwhile.
const ATTEMPTS: usize = 10;

/// What is owed before, during and after one run.
#[derive(Debug)]
pub struct Proofs {
    store: ProofStore,
    /// As this run has read or written them.
    seen: BTreeMap<NodeName, Seen>,
    /// What was known of the nodes that this run is about to change.
    before: BTreeMap<NodeName, Ledger>,
}

impl Proofs {
    /// Reads what is known of these nodes, and notes every one with executors that this run is about to change. A run that is cut anywhere
    /// leaves the note to the next.
    ///
    /// # Errors
    /// When it cannot be read or noted: then nothing may be changed.
    pub fn owe(store: &Arc<dyn Store>, ready: &[Ready]) -> Result<Self, StateError> {
        let mut proofs = Self { store: ProofStore::new(Arc::clone(store)), seen: BTreeMap::new(), before: BTreeMap::new() };
        for one in ready.iter().filter(|one| !one.prepared.executors.is_empty()) {
            proofs.note(one)?;
        }
        Ok(proofs)
    }

    fn note(&mut self, one: &Ready) -> Result<(), StateError> {
        for _ in 0..ATTEMPTS {
            let mut seen = self.store.get(&one.node)?;
            if !one.plan.is_empty() {
                let mut ledger = seen.ledger.clone();
                ledger.change(Some(one.plan.generation + 1));
                let before = seen.ledger.clone();
                // Another run of this machine notes something too.
                let Some(noted) = self.store.swap(&one.node, &seen, ledger)? else { continue };
                self.before.insert(one.node.clone(), before);
                seen = noted;
            }
            self.seen.insert(one.node.clone(), seen);
            return Ok(());
        }
        Err(StateError::Contested { node: one.node.clone() })
    }

    /// Whether an executor of a node that does not change is to be proved all the same, before anything is noted. What cannot be read is owed.
    pub fn is_known_owed(store: &Arc<dyn Store>, one: &Ready, executor: &Executor) -> bool {
        let subject = Subject::of(executor);
        let seen = ProofStore::new(Arc::clone(store)).get(&one.node);
        seen.map_or(true, |seen| seen.ledger.knows_owed(&subject)) || one.connection.session.hello.ledger.owes(&subject)
    }

    /// Whether an executor is to be proved: its node owes it or does not know, or the site knows that it is owed. A site that knows nothing of
    /// it leaves it to the node: other machines of the site may have proved it.
    pub fn owes(&self, node: &NodeName, on_node: &Ledger, executor: &Executor) -> bool {
        let subject = Subject::of(executor);
        self.seen.get(node).is_some_and(|seen| seen.ledger.knows_owed(&subject)) || on_node.owes(&subject)
    }

    /// Nothing was begun on these nodes, or nothing had to be changed after all.
    pub fn forget_untouched(&mut self, ends: &[NodeEnd]) {
        let is_untouched = |end: &&NodeEnd| end.run.is_none() || matches!(end.ending, Ok(Ending::Good { changed: 0, .. }));
        for end in ends.iter().filter(is_untouched) {
            if let Some(before) = self.before.remove(&end.node) {
                self.write(&end.node, before);
            }
        }
    }

    /// Keeps what masters have proved: in the site's state first, on the node last. A node that is out of reach goes on owing it.
    pub async fn settle(&mut self, preparation: &Preparation, registered: &[Registered], ends: &mut [NodeEnd]) {
        for end in ends.iter_mut().filter(|end| end.is_good()) {
            let good = |executor: &&Executor| {
                let mut mine = registered.iter().filter(|one| one.node == end.node && one.master == executor.master);
                mine.any(|one| one.executor == executor.name && one.is_good())
            };
            let owed = |executor: &&Executor| self.owes(&end.node, &end.ledger, executor);
            let owed: Vec<Executor> = end.prepared.executors.iter().filter(good).filter(owed).cloned().collect();
            for executor in &owed {
                let generation = end.ledger.changed().unwrap_or(end.plan.generation);
                let proved = Proved { subject: Subject::of(executor), generation };
                if !self.keep(&end.node, &proved) {
                    continue;
                }
                if let Err(error) = keep_on_node(preparation, end, &proved).await {
                    let text =
                        format!("its proof is not kept on the node, which goes on owing it: {}", crate::fleet::chain(&error).join(": "));
                    let master = executor.master.to_string();
                    preparation.events.send(&end.node, FleetEvent::Master { master, text });
                }
            }
        }
    }

    /// In the site's state, unless another run has written there since.
    fn keep(&mut self, node: &NodeName, proved: &Proved) -> bool {
        let Some(seen) = self.seen.get(node) else { return false };
        let mut ledger = seen.ledger.clone();
        // What this run has seen or written is still there, or the swap fails: so the node's own number is the one that counts.
        ledger.change(Some(proved.generation));
        ledger.prove(proved.clone()).is_ok() && self.write(node, ledger)
    }

    fn write(&mut self, node: &NodeName, ledger: Ledger) -> bool {
        let Some(seen) = self.seen.get(node) else { return false };
        match self.store.swap(node, seen, ledger) {
            Ok(Some(seen)) => {
                self.seen.insert(node.clone(), seen);
                true
            }
            Ok(None) => false,
            Err(error) => {
                // It costs one smoke job more.
                tracing::warn!(%node, %error, "a proof was not noted");
                false
            }
        }
    }
}

/// Over the line of this run, or a new one where that has died of the time that the smoke job took.
async fn keep_on_node(preparation: &Preparation, end: &mut NodeEnd, proved: &Proved) -> Result<(), crate::fleet::MeetError> {
    if let Some(connection) = &mut end.connection {
        match connection.session.prove(proved.clone()).await {
            Ok(()) => {
                note(end, proved);
                return Ok(());
            }
            Err(error) if error.is_lost() => end.connection = None,
            Err(error) => return Err(Box::new(error).into()),
        }
    }
    let mut connection = preparation.meet(&end.node, async { Vec::new() }).await?;
    let kept = connection.session.prove(proved.clone()).await.map_err(Box::<SessionError>::new);
    end.connection = Some(connection);
    kept?;
    note(end, proved);
    Ok(())
}

/// As the node has it now.
fn note(end: &mut NodeEnd, proved: &Proved) {
    // It has just compared the generations itself.
    let _ = end.ledger.prove(proved.clone());
}
