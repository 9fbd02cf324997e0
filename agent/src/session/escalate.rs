//! Becoming root: sudo or doas over pipes that we own, a password only after our own marker, then bytes both ways.

mod prompt;
mod relay;

use super::error::ServeError;
use super::fault::{failure, from_error};
use super::frames::{Incoming, Input, Outbox, await_readable, put};
use crate::engine::{Facilities, own_account};
use ostler_roles::outcome::{CommandFailure, Ended, Failure, FailureKind};
use ostler_roles::wire::frame::{self, Buffer, Decoder, MAGIC};
use ostler_roles::wire::message::{Become, Hidden, Open, ToAgent, ToController};
use prompt::{PromptState, Stderr};
use rustix::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long becoming root may take without a password: name services and PAM modules have their own waits.
const WITHIN: Duration = Duration::from_secs(60);
/// How long a password may take to come: a person may have to be asked.
const PASSWORD_WITHIN: Duration = Duration::from_secs(300);

/// Becomes root as `how` says and carries bytes until either side ends.
pub(super) fn escalate(facilities: &dyn Facilities, how: Become, open: &Open, mut input: Input, outbox: &Outbox) -> Result<(), ServeError> {
    let mut root = RootHalf::start(facilities, how)?;
    let waiting = match root.await_magic(&mut input, outbox) {
        Ok(Some(waiting)) => waiting,
        Ok(None) => {
            root.end();
            return Ok(());
        }
        Err(farewell) => {
            root.end();
            return Err(farewell);
        }
    };
    let (fd, rest) = input.into_parts();
    let open = frame::encode(&ToAgent::Open(open.clone())).map_err(ServeError::from)?;
    let mut first = Buffer::default();
    [MAGIC, &open, &waiting, &rest].into_iter().for_each(|part| first.push(part));
    outbox.only_pass_on();
    relay::relay(root, first, fd, outbox);
    Ok(())
}

/// How long a program whose end is due may take over it.
const END_WITHIN: Duration = Duration::from_secs(2);

/// The other half, on its way.
pub(super) struct RootHalf {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    said: Stderr,
    decoder: Decoder,
    program: &'static str,
    /// Whose password was asked for.
    account: String,
}

