//! Advisory locks that go with the process: flock(2) on files that stay, and that nobody but us may open.

use super::EngineError;
use crate::host::own::OwnPath;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::time::{Duration, Instant};

/// A lock held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock; none when another process has it still after `patience`.
    ///
    /// # Errors
    /// When the file cannot be made or locked at all.
    pub fn take(path: &OwnPath, patience: Duration) -> Result<Option<Self>, EngineError> {
        Self::ask(path, patience, FlockOperation::NonBlockingLockExclusive)
    }

    /// The same, beside others who share it.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub fn share(path: &OwnPath, patience: Duration) -> Result<Option<Self>, EngineError> {
        Self::ask(path, patience, FlockOperation::NonBlockingLockShared)
    }

    /// Gives it up before its end: where a thread that the kernel keeps holds the file open with it.
    pub fn release(&self) {
        // What cannot be given up is given up by the end of the process.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }

    fn ask(path: &OwnPath, patience: Duration, how: FlockOperation) -> Result<Option<Self>, EngineError> {
        let file = path.open_lock().map_err(EngineError::write(path))?;
        let end = Instant::now() + patience;
        loop {
            match flock(&file, how) {
                Ok(()) => return Ok(Some(Self { file })),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() >= end => return Ok(None),
                // flock(2) has no deadline of its own: ask again, seldom enough to cost nothing.
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => return Err(EngineError::Lock { path: path.to_path_buf(), source: error.into() }),
            }
        }
    }
}

/// Whether some process holds the lock. Asks with a shared lock, so that two who ask do not see each other. On a file that others may
/// open, as an older version made them, anybody may hold one: that says nothing.
///
/// # Errors
/// When the file is there and cannot be opened or asked.
pub fn is_held(path: &OwnPath) -> Result<bool, EngineError> {
    let Some(file) = path.open().map_err(EngineError::read(path))? else { return Ok(false) };
    if rustix::fs::fstat(&file).is_ok_and(|stat| stat.st_mode & 0o077 != 0) {
        return Ok(false);
    }
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(EngineError::Lock { path: path.to_path_buf(), source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::StatePaths;
    use super::*;
    use crate::host::tests::{as_nobody, proves_as_root};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn no_other_account_can_take_or_hold_a_lock_of_ours() {
        if !proves_as_root("another account cannot hold our locks") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let lock = StatePaths::below(directory.path()).run_lock();
        // As an older version made it: everybody may open it, and whoever opens it may hold it.
        std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
        std::fs::write(&lock, "").unwrap();
        let script = "exec 9<\"$0\" && flock 9 && echo held && exec sleep 600";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).arg(&*lock).uid(65_534).gid(65_534).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0; 4]).unwrap();
        assert!(!is_held(&lock).unwrap(), "what anybody may hold says nothing");
        let ours = Lock::take(&lock, Duration::ZERO).unwrap().expect("a lock that is only ours");
        assert!(is_held(&lock).unwrap());
        assert!(Lock::take(&lock, Duration::ZERO).unwrap().is_none(), "held by us");
        assert!(!as_nobody(directory.path(), "flock -n state/lock/run true || flock -n state/lock true"));
        drop(ours);
        assert!(!as_nobody(directory.path(), "flock -n state/lock/run true || flock -n state/lock true"));
        assert!(!is_held(&lock).unwrap());
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
}
