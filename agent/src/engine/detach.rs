//! Starts the runner outside of the session: a transient systemd service, or its own session where systemd does not run.

use super::error::chain;
use super::{EngineError, Facilities, free_space};
use crate::host::dbus::{Call, Connection, Property, Value};
use ostler_roles::words::RunId;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where systemd keeps the units that it is given (systemd.unit(5)).
const UNITS: &str = "/run";
/// How long starting may take: systemd may be reading its units anew meanwhile.
const PATIENCE: Duration = Duration::from_secs(25);

/// Starts `program run ID` so that it outlives us.
pub(super) fn start_runner(facilities: &dyn Facilities, program: &Path, run: &RunId) -> Result<(), EngineError> {
    if facilities.has_systemd() { start_service(program, run) } else { start_session(program, run) }
}

/// As a service: `KillMode=process`, so that a package manager in its transaction is left to finish when the runner is killed;
/// collected when it ends; never restarted.
fn start_service(program: &Path, run: &RunId) -> Result<(), EngineError> {
    let wrong = |said: String| EngineError::Ended { program: "systemd".to_owned(), said };
    let mut systemd = Connection::to_systemd(true).map_err(|error| wrong(chain(&error)))?;
    let unit = format!("ostler-run-{run}.service");
    let description = format!("ostler run {}", run.short());
    let path = program.to_str().ok_or_else(|| wrong("the agent's path is not UTF-8".to_owned()))?;
    let properties = [
        ("Description", Property::Text(&description)),
        ("Type", Property::Text("exec")),
        ("ExecStart", Property::Command(&[path, "run", run.as_str()])),
        ("KillMode", Property::Text("process")),
        ("CollectMode", Property::Text("inactive-or-failed")),
        ("OOMPolicy", Property::Text("continue")),
    ];
    let call = Call {
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member: "StartTransientUnit",
        arguments: &[Value::Text(&unit), Value::Text("fail"), Value::Properties(&properties), Value::NoUnits],
    };
    systemd.call(&call, Instant::now() + PATIENCE).map(drop).map_err(|error| {
        // Of a unit that it could not write down systemd says no more than that it is not found.
        let full = free_space::full(Path::new(UNITS)).map(|full| format!("; {full}")).unwrap_or_default();
        wrong(format!("{}{full}", chain(&error)))
    })
}

/// Without systemd: the child makes a session of its own, starts the runner in it and leaves.
fn start_session(program: &Path, run: &RunId) -> Result<(), EngineError> {
    let mut command = Command::new(program);
    command.args(["run", run.as_str(), "--detach"]);
    finish(command, &program.display().to_string())
}

/// The first half of the double start: a session of our own, and the runner in it.
///
/// # Errors
/// When the program cannot be started again.
pub(super) fn detach(program: &Path, run: &RunId) -> Result<(), EngineError> {
    // EPERM only when this process leads a group already: then it has its own.
    let _ = rustix::process::setsid();
    let mut command = Command::new(program);
    command.args(["run", run.as_str()]).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = |source| EngineError::Start { program: program.display().to_string(), source };
    command.spawn().map(drop).map_err(start)
}

/// Runs a short program to its end.
fn finish(mut command: Command, name: &str) -> Result<(), EngineError> {
    let start = |source| EngineError::Start { program: name.to_owned(), source };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env("LC_ALL", "C").current_dir("/");
    let mut child = command.spawn().map_err(start)?;
    let end = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    let status = loop {
        match child.try_wait().map_err(start)? {
            Some(status) => break status,
            None if Instant::now() >= end => {
                // Killed and reaped: what it was asked for may still happen, which the runner's own lock sorts out.
                let _ = child.kill();
                let _ = child.wait();
                return Err(EngineError::Late { seconds: PATIENCE.as_secs(), said: format!(": {name} does not end") });
            }
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(10));
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        use std::io::Read as _;
        // Its last words are for people; without them the status must do.
        let _ = stderr.take(4096).read_to_end(&mut said);
    }
    Err(EngineError::Ended { program: name.to_owned(), said: format!("{status}: {}", String::from_utf8_lossy(&said).trim()) })
}
