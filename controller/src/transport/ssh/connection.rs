//! One connection to one host, and the link that runs commands over it.

use std::fmt;
use std::sync::Arc;

use russh::client::{self, Handle};
use russh::{ChannelOpenFailure, Disconnect};
use tokio::time::{Instant, timeout};

use super::channel::{self, NotStarted};
use super::handshake::{ConnectionEnd, shake};
use super::host_key::{BannerRoom, Checker, read_records};
use super::{Ssh, Telling};
use super::{authenticate, identity};
use crate::transport::config::{HostConfig, Jump, NewKeys, Target};
use crate::transport::deadlines::{Deadlines, backoff};
use crate::transport::dial::DialTarget;
use crate::transport::error::{ConnectError, ConnectFault};
use crate::transport::event::LinkEvent;
use crate::transport::files;
use crate::transport::known_hosts::Records;
use crate::transport::link::{BoxFuture, CommandLine, Exec, Link, LinkError, Login, Placed};
use crate::transport::socket::NoDelayStream;

/// A logged-in connection. It keeps the bastion's alive.
pub(super) struct Connection {
    pub handle: Handle<Checker>,
    pub host: String,
    pub user: String,
    pub lost: ConnectionEnd,
    login: Option<Login>,
    via: Option<Arc<Connection>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("host", &self.host).field("via", &self.via).finish_non_exhaustive()
    }
}

impl Connection {
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }
}

/// What is read beside the dialling.
struct Prepared {
    records: Records,
    identities: identity::Identities,
}

impl Ssh {
    /// Opens and logs in.
    pub(super) async fn open(&self, target: &Target) -> Result<Connection, ConnectError> {
        let config = match self.resolver.resolve(target, &self.deadlines).await {
            Ok(config) => config,
            Err(error) => {
                let invocation = self.invocation(target);
                return Err(ConnectError { host: target.host.clone(), fault: error.into(), invocation });
            }
        };
        let failed = |fault| ConnectError { host: config.shown(), fault, invocation: self.invocation(target).resolved(&config) };
        let via = match &config.jump {
            Jump::AsConfigured | Jump::Direct => None,
            Jump::Via(bastion) => Some(self.bastion(bastion).await.map_err(failed)?),
        };
        self.attempts(&config, via).await.map_err(failed)
    }

    /// `ConnectionAttempts` for what may pass; our own retries for a server that drops us before its banner, and for a node that starts.
    async fn attempts(&self, config: &HostConfig, via: Option<Arc<Connection>>) -> Result<Connection, ConnectFault> {
        let (mut attempt, mut drops, mut asked) = (1, 0, 0);
        let began = Instant::now();
        loop {
            let fault = match self.once(config, via.clone()).await {
                Ok(connection) => return Ok(connection),
                Err(fault) => fault,
            };
            match fault {
                ConnectFault::Dropped { said, .. } => {
                    drops += 1;
                    if drops > self.deadlines.drop_retries {
                        return Err(ConnectFault::Dropped { attempts: drops, said });
                    }
                    let pause = backoff(self.deadlines.drop_pause, drops);
                    let of = self.deadlines.drop_retries + 1;
                    self.tell(&config.target, LinkEvent::Dropped { host: config.target.host.clone(), attempt: drops, of, pause });
                    tokio::time::sleep(pause).await;
                }
                fault @ ConnectFault::NoLoginYet { .. } if began.elapsed() < self.deadlines.boot => {
                    asked += 1;
                    if asked == 1 {
                        self.tell(&config.target, LinkEvent::NoLoginYet { host: config.target.host.clone(), reason: fault.to_string() });
                    }
                    tokio::time::sleep(self.deadlines.boot_pause).await;
                }
                fault if fault.may_pass() && attempt < config.attempts => {
                    self.tell(&config.target, LinkEvent::Retried { host: config.target.host.clone(), attempt, reason: fault.to_string() });
                    attempt += 1;
                    tokio::time::sleep(self.deadlines.drop_pause).await;
                }
                fault => return Err(fault),
            }
        }
    }

