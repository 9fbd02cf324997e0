//! Carries bytes between the controller and the root half, unseen, until either side ends.

use super::super::frames::{Outbox, put};
use super::RootHalf;
use ostler_roles::wire::frame::Buffer;
use rustix::fd::{AsFd, OwnedFd};
use std::io::Write as _;
use std::process::ChildStderr;
use std::time::Duration;
use zeroize::Zeroizing;

/// The root half takes its input whenever it is not at work; a plan may take minutes.
const TAKEN_WITHIN: Duration = Duration::from_secs(900);

/// Gives the root half what came for it, then carries both ways. Returns when the root half has ended.
pub(super) fn relay(root: RootHalf, first: Buffer, input: OwnedFd, outbox: &Outbox) {
    let RootHalf { mut child, stdin, stdout, stderr, decoder, .. } = root;
    // The threads end with their pipes. The one that reads our own input may still wait for bytes when the root half has ended: it goes
    // with the process, so it is not joined.
    std::thread::spawn(move || {
        if put(stdin.as_fd(), &first, TAKEN_WITHIN).is_err() {
            return;
        }
        drop(first);
        carry(&input, |bytes| put(stdin.as_fd(), bytes, TAKEN_WITHIN).is_ok());
        // Dropping `stdin` tells the root half that the controller is gone.
    });
    std::thread::spawn(move || forward(stderr));
    // What came behind its magic is the beginning of its frames.
    let begun = decoder.into_rest();
    let alive = outbox.pass_on(&begun).is_ok();
    if alive {
        carry(&stdout, |bytes| outbox.pass_on(bytes).is_ok());
    }
    drop(stdout);
    let _ = child.wait();
}

/// Reads until the end, or until `give` cannot give any more.
fn carry(from: &impl AsFd, mut give: impl FnMut(&[u8]) -> bool) {
    let mut bytes = Zeroizing::new([0u8; 64 * 1024]);
    loop {
        match rustix::io::read(from, &mut *bytes) {
            Ok(0) => return,
            Ok(count) if give(&bytes[..count]) => {}
            Ok(_) => return,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

/// What the root half's children and sudo say goes where ours goes.
fn forward(stderr: ChildStderr) {
    carry(&stderr, |bytes| std::io::stderr().write_all(bytes).is_ok());
}
