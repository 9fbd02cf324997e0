//! As another account: this very program is started again, gives up root's groups and user before anything else, enters the working
//! directory only then, and becomes the program or does the work that was asked for. What that account does to this process, root's
//! never waits for.

use super::{Operation, OsError};
use rustix::io::{Errno, FdFlags};
use rustix::process::{Gid, Pid, Signal, Uid};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The first word of such a process.
pub const WORD: &str = "as-account";
/// Behind the working directory: a program with its arguments, or work of our own by its name.
pub(super) const RUN: &str = "run";
pub(super) const WORK: &str = "work";
/// What runs now, whatever became of its file (proc_pid_exe(5)).
pub(super) const SELF: &str = "/proc/self/exe";
/// The exit status of a process that did not come to its work: why stands in its report.
const FAILED: u8 = 126;

/// How long a program may be open for writing before it is told, and how often it is tried meanwhile.
const BUSY: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(5);

/// Whose rights a child has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Login name, for `USER` and `LOGNAME`.
    pub name: String,
    /// Home directory, for `HOME`.
    pub home: String,
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Identity {
    /// The account without rights (Debian Policy 9.2.2).
    pub fn nobody() -> Self {
        Self { name: "nobody".to_owned(), home: "/nonexistent".to_owned(), uid: 65_534, gid: 65_534, groups: Vec::new() }
    }
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Rights = 1,
    Directory = 2,
    Program = 3,
}

/// Our end of the pipe on which it tells what it could not do. It says nothing once it has begun its work.
#[derive(Debug)]
pub(super) struct Report {
    read: OwnedFd,
    /// Its end, which it inherits.
    pub(super) write: Arc<OwnedFd>,
}

impl Report {
    pub(super) fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)?;
        Ok(Self { read, write: Arc::new(write) })
    }

    /// What it could not do; none when it came to its work. To be asked behind its end.
    pub(super) fn told(&self, name: &str, directory: &Path) -> Option<OsError> {
        let mut bytes = [0; 5];
        rustix::io::read(&self.read, &mut bytes).ok().filter(|count| *count == bytes.len())?;
        let source = io::Error::from_raw_os_error(i32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]));
        Some(match bytes[0] {
            stage if stage == Stage::Rights as u8 => OsError::new(Operation::Start, format_args!("{name} as another account"), source),
            stage if stage == Stage::Directory as u8 => {
                OsError::new(Operation::Start, format_args!("{name} in {}", directory.display()), source)
            }
            _ => OsError::new(Operation::Start, name, source),
        })
    }
}

/// What such a process was started with.
#[derive(Debug, PartialEq, Eq)]
struct Words<'a> {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    parent: i32,
    report: RawFd,
    directory: PathBuf,
    work: &'a [String],
}

fn parse(words: &[String]) -> Option<Words<'_>> {
    let [uid, gid, groups, parent, report, directory, work @ ..] = words else { return None };
    let groups = groups.split(',').filter(|group| !group.is_empty()).map(str::parse).collect::<Result<_, _>>().ok()?;
    let (uid, gid, parent, report) = (uid.parse().ok()?, gid.parse().ok()?, parent.parse().ok()?, report.parse().ok()?);
    Some(Words { uid, gid, groups, parent, report, directory: directory.into(), work })
}

/// The whole life of such a process. `work` does what has this name.
pub fn be(words: &[String], work: impl FnOnce(&str) -> ExitCode) -> ExitCode {
    let Some(words) = parse(words) else { return ExitCode::from(64) };
    let mut report = inherited(words.report);
    let tell = |report: &mut File, stage: Stage, error: &io::Error| {
        let errno = error.raw_os_error().unwrap_or(Errno::IO.raw_os_error());
        let [a, b, c, d] = errno.to_be_bytes();
        // Nobody listens any more: then nobody is told.
        let _ = report.write_all(&[stage as u8, a, b, c, d]);
        ExitCode::from(FAILED)
    };
    if let Err(error) = become_account(&words) {
        return tell(&mut report, Stage::Rights, &error.into());
    }
    if let Err(error) = rustix::process::chdir(&words.directory) {
        return tell(&mut report, Stage::Directory, &error.into());
    }
    match words.work {
        [kind, name] if kind == WORK => work(name),
        [kind, program, arguments @ ..] if kind == RUN => {
            let mut command = Command::new(program);
            command.args(arguments);
            let Err(error) = when_writable_by_nobody(|| -> io::Result<Infallible> { Err(command.exec()) });
            tell(&mut report, Stage::Program, &error)
        }
        _ => ExitCode::from(64),
    }
}

/// Starts a program, waiting a moment for whoever has its file open for writing (execve(2), ETXTBSY): what was written a moment ago may still be
/// held by a child of ours that is between fork and exec.
pub(super) fn when_writable_by_nobody<T>(mut start: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let until = Instant::now() + BUSY;
    loop {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < until => std::thread::sleep(TICK),
            done => return done,
        }
    }
}

/// The report's end, from now on closed to what is started.
#[expect(unsafe_code, reason = "a descriptor that was handed over by its number")]
fn inherited(report: RawFd) -> File {
    // SAFETY: this process was just started with this descriptor for this purpose, and nothing else here knows its number.
    let report = unsafe { File::from_raw_fd(report) };
    let _ = rustix::io::fcntl_setfd(&report, FdFlags::CLOEXEC);
    report
}

/// For good: groups first, while that is still allowed.
fn become_account(words: &Words<'_>) -> Result<(), Errno> {
    let own = rustix::process::geteuid();
    if own.is_root() || own.as_raw() != words.uid {
        let groups: Vec<Gid> = words.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        rustix::thread::set_thread_groups(&groups)?;
        rustix::thread::set_thread_gid(Gid::from_raw(words.gid))?;
        rustix::thread::set_thread_uid(Uid::from_raw(words.uid))?;
    }
    let Some(parent) = Pid::from_raw(words.parent) else { return Ok(()) };
    // After the change of user, which clears it (prctl(2)).
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH) }
}

/// All of a request that root's process sends on standard input.
///
/// # Errors
/// When it cannot be read, or is longer than `cap`.
pub fn request(cap: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().take(cap + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > cap { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Unit tests run in a program of their own, which must be able to be started again as well: before any of its tests.
#[cfg(test)]
mod entry {
    #[used]
    #[unsafe(link_section = ".init_array")]
    #[expect(unsafe_code, reason = "the C library calls what stands in this section before main")]
    static ENTRY: extern "C" fn() = start_again;

    #[expect(clippy::exit, reason = "the tests are not to be run by it")]
    extern "C" fn start_again() {
        let words: Vec<String> = std::env::args().skip(1).collect();
        if words.first().is_some_and(|word| word == super::WORD) {
            let code = crate::program::start_here(&words);
            std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS) * i32::from(super::FAILED));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_words_are_taken() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let good = words("1001 1002 1002,4 17 9 /srv git");
        let parsed = parse(&good).unwrap();
        assert_eq!((parsed.uid, parsed.gid, parsed.groups, parsed.parent, parsed.report), (1001, 1002, vec![1002, 4], 17, 9));
        assert_eq!((parsed.directory.as_path(), parsed.work), (Path::new("/srv"), &words("git")[..]));
        assert!(parse(&words("root 0 0 1 9 / true")).is_none());
        assert!(parse(&words("1001 1002")).is_none());
    }
}
