//! A directory for the time of one command: gone with it, also after SIGKILL.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::FlockOperation;

use super::error::ImageError;

/// Waits for the end of its standard input, which comes however the other end goes, and removes the directory. What was just killed may
/// still have made a file meanwhile.
const REMOVE: &str = "cat >/dev/null; for i in 1 2 3 4 5; do rm -rf -- \"$1\" && exit; sleep 0.2; done";

/// The directory, private. After a power failure the next one removes it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Removes it.
    remover: Child,
    /// Locked for as long as it is used.
    _held: File,
}

impl Scratch {
    /// Makes one below a directory of many, and removes those that nobody uses any more.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn below(many: &Path) -> Result<Self, ImageError> {
        DirBuilder::new().recursive(true).mode(0o700).create(many).map_err(ImageError::file("create directory", many))?;
        let lock = File::open(many).map_err(ImageError::file("open", many))?;
        // Given up with `lock`: what was just made is locked by then.
        rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|error| ImageError::file("lock", many)(error.into()))?;
        sweep(many)?;
        let mut number = std::process::id();
        let path = loop {
            let path = many.join(number.to_string());
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number = number.wrapping_add(1),
                Err(error) => return Err(ImageError::file("create directory", &path)(error)),
            }
        };
        let held = File::open(&path).map_err(ImageError::file("open", &path))?;
        rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| ImageError::file("lock", &path)(error.into()))?;
        // In a process group of its own: a Ctrl-C is not for it.
        let mut command = Command::new("sh");
        command.args(["-c", REMOVE, "sh"]).arg(&path).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let remover = command.spawn().map_err(ImageError::system("start sh"))?;
        Ok(Self { path, remover, _held: held })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
        // What it could not remove is removed by the next one.
        let _ = self.remover.wait();
    }
}

fn sweep(many: &Path) -> Result<(), ImageError> {
    let list = fs::read_dir(many).map_err(ImageError::file("list", many))?;
    for path in list.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let is_free = File::open(&path).is_ok_and(|dir| rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok());
        if is_free {
            // Its own remover may be at it.
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_with_its_owner_and_what_is_left_of_others_goes_before() {
        let many = tempfile::tempdir().unwrap();
        let left = many.path().join("1");
        fs::create_dir_all(left.join("deep")).unwrap();
        let (one, other) = (Scratch::below(many.path()).unwrap(), Scratch::below(many.path()).unwrap());
        assert!(!left.exists() && one.path().is_dir() && one.path() != other.path());
        let path = one.path().to_owned();
        fs::write(path.join("file"), "text").unwrap();
        drop(one);
        assert!(!path.exists() && other.path().is_dir());
    }
}
