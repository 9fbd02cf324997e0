//! Which commit of the site this is; every report names it.

use std::path::{Path, PathBuf};

use git2::{Repository, Status, StatusOptions};

/// The state of a site in its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// The site is in no repository.
    None,
    /// It is, and nothing is committed yet.
    Unborn,
    /// A commit.
    Commit {
        /// Its id, 40 hexadecimal digits.
        id: String,
        /// Files of the site differ from it.
        dirty: bool,
    },
}

/// Why the revision could not be told.
#[derive(Debug, thiserror::Error)]
#[error("read the git repository of {}", path.display())]
pub struct RevisionError {
    /// The site.
    pub path: PathBuf,
    /// What git said.
    pub source: git2::Error,
}

/// For reports: the first twelve digits, `+` when files differ.
impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("not in a repository"),
            Self::Unborn => f.write_str("nothing committed"),
            Self::Commit { id, dirty } => write!(f, "{}{}", id.get(..12).unwrap_or(id), if *dirty { "+" } else { "" }),
        }
    }
}

/// When the commit was made that the site is at, in seconds since 1970; none where there is none, or it is not known.
pub fn commit_time(root: &Path) -> Option<u32> {
    let repository = git2::Repository::discover(root).ok()?;
    let commit = repository.head().ok()?.peel_to_commit().ok()?;
    u32::try_from(commit.time().seconds()).ok()
}

/// Reads the revision. Looks at the files of the site alone, however large its repository is.
///
/// # Errors
/// When there is a repository and it cannot be read.
pub fn revision(root: &Path) -> Result<Revision, RevisionError> {
    let fail = |source| RevisionError { path: root.to_owned(), source };
    let repository = match Repository::discover(root) {
        Ok(repository) => repository,
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(Revision::None),
        Err(error) => return Err(fail(error)),
    };
    let id = match repository.head() {
        Ok(head) => head.peel_to_commit().map_err(fail)?.id().to_string(),
        Err(error) if error.code() == git2::ErrorCode::UnbornBranch => return Ok(Revision::Unborn),
        Err(error) => return Err(fail(error)),
    };
    let Some(work) = repository.workdir() else { return Ok(Revision::Commit { id, dirty: false }) };
    let mut options = StatusOptions::new();
    options.include_untracked(true).include_ignored(false).exclude_submodules(true);
    let home = std::fs::canonicalize(root).ok();
    let top = std::fs::canonicalize(work).ok();
    if let (Some(home), Some(top)) = (&home, &top)
        && let Ok(below) = home.strip_prefix(top)
        && !below.as_os_str().is_empty()
    {
        options.pathspec(below).disable_pathspec_match(true);
    }
    let statuses = repository.statuses(Some(&mut options)).map_err(fail)?;
    let dirty = statuses.iter().any(|entry| entry.status() != Status::CURRENT);
    Ok(Revision::Commit { id, dirty })
}
