//! One permanent node of a Jenkins master: what it should be, what is seen of it, what differs, and the next step towards its labels.
//!
//! Only values are compared. Jenkins takes bad ones with a smile (a node with 0 executors answers 302 and can never be reached or
//! removed again through its address), so every value has a type that cannot hold what Jenkins would swallow.

mod value;

use value::QUARANTINE;
pub use value::{CredentialId, HostKey, HostName, Name, Owner, Site, Stranger, ValueError};

pub use super::buildbot::{Proof, Stage};
use crate::executor::{Executor, Jobs, Launch};
use crate::words::{AbsPath, Label};
use std::collections::BTreeSet;
use std::num::{NonZeroU16, NonZeroU32};

/// Which jobs a node takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only jobs that ask for one of its labels: `EXCLUSIVE`.
    Labelled,
    /// Any job: `NORMAL`.
    Any,
}

impl Mode {
    /// Jenkins' word. Any other word is dropped by config.xml without a sound.
    pub fn word(self) -> &'static str {
        match self {
            Self::Labelled => "EXCLUSIVE",
            Self::Any => "NORMAL",
        }
    }
}

/// How the master logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The address, as the master sees it.
    pub host: String,
    /// The port.
    pub port: NonZeroU16,
    /// The credential.
    pub credential: CredentialId,
    /// The only key that the master may accept.
    pub host_key: HostKey,
    /// Java on the node; none lets the plugin look for it.
    pub java: Option<AbsPath>,
}

/// How master and node meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launcher {
    /// The master logs in.
    Ssh(Ssh),
    /// The node calls, over a WebSocket.
    Inbound,
}

/// A node as it should be once it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Name.
    pub name: Name,
    /// Executors: never 0, which would make an orphan.
    pub executors: NonZeroU32,
    /// Labels.
    pub labels: BTreeSet<Label>,
    /// Which jobs it takes.
    pub mode: Mode,
    /// The jobs' directory: absolute, which Jenkins does not check.
    pub remote_fs: AbsPath,
    /// How they meet.
    pub launcher: Launcher,
    /// Whose it is.
    pub site: Site,
}

impl Node {
    /// The labels of a stage.
    pub fn labels_at(&self, stage: Stage) -> BTreeSet<String> {
        match stage {
            Stage::Quarantined => BTreeSet::from([self.name.quarantine()]),
            Stage::Labelled => self.labels.iter().map(|label| label.as_str().to_owned()).collect(),
        }
    }

    /// The mode of a stage: in quarantine no job comes that does not ask for it.
    pub fn mode_at(&self, stage: Stage) -> Mode {
        match stage {
            Stage::Quarantined => Mode::Labelled,
            Stage::Labelled => self.mode,
        }
    }
}

/// Where the master finds a node's sshd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The address, as the master sees it.
    pub host: HostName,
    /// The port.
    pub port: NonZeroU16,
    /// Its host key.
    pub host_key: HostKey,
    /// Java on the node.
    pub java: Option<AbsPath>,
}

/// Why an executor cannot become a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A value that Jenkins would refuse or swallow.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// Jenkins must know who calls whom.
    #[error("executor `{0}` of a Jenkins master has no `launch`: ssh or inbound")]
    NoLaunch(Name),
    /// SSH to an unknown place.
    #[error("executor `{0}` is launched over SSH, but the address or the host key of its node is not known")]
    NoReach(Name),
    /// Labels of quarantine are ours.
    #[error("label `{1}` of executor `{0}` begins with `{QUARANTINE}`, which marks nodes that have not been proved")]
    Reserved(Name, Label),
}

impl Node {
    /// The node that an executor becomes; `reach` is needed where the master logs in.
    ///
    /// # Errors
    /// Before anything is sent, whatever Jenkins would refuse or, worse, swallow.
    pub fn of(executor: &Executor, site: &Site, reach: Option<&Reach>) -> Result<Self, NodeError> {
        let name = Name::parse(executor.name.as_str())?;
        if let Some(label) = executor.labels.iter().find(|label| label.as_str().starts_with(QUARANTINE)) {
            return Err(NodeError::Reserved(name, label.clone()));
        }
        let launcher = match (&executor.launch, reach) {
            (None, _) => return Err(NodeError::NoLaunch(name)),
            (Some(Launch::Inbound), _) => Launcher::Inbound,
            (Some(Launch::Ssh { .. }), None) => return Err(NodeError::NoReach(name)),
            (Some(Launch::Ssh { credential }), Some(reach)) => Launcher::Ssh(Ssh {
                host: reach.host.as_str().to_owned(),
                port: reach.port,
                credential: CredentialId::parse(credential)?,
                host_key: reach.host_key.clone(),
                java: reach.java.clone(),
            }),
        };
        let mode = match executor.jobs {
            Jobs::Labelled => Mode::Labelled,
            Jobs::Any => Mode::Any,
        };
        let (executors, labels) = (executor.count, executor.labels.clone());
        Ok(Self { name, executors, labels, mode, remote_fs: executor.remote_fs.clone(), launcher, site: site.clone() })
    }
}

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
}

