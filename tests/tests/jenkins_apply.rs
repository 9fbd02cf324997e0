//! Executors of a Jenkins in the main path: a real node in a lab over SSH, the model as master, the program from outside.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot set its stage has failed")]

#[path = "jenkins_apply/fitness.rs"]
mod fitness;
#[path = "jenkins_apply/inbound.rs"]
mod inbound;
#[path = "jenkins_apply/keys.rs"]
mod keys;
#[path = "jenkins_apply/running.rs"]
mod running;
#[path = "jenkins_apply/stage.rs"]
mod stage;
#[path = "jenkins_apply/two_runs.rs"]
mod two_runs;

use ostler::lab::Fault;
use ostler_tests::jenkins::nodes::OfflineMark;
use ostler_tests::jenkins::{Permission, Version};
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use inbound::{JAVA, apply_and_call_in};
use stage::{KEY, PASSWORD, Stage, holds_within, seen_on_command_lines, version, within};

#[test]
fn a_node_earns_its_labels_over_ssh_and_the_second_run_writes_nothing() {
    BTreeSet::from([Version::OLDEST, version()]).into_iter().for_each(earns_its_labels_over_ssh);
}

fn earns_its_labels_over_ssh(version: Version) {
    let stage = Stage::up("ssh").on(version);
    let first = stage.site.apply();
    first.good();
    let told = first.masters("n1");
    for text in ["credential launch-key created", "created, quarantined", "online; smoke job asked for", "smoke job green ("] {
        assert!(told.iter().any(|line| line.starts_with(text)), "{text} in {told:?}");
    }
    assert_eq!(stage.labels(), "big debian");
    {
        let state = stage.model.state();
        let node = &state.nodes["n1"];
        let value = |name: &str| node.launcher.as_ref().and_then(|launcher| launcher.value(name)).unwrap_or_default().to_owned();
        assert_eq!((node.executors, node.mode.as_deref(), node.remote_fs.as_deref()), (2, Some("NORMAL"), Some("/home/jenkins/jobs")));
        assert_eq!((value("host"), value("port"), value("credentialsId")), ("10.78.0.11".into(), "22".into(), "launch-key".into()));
        let credential = state.credentials.iter().find(|credential| credential.id == "launch-key").unwrap();
        assert_eq!(credential.username, "jenkins");
        assert!(credential.secret.as_ref().unwrap().contains(KEY));
        assert!(state.jobs.is_empty(), "the green smoke job is removed");
    }
    stage.nothing_to_do();

    // A rotated secret is sent once.
    stage.rotate("planted-second-key-9d2b");
    stage.writes();
    let rotated = stage.site.apply();
    rotated.good();
    assert_eq!(stage.writes(), ["POST /credentials/store/system/domain/_/credential/launch-key/config.xml"]);
    assert!(stage.model.state().credentials[0].secret.as_ref().unwrap().contains("planted-second-key-9d2b"));
    assert_eq!(rotated.recap("n1")["changed"], 1, "{}", rotated.told());
    stage.nothing_to_do();
    stage.finds_nowhere(&[PASSWORD, KEY, "planted-second-key-9d2b"], &[&first, &rotated]);
}

