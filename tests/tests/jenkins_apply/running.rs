//! Jobs of a Jenkins that run on a node while it is to be changed.

use super::*;
use ostler_tests::jenkins::jobs::{Job, enqueue};
use ostler_tests::jenkins::xml;

/// A job of somebody's that runs on n1 until `/srv/open` is there.
pub(super) fn occupy(stage: &Stage) {
    stage.site.sh("n1", "rm -f /srv/open");
    let shell =
        "<builders><hudson.tasks.Shell><command>until test -e /srv/open; do sleep 0.1; done</command></hudson.tasks.Shell></builders>";
    let config = xml::parse(&format!("<project><assignedNode>big</assignedNode><canRoam>false</canRoam>{shell}</project>")).unwrap();
    {
        let mut state = stage.model.state();
        state.jobs.insert("theirs".to_owned(), Job::new("theirs", config));
        enqueue(&mut state, "theirs", "admin", Some(Duration::ZERO));
    }
    within("their job runs", || running(stage));
}

pub(super) fn running(stage: &Stage) -> bool {
    // The model looks at its queue when somebody asks it something.
    stage.model.wait_for_builds(Duration::from_millis(1));
    stage.model.state().jobs.get("theirs").is_some_and(|job| job.builds.last().is_some_and(|build| build.is_running()))
}

pub(super) fn mark(stage: &Stage) -> Option<OfflineMark> {
    stage.model.state().nodes["n1"].offline.clone()
}

#[test]
fn a_node_of_jenkins_is_changed_when_its_jobs_have_ended_and_left_as_it_was_where_they_do_not() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    let on_node = || stage.site.sh("n1", "cat /etc/ci-stamp");

    occupy(&stage);
    stage.set("stamp", "second");
    let ran = std::thread::scope(|scope| {
        let apply = scope.spawn(|| stage.site.apply());
        within("the node takes no new jobs", || mark(&stage).is_some());
        stage.is_told("waits until what runs there has ended: since ");
        assert!(running(&stage), "their job goes on");
        assert_eq!(on_node(), "first");
        stage.site.sh("n1", "touch /srv/open");
        apply.join().unwrap()
    });
    ran.good();
    assert_eq!((ran.changed("n1"), on_node().as_str()), (vec!["file /etc/ci-stamp".to_owned()], "second"), "{}", ran.told());
    assert_eq!(stage.model.state().jobs["theirs"].builds[0].result, Some("SUCCESS"));
    assert_eq!((stage.labels().as_str(), mark(&stage).is_none()), ("big debian", true));

    // Not in time: nothing is begun, and it is given back.
    occupy(&stage);
    stage.set("stamp", "third");
    let busy = stage.site.run(&["apply", "--yes", "--jobs-within", "2s"]).good_with(1);
    assert_eq!(busy.recap("n1")["trouble"], "not begun: jobs still run on n1 (ci) after 2s", "{}", busy.told());
    assert_eq!((busy.changed("n1"), on_node().as_str()), (Vec::new(), "second"), "{}", busy.told());
    assert!(running(&stage) && mark(&stage).is_none() && stage.labels() == "big debian");
    stage.site.sh("n1", "touch /srv/open");
    assert!(stage.model.wait_for_builds(Duration::from_secs(30)));
    stage.site.apply().good();
    assert_eq!((on_node().as_str(), stage.labels().as_str()), ("third", "big debian"));

    // Somebody's mark is neither taken for ours nor taken off.
    stage.model.state().nodes.get_mut("n1").unwrap().offline = Some(OfflineMark::new("operator", "kernel tests"));
    stage.set("stamp", "fourth");
    drop(stage.site.apply().good_with(1));
    assert_eq!((on_node().as_str(), mark(&stage).is_some()), ("fourth", true));
}

#[test]
fn a_node_whose_master_does_not_say_whether_jobs_run_is_not_changed() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    stage.model.state().broken.push(("toggleOffline".to_owned(), usize::MAX));
    stage.set("stamp", "second");
    let refused = stage.site.apply().good_with(1);
    let trouble = refused.recap("n1")["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.starts_with("not begun: ci does not say whether jobs run on n1: "), "{trouble}");
    assert!(trouble.contains("mark node `n1` offline") && trouble.contains("500"), "{trouble}");
    assert_eq!((refused.changed("n1"), stage.labels().as_str()), (Vec::new(), "big debian"), "{}", refused.told());
}

