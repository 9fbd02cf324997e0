//! Checks at work: one file reads the evidence for each; the answer is judged in `roles`.

mod disk;

use super::node::Node;
use ostler_roles::check::{Check, Evidence};
use ostler_roles::words::{Bytes, Span};

/// What the node shows for a check. Writes nothing.
pub(super) fn read(node: &Node, check: &Check, _within: Span, to_write: &[(String, Bytes)]) -> Evidence {
    let evidence = match check {
        Check::Disk(disk) => disk::read(node, disk, to_write),
        Check::Assert(_) => return Evidence::Nothing,
        Check::Kernel(_)
        | Check::Memory(_)
        | Check::Package(_)
        | Check::Connect(_)
        | Check::Virtualization(_)
        | Check::Login(_)
        | Check::Command(_) => return Evidence::Unreadable("not yet".to_owned()),
    };
    evidence.unwrap_or_else(|failed| {
        let causes: Vec<String> = std::iter::once(failed.message).chain(failed.causes).collect();
        Evidence::Unreadable(causes.join(": "))
    })
}
