//! Short-lived programs of the lab: run to their end, bounded in time, their output in the error.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::error::LabError;
use super::wire;

/// Longer than any of them takes on a loaded machine; the longest copies a root tree to a disk image.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);
/// A root tree over a slow link.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);

/// How long a log may take to be written once its writer has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs a program to its end and returns what it printed; a failure carries the end of its output.
pub(crate) fn run(command: &mut Command) -> Result<Output, LabError> {
    feed(command, b"")
}

/// Runs a program to its end, which must come within this time.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<Output, LabError> {
    feed_within(command, b"", limit)
}

/// Runs a program with this standard input.
pub(crate) fn feed(command: &mut Command, input: &[u8]) -> Result<Output, LabError> {
    feed_within(command, input, LIMIT)
}

fn feed_within(command: &mut Command, input: &[u8], limit: Duration) -> Result<Output, LabError> {
    let shown = shown(command);
    let start = |source| LabError::Start { command: shown.clone(), source };
    let mut child = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?);
    let (stdout, stderr) = (collect(child.0.stdout.take())?, collect(child.0.stderr.take())?);
    if let Some(mut stdin) = child.0.stdin.take() {
        // A program that ends without reading says why itself.
        let _ = stdin.write_all(input);
    }
    let status = wait(&mut child.0, &shown, limit)?;
    let output = Output { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() };
    if status.success() {
        return Ok(output);
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    Err(LabError::Command { command: shown, status: status.to_string(), output: tail(&text) })
}

/// Runs a builder, passing on each line of its standard error; its last lines go into the error. It ends with this process, however
/// that ends, and with all that it started and mounted: its namespaces are its own.
pub(crate) fn follow(builder: &Command, progress: &(dyn Fn(&str) + Sync)) -> Result<(), LabError> {
    let shown = shown(builder);
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]);
    command.arg(builder.get_program()).args(builder.get_args());
    command.envs(builder.get_envs().filter_map(|(name, value)| Some((name, value?)))).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| LabError::Start { command: shown.clone(), source })?;
    let stderr = child.stderr.take();
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut said = String::new();
            for line in stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()).map_while(Result::ok) {
                progress(&line);
                said = tail(&format!("{said}\n{line}"));
            }
            said
        });
        let status = wait(&mut child, &shown, BUILD_LIMIT)?;
        let said = reader.join().unwrap_or_default();
        if status.success() { Ok(()) } else { Err(LabError::Command { command: shown, status: status.to_string(), output: said }) }
    })
}

/// Waits for a child's end; one that is late is killed.
pub(crate) fn wait(child: &mut Child, shown: &str, limit: Duration) -> Result<ExitStatus, LabError> {
    let failed = LabError::system("wait for a child");
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return child.wait().map_err(failed);
    };
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(LabError::system("open a pidfd"))?;
    if !wire::readable(&[ended.as_fd()], Some(limit))?[0] {
        // Its whole group, where it leads one: a builder's own children would keep its output open.
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = child.kill();
        let _ = child.wait();
        return Err(LabError::Deadline { what: format!("`{shown}` to end"), after: limit });
    }
    child.wait().map_err(failed)
}

/// Starts a thread; `std::thread::spawn` would panic where there is none to be had.
pub(crate) fn thread<T: Send + 'static>(what: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, LabError> {
    thread::Builder::new().spawn(work).map_err(LabError::system(what))
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> Result<JoinHandle<Vec<u8>>, LabError> {
    thread("start a thread for a program's output", move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What arrived before an error is all there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

/// What carries a node, and who writes its console's log.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    pub(crate) child: Child,
    pub(crate) log: Option<JoinHandle<()>>,
}

impl NodeProcess {
    /// Waits for its end, and for its last words to be in the log; returns the status it ended with.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let status = self.child.wait().ok().and_then(|status| status.code());
        let end = Instant::now() + LAST_WORDS;
        while self.log.as_ref().is_some_and(|log| !log.is_finished()) && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
        status
    }
}

/// A child that does not outlive its use.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has been waited for is not there any more, which is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the command line as it would be typed, without quoting.
pub(crate) fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Returns the last lines of a text: enough to see the cause, bounded.
pub(crate) fn tail(text: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_ran_how_it_ended_and_what_it_said_last() {
        let error = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).expect_err("fails").to_string();
        assert_eq!(error, "`sh -c echo out; echo err >&2; exit 3` ended with exit status: 3: err\nout");
        let missing = run(&mut Command::new("/no/such/program")).expect_err("missing");
        assert!(matches!(missing, LabError::Start { .. }), "{missing}");
        assert_eq!(feed(&mut Command::new("cat"), b"through").expect("ran").stdout, b"through");
    }

    #[test]
    fn a_late_child_is_killed() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("started");
        let late = wait(&mut child, "sleep 1000", Duration::from_millis(20)).expect_err("late");
        assert!(matches!(late, LabError::Deadline { .. }), "{late}");
        assert!(child.try_wait().expect("reaped").is_some());
    }
}
