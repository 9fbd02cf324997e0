//! Checks: requirements before a run, proofs after it. They never write, and have three answers.

use crate::resource::{command, package};
use crate::words::{AbsPath, AccountName, Bytes, ModuleName, PackageName, Version};
use serde::{Deserialize, Serialize};

mod demand;
mod judge;

pub use demand::{Demands, Share, Write};

/// Something that must be true of a good node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Room on the file system that holds a path.
    Disk(Disk),
    /// The running kernel.
    Kernel(Kernel),
    /// Installed memory.
    Memory(Memory),
    /// A package.
    Package(Package),
    /// A TCP connection from the node.
    Connect(Connect),
    /// The kind of machine.
    Virtualization(Virtualization),
    /// A relation between parameters and facts, decided when the catalog was compiled.
    Assert(Assert),
    /// An account that a job can log in to.
    Login(Login),
    /// A program that must exit well; it runs as `nobody` unless told otherwise.
    Command(Box<command::Desired>),
}

/// Room on the file system that really holds `path` (its nearest existing parent where it does not exist yet).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The path.
    pub path: AbsPath,
    /// How large the file system must be.
    pub size: Option<Bytes>,
    /// How much must remain after this plan has written what is still missing; already multiplied by `per: executor`. On the node it adds
    /// up with what others want on the same file system.
    pub free_after: Option<Bytes>,
    /// The node's executor count, where the role says `per: executor`: shown with the numbers.
    pub executors: Option<u32>,
}

/// The running kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Lowest good version.
    pub at_least: Option<Version>,
    /// First version that is too new.
    pub below: Option<Version>,
    /// Releases known to be bad: `uname -r` starts with one of these.
    pub not: Vec<String>,
    /// Modules that must be loaded, built in, or in the running kernel's module tree.
    pub modules: Vec<ModuleName>,
    /// Whether the kernel may be shared with a host; none: either.
    pub shared: Option<bool>,
}

/// Installed memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// At least so much in all.
    pub total: Bytes,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Installed, or offered by the node's package sources.
    pub want: PackageWant,
    /// The version asked for.
    pub version: Option<Version>,
}

/// What must hold of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageWant {
    /// It is installed.
    Installed,
    /// It is installed, or the package sources offer it.
    Offered,
}

/// A TCP connection from the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connect {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The kind of machine, in the words of systemd-detect-virt(1); `none` for bare metal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Virtualization {
    /// One of these; empty: any.
    pub any_of: Vec<String>,
    /// None of these.
    pub none_of: Vec<String>,
}

/// A relation that was decided when the catalog was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assert {
    /// Whether it holds.
    pub holds: bool,
    /// What to say when it does not.
    pub say: String,
    /// The expression, as written.
    pub that: String,
}

/// An account that a job can log in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The account.
    pub user: AccountName,
}

/// What was read on the node for a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// The file system that holds the path.
    Disk {
        /// Where it is mounted.
        mount: String,
        /// Its kind.
        file_system: String,
        /// Its size.
        size: Bytes,
        /// Free for an ordinary account.
        free: Bytes,
        /// What this plan will still write on it, as far as is known.
        to_write: Bytes,
        /// Steps that will write on it nobody knows how much.
        #[serde(default)]
        unknown: Vec<String>,
        /// All that requirements want to remain on it, told with the largest of them; nothing with the others.
        #[serde(default)]
        shares: Vec<Share>,
    },
    /// The running kernel.
    Kernel {
        /// `uname -r`.
        release: Version,
        /// Whether it is a host's.
        shared: bool,
        /// Those of the wanted modules that are neither loaded nor to be had.
        missing_modules: Vec<ModuleName>,
    },
    /// Installed memory.
    Memory(Bytes),
    /// A package: how it stands and what is offered.
    Package {
        /// How it stands, as a step sees it.
        found: package::Observed,
        /// Versions offered.
        offered: Vec<Version>,
        /// Packages offered that provide it, where none of its name is.
        #[serde(default)]
        providers: Vec<String>,
    },
    /// A connection: none when it was made, else the error.
    Connect(Option<String>),
    /// The kind of machine.
    Virtualization(String),
    /// Nothing had to be read.
    Nothing,
    /// A login: none when it works, else what is wrong.
    Login(Option<String>),
    /// How a probe ended.
    Command {
        /// Its exit code; none when a signal ended it.
        code: Option<i32>,
        /// Last lines of its output.
        output: String,
    },
    /// It could not be read: why.
    Unreadable(String),
}

/// The answer to a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds: with the numbers.
    Pass {
        /// What was found.
        found: String,
    },
    /// It does not hold.
    Fail {
        /// What was found.
        found: String,
        /// What is wanted.
        wanted: String,
        /// How much is missing, where that is a number.
        missing: Option<String>,
        /// The one thing to do.
        hint: String,
    },
    /// It could not be told, which fails.
    CouldNotTell {
        /// Why.
        why: String,
    },
}

impl Verdict {
    /// Whether the node may go on.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Pass { .. })
    }
}

impl std::fmt::Display for Check {
    /// The check's name in reports: `disk /opt`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(disk) => write!(f, "disk {}", disk.path),
            Self::Kernel(_) => f.write_str("kernel"),
            Self::Memory(_) => f.write_str("memory"),
            Self::Package(package) => write!(f, "package {}", package.name),
            Self::Connect(connect) => write!(f, "connect {}:{}", connect.host, connect.port),
            Self::Virtualization(_) => f.write_str("virtualization"),
            Self::Assert(assert) => write!(f, "assert {}", assert.that),
            Self::Login(login) => write!(f, "login {}", login.user),
            Self::Command(command) => write!(f, "command {}", command.name),
        }
    }
}
