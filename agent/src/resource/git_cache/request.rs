//! What is asked of the process that works on mirrors as their owner, and what it answers.

use super::super::fault::failure;
use crate::host::accounts::Account;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::git_cache::Mirror;
use ostler_roles::words::{AbsPath, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

/// Longest text of an answer that is kept.
const TEXT: usize = 4096;

/// What was asked for and is not answered. The answers come from a process of the mirrors' owner: root believes no more of them than that
/// account could have made true, about what it was asked.
pub(super) struct Asked(BTreeMap<String, bool>);

impl Asked {
    pub(super) fn of(tasks: &[Task]) -> Self {
        Self(tasks.iter().map(|task| (task.repository.clone(), matches!(task.work, Work::Look(_)))).collect())
    }

    /// An answer to what was asked for and not answered yet, its texts bounded.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn answered(&mut self, answer: Answer) -> Result<Answer, Failure> {
        let Answer { repository, mut done } = answer;
        let wrong = |what: &str| {
            let name: String = repository.chars().take(100).collect();
            Err(failure(FailureKind::Observe, format!("the process that works on the mirrors {what}: {name:?}")))
        };
        match (self.0.remove(&repository), &done) {
            (None, _) => return wrong("answers what it was not asked"),
            (Some(true), Done::Looked(_)) => {}
            (Some(false), Done::Good(_) | Done::Failed(_) | Done::Local(_) | Done::NoSpace(..) | Done::Cancelled) => {}
            (Some(_), _) => return wrong("answers something else than it was asked"),
        }
        for text in done.texts() {
            let end = (0..=TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
        }
        Ok(Answer { repository, done })
    }

    /// That nothing was left out.
    ///
    /// # Errors
    /// When something was.
    pub(super) fn all(self) -> Result<(), Failure> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(untold) => Err(failure(FailureKind::Observe, format!("nothing was told of {untold}"))),
        }
    }
}

impl Done {
    fn texts(&mut self) -> Vec<&mut String> {
        match self {
            Self::Looked(Mirror::Broken(text) | Mirror::Unproved(text) | Mirror::Unreachable { why: text, .. })
            | Self::Failed(text)
            | Self::Local(text) => vec![text],
            Self::NoSpace(what, why) => vec![what, why],
            Self::Looked(Mirror::Missing | Mirror::Behind(_) | Mirror::Fresh) | Self::Good(_) | Self::Cancelled => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_and_is_not_answered_yet_is_heard() {
        let task = |repository: &str, work| Task {
            repository: repository.to_owned(),
            place: AbsPath::parse("/srv/mirrors/a").unwrap(),
            urls: Vec::new(),
            work,
        };
        let tasks = [task("seen", Work::Look(None)), task("fetched", Work::Fetch), task("filled", Work::Fill(PathBuf::from("/srv/x")))];
        let answer = |repository: &str, done: &Done| Answer { repository: repository.to_owned(), done: done.clone() };
        let (looked, good) = (Done::Looked(Mirror::Broken("x".repeat(TEXT * 2))), Done::Good(Digest::of(b"")));
        let asked = || Asked::of(&tasks);
        for (repository, done) in [("../../etc", &looked), ("other", &good), ("seen", &good), ("fetched", &looked), ("filled", &looked)] {
            let failed = asked().answered(answer(repository, done)).unwrap_err();
            assert!(failed.message.contains("asked"), "{failed:?}");
        }
        let mut all = asked();
        let Answer { done: Done::Looked(Mirror::Broken(why)), .. } = all.answered(answer("seen", &looked)).unwrap() else {
            panic!("another")
        };
        assert_eq!(why.len(), TEXT);
        all.answered(answer("seen", &looked)).unwrap_err();
        all.answered(answer("fetched", &good)).unwrap();
        all.answered(answer("filled", &Done::Failed("it is away".to_owned()))).unwrap();
        all.all().unwrap();
        let mut some = asked();
        some.answered(answer("fetched", &good)).unwrap();
        some.all().unwrap_err();
    }
}