    async fn once(&self, config: &HostConfig, via: Option<Arc<Connection>>) -> Result<Connection, ConnectFault> {
        let Ok(_permit) = self.handshakes.acquire().await else {
            return Err(ConnectFault::Cut { step: "waiting for a turn", reason: "the run is ending".to_owned() });
        };
        let deadlines = within(&self.deadlines, config);
        let lost = ConnectionEnd::default();
        // The files and the agent are read while the network works.
        let (handle, login) = match &via {
            None => {
                let goal =
                    DialTarget { host: &config.hostname, port: config.port, family: config.address_family, bind: config.bind_address };
                let (prepared, stream) = tokio::join!(self.prepare(config), self.dialer.dial(&goal, &deadlines));
                let (prepared, stream) = (prepared?, stream?);
                let peer = stream.peer_addr();
                let quick = NoDelayStream::new(stream, deadlines.silence()).map_err(|error| match peer {
                    Ok(address) => ConnectFault::Dial { address, reason: error.to_string() },
                    Err(_) => ConnectFault::Cut { step: "dialling", reason: error.to_string() },
                })?;
                self.enter(quick, config, prepared, &deadlines, &lost).await?
            }
            Some(bastion) => {
                let (prepared, channel) = tokio::join!(self.prepare(config), through(bastion, config, &deadlines));
                self.enter(channel?.into_stream(), config, prepared?, &deadlines, &lost).await?
            }
        };
        Ok(Connection { handle, host: config.shown(), user: config.user.clone(), lost, login, via })
    }

    async fn prepare(&self, config: &HostConfig) -> Result<Prepared, ConnectFault> {
        let (own, known_hosts, keys) = (config.clone(), Arc::clone(&self.known_hosts), Arc::clone(&self.key_files));
        let limit = self.deadlines.files;
        let reading =
            files::within(limit, move || read_records(&own, &known_hosts).map(|records| (records, identity::read_files(&own, &keys))));
        let (read, listed) = tokio::join!(reading, identity::list_agent(&config.agent));
        let (records, held) = read.map_err(ConnectFault::from)??;
        Ok(Prepared { records, identities: identity::collect(config, held, listed, &self.favourite) })
    }

    /// Shakes hands over a stream and logs in.
    async fn enter<S>(
        &self,
        stream: S,
        config: &HostConfig,
        prepared: Prepared,
        deadlines: &Deadlines,
        lost: &ConnectionEnd,
    ) -> Result<(Handle<Checker>, Option<Login>), ConnectFault>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let Prepared { records, identities } = prepared;
        let preferred = config
            .algorithms
            .preferred(&records.key_types(), records.has_authority())
            .map_err(|error| ConnectFault::Config(error.into()))?;
        let settings = client::Config {
            preferred,
            keepalive_interval: Some(deadlines.keepalive_interval),
            keepalive_max: deadlines.keepalive_count,
            nodelay: true,
            ..client::Config::default()
        };
        let checker = Checker {
            target: config.target.clone(),
            shown: config.shown(),
            records,
            new_keys: if self.new_keys == NewKeys::Accept { NewKeys::Accept } else { config.new_keys },
            own_file: config.user_known_hosts.first().cloned(),
            looked_in: config.user_known_hosts.iter().chain(&config.global_known_hosts).cloned().collect(),
            hash_names: config.hash_known_hosts,
            patience: deadlines.files,
            ca_signatures: config.algorithms.ca_signatures.clone(),
            lost: lost.clone(),
            listener: Arc::clone(&self.listener.0),
            banner_room: BannerRoom::default(),
        };
        let shaken = shake(stream, Arc::new(settings), checker, deadlines).await;
        let mut handle = shaken.map_err(|fault| match fault {
            ConnectFault::NoCommonAlgorithm { kind, ours, theirs, .. } => {
                let option = config.algorithms.written(&kind);
                ConnectFault::NoCommonAlgorithm { kind, ours, theirs, option }
            }
            other => other,
        })?;
        let login = authenticate::log_in(&mut handle, config, identities, &self.favourite, deadlines, lost).await?;
        Ok((handle, login))
    }
}

/// Opens a way through a bastion.
async fn through(bastion: &Connection, config: &HostConfig, deadlines: &Deadlines) -> Result<russh::Channel<client::Msg>, ConnectFault> {
    let opening = bastion.handle.channel_open_direct_tcpip(config.hostname.clone(), u32::from(config.port), "127.0.0.1", 0);
    let refused = |reason: String| ConnectFault::JumpRefused { bastion: bastion.host.clone(), reason };
    match timeout(deadlines.dial + deadlines.resolve, opening).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(russh::Error::ChannelOpenFailure(reason))) => Err(refused(refusal(&reason))),
        Ok(Err(_)) => Err(refused(bastion.lost.reason())),
        Err(_) => Err(refused(format!("no answer within {} s", (deadlines.dial + deadlines.resolve).as_secs()))),
    }
}

