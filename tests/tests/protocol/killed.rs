//! `serve` and the runner killed at every moment that the decision page names; then the same role is applied again.

use super::*;
use ostler_roles::catalog::Action;
use ostler_roles::plan::Planned;
use ostler_roles::wire::message::Refusal;
use std::collections::BTreeSet;

/// Every moment that an undisturbed run passes, in order.
fn moments_of(catalog: &Catalog) -> Vec<String> {
    let bench = bench();
    apply(&bench, catalog);
    bench.await_rest();
    let mut seen = BTreeSet::new();
    bench.moments().into_iter().filter(|moment| seen.insert(moment.clone())).collect()
}

fn is_of_serve(moment: &str) -> bool {
    ["Locked", "Persisted", "Recorded", "Released", "Launched", "Begun"].contains(&moment)
}

/// The node as an undisturbed run leaves it.
fn there_after(catalog: &Catalog) -> BTreeMap<String, String> {
    let bench = bench();
    apply(&bench, catalog);
    bench.node().there
}

/// Applies again and proves that everything is as if nothing had happened.
fn assert_heals(bench: &Bench, catalog: &Catalog, expected: &BTreeMap<String, String>, moment: &str) {
    let mut conversation = bench.connect();
    let hello = conversation.hello();
    assert!(hello.run.as_ref().is_none_or(|run| !run.alive), "killed at {moment}: nobody is at work");
    let before = bench.node();
    let (plan, needed) = conversation.plan(catalog);
    if !plan.is_empty() {
        conversation.give(&needed, &contents());
        conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
        let (events, end) = conversation.story();
        assert!(matches!(end, Some(ToController::Done { .. })), "killed at {moment}: {end:?}");
        assert!(matches!(ending(&events), Some(Ending::Good { .. })), "killed at {moment}: {events:?}");
        let Event::Started { resumed_at, .. } = &events[0].1 else { panic!("{events:?}") };
        let first = plan.steps.iter().position(|step| !matches!(step, ostler_roles::plan::Planned::Unchanged { .. }));
        assert_eq!(*resumed_at, hello.run.and(first).map(|index| index as u32), "killed at {moment}");
    }
    let after = bench.node();
    assert_eq!(after.there, *expected, "killed at {moment}");
    // What the first run had applied was not applied again.
    let again: Vec<&String> = after.transactions[before.transactions.len()..].iter().flatten().collect();
    assert!(again.iter().all(|name| !before.there.contains_key(*name)), "killed at {moment}: {again:?} again");
    // The watcher has acted on what is there now, and not more than once more than needed.
    let last = after.acts.last().unwrap_or_else(|| panic!("killed at {moment}: the watcher never acted"));
    for watched in ["file /etc/one", "file /etc/two"] {
        assert_eq!(last.there.get(watched), expected.get(watched), "killed at {moment}: the watcher acted too early");
    }
    assert!(after.acts.len() <= 2, "killed at {moment}: {:?}", after.acts);
    assert!(conversation.plan(catalog).0.is_empty(), "killed at {moment}: the second plan is empty");
    let leftovers = std::fs::read_dir(&bench.paths().run).map(|entries| entries.count()).unwrap_or(0);
    bench.await_rest();
    assert!(plan.is_empty() || leftovers == 0, "killed at {moment}: something is left in memory");
}

#[test]
fn a_runner_killed_at_any_moment_loses_no_step_no_restart_and_no_event() {
    let catalog = web();
    let expected = there_after(&catalog);
    let moments: Vec<String> = moments_of(&catalog).into_iter().filter(|moment| !is_of_serve(moment)).collect();
    assert!(moments.len() > 25, "{moments:?}");
    // Each waits for a second of silence: several at once.
    std::thread::scope(|scope| {
        for some in moments.chunks(moments.len().div_ceil(8)) {
            let (catalog, expected) = (&catalog, &expected);
            scope.spawn(move || some.iter().for_each(|moment| kill_runner_at(moment, catalog, expected)));
        }
    });
}

