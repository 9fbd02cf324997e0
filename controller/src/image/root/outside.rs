//! A root tree's only way out: its connections and questions for names arrive at sockets that were made inside; what they lead to is opened
//! here, in the machine's own network, and every byte that comes from there is counted. The machine's loopback is not outside.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::error::ImageError;
use super::names;
use crate::lab::child;
use crate::lab::gateway::tunnel;
use crate::lab::wire;

/// Connections at one time; the next ones wait in the socket.
const CONNECTIONS: usize = 64;
/// Questions at one time; who asks more asks again.
const QUESTIONS: usize = 32;
/// How long a connection may say nothing either way.
const SILENCE: Duration = Duration::from_secs(120);
/// How long a host outside may take to let us in.
const DIAL: Duration = Duration::from_secs(30);
/// How long a name server may take: resolvers ask again after 5 s (resolv.conf(5)).
const ANSWER: Duration = Duration::from_secs(4);
/// How long it rests where something is missing: a thread, a descriptor, room for one connection more.
const REST: Duration = Duration::from_millis(20);
/// The longest datagram.
const DATAGRAM: usize = 65_535;

/// The threads that serve a root. Dropped, they end, with every connection.
#[derive(Debug)]
pub(super) struct Outside {
    stop: Option<OwnedFd>,
    serving: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes that came from outside.
    fetched: Arc<AtomicU64>,
    questions: AtomicUsize,
    connections: Mutex<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    is_over: bool,
    count: u64,
    /// What to shut down at the end: both ends, the outer one once there is one.
    open: HashMap<u64, Vec<TcpStream>>,
}

