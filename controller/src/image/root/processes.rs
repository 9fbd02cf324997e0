//! Processes of a root tree, as its first process sees them: started, reaped whoever's children they were, ended.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process, kill_process_group};

use super::super::error::ImageError;
use super::protocol::{End, Exec};
use crate::lab::child;
use crate::lab::wire::Wire;

/// How long processes may take to end once they are killed.
const END_LIMIT: Duration = Duration::from_secs(20);

/// The processes.
#[derive(Debug)]
pub(super) struct Processes {
    table: Arc<Table>,
    /// /proc of this namespace, mounted nowhere.
    proc: OwnedFd,
}

#[derive(Debug, Default)]
struct Table {
    running: Mutex<Running>,
    started: Condvar,
}

#[derive(Debug, Default)]
struct Running {
    /// Who hears of a program's end; nobody any more where it was given up.
    programs: HashMap<i32, Option<Arc<Wire>>>,
    /// How many have been started.
    count: u64,
}

impl Processes {
    /// Begins to reap.
    pub(super) fn new() -> Result<Self, ImageError> {
        let failed = |what| ImageError::system::<rustix::io::Errno>(what);
        let view = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("open a /proc"))?;
        fsconfig_create(&view).map_err(failed("make a /proc"))?;
        let proc = fsmount(&view, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(failed("mount a /proc"))?;
        let table = Arc::new(Table::default());
        let reaper = Arc::clone(&table);
        child::thread("start a thread that waits for processes", move || reaper.reap())?;
        Ok(Self { table, proc })
    }

    /// Starts a program, or tells why it cannot be.
    pub(super) fn start(&self, exec: &Exec, descriptors: Vec<OwnedFd>) {
        let Ok([input, output, errors, told]) = <[OwnedFd; 4]>::try_from(descriptors) else { return };
        let told = Arc::new(Wire::from(told));
        let mut running = self.table.lock();
        match spawn(exec, [input, output, errors]) {
            Ok(pid) => {
                running.programs.insert(pid, Some(told));
                running.count += 1;
                self.table.started.notify_all();
            }
            Err(error) => {
                let missing = error.kind() == std::io::ErrorKind::NotFound;
                // Whoever does not listen any more need not hear it.
                let _ = told.send(&End::NotStarted { why: error.to_string(), missing }, &[]);
            }
        }
    }

    /// Returns whoever waits for a program's end: one that ends has given it up.
    pub(super) fn waiting(&self) -> Vec<(i32, Arc<Wire>)> {
        self.table.lock().programs.iter().filter_map(|(pid, told)| Some((*pid, Arc::clone(told.as_ref()?)))).collect()
    }

    /// Kills a program that was given up, with its group.
    pub(super) fn give_up(&self, pid: i32) {
        // Not reaped while this is locked: the number is still its own.
        if let Some(told) = self.table.lock().programs.get_mut(&pid) {
            *told = None;
            let _ = Pid::from_raw(pid).map(|pid| kill_process_group(pid, Signal::KILL));
        }
    }

    /// Ends all processes; returns the names of those that were there.
    pub(super) fn end_all(&self) -> Result<Vec<String>, ImageError> {
        let end = Instant::now() + END_LIMIT;
        let mut still: Option<Vec<String>> = None;
        loop {
            let there = self.there().map_err(ImageError::system("list processes"))?;
            let names = still.get_or_insert_with(|| there.iter().map(|(_, name)| name.clone()).collect());
            if there.is_empty() {
                return Ok(std::mem::take(names));
            }
            if Instant::now() >= end {
                let left: Vec<_> = there.into_iter().map(|(_, name)| name).collect();
                return Err(ImageError::Deadline { what: format!("the end of {}", left.join(", ")), after: END_LIMIT });
            }
            for (pid, _) in there {
                let _ = kill_process(pid, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// All but this one, with their names.
    fn there(&self) -> rustix::io::Result<Vec<(Pid, String)>> {
        let root = rustix::fs::openat(&self.proc, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut there = Vec::new();
        for entry in Dir::read_from(&root)? {
            let entry = entry?;
            let number = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
            let Some(pid) = number.filter(|number| *number != 1).and_then(Pid::from_raw) else { continue };
            let file = format!("{}/comm", pid.as_raw_pid());
            let mut name = [0; 64];
            // Gone meanwhile: it has no name any more.
            let Ok(open) = rustix::fs::openat(&root, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { continue };
            let Ok(length) = rustix::io::read(&open, &mut name) else { continue };
            there.push((pid, String::from_utf8_lossy(&name[..length]).trim().to_owned()));
        }
        Ok(there)
    }
}

impl Table {
    fn lock(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reaps for ever. A program that could not be started is reaped by who started it: so nothing is reaped while one is being started.
    fn reap(&self) {
        let mut seen = 0;
        loop {
            match rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => self.reap_ready(),
                // No child, and so none that could leave us one: until the next is started.
                Err(_) => {
                    let mut running = self.lock();
                    while running.count == seen {
                        running = self.started.wait(running).unwrap_or_else(PoisonError::into_inner);
                    }
                    seen = running.count;
                }
            }
        }
    }

    fn reap_ready(&self) {
        let mut running = self.lock();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if let Some(Some(told)) = running.programs.remove(&pid.as_raw_pid()) {
                let _ = told.send(&end(status), &[]);
            }
        }
    }
}

fn end(status: WaitStatus) -> End {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exited(code),
        (None, signal) => End::Killed(signal.unwrap_or(0)),
    }
}

fn spawn(exec: &Exec, [input, output, errors]: [OwnedFd; 3]) -> std::io::Result<i32> {
    let (program, arguments) = exec.argv.split_first().ok_or(std::io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(exec.environment.iter().map(|(name, value)| (name, value)));
    command.current_dir(&exec.directory).stdin(input).stdout(output).stderr(errors).process_group(0);
    let child = command.spawn()?;
    i32::try_from(child.id()).map_err(std::io::Error::other)
}
