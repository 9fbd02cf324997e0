//! What watchers owe: what is owed for, and what becomes of it when nobody is there to do it.

use super::*;
use ostler_roles::catalog::Action;
use ostler_roles::plan::Planned;

/// A node on which one change comes to nothing, and the plan that waits for it.
fn bench_where_nothing_comes_of(id: &str) -> Bench {
    let mut node = FakeNode::default();
    node.comes_to_nothing.insert(id.to_owned());
    bench_with(&node)
}

#[test]
fn who_watches_what_came_to_nothing_does_nothing_and_owes_nothing() {
    let bench = bench_where_nothing_comes_of("file /etc/one");
    let steps = catalog(vec![file("/etc/one", "one"), service("nginx", &["/etc/one"])]);
    let mut node = bench.node();
    node.there.insert("service nginx".to_owned(), "good".to_owned());
    bench.set_node(&node);
    let (events, _) = apply(&bench, &steps);
    assert_eq!(ending(&events), Some(&Ending::Good { changed: 0, unchanged: 2, generation: 1 }), "{events:?}");
    assert_eq!(bench.node().acts, []);
    // Nor later, when it comes to nothing once more; and then, when it has come, once.
    let (events, _) = apply(&bench, &steps);
    assert_eq!(
        (ending(&events), bench.node().acts.len()),
        (Some(&Ending::Good { changed: 0, unchanged: 2, generation: 2 }), 0),
        "{events:?}"
    );
    let node = FakeNode { comes_to_nothing: Default::default(), ..bench.node() };
    bench.set_node(&node);
    apply(&bench, &steps);
    assert_eq!(bench.node().acts.len(), 1);
}

#[test]
fn what_was_owed_before_for_another_change_is_owed_still() {
    let mut node = FakeNode::default();
    node.comes_to_nothing.insert("file /etc/two".to_owned());
    let bench = bench_with(&node);
    let (events, _) = apply(&bench, &web());
    let triggered: Vec<_> = events
        .iter()
        .filter_map(|(_, event)| if let Event::Triggered { action, because, .. } = event { Some((*action, because.len())) } else { None })
        .collect();
    assert_eq!(triggered, [(Action::Restart, 1)], "for the first file alone: {events:?}");
    assert_eq!(bench.node().acts.len(), 1);
}

#[test]
fn what_a_step_owes_that_is_in_no_role_any_more_is_told_and_dropped_with_the_next_run() {
    let mut node = FakeNode::default();
    node.fails.insert("act service nginx".to_owned());
    let bench = bench_with(&node);
    apply(&bench, &web());
    let mut node = bench.node();
    node.fails.clear();
    bench.set_node(&node);
    let without = || catalog(vec![file("/etc/one", "one"), file("/etc/two", "two")]);
    let told = "service nginx was to be restarted because of file /etc/one, file /etc/two, and is in no step of this plan";
    let notes = |steps: &Catalog| {
        let mut conversation = bench.connect();
        conversation.hello();
        conversation.plan(steps).0.notes
    };
    let found = notes(&without());
    assert!(found.len() == 1 && found[0].starts_with(told), "{found:?}");
    assert!(found[0].contains(": it is told until a run changes something here, and dropped with that; "), "{found:?}");
    // Where it is back it is done, and told as what it is.
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&web());
    assert!(plan.notes.is_empty() && matches!(&plan.steps[2], Planned::Change { triggered: Some((Action::Restart, _)), .. }), "{plan:?}");
    // Nothing else differs: the controller lets no such plan go.
    assert_eq!(notes(&without()).len(), 1, "told again");
    let changing = catalog(vec![file("/etc/one", "one"), file("/etc/two", "two"), file("/etc/three", "three")]);
    let (events, _) = apply(&bench, &changing);
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 1, .. })), "{events:?}");
    assert_eq!((notes(&changing), bench.node().acts.len()), (Vec::new(), 0), "told, and given up");
    let mut conversation = bench.connect();
    conversation.hello();
    let (plan, _) = conversation.plan(&web());
    assert!(plan.is_empty(), "nothing has changed since: {plan:?}");
}

#[test]
fn a_restart_that_was_not_made_is_told_as_none_and_owed_no_more() {
    let bench = bench_with(&FakeNode { idle: ["service nginx".to_owned()].into(), ..FakeNode::default() });
    let mut node = bench.node();
    node.there.insert("service nginx".to_owned(), "good".to_owned());
    bench.set_node(&node);
    let (events, _) = apply(&bench, &web());
    assert_eq!(ending(&events), Some(&Ending::Good { changed: 3, unchanged: 1, generation: 1 }), "{events:?}");
    assert!(!events.iter().any(|(_, event)| matches!(event, Event::Triggered { .. })), "{events:?}");
    assert_eq!(outcomes(&events)[2], &Outcome::Unchanged { why: "no restart is needed: it does not run".to_owned() });
    let mut conversation = bench.connect();
    conversation.hello();
    assert!(conversation.plan(&web()).0.is_empty(), "it is owed no more");
    // A change of its own is told as that, with the same word.
    let mut node = bench.node();
    node.there.remove("service nginx");
    node.there.remove("file /etc/one");
    bench.set_node(&node);
    let (events, _) = apply(&bench, &web());
    let Outcome::Changed { changes, notes } = outcomes(&events)[2] else { panic!("{events:?}") };
    assert_eq!((changes.len(), notes.as_slice()), (1, &["no restart is needed: it does not run".to_owned()][..]));
}
