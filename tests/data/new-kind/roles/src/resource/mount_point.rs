//! `mount_point`: an empty directory that something is mounted on.

use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::AbsPath;
use serde::{Deserialize, Serialize};

/// A mount point as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Where it stands.
    pub path: AbsPath,
    /// It shall not be there.
    pub absent: bool,
}

/// What stands at its path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory,
    /// Something else, by its word.
    Other(String),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Make it.
    Make,
    /// Take it away.
    Remove,
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Make => Shown::new("mount_point", "absent", "present"),
            Self::Remove => Shown::new("mount_point", "present", "absent"),
        }
    }
    fn makes_path(&self) -> bool {
        matches!(self, Self::Make)
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "Whole.";

    fn key(&self) -> String {
        self.path.to_string()
    }

    fn at_rest(&self) -> AtRest<Self> {
        AtRest::Whole
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        match (self.absent, observed) {
            (_, Observed::Other(word)) => {
                Err(Contradiction { why: format!("{} is a {word}, not a directory", self.path), hint: "move it away by hand".to_owned() })
            }
            (false, Observed::Nothing) => Ok(vec![Change::Make]),
            (true, Observed::Directory) => Ok(vec![Change::Remove]),
            (false, Observed::Directory) | (true, Observed::Nothing) => Ok(Vec::new()),
        }
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Directory(self.path.clone())]
    }

    fn needs(&self) -> Vec<Effect> {
        vec![Effect::Path(self.path.clone())]
    }

    fn path(&self) -> Option<&AbsPath> {
        Some(&self.path)
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        if self.absent { "is not there".to_owned() } else { "is there".to_owned() }
    }
}
