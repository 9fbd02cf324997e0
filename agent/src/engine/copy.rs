//! Root's copy of the agent: verified, durable, named by its digest, and only then run.

use super::StatePaths;
use crate::host::Host;
use crate::host::accounts::Accounts;
use crate::host::own::Durable;
use ostler_roles::words::Digest;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The running program's own file, also when it was renamed or unlinked.
const SELF: &str = "/proc/self/exe";
/// Largest agent that is believed.
const CAP: u64 = 256 * 1024 * 1024;
/// Copies that are kept: the newest ones, for controllers of different versions.
const KEPT: usize = 4;

/// What stands in the way of a copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// Our own file cannot be read.
    #[error("read the agent's own file")]
    ReadSelf(#[source] std::io::Error),
    /// Our own file is not what its name says.
    #[error("the agent's file is {found}, not {wanted} as its name says")]
    NotOurs {
        /// What it should be.
        wanted: Digest,
        /// What it is.
        found: Digest,
    },
    /// The copy cannot be made.
    #[error("write {}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The digest in the running file's name; where it has none, the file is hashed.
///
/// # Errors
/// When it has none and cannot be read.
pub fn own_digest() -> Result<Digest, CopyError> {
    let path = own_file().map_err(CopyError::ReadSelf)?;
    let named = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("agent-"));
    match named.and_then(|digits| Digest::parse(digits).ok()) {
        Some(digest) => Ok(digest),
        None => read_self().map(|bytes| Digest::of(&bytes)),
    }
}

/// The name of the account that we run as; its number where it is not in /etc/passwd.
pub fn own_account() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let accounts = Host::running().and_then(|host| Accounts::read(&host)).unwrap_or_default();
    accounts.of_uid(uid).map_or_else(|| uid.to_string(), |account| account.name.clone())
}

/// Where the running program's file is, also when another controller has put its equal in its place: the kernel then marks the old
/// name as deleted (proc_pid_exe(5)).
///
/// # Errors
/// When the kernel does not say.
pub fn own_file() -> std::io::Result<PathBuf> {
    std::fs::read_link(SELF).map(unmarked)
}

fn unmarked(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(name) if !path.exists() => Path::new(OsStr::from_bytes(name)).to_owned(),
        _ => path,
    }
}

fn read_self() -> Result<Vec<u8>, CopyError> {
    let mut bytes = Vec::new();
    File::open(SELF).and_then(|file| file.take(CAP).read_to_end(&mut bytes)).map_err(CopyError::ReadSelf)?;
    Ok(bytes)
}

/// Root's copy, when there is one that only root can alter: it was verified before it was named.
pub fn roots_copy(paths: &StatePaths, digest: &Digest) -> Option<PathBuf> {
    let path = paths.copy_of(digest);
    let safe = |metadata: &std::fs::Metadata| metadata.uid() == 0 && metadata.mode() & 0o022 == 0;
    let directories = [paths.bin().to_path_buf(), paths.state.clone()];
    let guarded =
        directories.iter().all(|directory| std::fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir() && safe(&found)));
    let file = std::fs::symlink_metadata(&path).ok().filter(|_| guarded)?;
    (file.is_file() && file.mode() & 0o111 == 0o111 && safe(&file)).then(|| path.to_path_buf())
}

/// Makes root's copy of the running file, which must be `digest`, and names it.
///
/// # Errors
/// When the running file is another, or the copy cannot be written.
pub fn install(paths: &StatePaths, digest: &Digest) -> Result<PathBuf, CopyError> {
    if let Some(path) = roots_copy(paths, digest) {
        return Ok(path);
    }
    let bytes = read_self()?;
    let found = Digest::of(&bytes);
    if found != *digest {
        return Err(CopyError::NotOurs { wanted: *digest, found });
    }
    let path = paths.copy_of(digest);
    // Everybody may read and run it, root alone may write.
    let written = path.write_below(&bytes, 0o755, 0o755, Durable::Yes);
    written.map_err(|source| CopyError::Write { path: path.to_path_buf(), source })?;
    prune(paths, digest);
    Ok(path.to_path_buf())
}

/// Removes the oldest copies. One that cannot be removed stays: it does no harm.
fn prune(paths: &StatePaths, newest: &Digest) {
    let newest = format!("agent-{newest}");
    let names = paths.bin().names().unwrap_or_default();
    let others = names.iter().filter_map(|name| name.to_str()).filter(|name| *name != newest);
    let mut copies: Vec<(SystemTime, &str)> =
        others.filter_map(|name| Some((paths.bin().below(name).length_and_time().ok()??.1, name))).collect();
    copies.sort();
    let spare = copies.len().saturating_sub(KEPT - 1);
    for (_, name) in &copies[..spare] {
        let _ = paths.bin().below(name).remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_by_its_equal_is_still_where_it_was() {
        let place = |text: &str| unmarked(PathBuf::from(text));
        assert_eq!(place("/nowhere/agent-1 (deleted)"), Path::new("/nowhere/agent-1"));
        assert_eq!(place("/nowhere/agent-1"), Path::new("/nowhere/agent-1"));
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("agent (deleted)");
        std::fs::write(&real, "").unwrap();
        assert_eq!(unmarked(real.clone()), real);
    }
}
