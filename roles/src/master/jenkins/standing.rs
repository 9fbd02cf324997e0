//! How a node of a Jenkins stands, in the words that all masters share.

use super::{Change, Config, ForeignOwner, Name, Node, Seen, Stage, diff};
use crate::master::{Difference, Found, Hold, Standing};
use std::collections::BTreeSet;

/// Why a name is not ours to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// Somebody else's node.
    #[error("node `{0}` on this Jenkins {1}")]
    Foreign(Name, ForeignOwner),
    /// A node without address.
    #[error("node name `{0}` is taken by an orphan (a node with 0 executors); only Jenkins' own CLI can remove it: `delete-node {0}`")]
    Orphan(Name),
}

/// How a node stands.
///
/// # Errors
/// When the name is not ours.
pub fn standing(node: &Node, seen: &Seen) -> Result<Standing, NotOurs> {
    let (config, is_connected, is_resting, hold) = match seen {
        Seen::Absent => return Ok(Standing::Absent),
        Seen::Orphan => return Err(NotOurs::Orphan(node.name.clone())),
        Seen::Foreign(stranger) => return Err(NotOurs::Foreign(node.name.clone(), stranger.clone())),
        Seen::Ours { config, is_connected, is_resting, hold } => (config, *is_connected, *is_resting, hold),
    };
    let differences = |stage| diff(node, stage, config).iter().map(|change| difference(change, config, node, stage)).collect();
    Ok(Standing::There(Found {
        to_quarantine: differences(Stage::Quarantined),
        to_labels: differences(Stage::Labelled),
        is_connected,
        is_resting,
        hold: hold.as_ref().map(|hold| Hold { is_ours: hold.is_ours(), text: hold.to_string() }),
    }))
}

/// A change as people read it.
fn difference(change: &Change, config: &Config, node: &Node, stage: Stage) -> Difference {
    let list = |labels: &BTreeSet<String>| match labels.iter().map(String::as_str).collect::<Vec<_>>() {
        none if none.is_empty() => "none".to_owned(),
        some => some.join(" "),
    };
    match change {
        Change::Executors { from, to } => Difference::new("executors", from.to_string(), to.to_string()),
        Change::Labels { .. } => Difference::new("labels", list(&config.labels), list(&node.labels_at(stage))),
        Change::Mode { from, to } => Difference::new("mode", from.map_or("none", super::Mode::word), to.word()),
        Change::RemoteFs { from, to } => Difference::new("remote directory", from.clone(), to.to_string()),
        Change::Launcher { from, to } => Difference::new("launcher", from.to_string(), to.to_string()),
    }
}