impl Outside {
    /// Serves until it is dropped.
    pub(super) fn serve(connections: OwnedFd, names: OwnedFd) -> Result<Self, ImageError> {
        let (stopped, stop) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(ImageError::system::<rustix::io::Errno>("make a pipe"))?;
        let servers = servers(&std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
        let shared = Arc::new(Shared::default());
        let service = Service { listener: connections.into(), names: Arc::new(names.into()), servers, shared: Arc::clone(&shared) };
        let serving = child::thread("start a thread for the root tree's connections", move || service.run(&stopped))?;
        Ok(Self { stop: Some(stop), serving: Some(serving), shared })
    }

    /// Returns how many bytes came from outside.
    pub(super) fn fetched(&self) -> u64 {
        self.shared.fetched.load(Ordering::Relaxed)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        drop(self.stop.take());
        let mut connections = self.shared.lock();
        connections.is_over = true;
        for stream in connections.open.values().flatten() {
            // One that has ended already needs no end.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(connections);
        if let Some(serving) = self.serving.take() {
            // It has panicked, or has not: it is over.
            let _ = serving.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection's end so that it can be shut down.
    fn keep(&self, number: u64, stream: &TcpStream) -> io::Result<()> {
        let kept = stream.try_clone()?;
        let mut connections = self.lock();
        if connections.is_over {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        connections.open.entry(number).or_default().push(kept);
        Ok(())
    }
}

struct Service {
    listener: TcpListener,
    names: Arc<UdpSocket>,
    servers: Vec<IpAddr>,
    shared: Arc<Shared>,
}

impl Service {
    fn run(&self, stopped: &OwnedFd) {
        loop {
            let is_full = self.shared.lock().open.len() >= CONNECTIONS;
            let mut watched = vec![stopped.as_fd(), self.names.as_fd()];
            if !is_full {
                watched.push(self.listener.as_fd());
            }
            let Ok(ready) = wire::readable(&watched, is_full.then_some(REST)) else { return };
            if ready[0] {
                return;
            }
            let served = if ready[1] { self.question() } else { Ok(()) };
            let served = served.and_then(|()| if ready.get(2) == Some(&true) { self.connection() } else { Ok(()) });
            // Out of descriptors or threads: that must not turn into a spinning loop, nor be the end of it.
            if served.is_err() {
                let _ = wire::readable(&[stopped.as_fd()], Some(REST));
            }
        }
    }

    fn connection(&self) -> Result<(), ImageError> {
        let (inside, _) = self.listener.accept().map_err(ImageError::system("accept a connection"))?;
        let number = {
            let mut connections = self.shared.lock();
            connections.count += 1;
            connections.count
        };
        self.shared.keep(number, &inside).map_err(ImageError::system("keep a connection"))?;
        let (shared, server) = (Arc::clone(&self.shared), self.servers[0]);
        let work = move || {
            // A broken connection is the affair of whoever made it: it asks again or reports it.
            let _ = carry(&inside, number, server, &shared).inspect_err(|_| {
                // Reset: a connection that cannot be had must not look like one that ended well.
                let _ = rustix::net::sockopt::set_socket_linger(&inside, Some(Duration::ZERO));
            });
            shared.lock().open.remove(&number);
        };
        let started = child::thread("start a thread for a connection", work);
        started.map(drop).inspect_err(|_| drop(self.shared.lock().open.remove(&number))).map_err(Into::into)
    }

    fn question(&self) -> Result<(), ImageError> {
        let mut packet = vec![0; DATAGRAM];
        let (length, from) = self.names.recv_from(&mut packet).map_err(ImageError::system("receive a question for a name"))?;
        packet.truncate(length);
        if self.shared.questions.fetch_add(1, Ordering::Relaxed) >= QUESTIONS {
            self.shared.questions.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        let (names, servers, shared) = (Arc::clone(&self.names), self.servers.clone(), Arc::clone(&self.shared));
        let work = move || {
            let known = || names::answer(&packet, &std::fs::read_to_string("/etc/hosts").unwrap_or_default());
            if let Some(answer) = known().or_else(|| servers.iter().find_map(|server| ask(*server, &packet).ok())) {
                shared.fetched.fetch_add(answer.len() as u64, Ordering::Relaxed);
                // Whoever does not wait any more does not get it.
                let _ = names.send_to(&answer, from);
            }
            shared.questions.fetch_sub(1, Ordering::Relaxed);
        };
        let started = child::thread("start a thread for a name", work);
        started.map(drop).inspect_err(|_| _ = self.shared.questions.fetch_sub(1, Ordering::Relaxed)).map_err(Into::into)
    }
}

/// Joins a connection with what it was meant for.
fn carry(inside: &TcpStream, number: u64, server: IpAddr, shared: &Shared) -> io::Result<()> {
    let meant = rustix::net::sockopt::ip_original_dst(inside)?;
    let to = if meant.port() == 53 { SocketAddr::new(server, 53) } else { SocketAddr::from(meant) };
    if meant.port() != 53 && !is_outside(*meant.ip()) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let outside = TcpStream::connect_timeout(&to, DIAL)?;
    shared.keep(number, &outside)?;
    // Whoever speaks in small pieces is not made to wait for each.
    let _ = inside.set_nodelay(true).and_then(|()| outside.set_nodelay(true));
    tunnel::join_counted(inside, &outside, SILENCE, &shared.fetched)
}

/// Whether an address is not the loopback of whoever connects to it (Linux takes 0.0.0.0 for it, ip(7)).
fn is_outside(address: Ipv4Addr) -> bool {
    !address.is_loopback() && !address.is_unspecified()
}

fn ask(server: IpAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(ANSWER))?;
    socket.connect((server, 53))?;
    socket.send(question)?;
    let mut answer = vec![0; DATAGRAM];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

/// The machine's name servers; itself where it names none (resolv.conf(5)).
fn servers(text: &str) -> Vec<IpAddr> {
    let named = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    let mut servers: Vec<IpAddr> = text.lines().filter_map(named).collect();
    if servers.is_empty() {
        servers.push(Ipv4Addr::LOCALHOST.into());
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_name_servers_are_read_and_it_is_one_where_there_are_none() {
        let text = "search x\nnameserver 10.0.0.1\n#nameserver 10.0.0.2\nnameserver fe80::1%eth0\nnameserver ::1\n";
        assert_eq!(servers(text), ["10.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(servers(""), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
    }

    #[test]
    fn loopback_is_not_outside() {
        let inner = ["127.0.0.1", "127.8.9.1", "0.0.0.0"];
        assert!(inner.iter().all(|address| !is_outside(address.parse().unwrap())));
        assert!(is_outside("10.0.0.1".parse().unwrap()));
    }
}
