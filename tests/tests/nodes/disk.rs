//! A disk that fills in mid-run.

use super::{AT_GATE, OPEN, field_of, node};
use ostler_tests::e2e::Running;

const BIG: &str = r#"role: demo
summary: A large file behind a gate.
steps:
  - file: {path: /etc/small, content: "small\n"}
  - command: {name: gate, run: [sh, -c, "touch /run/at-gate; while ! test -e /run/open; do sleep 0.02; done; touch /run/passed"], creates: /run/passed}
  - file: {path: /srv/big, from: files/big}
"#;

#[test]
fn a_disk_that_fills_in_mid_run_fails_the_step_and_leaves_the_old_file() {
    let field = field_of([node("n1", 11).with_disk_mb(250)], BIG);
    let old = "old line\n".repeat(200_000);
    field.write("files/big", &old);
    field.run("n1", OPEN);
    field.apply().assert_changed(3);
    let digest = field.said("n1", "sha256sum < /srv/big");
    field.run("n1", "rm /run/open /run/passed /run/at-gate");
    field.write("files/big", &"new line\n".repeat(400_000));

    let running = Running::start(field.call(["apply", "--yes"]));
    field.wait_for("n1", AT_GATE);
    // One megabyte is left: less than the file, enough for the journal.
    field.run("n1", "head -c 400M /dev/zero > /var/filler 2>/dev/null || true; truncate -s -1M /var/filler");
    field.run("n1", OPEN);
    let full = running.end();
    assert_eq!(full.code, 1, "{full}");
    for part in ["file /srv/big", "roles/demo.yaml:6", "the file system is full, or out of inodes"] {
        assert!(full.stdout.contains(part), "{part}: {full}");
    }
    assert_eq!(field.said("n1", "sha256sum < /srv/big"), digest);
    assert_eq!(field.said("n1", "ls -A /srv"), "big", "nothing half written is left beside it");
    let told = field.ostler(["attach", "n1", "--output", "json"]);
    let failed = told.events("n1").into_iter().find_map(|(_, event)| event["step_done"]["outcome"].get("failed").cloned());
    assert_eq!(failed.expect("a failure")["kind"], "no_space", "{told}");

    field.run("n1", "rm /var/filler");
    let healed = field.apply();
    healed.assert_changed(1);
    assert_eq!(healed.changed("n1"), ["file /srv/big"]);
    assert_ne!(field.said("n1", "sha256sum < /srv/big"), digest);
}
