//! Why a node could not be reached, told apart, each with its next step.

use std::net::SocketAddr;

use super::config::{AddressFamily, ConfigError};
use super::files::FileWorkError;
use super::invocation::Invocation;
use super::known_hosts::{AppendError, CertificateFault};
use super::login::{self, Tried};

/// A node that could not be reached. Its text says all there is: no fault below has a source of its own.
#[derive(Debug, thiserror::Error)]
#[error("connect to {host}: {fault}")]
pub struct ConnectError {
    /// The host, with its port when that is not 22.
    pub host: String,
    /// Why.
    pub fault: ConnectFault,
    /// How OpenSSH's programs go the same way.
    pub invocation: Invocation,
}

impl ConnectError {
    /// Returns the next step for the user.
    pub fn hint(&self) -> String {
        self.fault.hint(&self.invocation)
    }

    /// Returns whether a node that was there a moment ago may be there again a moment later: not when it says who it is, or who we are not.
    pub fn may_pass(&self) -> bool {
        self.fault.may_pass()
            || matches!(self.fault, ConnectFault::Dropped { .. } | ConnectFault::Cut { .. } | ConnectFault::StepTimeout { .. })
            || matches!(self.fault, ConnectFault::Jump(_) | ConnectFault::JumpRefused { .. } | ConnectFault::NameNotFound { .. })
    }
}

