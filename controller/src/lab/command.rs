//! A program run inside a lab, from the client's side.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};

use super::error::LabError;
use super::paths::LabPaths;
use super::protocol::{Exec, Reply, Request};
use super::wire::Wire;

/// How long a captured command may take, unless it says otherwise.
const LIMIT: Duration = Duration::from_secs(300);

/// A program to run inside a lab: in its namespaces, or as root in one of its nodes.
#[derive(Debug)]
#[must_use]
pub struct LabCommand {
    place: LabPaths,
    exec: Exec,
    input: Vec<u8>,
    limit: Duration,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl Ended {
    /// Returns whether it ended by itself with status 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Exited(0)
    }

    /// Returns the status a shell would show: 128 and the signal's number for one that was killed.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => u8::try_from(code).unwrap_or(u8::MAX),
            Self::Killed(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// What a captured program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabOutput {
    /// How it ended.
    pub ended: Ended,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl LabOutput {
    /// Returns the standard output as text, without the white space at its end.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Returns both outputs as text: for a test's failure message.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{:?}\n{}{}", self.ended, String::from_utf8_lossy(&self.stdout), String::from_utf8_lossy(&self.stderr))
    }
}

impl LabCommand {
    pub(crate) fn new<T: Into<OsString>>(place: &LabPaths, node: Option<String>, argv: impl IntoIterator<Item = T>) -> Self {
        let exec = Exec {
            // What runs in a node has an environment of its own.
            environment: if node.is_some() { Vec::new() } else { std::env::vars_os().collect() },
            node,
            argv: argv.into_iter().map(Into::into).collect(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        };
        Self { place: place.clone(), exec, input: Vec::new(), limit: LIMIT }
    }

    /// Sets a variable of its environment (not for a command in a node).
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.exec.environment.retain(|(known, _)| known != name.as_ref());
        self.exec.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets its working directory (not for a command in a node).
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.exec.directory = directory.into();
        self
    }

    /// Gives it this standard input; without it the input is empty.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Lets it take at most this long.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to its end and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time (it is killed then). A failing status is no error.
    pub fn output(self) -> Result<LabOutput, LabError> {
        let limit = self.limit;
        self.spawn()?.output(limit)
    }

    /// Starts it with captured output; it is killed when the returned child is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(self) -> Result<LabChild, LabError> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(LabError::system("make a pipe"));
        let ((input, write_in), (read_out, output), (read_err, errors)) = (pipe()?, pipe()?, pipe()?);
        let wire = start(&self.place, &self.exec, [input.as_fd(), output.as_fd(), errors.as_fd()])?;
        let bytes = self.input;
        // On a thread of its own: the program may answer before it has read everything.
        thread::spawn(move || File::from(write_in).write_all(&bytes));
        Ok(LabChild { wire, place: self.place, stdout: collect(read_out), stderr: collect(read_err) })
    }

    /// Runs it on this process's own standard input and outputs.
    ///
    /// # Errors
    /// When it cannot be started or the holder ends meanwhile.
    pub fn run_here(self) -> Result<Ended, LabError> {
        let own = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let wire = start(&self.place, &self.exec, own)?;
        ended(wire.receive::<Reply>()?.map(|(reply, _)| reply), &self.place)
    }
}

fn start(place: &LabPaths, exec: &Exec, descriptors: [BorrowedFd<'_>; 3]) -> Result<Wire, LabError> {
    let wire = Wire::connect(&place.socket()).map_err(|_| LabError::NotUp(place.dir().to_owned()))?;
    match wire.ask::<_, Reply>(&Request::Exec(exec.clone()), &descriptors, Duration::from_secs(10), "a command to start")? {
        Some((Reply::Started, _)) => Ok(wire),
        Some((reply, _)) => Err(unexpected(reply)),
        None => Err(LabError::HolderGone(place.log())),
    }
}

fn ended(reply: Option<Reply>, place: &LabPaths) -> Result<Ended, LabError> {
    match reply {
        Some(Reply::Exited(code)) => Ok(Ended::Exited(code)),
        Some(Reply::Killed(signal)) => Ok(Ended::Killed(signal)),
        Some(reply) => Err(unexpected(reply)),
        None => Err(LabError::HolderGone(place.log())),
    }
}

/// Returns the error of a reply that is not the one waited for.
pub(crate) fn unexpected(reply: Reply) -> LabError {
    match reply {
        Reply::Failed(why) => LabError::Refused(why),
        other => LabError::Wire(format!("unexpected reply {other:?}")),
    }
}

/// A running program. Dropped, the program and all it started are killed.
#[derive(Debug)]
pub struct LabChild {
    wire: Wire,
    place: LabPaths,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl LabChild {
    /// Waits for its end and returns what it printed.
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub fn output(self, limit: Duration) -> Result<LabOutput, LabError> {
        let reply = self.wire.receive_within::<Reply>(limit, "a command to end")?;
        let ended = ended(reply.map(|(reply, _)| reply), &self.place)?;
        let text = |thread: JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
        Ok(LabOutput { ended, stdout: text(self.stdout), stderr: text(self.stderr) })
    }
}

fn collect(pipe: OwnedFd) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What arrived before an error is all there is.
        let _ = File::from(pipe).read_to_end(&mut bytes);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_in_a_node_is_told_nothing_of_this_machines_environment() {
        let dir = tempfile::tempdir().expect("scratch");
        let place = LabPaths::create(&dir.path().join("lab")).expect("place");
        let environment = |node: Option<&str>| LabCommand::new(&place, node.map(str::to_owned), ["true"]).exec.environment;
        assert!(environment(Some("n1")).is_empty());
        assert!(environment(None).iter().any(|(name, _)| name == "PATH"), "a command of the lab has its caller's");
    }
}
