//! Writing a newly accepted key down: one line, whole or not at all, under a lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use russh::keys::PublicKey;

use super::pattern::write_hashed;
use super::verdict::{Presented, Records, Verdict};
use crate::transport::files;

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
    /// Another program has it locked.
    #[error("write {}: another program has held its lock for {seconds} s", file.display())]
    Locked {
        /// The file.
        file: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// In the file this name would speak for other hosts too.
    #[error("`{name}` is not the name of one host")]
    Name {
        /// The name.
        name: String,
    },
    /// The key cannot be written in OpenSSH's form.
    #[error("the key has no OpenSSH form")]
    Unwritable,
}

/// How long another program may hold the file's lock, and how often it is asked for.
const LOCK: Duration = Duration::from_secs(5);
const ASKED_EACH: Duration = Duration::from_millis(50);

/// Who of this program may write.
static TURN: Mutex<()> = Mutex::new(());

/// Adds `key` for the host `name` to `file`, which is made private (0600, its directory 0700) when it is missing. A key
/// that another run added meanwhile is not added twice; one that finds no room leaves nothing behind.
///
/// # Errors
/// [`AppendError`].
pub fn append(file: &Path, name: &str, key: &PublicKey, hash_name: bool) -> Result<(), AppendError> {
    if name.is_empty() || name.contains(|c: char| "*?!,|#@".contains(c) || c.is_whitespace() || c.is_control()) {
        return Err(AppendError::Name { name: name.to_owned() });
    }
    let io = |error: io::Error| AppendError::Io { file: file.to_owned(), reason: error.to_string() };
    // Our own writers, one for each new node, come one after another, and their wait is not blamed on another program.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut open = open(file).map_err(io)?;
    lock(&open, file)?;
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes).map_err(io)?;
    // A comment may be in any character set.
    match Records::of([(file, String::from_utf8_lossy(&bytes).as_ref())], name, None, name).judge(Presented::Key(key), SystemTime::now()) {
        Verdict::Known => return Ok(()),
        Verdict::Unknown => {}
        Verdict::Changed { .. } | Verdict::Revoked { .. } | Verdict::BadCertificate { .. } => {
            return Err(AppendError::Raced { file: file.to_owned() });
        }
    }
    let shown = if hash_name { write_hashed(&salt().map_err(io)?, name) } else { Some(name.to_owned()) };
    let line = shown.zip(key.to_openssh().ok()).ok_or(AppendError::Unwritable)?;
    let key_without_comment: Vec<_> = line.1.split_ascii_whitespace().take(2).collect();
    let before = if bytes.is_empty() || bytes.ends_with(b"\n") { "" } else { "\n" };
    let whole = format!("{before}{} {}\n", line.0, key_without_comment.join(" "));
    let written = open.write_all(whole.as_bytes()).and_then(|()| sync(&open));
    written.map_err(|error| {
        // Where even this fails the next writer ends the half line, and no reader takes it for a key.
        let _ = open.set_len(bytes.len() as u64);
        io(error)
    })
}

fn open(file: &Path) -> io::Result<File> {
    if let Some(parent) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    files::open(OpenOptions::new().read(true).append(true).create(true).mode(0o600), file)
}

/// Takes the lock, which ends with the file's closing.
fn lock(open: &File, file: &Path) -> Result<(), AppendError> {
    let began = Instant::now();
    loop {
        match open.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK => std::thread::sleep(ASKED_EACH),
            Err(TryLockError::WouldBlock) => return Err(AppendError::Locked { file: file.to_owned(), seconds: LOCK.as_secs() }),
            Err(TryLockError::Error(error)) => return Err(AppendError::Io { file: file.to_owned(), reason: error.to_string() }),
        }
    }
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
