//! What was only held is given back, unless its node is another run's.

use super::*;
use crate::fleet::fake::{Act, FakeNode, run_id};
use crate::registration::fake::{executor, registrar};
use crate::registration::masters::tests::Narrow;
use crate::registration::{Connections, Opened};
use ostler_roles::ledger::Ledger;
use ostler_roles::wire::message::{ActiveRun, Hello, ToController};
use ostler_roles::words::Digest;
use std::collections::BTreeMap;
use std::sync::mpsc;
use tokio::sync::{OnceCell, Semaphore};

/// What is done on its master for one that was held, and what is told of it as a failure, where its node says this when it is asked anew;
/// none: nobody is there.
async fn given_back(hello: Option<Hello>, is_former: bool) -> (Vec<String>, Vec<String>) {
    let met = |hello| vec![Act::Hear, Act::Say(ToController::Hello(Box::new(hello))), Act::Hear];
    let fake = FakeNode::new(vec![hello.map(met)]);
    let (preparation, _told) = fake.preparation();
    let registrar = Registrar { preparation, ..registrar() };
    let (asked, seen) = mpsc::channel();
    let driver: Option<Box<dyn Driver>> = Some(Box::new(Narrow::that(asked, mpsc::channel().1)));
    let open = OpenMaster::of(Opened { driver, refused: Vec::new(), hint: None });
    let (node, executor) = (NodeName::parse("n1").unwrap(), executor("n1"));
    let candidate = Candidate { node: node.clone(), executor, host_keys: Vec::new() };
    let entry = Entry { master: None, batch: vec![candidate.clone()], opened: OnceCell::new_with(Some(Ok(Arc::new(open)))) };
    let masters = Arc::new(BTreeMap::from([(candidate.executor.master.clone(), entry)]));
    let (connections, drains) = (Connections::new(&registrar), Arc::new(Semaphore::new(1)));
    let masters = Masters { registrar: registrar.clone(), connections, masters, settled: Arc::default(), drains };
    let transaction = Transaction::of_planned(&node, Digest::of(b"plan"), &registrar.preparation.events);
    let left = masters.give_back(&node, Cordoned(vec![Held { candidate, is_former }]), None, &transaction).await;
    (seen.try_iter().collect(), left.into_iter().map(|one| one.text).collect())
}

fn hello(run: Option<ActiveRun>, changed: Option<u64>) -> Hello {
    let mut ledger = Ledger::default();
    ledger.change(changed);
    Hello { run, ledger, ..crate::session::fake::hello() }
}

fn active(owes: bool) -> ActiveRun {
    ActiveRun { run: run_id(), alive: true, controller: "eve@desk".into(), since: 1, age: Span::seconds(0), events: 3, owes }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_is_given_back_unless_its_node_is_another_runs() {
    let (free, stays) = (vec!["uncordon n1".to_owned()], Vec::new());
    assert_eq!(given_back(Some(hello(None, None)), false).await, (free.clone(), Vec::new()));
    assert_eq!(given_back(Some(hello(Some(active(true)), None)), false).await, (stays.clone(), Vec::new()), "that run lets it in");
    assert_eq!(given_back(Some(hello(None, Some(7))), false).await, (stays, Vec::new()), "it was left owed");
    // One that owes nothing lets nobody in.
    assert_eq!(given_back(Some(hello(Some(active(false)), None)), false).await, (free, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_was_called_before_is_given_back_though_nobody_proves_it_any_more() {
    assert_eq!(given_back(Some(hello(None, Some(7))), true).await, (vec!["uncordon n1".to_owned()], Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_held_as_its_node_does_not_answer_is_a_failed_registration() {
    let (asked, told) = given_back(None, false).await;
    assert_eq!((asked, told.len()), (Vec::new(), 1), "{told:?}");
    let text = "it takes no jobs until a run that comes through lets it in: whether another run has the node is not known: reach n1";
    assert!(told[0].starts_with(text), "{told:?}");
}
