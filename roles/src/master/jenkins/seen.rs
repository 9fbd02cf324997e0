//! What is seen of a node on the master.

use super::{ForeignOwner, HostKey, Mode};
use std::collections::BTreeSet;

/// The launcher as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenLauncher {
    /// SSH. A key is there only when it was provided by hand (`ManuallyProvided`).
    Ssh {
        /// Host.
        host: String,
        /// Port, as text: anything may stand there.
        port: String,
        /// Credential id.
        credential: String,
        /// Pinned key.
        host_key: Option<HostKey>,
        /// Java path.
        java: Option<String>,
    },
    /// Inbound.
    Inbound {
        /// Over a WebSocket, or over the TCP port.
        is_websocket: bool,
    },
    /// Another class, or none.
    Other(String),
}

/// With what its agent was launched over SSH: a launcher that is changed is used at the next launch only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// Host.
    pub host: String,
    /// Port, as text.
    pub port: String,
    /// Credential id.
    pub credential: String,
}

/// The configuration of a node of ours, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Executors.
    pub executors: i64,
    /// Label atoms.
    pub labels: BTreeSet<String>,
    /// Mode; none when the element is missing.
    pub mode: Option<Mode>,
    /// Remote file system root.
    pub remote_fs: String,
    /// Launcher.
    pub launcher: SeenLauncher,
    /// With what the agent that is connected was launched; none: none is, or Jenkins does not say.
    pub launched: Option<Launched>,
}

/// Who marks a node offline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// An account.
    Account(String),
    /// The account that we log in with.
    Us(String),
    /// Something else in Jenkins, by the class of what it wrote down: a monitor of its nodes, its command line.
    Cause(String),
    /// Nobody knows.
    Unknown,
}

/// An offline mark: an operator's, a monitor's, or our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Who set it.
    pub by: By,
    /// The reason given; may be empty.
    pub reason: String,
}

impl Hold {
    const OURS: &str = "ostler: ";

    /// The message of a mark that we set ourselves.
    pub fn message(reason: &str) -> String {
        format!("{}{reason}", Self::OURS)
    }

    /// Whether we set it: only then may we take it off.
    pub fn is_ours(&self) -> bool {
        matches!(self.by, By::Us(_) | By::Unknown) && self.is_in_our_words()
    }

    /// Whether its message begins as ours do.
    pub fn is_in_our_words(&self) -> bool {
        self.reason.starts_with(Self::OURS)
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.by {
            By::Account(user) | By::Us(user) => write!(f, "marked offline by `{user}`")?,
            By::Cause(class) => write!(f, "marked offline by Jenkins ({})", class.rsplit(['.', '$']).next().unwrap_or(class))?,
            By::Unknown => f.write_str("marked offline")?,
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", self.reason) }
    }
}

/// What is seen of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The listing does not have it.
    Absent,
    /// The name is taken, but the node has no address: it was made with 0 executors.
    Orphan,
    /// A node that this site did not make.
    Foreign(ForeignOwner),
    /// A node of ours.
    Ours {
        /// Its configuration.
        config: Box<Config>,
        /// Whether its agent is connected, the offline mark left aside.
        is_connected: bool,
        /// It is not, and need not be: its retention strategy lets it go, and Jenkins launches it when a job wants it.
        is_resting: bool,
        /// The offline mark.
        hold: Option<Hold>,
    },
}

impl std::fmt::Display for SeenLauncher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ssh { host, port, credential, host_key, .. } => {
                let key = host_key.as_ref().map_or("no pinned key", |key| key.algorithm.as_str());
                write!(f, "ssh {host}:{port} as {credential}, {key}")
            }
            Self::Inbound { is_websocket: true } => f.write_str("inbound websocket"),
            Self::Inbound { is_websocket: false } => f.write_str("inbound tcp"),
            Self::Other(class) if class.is_empty() => f.write_str("none"),
            Self::Other(class) => f.write_str(class),
        }
    }
}