/// Why a connection did not come to stand.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFault {
    /// The user's configuration cannot be honoured.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No such name.
    #[error("name {name} not found: {reason}")]
    NameNotFound {
        /// The name.
        name: String,
        /// The resolver's words.
        reason: String,
    },
    /// The name has no address of the wanted family.
    #[error("{name} has no address of family {family}")]
    NoAddress {
        /// The name.
        name: String,
        /// The family.
        family: AddressFamily,
    },
    /// The resolver is silent.
    #[error("no answer about the name {name} within {seconds} s")]
    ResolveTimeout {
        /// The name.
        name: String,
        /// The deadline.
        seconds: u64,
    },
    /// The user's own files cannot be read in time.
    #[error("the key files and known_hosts of this machine could not be read within {seconds} s")]
    FilesTimeout {
        /// The deadline.
        seconds: u64,
    },
    /// They cannot be read for want of a thread, or by a fault of ours.
    #[error("the key files and known_hosts of this machine could not be read")]
    FilesUndone(#[source] FileWorkError),
    /// Nothing listens there.
    #[error("connection refused by {address}")]
    Refused {
        /// The address.
        address: SocketAddr,
    },
    /// No way there.
    #[error("no route to {address}: {reason}")]
    NoRoute {
        /// The address.
        address: SocketAddr,
        /// The kernel's words.
        reason: String,
    },
    /// Nothing answers there.
    #[error("no answer from {address} within {seconds} s")]
    DialTimeout {
        /// The address.
        address: SocketAddr,
        /// The deadline.
        seconds: u64,
    },
    /// Another fault of the TCP connection.
    #[error("open a connection to {address}: {reason}")]
    Dial {
        /// The address.
        address: SocketAddr,
        /// The kernel's words.
        reason: String,
    },
    /// Connected, and then silence.
    #[error("connected, but no SSH banner came within {seconds} s")]
    BannerTimeout {
        /// The deadline.
        seconds: u64,
    },
    /// Something else than SSH answers.
    #[error("what answers is not an SSH server; it said: {said:?}")]
    NotSsh {
        /// Its first words.
        said: String,
    },
    /// The server drops connections before its banner.
    #[error("the server dropped {attempts} connections before its banner{}", with_words(.said))]
    Dropped {
        /// How many.
        attempts: u32,
        /// Its words, when it had any.
        said: String,
    },
    /// The node starts or stops, and lets nobody in but root.
    #[error("the node lets nobody in at this time; it said: {said:?}")]
    NoLoginYet {
        /// Its words.
        said: String,
    },
    /// The two sides share no algorithm.
    #[error("no common {kind}: we know {}, the server {}", ours.join(" "), theirs.join(" "))]
    NoCommonAlgorithm {
        /// Of what.
        kind: String,
        /// Ours.
        ours: Vec<String>,
        /// Theirs.
        theirs: Vec<String>,
        /// The user's own option that leaves so little of ours, where it is one.
        option: Option<&'static str>,
    },
    /// The server sent what SSH does not allow there, or ended.
    #[error("cut during {step}: {reason}")]
    Cut {
        /// What we were doing.
        step: &'static str,
        /// What is known.
        reason: String,
    },
    /// The server stopped answering.
    #[error("no answer during {step} within {seconds} s")]
    StepTimeout {
        /// What we were doing.
        step: &'static str,
        /// The deadline.
        seconds: u64,
    },
    /// Its key does not tell us who it is.
    #[error(transparent)]
    HostKey(#[from] HostKeyFault),
    /// It does not let us in.
    #[error("{user} is not let in: {}; the server accepts: {}", tried_words(.tried), or_none(.accepts))]
    NotLetIn {
        /// As whom.
        user: String,
        /// What was tried.
        tried: Vec<Tried>,
        /// What the server says it accepts.
        accepts: Vec<String>,
    },
    /// The bastion could not be reached.
    #[error("its bastion: {0}")]
    Jump(std::sync::Arc<ConnectError>),
    /// The bastion could not reach the node.
    #[error("bastion {bastion} cannot reach it: {reason}")]
    JumpRefused {
        /// The bastion.
        bastion: String,
        /// Its words.
        reason: String,
    },
}

/// Why a host's key is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum HostKeyFault {
    /// Nothing is recorded.
    #[error("the host key is unknown: {fingerprint} ({key_type}); looked in {}", files.join(", "))]
    Unknown {
        /// The key shown.
        fingerprint: String,
        /// Its type.
        key_type: String,
        /// Where we looked.
        files: Vec<String>,
    },
    /// Something else is recorded.
    #[error("THE HOST KEY HAS CHANGED: it shows {fingerprint} ({key_type}), recorded is {}", recorded.join(", "))]
    Changed {
        /// The key shown.
        fingerprint: String,
        /// Its type.
        key_type: String,
        /// `file:line (type)` of what is recorded.
        recorded: Vec<String>,
        /// Commands that take it out of the files.
        remove: Vec<String>,
    },
    /// It is recorded as revoked.
    #[error("the host key {fingerprint} is revoked by {by}")]
    Revoked {
        /// The key shown.
        fingerprint: String,
        /// `file:line`.
        by: String,
    },
    /// Its certificate does not hold.
    #[error("the host certificate signed by the authority of {authority} does not hold: {fault}")]
    Certificate {
        /// `file:line` of the authority.
        authority: String,
        /// Why.
        fault: CertificateFault,
    },
    /// Only a key of a type that we cannot verify is recorded.
    #[error("{record} records only a key of type {key_type}, which cannot be verified here")]
    Unverifiable {
        /// `file:line`.
        record: String,
        /// The type.
        key_type: String,
    },
    /// The newly accepted key could not be written down.
    #[error("the new host key could not be recorded: {0}")]
    NotRecorded(AppendError),
    /// A file that may speak of the host cannot be read.
    #[error("read {file}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

impl From<FileWorkError> for ConnectFault {
    fn from(undone: FileWorkError) -> Self {
        match undone {
            FileWorkError::Late { seconds } => Self::FilesTimeout { seconds },
            FileWorkError::NoThread { .. } | FileWorkError::BrokeOff => Self::FilesUndone(undone),
        }
    }
}

impl From<AppendError> for HostKeyFault {
    fn from(error: AppendError) -> Self {
        HostKeyFault::NotRecorded(error)
    }
}

fn with_words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said:?}") }
}

