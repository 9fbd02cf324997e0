//! Resource kinds: what is desired, what is observed, and the pure difference. One file a kind.

pub mod authorized_key;
pub mod command;
pub mod directory;
pub mod download;
mod effect;
pub mod file;
pub mod git_cache;
pub mod group;
pub mod kernel_module;
pub mod line;
pub mod link;
pub mod ownership;
pub mod package;
pub mod service;
pub mod sysctl;
pub mod user;

pub use effect::{Effect, Standing};
pub use ownership::Ownership;

use crate::words::Content;
use serde::{Deserialize, Serialize};

/// Kind and identity (path, name): stable across edits of everything else. Printed as written in roles: `file /etc/motd`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceId {
    /// The kind's word.
    pub kind: Kind,
    /// The kind's natural key.
    pub key: String,
}

impl std::fmt::Display for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.key)
    }
}

/// One difference as people read it: a field, what it is, what it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The field's word in a role, or the resource's presence.
    pub field: String,
    /// What was observed.
    pub from: String,
    /// What is desired.
    pub to: String,
}

impl Shown {
    /// A difference in `field`.
    pub fn new(field: &str, from: impl std::fmt::Display, to: impl std::fmt::Display) -> Self {
        Self { field: field.to_owned(), from: from.to_string(), to: to.to_string() }
    }
}

/// Why a difference cannot be mended by us: the desired state and the node contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Contradiction {
    /// What stands in the way.
    pub why: String,
    /// What a person can do.
    pub hint: String,
}

/// What every kind declares, purely.
pub trait Resource: Sized {
    /// What can be read of it on a node.
    type Observed;
    /// One typed change.
    type Change: Describe;
    /// Its identity among resources of its kind.
    fn key(&self) -> String;
    /// What must change so that `observed` becomes this; empty when it is so already.
    ///
    /// # Errors
    /// When the two contradict each other and no change of ours may mend it.
    fn diff(&self, observed: &Self::Observed) -> Result<Vec<Self::Change>, Contradiction>;
    /// What exists once this is applied.
    fn provides(&self) -> Vec<Effect>;
    /// What its observation or application reads of the node.
    fn needs(&self) -> Vec<Effect>;
    /// One sentence for "unchanged": why nothing is to be done.
    fn unchanged(&self, observed: &Self::Observed) -> String;
    /// Public and secret contents that must be at hand to apply it.
    fn contents(&self) -> Vec<&Content> {
        Vec::new()
    }
}

/// How a change is shown in plans and reports.
pub trait Describe {
    /// The change as a field, its present and its future value.
    fn shown(&self) -> Shown;
    /// Whether it makes a path where nothing is: then nothing of it, its owner included, is compared before.
    fn makes_path(&self) -> bool {
        false
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $module:ident;)*) => {
        /// The words for kinds, as in roles and reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($(#[$doc])* $variant),* }

        impl Kind {
            /// All kinds, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The kind's word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        /// What one resource of a node shall be.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Desired { $($(#[$doc])* $variant($module::Desired)),* }

        /// What was read of it on the node.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Observed { $($(#[$doc])* $variant($module::Observed)),* }

        impl Desired {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Self::$variant(_) => Kind::$variant),* }
            }
            /// Kind and identity.
            pub fn id(&self) -> ResourceId {
                ResourceId { kind: self.kind(), key: match self { $(Self::$variant(desired) => desired.key()),* } }
            }
            /// What exists once this is applied.
            pub fn provides(&self) -> Vec<Effect> {
                match self { $(Self::$variant(desired) => desired.provides()),* }
            }
            /// What its observation or application reads of the node.
            pub fn needs(&self) -> Vec<Effect> {
                match self { $(Self::$variant(desired) => desired.needs()),* }
            }
            /// Contents that must be at hand to apply it.
            pub fn contents(&self) -> Vec<&Content> {
                match self { $(Self::$variant(desired) => desired.contents()),* }
            }
        }
    };
}

kinds! {
    /// A Debian package.
    Package = "package", package;
    /// A regular file.
    File = "file", file;
    /// A directory.
    Directory = "directory", directory;
    /// A symbolic link.
    Link = "link", link;
    /// An account.
    User = "user", user;
    /// A group of accounts.
    Group = "group", group;
    /// A public key that may log in.
    AuthorizedKey = "authorized_key", authorized_key;
    /// One line of a file.
    Line = "line", line;
    /// A systemd unit.
    Service = "service", service;
    /// A kernel setting.
    Sysctl = "sysctl", sysctl;
    /// A kernel module.
    KernelModule = "kernel_module", kernel_module;
    /// A program with a reason to stop.
    Command = "command", command;
    /// Mirrors of git repositories.
    GitCache = "git_cache", git_cache;
    /// A file from a URL, with its checksum.
    Download = "download", download;
}

#[cfg(test)]
mod cases;
