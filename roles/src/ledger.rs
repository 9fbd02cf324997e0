//! On what labels rest: the run that changed a node last, and the smoke jobs that passed on it since. The node and the site keep one each, in
//! the same form. Owed is what the node owes or does not know, and what the site knows to be owed.

use crate::executor::Executor;
use crate::words::{Digest, MasterName, NodeName};
use serde::{Deserialize, Serialize};

/// Proofs that are kept of one node: as many executors hardly share a machine.
const KEPT: usize = 64;

/// What a proof is of: an executor, and what it was proved by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The master that it is registered with.
    pub master: MasterName,
    /// Its name there.
    pub executor: NodeName,
    /// Stands for its smoke commands: with others it is another proof.
    pub smoke: Digest,
}

impl Subject {
    /// What is to be proved of an executor.
    pub fn of(executor: &Executor) -> Self {
        let commands: Vec<(&str, &[String])> = executor.smoke.iter().map(|smoke| (smoke.name.as_str(), smoke.run.as_slice())).collect();
        Self { master: executor.master.clone(), executor: executor.name.clone(), smoke: Digest::of_value(&commands) }
    }

    fn is_same_executor(&self, other: &Self) -> bool {
        self.master == other.master && self.executor == other.executor
    }
}

/// A smoke job that passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proved {
    /// Of what.
    pub subject: Subject,
    /// The node's generation that it passed on: that of the run that had changed it last.
    pub generation: u64,
}

/// What is known of one node. The default knows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The generation of the run that changed the node last, or was about to; none: not known.
    #[serde(default)]
    changed: Option<u64>,
    /// What passed since it is kept, one for each executor.
    #[serde(default)]
    proved: Vec<Proved>,
}

impl Ledger {
    /// The generation of the run that changed the node last.
    pub fn changed(&self) -> Option<u64> {
        self.changed
    }

    /// Executors that have ever been proved on the node, by their masters, as far as they are kept.
    pub fn executors(&self) -> impl Iterator<Item = (&MasterName, &NodeName)> {
        self.proved.iter().map(|proved| (&proved.subject.master, &proved.subject.executor))
    }

    /// A run changes the node, or is about to.
    pub fn change(&mut self, generation: Option<u64>) {
        self.changed = generation;
    }

    /// Whether this has to be proved.
    pub fn owes(&self, subject: &Subject) -> bool {
        self.changed.is_none() || !self.proved.iter().any(|proved| proved.subject == *subject && Some(proved.generation) == self.changed)
    }

    /// Whether it is known that this executor was not proved since a run changed the node; by which commands is no matter.
    pub fn knows_owed(&self, subject: &Subject) -> bool {
        let is_proved = |proved: &Proved| proved.subject.is_same_executor(subject) && Some(proved.generation) == self.changed;
        self.changed.is_some() && !self.proved.iter().any(is_proved)
    }

    /// Something passed. Where nothing was known, it is what is known from now on.
    ///
    /// # Errors
    /// The present generation, when the node was changed again: then nothing is proved.
    pub fn prove(&mut self, proved: Proved) -> Result<(), u64> {
        match self.changed {
            Some(changed) if changed != proved.generation => return Err(changed),
            Some(_) | None => self.changed = Some(proved.generation),
        }
        self.proved.retain(|kept| !kept.subject.is_same_executor(&proved.subject));
        self.proved.push(proved);
        let spare = self.proved.len().saturating_sub(KEPT);
        self.proved.drain(..spare);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(executor: &str, smoke: &[u8]) -> Subject {
        let master = MasterName::parse("ci").unwrap();
        Subject { master, executor: NodeName::parse(executor).unwrap(), smoke: Digest::of(smoke) }
    }

    fn proved(executor: &str, smoke: &[u8], generation: u64) -> Proved {
        Proved { subject: subject(executor, smoke), generation }
    }

    #[test]
    fn what_is_not_known_is_owed_until_it_is_proved() {
        let mut ledger = Ledger::default();
        assert!(ledger.owes(&subject("w1", b"true")) && !ledger.knows_owed(&subject("w1", b"true")));
        ledger.prove(proved("w1", b"true", 3)).unwrap();
        assert!(!ledger.owes(&subject("w1", b"true")));
        assert!(ledger.owes(&subject("w2", b"true")), "another executor");
        assert_eq!(ledger.changed(), Some(3));
    }

    #[test]
    fn a_change_and_other_smoke_commands_are_owed_again() {
        let mut ledger = Ledger::default();
        ledger.prove(proved("w1", b"true", 3)).unwrap();
        assert!(ledger.owes(&subject("w1", b"true; make")) && !ledger.knows_owed(&subject("w1", b"true; make")));
        ledger.change(Some(4));
        assert!(ledger.owes(&subject("w1", b"true")) && ledger.knows_owed(&subject("w1", b"make")));
        assert_eq!(ledger.prove(proved("w1", b"true", 3)), Err(4), "what passed before the change proves nothing");
        ledger.prove(proved("w1", b"true", 4)).unwrap();
        assert!(!ledger.owes(&subject("w1", b"true")));
        // Back to the run before: what it proved holds again.
        ledger.change(Some(5));
        ledger.change(Some(4));
        assert!(!ledger.owes(&subject("w1", b"true")));
    }

    #[test]
    fn one_proof_is_kept_of_each_executor_and_not_without_end() {
        let mut ledger = Ledger::default();
        for number in 0..100 {
            ledger.prove(proved(&format!("w{number}"), b"true", 1)).unwrap();
            ledger.prove(proved(&format!("w{number}"), b"make", 1)).unwrap();
        }
        assert_eq!(ledger.proved.len(), KEPT);
        assert!(ledger.owes(&subject("w99", b"true")) && !ledger.owes(&subject("w99", b"make")));
    }
}