#[test]
fn what_is_not_proved_has_no_labels_and_an_operators_mark_stays() {
    let stage = Stage::up("ssh");
    // A permission that is missing is named, and so is the action; what was made so far stays in quarantine.
    stage.model.state().users[0].permissions.remove(&Permission::JobCreate);
    let refused = stage.site.apply().good_with(1);
    let trouble = refused.recap("n1")["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("user `narrow` is missing the permission Job/Create"), "{trouble}");
    assert_eq!(stage.labels(), "ostler-quarantine-n1");
    stage.model.state().users[0].permissions.insert(Permission::JobCreate);

    // A smoke job that fails: no labels, exit 1, and what it said.
    stage.set("proof", "\"false\"");
    let red = stage.site.apply().good_with(1);
    assert_eq!(red.recap("n1")["trouble"], "not registered: smoke job: FAILURE", "{}", red.told());
    assert_eq!(stage.labels(), "ostler-quarantine-n1");
    stage.set("proof", "\"true\"");
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");

    // A node that changed is proved again before it may keep its labels.
    stage.set("stamp", "second");
    stage.set("proof", "\"false\"");
    drop(stage.site.apply().good_with(1));
    assert_eq!(stage.labels(), "ostler-quarantine-n1");
    stage.set("proof", "\"true\"");
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");

    // An operator's mark is neither undone nor worked around.
    stage.model.state().nodes.get_mut("n1").unwrap().offline = Some(OfflineMark::new("operator", "kernel tests"));
    stage.set("labels", "[debian, huge]");
    let held = stage.site.apply().good_with(1);
    assert_eq!(held.recap("n1")["trouble"], "not registered: marked offline by `operator`: kernel tests", "{}", held.told());
    assert_eq!(stage.labels(), "ostler-quarantine-n1");
    assert!(stage.model.state().nodes["n1"].offline.is_some());
    stage.model.state().nodes.get_mut("n1").unwrap().offline = None;
    stage.site.apply().good();
    assert_eq!(stage.labels(), "debian huge");
}

/// What a plan says of one executor on the master.
fn planned_there(plan: &ostler_tests::site::Ran) -> serde_json::Value {
    let line = plan.lines.iter().find(|line| line["type"] == "executor" && line["name"] == "n1");
    line.unwrap_or_else(|| panic!("{}", plan.told())).clone()
}

#[test]
fn the_master_is_part_of_the_plan_value_by_value_and_is_asked_about_like_everything_else() {
    let stage = Stage::up("ssh");
    let plan = || stage.site.run(&["plan", "--detailed-exitcode"]);
    let told = planned_there(&plan().good_with(5));
    assert_eq!((&told["new"], told["changes"].as_array().map(Vec::len)), (&true.into(), Some(3)), "{told}");
    stage.writes();
    stage.site.apply().good();
    drop(plan().good_with(0));

    // Somebody changes values on the master by hand: each is named, and nothing is set unasked.
    {
        let mut state = stage.model.state();
        let node = state.nodes.get_mut("n1").unwrap();
        (node.label, node.executors) = ("big other".to_owned(), 7);
    }
    stage.writes();
    let told = planned_there(&plan().good_with(5));
    let changes = serde_json::json!([
        { "what": "executors", "from": "7", "to": "2" },
        { "what": "labels", "from": "big other", "to": "big debian" },
    ]);
    assert_eq!((&told["new"], &told["changes"]), (&false.into(), &changes));
    drop(stage.site.run(&["apply"]).good_with(8));
    assert_eq!(stage.writes(), Vec::<String>::new(), "a plan, and a run that nobody said yes to, only read");
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");

    // Offline is told, with who and why, and is no verified node.
    stage.model.state().nodes.get_mut("n1").unwrap().offline = Some(OfflineMark::new("operator", "disk swap"));
    let held = plan().good_with(9);
    assert_eq!(planned_there(&held)["held"], "marked offline by `operator`: disk swap");
    let verified = stage.site.apply();
    verified.nothing_to_do();
    let why = "ci: marked offline by `operator`: disk swap";
    assert_eq!(verified.recap("n1")["held"], serde_json::json!([why]), "{}", verified.told());
    // A plan says it once, with its master; a run in its recap.
    let (planned, applied) = (stage.human(&["plan"]), stage.human(&["apply", "--yes"]));
    let told: Vec<&str> = planned.lines().filter(|line| line.contains("disk swap")).collect();
    assert!(matches!(&told[..], [one] if one.contains("takes no jobs") && one.contains("ci: ")), "{planned}");
    assert!(applied.contains(&format!("takes no jobs: {why}\n")), "{applied}");
    assert!([&planned, &applied].iter().all(|said| said.contains(" 0 may take jobs, 1 may not.")), "{planned}{applied}");
    stage.model.state().nodes.get_mut("n1").unwrap().offline = None;

    // What is ours there and no longer in the site is told, and left.
    let mut gone = stage.model.state().nodes["n1"].clone();
    gone.name = "n0".to_owned();
    stage.model.state().nodes.insert("n0".to_owned(), gone);
    let orphan = plan().good_with(0);
    let master = orphan.lines.iter().find(|line| line["type"] == "planned_master").unwrap();
    assert_eq!((&master["state"], &master["orphans"]), (&"asked".into(), &serde_json::json!(["n0"])), "{}", orphan.told());
    assert!(stage.model.state().nodes.contains_key("n0"));
}

#[test]
fn a_master_that_cannot_be_asked_keeps_its_nodes_from_being_changed() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    stage.model.state().users[0].permissions.remove(&Permission::Read);
    stage.set("stamp", "second");
    stage.writes();
    let plan = stage.site.run(&["plan"]).good_with(4);
    assert_eq!(plan.plan("n1"), ["file /etc/ci-stamp"], "the node's part is shown: {}", plan.told());
    let master = plan.lines.iter().find(|line| line["type"] == "planned_master").unwrap();
    assert_eq!((&master["state"], &master["nodes"]), (&"not_asked".into(), &serde_json::json!(["n1"])));
    assert!(master["cause"].as_str().unwrap().contains("Overall/Read"), "{master}");
    let refused = stage.site.apply().good_with(4);
    assert!(refused.recap("n1")["trouble"].as_str().unwrap().starts_with("ci: not asked ("), "{}", refused.told());
    assert_eq!((refused.changed("n1"), stage.writes()), (Vec::new(), Vec::new()), "{}", refused.told());
    stage.model.state().users[0].permissions.insert(Permission::Read);
    stage.site.apply().good();
}

