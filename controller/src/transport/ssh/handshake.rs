//! From a stream to agreed keys and a checked host, each way to fail told apart.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::pin;
use tokio::time::timeout;

use super::host_key::{Checker, HandlerError};
use crate::transport::deadlines::Deadlines;
use crate::transport::error::ConnectFault;
use crate::transport::socket::{FirstBytes, RecordingStream};

/// What a node's own words hold while it lets nobody in but root: systemd writes them to /run/nologin (systemd-user-sessions(8)).
const NO_LOGIN: &str = "pam_nologin";

/// Why a connection ended, once it has; shared between russh's task and its users.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionEnd(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    reason: Option<String>,
    /// Its words, where it lets nobody in at this time.
    no_login: Option<String>,
}

impl ConnectionEnd {
    pub fn note(&self, reason: String) {
        self.known().reason.get_or_insert(reason);
    }

    /// Returns whether these words before the login say that nobody is let in at this time.
    pub fn note_no_login(&self, said: &str) -> bool {
        let is = said.contains(NO_LOGIN);
        if is {
            self.known().no_login = Some(short(said));
        }
        is
    }

    pub fn reason(&self) -> String {
        self.known().reason.clone().unwrap_or_else(|| "the connection ended".to_owned())
    }

    /// Returns why a login went no further: the node lets nobody in at this time, or nothing better is known than the cut itself.
    pub fn in_login(&self) -> ConnectFault {
        self.no_login().unwrap_or_else(|| ConnectFault::Cut { step: "login", reason: self.reason() })
    }

    /// Returns the fault of a node that lets nobody in at this time, if that is what it said.
    pub fn no_login(&self) -> Option<ConnectFault> {
        self.known().no_login.clone().map(|said| ConnectFault::NoLoginYet { said })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Agrees on keys over a stream from which nothing was read yet.
pub(super) async fn shake<S>(
    stream: S,
    config: Arc<client::Config>,
    checker: Checker,
    deadlines: &Deadlines,
) -> Result<Handle<Checker>, ConnectFault>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, first) = RecordingStream::new(stream);
    let connecting = client::connect_stream(config, stream, checker);
    pin!(connecting);
    let outcome = match timeout(deadlines.banner, &mut connecting).await {
        Ok(outcome) => outcome,
        Err(_) if first.identification().is_none() => return Err(without_banner(&first, deadlines.banner)),
        Err(_) => match timeout(deadlines.key_exchange, connecting).await {
            Ok(outcome) => outcome,
            Err(_) => return Err(ConnectFault::StepTimeout { step: "key exchange", seconds: deadlines.key_exchange.as_secs() }),
        },
    };
    outcome.map_err(|error| fault(error, &first))
}

fn without_banner(first: &FirstBytes, waited: Duration) -> ConnectFault {
    let said = first.text();
    if said.is_empty() { ConnectFault::BannerTimeout { seconds: waited.as_secs() } } else { ConnectFault::NotSsh { said: short(&said) } }
}

/// Sorts a failed handshake by what the server had said so far.
fn fault(error: HandlerError, first: &FirstBytes) -> ConnectFault {
    let error = match error {
        HandlerError::HostKey(fault) => return ConnectFault::HostKey(fault),
        HandlerError::Ssh(error) => error,
    };
    let said = first.text();
    match error {
        russh::Error::NoCommonAlgo { kind, ours, theirs } => {
            ConnectFault::NoCommonAlgorithm { kind: format!("{kind:?}"), ours, theirs, option: None }
        }
        _ if first.identification().is_some() => ConnectFault::Cut { step: "key exchange", reason: error.to_string() },
        // OpenSSH's words for MaxStartups; older ones and PerSourcePenalties just close.
        _ if said.is_empty() || said.starts_with("Exceeded MaxStartups") || said.starts_with("Not allowed at this time") => {
            ConnectFault::Dropped { attempts: 1, said: short(&said) }
        }
        _ => ConnectFault::NotSsh { said: short(&said) },
    }
}

/// The first words of a stranger.
fn short(said: &str) -> String {
    said.trim_end().chars().take(80).collect()
}