fn or_none(methods: &[String]) -> String {
    if methods.is_empty() { "nothing more".to_owned() } else { methods.join(", ") }
}

fn tried_words(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return "no key to try".to_owned();
    }
    tried.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl ConnectFault {
    /// Returns whether another try may help, as `ConnectionAttempts` means it.
    pub(super) fn may_pass(&self) -> bool {
        matches!(
            self,
            ConnectFault::Refused { .. }
                | ConnectFault::NoRoute { .. }
                | ConnectFault::DialTimeout { .. }
                | ConnectFault::Dial { .. }
                | ConnectFault::BannerTimeout { .. }
                | ConnectFault::ResolveTimeout { .. }
        )
    }

    fn hint(&self, call: &Invocation) -> String {
        match self {
            ConnectFault::Config(error) => error.hint(call),
            ConnectFault::NameNotFound { name, .. } => format!("check the name, or give an address as `host:`; try `getent hosts {name}`"),
            ConnectFault::NoAddress { .. } => "AddressFamily or `host:` excludes every address it has".to_owned(),
            ConnectFault::ResolveTimeout { .. } => "the name server does not answer: check /etc/resolv.conf".to_owned(),
            ConnectFault::FilesTimeout { .. } => {
                format!(
                    "is one of them on a file system that hangs? `{}` names them: identityfile, certificatefile, userknownhostsfile",
                    call.ssh(&["-G"], &[])
                )
            }
            ConnectFault::FilesUndone(FileWorkError::NoThread { .. }) => {
                "too much runs here: see `ulimit -u`, or run with fewer nodes at once (-f)".to_owned()
            }
            ConnectFault::FilesUndone(_) => "this is a fault of ostler: please tell us".to_owned(),
            ConnectFault::Refused { address } => format!("is sshd running there, on port {}?", address.port()),
            ConnectFault::NoRoute { .. } => "check the network, or whether a bastion (`jump:`) is needed".to_owned(),
            ConnectFault::DialTimeout { .. } => "is the node up? a firewall that drops packets looks the same".to_owned(),
            ConnectFault::Dial { .. } => call.ssh(&["-v"], &["true"]),
            ConnectFault::BannerTimeout { .. } => {
                "something accepts connections and says nothing: a hung sshd, or a proxy without its server".to_owned()
            }
            ConnectFault::NotSsh { .. } => "another service listens there: check the port".to_owned(),
            ConnectFault::Dropped { .. } => "raise MaxStartups in its sshd_config, or run with fewer nodes at once (-f)".to_owned(),
            ConnectFault::NoCommonAlgorithm { option: Some(option), .. } => {
                format!("your own {option} leaves nothing that this server has: change it for this host in {}", call.configuration())
            }
            ConnectFault::NoCommonAlgorithm { option: None, .. } => {
                "the server's sshd is very old or restricted; RSA and DSA host keys are not verified here".to_owned()
            }
            ConnectFault::NoLoginYet { .. } => {
                "it is starting or stopping (see pam_nologin(8)): wait until it is up; on its console: `systemctl is-system-running`"
                    .to_owned()
            }
            ConnectFault::Cut { .. } | ConnectFault::StepTimeout { .. } => {
                format!("look at sshd's log there (journalctl -u ssh), and at: {}", call.ssh(&["-v"], &["true"]))
            }
            ConnectFault::HostKey(fault) => fault.hint(call),
            ConnectFault::NotLetIn { user, tried, accepts } => login::hint(user, tried, accepts, call),
            ConnectFault::Jump(inner) => inner.hint(),
            ConnectFault::JumpRefused { .. } => {
                format!("does the bastion allow forwarding (AllowTcpForwarding, PermitOpen)? {}", call.ssh(&["-v"], &["true"]))
            }
        }
    }
}

