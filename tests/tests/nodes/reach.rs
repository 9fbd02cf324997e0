//! The way there: host keys, dead nodes, talkative shells.

use super::{SMALL, field, field_of, node};
use ostler::lab::Fault;
use ostler_tests::e2e::Running;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Says which file knows the nodes' keys.
const OWN_KEYS: (&str, &str) = ("become: sudo}", "become: sudo, known_hosts: known}");

#[test]
fn a_changed_host_key_is_refused_and_an_unknown_one_accepted_only_when_told() {
    let field = field(1, SMALL);
    let site = field.dir().join("site");
    let main = std::fs::read_to_string(site.join("ostler.yaml")).expect("there");
    field.write("ostler.yaml", &main.replace(OWN_KEYS.0, OWN_KEYS.1));
    let logins = || field.said("n1", "journalctl -q -o cat -t sshd | grep -c 'Accepted publickey' || true");
    let before = logins();

    field.write("known", "10.78.0.11 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIpxgyuVfWmKj8yuNOWc3fnDaNjKv+WgmhRCrHGUzFDl\n");
    for arguments in [vec!["apply", "--yes", "--output", "json"], vec!["apply", "--yes", "--accept-new", "--output", "json"]] {
        let ran = field.ostler(arguments);
        assert_eq!(ran.code, 4, "{ran}");
        assert!(ran.trouble("n1").contains("THE HOST KEY HAS CHANGED"), "{ran}");
        assert_eq!((ran.of("met", None).len(), ran.of("trouble", Some("n1"))[0]["kind"].as_str()), (0, Some("unreachable")), "{ran}");
    }
    field.write("known", "");
    let unknown = field.apply();
    assert_eq!(unknown.code, 4, "{unknown}");
    assert!(unknown.trouble("n1").contains("the host key is unknown"), "{unknown}");
    let hint = unknown.of("trouble", Some("n1"))[0]["hint"].to_string();
    assert!(hint.contains("--accept-new"), "{hint}");
    assert_eq!(std::fs::read_to_string(site.join("known")).expect("there"), "");
    assert_eq!(logins(), before, "nobody logged in");

    let accepted = field.ostler(["apply", "--yes", "--accept-new", "--output", "json"]);
    accepted.assert_changed(2);
    assert!(std::fs::read_to_string(site.join("known")).expect("there").contains(" ssh-ed25519 "), "{accepted}");
    field.apply().assert_changed(0);
}

#[test]
fn a_machine_that_may_hold_few_files_open_works_through_all_nodes_all_the_same() {
    let field = field(3, SMALL);
    let within = |limit: &str, arguments: &[&str]| {
        let ours = field.call(arguments);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit {limit}; exec \"$0\" \"$@\"")]).arg(ours.get_program()).args(ours.get_args());
        command.env_clear().envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(field.dir().join("site")).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command).end()
    };
    // Room for one that is met, and for one line beside it.
    let ran = within("-n 67", &["apply", "--yes", "--forks", "1", "--output", "json"]);
    ran.assert_changed(2);
    assert_eq!(ran.of("met", None).len(), 3, "{ran}");
    assert_eq!(within("-n 67", &["plan", "--forks", "1"]).code, 0);
    let refused = within("-n 65", &["plan", "--forks", "1"]);
    assert_eq!(refused.code, 2, "{refused}");
    let told = "this process may hold 65 files open, and meeting 1 node at once needs 66";
    assert!(refused.to_string().contains(told), "{refused}");
    // What is only the shell's own bound is raised.
    let raised = within("-S -n 65", &["apply", "--yes", "--forks", "3", "--output", "json"]);
    raised.assert_changed(0);
    assert_eq!(raised.of("met", None).len(), 3, "{raised}");
}

#[test]
fn one_dead_node_among_five_holds_back_no_other() {
    let field = field(5, SMALL);
    // The agent is there already: on a busy machine its way to five nodes may take longer than the dial that fails.
    assert_eq!(field.ostler(["plan"]).code, 0);
    field.lab().fault("n3", Fault::Drop { port: 22 }).expect("silent");
    let ran = field.apply();
    assert_eq!(ran.code, 4, "{ran}");
    for node in ["n1", "n2", "n4", "n5"] {
        assert_eq!(ran.recap(node)["changed"], 2, "{ran}");
        assert_eq!(ran.recap(node)["trouble"], serde_json::Value::Null, "{ran}");
        assert_eq!(field.said(node, "cat /etc/demo-one"), "one");
    }
    assert!(ran.trouble("n3").contains("10.78.0.13"), "{ran}");
    // One dial of 10 s, and the machine's slowness.
    assert!(ran.took < Duration::from_secs(16), "{ran}");
    let at = |kind: &str, node: &str| {
        let is = |line: &serde_json::Value| line["type"] == kind && line["node"] == node;
        ran.json().iter().zip(&ran.came).find(|(line, _)| is(line)).map(|(_, came)| *came).expect("an event")
    };
    let dead = at("trouble", "n3");
    assert!(dead >= Duration::from_secs(9), "the silence was real: {dead:?}");
    for node in ["n1", "n2", "n4", "n5"] {
        assert!(at("met", node) < dead, "{node} was met at {:?}, n3 lost at {dead:?}\n{ran}", at("met", node));
    }
}

#[test]
fn a_noisy_login_shell_does_no_harm_and_is_told_of_only_when_asked() {
    let field = field_of([node("n1", 11).with_noisy_shell()], SMALL);
    let ran = field.ostler(["apply", "--yes"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(!ran.stderr.contains("login shell") && !ran.stdout.contains("Welcome"), "{ran}");
    assert_eq!(field.said("n1", "cat /etc/demo-one"), "one");
    let ran = field.ostler(["plan"]);
    assert!(ran.code == 0 && !ran.stderr.contains("login shell"), "{ran}");
    let ran = field.ostler(["plan", "-v"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stderr.contains("n1: the login shell printed "), "{ran}");
    field.apply().assert_changed(0);
}

#[test]
fn a_node_that_is_still_starting_is_asked_again_until_it_lets_us_in() {
    let field = field(1, SMALL);
    // systemd's own file and words, and then what systemd-user-sessions.service does at the end of a boot.
    let words = "System is booting up. Unprivileged users are not permitted to log in yet. Please come back later. For technical details, see pam_nologin(8).";
    let left = field.said("n1", &format!("echo '{words}' >/run/nologin; systemd-run -q --on-active=2 rm /run/nologin; ls /run/nologin"));
    assert_eq!(left, "/run/nologin");
    let ran = field.apply();
    ran.assert_changed(2);
    let told = ran.of("link", Some("n1"));
    assert_eq!(told.len(), 1, "{ran}");
    assert!(told[0]["text"].to_string().contains("the node lets nobody in at this time; it said: "), "{ran}");
    assert!(ran.took >= Duration::from_secs(1), "{ran}");
}
