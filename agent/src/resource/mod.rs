//! The kinds at work: one file a kind observes and applies, one file a check reads. What must change is decided in `roles`.

mod as_account;
mod checks;
mod fault;
mod known;
mod modules;
mod node;
mod ownership;
mod provider;
mod secret_value;

macro_rules! modules {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => { $(mod $word;)* };
}
ostler_roles::each_kind!(modules);

pub use provider::NodeProvider;

use crate::engine::ApplyContext;
use fault::failure;
use node::Node;
use ostler_roles::catalog::Action;
use ostler_roles::outcome::{Event, Failure, FailureKind};
use ostler_roles::resource::{Effect, Member};
use ostler_roles::words::Bytes;

/// What a kind does on a node. `roles` holds its pure half.
trait Act: Member {
    /// Reads it. Writes nothing.
    fn observe(&self, node: &Node) -> Result<Self::Observed, Failure>;
    /// Makes the changes, in their order; what is returned is worth a note.
    fn apply(&self, node: &Node, changes: Vec<Self::Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure>;
    /// Makes the changes of all that make one transaction; of other kinds one comes at a time.
    fn apply_all(node: &Node, batch: Vec<(&Self, Vec<Self::Change>)>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let each = batch.into_iter().map(|(desired, changes)| desired.apply(node, changes, work));
        Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
    }
    /// Does what it owes because something that it watches has changed. False where there was nothing to do.
    fn act(&self, _node: &Node, action: Action, _work: &ApplyContext<'_>) -> Result<bool, Failure> {
        Err(failure(FailureKind::Internal, format!("{} has no action {action:?}", self.key())))
    }
    /// Whether this change was made by an apply that went well: some may fail without failing the step, and are told as notes.
    fn made(&self, _node: &Node, _change: &Self::Change) -> bool {
        true
    }
    /// Bytes that these changes will write; none: that cannot be known before.
    fn to_write(&self, _node: &Node, _changes: &[Self::Change]) -> Option<Bytes> {
        Some(Bytes(0))
    }
    /// What these changes alter beside what it provides, where only the node knows that.
    fn makes(&self, _node: &Node, _changes: &[Self::Change]) -> Vec<Effect> {
        Vec::new()
    }
    /// What it will owe once these changes are made: they alone do not have their effect.
    fn owes(&self, _observed: &Self::Observed, _changes: &[Self::Change]) -> Option<Action> {
        None
    }
    /// Whether these changes start it anew, so that it reads all that stands there now.
    fn starts(&self, _observed: &Self::Observed, _changes: &[Self::Change]) -> bool {
        false
    }
    /// Its present content for a diff: text, bounded, not secret; none otherwise.
    fn old_content(&self, _node: &Node) -> Option<String> {
        None
    }
}

/// Work of this program as another account, by its name.
pub(crate) fn work_as_account(name: &str) -> std::process::ExitCode {
    if name == git_cache::WORK { git_cache::serve() } else { std::process::ExitCode::from(64) }
}

/// Tells a person what is being waited for.
fn note(work: &ApplyContext<'_>, text: String) {
    (work.tell)(Event::Note { index: Some(work.index), text });
}

#[cfg(test)]
mod tests;
