//! Two controllers at once: one works, the other learns who it is and since when.

use super::{AT_GATE, GATED, OPEN, field};
use ostler_tests::e2e::Running;
use std::time::{Duration, Instant};

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
    let field = field(1, GATED);
    let mut calls = vec![field.start_apply(), field.start_apply()];
    // Nobody passes the gate: whoever ends now was refused.
    let end = Instant::now() + Duration::from_secs(20);
    let refused = loop {
        if let Some(place) = calls.iter_mut().position(Running::is_over) {
            break calls.remove(place).end();
        }
        assert!(Instant::now() < end, "neither was refused");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!((refused.code, refused.of("going", None).len()), (7, 0), "{refused}");
    field.run("n1", OPEN);
    calls.remove(0).end().assert_changed(3);
    assert_eq!(field.said("n1", "ls /var/lib/ostler/runs | wc -l; cat /srv/passed"), "1\nx");
}

#[test]
fn a_runner_whose_records_were_removed_is_still_the_only_one() {
    let field = field(1, GATED);
    let first = field.start_apply();
    field.wait_for("n1", AT_GATE);
    // Its lock goes with it.
    field.run("n1", "rm -rf /var/lib/ostler");
    let mut call = field.call(["apply", "--yes", "--output", "json"]);
    call.env("USER", "second");
    let second = Running::start(call).end();
    assert_eq!((second.code, second.of("going", None).len()), (7, 0), "{second}");
    let trouble = second.trouble("n1");
    assert!(trouble.contains("a controller whose record was removed from this node, with its journal"), "{trouble}");
    field.run("n1", OPEN);
    let _ = first.end();
    field.wait_for("n1", "! pgrep -f '[a]gent-[0-9a-f]+ run '");
    let third = field.apply();
    assert_eq!(third.code, 0, "{third}");
    assert_eq!(field.said("n1", "cat /srv/passed"), "x", "the gate was passed once");
}
