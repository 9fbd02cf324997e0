//! Advisory locks that go with the process: flock(2) on files that stay.

use super::{EngineError, stored};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// A lock held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; none when another process has it still after `patience`.
    ///
    /// # Errors
    /// When the file cannot be made or locked at all.
    pub fn take(path: &Path, patience: Duration) -> Result<Option<Self>, EngineError> {
        if let Some(directory) = path.parent() {
            stored::make_directory(directory, 0o755)?;
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path);
        let file = opened.map_err(EngineError::write(path))?;
        let end = Instant::now() + patience;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() >= end => return Ok(None),
                // flock(2) has no deadline of its own: ask again, seldom enough to cost nothing.
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(EngineError::Lock { path: path.to_owned(), source: error.into() }),
            }
        }
    }
}

/// Whether some process holds the lock. Asks with a shared lock, so that two who ask do not see each other.
///
/// # Errors
/// When the file is there and cannot be opened or asked.
pub fn is_held(path: &Path) -> Result<bool, EngineError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(EngineError::read(path)(error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(EngineError::Lock { path: path.to_owned(), source: error.into() }),
    }
}
