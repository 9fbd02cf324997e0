//! Starting a child, feeding it, reading it, and ending it in time: one thread, one poll(2).

use super::{Finished, Identity, Program, Tail};
use crate::host::account::{self, Report};
use crate::host::{Operation, OsError};
use ostler_roles::outcome::Ended;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who hears standard output as it comes.
type Hear<'a> = Option<&'a mut dyn FnMut(&[u8])>;

/// How long a child may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// How often `cancelled` is asked.
const TICK: Duration = Duration::from_millis(200);
/// How long a grandchild that kept the streams open is listened to after the child has ended.
const LINGER: Duration = Duration::from_millis(50);
/// Where our own tools are: in `/usr/local` a group may write (Debian Policy 9.1.2), and no distribution has them there.
const OWN_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn run(mut program: Program, deadline: Instant, cancelled: &dyn Fn() -> bool, hear: Hear<'_>) -> Result<Finished, OsError> {
    let name = program.argv.first().cloned().unwrap_or_default();
    let fail = |source: io::Error| OsError::new(Operation::Start, &name, source);
    let report = program.identity.as_ref().map(|_| Report::new()).transpose().map_err(fail)?;
    let mut starting = command(&mut program, report.as_ref());
    let mut child = account::when_writable_by_nobody(|| starting.spawn()).map_err(fail)?;
    drop(starting);
    let mut finished = Finished {
        argv: std::mem::take(&mut program.argv),
        status: Ended::NotStarted,
        stdout: Vec::new(),
        cut: false,
        tail: Tail::masking(&program.mask),
        cancelled: false,
    };
    let input = program.stdin.take();
    let done = attend(
        &mut child,
        input.as_ref().map_or(&[], |input| input.expose().as_slice()),
        deadline,
        cancelled,
        &mut finished,
        &program,
        hear,
    );
    finished.tail.end(finished.status != Ended::Deadline);
    let unstarted = report.and_then(|report| report.told(&name, &program.directory));
    match (done, unstarted) {
        (Ok(()), Some(error)) => Err(error),
        (Ok(()), None) => Ok(finished),
        (Err(source), _) => {
            stop(&mut child, &program);
            Err(OsError::new(Operation::Wait, name, source))
        }
    }
}

/// The command that starts this program again for `program`, with the rights of `identity`.
fn again(program: &Program, identity: &Identity, report: &Report) -> Command {
    let groups: Vec<String> = identity.groups.iter().map(u32::to_string).collect();
    // One that outlives us is bound to nobody's life.
    let parent = if program.survives { 0 } else { rustix::process::getpid().as_raw_nonzero().get() };
    let mut command = Command::new(account::SELF);
    command.arg(account::WORD).args([identity.uid.to_string(), identity.gid.to_string(), groups.join(","), parent.to_string()]);
    command.arg(report.write.as_raw_fd().to_string()).arg(&program.directory).current_dir("/");
    match program.work {
        Some(work) => command.args([account::WORK, work]),
        None => command.arg(account::RUN).args(&program.argv),
    };
    command
}

