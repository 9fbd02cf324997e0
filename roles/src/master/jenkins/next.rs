//! The next step of a node towards its labels.

use super::{Change, Hold, Name, Node, Proof, Seen, Stage, Stranger, diff};

/// Why a name is not ours to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// Somebody else's node.
    #[error("node `{0}` on this Jenkins {1}")]
    Foreign(Name, Stranger),
    /// A node without address.
    #[error("node name `{0}` is taken by an orphan (a node with 0 executors); only Jenkins' own CLI can remove it: `delete-node {0}`")]
    Orphan(Name),
}

/// The next step for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is to be made, in quarantine.
    Create,
    /// Its values are to be set for this stage.
    Update(Stage, Vec<Change>),
    /// Its agent is to connect.
    Connect,
    /// It is connected and quarantined: the smoke job is to run on it.
    Smoke,
    /// It is quarantined and marked offline: no job can prove it.
    Held(Hold),
    /// It is as it should be: labelled, or kept in quarantine after a red smoke job.
    Settled(Stage),
}

/// Returns the next step from what is seen; total, so a run that was cut anywhere goes on from here.
///
/// # Errors
/// When the name is not ours.
pub fn next(node: &Node, seen: &Seen, proof: Proof) -> Result<Next, NotOurs> {
    let (config, is_connected, is_resting, hold) = match seen {
        Seen::Absent => return Ok(Next::Create),
        Seen::Orphan => return Err(NotOurs::Orphan(node.name.clone())),
        Seen::Foreign(stranger) => return Err(NotOurs::Foreign(node.name.clone(), stranger.clone())),
        Seen::Ours { config, is_connected, is_resting, hold } => (config, *is_connected, *is_resting, hold),
    };
    let quarantined = diff(node, Stage::Quarantined, config);
    let labelled = diff(node, Stage::Labelled, config);
    Ok(match proof {
        Proof::Standing if labelled.is_empty() && !is_connected && !is_resting && hold.is_none() => Next::Connect,
        Proof::Standing | Proof::Green if labelled.is_empty() => Next::Settled(Stage::Labelled),
        Proof::Green => Next::Update(Stage::Labelled, labelled),
        Proof::Red if quarantined.is_empty() => Next::Settled(Stage::Quarantined),
        Proof::Standing | Proof::Wanted if quarantined.is_empty() => match hold {
            Some(hold) => Next::Held(hold.clone()),
            None if is_connected => Next::Smoke,
            None => Next::Connect,
        },
        Proof::Standing | Proof::Wanted | Proof::Red => Next::Update(Stage::Quarantined, quarantined),
    })
}
