//! Messages between the lab's processes: one JSON object per packet on a SOCK_SEQPACKET unix socket, file descriptors beside it.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketAddrUnix, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::LabError;

/// A packet holds at most this much: below the kernel's default send buffer (net.core.wmem_default, 212992).
const PACKET: usize = 160 * 1024;
/// A larger message, such as a command with a large environment, is in memory that comes as one descriptor more; the packet says just that.
const IN_MEMORY: &[u8] = b"+";
/// No message is larger: JSON makes less of the most that a program's arguments and environment may have (6 MiB, execve(2)).
const LARGEST: usize = 32 << 20;
/// A packet carries at most this many descriptors: stdin, stdout and stderr, or the lab's listeners; and a message's memory.
const DESCRIPTORS: usize = 5;

/// Last words of a side that has ended are there already.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// One end of a conversation.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: OwnedFd,
}

impl From<OwnedFd> for Wire {
    fn from(socket: OwnedFd) -> Self {
        Self { socket }
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Wire {
    /// Returns two connected ends.
    pub(crate) fn pair() -> Result<(Self, OwnedFd), LabError> {
        let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(LabError::system("make a socket pair"))?;
        Ok((Self { socket: ours }, theirs))
    }

    /// Connects to a listening holder.
    pub(crate) fn connect(path: &Path) -> Result<Self, LabError> {
        let socket = unix_socket()?;
        let address = SocketAddrUnix::new(path).map_err(LabError::system("name the lab's socket"))?;
        rustix::net::connect(&socket, &address).map_err(|error| LabError::file("connect to", path)(error.into()))?;
        Ok(Self { socket })
    }

    /// Sends one message with descriptors.
    pub(crate) fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> Result<(), LabError> {
        let bytes = serde_json::to_vec(message).map_err(|error| LabError::Wire(error.to_string()))?;
        if bytes.len() > LARGEST || descriptors.len() >= DESCRIPTORS {
            return Err(LabError::Wire(format!("message of {} bytes and {} descriptors is too large", bytes.len(), descriptors.len())));
        }
        let memory = (bytes.len() > PACKET).then(|| into_memory(&bytes)).transpose()?;
        let packet = if memory.is_some() { IN_MEMORY } else { &bytes };
        let descriptors: Vec<_> = descriptors.iter().copied().chain(memory.as_ref().map(AsFd::as_fd)).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(LabError::Wire("descriptors do not fit".into()));
        }
        let flags = SendFlags::NOSIGNAL;
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(packet)], &mut control, flags)
            .map_err(LabError::system("send on the lab's socket"))?;
        Ok(())
    }

    /// Sends a question and receives the answer, waiting no longer than `limit` for `what`. One who does not listen to the question
    /// may have said why.
    pub(crate) fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        question: &Q,
        descriptors: &[BorrowedFd<'_>],
        limit: Duration,
        what: &str,
    ) -> Result<Option<(A, Vec<OwnedFd>)>, LabError> {
        match self.send(question, descriptors) {
            Ok(()) => self.receive_within(limit, what),
            Err(error @ LabError::System { .. }) => match self.receive_within(LAST_WORDS, what) {
                Ok(Some(words)) => Ok(Some(words)),
                Ok(None) | Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Receives the next message and its descriptors; `None` when the other side has ended.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> Result<Option<(T, Vec<OwnedFd>)>, LabError> {
        // Asked for in words: a machine without memory is told so, and nobody ends for it.
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(PACKET).map_err(|_| LabError::system("make room for a message")(rustix::io::Errno::NOMEM))?;
        bytes.resize(PACKET, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut is_reset = false;
        let received = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match rustix::net::recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) if is_reset => return Ok(None),
                // The other side ended without having read all: its last words may still be there, behind this news.
                Err(rustix::io::Errno::CONNRESET) => is_reset = true,
                other => break other.map_err(LabError::system("receive on the lab's socket"))?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(LabError::Wire(format!("longer than {PACKET} bytes")));
        }
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(list) = message {
                descriptors.extend(list);
            }
        }
        bytes.truncate(received.bytes);
        if bytes == IN_MEMORY {
            bytes = from_memory(descriptors.pop().ok_or_else(|| LabError::Wire("a message's memory did not come".into()))?)?;
        }
        let message = serde_json::from_slice(&bytes).map_err(|error| LabError::Wire(error.to_string()))?;
        Ok(Some((message, descriptors)))
    }

    /// Receives as `receive` does, waiting no longer than `limit` for `what`.
    pub(crate) fn receive_within<T: DeserializeOwned>(&self, limit: Duration, what: &str) -> Result<Option<(T, Vec<OwnedFd>)>, LabError> {
        if readable(&[self.as_fd()], Some(limit))?[0] {
            return self.receive();
        }
        Err(LabError::Deadline { what: what.to_owned(), after: limit })
    }
}

/// Puts a message into memory of its own.
fn into_memory(bytes: &[u8]) -> Result<OwnedFd, LabError> {
    let made = rustix::fs::memfd_create("ostler-message", MemfdFlags::CLOEXEC).map_err(LabError::system("make room for a message"))?;
    let mut file = File::from(made);
    file.write_all(bytes).map_err(|error| LabError::Wire(error.to_string()))?;
    Ok(file.into())
}

