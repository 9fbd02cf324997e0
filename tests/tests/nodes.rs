//! The real program on real nodes, as `admin` with sudo: what a person meets when things go wrong, asserted down to the numbers.

#![expect(clippy::expect_used, reason = "a test stops where its ground gives way")]

#[path = "nodes/at_the_gate.rs"]
mod at_the_gate;
#[path = "nodes/cut.rs"]
mod cut;
#[path = "nodes/desk.rs"]
mod desk;
#[path = "nodes/disk.rs"]
mod disk;
#[path = "nodes/hung.rs"]
mod hung;
#[path = "nodes/killed.rs"]
mod killed;
#[path = "nodes/odd.rs"]
mod odd;
#[path = "nodes/order.rs"]
mod order;
#[path = "nodes/password.rs"]
mod password;
#[path = "nodes/power.rs"]
mod power;
#[path = "nodes/reach.rs"]
mod reach;
#[path = "nodes/refusal.rs"]
mod refusal;
#[path = "nodes/secrets.rs"]
mod secrets;
#[path = "nodes/steering.rs"]
mod steering;
#[path = "nodes/sudo_rs.rs"]
mod sudo_rs;
#[path = "nodes/suites.rs"]
mod suites;
#[path = "nodes/two_controllers.rs"]
mod two_controllers;
#[path = "nodes/untrusted.rs"]
mod untrusted;
#[path = "nodes/vanished.rs"]
mod vanished;

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

use at_the_gate::{AFTER_GATE, AT_GATE, GATED, GUARDED, NO_RUN, OPEN, RUNNER};
