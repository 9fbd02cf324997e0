//! Agents that call in by themselves: brought to their nodes, started again, told what is wrong with their Java.

use super::planned_there;
use super::stage::{KEY, PASSWORD, Stage, version, within};
use ostler::lab::Suite;
use ostler_tests::jenkins::Version;
use std::collections::BTreeSet;

/// What stands in for Java, which this lab's tree does not have: it says a version, and writes down how it was called and what `@FILE` held, and stays.
/// The test then calls in at the model with that secret, as the real agent would, if `agent.jar` of the model's version knows to be called so.
pub const JAVA: &str = r#"#!/bin/bash
[ "$1" = -version ] && exec /usr/bin/java -version
[ "${!#}" = -version ] && exit 0
for word in "$@"; do case $word in @*) cat "${word#@}" > /tmp/java-secret.new;; esac; done
printf '%s\n' "$@" > /tmp/java-words
mv /tmp/java-secret.new /tmp/java-secret
exec sleep infinity
"#;

pub fn apply_and_call_in(stage: &Stage) -> (ostler_tests::site::Ran, String) {
    stage.site.sh("n1", "rm -f /tmp/java-secret /tmp/java-words");
    std::thread::scope(|scope| {
        let done = scope.spawn(|| stage.site.apply());
        within("the agent is called", || {
            done.is_finished() || stage.site.sh("n1", "test -e /tmp/java-secret && echo called || true") == "called"
        });
        let secret = stage.site.sh("n1", "cat /tmp/java-secret 2>/dev/null || true");
        let line = stage.site.sh("n1", "cat /tmp/java-words 2>/dev/null || true");
        let version = stage.model.state().version;
        if let Some(node) = stage.model.state().nodes.get_mut("n1") {
            assert!(node.called(version, &line, &secret), "it has another secret, or its program only prints its usage: {line}");
        }
        (done.join().expect("applied"), secret)
    })
}

#[test]
fn an_inbound_agent_is_brought_to_its_node_and_started_again_when_its_secret_changes() {
    BTreeSet::from([Version::OLDEST, version()]).into_iter().for_each(inbound_agent_is_brought_and_started_again);
}

fn is_called_as_its_program_knows(stage: &Stage, version: Version, work: &str) {
    let called = match version.agent_knows_url() {
        true => "-url http://10.78.0.1:8080/ -name n1 -secret @/etc/jenkins-agent/ci/n1.secret -webSocket",
        false => "-jnlpUrl http://10.78.0.1:8080/computer/n1/jenkins-agent.jnlp -secret @/etc/jenkins-agent/ci/n1.secret",
    };
    let expected = format!("-jar /usr/local/lib/jenkins-agent/ci/agent.jar {called} -workDir {work}");
    let words = stage.site.sh("n1", "cat /tmp/java-words");
    assert_eq!(words.lines().collect::<Vec<_>>().join(" "), expected, "{version:?}");
}

fn inbound_agent_is_brought_and_started_again(version: Version) {
    let stage = Stage::up("inbound").on(version);
    stage.site.on("n1", &["sh", "-euc", "printf %s \"$0\" > /usr/local/bin/java; chmod 755 /usr/local/bin/java", JAVA]);
    let (first, secret) = apply_and_call_in(&stage);
    first.good();
    assert_eq!(secret, stage.model.state().nodes["n1"].secret);
    assert_eq!(stage.labels(), "big debian");
    assert!(first.masters("n1").iter().any(|line| line == "its agent is in place"), "{}", first.told());
    is_called_as_its_program_knows(&stage, version, "/home/jenkins/jobs");
    let stat = |path: &str| stage.site.on("n1", &["stat", "-c", "%a %U %G", path]);
    assert_eq!(stat("/etc/jenkins-agent/ci/n1.secret"), "600 jenkins jenkins");
    assert_eq!(stage.site.sh("n1", "cat /etc/jenkins-agent/ci/n1.secret"), secret);
    assert_eq!(stat("/usr/local/lib/jenkins-agent/ci/agent.jar"), "644 root root");
    assert_eq!(stage.site.sh("n1", "systemctl is-enabled jenkins-agent-ci-n1; systemctl is-active jenkins-agent-ci-n1"), "enabled\nactive");
    assert_eq!(stage.site.sh("n1", "ps -o user= -p $(systemctl show -P MainPID jenkins-agent-ci-n1)"), "jenkins");
    // Not in the arguments of any process, not in the unit.
    let visible = "cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' '; cat /etc/systemd/system/jenkins-agent-ci-n1.service";
    assert!(!stage.site.sh("n1", visible).contains(&secret));
    stage.nothing_to_do();

    // The master has another secret for it: brought once, the agent started again, the node proved again.
    let renewed = "0123456789abcdef".repeat(4);
    stage.model.state().nodes.get_mut("n1").unwrap().secret.clone_from(&renewed);
    let pid = stage.site.sh("n1", "systemctl show -P MainPID jenkins-agent-ci-n1");
    let (second, given) = apply_and_call_in(&stage);
    second.good();
    assert_eq!(given, renewed);
    assert_ne!(stage.site.sh("n1", "systemctl show -P MainPID jenkins-agent-ci-n1"), pid);
    assert!(second.masters("n1").iter().any(|line| line.starts_with("smoke job green (")), "{}", second.told());
    assert!(stage.model.state().nodes["n1"].offline.is_none(), "our own mark is taken off again");
    assert_eq!(stage.labels(), "big debian");
    stage.nothing_to_do();
    stage.finds_nowhere(&[PASSWORD, KEY, &secret, &renewed], &[&first, &second]);
}

