//! A controller that is gone without a word: no end of its connection ever reaches the node, which is nobody's but the run's.

use super::{AT_GATE, GATED, NO_RUN, OPEN, field};
use ostler::lab::Fault;
use ostler_tests::e2e::{Field, Running};

/// Succeeds once a single agent serves as root: the others have taken leave.
const ONE_SERVES: &str = "test $(pgrep -c -u root -f '[a]gent-[0-9a-f]+ serve --root') = 1";
/// Prints the other end's port of the only connection to the node's sshd.
const PEER: &str = "ss -Htn state established sport = :22 | awk '{print $4}' | sed 's/.*://'";

/// While the first controller's session stands on the node and hears nothing, another is served as if it were not there.
fn assert_another_is_served(field: &Field) {
    let mut attached = Running::start(field.call(["attach", "n1", "--output", "json"]));
    attached.wait_for("/etc/before-gate");
    let mut call = field.call(["apply", "--yes", "--output", "json"]);
    call.env("USER", "second");
    let busy = Running::start(call).end();
    assert_eq!((busy.code, busy.of("going", None).len()), (7, 0), "{busy}");
    assert!(busy.trouble("n1").contains("tester@"), "who has it: {busy}");
    field.run("n1", OPEN);
    let told = attached.end();
    assert_eq!((told.code, told.changed("n1").len()), (0, 3), "{told}");
    field.wait_for("n1", NO_RUN);
    // Nothing of it is left to wait for: neither the lock nor the generation.
    field.write("roles/demo.yaml", &GATED.replace("after\\n", "later\\n"));
    field.apply().assert_changed(1);
    // The first one's session stood all the while.
    field.wait_for("n1", ONE_SERVES);
}

#[test]
fn a_controller_that_hangs_keeps_nobody_from_its_node() {
    let field = field(1, GATED);
    let first = field.start_apply();
    field.wait_for("n1", AT_GATE);
    first.signal("STOP");
    assert_another_is_served(&field);
    first.signal("CONT");
    first.end().assert_changed(3);
}

#[test]
fn a_controller_whose_packets_no_longer_come_keeps_nobody_from_its_node() {
    let field = field(1, GATED);
    let first = field.start_apply();
    field.wait_for("n1", AT_GATE);
    let port = field.said("n1", PEER);
    let words = ["tcp", "sport", &port, "drop"].map(str::to_owned).to_vec();
    field.lab().fault("n1", Fault::Rule { words }).expect("the connection is dead");
    // Its farewell does not arrive either.
    first.signal("KILL");
    assert_eq!(first.end().code, 137);
    assert_another_is_served(&field);
}
