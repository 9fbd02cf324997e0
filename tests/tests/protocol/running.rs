//! Runs that nobody disturbs, and those that go wrong by themselves.

use super::*;
use ostler_agent::engine::Lock;
use ostler_roles::catalog::Action;
use ostler_roles::outcome::FailureKind;
use ostler_roles::plan::Planned;
use ostler_roles::resource::Desired;
use ostler_roles::wire::message::{Hidden, Refusal, SecretData, ToAgent};
use ostler_roles::words::{AbsPath, SecretRef};
use ostler_tests::protocol::{command, package, secret_file};
use std::time::Duration;

#[test]
fn a_run_changes_what_was_shown_and_the_second_plan_is_empty() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let run = bench.run_id();
    go(&mut conversation, &run, &web());
    let (events, end) = conversation.story();
    assert_counts_from(1, &events);
    assert_eq!(end, Some(ToController::Done { run: run.clone(), last: events.len() as u64 }));
    assert_eq!(events[0].1, Event::Started { run, steps: 4, resumed_at: None });
    assert_eq!(ending(&events), Some(&Ending::Good { changed: 4, unchanged: 0, generation: 1 }));
    let acts = events.iter().filter(|(_, event)| matches!(event, Event::Triggered { action: Action::Restart, index: 2, .. }));
    assert_eq!((acts.count(), bench.node().acts.len()), (1, 1), "once, though two of its files changed");
    // The same connection takes the next catalog.
    let (plan, needed) = conversation.plan(&web());
    assert!(plan.is_empty() && needed.is_empty(), "{plan:?}");
    assert_eq!(plan.generation, 1);
    let hello = bench.connect().hello();
    assert_eq!((hello.generation, hello.run), (1, None));
}

#[test]
fn a_run_on_an_empty_plan_does_nothing_but_tell() {
    let bench = bench();
    apply(&bench, &web());
    let before = bench.node();
    let (events, _) = apply(&bench, &web());
    assert_eq!(ending(&events), Some(&Ending::Good { changed: 0, unchanged: 4, generation: 2 }));
    assert_eq!(bench.node(), before);
}

#[test]
fn consecutive_packages_are_one_transaction() {
    let bench = bench();
    let steps = vec![package("a"), package("b"), file("/etc/one", "one"), package("c")];
    let (events, _) = apply(&bench, &catalog(steps));
    assert_eq!(outcomes(&events).len(), 4);
    let transactions = bench.node().transactions;
    assert_eq!(transactions, [vec!["package a", "package b"], vec!["file /etc/one"], vec!["package c"]]);
}

#[test]
fn a_step_that_never_comes_back_is_named_the_run_ends_and_the_next_one_goes_on() {
    let mut node = FakeNode::default();
    node.hangs.insert("file /etc/two".to_owned());
    let bench = bench_with(&node);
    bench.open("impatient");
    let mut steps = vec![file("/etc/one", "one"), file("/etc/two", "two"), file("/etc/three", "three")];
    steps[1].within = ostler_roles::words::Span::seconds(1);
    let (events, end) = apply(&bench, &catalog(steps.clone()));
    let told = outcomes(&events);
    assert!(matches!(told[0], Outcome::Changed { .. }), "{told:?}");
    let Outcome::Failed(failure) = told[1] else { panic!("{told:?}") };
    assert_eq!(failure.kind, FailureKind::Deadline);
    assert_eq!(failure.message, "it had 1s and never came back: a call into the system does not return");
    assert_eq!(*told[2], Outcome::NotStarted { because: "file /etc/two never came back".to_owned() });
    assert_eq!(ending(&events), Some(&Ending::Failed));
    assert!(matches!(end, Some(ToController::Done { .. })), "{end:?}");
    // The file server is back; nothing is in the way of the next run.
    let node = FakeNode { hangs: Default::default(), ..bench.node() };
    bench.set_node(&node);
    let (events, _) = apply(&bench, &catalog(steps));
    assert_eq!(ending(&events), Some(&Ending::Good { changed: 2, unchanged: 1, generation: 2 }));
}

