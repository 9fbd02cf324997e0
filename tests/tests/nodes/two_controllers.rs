//! Two controllers at once: one works, the other learns who it is and since when.

use super::{AT_GATE, GATED, OPEN, SMALL, field};
use ostler_tests::e2e::Running;

#[test]
fn a_second_controller_is_told_who_has_the_node_and_since_when() {
    let field = field(1, GATED);
    let first = field.start_apply();
    field.wait_for("n1", AT_GATE);
    let mut call = field.call(["apply", "--yes", "--output", "json"]);
    call.env("USER", "second");
    let second = Running::start(call).end();
    assert_eq!(second.code, 7, "{second}");
    let trouble = second.trouble("n1");
    assert!(trouble.contains("tester@"), "the owner: {trouble}");
    assert!(trouble.contains(" s ago") || trouble.contains("for "), "its age: {trouble}");
    assert_eq!(second.of("trouble", Some("n1"))[0]["kind"], "locked", "{second}");
    assert_eq!(second.of("going", None).len(), 0, "{second}");
    field.run("n1", OPEN);
    first.end().assert_changed(3);
    assert_eq!(field.said("n1", "cat /srv/passed; ls /var/lib/ostler/runs | wc -l"), "x\n1");
}

#[test]
fn of_two_controllers_that_start_together_one_does_the_work() {
    let field = field(1, SMALL);
    let mut calls = [field.start_apply(), field.start_apply()].map(Running::end);
    calls.sort_by_key(|ran| ran.code);
    let [winner, other] = calls;
    assert_eq!(winner.code, 0, "{winner}\n{other}");
    // Too late for the lock, too late for the plan, or late enough to find everything done.
    let refused = other.code == 7 || other.trouble("n1").contains("another run");
    let nothing_left = other.code == 0 && [&winner, &other].iter().any(|ran| ran.recap("n1")["changed"] == 0);
    assert!(refused || nothing_left, "{winner}\n{other}");
    assert_eq!(field.said("n1", "ls /var/lib/ostler/runs | wc -l; cat /etc/demo-one"), "1\none");
}
