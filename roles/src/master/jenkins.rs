//! One permanent node of a Jenkins master: what it should be, what is seen of it, what differs, and the next step towards its labels.
//!
//! Only values are compared. Jenkins takes bad ones with a smile (a node with 0 executors answers 302 and can never be reached or
//! removed again through its address), so every value has a type that cannot hold what Jenkins would swallow.

use super::buildbot::{Proof, Stage};
use crate::words::{AbsPath, Label, NodeName};
use std::collections::BTreeSet;
use std::num::{NonZeroU16, NonZeroU32};

/// The beginning of what we write into a description to know our own again; the site's id follows.
const MARK: &str = "managed by ostler, site ";
/// The label of a node that has not been proved, without the node's name.
const QUARANTINE: &str = "ostler-quarantine-";

/// Why a value cannot be a node's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what} for Jenkins: {why}")]
pub struct ValueError {
    /// What was given, cut to a bounded length.
    pub text: String,
    /// What it was for.
    pub what: &'static str,
    /// The rule that it breaks.
    pub why: &'static str,
}

fn fault(text: &str, what: &'static str, why: &'static str) -> ValueError {
    ValueError { text: text.chars().take(80).collect(), what, why }
}

/// A node's name on Jenkins: a [`NodeName`] that Jenkins takes as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is no node name, ends with a dot (400 from Jenkins 2.532), or stands for the controller itself.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        const WHAT: &str = "node name";
        NodeName::parse(text).map_err(|error| fault(text, WHAT, error.why))?;
        if text.ends_with('.') {
            return Err(fault(text, WHAT, "it must not end with a dot"));
        }
        if matches!(text, "master" | "built-in") {
            return Err(fault(text, WHAT, "it is the label of the controller's own node"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The only label of the node before it is proved. Jobs of others do not ask for it.
    pub fn quarantine(&self) -> String {
        format!("{QUARANTINE}{}", self.0)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// The id of the site in marks, so that two sites on one master keep to their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(String);

impl Site {
    /// Reads a site's id.
    ///
    /// # Errors
    /// When it holds anything but letters, digits, `-`, `.` and `_`.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        NodeName::parse(text).map(|_| Self(text.to_owned())).map_err(|error| fault(text, "site id", error.why))
    }

    /// What stands in the description of everything that this site made.
    pub fn mark(&self) -> String {
        format!("{MARK}{}", self.0)
    }

    /// Who made a thing with this description. Other text around the mark is the operator's.
    pub fn owner(&self, description: &str) -> Owner {
        let Some((_, rest)) = description.split_once(MARK) else { return Owner::Nobody };
        let site: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')).collect();
        if site == self.0 { Owner::Us } else { Owner::OtherSite(site) }
    }
}

/// Who made a thing on the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This site.
    Us,
    /// Another site of ours; it is left alone.
    OtherSite(String),
    /// Somebody else; it is left alone.
    Nobody,
}

/// Id of a credential on the master: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(String);

impl CredentialId {
    /// Reads an id.
    ///
    /// # Errors
    /// When a letter of it has a meaning in an address.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let good = !text.is_empty() && text.len() <= 120 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let good = good && !text.starts_with('.');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(fault(text, "credential id", "letters, digits, `-`, `_`, `.`, first no dot, at most 120"))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for CredentialId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// An SSH host key: algorithm and base64, as in `known_hosts`. Text that is not one is a 500 from Jenkins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, ...
    pub algorithm: String,
    /// The key's blob in base64.
    pub base64: String,
}

impl HostKey {
    /// Reads `ALGORITHM BASE64`; a comment behind it is dropped.
    ///
    /// # Errors
    /// When it does not look like one.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let mut words = text.split_whitespace();
        let (algorithm, base64) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let known = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
        let plain = base64.starts_with("AAAA") && base64.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '='));
        if known.contains(&algorithm) && plain {
            Ok(Self { algorithm: algorithm.to_owned(), base64: base64.to_owned() })
        } else {
            Err(fault(text, "host key", "`ALGORITHM BASE64` with an algorithm that Jenkins' SSH library knows"))
        }
    }
}

impl std::fmt::Display for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.algorithm, self.base64)
    }
}

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
    Foreign {
        /// The other site of ours, if it is that.
        site: Option<String>,
    },
    /// A node of ours.
    Ours {
        /// Its configuration.
        config: Config,
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
        from: SeenLauncher,
        /// Wanted.
        to: Launcher,
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
        changes.push(Change::Launcher { from: seen.launcher.clone(), to: node.launcher.clone() });
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
    #[error("node `{0}` exists on this Jenkins and was not made by ostler; it is left alone")]
    Foreign(Name),
    /// Another site's node.
    #[error("node `{0}` on this Jenkins belongs to the site `{1}`; it is left alone")]
    OtherSite(Name, String),
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
        Seen::Foreign { site: None } => return Err(NotOurs::Foreign(node.name.clone())),
        Seen::Foreign { site: Some(site) } => return Err(NotOurs::OtherSite(node.name.clone(), site.clone())),
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