#[test]
fn members_of_one_together_block_run_at_once() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/one".to_owned(), "gate-one".to_owned());
    node.gates.insert("file /etc/two".to_owned(), "gate-two".to_owned());
    let bench = bench_with(&node);
    let mut steps = vec![file("/etc/one", "one"), file("/etc/two", "two"), file("/etc/three", "three")];
    steps[0].together = Some(1);
    steps[1].together = Some(1);
    let mut conversation = bench.connect();
    conversation.hello();
    go(&mut conversation, &bench.run_id(), &catalog(steps));
    bench.await_reached("gate-one");
    bench.await_reached("gate-two");
    assert!(!bench.node().there.contains_key("file /etc/three"), "what comes after the block waits for it");
    bench.open("gate-one");
    bench.open("gate-two");
    let (events, _) = conversation.story();
    assert_counts_from(1, &events);
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 3, .. })));
}

#[test]
fn after_a_failure_the_rest_is_not_started_and_the_owed_action_survives() {
    let mut node = FakeNode::default();
    node.fails.insert("file /etc/two".to_owned());
    let bench = bench_with(&node);
    let (events, _) = apply(&bench, &web());
    assert_eq!(ending(&events), Some(&Ending::Failed));
    let outcomes = outcomes(&events);
    assert!(matches!(outcomes[0], Outcome::Changed { .. }));
    assert!(matches!(outcomes[1], Outcome::Failed(failure) if failure.kind == FailureKind::Apply));
    for outcome in &outcomes[2..] {
        assert_eq!(**outcome, Outcome::NotStarted { because: "file /etc/two failed before it".to_owned() });
    }
    assert_eq!(bench.node().acts, Vec::new());
    // Whatever becomes of the second file: the first one has changed, and the service does not know yet.
    let mut node = bench.node();
    node.fails.clear();
    node.there.insert("file /etc/two".to_owned(), blob_of("two").hex());
    node.there.insert("service nginx".to_owned(), "good".to_owned());
    bench.set_node(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&web());
    let Planned::Change { changes, triggered: Some((Action::Restart, because)), .. } = &plan.steps[2] else { panic!("{plan:?}") };
    assert_eq!((changes.len(), because.len()), (0, 2));
    let (events, _) = apply(&bench, &web());
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 2, .. })), "{events:?}");
    assert_eq!(bench.node().acts.len(), 1);
    assert!(conversation.plan(&web()).0.is_empty());
}

#[test]
fn a_watcher_whose_act_fails_owes_it_still() {
    let mut node = FakeNode::default();
    node.fails.insert("act service nginx".to_owned());
    let bench = bench_with(&node);
    let (events, _) = apply(&bench, &web());
    assert!(matches!(outcomes(&events)[2], Outcome::Failed(failure) if failure.message == "its check does not hold"));
    let mut node = bench.node();
    node.fails.clear();
    bench.set_node(&node);
    let (events, _) = apply(&bench, &web());
    assert!(matches!(ending(&events), Some(Ending::Good { .. })));
    assert_eq!(bench.node().acts.len(), 1);
}

#[test]
fn a_restart_that_a_service_owes_to_its_own_change_is_owed_until_it_is_made() {
    let mut node = FakeNode::default();
    node.owes.insert("service nginx".to_owned());
    node.fails.insert("act service nginx".to_owned());
    let bench = bench_with(&node);
    let alone = catalog(vec![service("nginx", &[])]);
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&alone);
    let Planned::Change { triggered: Some((Action::Restart, because)), .. } = &plan.steps[0] else { panic!("{plan:?}") };
    assert_eq!(because.iter().map(ToString::to_string).collect::<Vec<_>>(), ["service nginx"]);
    let (events, _) = apply(&bench, &alone);
    assert!(matches!(outcomes(&events)[0], Outcome::Failed(failure) if failure.message == "its check does not hold"));
    let mut node = bench.node();
    assert_eq!(node.there["service nginx"], "good", "its own change was made");
    node.fails.clear();
    bench.set_node(&node);
    let (plan, _) = conversation.plan(&alone);
    assert!(
        matches!(&plan.steps[0], Planned::Change { changes, triggered: Some((Action::Restart, _)), .. } if changes.is_empty()),
        "{plan:?}"
    );
    let (events, _) = apply(&bench, &alone);
    assert!(matches!(ending(&events), Some(Ending::Good { .. })), "{events:?}");
    assert_eq!(bench.node().acts.len(), 1);
    assert!(conversation.plan(&alone).0.is_empty(), "nothing is owed any more");
}

