//! What outlasts a power cut and a call that never comes back: looks and proofs too, and what a command did before it is owed no more.

use super::*;
use ostler_roles::catalog::{Action, Requirement};
use ostler_roles::check::{Check, Connect, Verdict};
use ostler_roles::outcome::FailureKind;
use ostler_roles::plan::Planned;
use ostler_roles::words::{Origin, RoleName, Span};
use ostler_tests::protocol::command;

/// A run in which, from `Go` on, this never comes back.
fn hung(bench: &Bench, catalog: &Catalog, what: &str) -> Story {
    bench.open("impatient");
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = conversation.plan(catalog);
    conversation.give(&needed, &contents());
    bench.set_node(&FakeNode { hangs: [what.to_owned()].into(), ..bench.node() });
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    let story = conversation.story();
    bench.set_node(&FakeNode { hangs: Default::default(), ..bench.node() });
    story
}

#[test]
fn a_look_that_never_comes_back_ends_the_run_and_the_next_one_goes_on() {
    let bench = bench();
    let mut steps = vec![file("/etc/one", "one"), file("/etc/two", "two"), file("/etc/three", "three")];
    steps[1].within = Span::seconds(1);
    let (events, end) = hung(&bench, &catalog(steps.clone()), "look file /etc/two");
    let told = outcomes(&events);
    let Outcome::Failed(failure) = told[1] else { panic!("{told:?}") };
    assert_eq!((failure.kind, ending(&events)), (FailureKind::Deadline, Some(&Ending::Failed)));
    assert!(matches!(told[0], Outcome::Changed { .. }) && matches!(told[2], Outcome::NotStarted { .. }), "{told:?}");
    assert!(matches!(end, Some(ToController::Done { .. })), "{end:?}");
    let (events, _) = apply(&bench, &catalog(steps));
    assert_eq!(ending(&events), Some(&Ending::Good { changed: 2, unchanged: 1, generation: 2 }));
}

#[test]
fn a_proof_that_never_comes_back_is_named_and_ends_the_run() {
    let bench = bench();
    let mut proven = catalog(vec![file("/etc/one", "one")]);
    for port in [0, 1, 2] {
        proven.verify.push(Requirement {
            check: Check::Connect(Connect { host: "build-9".to_owned(), port }),
            role: RoleName::parse("base").unwrap(),
            origin: Origin::default(),
            within: Span::seconds(1),
        });
    }
    let (events, end) = hung(&bench, &proven, "connect build-9:1");
    let verdicts = events
        .iter()
        .filter_map(|(_, event)| if let Event::Verified { index, verdict, .. } = event { Some((*index, verdict)) } else { None });
    let told: Vec<_> =
        verdicts.map(|(index, verdict)| (index, verdict.passed(), matches!(verdict, Verdict::CouldNotTell { .. }))).collect();
    assert_eq!(told, [(0, true, false), (1, false, true)]);
    assert!(matches!(outcomes(&events)[..], [Outcome::Changed { .. }]), "{events:?}");
    assert_eq!(ending(&events), Some(&Ending::Failed));
    assert!(matches!(end, Some(ToController::Done { .. })), "{end:?}");
    let (events, _) = apply(&bench, &proven);
    assert_eq!(events.iter().filter(|(_, event)| matches!(event, Event::Verified { .. })).count(), 3);
}

#[test]
fn what_a_command_did_is_on_the_disk_before_it_is_owed_no_more() {
    let steps = catalog(vec![file("/etc/one", "one"), command("reindex", &["/etc/one"])]);
    let mut node = FakeNode::default();
    node.gates.insert("act command reindex".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    go(&mut conversation, &bench.run_id(), &steps);
    bench.await_reached("gate");
    bench.await_that("the file's change is kept", || bench.moments().iter().any(|moment| moment == "Journalled(4)"));
    // What the command makes cannot be kept.
    bench.set_node(&FakeNode { full: true, ..bench.node() });
    bench.open("gate");
    let (events, _) = conversation.story();
    assert_eq!(ending(&events), Some(&Ending::Failed));
    let told = outcomes(&events);
    let Outcome::Failed(failure) = told[1] else { panic!("{told:?}") };
    assert!(failure.message.ends_with("so it is owed still"), "{failure:?}");
    assert_eq!((failure.kind, &failure.causes[..]), (FailureKind::NoSpace, &["no space left on device".to_owned()][..]));
    assert!(!bench.moments().iter().any(|moment| moment.starts_with("Cleared")), "{:?}", bench.moments());
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&steps);
    assert!(matches!(&plan.steps[1], Planned::Change { triggered: Some((Action::Run, _)), .. }), "{plan:?}");
}