#[test]
fn what_is_wrong_about_a_master_in_the_site_is_no_silence_of_the_master() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    // What it trusts means something for an https:// address alone.
    stage.site.replace("ostler.yaml", "http://10.78.0.1:8080/", "https://10.78.0.1:8080/");
    stage.site.replace("ostler.yaml", "      user: narrow\n", "      user: narrow\n      trust: no certificate\n");
    stage.set("stamp", "second");
    stage.model.take_log();
    let plan = stage.site.run(&["plan"]).good_with(3);
    let master = plan.lines.iter().find(|line| line["type"] == "planned_master").unwrap();
    assert_eq!((&master["state"], &master["nodes"]), (&"wrong".into(), &serde_json::json!(["n1"])), "{master}");
    let refused = stage.site.apply().good_with(3);
    assert!(refused.recap("n1")["trouble"].as_str().unwrap().starts_with("ci: wrong in the site: "), "{}", refused.told());
    assert!(refused.changed("n1").is_empty() && stage.model.take_log().is_empty(), "{}", refused.told());
}

#[test]
fn a_run_that_changes_nothing_asks_the_master_no_more_than_a_plan_does() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    let asked = |words: &[&str]| {
        stage.model.take_log();
        stage.site.run(words).nothing_to_do();
        stage.model.take_log().iter().map(|request| format!("{} {}", request.method, request.path)).collect::<Vec<_>>()
    };
    let planned = asked(&["plan"]);
    assert!(!planned.is_empty());
    assert_eq!(asked(&["apply", "--yes"]), planned);
}

#[test]
fn masters_are_looked_at_while_the_nodes_are_met() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    // Nobody is met before the master was asked.
    stage.site.sh("n1", "systemctl kill --signal=STOP ssh");
    stage.model.take_log();
    let planned = std::thread::scope(|scope| {
        let plan = scope.spawn(|| stage.site.run(&["plan"]));
        within("the master is asked", || !stage.model.take_log().is_empty());
        stage.site.sh("n1", "systemctl kill --signal=CONT ssh");
        plan.join().unwrap()
    });
    planned.nothing_to_do();
    assert_eq!(planned_there(&planned)["changes"], serde_json::json!([]));
}