/// A server's reason not to open a channel, in words.
fn refusal(reason: &ChannelOpenFailure) -> String {
    format!("{reason:?}")
}

/// A session that is refused; for one too many sshd says no more than this.
fn session_refusal(reason: &ChannelOpenFailure) -> String {
    let hint = if matches!(reason, ChannelOpenFailure::ConnectFailed) { " (`MaxSessions` of its sshd_config?)" } else { "" };
    format!("{}{hint}", refusal(reason))
}

/// Pauses in milliseconds before a session that was refused is asked for again: sshd counts one that has just ended until it next looks around
/// (`channel_garbage_collect`), and with `MaxSessions 1` refuses the next.
const REOPEN: [u64; 5] = [20, 60, 180, 400, 800];

/// `ConnectTimeout` holds for the dialling and for the banner, as in OpenSSH; `ServerAliveInterval` and its count for keepalives. A count of
/// none, which means no limit to the library, is one.
fn within(deadlines: &Deadlines, config: &HostConfig) -> Deadlines {
    let mut own = deadlines.clone();
    if let Some(limit) = config.connect_timeout {
        own.dial = limit;
        own.banner = limit;
    }
    if let Some(interval) = config.keepalive_interval {
        own.keepalive_interval = interval;
        own.keepalive_count = config.keepalive_count.max(1);
    }
    own
}

/// A link over its own SSH connection.
#[derive(Debug)]
pub struct SshLink {
    connection: Connection,
    deadlines: Deadlines,
    target: Target,
    listener: Telling,
}

impl SshLink {
    pub(super) fn new(connection: Connection, deadlines: Deadlines, target: Target, listener: Telling) -> Self {
        Self { connection, deadlines, target, listener }
    }

    /// Returns the host, with its port when that is not 22.
    pub fn host(&self) -> &str {
        &self.connection.host
    }

    /// Returns the login user.
    pub fn user(&self) -> &str {
        &self.connection.user
    }

    async fn start(&self, command: &CommandLine) -> Result<Exec, LinkError> {
        let host = || self.connection.host.clone();
        let mut pauses = REOPEN.iter();
        let channel = loop {
            let opening = self.connection.handle.channel_open_session();
            match timeout(self.deadlines.open, opening).await {
                Ok(Ok(channel)) => break channel,
                Ok(Err(russh::Error::ChannelOpenFailure(reason))) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(std::time::Duration::from_millis(*pause)).await,
                    None => return Err(LinkError::OpenRefused { host: host(), reason: session_refusal(&reason) }),
                },
                Ok(Err(_)) => return Err(LinkError::Cut { host: host(), reason: self.connection.lost.reason() }),
                Err(_) => return Err(LinkError::OpenTimeout { host: host(), seconds: self.deadlines.open.as_secs() }),
            }
        };
        channel::run(channel, command, &self.connection.lost, &self.deadlines).await.map_err(|fault| match fault {
            NotStarted::Cut => LinkError::Cut { host: host(), reason: self.connection.lost.reason() },
            NotStarted::Stuck => LinkError::OpenTimeout { host: host(), seconds: self.deadlines.open.as_secs() },
        })
    }
}

impl Link for SshLink {
    fn exec<'a>(&'a self, command: &'a CommandLine) -> BoxFuture<'a, Result<Exec, LinkError>> {
        Box::pin(self.start(command))
    }

    fn tell(&self, Placed { there, of }: Placed) {
        let (host, there, of) = (self.target.host.clone(), there as u64, of as u64);
        (self.listener.0)(&self.target, LinkEvent::Placing { host, there, of });
    }

    fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    fn login(&self) -> Option<&Login> {
        self.connection.login.as_ref()
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(async {
            let goodbye = self.connection.handle.disconnect(Disconnect::ByApplication, "done", "");
            // A goodbye that cannot be said is no fault: the connection is gone then.
            let _ = timeout(self.deadlines.close, goodbye).await;
        })
    }
}
