//! Placing a file over an exec channel: written aside, its digest checked on the node, then renamed.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ostler_roles::words::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::link::{CommandLine, Ended, Exec, Exit, Link, LinkError, Output, Placed, UnquotableWord};

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
    /// It came to a halt.
    #[error("nothing more arrived for {seconds} s: {there} of {of} are there")]
    Stalled {
        /// How long that was waited.
        seconds: u64,
        /// What was there by the node's last word.
        there: Bytes,
        /// What there should be.
        of: Bytes,
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
/// everything or nothing). Meanwhile it says every 5 s how much is there: what was taken from us may still be on its way for many minutes.
const SCRIPT: &str = "LC_ALL=C; export LC_ALL; umask 077; set -C; case $1 in */*) d=${1%/*}; mkdir -p \"$d\" || exit 81; \
[ -O \"$d\" ] && [ ! -L \"$d\" ] || { echo \"$d: Permission denied: not ours\" >&2; exit 81; };; esac; \
t=$1.new.$$; w=; trap 'kill $w 2>/dev/null; rm -f \"$t\"' 0; trap 'exit 89' 1 2 13 15; \
command -v sha256sum >/dev/null || { echo sha256sum >&2; exit 86; }; command -v \"${4%% *}\" >/dev/null || { echo \"${4%% *}\" >&2; exit 87; }; \
(while sleep 5 </dev/null >/dev/null 2>&1; do printf '\\nostler-placed %s\\n' \"$(wc -c <\"$t\")\" 2>/dev/null || exit; done) & w=$!; \
$4 >\"$t\" || exit 82; h=$(sha256sum <\"$t\") || exit 82; h=${h%% *}; [ \"$h\" = \"$3\" ] || { echo \"$h\" >&2; exit 83; }; \
chmod \"$2\" \"$t\" || exit 84; sync \"$t\" 2>/dev/null || sync; case $2 in *[1357]*) [ -x \"$t\" ] || exit 85;; esac; mv -f \"$t\" \"$1\" || exit 84";

/// Bytes that are handed over at once: each part taken is progress.
const PART: usize = 64 * 1024;

/// Statuses of [`SCRIPT`], out of the way of the shell's own (126, 127, 128+n).
const MKDIR: u32 = 81;
const WRITE: u32 = 82;
const DIGEST: u32 = 83;
const RENAME: u32 = 84;
const NOEXEC: u32 = 85;
const NO_TOOL: u32 = 86;
const NO_UNPACKER: u32 = 87;

/// Writes a file on the node: aside, digest checked there, then renamed into place. It goes through a command on `link`: packed first, as it is
/// to a node that cannot unpack.
///
/// # Errors
/// When it is not there.
pub async fn place_file(link: &(impl Link + ?Sized), file: &Placement<'_>) -> Result<(), PlaceError> {
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
    let Exec { mut stdin, stdout, ended } = link.exec(&command).await?;
    let progress = Progress::default();
    // A failed write is the command's early end, or a link that takes nothing for too long: its end says which.
    let sending = async {
        for part in bytes.chunks(PART) {
            if stdin.write_all(part).await.is_err() {
                return;
            }
            progress.taken.fetch_add(part.len(), Ordering::Relaxed);
        }
        let _ = stdin.shutdown().await;
    };
    let listening = progress.listen(stdout, file.bytes.len(), |there| link.tell(Placed { there, of: file.bytes.len() }));
    let working = async {
        let ((), ()) = tokio::join!(sending, listening);
        ended.await
    };
    let patience = link.deadlines().place;
    let ended = tokio::select! {
        ended = working => ended,
        there = progress.halt(patience) => {
            let bytes = |count: usize| Bytes(count as u64);
            return Err(PlaceFault::Stalled { seconds: patience.as_secs(), there: bytes(there), of: bytes(file.bytes.len()) });
        }
    };
    if ended.exit == Exit::Status(NO_UNPACKER) { Ok(false) } else { verdict(ended).map(|()| true) }
}

/// How far a file has come.
#[derive(Default)]
struct Progress {
    /// Bytes that were taken from us, packed or not.
    taken: AtomicUsize,
    /// Bytes that are on the node, as it says.
    there: AtomicUsize,
}

impl Progress {
    /// Reads what the node says until its end. A noisy login shell prints there too; unread it would hold the command back.
    /// A node's word counts up to the size of the file, and each hundredth of it is told once: no node can keep us waiting, or talk, for ever.
    async fn listen(&self, mut stdout: Output, of: usize, tell: impl Fn(usize)) {
        let (mut line, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stdout.read(&mut piece).await {
            for byte in &piece[..count] {
                if *byte != b'\n' {
                    // Longer lines are none of ours.
                    if line.len() < SAID.len() + 20 {
                        line.push(*byte);
                    }
                    continue;
                }
                let before = self.there.load(Ordering::Relaxed);
                let is_more = |there: &usize| *there <= of && *there > before && (*there == of || *there - before > of / 100);
                if let Some(there) = read_said(&line).filter(is_more) {
                    self.there.store(there, Ordering::Relaxed);
                    tell(there);
                }
                line.clear();
            }
        }
    }

    /// Ends once nothing has moved for so long (twice that at most); returns how much was there.
    async fn halt(&self, patience: Duration) -> usize {
        let seen = || (self.taken.load(Ordering::Relaxed), self.there.load(Ordering::Relaxed));
        let mut before = seen();
        loop {
            tokio::time::sleep(patience).await;
            let now = seen();
            if now == before {
                return now.1;
            }
            before = now;
        }
    }
}

/// What [`SCRIPT`] says of its progress.
const SAID: &str = "ostler-placed ";

fn read_said(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line).ok()?.strip_prefix(SAID)?.trim().parse().ok()
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

#[cfg(test)]
mod tests {
    use super::super::deadlines::Deadlines;
    use super::super::link::{BoxFuture, Tail};
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn a_nodes_word_of_its_progress_counts_up_to_the_files_size_and_once() {
        let said: String = ["500", "500", "501", "520", "99999", "1000", "1000", "400"].map(|there| format!("{SAID}{there}\n")).concat();
        let (progress, told) = (Progress::default(), Mutex::new(Vec::new()));
        progress.listen(Box::new(std::io::Cursor::new(said.into_bytes())), 1000, |there| told.lock().unwrap().push(there)).await;
        assert_eq!(told.into_inner().unwrap(), [500, 520, 1000]);
        assert_eq!(progress.there.load(Ordering::Relaxed), 1000);
    }

    /// A link that takes everything at once. Then its node says this, with pauses, and ends well, or hangs.
    struct Slow {
        says: Vec<String>,
        hangs: bool,
        deadlines: Deadlines,
        told: Mutex<Vec<Placed>>,
    }

    impl fmt::Debug for Slow {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Slow")
        }
    }

    const PAUSE: Duration = Duration::from_millis(400);
    const PATIENCE: Duration = Duration::from_secs(2);

    impl Link for Slow {
        fn exec<'a>(&'a self, _command: &'a CommandLine) -> BoxFuture<'a, Result<Exec, LinkError>> {
            let (mut node, stdout) = tokio::io::duplex(4096);
            let (says, hangs) = (self.says.clone(), self.hangs);
            let speaking = async move {
                for word in says {
                    tokio::time::sleep(PAUSE).await;
                    node.write_all(word.as_bytes()).await.unwrap();
                }
                if hangs {
                    std::future::pending::<()>().await;
                }
            };
            #[expect(clippy::disallowed_methods, reason = "its end is awaited by `ended`")]
            let speaking = tokio::spawn(speaking);
            let ended = Box::pin(async move {
                speaking.await.unwrap();
                Ended { exit: Exit::Status(0), stderr: Tail::default() }
            });
            Box::pin(std::future::ready(Ok(Exec { stdin: Box::new(tokio::io::sink()), stdout: Box::new(stdout), ended })))
        }
        fn deadlines(&self) -> &Deadlines {
            &self.deadlines
        }
        fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
            Box::pin(std::future::ready(()))
        }
        fn tell(&self, placed: Placed) {
            self.told.lock().unwrap().push(placed);
        }
    }

    async fn placed(says: Vec<String>, hangs: bool) -> (Result<(), PlaceFault>, Vec<Placed>) {
        let link = Slow { says, hangs, deadlines: Deadlines { place: PATIENCE, ..Deadlines::default() }, told: Mutex::default() };
        let bytes = vec![0; 3 << 20];
        let file = Placement { path: "agent", bytes: &bytes, packed: None, mode: 0o755 };
        let placed = tokio::time::timeout(Duration::from_secs(30), place_file(&link, &file)).await.expect("it ends");
        (placed.map_err(|error| error.fault), link.told.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_slow_way_is_waited_for_as_long_as_more_arrives_and_no_longer() {
        let arriving = |count: usize| format!("Welcome!\n\nostler-placed {}\n", count << 18);
        let (done, told) = placed((1..=12).map(arriving).collect(), false).await;
        assert_eq!(done, Ok(()));
        assert_eq!((told.len(), told[11]), (12, Placed { there: 3 << 20, of: 3 << 20 }));
        let again = |_| format!("ostler-placed {}\n", 1 << 19);
        let (halted, _) = placed((0..60).map(again).collect(), true).await;
        let words = halted.unwrap_err().to_string();
        assert_eq!(words, "nothing more arrived for 2 s: 512 KiB of 3 MiB are there");
    }
}