#[test]
fn what_falls_over_before_the_end_of_its_run_has_failed_and_nothing_is_proved() {
    let bench = bench_with(&FakeNode { falls: vec![2], ..FakeNode::default() });
    let (events, _) = apply(&bench, &web());
    assert_eq!(ending(&events), Some(&Ending::Failed));
    let last = &events[events.len() - 2].1;
    assert!(matches!(last, Event::StepDone { index: 2, outcome: Outcome::Failed(failure), .. } if failure.message == "does not stay up"));
}

#[test]
fn a_service_that_its_own_change_started_is_not_restarted_at_once() {
    let mut node = FakeNode::default();
    node.starts.insert("service nginx".to_owned());
    let bench = bench_with(&node);
    let (events, _) = apply(&bench, &web());
    assert!(matches!(ending(&events), Some(Ending::Good { .. })), "{events:?}");
    assert_eq!(bench.node().acts, []);
    assert!(!events.iter().any(|(_, event)| matches!(event, Event::Triggered { .. })), "{events:?}");
    let mut conversation = bench.connect();
    conversation.hello();
    assert!(conversation.plan(&web()).0.is_empty(), "nothing is owed any more");
    // It runs by now: what changes later is owed.
    let changed = catalog(vec![file("/etc/one", "four"), service("nginx", &["/etc/one"])]);
    apply(&bench, &changed);
    assert_eq!(bench.node().acts.len(), 1);
}

#[test]
fn a_command_runs_when_what_it_watches_changes_and_not_otherwise() {
    let bench = bench();
    let steps = |name| catalog(vec![file("/etc/one", name), command("reindex", &["/etc/one"])]);
    apply(&bench, &steps("one"));
    assert_eq!(bench.node().acts.iter().map(|act| act.action.as_str()).collect::<Vec<_>>(), ["Run"]);
    apply(&bench, &steps("one"));
    assert_eq!(bench.node().acts.len(), 1);
    apply(&bench, &steps("two"));
    assert_eq!(bench.node().acts.len(), 2);
}

#[test]
fn behind_a_command_everything_is_read_again_whatever_it_creates() {
    let made = |watched: &[&str]| {
        let mut made = command("make", watched);
        if let Desired::Command(command) = &mut made.desired {
            command.creates = Some(AbsPath::parse("/srv/made").unwrap());
        }
        made
    };
    // Run by its guard, and run by what it watches: it is done once its path exists.
    for (there, watched) in [(None, &[][..]), (Some("good"), &["/etc/one"])] {
        let mut node = FakeNode::default();
        node.there.extend(there.map(|word| ("command make".to_owned(), word.to_owned())));
        // What is unchanged is read, and remembered.
        node.there.insert("package curl".to_owned(), "good".to_owned());
        node.brings.insert("command make".to_owned(), ("package git".to_owned(), "good".to_owned()));
        let bench = bench_with(&node);
        let steps = vec![file("/etc/one", "one"), package("curl"), made(watched), package("git")];
        let (events, _) = apply(&bench, &catalog(steps));
        let outcomes = outcomes(&events);
        assert!(matches!(outcomes[2], Outcome::Changed { .. }), "{events:?}");
        assert!(matches!(outcomes[3], Outcome::Unchanged { .. }), "the command has installed it: {events:?}");
    }
}

#[test]
fn a_node_that_moved_since_the_plan_is_left_alone() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = conversation.plan(&web());
    conversation.give(&needed, &contents());
    let mut node = bench.node();
    node.there.insert("file /etc/two".to_owned(), "someone else's".to_owned());
    bench.set_node(&node);
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    let (events, _) = conversation.story();
    let Outcome::Failed(failure) = outcomes(&events)[1] else { panic!("{events:?}") };
    assert_eq!(failure.kind, FailureKind::Moved);
    assert!(failure.message.contains("someone else's"), "{}", failure.message);
    assert_eq!(bench.node().there["file /etc/two"], "someone else's");
}

#[test]
fn what_may_change_may_change_in_its_turn() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = conversation.plan(&catalog(vec![package("nginx"), file("/etc/one", "one")]));
    conversation.give(&needed, &contents());
    let mut node = bench.node();
    node.there.insert("file /etc/one".to_owned(), "the package's own".to_owned());
    bench.set_node(&node);
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    assert!(matches!(ending(&conversation.story().0), Some(Ending::Good { changed: 2, .. })));
}