#[test]
fn jobs_under_the_name_that_an_executor_had_before_are_waited_for_too() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    occupy(&stage);
    stage.site.replace("roles/ci-agent.yaml", "    user: jenkins\n", "    name: n1-new\n    user: jenkins\n");
    stage.set("stamp", "second");
    let on_node = || stage.site.sh("n1", "cat /etc/ci-stamp");
    let busy = stage.site.run(&["apply", "--yes", "--jobs-within", "2s"]).good_with(1);
    assert_eq!(busy.recap("n1")["trouble"], "not begun: jobs still run on n1 (ci) after 2s", "{}", busy.told());
    assert_eq!((on_node().as_str(), mark(&stage).is_none()), ("first", true), "{}", busy.told());
    let ran = std::thread::scope(|scope| {
        let apply = scope.spawn(|| stage.site.apply());
        within("it takes no new jobs under its old name", || mark(&stage).is_some());
        assert!(running(&stage), "their job goes on");
        assert_eq!(on_node(), "first");
        stage.site.sh("n1", "touch /srv/open");
        apply.join().unwrap()
    });
    ran.good();
    assert_eq!(stage.model.state().jobs["theirs"].builds[0].result, Some("SUCCESS"));
    // What is no longer in the site is left there, and takes no jobs: the node has changed since it was proved by that name.
    let labels = |name: &str| stage.model.state().nodes[name].label.clone();
    assert_eq!((on_node().as_str(), labels("n1-new").contains("debian"), mark(&stage).is_some()), ("second", true, true));
    let plan = stage.site.run(&["plan"]).good_with(0);
    let master = plan.lines.iter().find(|line| line["type"] == "planned_master").unwrap();
    let renamed = serde_json::json!([{ "from": "n1", "node": "n1", "to": ["n1-new"] }]);
    assert_eq!((&master["orphans"], &master["renamed"]), (&serde_json::json!(["n1"]), &renamed), "{}", plan.told());
}

#[test]
fn the_name_that_a_node_had_before_takes_jobs_again_behind_a_run_of_one_role() {
    let stage = Stage::of(2, "ci-agent", "launch: ssh");
    stage.site.apply().good();
    let gate = "  - command: {name: gate, run: [sh, -c, \"touch /srv/here; until test -e /srv/open; do sleep 0.05; done\"], unless: [test, -e, /srv/open]}\n";
    stage.site.write("roles/plain.yaml", &format!("role: plain\nsummary: A file.\nsteps:\n{gate}"));
    // n1 is nobody's executor any more; n2 is one, and has the role too.
    let roles = |address: &str, before: &str, now: &str| {
        stage.site.replace("nodes.yaml", &format!("{address}, roles: [{before}]"), &format!("{address}, roles: [{now}]"));
    };
    roles("10.78.0.11", "ci-agent", "plain");
    roles("10.78.0.12", "ci-agent", "ci-agent, plain");
    stage.site.replace("nodes.yaml", "roles: [plain], vars: {ci-agent: {launch: ssh}}", "roles: [plain]");
    stage.site.sh("n2", "touch /srv/open");
    let (is_held, ran) = std::thread::scope(|scope| {
        let apply = scope.spawn(|| stage.site.run(&["apply", "--only", "plain", "--yes"]));
        let is_there = holds_within(|| stage.site.sh("n1", "test -e /srv/here && echo here || true") == "here" || apply.is_finished());
        let is_held = is_there && mark(&stage).is_some();
        stage.site.sh("n1", "touch /srv/open");
        (is_held, apply.join().unwrap())
    });
    ran.good();
    assert!(is_held, "it was changed under its old name: {}", ran.told());
    assert_eq!((mark(&stage).is_none(), stage.labels().as_str()), (true, "big debian"), "{}", ran.told());
}
