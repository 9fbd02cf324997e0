//! Two runs on one node at once, from two machines: what one has taken in hand the other lets alone.

use super::running::{mark, occupy};
use super::*;

fn is_at_gate(stage: &Stage) -> bool {
    stage.site.sh("n1", "test -e /srv/here && echo here || true") == "here"
}

fn smoke_runs(stage: &Stage) -> bool {
    stage.model.state().jobs.values().any(|job| job.builds.last().is_some_and(|build| build.is_running()))
}

#[test]
fn a_node_that_another_run_changed_since_its_smoke_job_ran_gets_no_labels() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    stage.set("stamp", "second");
    stage.model.state().hold_builds = true;
    let mut ours = stage.at_terminal(&["apply", "--yes"]);
    within("our smoke job runs", || smoke_runs(&stage));
    // Another admin's run, which does not come through.
    stage.set("stamp", "third");
    let broken = "  - command: {name: broken, run: [test, -e, /srv/mended], unless: [test, -e, /srv/mended]}\nexecutors:\n";
    stage.site.replace("roles/ci-agent.yaml", "executors:\n", broken);
    let theirs = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| stage.apply_elsewhere());
        // It has no labels, and yet a job of ours runs there.
        let is_held = holds_within(|| mark(&stage).is_some() || theirs.is_finished());
        let stamp = stage.site.sh("n1", "cat /etc/ci-stamp");
        ours.signal("STOP");
        stage.model.state().hold_builds = false;
        let theirs = theirs.join().unwrap();
        assert!(is_held && stamp == "second", "changed under our smoke job: {stamp}: {}", theirs.told());
        theirs
    });
    drop(theirs.good_with(1));
    assert_eq!(stage.site.sh("n1", "cat /etc/ci-stamp"), "third");
    ours.signal("CONT");
    assert_eq!((ours.end(), stage.labels().as_str()), (1, "ostler-quarantine-n1"), "{}", ours.said());
    assert!(ours.said().contains("not registered: smoke job: passed, but another run"), "{}", ours.said());
    assert!(mark(&stage).is_some(), "whoever did not come through lets nobody else in");
    stage.site.sh("n1", "touch /srv/mended");
    stage.site.apply().good();
    assert_eq!((stage.labels().as_str(), mark(&stage).is_none()), ("big debian", true));
    stage.nothing_to_do();
}

#[test]
fn a_run_that_is_refused_leaves_the_hold_under_which_another_one_changes_the_node() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    occupy(&stage);
    stage.set("stamp", "second");
    let mut ours = stage.at_terminal(&["apply", "--yes"]);
    within("the node takes no new jobs", || mark(&stage).is_some());
    stage.is_told("waits until what runs there has ended: since ");
    ours.signal("STOP");
    stage.site.sh("n1", "touch /srv/open");
    assert!(stage.model.wait_for_builds(Duration::from_secs(30)));
    stage.site.sh("n1", "rm -f /srv/open /srv/here");
    stage.gate();
    let (is_there, is_held, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| stage.apply_elsewhere());
        let is_there = holds_within(|| is_at_gate(&stage));
        ours.signal("CONT");
        let refused = (ours.end(), mark(&stage).is_some());
        stage.site.sh("n1", "touch /srv/open");
        (is_there, refused, theirs.join().unwrap())
    });
    assert!(is_there, "{}", theirs.told());
    assert_eq!(is_held, (7, true), "{}", ours.said());
    theirs.good();
    assert_eq!((stage.labels().as_str(), mark(&stage).is_none()), ("big debian", true));
}