fn kill_runner_at(moment: &String, catalog: &Catalog, expected: &BTreeMap<String, String>) {
    let bench = bench();
    let run = bench.run_id();
    let mut conversation = bench.connect_killed_at(moment);
    conversation.hello();
    go(&mut conversation, &run, catalog);
    let (told, end) = conversation.story();
    assert_counts_from(1, &told);
    bench.await_rest();
    let of_runner: Vec<String> = bench.moments().into_iter().filter(|moment| !is_of_serve(moment)).collect();
    assert_eq!(of_runner.iter().filter(|passed| *passed == moment).count(), 1, "the runner died at its moment");
    // Killed before its first event, the runner never began as far as anybody was told.
    let begun = !told.is_empty();
    match &end {
        Some(ToController::Cut { run: cut, last }) => assert_eq!((cut, *last), (&run, told.len() as u64), "killed at {moment}"),
        Some(ToController::Done { .. }) => assert!(ending(&told).is_some(), "killed at {moment}"),
        Some(ToController::Refused(Refusal::NoRunner(_))) => assert!(!begun, "killed at {moment}"),
        other => panic!("killed at {moment}: {other:?}"),
    }
    // Whoever attaches now hears the same story.
    let mut other = bench.connect();
    other.hello();
    if begun {
        assert_eq!(other.attach(&run, 0), (told, end), "killed at {moment}");
    }
    assert_heals(&bench, catalog, expected, moment);
}

#[test]
fn a_runner_killed_between_a_services_own_change_and_its_restart_owes_that_still() {
    let alone = catalog(vec![service("nginx", &[])]);
    for moment in ["Marked(0)", "Applied(0)", "Acted(0)", "Cleared(0)"] {
        let bench = bench_with(&FakeNode { owes: ["service nginx".to_owned()].into(), ..FakeNode::default() });
        let mut conversation = bench.connect_killed_at(moment);
        conversation.hello();
        go(&mut conversation, &bench.run_id(), &alone);
        conversation.story();
        bench.await_rest();
        assert_eq!(bench.moments().iter().filter(|passed| *passed == moment).count(), 1, "the runner died at its moment");
        assert_eq!(bench.node().there.contains_key("service nginx"), moment != "Marked(0)", "killed at {moment}");
        let mut other = bench.connect();
        other.hello();
        let (plan, _) = other.plan(&alone);
        let owed = matches!(&plan.steps[0], Planned::Change { triggered: Some((Action::Restart, _)), .. });
        assert_eq!((owed, plan.is_empty()), (moment != "Cleared(0)", moment == "Cleared(0)"), "killed at {moment}: {plan:?}");
        if owed {
            let (events, _) = apply(&bench, &alone);
            assert!(matches!(ending(&events), Some(Ending::Good { changed: 1, .. })), "killed at {moment}: {events:?}");
        }
        let acts = bench.node().acts;
        assert_eq!(acts.len(), if moment == "Acted(0)" { 2 } else { 1 }, "killed at {moment}");
        assert!(acts.iter().all(|act| act.there["service nginx"] == "good"), "killed at {moment}: it acted too early");
        assert!(other.plan(&alone).0.is_empty(), "killed at {moment}: the second plan is empty");
    }
}

#[test]
fn serve_killed_at_any_moment_of_go_leaves_either_a_run_or_none() {
    let catalog = web();
    let expected = there_after(&catalog);
    let moments: Vec<String> = moments_of(&catalog).into_iter().filter(|moment| is_of_serve(moment)).collect();
    assert_eq!(moments, ["Locked", "Persisted", "Recorded", "Released", "Launched", "Begun"]);
    for moment in &moments {
        let bench = bench();
        let run = bench.run_id();
        let mut conversation = bench.connect_killed_at(moment);
        conversation.hello();
        go(&mut conversation, &run, &catalog);
        let (told, end) = conversation.story();
        assert_eq!((told, end), (Vec::new(), None), "killed at {moment}");
        let mut other = bench.connect();
        other.hello();
        // The controller's question after a silence behind `Go`: did my run begin?
        let (events, end) = other.attach(&run, 0);
        match end {
            Some(ToController::Refused(Refusal::NoRun(Some(_)))) => {
                assert!(!["Begun"].contains(&moment.as_str()), "killed at {moment}: the run had begun");
                bench.await_rest();
                assert_eq!(bench.node(), FakeNode::default(), "killed at {moment}: no run, no change");
            }
            Some(ToController::Done { .. }) => {
                assert!(["Launched", "Begun"].contains(&moment.as_str()), "killed at {moment}");
                assert_counts_from(1, &events);
                assert!(matches!(ending(&events), Some(Ending::Good { changed: 4, .. })));
            }
            other => panic!("killed at {moment}: {other:?}"),
        }
        bench.await_rest();
        assert_heals(&bench, &catalog, &expected, moment);
    }
}

