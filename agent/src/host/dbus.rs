//! D-Bus by hand, as much as asking systemd needs (D-Bus specification 0.43): one connection, calls with simple arguments.

mod message;
mod wire;

pub use message::Reply;
pub use wire::{Property, Reader, Value};

use super::{Operation, OsError};
use message::Incoming;
use rustix::net::{self, sockopt};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The system's bus.
const BUS: &str = "/run/dbus/system_bus_socket";
/// systemd's own door, for root alone: no daemon in between.
const PRIVATE: &str = "/run/systemd/private";
/// A local daemon that takes longer to take us in hangs: systemd takes nobody in while it reads its units anew, which takes seconds on a
/// slow machine with many of them.
const GREETING: Duration = Duration::from_secs(30);

/// A connection to systemd.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    buffer: Vec<u8>,
    serial: u32,
}

/// What a call is made of.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Object.
    pub path: &'a str,
    /// Interface.
    pub interface: &'a str,
    /// Method.
    pub member: &'a str,
    /// Arguments.
    pub arguments: &'a [Value<'a>],
}

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no connection, and the call was not made.
    #[error("the connection to systemd failed")]
    Unasked(#[source] OsError),
    /// The connection broke, or was silent, after the call was sent: it may have been carried out.
    #[error("the connection to systemd was lost before its answer")]
    Lost(#[source] OsError),
    /// The other side answered with an error.
    #[error("{name}: {text}")]
    Refused {
        /// Its name: `org.freedesktop.systemd1.NoSuchUnit`.
        name: String,
        /// What it says.
        text: String,
    },
}

impl Connection {
    /// A connection to systemd: its own door as root, else the system's bus.
    ///
    /// # Errors
    /// When neither takes us in.
    pub fn to_systemd(root: bool) -> Result<Self, OsError> {
        if root && let Ok(connection) = Self::open(Path::new(PRIVATE), false) {
            return Ok(connection);
        }
        Self::open(Path::new(BUS), true)
    }

    /// A connection by this socket; on a bus we say hello first.
    ///
    /// # Errors
    /// When it does not take us in.
    pub fn open(socket: &Path, bus: bool) -> Result<Self, OsError> {
        let fail = |source| OsError::new(Operation::Connect, socket.display(), source);
        let deadline = Instant::now() + GREETING;
        let stream = connect(socket, GREETING).map_err(fail)?;
        let mut connection = Self { stream, buffer: Vec::new(), serial: 0 };
        connection.greet(deadline).map_err(fail)?;
        if bus {
            let hello = Call { path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus", member: "Hello", arguments: &[] };
            let reply = connection.send("org.freedesktop.DBus", &hello).and_then(|serial| connection.reply(serial, deadline));
            match reply {
                Ok(Incoming::Reply { .. }) => {}
                Ok(Incoming::Error { name, text, .. }) => return Err(fail(io::Error::other(format!("{name}: {text}")))),
                Ok(Incoming::Other) => return Err(fail(io::ErrorKind::InvalidData.into())),
                Err(source) => return Err(fail(source)),
            }
        }
        Ok(connection)
    }

    /// SASL EXTERNAL: the kernel vouches for our uid.
    fn greet(&mut self, deadline: Instant) -> io::Result<()> {
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\nBEGIN\r\n").as_bytes())?;
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if line.starts_with(b"OK ") {
                    return Ok(());
                }
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, String::from_utf8_lossy(&line).trim().to_owned()));
            }
            self.fill(deadline)?;
        }
    }

    /// Calls systemd and waits for its answer.
    ///
    /// # Errors
    /// When the connection is lost, the deadline passes, or systemd says no.
    pub fn call(&mut self, call: &Call<'_>, deadline: Instant) -> Result<Reply, CallError> {
        let asking = |source| OsError::new(Operation::Ask, format_args!("systemd for {}", call.member), source);
        let lost = |source| CallError::Lost(asking(source));
        // A message that did not go out whole is none.
        let serial = self.send("org.freedesktop.systemd1", call).map_err(|source| CallError::Unasked(asking(source)))?;
        match self.reply(serial, deadline).map_err(lost)? {
            Incoming::Reply { reply, .. } => Ok(reply),
            Incoming::Error { name, text, .. } => Err(CallError::Refused { name, text }),
            Incoming::Other => Err(lost(io::ErrorKind::InvalidData.into())),
        }
    }

    fn send(&mut self, destination: &str, call: &Call<'_>) -> io::Result<u32> {
        self.serial += 1;
        let bytes = message::encode(self.serial, destination, call);
        self.stream.write_all(&bytes)?;
        Ok(self.serial)
    }

    /// The answer to `serial`; signals and other calls' answers are passed over.
    fn reply(&mut self, serial: u32, deadline: Instant) -> io::Result<Incoming> {
        loop {
            while let Some((incoming, length)) = message::decode(&self.buffer)? {
                self.buffer.drain(..length);
                if incoming.answers(serial) {
                    return Ok(incoming);
                }
            }
            self.fill(deadline)?;
        }
    }

    fn fill(&mut self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut block = [0u8; 16 << 10];
        match self.stream.read(&mut block) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.buffer.extend_from_slice(&block[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
            Err(error) => Err(error),
        }
    }
}

/// A stream to this socket; what is written to it has the same patience. connect(2) waits as long as a write may (socket(7),
/// `SO_SNDTIMEO`) for a listener that takes nobody in.
fn connect(socket: &Path, patience: Duration) -> io::Result<UnixStream> {
    let stream = net::socket_with(net::AddressFamily::UNIX, net::SocketType::STREAM, net::SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&stream, sockopt::Timeout::Send, Some(patience))?;
    match net::connect(&stream, &net::SocketAddrUnix::new(socket)?) {
        Ok(()) => Ok(stream.into()),
        Err(rustix::io::Errno::AGAIN) => Err(io::ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
