//! What a node knows of the proofs that its labels rest on: owed from `Go` on, kept where nothing has changed since.

use super::*;
use ostler_roles::ledger::{Ledger, Proved, Subject};
use ostler_roles::wire::message::{Refusal, ToAgent};
use ostler_roles::words::{MasterName, NodeName};

fn subject() -> Subject {
    let (master, executor) = (MasterName::parse("ci").unwrap(), NodeName::parse("build-1").unwrap());
    Subject { master, executor, smoke: Digest::of(b"true") }
}

/// What the node says of itself to whoever comes next.
fn ledger(bench: &Bench) -> Ledger {
    bench.connect().hello().ledger
}

/// The answer to a proof.
fn prove(bench: &Bench, generation: u64) -> Option<ToController> {
    let mut conversation = bench.connect();
    conversation.hello();
    conversation.send(&[ToAgent::Prove(Proved { subject: subject(), generation })]);
    conversation.receive()
}

#[test]
fn a_run_owes_a_proof_of_its_own_generation_until_one_has_come() {
    let bench = bench();
    assert_eq!(ledger(&bench), Ledger::default(), "a new node knows nothing");
    apply(&bench, &catalog(vec![file("/etc/one", "one")]));
    bench.await_rest();
    assert_eq!(ledger(&bench).changed(), Some(1));
    assert_eq!(prove(&bench, 1), Some(ToController::Proved));
    assert!(!ledger(&bench).owes(&subject()));
    apply(&bench, &catalog(vec![file("/etc/one", "two")]));
    bench.await_rest();
    assert!(ledger(&bench).owes(&subject()), "it was changed again");
    let late = Some(ToController::Refused(Refusal::ChangedSince { proved: 1, found: 2 }));
    assert_eq!(prove(&bench, 1), late, "what passed before the change proves nothing of it");
    assert!(ledger(&bench).owes(&subject()));
    assert_eq!(prove(&bench, 2), Some(ToController::Proved));
    assert!(!ledger(&bench).owes(&subject()));
}

#[test]
fn what_failed_is_owed_and_so_is_what_was_killed_once_it_is_on_record() {
    let bench = bench_with(&FakeNode { fails: ["file /etc/two".to_owned()].into(), ..FakeNode::default() });
    assert_eq!(prove(&bench, 0), Some(ToController::Proved));
    apply(&bench, &web());
    bench.await_rest();
    assert_eq!(ledger(&bench).changed(), Some(1), "a step that failed");
    for (moment, changed) in [("Persisted", Some(1)), ("Recorded", Some(2))] {
        let mut conversation = bench.connect_killed_at(moment);
        conversation.hello();
        go(&mut conversation, &bench.run_id(), &web());
        let _ = conversation.story();
        bench.await_rest();
        assert_eq!(ledger(&bench).changed(), changed, "killed at {moment}");
    }
}

#[test]
fn a_run_that_changes_nothing_leaves_the_proof_as_it_was() {
    let there = {
        let bench = bench();
        apply(&bench, &catalog(vec![file("/etc/one", "one")]));
        bench.node().there
    };
    let bench = bench();
    assert_eq!(prove(&bench, 0), Some(ToController::Proved));
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = conversation.plan(&catalog(vec![file("/etc/one", "one")]));
    conversation.give(&needed, &contents());
    bench.set_node(&FakeNode { there, ..bench.node() });
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    assert!(matches!(ending(&conversation.story().0), Some(Ending::Good { changed: 0, generation: 1, .. })));
    bench.await_rest();
    assert!(!ledger(&bench).owes(&subject()));
}

#[test]
fn a_run_that_owes_nothing_leaves_the_proof_as_it_was() {
    let bench = bench();
    assert_eq!(prove(&bench, 0), Some(ToController::Proved));
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = conversation.plan(&catalog(vec![file("/etc/one", "one")]));
    conversation.give(&needed, &contents());
    let ToAgent::Go { run, plan, generation, secrets, masked, controller, .. } = Conversation::going(&bench.run_id(), &plan, Vec::new())
    else {
        panic!("a go")
    };
    conversation.send(&[ToAgent::Go { run, plan, generation, secrets, masked, controller, owes: false }]);
    assert!(matches!(ending(&conversation.story().0), Some(Ending::Good { changed: 1, generation: 1, .. })));
    bench.await_rest();
    assert!(!ledger(&bench).owes(&subject()), "a master's files for its workers are no change of the machine that jobs run on");
}

#[test]
fn a_proof_waits_for_no_run_that_goes_on() {
    for owes in [true, false] {
        let mut node = FakeNode::default();
        node.gates.insert("file /etc/one".to_owned(), "gate".to_owned());
        let bench = bench_with(&node);
        let mut conversation = bench.connect();
        conversation.hello();
        let (plan, needed) = conversation.plan(&catalog(vec![file("/etc/one", "one")]));
        conversation.give(&needed, &contents());
        let ToAgent::Go { run, plan, generation, secrets, masked, controller, .. } =
            Conversation::going(&bench.run_id(), &plan, Vec::new())
        else {
            panic!("a go")
        };
        conversation.send(&[ToAgent::Go { run, plan, generation, secrets, masked, controller, owes }]);
        bench.await_reached("gate");
        let refused = prove(&bench, 1);
        let Some(ToController::Refused(Refusal::Locked(active))) = refused else { panic!("{refused:?}") };
        let told = bench.connect().hello().run.map(|run| (run.alive, run.owes));
        assert_eq!((active.owes, told), (owes, Some((true, owes))));
        bench.open("gate");
        let _ = conversation.story();
        bench.await_rest();
        assert!(ledger(&bench).owes(&subject()));
    }
}
