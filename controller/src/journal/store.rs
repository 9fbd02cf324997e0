//! What is kept of a site beyond one run: values, locks, logs. Nothing here assumes that one machine keeps them.

use super::StateError;
use ostler_roles::words::{MasterName, NodeName, RunId};
use std::path::Path;
use std::time::Duration;

/// Where a value is kept or what a lock is of: a room and names in it, none of which leads out of the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The facts that a node told last.
    pub fn facts(node: &NodeName) -> Self {
        Self(format!("facts/{node}"))
    }

    /// On what a node's labels rest.
    pub fn proofs(node: &NodeName) -> Self {
        Self(format!("proofs/{node}"))
    }

    /// The program that this master gave for its agents.
    pub fn program(master: &MasterName) -> Self {
        Self(format!("programs/{master}"))
    }

    /// A node, for whoever changes it.
    pub fn node(node: &NodeName) -> Self {
        Self(format!("node/{node}"))
    }

    /// Below any directory.
    pub(super) fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Who has a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `user@host`, and what it does.
    pub owner: String,
    /// For how long.
    pub age: Duration,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub enum Locked {
    /// It is ours until this is dropped.
    Ours(Lease),
    /// Somebody else has it.
    Held(Holder),
}

/// A lock that is held: it ends with this value, and with the process.
#[derive(Debug)]
pub struct Lease {
    _held: Box<dyn std::fmt::Debug + Send + Sync>,
}

impl Lease {
    /// What holds it while it lives.
    pub(super) fn new(held: impl std::fmt::Debug + Send + Sync + 'static) -> Self {
        Self { _held: Box::new(held) }
    }
}

/// A run's log that only grows.
pub trait Log: std::fmt::Debug + Send {
    /// Appends one line; it survives this process when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    fn append(&mut self, line: &str) -> Result<(), StateError>;
    /// Where people find it.
    fn place(&self) -> String;
}

/// Keeps what belongs to one site. Blocks; every wait has a deadline.
pub trait Store: std::fmt::Debug + Send + Sync {
    /// The value; none where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StateError>;
    /// Compares and swaps: `to` takes the place of `from`, where `from` is what is there (none: nothing). False: another value is. What was
    /// swapped survives a power cut.
    ///
    /// # Errors
    /// When it cannot be read, written or locked.
    fn swap(&self, key: &Key, from: Option<&[u8]>, to: Option<&[u8]>) -> Result<bool, StateError>;
    /// Replaces a value, whole or not at all. For what is only a memory: a power cut may lose it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put(&self, key: &Key, value: &[u8]) -> Result<(), StateError>;
    /// Takes a lock, without waiting.
    ///
    /// # Errors
    /// When it can be neither taken nor asked after.
    fn lock(&self, key: &Key, owner: &str) -> Result<Locked, StateError>;
    /// The key under which secrets are compared, made once.
    ///
    /// # Errors
    /// When it can neither be read nor made.
    fn secret_key(&self) -> Result<Vec<u8>, StateError>;
    /// A new log, which stays locked while it is written.
    ///
    /// # Errors
    /// When it cannot be made.
    fn begin_log(&self, run: &RunId) -> Result<Box<dyn Log>, StateError>;
    /// The lines of a log, all that are whole.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read_log(&self, run: &RunId) -> Result<Vec<String>, StateError>;
    /// All logs with their ages, the youngest first.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn logs(&self) -> Result<Vec<(RunId, Duration)>, StateError>;
    /// Removes a log, unless it is still being written.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove_log(&self, run: &RunId) -> Result<(), StateError>;
}