#[test]
fn what_a_failed_run_owes_is_known_to_another_machine() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    let broken = "  - command: {name: broken, run: [\"false\"], unless: [\"false\"]}\nexecutors:\n";
    stage.site.replace("roles/ci-agent.yaml", "executors:\n", broken);
    stage.set("stamp", "second");
    let failed = stage.site.apply().good_with(1);
    assert_eq!(failed.changed("n1"), ["file /etc/ci-stamp"], "{}", failed.told());
    stage.site.replace("roles/ci-agent.yaml", broken, "executors:\n");
    // Nothing is left to change on the node. What it owes it says itself.
    let theirs = stage.apply_elsewhere();
    theirs.good();
    assert!(theirs.changed("n1").is_empty(), "{}", theirs.told());
    assert!(theirs.masters("n1").iter().any(|line| line.starts_with("smoke job green (")), "{}", theirs.told());
    assert_eq!(stage.labels(), "big debian");
    // Once proved it is so for everybody but the machine whose run failed: what that owes it knows, and proves once more.
    stage.writes();
    stage.apply_elsewhere().nothing_to_do();
    assert_eq!(stage.writes(), Vec::<String>::new());
    let ours = stage.site.apply();
    ours.good();
    assert!(ours.masters("n1").iter().any(|line| line.starts_with("smoke job green (")), "{}", ours.told());
    stage.nothing_to_do();
}

#[test]
fn a_node_that_fails_halfway_leaves_the_pool_in_the_same_run_and_comes_back_with_the_next() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    let broken = "  - command: {name: broken, run: [\"false\"], unless: [\"false\"]}\nexecutors:\n";
    stage.site.replace("roles/ci-agent.yaml", "executors:\n", broken);
    stage.set("stamp", "second");
    let failed = stage.site.apply().good_with(1);
    assert_eq!(stage.labels(), "ostler-quarantine-n1", "{}", failed.told());
    let reason = format!("{:?}", stage.model.state().nodes["n1"].offline);
    assert!(reason.contains("did not come through"), "{reason}");
    assert!(!failed.masters("n1").iter().any(|line| line.starts_with("smoke job")), "{}", failed.told());
    stage.site.replace("roles/ci-agent.yaml", broken, "executors:\n");
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");
    assert!(stage.model.state().nodes["n1"].offline.is_none());
    stage.nothing_to_do();
}

#[test]
fn a_job_that_ran_on_another_machine_gives_no_label() {
    for launch in ["ssh", "inbound"] {
        let stage = Stage::up(launch);
        stage.site.on("n1", &["sh", "-euc", "printf %s \"$0\" > /usr/local/bin/java; chmod 755 /usr/local/bin/java", JAVA]);
        // Another machine has taken the name: every job of this node runs there.
        let here = std::mem::take(&mut stage.model.state().build_elsewhere);
        let connect = || match launch {
            "ssh" => stage.site.apply(),
            _ => apply_and_call_in(&stage).0,
        };
        let ran = connect().good_with(1);
        let trouble = ran.recap("n1")["trouble"].as_str().unwrap().to_owned();
        let told =
            "not registered: smoke job: ran on another machine: it did not show what n1 alone was given, but `cat: /run/ostler-proof/";
        assert!(trouble.starts_with(told) && trouble.contains("No such file"), "{trouble}");
        assert_eq!(stage.labels(), "ostler-quarantine-n1");
        assert_eq!(stage.site.sh("n1", "ls /run/ostler-proof"), "", "the nonce is gone");
        // Its own jobs give it its labels, on a node that has not changed since.
        stage.model.state().build_elsewhere = here;
        stage.site.apply().good();
        assert_eq!(stage.labels(), "big debian");
        assert_eq!(stage.site.sh("n1", "ls /run/ostler-proof"), "", "the nonce is gone");
        stage.nothing_to_do();
        // Proved again for other smoke commands alone: by another nonce, elsewhere, in vain.
        stage.model.state().build_elsewhere.clear();
        stage.set("proof", "\"uptime\"");
        let again = stage.site.apply().good_with(1);
        assert!(again.recap("n1")["trouble"].as_str().unwrap().contains("ran on another machine"), "{}", again.told());
        assert_eq!(stage.labels(), "ostler-quarantine-n1");
    }
}

