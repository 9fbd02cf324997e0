//! Before `Go`.

use super::*;
use ostler_roles::catalog::Action;
use ostler_roles::check::{Check, Connect, Disk, Verdict};
use ostler_roles::outcome::FailureKind;
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::wire::message::{BlobData, Hidden, Refusal, SCHEMA, ToAgent};
use ostler_roles::words::{AbsPath, Bytes, Origin, RoleName, Span};
use ostler_tests::protocol::{command, directory, file_of, package, user};

#[test]
fn a_plan_writes_nothing_and_asks_only_for_what_changes() {
    let bench = bench();
    let mut node = FakeNode::default();
    node.there.insert("file /etc/one".to_owned(), blob_of("one").hex());
    bench.set_node(&node);
    let mut conversation = bench.connect();
    let hello = conversation.hello();
    assert_eq!((hello.generation, hello.run, hello.root), (0, None, true));
    let (plan, mut needed) = conversation.plan(&web());
    needed.sort();
    let mut expected = vec![blob_of("two"), blob_of("three")];
    expected.sort();
    assert_eq!(needed, expected);
    assert!(matches!(plan.steps[0], Planned::Unchanged { .. }));
    conversation.hang_up();
    assert!(conversation.await_end(), "the end of input is a good end");
    assert_eq!(bench.everything_written(), Vec::new());
    assert_eq!(bench.node(), node);
}

#[test]
fn a_watcher_is_planned_to_act_because_of_what_changes() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&web());
    let Planned::Change { changes, triggered: Some((Action::Restart, because)), .. } = &plan.steps[2] else {
        panic!("the service changes: {:?}", plan.steps[2]);
    };
    assert_eq!(changes.len(), 1, "it is started as well");
    assert_eq!(because.iter().map(ToString::to_string).collect::<Vec<_>>(), ["file /etc/one", "file /etc/two"]);
}

#[test]
fn behind_a_package_everything_may_change_but_packages_beside_it_are_sure() {
    let bench = bench();
    let mut node = FakeNode::default();
    node.there.insert("file /etc/one".to_owned(), "impossible".to_owned());
    bench.set_node(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let steps = vec![package("nginx"), package("curl"), file("/etc/one", "one")];
    let (plan, _) = conversation.plan(&catalog(steps));
    assert!(matches!(plan.steps[1], Planned::Change { .. }), "{:?}", plan.steps[1]);
    let Planned::MayChange { because, changes } = &plan.steps[2] else { panic!("{:?}", plan.steps[2]) };
    assert_eq!((because.to_string().as_str(), changes.len()), ("package nginx", 0), "what cannot be read yet may change");
    assert!(plan.may_go());
}

#[test]
fn behind_a_package_only_what_packages_may_alter_may_change() {
    let bench = bench();
    let mut node = FakeNode::default();
    node.there.insert("file /etc/one".to_owned(), blob_of("one").hex());
    node.there.insert("file /srv/one".to_owned(), blob_of("one").hex());
    bench.set_node(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let steps = vec![
        package("nginx"),
        file("/srv/one", "one"),
        file("/srv/two", "two"),
        file("/home/ci/two", "two"),
        command("refresh", &["/srv/one"]),
        file("/etc/one", "one"),
    ];
    let (plan, _) = conversation.plan(&catalog(steps));
    // Watched is what stands; a missing entry of /srv may be made by a package; in /home none makes any.
    assert_eq!(words(&plan), ["change", "unchanged", "may", "change", "unchanged", "may"]);
}

/// What becomes of each step.
fn words(plan: &Plan) -> Vec<&'static str> {
    let word = |step: &Planned| match step {
        Planned::Unchanged { .. } => "unchanged",
        Planned::Change { .. } => "change",
        Planned::MayChange { .. } => "may",
        Planned::Impossible(_) => "impossible",
    };
    plan.steps.iter().map(word).collect()
}

#[test]
fn what_stands_in_a_directory_that_this_run_makes_is_certain() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let steps = vec![directory("/srv/web"), directory("/srv/web/conf"), file("/srv/web/one", "one"), service("web", &["/srv/web/one"])];
    let (plan, _) = conversation.plan(&catalog(steps));
    assert_eq!(words(&plan), ["change", "change", "change", "change"]);
    let Planned::Change { triggered: Some((Action::Restart, because)), .. } = &plan.steps[3] else { panic!("{:?}", plan.steps[3]) };
    assert_eq!(because.len(), 1, "and so is the restart");
}