#[test]
fn a_run_of_one_role_tells_of_a_hold_that_a_refused_run_has_left_to_it() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    occupy(&stage);
    stage.set("stamp", "second");
    let mut ours = stage.at_terminal(&["apply", "--yes"]);
    within("the node takes no new jobs", || mark(&stage).is_some());
    stage.is_told("waits until what runs there has ended: since ");
    ours.signal("STOP");
    stage.site.sh("n1", "touch /srv/open");
    assert!(stage.model.wait_for_builds(Duration::from_secs(30)));
    stage.site.sh("n1", "rm -f /srv/open /srv/here");
    stage.gate();
    let (is_there, refused, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| stage.elsewhere(&["apply", "--only", "ci-agent", "--yes"]));
        let is_there = holds_within(|| is_at_gate(&stage));
        ours.signal("CONT");
        let refused = ours.end();
        stage.site.sh("n1", "touch /srv/open");
        (is_there, refused, theirs.join().unwrap())
    });
    assert!(is_there, "{}", theirs.told());
    assert_eq!(refused, 7, "{}", ours.said());
    theirs.good();
    // Neither lets it in: one was refused, and one proves nothing.
    let held = "ci: another run held it before this one; a whole run, without --only, lets it in";
    assert_eq!(theirs.recap("n1")["held"], serde_json::json!([held]), "{}", theirs.told());
    assert_eq!((stage.labels().as_str(), mark(&stage).is_some()), ("big debian", true));
    // What it has changed is owed: so the site says of the node when nobody can ask it.
    stage.site.sh("n1", "systemctl stop ssh.socket ssh 2>/dev/null || systemctl stop ssh");
    let plan = stage.elsewhere(&["plan"]).good_with(4);
    assert!(plan.told().contains("taken off until a run comes through"), "{}", plan.told());
    stage.site.sh("n1", "systemctl start ssh");
    stage.site.apply().good();
    assert_eq!((stage.labels().as_str(), mark(&stage).is_none()), ("big debian", true));
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
fn a_node_on_which_another_run_began_since_it_was_met_is_let_alone() {
    let stage = Stage::of(2, "ci-agent", "launch: ssh");
    stage.site.apply().good();
    // In our run n2 changes, and n1 does not.
    let second = |vars: &str| format!("10.78.0.12, roles: [ci-agent], vars: {{ci-agent: {{{vars}}}}}");
    stage.site.replace("nodes.yaml", &second("launch: ssh"), &second("launch: ssh, stamp: second"));
    let mut ours = stage.at_terminal(&["apply"]);
    ours.wait_for("[y/N]");
    stage.set("stamp", "third");
    stage.gate();
    let (is_there, is_held, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| stage.elsewhere(&["apply", "--yes", "-l", "n1"]));
        let is_there = holds_within(|| is_at_gate(&stage));
        ours.types("y\n");
        let left = (ours.end(), stage.labels(), mark(&stage).is_some());
        stage.site.sh("n1", "touch /srv/open");
        (is_there, left, theirs.join().unwrap())
    });
    assert!(is_there, "{}", theirs.told());
    assert_eq!(is_held, (7, "big debian".to_owned(), true), "{}", ours.said());
    assert!(ours.said().contains("not registered: run "), "{}", ours.said());
    theirs.good();
    assert_eq!((stage.labels().as_str(), mark(&stage).is_none()), ("big debian", true));
}

#[test]
fn a_mark_that_goes_while_jobs_are_waited_for_is_set_again() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    for theirs in [false, true] {
        occupy(&stage);
        if theirs {
            stage.model.state().nodes.get_mut("n1").unwrap().offline = Some(OfflineMark::new("operator", "disk swap"));
        }
        stage.set("stamp", &format!("theirs-{theirs}"));
        let ran = std::thread::scope(|scope| {
            let apply = scope.spawn(|| stage.site.apply());
            let is_held = holds_within(|| mark(&stage).is_some());
            stage.is_told("waits until what runs there has ended: since ");
            stage.model.state().nodes.get_mut("n1").unwrap().offline = None;
            let is_held = is_held && holds_within(|| format!("{:?}", mark(&stage)).contains("a run changes this node"));
            stage.site.sh("n1", "touch /srv/open");
            let ran = apply.join().unwrap();
            assert!(is_held, "it takes jobs again: {}", ran.told());
            ran
        });
        ran.good();
        assert_eq!((stage.labels().as_str(), mark(&stage).is_none()), ("big debian", true), "{}", ran.told());
    }
}

#[test]
fn what_could_not_be_given_back_is_a_failed_registration() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    stage.gate();
    let ran = std::thread::scope(|scope| {
        let apply = scope.spawn(|| stage.site.run(&["apply", "--only", "ci-agent", "--yes"]));
        let is_there = holds_within(|| is_at_gate(&stage));
        stage.model.state().broken.push(("toggleOffline".to_owned(), usize::MAX));
        stage.site.sh("n1", "touch /srv/open");
        let ran = apply.join().unwrap();
        assert!(is_there, "{}", ran.told());
        ran.good_with(1)
    });
    let trouble = ran.recap("n1")["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.starts_with("it takes no jobs still, until a whole run that comes through lets it in: "), "{trouble}");
    assert_eq!((stage.labels().as_str(), mark(&stage).is_some()), ("big debian", true), "{}", ran.told());
    stage.model.state().broken.clear();
    stage.site.apply().good();
    assert!(mark(&stage).is_none());
}

#[test]
fn what_was_earned_while_a_run_was_at_its_question_is_not_taken_off() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    // A run is cut with its controller: its node keeps its labels, held, and owes.
    stage.gate();
    stage.set("stamp", "second");
    let mut killed = stage.at_terminal(&["apply", "--yes"]);
    within("it is at its gate", || is_at_gate(&stage));
    killed.signal("KILL");
    assert_eq!(killed.end(), 137);
    stage.site.sh("n1", "systemctl stop ssh.socket ssh 2>/dev/null || systemctl stop ssh");
    let mut asking = stage.at_terminal(&["apply"]);
    asking.wait_for("[y/N]");
    stage.site.sh("n1", "touch /srv/open; systemctl start ssh");
    let end = Instant::now() + Duration::from_secs(60);
    let mut ran = stage.site.apply();
    while ran.exit == 7 && Instant::now() < end {
        ran = stage.site.apply();
    }
    ran.good();
    stage.writes();
    asking.types("y\n");
    assert_eq!((asking.end(), stage.labels().as_str()), (4, "big debian"), "{}", asking.said());
    assert_eq!((mark(&stage).is_none(), stage.writes()), (true, Vec::new()), "{}", asking.said());
    stage.nothing_to_do();
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
