//! What a lab is made of, as its caller describes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::LabError;

/// The lab's own side of its bridge: gateway, package source and static files answer here.
pub const BRIDGE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
/// Prefix length of the lab network: room for more nodes than a machine can boot.
pub const PREFIX: u8 = 16;
/// Port of the package gateway (an HTTP proxy) on the bridge address.
pub const GATEWAY_PORT: u16 = 3142;
/// Port of the static file server on the bridge address.
pub const WWW_PORT: u16 = 8088;

/// A whole lab: nodes on one bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabSpec {
    /// The nodes, started in parallel.
    pub nodes: Vec<LabNode>,
    /// Lets `fsync` and `sync` in nodes really wait. Off, nodes boot and shut down faster; a benchmark wants it on.
    pub real_sync: bool,
}

impl LabSpec {
    /// Returns a lab of these nodes.
    #[must_use]
    pub fn new(nodes: impl IntoIterator<Item = LabNode>) -> Self {
        Self { nodes: nodes.into_iter().collect(), real_sync: false }
    }

    /// Refuses names and addresses that cannot work.
    pub(crate) fn validate(&self) -> Result<(), LabError> {
        let mut names = BTreeSet::new();
        let mut addresses = BTreeSet::from([BRIDGE]);
        for node in &self.nodes {
            let name = &node.name;
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 32 || !name.chars().all(plain) || name.starts_with('-') {
                return Err(LabError::Spec(format!("node name {name:?}: expected 1 to 32 of a-z, 0-9 and -")));
            }
            if !names.insert(name) {
                return Err(LabError::Spec(format!("two nodes are named {name:?}")));
            }
            if node.address.octets()[..2] != BRIDGE.octets()[..2] {
                return Err(LabError::Spec(format!("node {name}: address {} is outside {BRIDGE}/{PREFIX}", node.address)));
            }
            if !addresses.insert(node.address) {
                return Err(LabError::Spec(format!("node {name}: address {} is taken", node.address)));
            }
        }
        Ok(())
    }
}

/// One node: a container with systemd and sshd, or a virtual machine with its own kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabNode {
    /// Host name, also resolvable from every other node.
    pub name: String,
    /// Debian suite of its root tree.
    pub suite: Suite,
    /// Its address on the bridge.
    pub address: Ipv4Addr,
    /// Packages beside the base set, part of the cached root tree.
    pub packages: BTreeSet<String>,
    /// What carries it.
    pub machine: Machine,
    /// How `admin` becomes root.
    pub sudo: Sudo,
    /// Makes admin's login shell print on every start, also for a command without a terminal.
    pub noisy_shell: bool,
}

impl LabNode {
    /// Returns a container node with the base packages and passwordless sudo.
    #[must_use]
    pub fn new(name: impl Into<String>, suite: Suite, address: Ipv4Addr) -> Self {
        Self {
            name: name.into(),
            suite,
            address,
            packages: BTreeSet::new(),
            machine: Machine::Container { disk_mb: None },
            sudo: Sudo::Free,
            noisy_shell: false,
        }
    }

    /// Adds packages to its root tree.
    #[must_use]
    pub fn with_packages<T: Into<String>>(mut self, packages: impl IntoIterator<Item = T>) -> Self {
        self.packages.extend(packages.into_iter().map(Into::into));
        self
    }

    /// Gives the container a root disk of this many megabytes, as `df /` in it says.
    #[must_use]
    pub fn with_disk_mb(mut self, megabytes: u64) -> Self {
        self.machine = Machine::Container { disk_mb: Some(megabytes) };
        self
    }

    /// Makes it a virtual machine with its own kernel and a sparse disk.
    #[must_use]
    pub fn as_vm(mut self) -> Self {
        self.machine = Machine::Vm;
        self
    }

    /// Makes admin's sudo ask for this password.
    #[must_use]
    pub fn with_sudo_password(mut self, password: impl Into<String>) -> Self {
        self.sudo = Sudo::Password(Password(password.into()));
        self
    }

    /// Makes admin's login shell noisy.
    #[must_use]
    pub fn with_noisy_shell(mut self) -> Self {
        self.noisy_shell = true;
        self
    }
}

