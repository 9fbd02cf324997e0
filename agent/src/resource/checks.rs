//! Checks at work: one file reads the evidence for each; the answer is judged in `roles`.

mod disk;
mod kernel;
mod login;
mod package;
mod probe;

use super::fault::unread;
use super::node::Node;
use crate::facts;
use crate::host::resolve;
use ostler_roles::check::{Check, Connect, Demands, Evidence};
use ostler_roles::words::Span;
use std::time::Instant;

/// What the node shows for a check. Writes nothing.
pub(super) fn read(node: &Node, check: &Check, within: Span, demands: &Demands) -> Evidence {
    let deadline = Instant::now() + within.duration();
    let evidence = match check {
        Check::Disk(disk) => disk::read(node, disk, demands, deadline),
        Check::Kernel(kernel) => kernel::read(node, kernel),
        Check::Memory(_) => facts::memory().map(Evidence::Memory).map_err(unread),
        Check::Package(package) => package::read(node, package, deadline),
        Check::Connect(connect) => return connection(connect, deadline),
        Check::Virtualization(_) => facts::virtualization(&node.host).map(|(word, _)| Evidence::Virtualization(word)).map_err(unread),
        Check::Assert(_) => return Evidence::Nothing,
        Check::Login(login) => login::read(node, login, deadline),
        Check::Command(command) => probe::read(node, command, deadline),
    };
    evidence.unwrap_or_else(|failed| {
        let causes: Vec<String> = std::iter::once(failed.message).chain(failed.causes).collect();
        Evidence::Unreadable(causes.join(": "))
    })
}

/// A connection that cannot be made is an answer, with what was said.
fn connection(connect: &Connect, deadline: Instant) -> Evidence {
    match resolve::connect(&connect.host, connect.port, deadline) {
        Ok(_) => Evidence::Connect(None),
        Err(error) => Evidence::Connect(Some(format!("cannot {error}: {}", error.source))),
    }
}