#[test]
fn killed_again_and_again_a_run_still_ends_as_it_should() {
    let catalog = web();
    let expected = there_after(&catalog);
    let bench = bench();
    for moment in ["Journalled(2)", "Applied(0)", "Marked(1)", "Applied(1)", "Acted(2)", "Settled(4)", "Applied(3)"] {
        let mut conversation = bench.connect_killed_at(moment);
        conversation.hello();
        go(&mut conversation, &bench.run_id(), &catalog);
        conversation.story();
        bench.await_rest();
    }
    let (events, _) = apply(&bench, &catalog);
    assert!(matches!(ending(&events), Some(Ending::Good { .. })), "{events:?}");
    assert_eq!(bench.node().there, expected);
    assert_eq!(bench.node().acts.last().map(|act| act.there.len()), Some(3), "{:?}", bench.node().acts);
}

#[test]
fn a_cut_run_is_named_in_the_next_hello() {
    let bench = bench();
    let run = bench.run_id();
    let mut conversation = bench.connect_killed_at("Applied(1)");
    conversation.hello();
    go(&mut conversation, &run, &web());
    conversation.story();
    bench.await_rest();
    let active = bench.connect().hello().run.expect("the cut run");
    assert_eq!((active.run, active.alive, active.controller.as_str()), (run, false, "ada@desk"));
    assert!(active.events >= 1, "its beginning was written before its first change");
}

#[test]
fn a_runner_that_comes_too_late_leaves_at_once() {
    let bench = bench();
    let run = bench.run_id();
    let mut conversation = bench.connect_killed_at("Released");
    conversation.hello();
    go(&mut conversation, &run, &web());
    conversation.story();
    // Its controller asks, and is told for good that it did not begin.
    let mut other = bench.connect();
    other.hello();
    assert!(matches!(other.attach(&run, 0).1, Some(ToController::Refused(Refusal::NoRun(Some(_))))));
    assert!(bench.run_by_hand(&run), "there is nothing to do for it");
    assert_eq!(bench.node(), FakeNode::default());
}

#[test]
fn a_runner_whose_run_was_superseded_leaves_at_once() {
    let bench = bench();
    let run = bench.run_id();
    let mut conversation = bench.connect_killed_at("Released");
    conversation.hello();
    go(&mut conversation, &run, &web());
    conversation.story();
    let mut node = bench.node();
    node.gates.insert("file /etc/one".to_owned(), "gate".to_owned());
    bench.set_node(&node);
    let next = bench.run_id();
    let mut other = bench.connect_killed_at("Applied(0)");
    other.hello();
    go(&mut other, &next, &web());
    bench.open("gate");
    other.story();
    bench.await_rest();
    let before = bench.node();
    assert!(bench.run_by_hand(&run), "it is not its turn any more");
    assert_eq!(bench.node(), before);
    // No run begins twice either: its journal is its own.
    assert!(!bench.run_by_hand(&next));
    assert_eq!(bench.node(), before);
}

#[test]
fn a_defect_of_the_runner_is_told_with_its_words_and_the_next_run_goes_on() {
    let mut node = FakeNode::default();
    node.panics.insert("file /etc/two".to_owned());
    let bench = bench_with(&node);
    let (events, end) = apply(&bench, &web());
    assert!(matches!(end, Some(ToController::Cut { .. })), "{end:?}");
    let words = events.iter().find_map(|(_, event)| if let Event::Note { text, .. } = event { Some(text.as_str()) } else { None });
    let words = words.unwrap_or_else(|| panic!("{events:?}"));
    assert!(words.starts_with("this is a defect of ostler, please report it: the agent panicked at "), "{words}");
    assert!(words.contains("provider.rs:") && words.contains("no provider knows file /etc/two"), "{words}");
    bench.set_node(&FakeNode { panics: Default::default(), ..bench.node() });
    let (events, _) = apply(&bench, &web());
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 3, unchanged: 1, .. })), "{events:?}");
}
