//! `file`: a regular file with this content, owner and mode.

use super::ownership::{ObservedOwnership, Ownership, OwnershipChange};
use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, Content, Digest, count};
use serde::{Deserialize, Serialize};

/// A file as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Where it stands.
    pub path: AbsPath,
    /// What it is; none: it shall not be there.
    pub present: Option<Present>,
}

/// A file that shall be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Its bytes.
    pub content: Content,
    /// Owner, group, mode.
    pub ownership: Ownership,
    /// A program that proves the new file before the swap; `%f` stands for its path.
    pub validate: Option<Vec<String>>,
}

/// A path as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// Nothing there; these parents are missing too (outermost first).
    Absent {
        /// Directories that must be made first.
        missing_parents: Vec<AbsPath>,
    },
    /// A regular file.
    File {
        /// SHA-256 of its bytes; the HMAC under the site's key where the desired content is secret.
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
    /// Make the file.
    Create {
        /// Its size in bytes; none for a secret.
        length: Option<u64>,
    },
    /// Replace its bytes.
    Content {
        /// Digest found; none where only its owner may read it: it may be the one of a secret that the site knows no more.
        from: Option<Digest>,
        /// Digest wanted; none for a secret.
        to: Option<Digest>,
    },
    /// Owner, group or mode.
    Ownership(OwnershipChange),
    /// Take it away.
    Remove,
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::MakeParent(path) => Shown::new("parent", "absent", path),
            Self::Create { length: Some(length) } => Shown::new("file", "absent", format_args!("present, {}", count(*length, "byte"))),
            Self::Create { length: None } => Shown::new("file", "absent", "present, secret"),
            Self::Content { from, to: Some(to) } => {
                Shown::new("content", from.map_or_else(|| "private".to_owned(), |from| from.short()), to.short())
            }
            Self::Content { to: None, .. } => Shown::new("content", "secret", "secret, changed"),
            Self::Ownership(change) => change.shown(),
            Self::Remove => Shown::new("file", "present", "absent"),
        }
    }
    fn makes_path(&self) -> bool {
        matches!(self, Self::Create { .. })
    }
}

impl Content {
    /// The digest by which an observed file is compared.
    pub fn comparable(&self) -> Digest {
        match self {
            Self::Blob(blob) => blob.digest,
            Self::Secret(secret) => secret.hmac,
        }
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
        let other = |word: &str| Contradiction::other_kind(&self.path, word, "file");
        let Some(present) = &self.present else {
            return match observed {
                Observed::Absent { .. } => Ok(Vec::new()),
                Observed::File { .. } => Ok(vec![Change::Remove]),
                Observed::Other(word) => Err(other(word)),
            };
        };
        match observed {
            Observed::Absent { missing_parents } => {
                let length = match &present.content {
                    Content::Blob(blob) => Some(blob.length),
                    Content::Secret(_) => None,
                };
                let parents = missing_parents.iter().cloned().map(Change::MakeParent);
                Ok(parents.chain([Change::Create { length }]).collect())
            }
            Observed::File { digest, ownership, .. } => {
                let mut changes = Vec::new();
                if *digest != present.content.comparable() {
                    let to = match &present.content {
                        Content::Blob(blob) => Some(blob.digest),
                        Content::Secret(_) => None,
                    };
                    let from = ownership.mode.is_readable_by_all().then_some(*digest);
                    changes.push(Change::Content { from, to });
                }
                changes.extend(present.ownership.diff(ownership).into_iter().map(Change::Ownership));
                Ok(changes)
            }
            Observed::Other(word) => Err(other(word)),
        }
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Path(self.path.clone())]
    }

    fn needs(&self) -> Vec<Effect> {
        let mut effects = vec![Effect::Path(self.path.clone())];
        effects.extend(self.present.iter().flat_map(|present| present.ownership.needs()));
        effects
    }

    fn path(&self) -> Option<&AbsPath> {
        Some(&self.path)
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        match &self.present {
            Some(present) => format!("has its content, {} {}", present.ownership.owner, present.ownership.mode),
            None => "is not there".to_owned(),
        }
    }

    fn contents(&self) -> Vec<&Content> {
        self.present.iter().map(|present| &present.content).collect()
    }
}