/// Reads a message out of the memory that came.
fn from_memory(memory: OwnedFd) -> Result<Vec<u8>, LabError> {
    let (mut file, mut bytes) = (File::from(memory), Vec::new());
    // Sender and receiver share one offset, and it is where the writing ended.
    let read = file.rewind().and_then(|()| file.take(LARGEST as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| LabError::Wire(error.to_string()))?;
    if bytes.len() > LARGEST { Err(LabError::Wire(format!("longer than {LARGEST} bytes"))) } else { Ok(bytes) }
}

/// Listens on a socket only the owner can open.
pub(crate) fn listen(path: &Path) -> Result<OwnedFd, LabError> {
    let socket = unix_socket()?;
    let address = SocketAddrUnix::new(path).map_err(LabError::system("name the lab's socket"))?;
    // The state directory is 0700, so nobody gets between bind and chmod.
    rustix::net::bind(&socket, &address).map_err(|error| LabError::file("listen on", path)(error.into()))?;
    rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(0o600)).map_err(|error| LabError::file("chmod", path)(error.into()))?;
    rustix::net::listen(&socket, 128).map_err(|error| LabError::file("listen on", path)(error.into()))?;
    Ok(socket)
}

/// Accepts the next client.
pub(crate) fn accept(listener: impl AsFd) -> Result<Wire, LabError> {
    let socket = rustix::net::accept_with(listener, SocketFlags::CLOEXEC).map_err(LabError::system("accept on the lab's socket"))?;
    Ok(Wire { socket })
}

fn unix_socket() -> Result<OwnedFd, LabError> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(LabError::system("make a unix socket"))
}

/// Waits until one of the descriptors can be read or has ended; all false when the time is up.
pub(crate) fn readable(descriptors: &[BorrowedFd<'_>], limit: Option<Duration>) -> Result<Vec<bool>, LabError> {
    let end = limit.map(|limit| Instant::now() + limit);
    loop {
        let mut polled: Vec<PollFd<'_>> = descriptors.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let timeout = left
            .map(|left| Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(left.subsec_nanos()) });
        match poll(&mut polled, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(LabError::system("poll")(error)),
            Ok(_) => return Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Exec, Request};
    use super::*;

    #[test]
    fn a_message_brings_its_descriptors() {
        let (ours, theirs) = Wire::pair().expect("pair");
        let theirs = Wire::from(theirs);
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        ours.send(&"take this", &[writer.as_fd()]).expect("sent");
        drop(writer);
        let (text, mut descriptors): (String, _) = theirs.receive().expect("read").expect("one");
        assert_eq!((text.as_str(), descriptors.len()), ("take this", 1));
        File::from(descriptors.remove(0)).write_all(b"through").expect("write");
        let mut arrived = String::new();
        File::from(reader).read_to_string(&mut arrived).expect("read");
        assert_eq!(arrived, "through");
    }

    #[test]
    fn a_command_with_a_large_environment_arrives_whole_with_its_descriptors() {
        let value = std::ffi::OsString::from("v".repeat(64 << 10));
        let environment = (0..16).map(|number| (format!("LARGE{number}").into(), value.clone())).collect();
        let exec = Exec { node: None, argv: vec!["env".into()], environment, directory: "/".into() };
        for count in [1, 16] {
            let (ours, theirs) = Wire::pair().expect("pair");
            let exec = Exec { environment: exec.environment[..count].to_vec(), ..exec.clone() };
            let descriptors = [ours.as_fd(), ours.as_fd(), ours.as_fd()];
            ours.send(&Request::Exec(exec.clone()), &descriptors).expect("sent");
            let (request, descriptors): (Request, _) = Wire::from(theirs).receive().expect("read").expect("one");
            let Request::Exec(arrived) = request else { panic!("{request:?}") };
            assert!(arrived.environment == exec.environment && arrived.argv == exec.argv, "{count}");
            assert_eq!(descriptors.len(), 3, "and none that it was not sent for");
        }
    }

    #[test]
    fn an_ended_peer_is_none_and_a_silent_one_meets_the_deadline() {
        let (ours, theirs) = Wire::pair().expect("pair");
        let silent = ours.receive_within::<String>(Duration::from_millis(20), "a word").expect_err("deadline");
        assert_eq!(silent.to_string(), "no answer within 0.0 s while waiting for a word");
        drop(theirs);
        assert!(ours.receive::<String>().expect("end").is_none());
    }

    #[test]
    fn last_words_are_heard_though_the_peer_did_not_listen() {
        let (ours, theirs) = Wire::pair().expect("pair");
        ours.send(&"a question", &[]).expect("sent");
        let theirs = Wire::from(theirs);
        theirs.send(&"no time", &[]).expect("sent");
        drop(theirs);
        assert_eq!(ours.receive::<String>().expect("read").expect("one").0, "no time");
        assert!(ours.receive::<String>().expect("end").is_none());

        let (ours, theirs) = Wire::pair().expect("pair");
        let theirs = Wire::from(theirs);
        theirs.send(&"no time", &[]).expect("sent");
        drop(theirs);
        let heard = ours.ask::<_, String>(&"a question", &[], Duration::from_secs(20), "an answer").expect("read");
        assert_eq!(heard.expect("one").0, "no time");
    }

    #[test]
    fn an_oversized_message_and_garbage_are_refused() {
        let (ours, theirs) = Wire::pair().expect("pair");
        assert!(ours.send(&"x".repeat(LARGEST), &[]).expect_err("too large").to_string().contains("too large"));
        rustix::io::write(&theirs, b"{not json").expect("write");
        assert!(matches!(ours.receive::<String>(), Err(LabError::Wire(_))));
    }
}
