//! `directory` at work.

use super::Act;
use super::fault::{unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::EntryKind;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::directory::{Change, Desired, Observed};

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let path = self.path.as_path();
        let Some(entry) = node.host.look(path).map_err(unread)? else {
            return Ok(Observed::Absent { missing_parents: node.host.missing_parents(&self.path).map_err(unread)? });
        };
        if entry.kind != EntryKind::Directory {
            return Ok(Observed::Other(entry.kind.word().to_owned()));
        }
        // Only who wants it gone must know whether something is in it.
        let empty = self.present.is_none() && node.host.list_some(path, 1).map_err(unread)?.is_none_or(|names| names.is_empty());
        Ok(Observed::Directory { ownership: node.observed_ownership(&entry, self.present.as_ref())?, empty })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, _work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let path = self.path.as_path();
        let mut own = false;
        for change in changes {
            match change {
                Change::MakeParent(parent) => node.host.make_parent(parent.as_path()).map_err(unmade)?,
                Change::Create | Change::Ownership(_) => own = true,
                Change::Remove => node.host.remove_directory(path).map_err(unmade)?,
            }
        }
        if let Some(ownership) = self.present.as_ref().filter(|_| own) {
            node.host.make_directory(path, node.writing(ownership)?).map_err(unmade)?;
        }
        Ok(Vec::new())
    }
}
