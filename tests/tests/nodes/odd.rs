//! Nodes in an odd state: one that restarts in mid-run, one whose login lets nobody in, one whose programs cannot be written.

use super::{AT_GATE, GATED, OPEN, SMALL, field};

#[test]
fn a_node_that_restarts_in_mid_run_is_found_again_and_told_of_and_the_next_run_goes_on() {
    let field = field(1, GATED);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    // The answer to this call may be lost with the node.
    let _ = field.lab().node_command("n1", ["systemctl", "reboot"]).output();
    let cut = running.end();
    assert_eq!(cut.code, 1, "{cut}");
    assert!(cut.trouble("n1").contains("was cut off on the node"), "{cut}");
    assert_eq!(cut.of("trouble", Some("n1"))[0]["hint"], "apply again: it goes on at the first unfinished step", "{cut}");
    assert_eq!(field.said("n1", "cat /etc/before-gate; test -e /srv/passed || echo closed"), "before\nclosed");
    // /run went with the restart.
    field.run("n1", OPEN);
    let again = field.apply();
    again.assert_changed(2);
    assert_eq!(again.changed("n1"), ["command gate", "file /etc/after-gate"], "{again}");
    field.apply().assert_changed(0);
}

#[test]
fn what_a_login_shell_that_lets_nobody_in_says_is_shown() {
    let field = field(1, SMALL);
    field.run("n1", "usermod -s /usr/sbin/nologin admin");
    let ran = field.apply();
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.trouble("n1"), "the agent does not start (exit status 1): This account is currently not available.", "{ran}");
    field.run("n1", "usermod -s /bin/bash admin; usermod -s /usr/sbin/nologin root");
    // sudo starts the agent, no shell of root's.
    field.apply().assert_changed(2);
}

#[test]
fn a_package_that_cannot_be_unpacked_shows_what_stands_in_its_way_and_heals() {
    let role = SMALL.replace("steps:", "steps:\n  - package: {install: [tree]}");
    let field = field(1, &role);
    field.run("n1", "mount --bind /usr /usr; mount -o remount,ro,bind /usr");
    let ran = field.ostler(["apply", "--yes"]);
    assert_eq!(ran.code, 1, "{ran}");
    for part in ["package tree", "Read-only file system", "the file system is read-only (ostler explain read-only)"] {
        assert!(ran.stdout.contains(part), "{part}: {ran}");
    }
    field.run("n1", "mount -o remount,rw,bind /usr");
    field.apply().assert_changed(3);
    assert_eq!(field.said("n1", "dpkg --audit; tree --version | cut -c1-4"), "tree");
    field.apply().assert_changed(0);
}

/// An account whose home nobody writes down, and what an administrator puts into it.
const HOME: &str = r#"role: demo
summary: An account, its home's mode, a file of the skeleton's name.
steps:
  - user: {name: deploy}
  - directory: {path: /home/deploy, owner: deploy, mode: "0750"}
  - file: {path: /home/deploy/.bashrc, owner: deploy, content: "umask 027\n"}
"#;

#[test]
fn an_account_without_a_written_home_and_what_is_in_its_home_are_made_in_one_run() {
    let field = field(1, HOME);
    // Where useradd puts homes by itself is not where the plan saw them.
    field.run("n1", "mkdir /export; useradd -D -b /export; test -e /etc/skel/.bashrc");
    let first = field.apply();
    first.assert_changed(3);
    let told = field.said("n1", "getent passwd deploy | cut -d: -f6; stat -c '%U %a' /home/deploy; cat ~deploy/.bashrc; ls -A /export");
    assert_eq!(told, "/home/deploy\ndeploy 750\numask 027");
    field.apply().assert_changed(0);
    // An account that has another home keeps it.
    field.run("n1", "usermod --home /export/deploy --move-home deploy && mkdir /home/deploy && chown deploy: /home/deploy && chmod 750 /home/deploy && cp -p /export/deploy/.bashrc /home/deploy");
    field.apply().assert_changed(0);
}
