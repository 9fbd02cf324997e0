//! Writing a newly accepted key down: one line, whole or not at all, under a lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use russh::keys::PublicKey;

use super::file::KnownHostsFile;
use super::pattern::write_hashed;
use super::verdict::{Presented, Records, Verdict};
use crate::private;
use crate::transport::files;

/// Why a key could not be written down.
#[derive(Debug, Clone, thiserror::Error)]
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

/// Who of this program may write: whoever has the turn writes for all that wait, in one go.
static TURN: Mutex<()> = Mutex::new(());
static WAITING: Mutex<Vec<Arc<Request>>> = Mutex::new(Vec::new());

/// One key to be written down.
#[derive(Debug)]
struct Request {
    file: PathBuf,
    name: String,
    key: PublicKey,
    hash_name: bool,
    answer: Mutex<Option<Result<(), AppendError>>>,
}

impl Request {
    fn answer(&self, answer: Result<(), AppendError>) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
    fn take(&self) -> Option<Result<(), AppendError>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Adds `key` for the host `name` to `file`, which is made private (0600, its directory 0700) when it is missing. A key
/// that another run added meanwhile is not added twice; one that finds no room leaves nothing behind. Keys that are added at once are written and
/// synced together.
///
/// # Errors
/// [`AppendError`].
pub fn append(file: &Path, name: &str, key: &PublicKey, hash_name: bool) -> Result<(), AppendError> {
    if name.is_empty() || name.contains(|c: char| "*?!,|#@".contains(c) || c.is_whitespace() || c.is_control()) {
        return Err(AppendError::Name { name: name.to_owned() });
    }
    let (file, name) = (file.to_owned(), name.to_owned());
    let own = Arc::new(Request { file, name, key: key.clone(), hash_name, answer: Mutex::new(None) });
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&own));
    // Our own writers come one after another, and their wait is not blamed on another program.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(answer) = own.take() {
        return answer;
    }
    let all: Vec<_> = WAITING.lock().unwrap_or_else(PoisonError::into_inner).extract_if(.., |request| request.file == own.file).collect();
    let written = write_all(&own.file, &all);
    for request in &all {
        // Whoever has an answer of his own is not written.
        if request.answer.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
            request.answer(written.clone());
        }
    }
    own.take().unwrap_or(Ok(()))
}

/// Writes the lines of all these in one go; one that must not be written is answered. `ssh-keygen -R` takes no lock and puts a new file in this
/// one's place: then they are written into that.
fn write_all(file: &Path, all: &[Arc<Request>]) -> Result<(), AppendError> {
    let io = |error: io::Error| AppendError::Io { file: file.to_owned(), reason: error.to_string() };
    let began = Instant::now();
    loop {
        let open = open(file).map_err(io)?;
        lock(&open, file, began)?;
        write_into(&open, file, all)?;
        if has_the_name(&open, file) {
            return Ok(());
        }
        if began.elapsed() >= LOCK {
            return Err(io(io::Error::other("another program puts new files in its place")));
        }
        // What was said of the old file is not said of the new one.
        all.iter().for_each(|request| drop(request.take()));
    }
}

fn write_into(mut open: &File, file: &Path, all: &[Arc<Request>]) -> Result<(), AppendError> {
    let io = |error: io::Error| AppendError::Io { file: file.to_owned(), reason: error.to_string() };
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes).map_err(io)?;
    // A comment may be in any character set.
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let before = if bytes.is_empty() || bytes.ends_with(b"\n") { "" } else { "\n" };
    let mut whole = String::from(before);
    for request in all {
        match line(request, &text) {
            Ok(Some(line)) => {
                text.push_str(&line);
                whole.push_str(&line);
            }
            Ok(None) => request.answer(Ok(())),
            Err(error) => request.answer(Err(error)),
        }
    }
    if whole.len() == before.len() {
        return Ok(());
    }
    add_whole(open, open, bytes.len() as u64, whole.as_bytes()).map_err(io)
}

/// Writes these bytes at the file's end, where `length` of them were read. Of what does not become whole nothing stays, unless another program (`ssh`
/// takes no lock) has added something since: that is not ours to cut off.
pub(super) fn add_whole(file: &File, mut out: impl io::Write, length: u64, bytes: &[u8]) -> io::Result<()> {
    let mut written = 0;
    let mut add = || {
        while written < bytes.len() {
            match out.write(&bytes[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        sync(file)
    };
    add().inspect_err(|_| {
        if file.metadata().is_ok_and(|now| now.len() == length + written as u64) {
            // Where even this fails the next writer ends the half line, and no reader takes it for a key.
            let _ = file.set_len(length);
        }
    })
}

/// Whether this open file is the one that the name leads to.
fn has_the_name(open: &File, file: &Path) -> bool {
    let both = open.metadata().and_then(|ours| Ok((ours, std::fs::metadata(file)?)));
    both.is_ok_and(|(ours, named)| (ours.dev(), ours.ino()) == (named.dev(), named.ino()))
}

/// The line to write; none where the key is recorded already.
fn line(request: &Request, text: &str) -> Result<Option<String>, AppendError> {
    let Request { file, name, key, hash_name, .. } = request;
    match Records::of([(file.as_path(), &KnownHostsFile::new(text.to_owned()))], name, None, name)
        .judge(Presented::Key(key), SystemTime::now())
    {
        Verdict::Known => return Ok(None),
        Verdict::Unknown => {}
        Verdict::Changed { .. } | Verdict::Revoked { .. } | Verdict::BadCertificate { .. } => {
            return Err(AppendError::Raced { file: file.clone() });
        }
    }
    let io = |error: io::Error| AppendError::Io { file: file.clone(), reason: error.to_string() };
    let shown = if *hash_name { write_hashed(&salt().map_err(io)?, name) } else { Some(name.clone()) };
    let (shown, key) = shown.zip(key.to_openssh().ok()).ok_or(AppendError::Unwritable)?;
    let without_comment: Vec<_> = key.split_ascii_whitespace().take(2).collect();
    Ok(Some(format!("{shown} {}\n", without_comment.join(" "))))
}

fn open(file: &Path) -> io::Result<File> {
    if let Some(parent) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        private::make_directory(parent)?;
    }
    files::open(OpenOptions::new().read(true).append(true).create(true).mode(0o600), file)
}

/// Takes the lock, which ends with the file's closing.
fn lock(open: &File, file: &Path, began: Instant) -> Result<(), AppendError> {
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
