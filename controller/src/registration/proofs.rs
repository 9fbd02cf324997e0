//! Whose labels are to be earned again: noted before the first change, settled by the masters' word, in the site's state and on the node. What
//! the node owes or does not know is owed, and what the site knows to be owed.

use super::{Candidate, Registered};
use crate::fleet::{NodeEnd, Ready, TroubleKind};
use crate::journal::{ProofStore, Seen, StateError, Store};
use ostler_roles::catalog::Requirement;
use ostler_roles::executor::Executor;
use ostler_roles::ledger::{Ledger, Proved, Subject};
use ostler_roles::master::Proof;
use ostler_roles::outcome::Ending;
use ostler_roles::words::NodeName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often a note is tried that others write meanwhile.
const ATTEMPTS: usize = 10;

/// What one node owes before, during and after a run.
#[derive(Debug)]
pub struct Proofs {
    store: ProofStore,
    node: NodeName,
    /// As this run has read or written it.
    seen: Seen,
    /// What was known before this run was about to change the node.
    before: Option<Ledger>,
}

/// Why a node is not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// As people read it.
    pub why: String,
    /// What does not hold.
    pub failed: Vec<Requirement>,
}

impl Proofs {
    /// Reads what is known of these nodes, and notes every one with executors that this run is about to change. A run that is cut anywhere
    /// leaves the note to the next.
    ///
    /// # Errors
    /// When it cannot be read or noted: then nothing may be changed.
    pub fn owe(store: &Arc<dyn Store>, ready: &[Ready]) -> Result<BTreeMap<NodeName, Self>, StateError> {
        let owing = ready.iter().filter(|one| !one.prepared.executors.is_empty());
        Self::note_all(store, owing.map(|one| (&one.node, (!one.plan.is_empty()).then_some(one.plan.generation + 1))))
    }

    /// Notes the nodes that are about to have another generation; all of them, or none.
    fn note_all<'a>(
        store: &Arc<dyn Store>,
        nodes: impl Iterator<Item = (&'a NodeName, Option<u64>)>,
    ) -> Result<BTreeMap<NodeName, Self>, StateError> {
        let store = ProofStore::new(Arc::clone(store));
        let mut noted = BTreeMap::new();
        for (node, generation) in nodes {
            match Self::note(&store, node, generation) {
                Ok(proofs) => noted.insert(node.clone(), proofs),
                Err(error) => {
                    noted.into_values().for_each(Self::take_back);
                    return Err(error);
                }
            };
        }
        Ok(noted)
    }

    /// Nothing is changed after all: what was noted is as it was.
    fn take_back(mut self) {
        if let Some(before) = self.before.take() {
            self.write(before);
        }
    }

    fn note(store: &ProofStore, node: &NodeName, generation: Option<u64>) -> Result<Self, StateError> {
        let (store, node) = (store.clone(), node.clone());
        for _ in 0..ATTEMPTS {
            let seen = store.get(&node)?;
            let Some(generation) = generation else { return Ok(Self { store, node, seen, before: None }) };
            let before = seen.ledger.clone();
            let mut ledger = before.clone();
            ledger.change(Some(generation));
            // Another run of this machine may note something too.
            if let Some(seen) = store.swap(&node, &seen, ledger)? {
                return Ok(Self { store, node, seen, before: Some(before) });
            }
        }
        Err(StateError::Contested { node })
    }

    /// Whether an executor of a node that does not change is to be proved all the same, before anything is noted. What cannot be read is owed.
    pub fn is_known_owed(store: &Arc<dyn Store>, one: &Ready, executor: &Executor) -> bool {
        let subject = Subject::of(executor);
        let seen = ProofStore::new(Arc::clone(store)).get(&one.node);
        seen.map_or(true, |seen| seen.ledger.knows_owed(&subject)) || one.connection.session.hello.ledger.owes(&subject)
    }

    /// Whether an executor is to be proved: its node owes it or does not know, or the site knows that it is owed. A site that knows nothing of
    /// it leaves it to the node: other machines of the site may have proved it.
    fn owes(&self, on_node: &Ledger, executor: &Executor) -> bool {
        let subject = Subject::of(executor);
        self.seen.ledger.knows_owed(&subject) || on_node.owes(&subject)
    }

    /// The run is over on the node; what its masters have to hear of each executor: where it came through, and where it did not, and this run
    /// or an earlier one has left it owed. A run of one role alone proves nothing.
    pub fn ended(&mut self, end: &NodeEnd, is_partial: bool) -> Vec<(Executor, Proof)> {
        let is_unfit = Self::unfit(end).is_some();
        // Nothing was begun, or nothing had to be changed after all.
        let is_untouched = end.run.is_none() || matches!(end.ending, Ok(Ending::Good { changed: 0, .. }));
        if let Some(before) = self.before.take_if(|_| is_untouched) {
            self.write(before);
        }
        let proof = |executor: &Executor| match (end.is_good(), self.owes(&end.ledger, executor)) {
            (true, _) if is_partial => None,
            (true, true) => Some(Proof::Wanted),
            (true, false) => Some(Proof::Standing),
            (false, is_owed) if end.run.is_some() => is_owed.then_some(Proof::Lapsed),
            // What its roles promise does not hold, whoever has changed that. A run of one role shows and asks nothing of masters.
            (false, _) if is_unfit => (!is_partial).then_some(Proof::Lapsed),
            // Whoever has the node now sees to its labels; the jobs that run there keep them, and what is owed stays owed.
            (false, _) if matches!(&end.ending, Err(trouble) if matches!(trouble.kind, TroubleKind::Locked | TroubleKind::Busy)) => None,
            // This run has changed nothing there; what an earlier one left owed counts by the node's own word.
            (false, _) => end.ledger.knows_owed(&Subject::of(executor)).then_some(Proof::Lapsed),
        };
        end.prepared.executors.iter().filter_map(|executor| Some((executor.clone(), proof(executor)?))).collect()
    }