#[test]
fn a_fast_node_has_its_labels_while_a_slow_one_is_still_being_changed() {
    let stage = Stage::of(2, "ci-agent", "launch: ssh");
    stage.gate();
    stage.site.sh("n1", "touch /srv/open");
    let (is_in_time, is_slow_there, done) = std::thread::scope(|scope| {
        let apply = scope.spawn(|| stage.site.apply());
        let is_labelled = || stage.model.state().nodes.contains_key("n1") && stage.labels() == "big debian";
        let is_in_time = holds_within(is_labelled);
        let is_slow_there = stage.model.state().nodes.contains_key("n2");
        stage.site.sh("n2", "touch /srv/open");
        (is_in_time, is_slow_there, apply.join().unwrap())
    });
    assert!(is_in_time && !is_slow_there, "{}", done.told());
    done.good();
    assert!(stage.model.state().nodes["n2"].label.contains("debian"), "{}", done.told());
}

#[test]
fn a_node_whose_run_is_cancelled_or_lost_leaves_the_pool_in_the_same_run() {
    let stage = Stage::up("ssh");
    stage.gate();
    stage.site.sh("n1", "touch /srv/open");
    stage.site.apply().good();
    for (how, exit) in [("cancelled", 130), ("lost", 4)] {
        stage.site.sh("n1", "rm -f /srv/open /srv/here");
        stage.set("stamp", how);
        let mut apply = stage.site.command(&["apply", "--yes"]);
        let mut child = apply.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        within("the run stands at its gate", || stage.site.sh("n1", "test -e /srv/here && echo here || true") == "here");
        if how == "lost" {
            // Its connections are gone, and no other is let in.
            stage.site.lab().fault("n1", Fault::Refuse { port: 22 }).unwrap();
            stage.site.sh("n1", "ss -K state established sport = :22 > /dev/null");
        } else {
            assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
            stage.site.sh("n1", "touch /srv/open");
        }
        assert_eq!(child.wait().unwrap().code(), Some(exit), "{how}");
        assert_eq!(stage.labels(), "ostler-quarantine-n1", "{how}");
        stage.site.lab().fault("n1", Fault::ClearRules).unwrap();
        stage.site.sh("n1", "touch /srv/open");
        within("the run is over", || stage.site.sh("n1", "flock -n /var/lib/ostler/lock/run echo over || true") == "over");
        stage.site.apply().good();
        assert_eq!(stage.labels(), "big debian", "{how}");
    }
}

#[test]
fn smoke_commands_that_changed_alone_are_run() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    stage.set("proof", "/bin/true");
    let other = stage.site.apply();
    other.good();
    assert!(other.changed("n1").is_empty(), "{}", other.told());
    assert!(other.masters("n1").iter().any(|line| line.starts_with("smoke job green (")), "{}", other.told());
    stage.nothing_to_do();
    stage.set("proof", "/bin/false");
    drop(stage.site.apply().good_with(1));
    assert_eq!(stage.labels(), "ostler-quarantine-n1");
}

#[test]
fn an_interrupt_while_the_master_works_leaves_the_node_in_quarantine_and_says_so() {
    let stage = Stage::up("ssh");
    stage.model.state().hold_builds = true;
    let mut apply = stage.site.command(&["apply", "--yes"]);
    let mut child = apply.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let running = || stage.model.state().jobs.values().any(|job| job.builds.iter().any(|build| build.is_running()));
    // All secrets are used by then, and none is ever on a command line. The look itself finds what is there.
    let (is_over, process) = (AtomicBool::new(false), child.id());
    let seen = std::thread::scope(|scope| {
        let looking = scope.spawn(|| seen_on_command_lines(process, ["--yes", PASSWORD, KEY], &is_over));
        within("the smoke job runs", running);
        is_over.store(true, Ordering::SeqCst);
        looking.join().unwrap()
    });
    assert!(seen[0] >= 1 && seen[1..] == [0, 0], "{seen:?}");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let end = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    // It should be gone; if it is not, it has no status 130.
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("interrupted; it stays on the master in quarantine, without its labels"), "{told}");
    assert_eq!(stage.labels(), "ostler-quarantine-n1");
    assert!(stage.model.state().jobs.is_empty(), "its smoke job is left behind");
    stage.model.state().hold_builds = false;
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");
}

