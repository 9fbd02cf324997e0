//! What ends in mid-run: the link, the runner, the controller, a person's patience. The node's story has no gap and the next run none to fill.

use super::{AT_GATE, GATED, NO_RUN, OPEN, field};
use ostler::lab::Fault;
use ostler_tests::e2e::Field;

/// A service that watches the first file, after the gate.
const GUARDED: &str = r#"role: demo
summary: A service that reads a file written before the gate.
steps:
  - file: {path: /etc/before-gate, content: "before\n"}
  - command: {name: gate, run: [sh, -c, "touch /run/at-gate; while ! test -e /run/open; do sleep 0.02; done; echo x >> /srv/passed"], creates: /srv/passed}
  - service:
      name: watcher
      unit_content: |
        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart=/bin/sh -c 'cat /etc/before-gate >> /srv/starts'
      state: running
      restart_on: [file /etc/before-gate]
"#;

fn assert_numbered_without_gap(events: &[(u64, serde_json::Value)]) {
    let numbers: Vec<u64> = events.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_cut_link_stops_no_run_and_attach_tells_all_of_it() {
    let field = field(1, GATED);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    // Both ends of the connection are told.
    field.run("n1", "ss -K state established sport = :22 >/dev/null");
    let ran = running.end();
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.trouble("n1").contains("goes on without us"), "{ran}");
    assert_eq!(ran.of("trouble", Some("n1"))[0]["hint"], "ostler attach n1", "{ran}");

    let early = ostler_tests::e2e::Running::start(field.call(["attach", "n1", "--output", "json"]));
    field.run("n1", OPEN);
    let told = early.end();
    assert_eq!(told.code, 0, "{told}");
    assert_numbered_without_gap(&told.events("n1"));
    assert_eq!(told.changed("n1"), ["file /etc/before-gate", "command gate", "file /etc/after-gate"]);
    assert_eq!(told.of("attached", Some("n1"))[0]["ending"]["good"]["changed"], 3, "{told}");
    let again = field.ostler(["attach", "n1", "--output", "json"]);
    assert_eq!(again.events("n1"), told.events("n1"), "a second listener hears the same story");
    assert_eq!(field.said("n1", "cat /srv/passed /etc/after-gate"), "x\nafter");
    field.apply().assert_changed(0);
}