    /// Why a node that no run has changed is out of service: proofs of its roles do not hold.
    pub fn unfit(end: &NodeEnd) -> Option<Unfit> {
        if end.run.is_some() || !matches!(end.ending, Ok(Ending::Failed)) {
            return None;
        }
        let proofs = end.prepared.catalog.verify.iter().zip(&end.plan.verify);
        let failed: Vec<Requirement> = proofs.filter(|(_, verdict)| !verdict.passed()).map(|(proof, _)| proof.clone()).collect();
        let first = failed.first().map_or_else(|| "a proof".to_owned(), |proof| proof.check.to_string());
        let why = format!("{first} does not hold on this node; the run in which it does lets it in again");
        Some(Unfit { why, failed })
    }

    /// Which of these, of nodes that are out of reach, the site knows to be owed. What cannot be read is not known.
    pub fn known_owed(store: &Arc<dyn Store>, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let store = ProofStore::new(Arc::clone(store));
        let is_owed = |one: &Candidate| store.get(&one.node).is_ok_and(|seen| seen.ledger.knows_owed(&Subject::of(&one.executor)));
        candidates.into_iter().filter(is_owed).collect()
    }

    /// Whether the site still knows one of those to be owed: another run may have proved it. What cannot be read is owed.
    pub fn is_still_owed(store: &Arc<dyn Store>, one: &Candidate) -> bool {
        let seen = ProofStore::new(Arc::clone(store)).get(&one.node);
        seen.map_or(true, |seen| seen.ledger.knows_owed(&Subject::of(&one.executor)))
    }

    /// Keeps in the site's state what masters have proved; the node has kept it before its labels said so. A run of one
    /// role proves nothing, whatever it says of those that it found held. Blocks.
    pub fn settle(&mut self, registered: &[Registered], end: &NodeEnd, is_partial: bool) {
        if is_partial || !end.is_good() {
            return;
        }
        let good = |executor: &&Executor| {
            let mut mine = registered.iter().filter(|one| one.master == executor.master && one.executor == executor.name);
            mine.any(Registered::is_good)
        };
        let owed = |executor: &&Executor| self.owes(&end.ledger, executor);
        let owed: Vec<Executor> = end.prepared.executors.iter().filter(good).filter(owed).cloned().collect();
        for executor in &owed {
            self.keep(&Proved { subject: Subject::of(executor), generation: end.generation() });
        }
    }

    /// In the site's state, unless another run has written there since.
    fn keep(&mut self, proved: &Proved) {
        let mut ledger = self.seen.ledger.clone();
        // What this run has seen or written is still there, or the swap fails: so the node's own number is the one that counts.
        ledger.change(Some(proved.generation));
        if ledger.prove(proved.clone()).is_ok() {
            self.write(ledger);
        }
    }