impl HostKeyFault {
    fn hint(&self, call: &Invocation) -> String {
        match self {
            HostKeyFault::Unknown { .. } => {
                "compare the fingerprint with the node's console, then accept new keys with --accept-new".to_owned()
            }
            HostKeyFault::Changed { remove, .. } => {
                format!("if the node was rebuilt: `{}`, then --accept-new; if not, somebody may be in between", remove.join("; "))
            }
            HostKeyFault::Revoked { .. } => "this key must not be used: give the node a new host key".to_owned(),
            HostKeyFault::Certificate { fault: CertificateFault::Authority(_), .. } => {
                format!("record its own key beside the authority's: `{}`, compared with the node's console", call.keyscan("ed25519"))
            }
            HostKeyFault::Certificate { .. } => "have the host certificate signed again for this name".to_owned(),
            HostKeyFault::Unverifiable { .. } => {
                format!("record its ed25519 key beside it: `{}`, compared with the node's console", call.keyscan("ed25519"))
            }
            HostKeyFault::NotRecorded(AppendError::Locked { file, .. }) => format!("`fuser -v {}` names the program", file.display()),
            HostKeyFault::NotRecorded(AppendError::Io { .. }) => "make the known_hosts file writable, or record the key by hand".to_owned(),
            HostKeyFault::NotRecorded(AppendError::Raced { .. }) => {
                "another run has just recorded it: compare both with the node's console, then run again".to_owned()
            }
            HostKeyFault::NotRecorded(AppendError::NoFile) => {
                "name a file with `known_hosts:`, or record the key in the machine's own known_hosts".to_owned()
            }
            HostKeyFault::NotRecorded(AppendError::Name { .. }) => {
                "give the node's `host:` or HostKeyAlias the name of one host".to_owned()
            }
            HostKeyFault::NotRecorded(AppendError::Unwritable) => {
                format!("record its key by hand: `{}`, compared with the node's console", call.keyscan("ed25519"))
            }
            HostKeyFault::Unreadable { .. } => "make it readable, or name another with `known_hosts:`".to_owned(),
        }
    }
}

impl ConfigError {
    /// Returns the next step for the user.
    fn hint(&self, call: &Invocation) -> String {
        let file = call.configuration();
        match self {
            ConfigError::NeedsClient { .. } => "apt-get install openssh-client, or name another file".to_owned(),
            ConfigError::Refused { name, .. } | ConfigError::BadValue { name, .. } | ConfigError::Token { name, .. } => {
                format!("set {name} otherwise for this host in {file}; `{}` shows what is in force", call.ssh(&["-G"], &[]))
            }
            ConfigError::Variable { variable, .. } => format!("export {variable}, or write a path in its place in {file}"),
            ConfigError::Algorithms(_) => "add one of ours to the list, or leave it out for this host".to_owned(),
            ConfigError::JumpCircle { way } => {
                let bastion = way.split(" -> ").next().unwrap_or_default();
                format!("does a `Host` pattern with ProxyJump fit the bastion too? put `Host {bastion}` with `ProxyJump none` above it")
            }
            ConfigError::Jump(_) | ConfigError::TooManyJumps { .. } => "check ProxyJump, or name the bastion with `jump:`".to_owned(),
            ConfigError::BadHost(_) => "check `host:`".to_owned(),
            ConfigError::Query { .. } | ConfigError::Unreadable { .. } => call.ssh(&["-G"], &[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_that_cannot_be_written_is_to_be_made_writable() {
        let file = || std::path::PathBuf::from("/known_hosts");
        let faults = [
            (AppendError::Io { file: file(), reason: "full".to_owned() }, true),
            (AppendError::Raced { file: file() }, false),
            (AppendError::NoFile, false),
            (AppendError::Locked { file: file(), seconds: 5 }, false),
            (AppendError::Name { name: "a,b".to_owned() }, false),
            (AppendError::Unwritable, false),
        ];
        for (fault, is_file) in faults {
            let hint = HostKeyFault::NotRecorded(fault).hint(&Invocation::default());
            assert_eq!(hint.contains("writable"), is_file, "{hint}");
        }
    }
}