fn command(program: &mut Program, report: Option<&Report>) -> Command {
    let mut command = match (&program.identity, report) {
        (Some(identity), Some(report)) => again(program, identity, report),
        (Some(_) | None, _) => own(program),
    };
    let path = if program.identity.is_some() { super::PATH } else { OWN_PATH };
    command.process_group(0).env_clear().envs([("PATH", path), ("LC_ALL", "C.UTF-8"), ("LANG", "C.UTF-8")]);
    match &program.identity {
        Some(identity) => command.envs([("HOME", &identity.home), ("USER", &identity.name), ("LOGNAME", &identity.name)]),
        None => command.envs([("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root")]),
    };
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    if let Some(path) = &program.path {
        command.env("PATH", path);
    }
    command.stdin(if program.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    match program.log_to.take() {
        Some(log) => {
            let both = log.try_clone().map_or_else(|_| Stdio::null(), Stdio::from);
            command.stdout(Stdio::from(log)).stderr(both);
        }
        None => {
            command.stdout(program.stdout_to.take().map_or_else(Stdio::piped, Stdio::from)).stderr(Stdio::piped());
        }
    }
    in_child(&mut command, report.map(|report| report.write.clone()), program.entered.take(), program.survives);
    command
}

/// A program with our own rights.
fn own(program: &Program) -> Command {
    let mut command = Command::new(program.argv.first().map_or("", String::as_str));
    command.args(program.argv.iter().skip(1));
    match &program.entered {
        Some(directory) => command.current_dir(format!("/proc/self/fd/{}", directory.as_raw_fd())),
        None => command.current_dir(&program.directory),
    };
    command
}

/// What is done between fork and exec, always with our own rights: whoever has another account's is a process of its own by then.
#[expect(unsafe_code, reason = "std has no safe way to set the parent-death signal of a child, or to hand a descriptor on")]
fn in_child(command: &mut Command, report: Option<Arc<OwnedFd>>, entered: Option<OwnedFd>, survives: bool) {
    let parent = rustix::process::getpid();
    let act = move || -> io::Result<()> {
        // Whoever started us may have had another one: what a program makes is readable unless it says otherwise.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        // Open until the child has entered it.
        let _ = &entered;
        if let Some(report) = &report {
            rustix::io::fcntl_setfd(report.as_ref(), rustix::io::FdFlags::empty())?;
        }
        if !survives {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            if rustix::process::getppid() != Some(parent) {
                return Err(io::Error::from(io::ErrorKind::Interrupted));
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec only plain system calls are made: nothing is allocated, no lock is taken.
    unsafe { command.pre_exec(act) };
}

struct Streams<'a, 'h> {
    stdin: Option<std::process::ChildStdin>,
    input: &'a [u8],
    stdout: Option<File>,
    stderr: Option<File>,
    pidfd: OwnedFd,
    keep: usize,
    hear: Hear<'h>,
}

fn attend(
    child: &mut Child,
    input: &[u8],
    deadline: Instant,
    cancelled: &dyn Fn() -> bool,
    finished: &mut Finished,
    program: &Program,
    hear: Hear<'_>,
) -> io::Result<()> {
    let pidfd = rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let stdout = child.stdout.take().map(|stream| File::from(OwnedFd::from(stream)));
    let stderr = child.stderr.take().map(|stream| File::from(OwnedFd::from(stream)));
    let mut streams = Streams { stdin: child.stdin.take(), input, stdout, stderr, pidfd, keep: program.keep, hear };
    for stream in [&streams.stdout, &streams.stderr].into_iter().flatten() {
        rustix::io::ioctl_fionbio(stream, true)?;
    }
    if let Some(stdin) = &streams.stdin {
        rustix::io::ioctl_fionbio(stdin, true)?;
    }
    loop {
        let now = Instant::now();
        let late = now >= deadline;
        if late || (finished.cancelled || cancelled()) && !program.survives {
            finished.cancelled = !late;
            finished.status = Ended::Deadline;
            if !program.survives {
                stop(child, program);
            }
            streams.drain(finished);
            return Ok(());
        }
        let ended = streams.wait(deadline.saturating_duration_since(now).min(TICK), finished)?;
        if ended {
            let status = child.wait()?;
            finished.status = match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Exit(code),
                (None, signal) => Ended::Signal(signal.unwrap_or(0)),
            };
            let until = Instant::now() + LINGER;
            while (streams.stdout.is_some() || streams.stderr.is_some()) && Instant::now() < until {
                streams.wait(Duration::from_millis(5), finished)?;
            }
            return Ok(());
        }
    }
}

impl Streams<'_, '_> {
    /// Waits until something can be done, does it, and tells whether the child has ended.
    fn wait(&mut self, patience: Duration, finished: &mut Finished) -> io::Result<bool> {
        let mut polled = vec![PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN)];
        polled.extend([&self.stdout, &self.stderr].into_iter().flatten().map(|stream| PollFd::new(stream, PollFlags::IN)));
        polled.extend(self.stdin.iter().map(|stdin| PollFd::new(stdin, PollFlags::OUT)));
        let patience =
            Timespec { tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX), tv_nsec: i64::from(patience.subsec_nanos()) };
        match rustix::event::poll(&mut polled, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(source) => return Err(source.into()),
        }
        let ended = polled.first().is_some_and(|child| !child.revents().is_empty());
        drop(polled);
        self.drain(finished);
        self.feed();
        Ok(ended)
    }

    fn feed(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        match stdin.write(self.input) {
            Ok(taken) => self.input = self.input.get(taken..).unwrap_or_default(),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // A program that does not read all of its input is its own judge of that.
            Err(_) => self.input = &[],
        }
        if self.input.is_empty() {
            self.stdin = None;
        }
    }

    fn drain(&mut self, finished: &mut Finished) {
        let Finished { stdout, cut, tail, .. } = finished;
        let keep = self.keep;
        let hear = &mut self.hear;
        drain(&mut self.stdout, |bytes| {
            if let Some(hear) = hear {
                return hear(bytes);
            }
            let room = keep.saturating_sub(stdout.len()).min(bytes.len());
            stdout.extend_from_slice(&bytes[..room]);
            *cut |= room < bytes.len();
            tail.push(bytes);
        });
        drain(&mut self.stderr, |bytes| tail.push_error(bytes));
    }
}

fn drain(stream: &mut Option<File>, mut take: impl FnMut(&[u8])) {
    let mut block = [0u8; 16 << 10];
    // A program that writes without end must not keep us from its deadline.
    for _ in 0..64 {
        let Some(open) = stream else { return };
        match open.read(&mut block) {
            Ok(0) => *stream = None,
            Ok(count) => take(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => *stream = None,
        }
    }
}

/// Ends the child and its group: asked, then forced.
fn stop(child: &mut Child, program: &Program) {
    if program.survives {
        return;
    }
    let group = Pid::from_child(child);
    for signal in [Signal::TERM, Signal::KILL] {
        let _ = rustix::process::kill_process_group(group, signal);
        let until = Instant::now() + GRACE;
        // One that a file system keeps in the kernel ends by no signal: it is left behind, and is init's to wait for once we are gone.
        while Instant::now() < until {
            match child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Ok(Some(_)) | Err(_) => break,
            }
        }
    }
}
