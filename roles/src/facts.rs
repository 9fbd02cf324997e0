//! What is known of a node. *Stable* facts hold for the whole run: templates and `when` may read them. *Live* ones change under
//! our feet: only requirements read them, on the node.

use crate::words::{Bytes, Digest, Version};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::marker::PhantomData;

/// The most entries of a list of facts: a node says them of itself, and they are kept.
pub const MOST: usize = 4096;

/// The most bytes of a text of facts: a path may have 4096, a host key less.
const LONGEST: usize = 64 * 1024;

/// The most bytes of all texts of a list: as many addresses as a list has entries.
const TOGETHER: usize = 256 * 1024;

/// A list of no more entries than facts have.
fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Few<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {MOST} entries")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = seq.next_element()? {
                if entries.len() == MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_seq(Few(PhantomData))
}

/// A text no longer than facts are.
fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > LONGEST { Err(D::Error::invalid_length(text.len(), &"a text of at most 64 KiB")) } else { Ok(text) }
}

/// A list of texts that together are no longer than facts are.
fn few_texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts: Vec<String> = few(deserializer)?;
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes > TOGETHER { Err(D::Error::invalid_length(bytes, &"texts of at most 256 KiB")) } else { Ok(texts) }
}

/// A version no longer than facts are.
fn short_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    short(deserializer).map(Version)
}

/// What holds for the whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The node's own name for itself.
    #[serde(deserialize_with = "short")]
    pub hostname: String,
    /// Its distribution.
    pub system: System,
    /// Debian's word for the architecture: `amd64`, `arm64`, ...
    #[serde(deserialize_with = "short")]
    pub arch: String,
    /// Its kernel.
    pub kernel: Kernel,
    /// `none`, or what systemd-detect-virt(1) calls it: `kvm`, `qemu`, `systemd-nspawn`, `docker`, `lxc`, ...
    #[serde(deserialize_with = "short")]
    pub virtualization: String,
    /// Logical processors.
    pub cpus: u32,
    /// Installed memory.
    pub memory: Bytes,
    /// Addresses of its interfaces, loopback left out, sorted.
    #[serde(deserialize_with = "few_texts")]
    pub addresses: Vec<String>,
    /// Public host keys of its sshd, `ALGORITHM BLOB`, sorted.
    #[serde(deserialize_with = "few_texts")]
    pub host_keys: Vec<String>,
    /// `apt`, `dnf`, `apk`; empty where none is known.
    #[serde(deserialize_with = "short")]
    pub package_manager: String,
    /// `systemd`, or the name of whatever runs as process 1.
    #[serde(deserialize_with = "short")]
    pub init: String,
}

/// A distribution, as os-release(5) says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// `debian`, `ubuntu`, ...
    #[serde(deserialize_with = "short")]
    pub id: String,
    /// `12`, `24.04`; empty for rolling ones.
    #[serde(deserialize_with = "short")]
    pub version: String,
    /// `bookworm`, `noble`; may be empty.
    #[serde(deserialize_with = "short")]
    pub codename: String,
    /// `debian`, `redhat`, `alpine`, or the id itself.
    #[serde(deserialize_with = "short")]
    pub family: String,
}

/// A kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    #[serde(deserialize_with = "short_version")]
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
    #[serde(deserialize_with = "few")]
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
    #[serde(deserialize_with = "short")]
    pub point: String,
    /// `ext4`, `overlay`, ...
    #[serde(deserialize_with = "short")]
    pub kind: String,
    /// What.
    #[serde(deserialize_with = "short")]
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