#[test]
fn what_cannot_be_made_durable_was_not_done() {
    let bench = bench_with(&FakeNode { full: true, ..FakeNode::default() });
    let (events, _) = apply(&bench, &web());
    assert_eq!(ending(&events), Some(&Ending::Failed));
    let Outcome::Failed(failure) = outcomes(&events)[0] else { panic!("{events:?}") };
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::NoSpace, "make the change durable: no space left on device"));
    assert!(!events.iter().any(|(_, event)| matches!(event, Event::StepDone { outcome: Outcome::Changed { .. }, .. })));
}

#[test]
fn cancel_stops_between_two_steps_and_inside_a_long_one() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/two".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let run = bench.run_id();
    go(&mut conversation, &run, &web());
    bench.await_reached("gate");
    // Another controller asks, which need not be the one that began.
    let mut other = bench.connect();
    let hello = other.hello();
    let active = hello.run.expect("a run is active");
    assert_eq!((active.run.clone(), active.alive, active.controller.as_str()), (run.clone(), true, "ada@desk"));
    other.send(&[ToAgent::Cancel { run: run.clone() }]);
    assert_eq!(other.receive(), Some(ToController::Cancelling { run: run.clone() }));
    let (events, end) = conversation.story();
    assert_eq!(end, Some(ToController::Done { run: run.clone(), last: events.len() as u64 }));
    let outcomes = outcomes(&events);
    assert!(matches!(outcomes[1], Outcome::Failed(failure) if failure.kind == FailureKind::Cancelled));
    assert!(matches!(outcomes[3], Outcome::NotStarted { .. }));
    assert_eq!(ending(&events), Some(&Ending::Cancelled));
    other.send(&[ToAgent::Cancel { run: run.clone() }]);
    assert_eq!(other.receive(), Some(ToController::Refused(Refusal::NoRun(Some(run)))));
}

#[test]
fn cancel_is_heard_while_the_run_is_shown() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/one".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let run = bench.run_id();
    go(&mut conversation, &run, &web());
    bench.await_reached("gate");
    conversation.send(&[ToAgent::Cancel { run: run.clone() }]);
    let mut cancelling = false;
    let last = loop {
        match conversation.receive() {
            Some(ToController::Cancelling { run: which }) => cancelling = which == run,
            Some(ToController::Event { .. } | ToController::Going { .. }) => {}
            other => break other,
        }
    };
    assert!(cancelling && matches!(last, Some(ToController::Done { .. })), "{last:?}");
}

#[test]
fn progress_is_shown_and_not_kept() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/one".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let run = bench.run_id();
    go(&mut conversation, &run, &web());
    let shown = loop {
        if let Some(ToController::Event { seq: 0, event }) = conversation.receive() {
            break event;
        }
    };
    assert!(matches!(*shown, Event::Progress { index: 0, ref what, .. } if what == "at gate"), "{shown:?}");
    bench.open("gate");
    conversation.story();
    let (events, _) = conversation.attach(&run, 0);
    assert!(!events.iter().any(|(_, event)| matches!(event, Event::Progress { .. })));
}

#[test]
fn a_second_controller_is_refused_and_learns_who_has_the_node() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/one".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    let mut second = bench.connect();
    second.hello();
    let (plan, needed) = second.plan(&web());
    second.give(&needed, &contents());
    let mut first = bench.connect();
    first.hello();
    let run = bench.run_id();
    go(&mut first, &run, &web());
    bench.await_reached("gate");
    let late = bench.run_id();
    second.send(&[Conversation::going(&late, &plan, Vec::new())]);
    let Some(ToController::Refused(Refusal::Locked(owner))) = second.receive() else { panic!("a refusal") };
    assert_eq!((owner.run, owner.alive, owner.controller.as_str()), (run, true, "ada@desk"));
    bench.open("gate");
    first.story();
    // When the first has ended, the second's plan is of an older generation.
    second.send(&[Conversation::going(&late, &plan, Vec::new())]);
    assert_eq!(second.receive(), Some(ToController::Refused(Refusal::Moved { planned: 0, found: 1 })));
}

#[test]
fn a_run_that_is_just_being_started_is_said_to_be_no_fault_of_the_node() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = conversation.plan(&web());
    conversation.give(&needed, &contents());
    // Another controller's `Go` is being carried out, and nothing is on record yet.
    let paths = bench.paths();
    std::fs::create_dir_all(paths.go_lock().parent().unwrap()).unwrap();
    let other = Lock::take(&paths.go_lock(), Duration::ZERO).unwrap().unwrap();
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    assert_eq!(conversation.receive(), Some(ToController::Refused(Refusal::Starting)));
    drop(other);
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    assert!(matches!(ending(&conversation.story().0), Some(Ending::Good { .. })));
}

