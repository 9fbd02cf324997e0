//! Writing a newly accepted key down: one line, whole or not at all, under a lock.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use russh::keys::PublicKey;
use rustix::fs::{FlockOperation, flock};

use super::pattern::write_hashed;
use super::verdict::{Presented, Records, Verdict};

/// Why a key could not be written down.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The file could not be read or written.
    #[error("write {}: {reason}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another run has recorded another key for this host since we looked.
    #[error("{} now holds another key for this host", file.display())]
    Raced {
        /// The file.
        file: PathBuf,
    },
    /// `UserKnownHostsFile none`: the machine's own files are not ours to write.
    #[error("there is no known_hosts file of the user's own")]
    NoFile,
    /// The key cannot be written in OpenSSH's form.
    #[error("the key has no OpenSSH form")]
    Unwritable,
}

/// Adds `key` for the host `name` to `file`, which is made private (0600, its directory 0700) when it is missing. A key
/// that another run added meanwhile is not added twice.
///
/// # Errors
/// [`AppendError`].
pub fn append(file: &Path, name: &str, key: &PublicKey, hash_name: bool) -> Result<(), AppendError> {
    let io = |error: io::Error| AppendError::Io { file: file.to_owned(), reason: error.to_string() };
    let mut open = open(file).map_err(io)?;
    flock(&open, FlockOperation::LockExclusive).map_err(|errno| io(errno.into()))?;
    let mut text = String::new();
    open.read_to_string(&mut text).map_err(io)?;
    match Records::of([(file, text.as_str())], name, None, name).judge(Presented::Key(key), SystemTime::now()) {
        Verdict::Known => return Ok(()),
        Verdict::Unknown => {}
        Verdict::Changed { .. } | Verdict::Revoked { .. } | Verdict::BadCertificate { .. } => {
            return Err(AppendError::Raced { file: file.to_owned() });
        }
    }
    let shown = if hash_name { write_hashed(&salt().map_err(io)?, name) } else { Some(name.to_owned()) };
    let line = shown.zip(key.to_openssh().ok()).ok_or(AppendError::Unwritable)?;
    let key_without_comment: Vec<_> = line.1.split_ascii_whitespace().take(2).collect();
    let before = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let whole = format!("{before}{} {}\n", line.0, key_without_comment.join(" "));
    open.write_all(whole.as_bytes()).and_then(|()| sync(&open)).map_err(io)
}

fn open(file: &Path) -> io::Result<File> {
    if let Some(parent) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)
}

/// `/dev/null`, which some people have for their known hosts, has nothing to sync.
fn sync(file: &File) -> io::Result<()> {
    file.sync_data().or_else(|error| if error.kind() == io::ErrorKind::InvalidInput { Ok(()) } else { Err(error) })
}

/// Twenty random bytes, as OpenSSH takes (the length of a SHA-1 digest).
fn salt() -> io::Result<[u8; 20]> {
    let mut salt = [0; 20];
    File::open("/dev/urandom")?.read_exact(&mut salt)?;
    Ok(salt)
}
