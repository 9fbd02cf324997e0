//! The link over SSH, by russh: dial, agree on keys, check the host, log in, run a command.

mod authenticate;
mod bastion;
mod channel;
mod connection;
mod handshake;
mod host_key;
mod identity;

pub use connection::SshLink;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::config::{ConfigError, HostConfig, LocalUser, NewKeys, Resolver, Target};
use super::deadlines::Deadlines;
use super::dial::Dialer;
use super::error::ConnectError;
use super::event::{LinkEvent, Listener};
use super::invocation::Invocation;
use super::known_hosts::KnownHostsFiles;
use bastion::Bastions;
use identity::{KeyFiles, LastUsedKey};

/// How a run reaches its nodes.
#[derive(Clone)]
pub struct SshOptions {
    /// What surrounds the process.
    pub local_user: LocalUser,
    /// A file in place of the user's and the machine's ssh configuration.
    pub config_file: Option<PathBuf>,
    /// Where answers about the configuration are kept for other runs; none: nowhere.
    pub config_memory: Option<PathBuf>,
    /// Whether new host keys are accepted, whatever the configuration says.
    pub new_keys: NewKeys,
    /// Where TCP streams come from.
    pub dialer: Dialer,
    /// The deadlines.
    pub deadlines: Deadlines,
    /// How many handshakes may be under way at once.
    pub handshakes: usize,
    /// Takes events.
    pub listener: Listener,
}

impl SshOptions {
    /// Handshakes under way at once: enough to hide the network, few enough not to run into `MaxStartups` behind a bastion.
    pub const HANDSHAKES: usize = 32;

    /// Makes options with every default, telling events to nobody.
    pub fn new(local_user: LocalUser) -> Self {
        Self {
            local_user,
            config_file: None,
            config_memory: None,
            new_keys: NewKeys::Refuse,
            dialer: Dialer::Direct,
            deadlines: Deadlines::default(),
            handshakes: Self::HANDSHAKES,
            listener: Arc::new(|_, _| {}),
        }
    }
}

impl std::fmt::Debug for SshOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshOptions").field("config_file", &self.config_file).field("new_keys", &self.new_keys).finish_non_exhaustive()
    }
}

/// Opens links. One for a run: it shares bastions, remembers which key was taken, and limits handshakes.
#[derive(Debug)]
pub struct Ssh {
    resolver: Resolver,
    new_keys: NewKeys,
    dialer: Dialer,
    deadlines: Deadlines,
    handshakes: Semaphore,
    listener: Telling,
    bastions: Bastions,
    known_hosts: Arc<KnownHostsFiles>,
    key_files: Arc<KeyFiles>,
    favourite: LastUsedKey,
}

/// A listener that can be shown.
#[derive(Clone)]
struct Telling(Listener);

impl std::fmt::Debug for Telling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

impl Ssh {
    /// Makes an opener of links.
    pub fn new(options: SshOptions) -> Self {
        let resolver = Resolver::new(options.local_user, options.config_file);
        Self {
            resolver: options.config_memory.into_iter().fold(resolver, Resolver::remembering),
            new_keys: options.new_keys,
            dialer: options.dialer,
            deadlines: options.deadlines,
            handshakes: Semaphore::new(options.handshakes.max(1)),
            listener: Telling(options.listener),
            bastions: Bastions::default(),
            known_hosts: Arc::default(),
            key_files: Arc::default(),
            favourite: LastUsedKey::default(),
        }
    }

    /// Asks another program than `ssh` for the user's configuration.
    #[must_use]
    pub fn asking(mut self, program: impl Into<PathBuf>) -> Self {
        self.resolver = self.resolver.asking(program);
        self
    }

    /// Opens a link to a target, logged in.
    ///
    /// # Errors
    /// [`ConnectError`], each fault told apart, with its next step.
    pub async fn connect(&self, target: &Target) -> Result<SshLink, ConnectError> {
        let failed =
            |error: ConfigError| ConnectError { host: target.host.clone(), fault: error.into(), invocation: self.invocation(target) };
        self.check_way(target).await.map_err(failed)?;
        let connection = self.open(target).await?;
        Ok(SshLink::new(connection, self.deadlines.clone(), target.clone(), self.listener.clone()))
    }

    /// Returns how OpenSSH's own programs go the same way.
    fn invocation(&self, target: &Target) -> Invocation {
        Invocation::of(target, self.resolver.file())
    }

    /// Returns what the user's configuration and the site say of a target: the login user among it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub async fn configuration(&self, target: &Target) -> Result<Arc<HostConfig>, ConfigError> {
        self.resolver.resolve(target, &self.deadlines).await
    }

    /// Returns the answers about the user's configuration, which it shares with this opener.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    fn tell(&self, target: &Target, event: LinkEvent) {
        (self.listener.0)(target, event);
    }
}
