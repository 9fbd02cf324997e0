//! What differs between a node as it is seen and as it should be.

use super::{Config, Launched, Launcher, Mode, Node, SeenLauncher, Stage};
use crate::words::AbsPath;
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// One value that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Executors.
    Executors {
        /// Seen.
        from: i64,
        /// Wanted.
        to: NonZeroU32,
    },
    /// Labels.
    Labels {
        /// To be taken off.
        removed: BTreeSet<String>,
        /// To be attached.
        added: BTreeSet<String>,
    },
    /// Mode.
    Mode {
        /// Seen.
        from: Option<Mode>,
        /// Wanted.
        to: Mode,
    },
    /// Remote file system root.
    RemoteFs {
        /// Seen.
        from: String,
        /// Wanted.
        to: AbsPath,
    },
    /// Launcher; it is used at the next launch only.
    Launcher {
        /// Seen.
        from: Box<SeenLauncher>,
        /// Wanted.
        to: Box<Launcher>,
    },
}

impl Change {
    /// Whether the agent must be launched again before this is true.
    pub fn needs_launch(&self) -> bool {
        match self {
            Self::Launcher { .. } | Self::RemoteFs { .. } => true,
            Self::Executors { .. } | Self::Labels { .. } | Self::Mode { .. } => false,
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        match self {
            Self::Executors { from, to } => write!(f, "executors {from} -> {to}"),
            Self::Labels { removed, added } => write!(f, "labels -[{}] +[{}]", list(removed), list(added)),
            Self::Mode { from, to } => write!(f, "mode {} -> {}", from.map_or("none", Mode::word), to.word()),
            Self::RemoteFs { from, to } => write!(f, "remote directory {from} -> {to}"),
            Self::Launcher { from, to } => write!(f, "launcher {} -> {}", from, to),
        }
    }
}

/// Returns what differs from the node as it should be at that stage; empty when nothing does.
pub fn diff(node: &Node, stage: Stage, seen: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    if i64::from(node.executors.get()) != seen.executors {
        changes.push(Change::Executors { from: seen.executors, to: node.executors });
    }
    let labels = node.labels_at(stage);
    if labels != seen.labels {
        let removed = seen.labels.difference(&labels).cloned().collect();
        let added = labels.difference(&seen.labels).cloned().collect();
        changes.push(Change::Labels { removed, added });
    }
    let mode = node.mode_at(stage);
    if seen.mode != Some(mode) {
        changes.push(Change::Mode { from: seen.mode, to: mode });
    }
    if node.remote_fs.as_str() != seen.remote_fs {
        changes.push(Change::RemoteFs { from: seen.remote_fs.clone(), to: node.remote_fs.clone() });
    }
    if !launches_alike(&node.launcher, &seen.launcher) {
        changes.push(Change::Launcher { from: Box::new(seen.launcher.clone()), to: Box::new(node.launcher.clone()) });
    } else if let Some(from) = in_use(&node.launcher, seen) {
        changes.push(Change::Launcher { from: Box::new(from), to: Box::new(node.launcher.clone()) });
    }
    changes
}

/// The launcher that an agent was launched with, where it is another than the wanted one, which is configured by now.
fn in_use(wanted: &Launcher, seen: &Config) -> Option<SeenLauncher> {
    let (Launcher::Ssh(ssh), Some(launched)) = (wanted, &seen.launched) else { return None };
    let Launched { host, port, credential } = launched.clone();
    if (ssh.host.as_str(), ssh.port.to_string(), ssh.credential.as_str()) == (host.as_str(), port.clone(), credential.as_str()) {
        return None;
    }
    Some(SeenLauncher::Ssh { host, port, credential, host_key: Some(ssh.host_key.clone()), java: None })
}

fn launches_alike(wanted: &Launcher, seen: &SeenLauncher) -> bool {
    match (wanted, seen) {
        (Launcher::Inbound, SeenLauncher::Inbound { is_websocket }) => *is_websocket,
        (Launcher::Ssh(ssh), SeenLauncher::Ssh { host, port, credential, host_key, java }) => {
            ssh.host == *host
                && ssh.port.to_string() == *port
                && ssh.credential.as_str() == credential
                && Some(&ssh.host_key) == host_key.as_ref()
                && ssh.java.as_ref().map(AbsPath::as_str) == java.as_deref()
        }
        (Launcher::Inbound | Launcher::Ssh(_), SeenLauncher::Inbound { .. } | SeenLauncher::Ssh { .. } | SeenLauncher::Other(_)) => false,
    }
}
