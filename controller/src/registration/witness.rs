//! The way to the node of one executor: what a run gives it there.

use super::connections::SharedJob;
use super::node_job::NodeJobError;
use crate::masters::driver::Cause;
use crate::masters::witness::{Nonce, Unkept, Witness};
use crate::session::SessionError;
use ostler_roles::author::compile::Master;
use ostler_roles::challenge::Place;
use ostler_roles::executor::Executor;
use ostler_roles::ledger::Subject;
use ostler_roles::wire::message::{Hidden, Refusal};
use ostler_roles::words::{AccountName, NodeName};
use std::sync::PoisonError;

/// The node of one executor, over its connection of this run.
#[derive(Debug)]
pub struct SessionWitness {
    node: NodeName,
    place: Place,
    account: AccountName,
    subject: Subject,
    job: SharedJob,
}

impl SessionWitness {
    /// That of this executor.
    pub fn new(node: &NodeName, master: &Master, executor: &Executor, job: SharedJob) -> Self {
        let place = Place::of(&master.url, &executor.name);
        Self { node: node.clone(), place, account: executor.user.clone(), subject: Subject::of(executor), job }
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

    fn keep(&self) -> Result<(), Unkept> {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        job.prove(&self.subject).map_err(|error| match &error {
            NodeJobError::Session(_, SessionError::Refused(Refusal::Locked(_) | Refusal::Starting | Refusal::ChangedSince { .. })) => {
                Unkept::Changed(Box::new(error))
            }
            _ => Unkept::Owed(Box::new(error)),
        })
    }

    fn taken_by(&self) -> Result<Option<String>, Cause> {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let (run, _) = job.look().map_err(|error| Box::new(error) as Cause)?;
        Ok(run.map(|run| Refusal::Locked(run).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::executor;
    use super::super::node_job::NodeJob;
    use super::*;
    use crate::fleet::fake::{Act, FakeNode, hello, name, run_id};
    use crate::fleet::{Masked, Preparation};
    use ostler_roles::wire::message::{ActiveRun, Hello, ToAgent, ToController};
    use ostler_roles::words::Span;
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};
    use tokio::sync::watch;

    /// The way to this node, which is met already.
    async fn witness(preparation: &Preparation, generation: Option<u64>) -> SessionWitness {
        let connection = Some(preparation.meet(&name(), async { Vec::new() }).await.unwrap());
        let (controller, stop, runtime) = ("ada@desk".to_owned(), watch::channel(false).1.into(), tokio::runtime::Handle::current());
        let (preparation, masked) = (preparation.clone(), Some(Masked::default()));
        let job = NodeJob { node: name(), preparation, connection, masked, generation, controller, stop, runtime, nonces: BTreeSet::new() };
        let executor = executor("n1");
        let (place, account) = (Place::of("http://ci", &executor.name), executor.user.clone());
        SessionWitness { node: name(), place, account, subject: Subject::of(&executor), job: Arc::new(Mutex::new(job)) }
    }

    fn active(owes: bool) -> ActiveRun {
        ActiveRun { run: run_id(), alive: true, controller: "eve@desk".into(), since: 1, age: Span::seconds(0), events: 3, owes }
    }

    /// What comes of a proof on a node whose connections, one after the other, answer so; none: it is lost.
    async fn kept(generation: Option<u64>, answers: &[Option<ToController>]) -> (Result<(), bool>, Vec<u64>) {
        let answer = |answer: &Option<ToController>| {
            let acts = vec![Act::Hear, Act::Say(hello()), Act::Hear];
            Some(acts.into_iter().chain(answer.clone().map(Act::Say)).collect())
        };
        let fake = FakeNode::new(answers.iter().map(answer).collect());
        let (preparation, _told) = fake.preparation();
        let witness = witness(&preparation, generation).await;
        let done = tokio::task::spawn_blocking(move || witness.keep()).await.unwrap();
        let heard = fake.heard();
        let proved = heard.iter().filter_map(|heard| if let ToAgent::Prove(proved) = heard { Some(proved.generation) } else { None });
        (done.map_err(|unkept| matches!(unkept, Unkept::Changed(_))), proved.collect())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_proof_of_a_node_that_another_run_has_or_has_changed_is_none_and_one_that_is_lost_is_owed() {
        let refused = |refusal| vec![Some(ToController::Refused(refusal))];
        let changed = [Refusal::Locked(active(true)), Refusal::ChangedSince { proved: 5, found: 6 }];
        for refusal in changed {
            assert_eq!(kept(Some(5), &refused(refusal.clone())).await, (Err(true), vec![5]), "{refusal:?}");
        }
        assert_eq!(kept(Some(5), &refused(Refusal::NoRunner("no space left".to_owned()))).await, (Err(false), vec![5]));
        assert_eq!(kept(Some(5), &[None]).await, (Err(false), vec![5]), "the connection is lost, and there is no other");
        let proved = || Some(ToController::Proved);
        assert_eq!(kept(Some(5), &[proved()]).await, (Ok(()), vec![5]));
        assert_eq!(kept(Some(5), &[None, proved()]).await, (Ok(()), vec![5, 5]), "the connection is lost, and another one comes");
        assert_eq!(kept(None, &[proved()]).await, (Err(false), Vec::new()), "of no generation");
        // What owes nothing, or is not on record yet, is waited for.
        let small = Refusal::Locked(active(false));
        for refusal in [small, Refusal::Starting] {
            let answers = [Some(ToController::Refused(refusal.clone())), proved()];
            assert_eq!(kept(Some(5), &answers).await, (Ok(()), vec![5, 5]), "{refusal:?}");
        }
    }

    /// What is told of the other run, where a connection of before knew none, and the next one does.
    async fn taken(run: Option<ActiveRun>) -> Result<Option<String>, String> {
        let hello = |run| ToController::Hello(Box::new(Hello { run, ..crate::session::fake::hello() }));
        let met = |run| Some(vec![Act::Hear, Act::Say(hello(run)), Act::Hear]);
        let fake = FakeNode::new(vec![met(None), met(run)]);
        let (preparation, _told) = fake.preparation();
        let witness = witness(&preparation, None).await;
        let taken = tokio::task::spawn_blocking(move || witness.taken_by().map_err(|error| error.to_string())).await.unwrap();
        assert_eq!(fake.left(), 0, "what was met before says how it was then");
        taken
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_is_taken_by_a_run_that_owes_and_is_alive_as_it_tells_anew() {
        assert_eq!(taken(None).await, Ok(None));
        assert_eq!(taken(Some(active(true))).await, Ok(Some("run 00000001 of eve@desk has had the node for 0s".to_owned())));
        assert_eq!(taken(Some(active(false))).await, Ok(None), "it lets nobody in");
        assert_eq!(taken(Some(ActiveRun { alive: false, ..active(true) })).await, Ok(None), "it was cut");
    }

    /// Whether a node that is not met again has heard the end of the conversation of before, where this was given over that, and taken or not.
    async fn is_hung_up(is_given: bool, is_taken: bool) -> bool {
        let answers = usize::from(is_given) + usize::from(is_taken);
        let answered = (0..answers).flat_map(|_| [Act::Hear, Act::Say(ToController::Challenge(true))]);
        let acts = [Act::Hear, Act::Say(hello())].into_iter().chain(answered).chain([Act::Hear]).collect();
        let fake = FakeNode::new(vec![Some(acts), None]);
        let (preparation, _told) = fake.preparation();
        let witness = witness(&preparation, None).await;
        let work = move || {
            if is_given {
                witness.give(&Nonce::fresh().unwrap()).unwrap();
            }
            assert!(!is_taken || witness.take().unwrap());
            assert!(witness.taken_by().is_err(), "nobody is there");
            witness.job.lock().unwrap().connection.is_none()
        };
        let is_hung_up = tokio::task::spawn_blocking(work).await.unwrap();
        let heard = async {
            while is_hung_up && !fake.heard().iter().any(|heard| matches!(heard, ToAgent::Bye)) {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), heard).await.expect("it was told nothing");
        is_hung_up
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_line_is_hung_up_before_the_next_unless_a_nonce_is_there() {
        assert!(is_hung_up(false, false).await, "two lines are open, and one was counted");
        assert!(!is_hung_up(true, false).await, "its nonce went with it");
        assert!(is_hung_up(true, true).await, "the nonce is taken");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_nonce_stays_where_another_executor_asks_which_run_has_the_node() {
        let met = |answers: usize| {
            let answered = (0..answers).flat_map(|_| [Act::Say(ToController::Challenge(true)), Act::Hear]);
            Some([Act::Hear, Act::Say(hello()), Act::Hear].into_iter().chain(answered).collect())
        };
        // A nonce is taken where it was given: the second conversation knows of none.
        let fake = FakeNode::new(vec![met(2), met(0)]);
        let (preparation, _told) = fake.preparation();
        let witness = witness(&preparation, None).await;
        let work = move || {
            witness.give(&Nonce::fresh().unwrap()).unwrap();
            (witness.taken_by().unwrap(), witness.take().map_err(|error| error.to_string()))
        };
        assert_eq!(tokio::task::spawn_blocking(work).await.unwrap(), (None, Ok(true)));
        assert_eq!(fake.left(), 0, "it was not asked anew");
    }
}
