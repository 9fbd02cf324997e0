//! Whose fitness is not shown, or cannot be: out of the pool, or not begun.

use super::planned_there;
use super::running::{mark, occupy};
use super::stage::{Stage, holds_within};
use ostler_tests::jenkins::{Fault, Permission, Timeline};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn a_proof_that_no_longer_holds_on_an_unchanged_node_takes_it_out_of_the_pool_until_it_does() {
    let stage = Stage::up("ssh");
    let proof = "verify:\n  - command: {name: alive, run: [test, -e, /srv/alive]}\nexecutors:\n";
    stage.site.replace("roles/ci-agent.yaml", "executors:\n", proof);
    stage.site.sh("n1", "touch /srv/alive");
    stage.site.apply().good();
    stage.site.sh("n1", "rm /srv/alive");
    // It is part of the plan, and asked about.
    let told = planned_there(&stage.site.run(&["plan"]).good_with(1));
    let changes = serde_json::json!([{ "what": "labels", "from": "attached", "to": "taken off until a run comes through" }]);
    assert_eq!(told["changes"], changes, "{told}");
    drop(stage.site.run(&["apply"]).good_with(8));
    assert_eq!(stage.labels(), "big debian");
    let failed = stage.site.apply().good_with(1);
    assert_eq!((failed.changed("n1"), stage.labels().as_str()), (Vec::new(), "ostler-quarantine-n1"), "{}", failed.told());
    let reason = format!("{:?}", stage.model.state().nodes["n1"].offline);
    assert!(reason.contains("alive does not hold on this node"), "{reason}");
    // It stays so, and nothing more is written.
    stage.writes();
    drop(stage.site.apply().good_with(1));
    assert_eq!(stage.writes(), Vec::<String>::new());
    stage.site.sh("n1", "touch /srv/alive");
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");
    assert!(stage.model.state().nodes["n1"].offline.is_none());
    stage.nothing_to_do();
}

#[test]
fn a_proof_that_holds_again_when_the_jobs_have_ended_takes_no_labels_off() {
    let stage = Stage::up("ssh");
    let proof = "verify:\n  - command: {name: alive, run: [test, -e, /srv/alive]}\nexecutors:\n";
    stage.site.replace("roles/ci-agent.yaml", "executors:\n", proof);
    stage.site.sh("n1", "touch /srv/alive");
    stage.site.apply().good();
    stage.site.sh("n1", "rm /srv/alive");
    occupy(&stage);
    let ran = std::thread::scope(|scope| {
        let apply = scope.spawn(|| stage.site.apply());
        let is_held = holds_within(|| mark(&stage).is_some());
        stage.is_told("waits until what runs there has ended: since ");
        stage.site.sh("n1", "touch /srv/alive /srv/open");
        let ran = apply.join().unwrap();
        assert!(is_held, "{}", ran.told());
        ran.good_with(1)
    });
    assert_eq!((stage.labels().as_str(), mark(&stage).is_none()), ("big debian", true), "{}", ran.told());
    let said = ran.masters("n1");
    assert!(said.contains(&"what did not hold on its node holds by now: it keeps its labels".to_owned()), "{said:?}");
    stage.nothing_to_do();
}

