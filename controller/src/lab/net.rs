//! The lab's network: a bridge, and for every node a namespace with one link to it.

use std::fmt::Write as _;
use std::process::Command;

use super::child::{feed, run};
use super::error::LabError;
use super::spec::{BRIDGE, LabSpec, Machine, PREFIX};

/// The bridge's interface name.
pub(crate) const BRIDGE_LINK: &str = "labbr0";

/// Returns the bridge-side interface name of the node at this index.
pub(crate) fn link(index: usize) -> String {
    format!("lv{index}")
}

/// Makes the bridge and every node's namespace and link, in two calls of `ip` and one more for each node.
pub(crate) fn build(spec: &LabSpec) -> Result<(), LabError> {
    let mut lines = format!(
        "link set lo up\nlink add {BRIDGE_LINK} type bridge\naddr add {BRIDGE}/{PREFIX} dev {BRIDGE_LINK}\nlink set {BRIDGE_LINK} up\n"
    );
    for (index, node) in spec.nodes.iter().enumerate() {
        let (name, link) = (&node.name, link(index));
        let _ = match node.machine {
            Machine::Container { .. } => write!(lines, "netns add {name}\nlink add {link} type veth peer name eth0 netns {name}\n"),
            Machine::Vm => writeln!(lines, "tuntap add dev {link} mode tap"),
        };
        let _ = writeln!(lines, "link set {link} master {BRIDGE_LINK} up");
    }
    ip_batch(&lines)?;
    for node in spec.nodes.iter().filter(|node| node.machine != Machine::Vm) {
        let lines = format!("link set lo up\naddr add {}/{PREFIX} dev eth0\nlink set eth0 up\n", node.address);
        batch(&["-n", &node.name], &lines)?;
    }
    Ok(())
}

/// Returns the lines of `/etc/hosts` that name everything in the lab.
pub(crate) fn hosts(spec: &LabSpec) -> String {
    let mut lines = format!("{BRIDGE} lab\n");
    for node in &spec.nodes {
        let _ = writeln!(lines, "{} {}", node.address, node.name);
    }
    lines
}

/// Sets a node's link up or down, seen from the bridge.
pub(crate) fn set_link(index: usize, up: bool) -> Result<(), LabError> {
    ip(&["link", "set", &link(index), if up { "up" } else { "down" }])
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &[&str]) -> Result<(), LabError> {
    run(Command::new("ip").args(words)).map(drop)
}

/// Runs many `ip` commands in one process.
pub(crate) fn ip_batch(lines: &str) -> Result<(), LabError> {
    batch(&[], lines)
}

fn batch(options: &[&str], lines: &str) -> Result<(), LabError> {
    feed(Command::new("ip").args(options).args(["-batch", "-"]), lines.as_bytes()).map(drop)
}

/// Adds a rule to the input chain of a node's network.
pub(crate) fn add_rule(node: &str, words: &[&str]) -> Result<(), LabError> {
    nft(node, &["add", "table", "inet", "fault"])?;
    nft(node, &["add", "chain", "inet", "fault", "input", "{ type filter hook input priority 0; }"])?;
    nft(node, &[&["add", "rule", "inet", "fault", "input"], words].concat())
}

/// Takes every rule back.
pub(crate) fn clear_rules(node: &str) -> Result<(), LabError> {
    // Added first, so that deleting a table that was never there is no error.
    nft(node, &["add", "table", "inet", "fault"])?;
    nft(node, &["delete", "table", "inet", "fault"])
}

fn nft(node: &str, words: &[&str]) -> Result<(), LabError> {
    run(Command::new("ip").args(["netns", "exec", node, "nft"]).args(words)).map(drop)
}
