//! `mount_point` at work.

use super::Act;
use super::fault::{unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::EntryKind;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::mount_point::{Change, Desired, Observed};

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        Ok(match node.host.look(self.path.as_path()).map_err(unread)? {
            None => Observed::Nothing,
            Some(entry) if entry.kind == EntryKind::Directory => Observed::Directory,
            Some(entry) => Observed::Other(entry.kind.word().to_owned()),
        })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, _work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        for change in changes {
            match change {
                Change::Make => node.host.make_parent(self.path.as_path()),
                Change::Remove => node.host.remove_directory(self.path.as_path()),
            }
            .map_err(unmade)?;
        }
        Ok(Vec::new())
    }
}
