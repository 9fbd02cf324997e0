//! Whom to connect to and what the site says of it; what surrounds the process.

use std::path::PathBuf;

use crate::environment::{Environment, Variables, own_account};

/// A host to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// A name of the user's ssh configuration, a DNS name or an address.
    pub host: String,
    /// What the site says of it; it wins over the ssh configuration.
    pub settings: HostSettings,
}

impl Target {
    /// Makes a target of which the site says nothing.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), settings: HostSettings::default() }
    }
}

/// The site's `ssh:` words that concern the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct HostSettings {
    /// The login user.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The key file; it alone is offered then, with its counterpart in the agent.
    pub identity: Option<PathBuf>,
    /// The file of known hosts, instead of the user's own; new keys go there.
    pub known_hosts: Option<PathBuf>,
    /// The way there.
    pub jump: Jump,
}

/// By which bastion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Jump {
    /// As the ssh configuration says.
    #[default]
    AsConfigured,
    /// By none.
    Direct,
    /// By this one, which may have its own.
    Via(Box<Target>),
}

/// What surrounds the process, asked once at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUser {
    /// The home directory.
    pub home: PathBuf,
    /// The local user.
    pub user: String,
    /// ssh-agent's socket.
    pub agent: Option<PathBuf>,
    /// This machine's name, as `%l` means it.
    pub machine: String,
    /// The variables of the environment that a path may name.
    pub variables: Variables,
}

impl LocalUser {
    /// Asks this process's environment.
    pub fn of_this_process() -> Self {
        Self::of(&Environment::read())
    }

    /// Takes what the environment says. `~` is where the accounts file says, as for OpenSSH, which does not read `HOME`.
    pub fn of(environment: &Environment) -> Self {
        let (user, home) = match own_account() {
            Some((user, Some(home))) => (user, home),
            // An account from a directory service: what the environment says of it.
            Some((_, None)) | None => (environment.user.clone(), environment.home.clone().unwrap_or_else(|| PathBuf::from("/"))),
        };
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { home, user, agent: environment.ssh_auth_sock.clone(), machine, variables: environment.variables.clone() }
    }
}