#[test]
fn a_missing_file_of_an_account_that_this_run_makes_is_certain_and_what_a_new_home_holds_is_not() {
    let bench = bench();
    let mut node = FakeNode::default();
    node.there.insert("file /srv/other".to_owned(), "other".to_owned());
    bench.set_node(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let steps = vec![
        user("ci", Some("/srv/homes/ci")),
        file_of("ci", "/srv/new", "one"),
        // It is there: whose it is was compared.
        file_of("ci", "/srv/other", "two"),
        file("/srv/homes/ci/.profile", "three"),
        // The home that useradd chooses where none is written.
        user("deploy", None),
        directory("/home/deploy"),
        file("/home/deploy/.bashrc", "one"),
        file("/home/other", "two"),
    ];
    let (plan, _) = conversation.plan(&catalog(steps));
    assert_eq!(words(&plan), ["change", "change", "may", "may", "change", "may", "may", "change"]);
}

#[test]
fn what_cannot_be_read_may_want_the_directory_that_this_run_makes() {
    let bench = bench();
    let mut node = FakeNode::default();
    node.there.insert("file /srv/web/one".to_owned(), "impossible".to_owned());
    bench.set_node(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&catalog(vec![directory("/srv/web"), file("/srv/web/one", "one")]));
    assert_eq!(words(&plan), ["change", "may"]);
}

#[test]
fn a_contradiction_with_nothing_before_it_is_impossible_and_go_is_refused() {
    let bench = bench();
    let mut node = FakeNode::default();
    node.there.insert("file /etc/two".to_owned(), "impossible".to_owned());
    bench.set_node(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = conversation.plan(&web());
    let Planned::Impossible(failure) = &plan.steps[1] else { panic!("{:?}", plan.steps[1]) };
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Contradiction, "file /etc/two is impossible"));
    conversation.give(&needed, &contents());
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    assert_eq!(conversation.receive(), Some(ToController::Refused(Refusal::Unmet)));
    assert_eq!(bench.everything_written(), Vec::new());
}

#[test]
fn requirements_are_answered_with_what_the_plan_will_write() {
    let bench = bench();
    let mut asked = web();
    let origin = Origin::default();
    let role = RoleName::parse("base").unwrap();
    let path = AbsPath::parse("/").unwrap();
    let disk = |free_after| Check::Disk(Disk { path: path.clone(), size: None, free_after, executors: None });
    let connect = Check::Connect(Connect { host: "git".to_owned(), port: 9 });
    for check in [disk(None), connect, disk(Some(Bytes(1 << 30))), disk(Some(Bytes(1 << 20)))] {
        asked.require.push(ostler_roles::catalog::Requirement {
            check,
            role: role.clone(),
            origin: origin.clone(),
            within: Span::seconds(1),
        });
    }
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&asked);
    let told = |own: &str| Verdict::Pass { found: format!("4000 to write in 4; {own} of 1 GiB for / (base), 1 MiB for / (base)") };
    assert_eq!((&plan.requirements[0], &plan.requirements[2], &plan.requirements[3]), (&told("None"), &told("Some(0)"), &told("Some(1)")));
    assert!(!plan.requirements[1].passed() && !plan.may_go());
    let mut node = FakeNode::default();
    node.there.insert("file /etc/one".to_owned(), "impossible".to_owned());
    bench.set_node(&node);
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&asked);
    let Verdict::Pass { found } = &plan.requirements[0] else { panic!("{:?}", plan.requirements[0]) };
    assert!(found.starts_with("3000 to write in 4;"), "what cannot be read yet is not nothing: {found}");
}

#[test]
fn other_facts_or_another_generation_are_stale() {
    let bench = bench();
    let mut conversation = bench.connect();
    let hello = conversation.hello();
    let mut other = web();
    other.facts = Digest::of(b"other facts");
    conversation.send(&[Conversation::asking(&other)]);
    assert_eq!(conversation.receive(), Some(ToController::Stale { facts: Box::new(hello.facts.clone()), generation: 0 }));
    let ToAgent::Catalog { catalog, want_old, secret_key, .. } = Conversation::asking(&web()) else { panic!("a catalog") };
    conversation.send(&[ToAgent::Catalog { catalog, base: Some(7), part: false, want_old, secret_key }]);
    assert_eq!(conversation.receive(), Some(ToController::Stale { facts: Box::new(hello.facts), generation: 0 }));
    conversation.plan(&web());
}

#[test]
fn a_catalog_right_behind_the_exec_is_answered_without_another_round() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.send(&[Conversation::opening(None), Conversation::asking(&web())]);
    assert!(matches!(conversation.receive(), Some(ToController::Hello(_))));
    assert!(matches!(conversation.receive(), Some(ToController::NeedBlobs(_))));
    assert!(matches!(conversation.receive(), Some(ToController::Planned(_))));
}