#[test]
fn an_executor_that_the_master_cannot_take_holds_back_its_node_and_a_master_outside_the_lab_is_reached() {
    let stage = Stage::up("ssh");
    stage.move_outside_with("launch@key");
    let refused = stage.site.apply().good_with(1);
    let trouble = refused.recap("n1")["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains("`launch@key` is not a credential id for Jenkins"), "{trouble}");
    assert_eq!((refused.changed("n1"), stage.model.state().nodes.len()), (Vec::new(), 0), "{}", refused.told());
    stage.site.replace("roles/ci-agent.yaml", "launch@key", "launch-key");
    stage.site.apply().good();
    assert_eq!(stage.labels(), "big debian");
}

#[test]
fn another_admins_machine_takes_the_sites_nodes_for_its_own_once_the_site_has_an_id() {
    let stage = Stage::up("ssh");
    stage.site.replace("ostler.yaml", "id: stage\n", "");
    let first = stage.site.apply();
    first.good();
    // Without an id only this machine knows what it made; it says by which id others would.
    let told = first.masters("n1");
    let hint = |text: &String| text.split_once("write `id: \"").and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id.to_owned());
    let id = told.iter().find_map(hint).unwrap_or_else(|| panic!("{told:?}"));
    let refused = stage.apply_elsewhere().good_with(4);
    let trouble = refused.recap("n1")["trouble"].as_str().unwrap().to_owned();
    assert!(trouble.contains(&format!("belongs to the site `{id}`")) && trouble.contains(&format!("`id: \"{id}\"`")), "{trouble}");

    stage.site.replace("ostler.yaml", "edition: 1\n", &format!("edition: 1\nid: \"{id}\"\n"));
    stage.nothing_to_do();
    let second = stage.apply_elsewhere();
    second.good();
    // What was sent last is known to every machine of the site, though none can see what is in it.
    assert_eq!(stage.writes(), Vec::<String>::new(), "{}", second.told());
    stage.apply_elsewhere().nothing_to_do();
    assert_eq!(stage.writes(), Vec::<String>::new());
    stage.nothing_to_do();
}

#[test]
fn a_credential_that_another_machine_has_sent_is_sent_again_when_the_site_says_so() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    let sent = || stage.model.state().credentials[0].secret.clone().unwrap();
    let posted = ["POST /credentials/store/system/domain/_/credential/launch-key/config.xml"];
    // Another machine sends another value; then the site goes back to the first, which this one sent last.
    stage.rotate("planted-second-key-9d2b");
    stage.apply_elsewhere().good();
    assert!(sent().contains("planted-second-key-9d2b"));
    stage.rotate(KEY);
    stage.writes();
    stage.site.apply().good();
    assert_eq!(stage.writes(), posted);
    assert!(sent().contains(KEY));
    // Both know what was sent last; neither sends it again.
    stage.apply_elsewhere().nothing_to_do();
    stage.nothing_to_do();
    let description = stage.model.state().credentials[0].description.clone();
    assert!(description.starts_with("managed by ostler, site stage sent:"), "{description}");
    assert!(!description.contains("planted"), "{description}");
}

#[test]
fn a_red_smoke_job_that_prints_secrets_is_shown_without_them() {
    let stage = Stage::up("ssh");
    stage.site.apply().good();
    let text = format!("#!/bin/sh\necho login {PASSWORD}\nprintf %s {PASSWORD} | base64\nprintf %0290d 0; echo {PASSWORD}\nexit 1\n");
    stage.site.on("n1", &["sh", "-euc", "printf %s \"$0\" > /usr/local/bin/leak; chmod 755 /usr/local/bin/leak", &text]);
    stage.set("proof", "leak");
    stage.set("stamp", "second");
    let red = stage.site.apply().good_with(1);
    stage.set("stamp", "third");
    let json = stage.site.command(&["apply", "--yes"]);
    let mut human = Command::new(json.get_program());
    human.args(["apply", "--yes"]).current_dir(stage.site.root()).env_clear();
    human.envs(json.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = human.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("login ***"), "{said}");
    for half in [PASSWORD, "planted-pass", "cGxhbnRlZC1wYXNz"] {
        assert!(!said.contains(half), "{half}: {said}");
    }
    stage.finds_nowhere(&[PASSWORD, "planted-pass", "cGxhbnRlZC1wYXNz"], &[&red]);
}
