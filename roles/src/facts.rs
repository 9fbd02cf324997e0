//! What is known of a node. *Stable* facts hold for the whole run: templates and `when` may read them. *Live* ones change under
//! our feet: only requirements read them, on the node.

use crate::words::{Bytes, Digest, Version};
use serde::{Deserialize, Serialize};

/// What holds for the whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The node's own name for itself.
    pub hostname: String,
    /// Its distribution.
    pub system: System,
    /// Debian's word for the architecture: `amd64`, `arm64`, ...
    pub arch: String,
    /// Its kernel.
    pub kernel: Kernel,
    /// `none`, or what systemd-detect-virt(1) calls it: `kvm`, `qemu`, `systemd-nspawn`, `docker`, `lxc`, ...
    pub virtualization: String,
    /// Logical processors.
    pub cpus: u32,
    /// Installed memory.
    pub memory: Bytes,
    /// Addresses of its interfaces, loopback left out, sorted.
    pub addresses: Vec<String>,
    /// Public host keys of its sshd, `ALGORITHM BLOB`, sorted.
    pub host_keys: Vec<String>,
    /// `apt`, `dnf`, `apk`; empty where none is known.
    pub package_manager: String,
    /// `systemd`, or the name of whatever runs as process 1.
    pub init: String,
}

/// A distribution, as os-release(5) says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `debian`, `ubuntu`, ...
    pub id: String,
    /// `12`, `24.04`; empty for rolling ones.
    pub version: String,
    /// `bookworm`, `noble`; may be empty.
    pub codename: String,
    /// `debian`, `redhat`, `alpine`, or the id itself.
    pub family: String,
}

/// A kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    pub release: Version,
    /// Whether it is shared with a host: the node is a container.
    pub shared: bool,
}

impl Facts {
    /// The digest by which a catalog names the facts it was compiled from.
    pub fn digest(&self) -> Digest {
        Digest::of_value(self)
    }
}

/// What changes under our feet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveFacts {
    /// Mounted file systems that hold data.
    pub mounts: Vec<Mount>,
    /// Memory that programs can have.
    pub memory_available: Bytes,
    /// Load average of one minute, in hundredths.
    pub load_hundredths: u32,
}

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where.
    pub point: String,
    /// `ext4`, `overlay`, ...
    pub kind: String,
    /// What.
    pub device: String,
    /// Its size.
    pub size: Bytes,
    /// Free for an ordinary account.
    pub free: Bytes,
    /// Inodes in all; 0 where the file system has no such number.
    pub inodes: u64,
    /// Free inodes.
    pub inodes_free: u64,
}
