//! A tunnel: carries bytes both ways between two connections until one of them ends, or neither has anything to say.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often in the time of a silence each side looks whether the other is still at work.
const LOOKS: u32 = 8;

/// Joins a node's connection with a host outside; returns when the tunnel has ended. A transfer may take as long as it likes, and only
/// silence in both directions is silence: who downloads says nothing for long.
pub(super) fn join(inside: &TcpStream, outside: &TcpStream, silence: Duration) -> io::Result<()> {
    join_counted(inside, outside, silence, &AtomicU64::new(0))
}

/// Joins as [`join`] does, and counts the bytes that come from outside.
pub(crate) fn join_counted(inside: &TcpStream, outside: &TcpStream, silence: Duration, count: &AtomicU64) -> io::Result<()> {
    for stream in [inside, outside] {
        let look = Some((silence / LOOKS).max(Duration::from_millis(1)));
        stream.set_read_timeout(look)?;
        stream.set_write_timeout(look)?;
    }
    let life = Life { silence, begun: Instant::now(), last: AtomicU64::new(0) };
    let end = || {
        // One that has ended already needs no end.
        let _ = inside.shutdown(Shutdown::Both);
        let _ = outside.shutdown(Shutdown::Both);
    };
    thread::scope(|scope| {
        let upwards = || match carry(inside, outside, &life, &AtomicU64::new(0)) {
            // All is asked; the answer may still be on its way.
            Ok(()) => drop(outside.shutdown(Shutdown::Write)),
            Err(_) => end(),
        };
        let started = thread::Builder::new().spawn_scoped(scope, upwards);
        let carried = started.and_then(|_| carry(outside, inside, &life, count));
        end();
        carried
    })
}

/// When somebody last said something.
#[derive(Debug)]
struct Life {
    silence: Duration,
    begun: Instant,
    /// Milliseconds since the begin.
    last: AtomicU64,
}

impl Life {
    fn sign(&self) {
        self.last.store(self.milliseconds(), Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        u128::from(self.milliseconds().saturating_sub(self.last.load(Ordering::Relaxed))) >= self.silence.as_millis()
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Does one step of a transfer, as late as it comes, unless all has been silent for too long.
    fn wait_for(&self, mut step: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match step() {
                Err(error) if is_pause(error.kind()) && !self.is_over() => {}
                Ok(count) => {
                    self.sign();
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Carries bytes one way until their source ends, and counts them.
fn carry(mut from: &TcpStream, mut to: &TcpStream, life: &Life, counted: &AtomicU64) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = life.wait_for(|| from.read(&mut buffer))?;
        if count == 0 {
            return Ok(());
        }
        counted.fetch_add(count as u64, Ordering::Relaxed);
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            match life.wait_for(|| to.write(rest))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                written => rest = &rest[written..],
            }
        }
    }
}