#[test]
fn old_contents_come_only_when_wanted_and_only_for_changes() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let ToAgent::Catalog { catalog, base, secret_key, .. } = Conversation::asking(&web()) else { panic!("a catalog") };
    conversation.send(&[ToAgent::Catalog { catalog, base, part: false, want_old: true, secret_key }]);
    conversation.receive();
    let Some(ToController::Planned(plan)) = conversation.receive() else { panic!("a plan") };
    assert!(matches!(&plan.steps[0], Planned::Change { old: Some(old), .. } if old == "old file /etc/one"));
    let (plan, _) = conversation.plan(&web());
    assert!(matches!(&plan.steps[0], Planned::Change { old: None, .. }));
}

#[test]
fn go_is_refused_without_contents_for_another_plan_and_before_any_plan() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, needed) = {
        let mut other = bench.connect();
        other.hello();
        other.plan(&web())
    };
    let run = bench.run_id();
    conversation.send(&[Conversation::going(&run, &plan, Vec::new())]);
    assert_eq!(conversation.receive(), Some(ToController::Refused(Refusal::OtherPlan)));
    conversation.plan(&catalog(vec![file("/etc/one", "one")]));
    conversation.send(&[Conversation::going(&run, &plan, Vec::new())]);
    assert_eq!(conversation.receive(), Some(ToController::Refused(Refusal::OtherPlan)));
    conversation.plan(&web());
    conversation.give(&needed[..1], &contents());
    conversation.send(&[Conversation::going(&run, &plan, Vec::new())]);
    assert_eq!(conversation.receive(), Some(ToController::Refused(Refusal::MissingBlobs(2))));
    assert_eq!(bench.everything_written(), Vec::new());
    conversation.give(&needed[1..], &contents());
    conversation.send(&[Conversation::going(&run, &plan, Vec::new())]);
    let (events, _) = conversation.story();
    assert!(matches!(ending(&events), Some(Ending::Good { .. })), "{events:?}");
}

#[test]
fn contents_come_in_parts_and_must_be_what_was_asked_for() {
    let bench = bench();
    let one = catalog(vec![file("/etc/one", "one")]);
    let bytes = content("one");
    let part = |bytes: &[u8], more| ToAgent::Blobs(vec![BlobData { digest: blob_of("one"), bytes: bytes.to_vec(), more }]);
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&one);
    conversation.send(&[part(&bytes[..3], true), part(&bytes[3..], false)]);
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    assert!(matches!(ending(&conversation.story().0), Some(Ending::Good { changed: 1, .. })));
    let two = catalog(vec![file("/etc/one", "two")]);
    for (data, message) in [
        (
            BlobData { digest: blob_of("two"), bytes: b"something else".to_vec(), more: false },
            "the controller sent a content that is not what its digest says",
        ),
        (
            BlobData { digest: blob_of("three"), bytes: content("three"), more: false },
            "the controller sent a content that was not asked for",
        ),
    ] {
        let mut conversation = bench.connect();
        conversation.hello();
        conversation.plan(&two);
        conversation.send(&[ToAgent::Blobs(vec![data])]);
        let Some(ToController::Fault(failure)) = conversation.receive() else { panic!("a fault") };
        assert_eq!(failure.message, message);
        assert_eq!(conversation.receive(), None);
    }
}

#[test]
fn a_message_out_of_place_ends_the_conversation_by_name() {
    let bench = bench();
    for (messages, message) in [
        (
            vec![ToAgent::Password(Hidden(b"x".to_vec()))],
            "the controller sent a message that has no place before it opened the conversation",
        ),
        (
            vec![Conversation::opening(None), Conversation::opening(None)],
            "the controller sent a message that has no place in the middle of the conversation",
        ),
    ] {
        let mut conversation = bench.connect();
        conversation.send(&messages);
        let last = std::iter::from_fn(|| conversation.receive()).last();
        let Some(ToController::Fault(failure)) = last else { panic!("a fault, not {last:?}") };
        assert_eq!(failure.message, message);
    }
    let mut conversation = bench.connect();
    let mut open = Conversation::opening(None);
    if let ToAgent::Open(open) = &mut open {
        open.schema = 99;
    }
    conversation.send(&[open]);
    let Some(ToController::Fault(failure)) = conversation.receive() else { panic!("a fault") };
    assert_eq!(failure.message, format!("the controller speaks message set 99, this agent {SCHEMA}"));
}