#[test]
fn an_inbound_agent_that_is_to_be_changed_is_part_of_the_plan_and_is_asked_about() {
    // Another one than it is, with another program.
    let other = if version() == Version::NEWEST { Version::V2_532 } else { Version::NEWEST };
    let stage = Stage::up("inbound");
    stage.site.on("n1", &["sh", "-euc", "printf %s \"$0\" > /usr/local/bin/java; chmod 755 /usr/local/bin/java", JAVA]);
    apply_and_call_in(&stage).0.good();
    stage.nothing_to_do();
    let unit = "/etc/systemd/system/jenkins-agent-ci-n1.service";
    let kept = stage.site.sh("n1", &format!("cat {unit}"));
    // Somebody edits the unit; the master is upgraded, and gives another program.
    stage.site.sh("n1", &format!("sed -i s/RestartSec=5/RestartSec=7/ {unit}; systemctl daemon-reload"));
    for what in ["service jenkins-agent-ci-n1", "download /usr/local/lib/jenkins-agent/ci/agent.jar"] {
        stage.writes();
        let told = planned_there(&stage.site.run(&["plan", "--detailed-exitcode"]).good_with(5));
        let changes = told["changes"].as_array().unwrap();
        assert_eq!((&changes[0]["what"], &changes[0]["from"]), (&"labels".into(), &"attached".into()), "{told}");
        assert!(changes.iter().any(|change| change["what"].as_str().unwrap().starts_with(what)), "{what} in {told}");
        drop(stage.site.run(&["apply"]).good_with(8));
        // The node asks whether the program is to be had.
        let writes: Vec<String> = stage.writes().into_iter().filter(|write| !write.starts_with("HEAD ")).collect();
        assert_eq!((stage.labels().as_str(), writes), ("big debian", Vec::new()));
        apply_and_call_in(&stage).0.good();
        let now = stage.model.state().version;
        is_called_as_its_program_knows(&stage, now, "/home/jenkins/jobs");
        // Another program may be called in another way.
        let is_as_it_was = stage.site.sh("n1", &format!("cat {unit}")) == kept;
        assert_eq!(is_as_it_was, now.agent_knows_url() == version().agent_knows_url());
        stage.nothing_to_do();
        stage.model.state().version = other;
    }
}

#[test]
fn a_java_that_is_too_old_for_the_program_is_told_before_its_agent_is_waited_for() {
    let stage = Stage::up("inbound");
    // What a Java says of a program for a newer one: class files of Java 11 have version 55.
    let wanted = version().least_java();
    let has = if wanted > 17 {
        17
    } else if wanted > 11 {
        11
    } else {
        8
    };
    let says = format!(
        "echo 'java.lang.UnsupportedClassVersionError: hudson/remoting/Launcher has been compiled by a more recent version of the Java \
         Runtime (class file version {}.0), this version of the Java Runtime only recognizes class file versions up to {}.0' >&2; exit 1",
        wanted + 44,
        has + 44
    );
    let old = JAVA.replace("[ \"${!#}\" = -version ] && exit 0", &says);
    stage.site.on("n1", &["sh", "-euc", "printf %s \"$0\" > /usr/local/bin/java; chmod 755 /usr/local/bin/java", &old]);
    let refused = stage.site.apply().good_with(1);
    let trouble = refused.recap("n1")["trouble"].as_str().unwrap().to_owned();
    let said = format!("Jenkins {} wants Java {wanted} on its agents, and node `n1` has Java {has}", version().number());
    assert!(trouble.contains(&said), "{trouble}");
    assert_eq!(stage.labels(), "ostler-quarantine-n1");
    assert_eq!(stage.site.sh("n1", "systemctl is-active jenkins-agent-ci-n1 || true"), "inactive");
    // With a newer one the next run goes on.
    stage.site.on("n1", &["sh", "-euc", "printf %s \"$0\" > /usr/local/bin/java; chmod 755 /usr/local/bin/java", JAVA]);
    let (good, _) = apply_and_call_in(&stage);
    good.good();
    assert_eq!(stage.labels(), "big debian");
    stage.nothing_to_do();
}

#[test]
fn the_librarys_agent_calls_in_by_itself_with_real_java_beside_it() {
    // The distribution's own Java is one that this master takes.
    let (suite, java) = if version().least_java() > 17 { (Suite::Trixie, 21) } else { (Suite::Bookworm, 17) };
    let stage = Stage::from(suite, 1, "jenkins-agent", "master: ci, launch: inbound, labels: [debian, big]");
    // Real Java comes with the role and proves itself; agent.jar of the model is none, so what runs it is played.
    stage.site.on("n1", &["sh", "-euc", "printf %s \"$0\" > /usr/local/bin/java; chmod 755 /usr/local/bin/java", JAVA]);
    let (first, secret) = apply_and_call_in(&stage);
    first.good();
    let changed = first.changed("n1");
    for resource in ["user jenkins", &format!("package openjdk-{java}-jre-headless"), "directory /home/jenkins/workspaces"] {
        assert!(changed.iter().any(|one| one == resource), "{resource} in {changed:?}");
    }
    assert_eq!(first.proofs("n1"), ["login jenkins", "command java-runs"]);
    assert_eq!(stage.labels(), "big debian");
    is_called_as_its_program_knows(&stage, version(), "/home/jenkins/workspaces");
    assert_eq!(stage.site.on("n1", &["stat", "-c", "%a %U", "/etc/jenkins-agent/ci/n1.secret"]), "600 jenkins");
    assert_eq!(stage.site.sh("n1", "ps -o user= -p $(systemctl show -P MainPID jenkins-agent-ci-n1)"), "jenkins");
    stage.nothing_to_do();
    stage.finds_nowhere(&[PASSWORD, KEY, &secret], &[&first]);
}
