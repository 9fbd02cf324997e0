//! One permanent node of a Jenkins master: what it should be, what is seen of it, what differs, and the next step towards its labels.
//!
//! Only values are compared. Jenkins takes bad ones with a smile (a node with 0 executors answers 302 and can never be reached or
//! removed again through its address), so every value has a type that cannot hold what Jenkins would swallow.

mod diff;
mod seen;
mod standing;
mod value;
mod version;

pub use diff::{Change, diff};
pub use seen::{By, Config, Hold, Launched, Seen, SeenLauncher};
pub use standing::{NotOurs, standing};
use value::QUARANTINE;
pub use value::{CredentialId, ForeignOwner, HostKey, HostName, Name, Owner, Site, ValueError};
pub use version::{Version, outdated_java};

pub use super::Stage;
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

impl std::fmt::Display for Launcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ssh(ssh) => write!(f, "ssh {}:{} as {}, {}", ssh.host, ssh.port, ssh.credential, ssh.host_key.algorithm),
            Self::Inbound => f.write_str("inbound websocket"),
        }
    }
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

#[cfg(test)]
mod tests;