impl RootHalf {
    fn start(facilities: &dyn Facilities, how: Become) -> Result<Self, Failure> {
        let program = match how {
            Become::Sudo => "sudo",
            Become::Doas => "doas",
        };
        let not_there = || {
            let hint = format!("install {program} on the node, or log in as root and leave `become` out");
            failure(FailureKind::Apply, format_args!("{program} is not installed on the node"), Some(&hint))
        };
        let path = facilities.escalator(how).ok_or_else(not_there)?;
        let marker = marker().map_err(|error| from_error(FailureKind::Internal, &error))?;
        let mut command = command(facilities, how, &path, &marker)?;
        // One language for what we must recognise.
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            let mut failure = from_error(FailureKind::Apply, &error);
            failure.message = format!("start {}: {}", path.display(), failure.message);
            failure
        })?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(failure(FailureKind::Internal, "a child has no pipes", None));
        };
        Ok(Self { child, stdin, stdout, stderr, said: Stderr::new(marker), decoder: Decoder::new(), program, account: String::new() })
    }

    /// Waits until the root half speaks. Returns the frames that came from the controller meanwhile; none when it has left.
    fn await_magic(&mut self, input: &mut Input, outbox: &Outbox) -> Result<Option<Buffer>, ServeError> {
        let mut waiting = Buffer::default();
        let mut asked = false;
        let mut answered = false;
        let mut end = Instant::now() + WITHIN;
        loop {
            if self.decoder.has_magic()? {
                return Ok(Some(waiting));
            }
            // What has come already, before waiting for more.
            loop {
                match self.listen(input, asked && !answered)? {
                    Heard::Nothing => break,
                    Heard::Left => return Ok(None),
                    Heard::Password(password) => {
                        answered = true;
                        end = Instant::now() + WITHIN;
                        self.answer(&password.0)?;
                    }
                    Heard::Other(frame) => waiting.push(&frame),
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.too_late(asked && !answered).into());
            }
            let mut fds = vec![self.stdout.as_fd(), input.fd()];
            // A closed stderr would be ready for ever.
            fds.extend(self.said.is_open().then(|| self.stderr.as_fd()));
            let ready = await_readable(&fds, left).map_err(|_| ServeError::Disconnected)?;
            let at = |index: usize| ready.get(index).copied().unwrap_or(false);
            let said = if at(2) { self.said.take_in(&mut self.stderr) } else { PromptState::Something };
            if self.said.wants_second_factor() {
                return Err(self.too_late(false).into());
            }
            if let PromptState::Asks(account) = said {
                if asked {
                    return Err(self.wrong_password().into());
                }
                asked = true;
                end = Instant::now() + PASSWORD_WITHIN;
                self.account = account.unwrap_or_else(own_account);
                outbox.send(&ToController::AskPassword { user: self.account.clone(), said: self.said_before().map(Box::new) })?;
            }
            if at(0) && !self.hear()? {
                return Err(self.ended(answered).into());
            }
        }
    }

    /// Takes in what the root half says. False at its end.
    fn hear(&mut self) -> Result<bool, ServeError> {
        let mut bytes = [0u8; 16 * 1024];
        match rustix::io::read(&self.stdout, &mut bytes) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.decoder.push(&bytes[..count]);
                Ok(true)
            }
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(_) => Ok(false),
        }
    }

    fn listen(&mut self, input: &mut Input, password_is_due: bool) -> Result<Heard, ServeError> {
        let (incoming, frame) = input.next_with_frame(Duration::ZERO)?;
        Ok(match incoming {
            Incoming::End => Heard::Left,
            Incoming::Nothing => Heard::Nothing,
            Incoming::Message(message) => match *message {
                ToAgent::Password(password) if password_is_due => Heard::Password(password),
                ToAgent::Password(_) => {
                    return Err(failure(FailureKind::Internal, "the controller sent a password that nobody asked for", None).into());
                }
                ToAgent::Bye => Heard::Left,
                ToAgent::Open(_)
                | ToAgent::Catalog { .. }
                | ToAgent::Blobs(_)
                | ToAgent::Go { .. }
                | ToAgent::Attach { .. }
                | ToAgent::Cancel { .. }
                | ToAgent::Prove(_)
                | ToAgent::Challenge { .. } => Heard::Other(frame),
            },
        })
    }

    fn answer(&mut self, password: &[u8]) -> Result<(), ServeError> {
        if password.contains(&b'\n') || password.contains(&0) {
            return Err(failure(FailureKind::Apply, "the password holds a line end or a null byte: it cannot be given", None).into());
        }
        let line = Zeroizing::new([password, b"\n"].concat());
        // When nobody takes it the program has ended, and says so itself.
        let _ = put(self.stdin.as_fd(), &line, WITHIN);
        Ok(())
    }

    fn wrong_password(&self) -> Failure {
        let message = format!("{} does not take the password of {}", self.program, self.account);
        failure(
            FailureKind::WrongPassword,
            message,
            Some("give the right one; it was tried once only, because attempts can lock an account"),
        )
    }

    /// What it said before its question, where we know what that means.
    fn said_before(&self) -> Option<Failure> {
        let tail = self.said.lines();
        let known = prompt::recognise(&tail.join("\n"))?;
        let message = format!("{}; it asks for the password of {} all the same, and none was given", known.message, self.account);
        let command = CommandFailure { argv: vec![self.program.to_owned()], status: Ended::Deadline, tail };
        Some(Failure { command: Some(command), ..failure(FailureKind::Apply, message, Some(&known.hint(&own_account()))) })
    }

    /// How to see by hand what it says.
    fn look(&self) -> &'static str {
        if self.program == "doas" {
            "on the node, as the login account, see what this says: doas true"
        } else {
            "on the node, as the login account, see what this says: sudo -k true"
        }
    }

    /// Nothing within the deadline. Its last words may show a question that is not ours, such as one for a second factor.
    fn too_late(&self, password_is_due: bool) -> Failure {
        let tail = self.said.lines();
        let (message, hint) = match prompt::recognise(&tail.join("\n")) {
            Some(known) => (known.message.to_owned(), known.hint(&own_account())),
            None if password_is_due => (format!("{} asked for a password and none came", self.program), self.look().to_owned()),
            None => (format!("{} did not make us root within {} s", self.program, WITHIN.as_secs()), self.look().to_owned()),
        };
        let command = CommandFailure { argv: vec![self.program.to_owned()], status: Ended::Deadline, tail };
        Failure { command: Some(command), ..failure(FailureKind::Deadline, message, Some(&hint)) }
    }

    /// It ended before the root half spoke: why, as far as its last words tell.
    fn ended(&mut self, answered: bool) -> Failure {
        let status = wait_within(&mut self.child, END_WITHIN);
        if status.is_none() {
            // It has nothing more to say to us; where it is not ours to kill, it is left.
            let _ = self.child.kill();
        }
        // A grandchild may hold its stderr open for ever: what is there is taken, no more is waited for.
        if rustix::io::ioctl_fionbio(&self.stderr, true).is_ok() {
            self.said.drain(&mut self.stderr);
        }
        let how = status.map_or(Ended::Deadline, |status| match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exit(code),
            (None, signal) => Ended::Signal(signal.unwrap_or(0)),
        });
        if answered && self.said.refuses_password() {
            return self.wrong_password();
        }
        let tail = self.said.lines();
        let (message, hint) = match prompt::recognise(&tail.join("\n")) {
            Some(known) => (known.message.to_owned(), known.hint(&own_account())),
            None => (format!("{} did not run the agent as root: {how}", self.program), self.look().to_owned()),
        };
        let command = CommandFailure { argv: vec![self.program.to_owned()], status: how, tail };
        Failure { command: Some(command), ..failure(FailureKind::Apply, message, Some(&hint)) }
    }

    /// Ends it. A sudo that is root's does not let itself be killed by us: one that hangs is left behind at the end of its input.
    fn end(mut self) {
        drop(self.stdin);
        // sudo passes its end on to what it started; killed, it could not.
        if wait_within(&mut self.child, END_WITHIN).is_none() {
            let _ = self.child.kill();
            let _ = wait_within(&mut self.child, END_WITHIN);
        }
    }
}

/// Waits for a child's end for so long, not for ever.
fn wait_within(child: &mut Child, within: Duration) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + within;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// What the controller said while we were becoming root.
enum Heard {
    Nothing,
    Left,
    Password(Hidden),
    Other(Buffer),
}

/// Root's copy serves; where there is none, our own file installs it first.
fn command(facilities: &dyn Facilities, how: Become, program: &Path, marker: &str) -> Result<Command, Failure> {
    let mut command = Command::new(program);
    match how {
        Become::Sudo => command.args(["-k", "-S", "-p", &prompt::prompt(marker)]),
        // It reads passwords from a terminal only (readpassphrase(3)).
        Become::Doas => command.arg("-n"),
    };
    match facilities.roots_copy() {
        Some(copy) => command.arg(copy).args(["serve", "--root"]),
        None => command.arg(own_file()?).args(["install", &facilities.digest().hex(), "--serve"]),
    };
    Ok(command)
}

fn own_file() -> Result<PathBuf, Failure> {
    crate::engine::own_file().map_err(|error| from_error(FailureKind::Internal, &error))
}

/// A prompt that no program prints by chance.
fn marker() -> std::io::Result<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(format!("[ostler-{} ", id.trim()))
}