#[test]
fn a_node_whose_controller_was_killed_leaves_the_pool_though_it_is_out_of_reach_in_the_next_run() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    stage.gate();
    stage.set("stamp", "second");
    let mut killed = stage.site.command(&["apply", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let is_there = holds_within(|| stage.site.sh("n1", "test -e /srv/here && echo here || true") == "here");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(is_there, "the run never came to its gate");
    stage.site.sh("n1", "systemctl stop ssh.socket ssh 2>/dev/null || systemctl stop ssh");
    let told = planned_there(&stage.site.run(&["plan"]).good_with(4));
    assert_eq!(told["changes"][0]["to"], "taken off until a run comes through", "{told}");
    drop(stage.site.run(&["apply"]).good_with(8));
    assert_eq!(stage.labels(), "big debian", "nobody has said yes");
    let lost = stage.site.apply().good_with(4);
    assert_eq!(stage.labels(), "ostler-quarantine-n1", "{}", lost.told());
    let reason = format!("{:?}", stage.model.state().nodes["n1"].offline);
    assert!(reason.contains("did not come through"), "{reason}");
    stage.site.sh("n1", "touch /srv/open; systemctl start ssh");
    let ended = || stage.site.apply();
    let mut ran = ended();
    // The run that was left behind may still have the node.
    let end = Instant::now() + Duration::from_secs(60);
    while ran.exit == 7 && Instant::now() < end {
        ran = ended();
    }
    ran.good();
    assert_eq!(stage.labels(), "big debian");
    stage.nothing_to_do();
}

#[test]
fn what_a_silent_master_would_be_told_of_a_lost_node_waits_for_a_run_that_shows_it() {
    let stage = Stage::of(2, "ci-agent", "launch: ssh");
    stage.site.write("roles/plain.yaml", "role: plain\nsummary: A file.\nsteps:\n  - file: {path: /etc/plain, content: \"one\\n\"}\n");
    stage.site.replace("nodes.yaml", "10.78.0.12, roles: [ci-agent], vars: {ci-agent: {launch: ssh}}", "10.78.0.12, roles: [plain]");
    stage.site.apply().good();
    stage.gate();
    stage.set("stamp", "second");
    let mut killed = stage.site.command(&["apply", "--yes"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let is_there = holds_within(|| stage.site.sh("n1", "test -e /srv/here && echo here || true") == "here");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(is_there, "the run never came to its gate");
    stage.site.sh("n1", "systemctl stop ssh.socket ssh 2>/dev/null || systemctl stop ssh");
    // The master is silent when the plan is made, and answers when it has been agreed to.
    stage.site.replace("roles/plain.yaml", "one", "two");
    stage.model.play(Timeline::new(vec![(Fault::Files, Duration::from_secs(600))]));
    let mut asking = stage.at_terminal(&["apply"]);
    asking.wait_for("[y/N]");
    stage.model.play(Timeline::new(Vec::new()));
    stage.writes();
    asking.types("y\n");
    assert_eq!((asking.end(), stage.site.sh("n2", "cat /etc/plain").as_str()), (4, "two"), "{}", asking.said());
    assert!(asking.said().contains("ci: not asked"), "{}", asking.said());
    assert_eq!((stage.labels().as_str(), stage.writes()), ("big debian", Vec::new()), "nobody was shown that: {}", asking.said());
    let told = planned_there(&stage.site.run(&["plan"]).good_with(4));
    assert_eq!(told["changes"][0]["to"], "taken off until a run comes through", "{told}");
    drop(stage.site.apply().good_with(4));
    assert_eq!(stage.labels(), "ostler-quarantine-n1");
}

#[test]
fn a_node_that_its_master_cannot_take_is_not_changed() {
    let stage = Stage::up("ssh");
    stage.model.state().version = ostler_tests::jenkins::Version::V2_568;
    stage.site.replace("roles/ci-agent.yaml", "    user: jenkins\n", "    user: jenkins\n    java: 17\n");
    let refused = |why: &str, stamp: &str| {
        stage.writes();
        let ran = stage.site.apply().good_with(1);
        let trouble = ran.recap("n1")["trouble"].as_str().unwrap().to_owned();
        assert!(trouble.starts_with("ci: executor n1: ") && trouble.contains(why), "{trouble}");
        assert!(ran.changed("n1").is_empty() && stage.writes().is_empty(), "{}", ran.told());
        assert_eq!(stage.site.sh("n1", "cat /etc/ci-stamp 2>/dev/null || echo none"), stamp);
    };
    refused("Jenkins 2.568.2 wants Java 21 on its agents, and node `n1` has Java 17", "none");
    stage.model.state().version = ostler_tests::jenkins::Version::V2_516;
    stage.site.apply().good();
    // The name is somebody else's.
    stage.set("stamp", "second");
    let ours = stage.model.state().nodes["n1"].clone();
    stage.model.state().nodes.get_mut("n1").unwrap().description = Some("rack 4".to_owned());
    refused("node `n1` on this Jenkins", "first");
    stage.model.state().nodes.insert("n1".to_owned(), ours);
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");

    // The master is upgraded: the agent of a labelled node never comes back, and why is told at once.
    stage.model.state().version = ostler_tests::jenkins::Version::V2_568;
    stage.model.state().lose_agent("n1");
    let told = planned_there(&stage.site.run(&["plan"]).good_with(1));
    assert!(told["trouble"].as_str().is_some_and(|trouble| trouble.contains("wants Java 21")), "{told}");
    let ran = stage.site.apply().good_with(1);
    assert!(ran.recap("n1")["trouble"].as_str().unwrap().contains("wants Java 21"), "{}", ran.told());
}

#[test]
fn a_node_that_rests_until_a_job_wants_it_is_well_in_the_plan_as_in_the_run() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    let strategy = "<retentionStrategy class=\"hudson.slaves.RetentionStrategy$Demand\"><idleDelay>5</idleDelay></retentionStrategy>";
    {
        let mut state = stage.model.state();
        let node = state.nodes.get_mut("n1").unwrap();
        node.retention = Some(ostler_tests::jenkins::xml::parse(strategy).unwrap());
        node.agent = ostler_tests::jenkins::nodes::Agent::Resting;
    }
    let plan = stage.site.run(&["plan", "--detailed-exitcode"]).good_with(0);
    assert_eq!(planned_there(&plan)["held"], serde_json::Value::Null, "{}", plan.told());
    stage.nothing_to_do();
}

#[test]
fn a_node_that_changed_while_its_master_was_away_is_proved_when_it_is_back() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    // The node changes; meanwhile nobody may change it any more on the master.
    stage.gate();
    stage.set("stamp", "second");
    let away = std::thread::scope(|scope| {
        let away = scope.spawn(|| stage.site.apply());
        let is_there = holds_within(|| stage.site.sh("n1", "test -e /srv/here && echo here || true") == "here");
        stage.model.state().users[0].permissions.remove(&Permission::AgentConfigure);
        stage.site.sh("n1", "touch /srv/open");
        let away = away.join().unwrap();
        assert!(is_there, "{}", away.told());
        away.good_with(1)
    });
    assert!(away.changed("n1").iter().any(|one| one == "file /etc/ci-stamp"), "{}", away.told());
    assert_eq!(stage.labels(), "big debian", "nobody could take them off");
    stage.model.state().users[0].permissions.insert(Permission::AgentConfigure);
    // Now nothing changes there, and yet the labels are no longer earned.
    stage.set("proof", "\"false\"");
    let red = stage.site.apply().good_with(1);
    assert_eq!(red.changed("n1"), Vec::<String>::new(), "{}", red.told());
    assert_eq!(stage.labels(), "ostler-quarantine-n1", "{}", red.told());
    stage.set("proof", "\"true\"");
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");
    stage.nothing_to_do();
}
