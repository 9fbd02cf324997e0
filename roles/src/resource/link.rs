//! `link`: a symbolic link to this target.

use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::AbsPath;
use serde::{Deserialize, Serialize};

/// A link as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Where it stands.
    pub path: AbsPath,
    /// What it points to, as written (relative is allowed); none: it shall not be there.
    pub to: Option<String>,
}

/// A path as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// Nothing there; these parents are missing too (outermost first).
    Absent {
        /// Directories that must be made first.
        missing_parents: Vec<AbsPath>,
    },
    /// A symbolic link to this.
    Link(String),
    /// Something that is no link: its type's word.
    Other(String),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Make a missing parent: root:root 0755.
    MakeParent(AbsPath),
    /// Make the link.
    Create(String),
    /// Point it elsewhere.
    Retarget {
        /// Where it points.
        from: String,
        /// Where it shall point.
        to: String,
    },
    /// Take it away.
    Remove,
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::MakeParent(path) => Shown::new("parent", "absent", path),
            Self::Create(to) => Shown::new("link", "absent", to),
            Self::Retarget { from, to } => Shown::new("to", from, to),
            Self::Remove => Shown::new("link", "present", "absent"),
        }
    }
    fn makes_path(&self) -> bool {
        matches!(self, Self::Create(_))
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
        match (&self.to, observed) {
            (_, Observed::Other(word)) => Err(Contradiction::other_kind(&self.path, word, "link")),
            (None, Observed::Absent { .. }) => Ok(Vec::new()),
            (None, Observed::Link(_)) => Ok(vec![Change::Remove]),
            (Some(to), Observed::Absent { missing_parents }) => {
                Ok(missing_parents.iter().cloned().map(Change::MakeParent).chain([Change::Create(to.clone())]).collect())
            }
            (Some(to), Observed::Link(from)) if from == to => Ok(Vec::new()),
            (Some(to), Observed::Link(from)) => Ok(vec![Change::Retarget { from: from.clone(), to: to.clone() }]),
        }
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Path(self.path.clone())]
    }

    fn needs(&self) -> Vec<Effect> {
        vec![Effect::Path(self.path.clone())]
    }

    fn path(&self) -> Option<&AbsPath> {
        Some(&self.path)
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        match &self.to {
            Some(to) => format!("points to {to}"),
            None => "is not there".to_owned(),
        }
    }
}
