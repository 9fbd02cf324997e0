//! Where the agent keeps what outlives a process. A parameter, so that tests use directories of their own.

use crate::host::own::{OwnDirectory, OwnPath};
use ostler_roles::challenge::{DIRECTORY, Place};
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
    /// Nonces, which jobs may read: `/run/ostler-proof`.
    pub proofs: PathBuf,
}

impl Default for StatePaths {
    /// Those of a real node.
    fn default() -> Self {
        Self { state: "/var/lib/ostler".into(), run: "/run/ostler".into(), shm: "/dev/shm/ostler".into(), proofs: DIRECTORY.into() }
    }
}

impl StatePaths {
    /// Every place below one directory, for tests.
    pub fn below(directory: &Path) -> Self {
        Self { state: directory.join("state"), run: directory.join("run"), shm: directory.join("shm"), proofs: directory.join("proofs") }
    }
    /// A place in the state: others may enter it, to run root's copy and to read the record.
    fn in_state(&self, rest: impl Into<PathBuf>) -> OwnPath {
        OwnDirectory::new(&self.state, 0o755).join(rest)
    }
    /// Root's copies of the agent.
    pub fn bin(&self) -> OwnPath {
        self.in_state("bin")
    }
    /// Root's copy of one agent.
    pub fn copy_of(&self, digest: &Digest) -> OwnPath {
        self.bin().below(&format!("agent-{digest}"))
    }
    pub(crate) fn node(&self) -> OwnPath {
        self.in_state("node")
    }
    pub(crate) fn pending(&self) -> OwnPath {
        self.in_state("pending")
    }
    /// Held while a `Go` is being carried out.
    pub fn go_lock(&self) -> OwnPath {
        self.in_state("lock/go")
    }
    /// Held by the runner as long as it lives.
    pub fn run_lock(&self) -> OwnPath {
        self.in_state("lock/run")
    }
    pub(crate) fn blobs(&self) -> OwnPath {
        self.in_state("blobs")
    }
    pub(crate) fn runs(&self) -> OwnPath {
        self.in_state("runs")
    }
    /// What is kept of one run.
    pub fn of_run(&self, run: &RunId) -> OwnPath {
        self.runs().below(run.as_str())
    }
    pub(crate) fn catalog(&self, run: &RunId) -> OwnPath {
        self.of_run(run).below("catalog")
    }
    pub(crate) fn plan(&self, run: &RunId) -> OwnPath {
        self.of_run(run).below("plan")
    }
    /// The journal of one run.
    pub fn journal(&self, run: &RunId) -> OwnPath {
        self.of_run(run).below("journal")
    }
    /// What runs keep while they are at work: cancel, progress, and secrets where it is in memory.
    pub(crate) fn while_running(&self) -> OwnDirectory {
        OwnDirectory::new(&self.run, 0o700)
    }
    /// What one run keeps while it is at work.
    pub fn in_memory(&self, run: &RunId) -> OwnPath {
        self.while_running().join(run.as_str())
    }
    /// Where nonces are: passed by everybody, listed by nobody.
    pub(crate) fn all_proofs(&self) -> OwnDirectory {
        OwnDirectory::new(&self.proofs, 0o711)
    }
    /// Where one nonce is.
    pub fn proof(&self, place: Place) -> OwnPath {
        self.all_proofs().join(place.name())
    }
    /// Shared by all conversations that have a nonce there.
    pub(crate) fn proof_lock(&self) -> OwnPath {
        self.in_state("lock/proof")
    }
    /// The one store of secrets: `/run` where that is in memory, as with systemd; else `/dev/shm`.
    pub(crate) fn secrets(&self) -> OwnDirectory {
        let run = self.while_running();
        if run.is_in_memory() { run } else { OwnDirectory::new(&self.shm, 0o700) }
    }
}
