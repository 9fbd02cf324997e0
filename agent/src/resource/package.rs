//! `package` at work: dpkg's own status file to read, apt-get to change.

mod apt;
mod lists;
mod lock;
mod status;

pub(super) use lists::Offers;
pub(super) use status::Packages;

use super::Act;
use super::fault::unread;
use super::node::Node;
use crate::engine::ApplyContext;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::package::{Change, Desired, Observed};
use ostler_roles::words::Bytes;
use std::path::Path;
use std::sync::Arc;

/// No status file is larger: one of 4000 packages has 5 MB.
const CAP: u64 = 64 << 20;

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        Ok(node.packages()?.state(self.name.as_str()))
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        Self::apply_all(node, vec![(self, changes)], work)
    }

    fn apply_all(node: &Node, batch: Vec<(&Self, Vec<Change>)>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        apt::apply_all(node, &batch, work)
    }

    /// What it brings is apt's to say, who works for half a second on the answer.
    fn to_write(&self, _node: &Node, changes: &[Change]) -> Option<Bytes> {
        changes.iter().all(|change| matches!(change, Change::Remove)).then_some(Bytes(0))
    }
}

impl Node {
    /// What dpkg has, read once.
    pub(super) fn packages(&self) -> Result<Arc<Packages>, Failure> {
        self.packages.get(|| {
            let text = self.host.read(Path::new("/var/lib/dpkg/status"), CAP).map_err(unread)?;
            Ok(Packages::parse(&text.unwrap_or_default()))
        })
    }
}
