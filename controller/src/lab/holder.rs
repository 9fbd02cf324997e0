//! The holder: one process outside whose life is the lab's life.
//!
//! Its stages, each a run of the same program (`ostler lab-holder STAGE DIRECTORY`):
//! *hold* stays in the machine's own namespaces (so the gateway's connections start there) and starts *init* in new mount, pid
//! and network namespaces; *init* is PID 1 there, reaps orphans and starts *keeper*, which does the work. The chain is tied by
//! parent-death signals, and PID 1's end takes every process, mount and link of the lab with it.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::{WaitOptions, WaitStatus};

use super::child;
use super::error::LabError;
use super::gateway::Gateway;
use super::keeper::run_keeper;
use super::paths::LabPaths;
use super::protocol::{Event, Plan};
use super::wire::{self, Wire};

/// The hidden verb of the `ostler` program that lands in [`holder_main`].
pub const HOLDER_VERB: &str = "lab-holder";

/// How long the lab's processes may take to end once the keeper has.
pub(crate) const END_LIMIT: Duration = Duration::from_secs(10);

/// How many inotify instances a lab wants the machine to allow; each systemd takes several.
const INOTIFY_INSTANCES: u32 = 8192;

/// Runs one stage of the holder. `arguments` are those after the hidden verb.
pub fn holder_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let stage = arguments.next().unwrap_or_default();
    let outcome = arguments.next().map(PathBuf::from).ok_or_else(|| LabError::Spec("no state directory".into())).and_then(|dir| {
        let place = LabPaths::create(&dir)?;
        match stage.to_str() {
            Some("hold") => hold(&place),
            Some("init") => init(&place),
            Some("keeper") => run_keeper(&place, &read_plan(&place)?, &stdin_wire()?),
            _ => Err(LabError::Spec(format!("unknown holder stage {stage:?}"))),
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the holder's log.
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("{}\n", error.chain()).as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Reads the plan of a lab that is up.
pub(crate) fn read_plan(place: &LabPaths) -> Result<Plan, LabError> {
    let path = place.plan();
    let bytes = fs::read(&path).map_err(LabError::file("read", &path))?;
    serde_json::from_slice(&bytes).map_err(|error| LabError::Wire(format!("{}: {error}", path.display())))
}

/// The conversation with whoever started this stage comes as its standard input.
fn stdin_wire() -> Result<Wire, LabError> {
    let input = rustix::io::dup(rustix::stdio::stdin()).map_err(LabError::system("take over standard input"))?;
    Ok(Wire::from(input))
}

fn hold(place: &LabPaths) -> Result<(), LabError> {
    let starter = stdin_wire()?;
    // Away from the starter's terminal: its hang-up is not the lab's end. Fails only where this is a session leader already.
    let _ = rustix::process::setsid();
    let outcome = hold_for(place, &starter);
    if let Err(error) = &outcome {
        let _ = starter.send(&Event::Failed(error.chain()), &[]);
    }
    outcome
}

fn hold_for(place: &LabPaths, starter: &Wire) -> Result<(), LabError> {
    let _lock = lock(place)?;
    let plan = read_plan(place)?;
    let _ = fs::remove_file(place.socket());
    let listener = wire::listen(&place.socket())?;
    if let Some(notice) = raise_inotify_limit() {
        let _ = starter.send(&Event::Notice(notice), &[]);
    }
    let (keeper, theirs) = Wire::pair()?;
    let mut child = start_init(place, theirs)?;
    keeper.send(&(), &[listener.as_fd()])?;
    drop(listener);
    let outcome = relay(place, &plan, starter, &keeper);
    // From now on this lab is not up: who comes next waits for its end.
    let _ = fs::remove_file(place.socket());
    drop(keeper);
    if matches!(outcome, Ok(Over::Abandoned)) {
        // `unshare`, and the lab's PID 1 with it: the keeper would see this only once a node has booted.
        let _ = child.kill();
    }
    // Late, it is killed too.
    let ended = child::wait(&mut child, "the lab's PID 1", END_LIMIT);
    outcome.and(ended.map(drop))
}

/// Taken for the holder's life; the kernel gives it back at any death.
fn lock(place: &LabPaths) -> Result<fs::File, LabError> {
    let path = place.lock();
    // Not emptied before it is ours: another's number may stand in it.
    let open = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = open.map_err(LabError::file("create", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // For whoever must end a holder that cannot be reached; on a full disk it is not said.
            let _ = file.set_len(0).and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
            Ok(file)
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LabError::AlreadyUp(place.dir().to_owned())),
        Err(error) => Err(LabError::file("lock", &path)(error.into())),
    }
}

/// Starts PID 1 of the lab: setpriv ties `unshare` to this process, `--kill-child` ties PID 1 to `unshare`.
fn start_init(place: &LabPaths, channel: OwnedFd) -> Result<Child, LabError> {
    let program = std::env::current_exe().map_err(LabError::system("find this program"))?;
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"])
        .arg(program)
        .args([HOLDER_VERB, "init"])
        .arg(place.dir())
        .stdin(channel);
    let shown = super::child::shown(&command);
    command.spawn().map_err(|source| LabError::Start { command: shown, source })
}

/// Why the holder's part is over.
enum Over {
    /// The keeper has ended, or does so by itself.
    Keeper,
    /// The starter left while the lab came up.
    Abandoned,
}

/// Passes the keeper's words on to the starter and starts the gateway, until the keeper ends. The starter's end is the lab's while
/// it comes up, and afterwards where it is tied.
fn relay(place: &LabPaths, plan: &Plan, starter: &Wire, keeper: &Wire) -> Result<Over, LabError> {
    let (mut tied, mut listening_to_starter, mut is_up) = (true, true, false);
    loop {
        let mut watched = vec![keeper.as_fd()];
        if listening_to_starter {
            watched.push(starter.as_fd());
        }
        let ready = wire::readable(&watched, None)?;
        if ready.get(1) == Some(&true) {
            if tied {
                return Ok(if is_up { Over::Keeper } else { Over::Abandoned });
            }
            listening_to_starter = false;
        }
        if !ready[0] {
            continue;
        }
        let Some((event, descriptors)) = keeper.receive::<Event>()? else { return Ok(Over::Keeper) };
        match event {
            Event::Listeners => start_gateway(place, plan, descriptors)?,
            Event::Up => {
                starter.send(&event, &[])?;
                (tied, is_up) = (plan.tied, true);
            }
            Event::Notice(_) | Event::NodeUp(_) | Event::Failed(_) => {
                // A starter that has left is seen above.
                let _ = starter.send(&event, &[]);
            }
        }
    }
}

fn start_gateway(place: &LabPaths, plan: &Plan, listeners: Vec<OwnedFd>) -> Result<(), LabError> {
    let [proxy, www] = <[OwnedFd; 2]>::try_from(listeners).map_err(|got| LabError::Wire(format!("{} listeners came, not 2", got.len())))?;
    Gateway::new(&plan.sources, &plan.packages, &place.www())?.start(TcpListener::from(proxy), TcpListener::from(www))
}

/// PID 1 of the lab: starts the keeper, reaps whatever is orphaned, ends with the keeper.
fn init(place: &LabPaths) -> Result<(), LabError> {
    let program = std::env::current_exe().map_err(LabError::system("find this program"))?;
    let mut command = Command::new(program);
    command.args([HOLDER_VERB, "keeper"]).arg(place.dir());
    let shown = super::child::shown(&command);
    let keeper = command.spawn().map_err(|source| LabError::Start { command: shown, source })?.id();
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(LabError::system("wait for children")(error)),
            Ok(Some((pid, status))) if u32::try_from(pid.as_raw_pid()) == Ok(keeper) => return ended(status),
            Ok(_) => {}
        }
    }
}

fn ended(status: WaitStatus) -> Result<(), LabError> {
    match status.exit_status() {
        Some(0) => Ok(()),
        _ => Err(LabError::Refused(format!("the keeper ended with {status:?}"))),
    }
}

/// Raises the limit all nodes share; returns what to tell the user when that is not permitted.
fn raise_inotify_limit() -> Option<String> {
    let path = Path::new("/proc/sys/fs/inotify/max_user_instances");
    let now: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    if now >= INOTIFY_INSTANCES {
        return None;
    }
    let error = fs::write(path, INOTIFY_INSTANCES.to_string()).err()?;
    Some(format!("fs.inotify.max_user_instances stays at {now} ({error}): about {} nodes fit", now / 6))
}