    fn write(&mut self, ledger: Ledger) {
        match self.store.swap(&self.node, &self.seen, ledger) {
            Ok(Some(seen)) => self.seen = seen,
            Ok(None) => {}
            // It costs one smoke job more.
            Err(error) => tracing::warn!(node = %self.node, %error, "a proof was not noted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::failed;
    use super::super::fake::executor;
    use super::*;
    use crate::fleet::new_run;
    use crate::fleet::{Prepared, Trouble};
    use crate::journal::FileStore;
    use ostler_roles::catalog::Catalog;
    use ostler_roles::plan::Plan;
    use ostler_roles::words::{Digest, RunId};

    fn node() -> NodeName {
        NodeName::parse("n1").unwrap()
    }

    /// Of a run that ended so on a node with two executors: `owed`, and one that was proved since.
    fn end(run: Option<RunId>, ending: Result<Ending, Trouble>) -> NodeEnd {
        let catalog = Catalog { node: node(), facts: Digest::of(b""), require: Vec::new(), steps: Vec::new(), verify: Vec::new() };
        let executors = vec![executor("owed"), executor("proved")];
        let mut ledger = Ledger::default();
        ledger.change(Some(3));
        ledger.prove(Proved { subject: Subject::of(&executors[1]), generation: 3 }).unwrap();
        let prepared = Prepared { catalog, blob: Arc::new(|_| None), secrets: Arc::default(), masked: Vec::new(), executors };
        let (requirements, steps, verify, notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let plan = Plan { catalog: Digest::of(b""), generation: 3, requirements, steps, verify, notes };
        NodeEnd { node: node(), prepared, plan, run, host_keys: Vec::new(), ledger, ending, connection: None }
    }

    fn trouble(kind: TroubleKind) -> Trouble {
        Trouble { kind, chain: Vec::new(), hint: String::new(), failure: None }
    }

    /// What masters hear, where the site itself knows nothing of the node.
    fn told(end: &NodeEnd, is_partial: bool) -> Vec<(String, Proof)> {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(FileStore::new(directory.path().join("site")));
        let store = ProofStore::new(store);
        let seen = store.get(&node()).unwrap();
        let mut proofs = Proofs { store, node: node(), seen, before: None };
        proofs.ended(end, is_partial).into_iter().map(|(executor, proof)| (executor.name.to_string(), proof)).collect()
    }

    #[test]
    fn an_executor_that_an_earlier_run_left_owed_is_put_aside_though_this_run_does_not_begin_on_its_node() {
        let owed = vec![("owed".to_owned(), Proof::Lapsed)];
        for kind in [TroubleKind::Unreachable, TroubleKind::Failed, TroubleKind::Moved] {
            assert_eq!(told(&end(None, Err(trouble(kind))), false), owed, "{kind:?}");
        }
        assert_eq!(told(&end(None, Ok(Ending::Cancelled)), false), owed);
        assert_eq!(told(&end(Some(new_run()), Ok(Ending::Failed)), true), owed);
        // Whoever has the node now sees to it.
        assert_eq!(told(&end(None, Err(trouble(TroubleKind::Locked))), false), []);
    }

    #[test]
    fn a_run_of_one_role_takes_no_label_off_a_node_whose_proofs_do_not_hold() {
        let unfit = end(None, Ok(Ending::Failed));
        let both = [("owed".to_owned(), Proof::Lapsed), ("proved".to_owned(), Proof::Lapsed)];
        assert_eq!(told(&unfit, false), both);
        assert_eq!(told(&unfit, true), [], "nobody was shown that, or asked");
    }

    #[test]
    fn masters_hear_of_each_executor_of_a_node_that_came_through_but_nothing_of_a_run_of_one_role() {
        let good = || Ok(Ending::Good { changed: 1, unchanged: 0, generation: 3 });
        let whole = [("owed".to_owned(), Proof::Wanted), ("proved".to_owned(), Proof::Standing)];
        assert_eq!(told(&end(Some(new_run()), good()), false), whole);
        assert_eq!(told(&end(Some(new_run()), good()), true), []);
    }

    #[test]
    fn a_run_of_one_role_leaves_owed_what_it_found_held() {
        for is_partial in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let store: Arc<dyn Store> = Arc::new(FileStore::new(directory.path().join("site")));
            let mut proofs = Proofs::note_all(&store, [(&node(), Some(3))].into_iter()).unwrap().remove(&node()).unwrap();
            let one = Candidate { node: node(), executor: executor("owed"), host_keys: Vec::new() };
            let held = Registered { is_good: true, held: Some("by another run".to_owned()), ..failed(&one, String::new()) };
            proofs.settle(&[held], &end(Some(new_run()), Ok(Ending::Good { changed: 1, unchanged: 0, generation: 3 })), is_partial);
            let owed = Proofs::known_owed(&store, vec![one]);
            assert_eq!(owed.len(), usize::from(is_partial), "a whole run has proved it");
        }
    }

    #[test]
    fn a_note_that_cannot_be_made_takes_back_those_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(FileStore::new(directory.path().join("site")));
        let nodes: Vec<NodeName> = ["n1", "n2", "n3"].iter().map(|name| NodeName::parse(name).unwrap()).collect();
        // What is kept of one of them cannot be read: it is no file.
        std::fs::create_dir_all(directory.path().join("site/proofs/n3")).unwrap();
        let changing = |nodes: &[NodeName]| Proofs::note_all(&store, nodes.iter().map(|node| (node, Some(1)))).map(drop);
        assert!(matches!(changing(&nodes), Err(StateError::File(_))));
        let known = |node| ProofStore::new(Arc::clone(&store)).get(node).unwrap().ledger;
        assert_eq!((known(&nodes[0]), known(&nodes[1])), (Ledger::default(), Ledger::default()), "nothing was changed there");
        changing(&nodes[..2]).unwrap();
        assert_eq!(known(&nodes[0]).changed(), Some(1));
    }

    #[test]
    fn a_note_that_another_run_has_written_with_the_same_words_is_not_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(FileStore::new(directory.path().join("site")));
        let note = || Proofs::note_all(&store, [(&node(), Some(5))].into_iter()).unwrap().remove(&node()).unwrap();
        let (ours, theirs) = (note(), note());
        let known = || ProofStore::new(Arc::clone(&store)).get(&node()).unwrap().ledger.changed();
        ours.take_back();
        assert_eq!(known(), Some(5), "the other run has begun, and owes");
        // Whoever wrote it takes it back.
        theirs.take_back();
        assert_eq!(known(), Some(5), "as it was before that one");
    }
}