#[test]
fn a_secret_reaches_its_file_and_nothing_else() {
    let node = FakeNode { says: Some("logged in with correct horse battery".to_owned()), ..FakeNode::default() };
    let bench = bench_with(&node);
    let (key, value) = (b"key".as_slice(), b"correct horse battery".as_slice());
    let secret = catalog(vec![secret_file("/etc/token", key, value)]);
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = conversation.plan(&secret);
    assert_eq!(needed, Vec::new(), "a secret is never a blob");
    let data = SecretData { hmac: SecretRef::hmac(key, value), value: Hidden(value.to_vec()) };
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, vec![data])]);
    let (events, _) = conversation.story();
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 1, .. })), "{events:?}");
    let Outcome::Changed { notes, .. } = outcomes(&events)[0] else { panic!("{events:?}") };
    assert_eq!(notes, &["logged in with ***"]);
    bench.await_rest();
    let planted = |bytes: &[u8]| bytes.windows(value.len()).any(|window| window == value);
    for (path, bytes) in bench.everything_written() {
        assert!(!planted(&bytes), "{} holds the secret", path.display());
    }
    assert!(!planted(&conversation.heard));
}

#[test]
fn a_secret_that_did_not_come_needs_its_controller() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    go(&mut conversation, &bench.run_id(), &catalog(vec![secret_file("/etc/token", b"key", b"value")]));
    let (events, _) = conversation.story();
    assert!(matches!(outcomes(&events)[0], Outcome::Failed(failure) if failure.kind == FailureKind::NeedsController));
}

#[test]
fn twenty_runs_are_kept() {
    let bench = bench();
    let one = catalog(vec![file("/etc/one", "one")]);
    for _ in 0..23 {
        apply(&bench, &one);
    }
    bench.await_rest();
    let runs = std::fs::read_dir(bench.paths().state.join("runs")).unwrap().count();
    assert_eq!(runs, 20);
}

#[test]
fn the_oldest_runs_go_whatever_the_clocks_of_their_controllers_say() {
    let bench = bench();
    let one = catalog(vec![file("/etc/one", "one")]);
    let run = |id: &str| {
        let run = RunId::parse(id).unwrap();
        let mut conversation = bench.connect();
        conversation.hello();
        go(&mut conversation, &run, &one);
        conversation.story();
        bench.await_rest();
        run
    };
    // A year ahead of the others.
    for count in 0..20 {
        run(&format!("01a21000-0000-7000-8000-{count:012}"));
    }
    // An id that was answered "unknown" must stay so: its `Go` may still be on a dead connection.
    let unknown = bench.run_id();
    let (_, end) = bench_attach(&bench, &unknown);
    assert_eq!(end, Some(ToController::Refused(Refusal::NoRun(Some(unknown.clone())))));
    let (first, second) = (run(bench.run_id().as_str()), run(bench.run_id().as_str()));
    for kept in [&unknown, &first, &second] {
        assert!(bench.paths().of_run(kept).is_dir(), "{kept}");
    }
    assert!(!bench.paths().of_run(&RunId::parse("01a21000-0000-7000-8000-000000000000").unwrap()).exists());
}

#[test]
fn a_run_that_was_answered_as_unknown_is_refused_however_often_its_go_comes() {
    let bench = bench();
    let unknown = bench.run_id();
    let (_, end) = bench_attach(&bench, &unknown);
    assert_eq!(end, Some(ToController::Refused(Refusal::NoRun(Some(unknown.clone())))));
    for copy in 1..=3 {
        let mut late = bench.connect();
        late.hello();
        go(&mut late, &unknown, &web());
        let (events, end) = late.story();
        assert!(matches!(end, Some(ToController::Refused(Refusal::NoRunner(_)))), "copy {copy}: {end:?}");
        assert!(events.is_empty() && bench.node().there.is_empty(), "copy {copy}");
    }
    assert!(bench.paths().of_run(&unknown).is_dir());
    // Another id begins as ever.
    assert!(matches!(ending(&apply(&bench, &web()).0), Some(Ending::Good { .. })));
}

fn bench_attach(bench: &Bench, run: &RunId) -> Story {
    let mut conversation = bench.connect();
    conversation.hello();
    conversation.attach(run, 0)
}
