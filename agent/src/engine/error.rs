//! What can go wrong with our own files and processes.

use std::path::{Path, PathBuf};

/// A failure of the engine itself, never of a resource.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file or directory of ours could not be read.
    #[error("read {}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or directory of ours could not be written, synced or removed.
    #[error("write {}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of ours holds something else than it should.
    #[error("make sense of {}: {why}", .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A lock could not be asked for.
    #[error("lock {}", .path.display())]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Neither /run nor /dev/shm is kept in memory.
    #[error("keep secrets in memory: neither {} nor {} is a tmpfs", .run.display(), .shm.display())]
    NoTmpfs {
        /// First choice.
        run: PathBuf,
        /// Second choice.
        shm: PathBuf,
    },
    /// The file system of our state has no room.
    #[error("keep the run's plan and journal{}: {place}", .wanted.map_or_else(String::new, |wanted| format!(", at least {wanted}")))]
    NoRoom {
        /// How much is needed at least, where that is known.
        wanted: Option<ostler_roles::words::Bytes>,
        /// Where.
        place: super::state_file_system::StateFileSystem,
    },
    /// The node cannot be reached at all.
    #[error("open the node: {why}")]
    Provider {
        /// Why.
        why: String,
    },
    /// Root's copy of the agent could not be made.
    #[error("keep a copy of the agent for root")]
    Copy(#[from] super::CopyError),
    /// Another `Go` does not come to its end.
    #[error("wait for a run that is being started: it takes more than {seconds} s")]
    Busy {
        /// How long was waited.
        seconds: u64,
    },
    /// A program of ours could not be started.
    #[error("start {program}")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program of ours ended badly.
    #[error("start the runner with {program}: {said}")]
    Ended {
        /// Which.
        program: String,
        /// Its status and last words.
        said: String,
    },
    /// The runner did not begin in time.
    #[error("see the runner begin within {seconds} s{said}")]
    Late {
        /// How long was waited.
        seconds: u64,
        /// What it said, where that is known.
        said: String,
    },
}

impl EngineError {
    /// For `map_err` on reading `path`.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
    /// For `map_err` on writing `path`.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
    /// What was to be written when it failed.
    pub(super) fn written(&self) -> Option<&Path> {
        match self {
            Self::Write { path, .. } | Self::Lock { path, .. } | Self::Copy(super::CopyError::Write { path, .. }) => Some(path),
            Self::Copy(super::CopyError::ReadSelf(_) | super::CopyError::NotOurs { .. })
            | Self::Read { .. }
            | Self::Content { .. }
            | Self::NoTmpfs { .. }
            | Self::NoRoom { .. }
            | Self::Provider { .. }
            | Self::Busy { .. }
            | Self::Start { .. }
            | Self::Ended { .. }
            | Self::Late { .. } => None,
        }
    }
    /// The whole chain in one line, for refusals and notes.
    pub fn told(&self) -> String {
        chain(self)
    }
}

/// An error and what lies below it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(below) = cause {
        text.push_str(": ");
        text.push_str(&below.to_string());
        cause = below.source();
    }
    text
}
