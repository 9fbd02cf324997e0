//! The user's own files (keys, known hosts, configuration): read whole, and never waited for without end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Dev, OFlags, makedev};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// More bytes than any of these files has.
const MOST: u64 = 16 << 20;

/// Reads a file.
///
/// # Errors
/// It cannot be read; it is a pipe, a device, a directory, or larger than any such file.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut open = open(OpenOptions::new().read(true), file)?;
    let mut bytes = Vec::new();
    (&mut open).take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {} MiB", MOST >> 20)));
    }
    Ok(bytes)
}

/// Opens a file without waiting for a writer, and only where a read comes to an end by itself.
///
/// # Errors
/// As [`read`].
pub(super) fn open(how: &mut OpenOptions, file: &Path) -> io::Result<File> {
    let open = how.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(file)?;
    let metadata = open.metadata()?;
    // Some people have /dev/null for their known hosts (null(4)).
    let is_null = metadata.file_type().is_char_device() && metadata.rdev() as Dev == makedev(1, 3);
    if metadata.is_file() || is_null { Ok(open) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")) }
}

/// Why work on files was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileWorkError {
    /// It takes too long.
    #[error("not done within {seconds} s")]
    Late {
        /// The limit.
        seconds: u64,
    },
    /// This machine has no room for its thread.
    #[error("no thread can be started here: {reason}")]
    NoThread {
        /// Why.
        reason: String,
    },
    /// It panicked: a fault of ours.
    #[error("the work on it broke off")]
    BrokeOff,
}

/// Does work on files within a limit. The work has a thread of its own: one that a dead file system holds is
/// left behind, where a runtime would wait for it at the end of the program.
pub(super) async fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Result<T, FileWorkError> {
    let (tell, told) = oneshot::channel();
    let working = std::thread::Builder::new().name("files".to_owned()).spawn(move || {
        // Nobody waits any more: then nobody is told.
        let _ = tell.send(work());
    });
    working.map_err(|error| FileWorkError::NoThread { reason: error.to_string() })?;
    let told = timeout(limit, told).await.map_err(|_| FileWorkError::Late { seconds: limit.as_secs() })?;
    told.map_err(|_| FileWorkError::BrokeOff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_not_told_as_late() {
        assert_eq!(within(Duration::from_secs(60), || 7).await, Ok(7));
        assert_eq!(within(Duration::from_secs(60), || panic!("planted")).await, Err::<(), _>(FileWorkError::BrokeOff));
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        let late = within(Duration::ZERO, move || never.recv().is_err()).await;
        assert_eq!(late, Err(FileWorkError::Late { seconds: 0 }));
    }
}
