//! What was only held is given back, unless its node is another run's.

use super::*;
use crate::fleet::fake::{Act, FakeNode, run_id};
use crate::masters::driver::{Cordon, CordonError};
use crate::registration::fake::{executor, registrar};
use crate::registration::masters::tests::{Narrow, masters};
use ostler_roles::ledger::Ledger;
use ostler_roles::wire::message::{ActiveRun, Hello, ToController};
use ostler_roles::words::Digest;
use std::sync::mpsc;

/// What is done on its master for one that was held, and what is told of it as a failure, where its node says this when it is asked anew;
/// none: nobody is there. This run has not begun there.
async fn given_back(hello: Option<Hello>, is_former: bool) -> (Vec<String>, Vec<String>) {
    given_back_by(None, hello, is_former).await
}

/// The same, of this run on the node.
async fn given_back_by(own: Option<RunId>, hello: Option<Hello>, is_former: bool) -> (Vec<String>, Vec<String>) {
    let met = |hello| vec![Act::Hear, Act::Say(ToController::Hello(Box::new(hello))), Act::Hear];
    let fake = FakeNode::new(vec![hello.map(met)]);
    let (preparation, _told) = fake.preparation();
    let registrar = Registrar { preparation, ..registrar() };
    let (asked, seen) = mpsc::channel();
    let masters = masters(Narrow::that(asked, mpsc::channel().1), &registrar);
    let (node, held) = one(is_former);
    let transaction = Transaction::of_planned(&node, Digest::of(b"plan"), &registrar.preparation.events);
    let cordoned = Cordoned { ours: vec![held], before: Vec::new() };
    let left = masters.give_back(&node, cordoned, own.as_ref(), &transaction).await;
    (seen.try_iter().collect(), left.into_iter().map(|one| one.text).collect())
}

fn one(is_former: bool) -> (NodeName, Held) {
    let node = NodeName::parse("one").unwrap();
    let candidate = Candidate { node: node.clone(), executor: executor("one"), host_keys: Vec::new() };
    (node, Held { candidate, is_former, is_sure: true })
}

/// What is done on a master that answers a hold so, behind which nothing is begun: all is given back.
async fn drained(cordoned: fn() -> Result<Cordon, CordonError>) -> Vec<String> {
    let met = [Act::Hear, Act::Say(ToController::Hello(Box::new(hello(None, None)))), Act::Hear];
    let (preparation, _told) = FakeNode::new(vec![Some(met.into())]).preparation();
    let registrar = Registrar { preparation, ..registrar() };
    let (asked, seen) = mpsc::channel();
    let masters = masters(Narrow::that(asked, mpsc::channel().1).labelled().cordoning(cordoned), &registrar);
    let (node, held) = one(false);
    let transaction = Transaction::of_planned(&node, Digest::of(b"plan"), &registrar.preparation.events);
    let executors = vec![held.candidate.executor];
    let drained = masters.drain(&node, (executors, Vec::new()), Duration::ZERO, &transaction).await;
    let Err((_, cordoned)) = drained else { panic!("it is free") };
    drop(masters.give_back(&node, cordoned, None, &transaction).await);
    seen.try_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_of_which_the_master_does_not_say_whether_it_is_there_is_given_back() {
    let lost: fn() -> _ = || Err(CordonError::told(MasterError::Failed("no answer within 30 s".into())));
    assert_eq!(drained(lost).await, ["look one", "cordon one", "uncordon one"]);
    let stopped: fn() -> _ = || Err(CordonError::told(MasterError::Stopped { left: None }));
    assert_eq!(drained(stopped).await, ["look one", "cordon one", "uncordon one"]);
    let untold: fn() -> _ = || Err(CordonError::from(MasterError::Failed("no answer within 30 s".into())));
    assert_eq!(drained(untold).await, ["look one", "cordon one"], "nothing was done");
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
    let (free, stays) = (vec!["uncordon one".to_owned()], Vec::new());
    assert_eq!(given_back(Some(hello(None, None)), false).await, (free.clone(), Vec::new()));
    assert_eq!(given_back(Some(hello(Some(active(true)), None)), false).await, (stays.clone(), Vec::new()), "that run lets it in");
    assert_eq!(given_back(Some(hello(None, Some(7))), false).await, (stays, Vec::new()), "it was left owed");
    // One that owes nothing lets nobody in.
    assert_eq!(given_back(Some(hello(Some(active(false)), None)), false).await, (free, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_was_called_before_is_given_back_though_nobody_proves_it_any_more() {
    assert_eq!(given_back(Some(hello(None, Some(7))), true).await, (vec!["uncordon one".to_owned()], Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_held_as_its_node_does_not_answer_is_a_failed_registration() {
    let (asked, told) = given_back(None, false).await;
    assert_eq!((asked, told.len()), (Vec::new(), 1), "{told:?}");
    let text = "it takes no jobs until a whole run that comes through lets it in: whether another run has the node is not known: reach one";
    assert!(told[0].starts_with(text), "{told:?}");
    // What the site does not call it any more no run lets in.
    let (_, told) = given_back(None, true).await;
    let text = "it takes no jobs until somebody lets it in on its master, as nothing in the site is called so now: whether another run";
    assert!(told[0].starts_with(text), "{told:?}");
}

/// What is asked of the master for one that a run before this one had held, and what is told of it at last.
async fn left_held(is_former: bool, is_held: bool) -> (Vec<String>, Vec<Option<String>>) {
    let registrar = registrar();
    let (asked, seen) = mpsc::channel();
    let masters = masters(Narrow::that(asked, mpsc::channel().1).labelled().held_by_us(is_held), &registrar);
    let (node, held) = one(is_former);
    let transaction = Transaction::of_planned(&node, Digest::of(b"plan"), &registrar.preparation.events);
    let left = masters.left_held(Cordoned { ours: Vec::new(), before: vec![held] }, &transaction).await;
    (seen.try_iter().collect(), left.into_iter().map(|one| one.held).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_one_role_tells_of_what_is_held_still_but_not_of_what_it_was_called_before() {
    let look = || vec!["look one".to_owned()];
    assert_eq!(left_held(false, true).await, (look(), vec![Some(HELD_BEFORE.to_owned())]));
    assert_eq!(left_held(false, false).await, (look(), Vec::new()));
    assert_eq!(left_held(true, true).await, (Vec::new(), Vec::new()), "no run lets it in");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_so_where_its_node_is_silent_also_behind_a_run_of_this_one() {
    let (asked, told) = given_back_by(Some(run_id()), None, false).await;
    assert_eq!((asked, told.len()), (Vec::new(), 1), "{told:?}");
}
