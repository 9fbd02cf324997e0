//! From a host's name to an open TCP stream: by ourselves, or through a source that opens it elsewhere (the lab).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::config::AddressFamily;
use super::deadlines::Deadlines;
use super::error::ConnectFault;
use super::link::BoxFuture;

/// Opens a TCP stream to an address somewhere else than in our own network.
pub type Source = Arc<dyn Fn(SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> + Send + Sync>;

/// Where TCP streams come from.
#[derive(Clone, Default)]
pub enum Dialer {
    /// Our own network.
    #[default]
    Direct,
    /// A source that hands back a stream opened elsewhere, such as inside the lab.
    Through(Source),
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialer::Direct => "Direct",
            Dialer::Through(_) => "Through",
        })
    }
}

/// Where to, and by which way out.
#[derive(Debug, Clone)]
pub struct DialTarget<'a> {
    /// A name or a literal address.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// Which kinds of address to try.
    pub family: AddressFamily,
    /// The local address to leave from.
    pub bind: Option<IpAddr>,
}

impl Dialer {
    /// Opens a stream, trying the host's addresses one after the other. Fails with the first address's fault.
    pub(super) async fn dial(&self, goal: &DialTarget<'_>, deadlines: &Deadlines) -> Result<TcpStream, ConnectFault> {
        let mut first_fault = None;
        for address in resolve(goal, deadlines).await? {
            match timeout(deadlines.dial, self.open(address, goal.bind)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => first_fault.get_or_insert(fault_of(address, error, deadlines)),
                Err(_) => first_fault.get_or_insert(ConnectFault::DialTimeout { address, seconds: deadlines.dial.as_secs() }),
            };
        }
        Err(first_fault.unwrap_or_else(|| ConnectFault::NoAddress { name: goal.host.to_owned(), family: goal.family }))
    }

    async fn open(&self, address: SocketAddr, bind: Option<IpAddr>) -> io::Result<TcpStream> {
        match self {
            Dialer::Through(source) => source(address).await,
            Dialer::Direct => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                if let Some(local) = bind {
                    socket.bind(SocketAddr::new(local, 0))?;
                }
                socket.connect(address).await
            }
        }
    }
}

/// Returns the addresses to try, in the resolver's order.
async fn resolve(goal: &DialTarget<'_>, deadlines: &Deadlines) -> Result<Vec<SocketAddr>, ConnectFault> {
    let wanted = |address: &IpAddr| match goal.family {
        AddressFamily::Any => true,
        AddressFamily::Inet => address.is_ipv4(),
        AddressFamily::Inet6 => address.is_ipv6(),
    };
    let bare = goal.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(goal.host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(Some(address).filter(wanted).map(|ip| SocketAddr::new(ip, goal.port)).into_iter().collect());
    }
    match timeout(deadlines.resolve, tokio::net::lookup_host((bare, goal.port))).await {
        Ok(Ok(found)) => Ok(found.filter(|address| wanted(&address.ip())).collect()),
        Ok(Err(error)) => Err(ConnectFault::NameNotFound { name: bare.to_owned(), reason: error.to_string() }),
        Err(_) => Err(ConnectFault::ResolveTimeout { name: bare.to_owned(), seconds: deadlines.resolve.as_secs() }),
    }
}

/// Sorts what the kernel says of a connection that did not open.
fn fault_of(address: SocketAddr, error: io::Error, deadlines: &Deadlines) -> ConnectFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFault::Refused { address },
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ConnectFault::NoRoute { address, reason: error.to_string() },
        io::ErrorKind::TimedOut => ConnectFault::DialTimeout { address, seconds: deadlines.dial.as_secs() },
        _ => ConnectFault::Dial { address, reason: error.to_string() },
    }
}
