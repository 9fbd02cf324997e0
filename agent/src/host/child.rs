//! Children: an argument list, their own process group, a fixed locale, bounded output, a deadline.

mod output;
mod spawn;

pub use output::Tail;

use super::OsError;
pub use super::account::Identity;
use ostler_roles::mask::Mask;
use ostler_roles::outcome::{CommandFailure, Ended, Failure, FailureKind};
use ostler_roles::words::{Bytes, Secret};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

/// The search path of what roles name, whoever started us.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Standard output kept for parsing, unless more is asked for; what is beyond is dropped, and then nothing of it is parsed.
const STDOUT: usize = 16 << 20;

/// A program to run. By default: root's environment is not passed on, input is closed, it dies with us.
pub struct Program {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Work of this very program, by its name, in place of the program that `argv` names: only as another account.
    pub work: Option<&'static str>,
    /// Variables beside locale, path and home.
    pub environment: Vec<(String, String)>,
    /// Its search path, whatever `environment` says; the usual one where none.
    pub path: Option<String>,
    /// Whose rights it has; ours where none.
    pub identity: Option<Identity>,
    /// Its working directory. As another account it is entered with that account's rights.
    pub directory: PathBuf,
    /// The working directory of a program of root's, where it was opened and checked: whoever renames on the way leads it nowhere else.
    pub entered: Option<OwnedFd>,
    /// What it reads; nothing where none.
    pub stdin: Option<Secret<Vec<u8>>>,
    /// Where its standard output goes, whole; kept up to a cap where none.
    pub stdout_to: Option<File>,
    /// Where both streams go; then nothing is kept, and it can outlive us.
    pub log_to: Option<File>,
    /// It outlives us and is not killed at its deadline: a package manager in its transaction.
    pub survives: bool,
    /// Bytes of its standard output that are kept.
    pub keep: usize,
    /// What is kept of its output does not show these. By default those of the run.
    pub mask: Mask,
}

/// What no child's output may show.
static RUN: OnceLock<Mask> = OnceLock::new();

/// From now on the output of every child is masked. A process carries out one run (`docs/decisions/0001-run-protocol.md`): this is called
/// once, before its first child.
pub fn mask_output(mask: Mask) {
    // Called again, which a run does not do, the first stays.
    let _ = RUN.set(mask);
}

/// The mask of what children say.
pub fn output_mask() -> Mask {
    RUN.get().cloned().unwrap_or_default()
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// Program and arguments, as it was started.
    pub argv: Vec<String>,
    /// How.
    pub status: Ended,
    /// Its standard output, up to a cap: read by [`Self::said`] alone.
    stdout: Vec<u8>,
    /// Whether it said more than was kept.
    cut: bool,
    /// First and last lines of both streams, masked.
    pub tail: Tail,
    /// Whether we were asked to stop it.
    pub cancelled: bool,
}

impl std::fmt::Debug for Program {
    /// Without the variables' values: some are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        let Self { argv, identity, directory, survives, .. } = self;
        let mut shown = f.debug_struct("Program");
        shown.field("argv", argv).field("environment", &names).field("identity", identity);
        shown.field("directory", directory).field("survives", survives).finish_non_exhaustive()
    }
}

impl Program {
    /// A program with its arguments.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(argv: I) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            work: None,
            environment: Vec::new(),
            path: None,
            identity: None,
            directory: PathBuf::from("/"),
            entered: None,
            stdin: None,
            stdout_to: None,
            log_to: None,
            survives: false,
            keep: STDOUT,
            mask: output_mask(),
        }
    }

    /// Runs it to its end, its deadline, or until `cancelled` says so.
    ///
    /// # Errors
    /// When it cannot be started or waited for. A bad end is no error here.
    pub fn run(self, deadline: Instant, cancelled: &dyn Fn() -> bool) -> Result<Finished, OsError> {
        spawn::run(self, deadline, cancelled, None)
    }

    /// The same, and its standard output is heard as it comes instead of being kept.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub fn run_heard(self, deadline: Instant, cancelled: &dyn Fn() -> bool, hear: &mut dyn FnMut(&[u8])) -> Result<Finished, OsError> {
        spawn::run(self, deadline, cancelled, Some(hear))
    }

    /// Runs it to its end or its deadline. A cancelled run stops between two steps, not within a program that changes something.
    ///
    /// # Errors
    /// When it cannot be started or waited for. A bad end is no error here.
    pub fn run_to_end(self, deadline: Instant) -> Result<Finished, OsError> {
        spawn::run(self, deadline, &|| false, None)
    }
}

/// The name of a living process; empty where there is none.
pub fn name_of(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

impl Finished {
    /// The exit code; none when a signal or the deadline ended it.
    pub fn exit_code(&self) -> Option<i32> {
        match self.status {
            Ended::Exit(code) => Some(code),
            Ended::Signal(_) | Ended::NotStarted | Ended::Deadline => None,
        }
    }
    /// Whether it ended with exit code 0.
    pub fn is_good(&self) -> bool {
        self.exit_code() == Some(0)
    }
    /// All of its standard output, for who draws conclusions from it.
    ///
    /// # Errors
    /// When it said more than was kept: half an answer is none.
    pub fn said(&self) -> Result<&[u8], OsError> {
        if !self.cut {
            return Ok(&self.stdout);
        }
        let kept = Bytes(self.stdout.len() as u64);
        let why = std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("it says more than {kept}"));
        Err(OsError::new(super::Operation::Ask, self.argv.first().map_or("", String::as_str), why))
    }
    /// Itself, or the failure that tells how it ended.
    ///
    /// # Errors
    /// Unless it ended with exit code 0.
    pub fn good(self, doing: &str) -> Result<Self, Failure> {
        if self.is_good() { Ok(self) } else { Err(self.failure(doing)) }
    }
    /// The failure of what was being done.
    pub fn failure(self, doing: &str) -> Failure {
        let kind = match self.status {
            _ if self.cancelled => FailureKind::Cancelled,
            Ended::Deadline => FailureKind::Deadline,
            _ if self.tail.mentions("No space left on device") || self.tail.mentions("Disk quota exceeded") => FailureKind::NoSpace,
            Ended::Exit(_) | Ended::Signal(_) | Ended::NotStarted => FailureKind::Apply,
        };
        let program = self.argv.first().cloned().unwrap_or_default();
        Failure {
            kind,
            message: format!("cannot {doing}: {program}: {}", self.status),
            causes: Vec::new(),
            command: Some(CommandFailure { argv: self.argv, status: self.status, tail: self.tail.into_lines() }),
            hint: None,
        }
    }
}

#[cfg(test)]
mod tests;
