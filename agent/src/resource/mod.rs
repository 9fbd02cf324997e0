//! The kinds at work: one file a kind observes and applies, one file a check reads. What must change is decided in `roles`.

mod authorized_key;
mod checks;
mod command;
mod directory;
mod download;
mod fault;
mod file;
mod git_cache;
mod group;
mod kernel_module;
mod line;
mod link;
mod modules;
mod node;
mod ownership;
mod package;
mod provider;
mod service;
mod sysctl;
mod user;

pub use provider::NodeProvider;

use crate::engine::ApplyContext;
use node::Node;
use ostler_roles::outcome::{Event, Failure};
use ostler_roles::resource::Resource;
use ostler_roles::words::Bytes;

/// What a kind does on a node. `roles` holds its pure half.
trait Act: Resource {
    /// Reads it. Writes nothing.
    fn observe(&self, node: &Node) -> Result<Self::Observed, Failure>;
    /// Makes the changes, in their order; what is returned is worth a note.
    fn apply(&self, node: &Node, changes: Vec<Self::Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure>;
    /// Bytes that these changes will write; none: that cannot be known before.
    fn to_write(&self, _node: &Node, _changes: &[Self::Change]) -> Option<Bytes> {
        Some(Bytes(0))
    }
    /// Whether these changes start it anew, so that it reads all that stands there now.
    fn starts(&self, _observed: &Self::Observed, _changes: &[Self::Change]) -> bool {
        false
    }
}

/// Tells a person what is being waited for.
fn note(work: &ApplyContext<'_>, text: String) {
    (work.tell)(Event::Note { index: Some(work.index), text });
}

#[cfg(test)]
mod tests;