/// An offline mark: an operator's, or our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
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
        self.reason.starts_with(Self::OURS)
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.reason.is_empty() { f.write_str("marked offline") } else { write!(f, "marked offline: {}", self.reason) }
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
    Foreign(Stranger),
    /// A node of ours.
    Ours {
        /// Its configuration.
        config: Box<Config>,
        /// Whether its agent is connected, the offline mark left aside.
        is_connected: bool,
        /// The offline mark.
        hold: Option<Hold>,
    },
}

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
            Self::Launcher { from, to } => write!(f, "launcher {} -> {}", Seen::describe(from), describe(to)),
        }
    }
}

impl Seen {
    fn describe(launcher: &SeenLauncher) -> String {
        match launcher {
            SeenLauncher::Ssh { host, port, credential, host_key, .. } => {
                let key = host_key.as_ref().map_or("no pinned key", |key| key.algorithm.as_str());
                format!("ssh {host}:{port} as {credential}, {key}")
            }
            SeenLauncher::Inbound { is_websocket: true } => "inbound websocket".to_owned(),
            SeenLauncher::Inbound { is_websocket: false } => "inbound tcp".to_owned(),
            SeenLauncher::Other(class) if class.is_empty() => "none".to_owned(),
            SeenLauncher::Other(class) => class.clone(),
        }
    }
}

fn describe(launcher: &Launcher) -> String {
    match launcher {
        Launcher::Ssh(ssh) => format!("ssh {}:{} as {}, {}", ssh.host, ssh.port, ssh.credential, ssh.host_key.algorithm),
        Launcher::Inbound => "inbound websocket".to_owned(),
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
    }
    changes
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

/// Why a name is not ours to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// Somebody else's node.
    #[error("node `{0}` on this Jenkins {1}")]
    Foreign(Name, Stranger),
    /// A node without address.
    #[error("node name `{0}` is taken by an orphan (a node with 0 executors); only Jenkins' own CLI can remove it: `delete-node {0}`")]
    Orphan(Name),
}

/// The next step for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is to be made, in quarantine.
    Create,
    /// Its values are to be set for this stage.
    Update(Stage, Vec<Change>),
    /// Its agent is to connect.
    Connect,
    /// It is connected and quarantined: the smoke job is to run on it.
    Smoke,
    /// It is quarantined and marked offline: no job can prove it.
    Held(Hold),
    /// It is as it should be: labelled, or kept in quarantine after a red smoke job.
    Settled(Stage),
}

/// Returns the next step from what is seen; total, so a run that was cut anywhere goes on from here.
///
/// # Errors
/// When the name is not ours.
pub fn next(node: &Node, seen: &Seen, proof: Proof) -> Result<Next, NotOurs> {
    let (config, is_connected, hold) = match seen {
        Seen::Absent => return Ok(Next::Create),
        Seen::Orphan => return Err(NotOurs::Orphan(node.name.clone())),
        Seen::Foreign(stranger) => return Err(NotOurs::Foreign(node.name.clone(), stranger.clone())),
        Seen::Ours { config, is_connected, hold } => (config, *is_connected, hold),
    };
    let quarantined = diff(node, Stage::Quarantined, config);
    let labelled = diff(node, Stage::Labelled, config);
    Ok(match proof {
        Proof::Standing if labelled.is_empty() && !is_connected && hold.is_none() => Next::Connect,
        Proof::Standing | Proof::Green if labelled.is_empty() => Next::Settled(Stage::Labelled),
        Proof::Green => Next::Update(Stage::Labelled, labelled),
        Proof::Red if quarantined.is_empty() => Next::Settled(Stage::Quarantined),
        Proof::Standing | Proof::Wanted if quarantined.is_empty() => match hold {
            Some(hold) => Next::Held(hold.clone()),
            None if is_connected => Next::Smoke,
            None => Next::Connect,
        },
        Proof::Standing | Proof::Wanted | Proof::Red => Next::Update(Stage::Quarantined, quarantined),
    })
}

#[cfg(test)]
mod tests;
