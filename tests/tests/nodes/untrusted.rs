//! A job user without any right beyond its own does what it can to a node of ours: it stops no run and gains nothing.

use super::{SMALL, field};
use ostler_tests::e2e::Field;

/// Makes the account `job`.
fn with_job(field: &Field) {
    field.run("n1", "useradd --create-home job");
}

/// Whether a script of `job` succeeds.
fn job(field: &Field, script: &str) -> bool {
    let words = ["setpriv", "--reuid=job", "--regid=job", "--init-groups", "env", "HOME=/home/job", "sh", "-c", script];
    field.lab().node_command("n1", words).output().expect("the lab runs it").ended.is_success()
}

/// A script of `job` that stays.
fn leave_behind(field: &Field, script: &str, there: &str) {
    field.run("n1", &format!("systemd-run --quiet --uid=job --gid=job sh -c '{script}'"));
    field.wait_for("n1", there);
}

#[test]
fn an_account_that_holds_locks_and_takes_names_first_stops_no_run() {
    let field = field(1, SMALL);
    with_job(&field);
    // As release 0.1 left a node: everybody may open the locks, and so hold them.
    field.run("n1", "mkdir -p /var/lib/ostler/lock && touch /var/lib/ostler/lock/go /var/lib/ostler/lock/run");
    leave_behind(
        &field,
        "flock /var/lib/ostler/lock/go flock /var/lib/ostler/lock/run sleep 999",
        "! flock -n /var/lib/ostler/lock/run true",
    );
    assert!(job(&field, "mkdir /dev/shm/ostler && mkfifo /dev/shm/ostler/key"));
    field.apply().assert_changed(2);
    field.run("n1", "rm /etc/demo-one");
    field.apply().assert_changed(1);
    for file in ["go", "run"] {
        assert!(!job(&field, &format!("flock -n /var/lib/ostler/lock/{file} true")), "{file}");
    }
    assert!(!job(&field, "ls /var/lib/ostler/lock || ls /run/ostler"));
}

/// Kills what is its own, threads too, again and again.
const KILLER: &str = r#"while :; do
  for status in /proc/[0-9]*/task/[0-9]*/status; do
    task=${status%/status}; process=${status#/proc/}
    [ "${process%%/*}" = $$ ] && continue
    case "$(grep -s ^Uid: $status)" in *"	$(id -u)	"*) kill -9 ${task##*/} ;; esac
  done
done"#;

const MIRRORED: &str = r#"role: demo
summary: A mirror of an origin that hangs, for the job user.
steps:
  - command: {name: mark, run: [touch, /srv/marked], unless: [test, -e, /srv/marked]}
  - git_cache: {root: /opt/git, owner: job, upstreams: ["git://127.0.0.1:9418/"], repositories: [a]}
"#;

#[test]
fn an_account_that_kills_what_works_in_its_name_kills_nothing_of_roots() {
    let field = field(1, MIRRORED);
    with_job(&field);
    // It holds the listening socket and takes nobody in.
    field.run("n1", "systemd-run --quiet --socket-property=ListenStream=127.0.0.1:9418 sleep 600");
    field.lab().node_command("n1", ["tee", "/srv/killer"]).input(KILLER).output().expect("written");
    field.run("n1", "systemd-run --quiet --unit=killer --uid=job --gid=job bash /srv/killer");
    let killed = field.apply();
    // The runner lives, and tells what befell the process of that account.
    assert_eq!(killed.code, 1, "{killed}");
    assert!(killed.stdout.contains("git-cache as job: ended by signal 9"), "{killed}");
    assert_eq!(killed.changed("n1"), ["command mark"], "{killed}");
    field.run("n1", "systemctl stop killer; useradd --create-home other");
    field.write("roles/demo.yaml", SMALL);
    field.apply().assert_changed(2);
}

#[test]
fn a_command_of_roots_is_not_led_out_of_a_directory_of_the_job_user() {
    let role = |as_whom: &str| {
        format!(
            "role: demo\nsummary: Work in a directory of the job user.\nsteps:\n  - command: {{name: build, run: [touch, built], \
             unless: [test, -e, built], directory: /home/job/ws{as_whom}}}\n"
        )
    };
    let field = field(1, &role(""));
    with_job(&field);
    assert!(job(&field, "ln -s /etc/cron.d ~/ws"));
    let refused = field.apply();
    assert_eq!(refused.code, 6, "{refused}");
    assert!(refused.stdout.contains("and job, who owns /home/job, can put something else in its place"), "{refused}");
    assert!(refused.stdout.contains("add `as: job` to the command"), "{refused}");
    assert_eq!(field.said("n1", "ls /etc/cron.d/built 2>/dev/null || true"), "");
    field.write("roles/demo.yaml", &role(", as: job"));
    assert_eq!(field.apply().code, 1, "its rights do not reach there");
    assert!(job(&field, "rm ~/ws && mkdir ~/ws"));
    field.apply().assert_changed(1);
    assert_eq!(field.said("n1", "stat -c %U /home/job/ws/built"), "job");
}

#[test]
fn a_command_of_roots_starts_no_program_that_the_job_user_can_replace() {
    let role = |as_whom: &str| {
        format!(
            "role: demo\nsummary: A program of the job user.\nsteps:\n  - command: {{name: build, run: [/srv/tool], \
             creates: /home/job/built{as_whom}}}\n"
        )
    };
    let field = field(1, &role(""));
    with_job(&field);
    assert!(job(&field, "printf '#!/bin/sh\\nid -un > ~/built\\n' > ~/tool && chmod 755 ~/tool"));
    // Root's own link leads there.
    field.run("n1", "ln -s /home/job/tool /srv/tool");
    let refused = field.apply();
    assert_eq!(refused.code, 6, "{refused}");
    assert!(
        refused.stdout.contains("root would start /srv/tool, and job, who owns /home/job, can put something else in its place"),
        "{refused}"
    );
    assert!(refused.stdout.contains("add `as: job` to the command"), "{refused}");
    field.write("roles/demo.yaml", &role(", as: job"));
    field.apply().assert_changed(1);
    assert_eq!(field.said("n1", "cat /home/job/built"), "job");
}
