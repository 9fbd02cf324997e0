//! Roles that wait in mid-run until a test lets them go on: no race, no sleep.

use ostler_tests::e2e::Field;

/// Writes a file, waits at a gate until somebody opens it, writes another.
pub const GATED: &str = r#"role: demo
summary: A gate between two files.
steps:
  - file: {path: /etc/before-gate, content: "before\n"}
  - command: {name: gate, run: [sh, -c, "touch /run/at-gate; while ! test -e /run/open; do sleep 0.02; done; echo x >> /srv/passed"], creates: /srv/passed}
  - file: {path: /etc/after-gate, content: "after\n"}
"#;

/// A service behind the gate watches the file before it, and notes each start with what it read.
pub const GUARDED: &str = r#"role: demo
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
        ExecStart=/bin/sh -c 'cat /etc/before-gate >> /srv/starts; sync'
        [Install]
        WantedBy=multi-user.target
      state: running
      enabled: true
      restart_on: [file /etc/before-gate]
"#;

/// Succeeds on a node once a run waits at the gate.
pub const AT_GATE: &str = "test -e /run/at-gate";
/// Lets it pass.
pub const OPEN: &str = "touch /run/open";
/// Prints what stands behind the gate.
pub const AFTER_GATE: &str = "cat /etc/after-gate 2>/dev/null || echo none";
/// Succeeds on a node on which no run is going on.
pub const NO_RUN: &str = "flock -n /var/lib/ostler/lock/run true";
/// Prints the runner's process id; the brackets keep the pattern from finding its own shell.
pub const RUNNER: &str = "pgrep -f '[a]gent-[0-9a-f]+ run '";

/// Applies `GUARDED` through an open gate, then changes the file and closes the gate again.
pub fn settle(field: &Field) {
    let node = &field.nodes()[0];
    field.run(node, OPEN);
    field.apply().assert_changed(3);
    assert_eq!(field.said(node, "cat /srv/starts"), "before");
    field.run(node, "rm /run/open /run/at-gate /srv/passed");
    field.write("roles/demo.yaml", &GUARDED.replace("before\\n", "changed\\n"));
}