/// Debian suites the lab knows how to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Debian 11.
    Bullseye,
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        })
    }
}

impl FromStr for Suite {
    type Err = LabError;

    fn from_str(word: &str) -> Result<Self, LabError> {
        match word {
            "bullseye" => Ok(Self::Bullseye),
            "bookworm" => Ok(Self::Bookworm),
            "trixie" => Ok(Self::Trixie),
            other => Err(LabError::Spec(format!("suite {other:?}: expected bullseye, bookworm or trixie"))),
        }
    }
}

/// What carries a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Machine {
    /// systemd-nspawn over a cached root tree; shares the kernel.
    Container {
        /// Size of its root disk; without it, an equal share of half this machine's memory, 4 GiB at least.
        disk_mb: Option<u64>,
    },
    /// qemu without hardware acceleration, restored from a snapshot; own kernel, sparse 50 GB disk.
    Vm,
}

/// How `admin` becomes root on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sudo {
    /// Without a password.
    Free,
    /// With this password.
    Password(Password),
}

/// A password of a throw-away node; `Debug` hides it all the same.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Something that happens to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The cable is pulled.
    LinkDown,
    /// The cable is back.
    LinkUp,
    /// Packets to this TCP port of the node vanish without an answer.
    Drop {
        /// The port.
        port: u16,
    },
    /// Connections to this TCP port of the node are reset.
    Refuse {
        /// The port.
        port: u16,
    },
    /// One more rule for the input chain of the node's network, in nft's own words.
    Rule {
        /// For example `["tcp", "dport", "22", "drop"]`.
        words: Vec<String>,
    },
    /// Takes all rules back.
    ClearRules,
    /// Slows the node's link, both ways alike.
    Delay(Delay),
    /// Takes the delay back.
    ClearDelay,
    /// The power goes: every process dies at once, the disk stays.
    PowerCut,
    /// The power is back; waits for sshd.
    PowerOn,
    /// Every process stops where it is: connections open, nothing answers.
    Freeze,
    /// And goes on.
    Thaw,
}

/// What a slowed link does to each frame, in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// Held this long one way: half of the round trip it adds.
    pub one_way: Duration,
    /// Plus or minus up to this.
    pub jitter: Duration,
    /// Lost frames in a hundred.
    pub loss_percent: u8,
    /// Bits a second in thousands; 0 is unlimited.
    pub rate_kbit: u32,
}

impl Delay {
    /// Returns a delay that adds this much to every round trip.
    #[must_use]
    pub fn round_trip(added: Duration) -> Self {
        Self { one_way: added / 2, ..Self::default() }
    }
}

/// How a node is, as `status` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Its processes run (or are frozen).
    Running,
    /// The power is off.
    Off,
}

/// Status of a lab: every node by name.
pub type Status = BTreeMap<String, NodeStatus>;

/// One node in a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its address on the bridge.
    pub address: Ipv4Addr,
    /// Its state.
    pub state: NodeState,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, last: u8) -> LabNode {
        LabNode::new(name, Suite::Bookworm, Ipv4Addr::new(10, 78, 0, last))
    }

    #[test]
    fn names_and_addresses_are_unique_and_inside_the_network() {
        let refused = |spec: LabSpec| spec.validate().expect_err("refused").to_string();
        assert!(LabSpec::new([node("n1", 11), node("n2", 12)]).validate().is_ok());
        assert!(refused(LabSpec::new([node("n1", 11), node("n1", 12)])).contains("two nodes are named"));
        assert!(refused(LabSpec::new([node("n1", 11), node("n2", 11)])).contains("is taken"));
        assert!(refused(LabSpec::new([node("n1", 1)])).contains("is taken"));
        assert!(refused(LabSpec::new([node("-x", 11)])).contains("expected 1 to 32"));
        let outside = LabNode::new("n1", Suite::Trixie, Ipv4Addr::new(10, 79, 0, 2));
        assert!(refused(LabSpec::new([outside])).contains("is outside 10.78.0.1/16"));
    }

    #[test]
    fn a_password_is_masked_in_debug() {
        let text = format!("{:?}", node("n1", 11).with_sudo_password("s3cret-word"));
        assert!(!text.contains("s3cret-word"), "{text}");
    }
}
