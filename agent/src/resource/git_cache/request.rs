//! What is asked of the process that works on mirrors as their owner, and what it answers.

use crate::host::accounts::Account;
use ostler_roles::resource::git_cache::Mirror;
use ostler_roles::words::{AbsPath, Digest};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The name of this work.
pub(in crate::resource) const WORK: &str = "git-cache";

/// Work on some mirrors of one cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    /// The tree in which they are.
    pub(super) tree: PathBuf,
    /// Whose they are, where that account is there.
    pub(super) owner: Option<Account>,
    /// How many at a time.
    pub(super) workers: usize,
    /// How long all of it may take.
    pub(super) within: Duration,
    /// What is to be done.
    pub(super) tasks: Vec<Task>,
}

/// Work on one mirror.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Task {
    /// Its name below the root of the cache.
    pub(super) repository: String,
    /// Where it is.
    pub(super) place: AbsPath,
    /// Where it comes from.
    pub(super) urls: Vec<String>,
    /// What is to be done with it.
    pub(super) work: Work,
}

/// What may be done with a mirror.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Work {
    /// Hold it against its origin, or against what that had a moment ago.
    Look(Option<Digest>),
    /// Fetch what differs into it.
    Fetch,
    /// Fill a new one in this empty directory.
    Fill(PathBuf),
}

/// What became of one task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Which.
    pub(super) repository: String,
    /// What became of it.
    pub(super) done: Done,
}

/// How a piece of work ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Done {
    /// It was held against its origin.
    Looked(Mirror),
    /// It has all that the origin had: the digest of that.
    Good(Digest),
    /// The origin's fault, or the network's.
    Failed(String),
    /// The mirror's own fault: it is to be filled anew.
    Local(String),
    /// No room is left: what said so, and why.
    NoSpace(String, String),
    /// It was stopped.
    Cancelled,
}
