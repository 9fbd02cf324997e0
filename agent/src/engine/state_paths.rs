//! Where the agent keeps what outlives a process. A parameter, so that tests use directories of their own.

use ostler_roles::words::{Digest, RunId};
use std::path::{Path, PathBuf};

/// The directories of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePaths {
    /// Survives reboots: `/var/lib/ostler`.
    pub state: PathBuf,
    /// Kept in memory: `/run/ostler`.
    pub run: PathBuf,
    /// Kept in memory where `/run` is not: `/dev/shm/ostler`.
    pub shm: PathBuf,
}

impl Default for StatePaths {
    /// Those of a real node.
    fn default() -> Self {
        Self { state: "/var/lib/ostler".into(), run: "/run/ostler".into(), shm: "/dev/shm/ostler".into() }
    }
}

impl StatePaths {
    /// Every place below one directory, for tests.
    pub fn below(directory: &Path) -> Self {
        Self { state: directory.join("state"), run: directory.join("run"), shm: directory.join("shm") }
    }
    /// Root's copies of the agent.
    pub fn bin(&self) -> PathBuf {
        self.state.join("bin")
    }
    /// Root's copy of one agent.
    pub fn copy_of(&self, digest: &Digest) -> PathBuf {
        self.bin().join(format!("agent-{digest}"))
    }
    pub(crate) fn node(&self) -> PathBuf {
        self.state.join("node")
    }
    pub(crate) fn pending(&self) -> PathBuf {
        self.state.join("pending")
    }
    /// Held while a `Go` is being carried out.
    pub fn go_lock(&self) -> PathBuf {
        self.state.join("lock/go")
    }
    /// Held by the runner as long as it lives.
    pub fn run_lock(&self) -> PathBuf {
        self.state.join("lock/run")
    }
    pub(crate) fn blobs(&self) -> PathBuf {
        self.state.join("blobs")
    }
    pub(crate) fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }
    /// What is kept of one run.
    pub fn of_run(&self, run: &RunId) -> PathBuf {
        self.runs().join(run.as_str())
    }
    pub(crate) fn catalog(&self, run: &RunId) -> PathBuf {
        self.of_run(run).join("catalog")
    }
    pub(crate) fn plan(&self, run: &RunId) -> PathBuf {
        self.of_run(run).join("plan")
    }
    /// The journal of one run.
    pub fn journal(&self, run: &RunId) -> PathBuf {
        self.of_run(run).join("journal")
    }
    /// What one run keeps in memory: cancel, progress.
    pub fn in_memory(&self, run: &RunId) -> PathBuf {
        self.run.join(run.as_str())
    }
}
