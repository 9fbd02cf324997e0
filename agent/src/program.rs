//! The program around the rooms: its few words on the command line, and the real facilities.

use crate::engine::{self, CopyError, EngineError, Facilities, Provider, StatePaths};
use crate::host::{Host, OsError, account};
use crate::resource::{self, NodeProvider};
use crate::session::{Half, serve};
use ostler_roles::facts::{Facts, LiveFacts};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::words::{Digest, RunId, Secret};
use rustix::fd::OwnedFd;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// The real node.
#[derive(Debug)]
pub struct Real {
    paths: StatePaths,
    digest: Digest,
}

impl Real {
    /// This machine, and this program.
    ///
    /// # Errors
    /// When the program's own file cannot be read.
    pub fn new() -> Result<Self, CopyError> {
        Ok(Self { paths: StatePaths::default(), digest: engine::own_digest()? })
    }
}

fn unread(error: &OsError) -> Failure {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        causes.push(below.to_string());
        cause = below.source();
    }
    Failure { kind: FailureKind::Observe, message: error.to_string(), causes, command: None, hint: None }
}

impl Facilities for Real {
    fn facts(&self) -> Result<Facts, Failure> {
        let host = Host::running().map_err(|error| unread(&error))?;
        crate::facts::stable(&host).map_err(|error| unread(&error))
    }
    fn live(&self) -> Result<LiveFacts, Failure> {
        crate::facts::live().map_err(|error| unread(&error))
    }
    fn provider(&self, secret_key: &[u8]) -> Result<Box<dyn Provider + '_>, Failure> {
        let key = (!secret_key.is_empty()).then(|| Secret::new(secret_key.to_vec()));
        Ok(Box::new(NodeProvider::running(key).map_err(|error| unread(&error))?))
    }
    fn paths(&self) -> &StatePaths {
        &self.paths
    }
    fn digest(&self) -> Digest {
        self.digest
    }
    fn roots_copy(&self) -> Option<PathBuf> {
        engine::roots_copy(&self.paths, &self.digest)
    }
    fn install(&self) -> Result<PathBuf, EngineError> {
        Ok(engine::install(&self.paths, &self.digest)?)
    }
}

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Task {
    /// `serve [--root]`: one conversation on stdin and stdout.
    Serve(Half),
    /// `install DIGEST --serve`: makes root's copy, and is it from then on.
    Install(Digest),
    /// `run ID [--detach]`: the runner.
    Run(RunId, bool),
}

fn parse(words: &[String]) -> Option<Task> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve"] => Some(Task::Serve(Half::Login)),
        ["serve", "--root"] => Some(Task::Serve(Half::Root)),
        ["install", digest, "--serve"] => Digest::parse(digest).ok().map(Task::Install),
        ["run", id] => RunId::parse(id).ok().map(|id| Task::Run(id, false)),
        ["run", id, "--detach"] => RunId::parse(id).ok().map(|id| Task::Run(id, true)),
        _ => None,
    }
}

/// What went wrong before there was a conversation: told on stderr.
#[derive(Debug, thiserror::Error)]
enum ProgramError {
    #[error("usage: ostler-agent serve | run ID\nIt is started by ostler, not by hand.")]
    Usage,
    #[error("find the agent's own file")]
    OwnFile(#[source] std::io::Error),
    #[error("keep stdin and stdout for frames")]
    Streams(#[source] rustix::io::Errno),
    #[error("install for another digest ({asked}) than the agent's ({own})")]
    OtherDigest { asked: Digest, own: Digest },
    #[error("start root's copy of the agent")]
    Exec(#[source] std::io::Error),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The whole program on the real node.
pub fn start_here(words: &[String]) -> ExitCode {
    if let Some((first, words)) = words.split_first()
        && first == account::WORD
    {
        return account::be(words, resource::work_as_account);
    }
    match Real::new() {
        Ok(real) => start(&real, words),
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Does what the words ask for, and returns how the process shall end.
pub fn start(facilities: &dyn Facilities, words: &[String]) -> ExitCode {
    match attempt(facilities, words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            // EX_USAGE of sysexits.h, and a plain failure.
            ExitCode::from(if matches!(error, ProgramError::Usage) { 64 } else { 1 })
        }
    }
}

fn attempt(facilities: &dyn Facilities, words: &[String]) -> Result<(), ProgramError> {
    // No core dump holds what we are given, and no process of the same account looks into us (prctl(2)).
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    // Whatever the login brings: modes are what we say, for us and for what we start.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    match parse(words).ok_or(ProgramError::Usage)? {
        Task::Serve(half) => {
            let (input, output) = keep_streams().map_err(ProgramError::Streams)?;
            serve(facilities, half, input, output);
            Ok(())
        }
        Task::Install(asked) => {
            if asked != facilities.digest() {
                return Err(ProgramError::OtherDigest { asked, own: facilities.digest() });
            }
            let copy = facilities.install().map_err(|error| engine::explained(facilities.paths(), error))?;
            Err(ProgramError::Exec(Command::new(copy).args(["serve", "--root"]).exec()))
        }
        Task::Run(run, detached) => {
            let program = engine::own_file().map_err(ProgramError::OwnFile)?;
            Ok(engine::run(facilities, &run, detached.then_some(program.as_path()))?)
        }
    }
}

/// Keeps the real stdin and stdout for frames, out of reach of children and libraries: in their places stand /dev/null and stderr.
fn keep_streams() -> Result<(OwnedFd, OwnedFd), rustix::io::Errno> {
    let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let nothing = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok((input, output))
}

fn complain(error: &dyn std::error::Error) {
    let mut text = format!("ostler-agent: {error}");
    let mut cause = error.source();
    while let Some(below) = cause {
        text.push_str(&format!(": {below}"));
        cause = below.source();
    }
    // A closed stderr leaves nobody to complain to.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_words_are_taken() {
        let parse = |line: &str| parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(parse("serve"), Some(Task::Serve(Half::Login)));
        assert_eq!(parse("serve --root"), Some(Task::Serve(Half::Root)));
        assert!(matches!(parse("run 019ab --detach"), Some(Task::Run(_, true))));
        assert_eq!(parse("run ../../etc"), None);
        assert_eq!(parse("serve --become"), None);
        assert_eq!(parse(""), None);
    }
}
