//! What can go wrong in the lab: one variant per operation, with the path or the command in it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A failed lab operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Namespaces, mounts and bridges need root.
    #[error("the lab needs root (namespaces, mounts, a bridge); effective user id is {0}")]
    NeedsRoot(u32),
    /// A program the lab runs is not installed.
    #[error("program `{program}` is missing; install it with: apt-get install {package}")]
    MissingProgram {
        /// Name looked up in `PATH`.
        program: &'static str,
        /// Debian package that holds it.
        package: &'static str,
    },
    /// The description of the lab contradicts itself.
    #[error("lab description: {0}")]
    Spec(String),
    /// The state directory is open to others.
    #[error(
        "state directory {} is owned by user {owner} with mode {mode:04o}, and the lab keeps its keys there: it must be owned by user {us} \
         and closed to all others (chmod 700)",
        dir.display()
    )]
    NotPrivate {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its mode.
        mode: u32,
        /// Whose it must be.
        us: u32,
    },
    /// A file or directory operation failed.
    #[error("{what} {}", path.display())]
    File {
        /// What was being done, as a fragment ("write", "create").
        what: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A child program could not be started.
    #[error("start `{command}`")]
    Start {
        /// The command line.
        command: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A child program failed.
    #[error("`{command}` ended with {status}: {output}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A system call on a socket, pipe or namespace failed.
    #[error("{what}")]
    System {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The machine's own apt configuration names no mirror for its own suite.
    #[error("no Debian mirror found in {}: the lab uses the mirror that this machine's apt names", .0.display())]
    NoMirror(PathBuf),
    /// A lab already runs on this state directory.
    #[error("a lab is already up in {}; take it down first", .0.display())]
    AlreadyUp(PathBuf),
    /// Another `lab up` or `lab down` is at work on this state directory.
    #[error("{who} is at work in {}; interrupt it, or try again when it has ended", dir.display())]
    AtWork {
        /// Which, and its process.
        who: String,
        /// The state directory.
        dir: PathBuf,
    },
    /// A lab is up, but its holder is another version's and may not understand this one.
    #[error("the lab in {} was brought up by another version of ostler; `ostler lab down` ends it, then bring it up again", .0.display())]
    OtherVersion(PathBuf),
    /// No holder answers in this state directory.
    #[error("no lab is up in {}; `ostler lab up` starts it", .0.display())]
    NotUp(PathBuf),
    /// No node has that name.
    #[error("no node `{name}` in this lab; it has: {known}")]
    UnknownNode {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The holder went away in the middle.
    #[error("the lab's holder process ended; its log is {}", .0.display())]
    HolderGone(PathBuf),
    /// The holder refused or failed.
    #[error("{0}")]
    Refused(String),
    /// The other side said something that is not in the protocol.
    #[error("unreadable message on the lab's socket: {0}")]
    Wire(String),
    /// A wait had its deadline.
    #[error("no answer within {:.1} s while waiting for {what}", after.as_secs_f64())]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
}

impl LabError {
    /// Returns a closure that adds an operation and its path to an I/O error.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }

    /// Returns a closure that names the system operation that failed.
    pub(crate) fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }

    /// Returns the error with all its causes, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}
