//! The real program on real nodes, as `admin` with sudo: what a person meets when things go wrong, asserted down to the numbers.

#![expect(clippy::expect_used, reason = "a test stops where its ground gives way")]

#[path = "nodes/cut.rs"]
mod cut;
#[path = "nodes/password.rs"]
mod password;
#[path = "nodes/reach.rs"]
mod reach;
#[path = "nodes/refusal.rs"]
mod refusal;

use ostler::lab::{LabNode, LabSpec, Suite};
use ostler_tests::e2e::Field;
use std::net::Ipv4Addr;

/// A bookworm node.
fn node(name: &str, last: u8) -> LabNode {
    LabNode::new(name, Suite::Bookworm, Ipv4Addr::new(10, 78, 0, last))
}

/// Nodes n1, n2, ... with one role each.
fn field(count: u8, role: &str) -> Field {
    field_of((1..=count).map(|number| node(&format!("n{number}"), 10 + number)), role)
}

/// These nodes with one role, `demo`.
fn field_of(nodes: impl IntoIterator<Item = LabNode>, role: &str) -> Field {
    Field::up(LabSpec::new(nodes), "roles: [demo]", &[("roles/demo.yaml", role)])
}

/// Writes two files.
const SMALL: &str = r#"role: demo
summary: Two files.
steps:
  - file: {path: /etc/demo-one, content: "one\n"}
  - file: {path: /srv/demo/two, content: "two\n", mode: "0640"}
"#;

/// Writes a file, waits at a gate until somebody opens it, writes another.
const GATED: &str = r#"role: demo
summary: A gate between two files.
steps:
  - file: {path: /etc/before-gate, content: "before\n"}
  - command: {name: gate, run: [sh, -c, "touch /run/at-gate; while ! test -e /run/open; do sleep 0.02; done; echo x >> /srv/passed"], creates: /srv/passed}
  - file: {path: /etc/after-gate, content: "after\n"}
"#;
/// Succeeds on a node once a run waits at the gate.
const AT_GATE: &str = "test -e /run/at-gate";
/// Lets it pass.
const OPEN: &str = "touch /run/open";
/// Succeeds on a node on which no run is going on.
const NO_RUN: &str = "flock -n /var/lib/ostler/lock/run true";
