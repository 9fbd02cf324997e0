//! Two runs on one node at once, from two machines: what one has taken in hand the other lets alone.

use super::running::mark;
use super::*;

fn is_at_gate(stage: &Stage) -> bool {
    stage.site.sh("n1", "test -e /srv/here && echo here || true") == "here"
}

#[test]
fn a_node_that_another_run_is_changing_is_let_alone_also_where_nothing_would_change() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    let role = std::fs::read_to_string(stage.site.root().join("roles/ci-agent.yaml")).unwrap();
    stage.set("stamp", "second");
    stage.gate();
    let (is_there, ours, is_held, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| stage.apply_elsewhere());
        let is_there = holds_within(|| is_at_gate(&stage));
        // What the other one is at is not in our site: by it the node is as it should be.
        stage.site.write("roles/ci-agent.yaml", &role);
        stage.writes();
        let ours = stage.site.apply();
        let left = (mark(&stage).is_some(), stage.writes());
        stage.site.sh("n1", "touch /srv/open");
        (is_there, ours, left, theirs.join().unwrap())
    });
    assert!(is_there, "{}", theirs.told());
    let ours = ours.good_with(7);
    assert!(ours.recap("n1")["trouble"].as_str().unwrap().contains("has had the node for"), "{}", ours.told());
    assert_eq!(is_held, (true, Vec::new()), "{}", ours.told());
    theirs.good();
    assert_eq!((stage.labels().as_str(), mark(&stage).is_none()), ("big debian", true));
}

#[test]
fn a_quiet_plan_names_an_executor_that_cannot_be_registered() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    stage.model.state().nodes.get_mut("n1").unwrap().description = Some("rack 4".to_owned());
    for words in [&["plan"][..], &["plan", "-q"]] {
        let (exit, said) = stage.human_with(words);
        assert_eq!((exit, said.contains("Nothing to change")), (Some(1), false), "{said}");
        assert!(said.contains("! ci: executor n1 [n1]\n") && said.contains("node `n1` on this Jenkins"), "{said}");
    }
    stage.site.replace("ostler.yaml", "http://10.78.0.1:8080/", "http://10.78.0.1:8081/");
    let (exit, said) = stage.human_with(&["plan", "-q"]);
    assert_eq!((exit, said.contains("! ci: not asked")), (Some(4), true), "{said}");
}
