//! `line`: one line of a file that others own the rest of.

use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, count};
use serde::{Deserialize, Serialize};

/// A line as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The file.
    pub path: AbsPath,
    /// The whole line, without its end.
    pub line: String,
    /// A line that starts with this is replaced by `line`; none: only the very line counts.
    pub replaces: Option<String>,
    /// The line (and what `replaces` matches) shall not be there.
    pub absent: bool,
}

/// A file as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// No such file; these parents are missing too (outermost first).
    Absent {
        /// Directories that must be made first.
        missing_parents: Vec<AbsPath>,
    },
    /// Those of its lines that count, in order. Of a file that not all may read only those that the role itself tells: of others as many
    /// as there are, by a word for all.
    Lines(Vec<String>),
    /// Something that is no regular file: its type's word.
    Other(String),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Make a missing parent: root:root 0755.
    MakeParent(AbsPath),
    /// Write it behind the last line.
    Append(String),
    /// Replace these lines by one, where the first stood.
    Replace {
        /// The lines found.
        from: Vec<String>,
        /// The line wanted.
        to: String,
    },
    /// Take these lines away.
    Remove(Vec<String>),
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::MakeParent(path) => Shown::new("parent", "absent", path),
            Self::Append(line) => Shown::new("line", "absent", line),
            Self::Replace { from, to } => Shown::new("line", from.join(" | "), to),
            Self::Remove(lines) => Shown::new("line", lines.join(" | "), "absent"),
        }
    }
}

impl Desired {
    /// Whether a line of the file is one that this resource speaks of.
    pub fn counts(&self, line: &str) -> bool {
        line == self.line || self.replaces.as_deref().is_some_and(|prefix| line.starts_with(prefix))
    }
    /// The lines found in a file that not all may read: what the role does not tell itself may be a secret, and is not told.
    pub fn unshown(&self, lines: Vec<String>) -> Observed {
        let (mut told, others): (Vec<String>, Vec<String>) = lines.into_iter().partition(|line| *line == self.line);
        if !others.is_empty() {
            told.push(format!("{} of a private file", count(others.len() as u64, "line")));
        }
        Observed::Lines(told)
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "Whole.";

    fn key(&self) -> String {
        format!("{} {}", self.path, self.replaces.as_deref().unwrap_or(&self.line))
    }

    fn at_rest(&self) -> AtRest<Self> {
        AtRest::Whole
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        match (self.absent, observed) {
            (_, Observed::Other(word)) => Err(Contradiction::other_kind(&self.path, word, "file")),
            (true, Observed::Absent { .. }) => Ok(Vec::new()),
            (true, Observed::Lines(lines)) if lines.is_empty() => Ok(Vec::new()),
            (true, Observed::Lines(lines)) => Ok(vec![Change::Remove(lines.clone())]),
            (false, Observed::Absent { missing_parents }) => {
                Ok(missing_parents.iter().cloned().map(Change::MakeParent).chain([Change::Append(self.line.clone())]).collect())
            }
            (false, Observed::Lines(lines)) => Ok(match lines.as_slice() {
                [] => vec![Change::Append(self.line.clone())],
                [one] if *one == self.line => Vec::new(),
                // Without `replaces` every line that counts is the line itself: a second copy does no harm.
                many if self.replaces.is_none() && !many.is_empty() => Vec::new(),
                many => vec![Change::Replace { from: many.to_vec(), to: self.line.clone() }],
            }),
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
        if self.absent { "is not in the file".to_owned() } else { "is in the file".to_owned() }
    }
}
