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
