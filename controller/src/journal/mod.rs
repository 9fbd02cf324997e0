//! What the controller keeps of a site, by the site's id: the events of its runs, the facts that nodes told last, on what labels rest, the key for secrets' HMACs. Behind one trait, [`Store`]; its one make is files below
//! the XDG state directory, private from birth.

mod facts;
mod files;
mod key;
mod place;
mod proof;
mod run;
mod store;

pub use facts::FactStore;
pub use files::FileStore;
pub use place::site_directory;
pub use proof::{ProofStore, Seen};
pub use run::{KEPT_DAYS, KEPT_RUNS, Record, RunLog, prune_logs, read_run};
pub use store::{Holder, Key, Lease, Locked, Log, Store};

use crate::private::{self, Durable, FileError};
use ostler_roles::words::{NodeName, RunId};
use std::path::{Path, PathBuf};

/// What can go wrong with kept state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A lock could not be asked for.
    #[error("lock {path}")]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A lock that is held for moments was held for too long.
    #[error("another process has held {path} for {seconds} s")]
    Busy {
        /// Which.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A value is none of ours, or of another version.
    #[error("understand {key} of the site's state: {why}")]
    Value {
        /// Which.
        key: Key,
        /// Why.
        why: String,
    },
    /// Others write the same value all the time.
    #[error("note that {node} is about to be changed: other runs keep writing the same note")]
    Contested {
        /// Which node.
        node: NodeName,
    },
    /// A line of a run's log is none of ours, or of another version.
    #[error("understand line {number} of the log of run {}: {why}", run.short())]
    Record {
        /// Whose log.
        run: RunId,
        /// Which line, from 1.
        number: usize,
        /// Why.
        why: String,
    },
    /// The kernel gives no random bytes.
    #[error("make a key: {0}")]
    Random(#[source] rustix::io::Errno),
}

/// Writes a private file.
fn write_private(path: &Path, bytes: &[u8], durable: Durable) -> Result<(), StateError> {
    Ok(private::write(path, bytes, durable).map_err(FileError::write(path))?)
}

/// Makes a private file, whole from birth and on the disk; false where there is one already, which stays.
fn create_private(path: &Path, bytes: &[u8]) -> Result<bool, StateError> {
    Ok(private::create(path, bytes).map_err(FileError::write(path))?)
}
