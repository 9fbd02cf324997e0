//! `directory`: a directory with this owner and mode.

use super::ownership::{ObservedOwnership, Ownership, OwnershipChange};
use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::AbsPath;
use serde::{Deserialize, Serialize};

/// A directory as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Where it stands.
    pub path: AbsPath,
    /// Owner, group, mode; none: it shall not be there (only an empty one is removed).
    pub present: Option<Ownership>,
}

/// A path as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// Nothing there; these parents are missing too (outermost first).
    Absent {
        /// Directories that must be made first.
        missing_parents: Vec<AbsPath>,
    },
    /// A directory.
    Directory {
        /// Owner, group, mode.
        ownership: ObservedOwnership,
        /// Whether nothing is in it.
        empty: bool,
    },
    /// Something that is no directory: its type's word.
    Other(String),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Make a missing parent: root:root 0755.
    MakeParent(AbsPath),
    /// Make the directory.
    Create,
    /// Owner, group or mode.
    Ownership(OwnershipChange),
    /// Take the empty directory away.
    Remove,
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::MakeParent(path) => Shown::new("parent", "absent", path),
            Self::Create => Shown::new("directory", "absent", "present"),
            Self::Ownership(change) => change.shown(),
            Self::Remove => Shown::new("directory", "present", "absent"),
        }
    }
    fn makes_path(&self) -> bool {
        matches!(self, Self::Create)
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
        match (&self.present, observed) {
            (_, Observed::Other(word)) => Err(Contradiction::other_kind(&self.path, word, "directory")),
            (None, Observed::Directory { empty: false, .. }) => Err(Contradiction {
                why: format!("{} shall be absent but is not empty", self.path),
                hint: "remove what is in it first: nothing of others is deleted unasked".to_owned(),
            }),
            (None, Observed::Absent { .. }) => Ok(Vec::new()),
            (None, Observed::Directory { empty: true, .. }) => Ok(vec![Change::Remove]),
            (Some(_), Observed::Absent { missing_parents }) => {
                Ok(missing_parents.iter().cloned().map(Change::MakeParent).chain([Change::Create]).collect())
            }
            (Some(desired), Observed::Directory { ownership, .. }) => {
                Ok(desired.diff(ownership).into_iter().map(Change::Ownership).collect())
            }
        }
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Directory(self.path.clone())]
    }

    fn needs(&self) -> Vec<Effect> {
        let mut effects = vec![Effect::Path(self.path.clone())];
        effects.extend(self.present.iter().flat_map(Ownership::needs));
        effects
    }

    fn path(&self) -> Option<&AbsPath> {
        Some(&self.path)
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        match &self.present {
            Some(present) => format!("is there, {} {}", present.owner, present.mode),
            None => "is not there".to_owned(),
        }
    }
}
