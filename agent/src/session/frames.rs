//! The two ends of the connection: frames in with a deadline, frames out that never wait for ever.

use super::fault::from_error;
use ostler_roles::outcome::FailureKind;
use ostler_roles::wire::frame::{self, Buffer, Decoder, FrameError, MAGIC};
use ostler_roles::wire::message::{ToAgent, ToController};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A reader who takes nothing for so long is gone.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// What a pipe that is ready for writing takes without blocking (pipe(7): `PIPE_BUF`).
const CHUNK: usize = 4096;
/// After so much silence the agent says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Nobody is there any more to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the controller is gone")]
pub struct Disconnected;

/// Waits until one of `fds` can be read; the answers stand in their order.
pub(super) fn await_readable(fds: &[BorrowedFd<'_>], within: Duration) -> Result<Vec<bool>, rustix::io::Errno> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let timeout = Timespec::try_from(within).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(error) => Err(error),
    }
}

/// What came in.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Message(Box<ToAgent>),
    /// The input has ended: the controller is gone.
    End,
    /// Nothing in time.
    Nothing,
}

/// Frames from the controller.
#[derive(Debug)]
pub struct Input {
    fd: OwnedFd,
    decoder: Decoder,
}

impl Input {
    /// Reads frames from `fd`; the magic comes first.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, decoder: Decoder::new() }
    }
    /// For waiting on several things at once.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
    /// Whether the other side has ended it and nothing of what it said is left to be read.
    pub(super) fn has_ended(&self) -> bool {
        // A socket says RDHUP when the other side will write no more, a pipe HUP (poll(2)).
        let mut polled = [PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let is_over = poll(&mut polled, Some(&now)).is_ok() && !polled[0].revents().is_empty();
        is_over && !self.decoder.is_midway() && rustix::io::ioctl_fionread(&self.fd).is_ok_and(|unread| unread == 0)
    }
    /// The next message within the time; a part of one that came stays.
    ///
    /// # Errors
    /// When the bytes can be no frame.
    pub fn next(&mut self, within: Duration) -> Result<Incoming, FrameError> {
        Ok(self.next_with_frame(within)?.0)
    }
    /// The next message with its frame as it came.
    pub(super) fn next_with_frame(&mut self, within: Duration) -> Result<(Incoming, Buffer), FrameError> {
        let end = Instant::now() + within;
        loop {
            if let Some((message, frame)) = self.decoder.message_and_frame()? {
                return Ok((Incoming::Message(message), frame));
            }
            let left = end.saturating_duration_since(Instant::now());
            match await_readable(&[self.fd.as_fd()], left) {
                Ok(ready) if ready == [true] => {}
                Ok(_) if left.is_zero() => return Ok((Incoming::Nothing, Buffer::default())),
                Ok(_) => continue,
                Err(_) => return Ok((Incoming::End, Buffer::default())),
            }
            if !self.fill() {
                return Ok((Incoming::End, Buffer::default()));
            }
        }
    }
    /// Takes in what is there. False at the end.
    fn fill(&mut self) -> bool {
        let mut bytes = [0u8; 64 * 1024];
        loop {
            match rustix::io::read(&self.fd, &mut bytes) {
                Ok(0) => return false,
                Ok(count) => {
                    self.decoder.push(&bytes[..count]);
                    return true;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }
    /// The descriptor, and bytes that came and were not used.
    pub(super) fn into_parts(self) -> (OwnedFd, Buffer) {
        (self.fd, self.decoder.into_rest())
    }
}

/// Frames to the controller: shared by whoever has something to say.
#[derive(Debug)]
pub struct Outbox {
    fd: OwnedFd,
    state: Mutex<OutboxState>,
}

#[derive(Debug)]
struct OutboxState {
    begun: bool,
    gone: bool,
    passing_on: bool,
    last: Instant,
}

impl Outbox {
    /// Writes frames to `fd`, the magic before the first.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, state: Mutex::new(OutboxState { begun: false, gone: false, passing_on: false, last: Instant::now() }) }
    }
    /// Says the magic alone, before there is anything else to say.
    ///
    /// # Errors
    /// When nobody takes it.
    pub(super) fn begin(&self) -> Result<(), Disconnected> {
        self.send_all(&[])
    }
    /// Says one message.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn send(&self, message: &ToController) -> Result<(), Disconnected> {
        self.send_all(std::slice::from_ref(message))
    }
    /// Says messages in one go.
    ///
    /// # Errors
    /// When nobody takes them, or one of them is too large for a frame (which is then the last thing said).
    pub fn send_all(&self, messages: &[ToController]) -> Result<(), Disconnected> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Buffer::default();
        if !state.begun {
            bytes.push(MAGIC);
        }
        state.begun = true;
        for message in messages {
            match frame::encode(message) {
                Ok(frame) => bytes.push(&frame),
                Err(error) => {
                    // Not said in silence: whoever listens learns what could not be said, and the conversation ends.
                    let fault = ToController::Fault(from_error(FailureKind::Internal, &error));
                    bytes.push(&frame::encode(&fault).unwrap_or_default());
                    let told = self.put(&mut state, &bytes);
                    state.gone = true;
                    return told.and(Err(Disconnected));
                }
            }
        }
        self.put(&mut state, &bytes)
    }
    /// Whether nobody took what was said last; not known while something is being said.
    pub(super) fn is_gone(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| state.gone)
    }
    /// From now on only [`Self::pass_on`] is used: a heartbeat of ours could fall into the middle of someone else's frame.
    pub(super) fn only_pass_on(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).passing_on = true;
    }
    /// Passes on bytes that are frames already.
    pub(super) fn pass_on(&self, bytes: &[u8]) -> Result<(), Disconnected> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(&mut state, bytes)
    }
    fn put(&self, state: &mut OutboxState, bytes: &[u8]) -> Result<(), Disconnected> {
        if state.gone || put(self.fd.as_fd(), bytes, TAKEN_WITHIN).is_err() {
            state.gone = true;
            return Err(Disconnected);
        }
        state.last = Instant::now();
        Ok(())
    }
    /// Says `Alive` whenever nothing else was said for a while, until `stop` is dropped or nobody listens.
    pub(super) fn beat(&self, stop: &std::sync::mpsc::Receiver<()>) {
        loop {
            let (silent, passing_on) = {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                (state.last.elapsed(), state.passing_on)
            };
            if passing_on {
                return;
            }
            let wait = HEARTBEAT.saturating_sub(silent);
            if wait.is_zero() {
                if self.send(&ToController::Alive).is_err() {
                    return;
                }
            } else if stop.recv_timeout(wait) != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                return;
            }
        }
    }
}

/// Writes all of `bytes`, in pieces that a ready pipe takes without blocking.
pub(super) fn put(fd: BorrowedFd<'_>, bytes: &[u8], within: Duration) -> Result<(), rustix::io::Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let mut polled = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
        let timeout = Timespec::try_from(within).map_err(|_| rustix::io::Errno::INVAL)?;
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => return Err(rustix::io::Errno::TIMEDOUT),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error),
        }
        match rustix::io::write(fd, &rest[..rest.len().min(CHUNK)]) {
            Ok(count) => rest = &rest[count..],
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
