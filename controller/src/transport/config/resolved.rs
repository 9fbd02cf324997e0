//! The answer of the configuration about one host, in types.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::algorithms::{Algorithms, NothingLeft};
use super::jump::BadJump;
use super::settings::{Jump, Target};

/// Everything the connection needs to know of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// What was asked for.
    pub target: Target,
    /// The name or address to go to.
    pub hostname: String,
    /// The port.
    pub port: u16,
    /// The login user.
    pub user: String,
    /// Kinds of addresses.
    pub address_family: AddressFamily,
    /// The local address to leave from.
    pub bind_address: Option<IpAddr>,
    /// Key files, in order.
    pub identities: Vec<PathBuf>,
    /// Further certificate files.
    pub certificates: Vec<PathBuf>,
    /// Whether the agent's other keys stay unused.
    pub identities_only: bool,
    /// ssh-agent.
    pub agent: AgentSocket,
    /// The user's files of known hosts; new keys go to the first.
    pub user_known_hosts: Vec<PathBuf>,
    /// The machine's.
    pub global_known_hosts: Vec<PathBuf>,
    /// The name under which its key is recorded.
    pub host_key_alias: Option<String>,
    /// What to do with a new key.
    pub new_keys: NewKeys,
    /// Whether names are written down hashed.
    pub hash_known_hosts: bool,
    /// Algorithms.
    pub algorithms: Algorithms,
    /// `PubkeyAcceptedAlgorithms`; empty: all.
    pub key_types: Vec<String>,
    /// `ConnectTimeout`.
    pub connect_timeout: Option<Duration>,
    /// `ConnectionAttempts`.
    pub attempts: u32,
    /// `ServerAliveInterval`, when it is set.
    pub keepalive_interval: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub keepalive_count: usize,
    /// The way there.
    pub jump: Jump,
}

impl HostConfig {
    /// Returns `host` or `host:port`, for messages.
    pub fn shown(&self) -> String {
        if self.port == 22 { self.hostname.clone() } else { format!("{}:{}", self.hostname, self.port) }
    }
}

/// Kinds of addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// Both.
    #[default]
    Any,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressFamily::Any => "any",
            AddressFamily::Inet => "inet",
            AddressFamily::Inet6 => "inet6",
        })
    }
}

/// Where the agent listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentSocket {
    /// Nowhere, or not to be asked.
    None,
    /// There.
    At(PathBuf),
}

/// What to do with a host of which nothing is recorded. A changed or revoked key is refused in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NewKeys {
    /// Refuse it. `StrictHostKeyChecking` `yes`, `ask` (nobody is there to answer) and `no` all mean this here.
    #[default]
    Refuse,
    /// Accept it and write it down: `accept-new`.
    Accept,
}

/// Why the configuration cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// An option that we do not have.
    #[error("ssh option {name} {value}: {why}")]
    Refused {
        /// The option.
        name: String,
        /// Its value.
        value: String,
        /// Why it cannot be honoured.
        why: &'static str,
    },
    /// A value that cannot be read.
    #[error("ssh option {name}: `{value}` cannot be read")]
    BadValue {
        /// The option.
        name: String,
        /// Its value.
        value: String,
    },
    /// A `%` token that we do not have.
    #[error("ssh option {name}: the token {token} in `{value}` is not supported")]
    Token {
        /// The option.
        name: String,
        /// Its value.
        value: String,
        /// The token.
        token: String,
    },
    /// A variable of the environment that is not set.
    #[error("ssh option {name}: `{value}` names the variable {variable}, which is not set")]
    Variable {
        /// The option.
        name: String,
        /// Its value.
        value: String,
        /// The variable.
        variable: String,
    },
    /// A list of algorithms in which nothing is left.
    #[error(transparent)]
    Algorithms(#[from] NothingLeft),
    /// A jump that cannot be read.
    #[error("ssh option ProxyJump: {0}")]
    Jump(BadJump),
    /// A bastion lies behind itself.
    #[error("the bastions lead in a circle: {way}")]
    JumpCircle {
        /// Once around it: `a -> b -> a`.
        way: String,
    },
    /// More bastions than makes sense. A circle is told apart.
    #[error("more than {limit} bastions one behind the other")]
    TooManyJumps {
        /// The limit.
        limit: usize,
    },
    /// A host name that could be taken for an option.
    #[error("`{0}` is not a host name")]
    BadHost(String),
    /// The OpenSSH client says no.
    #[error("`ssh -G {host}`: {reason}")]
    Query {
        /// The host.
        host: String,
        /// Its words.
        reason: String,
    },
    /// There is no OpenSSH client, and the file needs one to be understood.
    #[error("{file}:{line}: `{word}` needs the OpenSSH client (`ssh -G`), which is not installed")]
    NeedsClient {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The word.
        word: String,
    },
    /// A configuration file cannot be read.
    #[error("read {file}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

impl From<BadJump> for ConfigError {
    fn from(error: BadJump) -> Self {
        ConfigError::Jump(error)
    }
}
