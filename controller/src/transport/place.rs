//! Placing a file over an exec channel: written aside, its digest checked on the node, then renamed.

use std::fmt;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::link::{CommandLine, Ended, Exit, Link, LinkError, UnquotableWord};

/// A file to place. Its directory is made when it is missing (0700).
#[derive(Clone, Copy)]
pub struct Placement<'a> {
    /// Where: absolute, or relative to the login directory.
    pub path: &'a str,
    /// What.
    pub bytes: &'a [u8],
    /// The same as gzip packs it, where that is at hand: less to send to a node that has gzip.
    pub packed: Option<&'a [u8]>,
    /// Permission bits, `0o755` for a program.
    pub mode: u32,
}

impl fmt::Debug for Placement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Placement {{ path: {:?}, bytes: {}, mode: {:o} }}", self.path, self.bytes.len(), self.mode)
    }
}

/// Why a file could not be placed.
#[derive(Debug, thiserror::Error)]
#[error("place {path} ({length} bytes): {fault}")]
pub struct PlaceError {
    /// The path on the node.
    pub path: String,
    /// The length of the file.
    pub length: usize,
    /// What went wrong.
    pub fault: PlaceFault,
}

/// What went wrong while placing. The first four leave nothing behind and suggest another directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceFault {
    /// The file system holds no programs (mounted `noexec`).
    #[error("programs cannot be run from there (noexec)")]
    NoExec,
    /// No room, or the quota is used up.
    #[error("no space left: {0}")]
    DiskFull(String),
    /// The login user may not write there.
    #[error("not permitted: {0}")]
    Permission(String),
    /// The file system is mounted read-only.
    #[error("read-only: {0}")]
    ReadOnly(String),
    /// The bytes on the node are not the bytes we sent: something on the way or in the login shell's files added to them.
    #[error("the node holds other bytes than were sent: {0}")]
    WrongDigest(String),
    /// A tool that every POSIX system has is missing.
    #[error("the node lacks a tool: {0}")]
    NoTool(String),
    /// The command ended otherwise.
    #[error("{exit}{}", said(.stderr))]
    Other {
        /// How.
        exit: Exit,
        /// What it said.
        stderr: String,
    },
    /// It took too long.
    #[error("not done within {seconds} s")]
    Timeout {
        /// The deadline.
        seconds: u64,
    },
    /// The path cannot be said to a shell.
    #[error(transparent)]
    Path(#[from] UnquotableWord),
    /// The link failed.
    #[error(transparent)]
    Link(#[from] LinkError),
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

/// The script. `$1` path, `$2` mode, `$3` digest, `$4` the program that writes its input as it is to be. It runs under `sh`, whatever the login shell is.
/// Each way out has its own status; the trap leaves nothing behind, also when the connection is cut in the middle
/// (the digest of the part that came is wrong). Below a directory of somebody else nothing is written: links planted there would lead
/// our bytes anywhere. What is renamed is on the disk first: a power cut leaves no empty program under the name of a whole one (busybox syncs
/// everything or nothing).
const SCRIPT: &str = "LC_ALL=C; export LC_ALL; umask 077; set -C; case $1 in */*) d=${1%/*}; mkdir -p \"$d\" || exit 81; \
[ -O \"$d\" ] && [ ! -L \"$d\" ] || { echo \"$d: Permission denied: not ours\" >&2; exit 81; };; esac; \
t=$1.new.$$; trap 'rm -f \"$t\"' 0; trap 'exit 89' 1 2 13 15; \
command -v sha256sum >/dev/null || { echo sha256sum >&2; exit 86; }; command -v \"${4%% *}\" >/dev/null || { echo \"${4%% *}\" >&2; exit 87; }; \
$4 >\"$t\" || exit 82; h=$(sha256sum <\"$t\") || exit 82; h=${h%% *}; [ \"$h\" = \"$3\" ] || { echo \"$h\" >&2; exit 83; }; \
chmod \"$2\" \"$t\" || exit 84; sync \"$t\" 2>/dev/null || sync; case $2 in *[1357]*) [ -x \"$t\" ] || exit 85;; esac; mv -f \"$t\" \"$1\" || exit 84";

/// Statuses of [`SCRIPT`], out of the way of the shell's own (126, 127, 128+n).
const MKDIR: u32 = 81;
const WRITE: u32 = 82;
const DIGEST: u32 = 83;
const RENAME: u32 = 84;
const NOEXEC: u32 = 85;
const NO_TOOL: u32 = 86;
const NO_UNPACKER: u32 = 87;

/// Sends `file` through a command on `link`: packed first, as it is to a node that cannot unpack.
pub(super) async fn over_exec<L: Link + ?Sized>(link: &L, file: &Placement<'_>) -> Result<(), PlaceError> {
    let sent = match file.packed {
        Some(packed) => match send_within(link, file, packed, "gzip -dc").await {
            Ok(false) => send_within(link, file, file.bytes, "cat").await,
            sent => sent,
        },
        None => send_within(link, file, file.bytes, "cat").await,
    };
    let unpacked = sent.and_then(|done| if done { Ok(()) } else { Err(PlaceFault::NoTool("cat".to_owned())) });
    unpacked.map_err(|fault| PlaceError { path: file.path.to_owned(), length: file.bytes.len(), fault })
}

/// Whether it is there; false: the node lacks the unpacker.
async fn send_within<L: Link + ?Sized>(link: &L, file: &Placement<'_>, bytes: &[u8], unpacker: &str) -> Result<bool, PlaceFault> {
    let mode = format!("{:04o}", file.mode);
    let command = CommandLine::from_words(["sh", "-c", SCRIPT, "place", file.path, &mode, &hex(&Sha256::digest(file.bytes)), unpacker])?;
    let mut exec = link.exec(&command).await?;
    // A failed write is the command's early end, or a link that takes nothing for too long: its end says which.
    let sending = async {
        if exec.stdin.write_all(bytes).await.is_ok() {
            let _ = exec.stdin.shutdown().await;
        }
    };
    // A noisy login shell prints here; nobody wants it, and unread it would hold the command back.
    let mut noise = tokio::io::sink();
    let working = async {
        let ((), _) = tokio::join!(sending, tokio::io::copy(&mut exec.stdout, &mut noise));
        exec.ended.await
    };
    // Bytes that were taken may still be on their way for long: the deadline is that of the slowest link.
    let deadline = link.deadlines().upload(bytes.len());
    let ended = tokio::time::timeout(deadline, working).await.map_err(|_| PlaceFault::Timeout { seconds: deadline.as_secs() })?;
    if ended.exit == Exit::Status(NO_UNPACKER) { Ok(false) } else { verdict(ended).map(|()| true) }
}

/// Reads the command's end.
fn verdict(ended: Ended) -> Result<(), PlaceFault> {
    let stderr = ended.stderr.text().trim().to_owned();
    match ended.exit {
        Exit::Status(0) => Ok(()),
        Exit::Status(MKDIR | WRITE | RENAME) => Err(cause(&stderr).unwrap_or(PlaceFault::Other { exit: ended.exit, stderr })),
        Exit::Status(DIGEST) => Err(PlaceFault::WrongDigest(stderr)),
        Exit::Status(NOEXEC) => Err(PlaceFault::NoExec),
        Exit::Status(NO_TOOL) => Err(PlaceFault::NoTool(stderr)),
        exit => Err(PlaceFault::Other { exit, stderr }),
    }
}

/// Reads the kernel's reason out of a tool's words (`strerror` in the C locale; busybox and coreutils end alike).
fn cause(stderr: &str) -> Option<PlaceFault> {
    let of = |phrases: &[&str]| phrases.iter().any(|phrase| stderr.contains(phrase));
    if of(&["No space left on device", "Disk quota exceeded"]) {
        Some(PlaceFault::DiskFull(stderr.to_owned()))
    } else if of(&["Read-only file system"]) {
        Some(PlaceFault::ReadOnly(stderr.to_owned()))
    } else if of(&["Permission denied", "Operation not permitted"]) {
        Some(PlaceFault::Permission(stderr.to_owned()))
    } else {
        None
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads all that a command says, up to `limit` bytes; the rest is read and dropped.
///
/// # Errors
/// The stream's own.
pub async fn read_bounded(output: &mut (impl tokio::io::AsyncRead + Unpin), limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    (&mut *output).take(limit).read_to_end(&mut bytes).await?;
    tokio::io::copy(output, &mut tokio::io::sink()).await?;
    Ok(bytes)
}
