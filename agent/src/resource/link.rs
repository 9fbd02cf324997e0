//! `link` at work.

use super::Act;
use super::fault::{unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::EntryKind;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::link::{Change, Desired, Observed};

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let path = self.path.as_path();
        match node.host.look(path).map_err(unread)? {
            None => Ok(Observed::Absent { missing_parents: node.host.missing_parents(&self.path).map_err(unread)? }),
            Some(entry) if entry.kind == EntryKind::Link => {
                let target = node.host.read_link(path).map_err(unread)?.unwrap_or_default();
                Ok(Observed::Link(target.to_string_lossy().into_owned()))
            }
            Some(entry) => Ok(Observed::Other(entry.kind.word().to_owned())),
        }
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, _work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        for change in changes {
            match change {
                Change::MakeParent(parent) => node.host.make_parent(parent.as_path()),
                Change::Create(to) | Change::Retarget { to, .. } => node.host.link(self.path.as_path(), &to),
                Change::Remove => node.host.remove(self.path.as_path()),
            }
            .map_err(unmade)?;
        }
        Ok(Vec::new())
    }
}
