//! Whom to connect to and what the site says of it; what surrounds the process.

use std::path::PathBuf;

use crate::environment::{Environment, Variables};

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
        let uid = rustix::process::getuid().as_raw();
        let account = std::fs::read_to_string("/etc/passwd").ok().and_then(|accounts| account(&accounts, uid));
        let (user, home) = match account {
            Some((user, home)) => (user, home),
            // An account from a directory service: what the environment says of it.
            None => (environment.user.clone(), environment.home.clone().unwrap_or_else(|| PathBuf::from("/"))),
        };
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { home, user, agent: environment.ssh_auth_sock.clone(), machine, variables: environment.variables.clone() }
    }
}

/// Finds an account's name and home (passwd(5)).
fn account(accounts: &str, uid: u32) -> Option<(String, PathBuf)> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then_some(())?;
        let home = fields.nth(2).filter(|home| home.starts_with('/'))?;
        Some((name.to_owned(), PathBuf::from(home)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\nbad line\nann:x:1000:1000:Ann,,,:/home/ann:/bin/zsh\n";
        assert_eq!(account(accounts, 1000), Some(("ann".into(), "/home/ann".into())));
        assert_eq!(account(accounts, 1001), None);
    }
}
