//! What the controller keeps: the events of its runs, the facts that nodes told last, what stands for the credentials that it sent, whose
//! proof is owed, the key for secrets' HMACs. All below the XDG state directory, private from birth.

mod credentials;
mod facts;
mod key;
mod proof;
mod run;

pub use credentials::CredentialStore;
pub use facts::FactStore;
pub use key::site_key;
pub use proof::ProofStore;
pub use run::{RunStore, new_run};

use std::path::PathBuf;

/// What can go wrong with kept state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file could not be read.
    #[error("read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The kernel gives no random bytes.
    #[error("make a key: {0}")]
    Random(#[source] rustix::io::Errno),
}

/// Writes a private file aside and renames it.
fn write_private(path: &std::path::Path, bytes: &[u8]) -> Result<(), StateError> {
    let aside = write_aside(path, bytes)?;
    std::fs::rename(&aside, path).map_err(|source| StateError::Write { path: path.to_owned(), source })
}

/// Makes a private file, whole from birth; false where there is one already, which stays.
fn create_private(path: &std::path::Path, bytes: &[u8]) -> Result<bool, StateError> {
    let aside = write_aside(path, bytes)?;
    let linked = std::fs::hard_link(&aside, path);
    // A second name of the same file, or one that nobody will ever read.
    let _ = std::fs::remove_file(&aside);
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(StateError::Write { path: path.to_owned(), source }),
    }
}

/// A private file beside `path`, of this thread alone.
fn write_aside(path: &std::path::Path, bytes: &[u8]) -> Result<PathBuf, StateError> {
    use std::io::Write;
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let failed = |source| StateError::Write { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    }
    let aside = path.with_extension(format!("new-{}", rustix::thread::gettid().as_raw_nonzero()));
    let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside).map_err(failed)?;
    out.write_all(bytes).map_err(failed)?;
    Ok(aside)
}
