//! `download`: a file from a URL, proved by its SHA-256 before it gets its name.

use super::ownership::{ObservedOwnership, Ownership, OwnershipChange};
use super::{AtRest, Basis, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, Digest};
use serde::{Deserialize, Serialize};

/// A downloaded file as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Where it stands.
    pub path: AbsPath,
    /// Where it comes from: http or https.
    pub url: String,
    /// What its bytes must hash to.
    pub sha256: Digest,
    /// Owner, group, mode.
    pub ownership: Ownership,
}

/// A path as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// Nothing there.
    Absent {
        /// Directories that must be made first, outermost first.
        missing_parents: Vec<AbsPath>,
        /// Bytes of an earlier, interrupted download that can be gone on with.
        partial: u64,
    },
    /// A regular file.
    File {
        /// SHA-256 of its bytes.
        digest: Digest,
        /// Its size in bytes.
        length: u64,
        /// Owner, group, mode.
        ownership: ObservedOwnership,
    },
    /// Something that is no regular file: its type's word.
    Other(String),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Make a missing parent: root:root 0755.
    MakeParent(AbsPath),
    /// Fetch it; bytes that an earlier run left are gone on with.
    Fetch {
        /// Bytes at hand already.
        partial: u64,
    },
    /// Fetch it anew: what is there has another digest.
    Replace {
        /// Digest found.
        from: Digest,
    },
    /// Owner, group or mode.
    Ownership(OwnershipChange),
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::MakeParent(path) => Shown::new("parent", "absent", path),
            Self::Fetch { partial: 0 } => Shown::new("download", "absent", "present").resting_on(Basis::Passing),
            Self::Fetch { partial } => Shown::new("download", format_args!("{partial} bytes of it"), "present").resting_on(Basis::Passing),
            Self::Replace { from } => Shown::new("sha256", from.short(), "the pinned one"),
            Self::Ownership(change) => change.shown(),
        }
    }
    fn makes_path(&self) -> bool {
        matches!(self, Self::Fetch { .. })
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
        match observed {
            Observed::Other(word) => Err(Contradiction::other_kind(&self.path, word, "file")),
            Observed::Absent { missing_parents, partial } => {
                Ok(missing_parents.iter().cloned().map(Change::MakeParent).chain([Change::Fetch { partial: *partial }]).collect())
            }
            Observed::File { digest, .. } if *digest != self.sha256 => Ok(vec![Change::Replace { from: *digest }]),
            Observed::File { ownership, .. } => Ok(self.ownership.diff(ownership).into_iter().map(Change::Ownership).collect()),
        }
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Path(self.path.clone())]
    }

    fn needs(&self) -> Vec<Effect> {
        [Effect::Path(self.path.clone())].into_iter().chain(self.ownership.needs()).collect()
    }

    fn path(&self) -> Option<&AbsPath> {
        Some(&self.path)
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        format!("has sha256 {}", self.sha256.short())
    }
}
