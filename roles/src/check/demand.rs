//! What the plan and its other requirements take of a node: the weight on a check that room must remain.

use crate::words::{AbsPath, Bytes, RoleName, count};
use serde::{Deserialize, Serialize};

/// Everything that weighs on a check beside itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demands {
    /// What each changing step will write.
    pub writes: Vec<Write>,
    /// What each requirement of the catalog wants to remain, in their order.
    pub shares: Vec<Share>,
    /// Which of the shares is the check's own; none for a proof after the steps.
    pub own: Option<usize>,
}

/// What one step will write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub path: String,
    /// How much; none: it cannot be known before.
    pub bytes: Option<Bytes>,
    /// Which step: `package git`.
    pub by: String,
}

/// What one requirement wants to remain free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Below which path.
    pub path: AbsPath,
    /// How much.
    pub free_after: Bytes,
    /// The role that says so.
    pub role: RoleName,
    /// The node's executor count, where it was multiplied by it.
    pub executors: Option<u32>,
}

impl std::fmt::Display for Share {
    /// `15 GiB for /opt (devstack-node, for 2 executors)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for {} ({}", self.free_after, self.path, self.role)?;
        self.executors.map_or(Ok(()), |number| write!(f, ", for {}", count(number, "executor")))?;
        f.write_str(")")
    }
}
