//! The first process of a root tree. It ends when the builder does, however that ends, and with it every process and mount of the tree.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};

use super::super::error::ImageError;
use super::super::layers::{DIRECTORY, remove_at};
use super::processes::Processes;
use super::protocol::{Event, Request, Setup};
use super::{ground, hard_links, network};
use crate::lab::LabError;
use crate::lab::child;
use crate::lab::wire::{self, Wire};

/// The hidden verb of the `ostler` program that lands in [`root_main`].
pub const ROOT_VERB: &str = "image-root";

/// How long the builder may take to say what tree it wants.
const TOLD_LIMIT: Duration = Duration::from_secs(20);

/// The name of every machine that is an image: that of this one is nobody's business.
const HOST_NAME: &[u8] = b"localhost";

/// What no process of a tree may do, though it is root: it would do it to this machine (capabilities(7)).
const TAKEN: [CapabilitySet; 7] = [
    CapabilitySet::SYS_MODULE,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_BOOT,
    CapabilitySet::SYS_TIME,
    CapabilitySet::SYSLOG,
    CapabilitySet::WAKE_ALARM,
    CapabilitySet::MAC_ADMIN,
];

/// Runs the first process: its standard input is the conversation with the builder.
pub fn root_main() -> ExitCode {
    let Ok(input) = rustix::io::dup(rustix::stdio::stdin()) else { return ExitCode::FAILURE };
    let builder = Arc::new(Wire::from(input));
    match serve(&builder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One that has ended does not hear it.
            let _ = builder.send(&Event::Failed(told(error)), &[]);
            ExitCode::FAILURE
        }
    }
}

/// An error with all its causes, on one line.
fn told(error: ImageError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn serve(builder: &Arc<Wire>) -> Result<(), ImageError> {
    let Some((setup, _)) = builder.receive_within::<Setup>(TOLD_LIMIT, "what tree is wanted")? else { return Ok(()) };
    let scratch = Scratch::open(&setup.scratch)?;
    let (over, working) = pipe_with(PipeFlags::CLOEXEC).map_err(ImageError::system::<rustix::io::Errno>("make a pipe"))?;
    let told = Arc::clone(builder);
    let work = child::thread("start a thread for the root tree", move || {
        let _working = working;
        work(&told, &setup)
    })?;
    let end = watch(builder, &over);
    scratch.remove();
    match end {
        FirstEnd::Builder => Ok(()),
        FirstEnd::Work => work.join().unwrap_or_else(|_| Err(ImageError::Enter("its first process panicked".to_owned()))),
    }
}

/// Sets the tree up and serves the builder.
fn work(builder: &Wire, setup: &Setup) -> Result<(), ImageError> {
    let (stood, event, doors) = stand(setup)?;
    let shown: Vec<BorrowedFd<'_>> = doors.iter().map(AsFd::as_fd).collect();
    builder.send(&event, &shown)?;
    drop(shown);
    drop(doors);
    answer(builder, &stood)
}

/// What is needed as long as the tree is there.
struct Stood {
    processes: Processes,
    /// The overlay's upper directory and its index, where it can be written.
    written: Option<(OwnedFd, OwnedFd)>,
}

/// Sets everything up. Returns the event that says so with what goes with it.
fn stand(setup: &Setup) -> Result<(Stood, Event, Vec<OwnedFd>), ImageError> {
    let failed = |what| ImageError::system::<rustix::io::Errno>(what);
    // Away from the builder's terminal: no program in the tree asks there.
    rustix::process::setsid().map_err(failed("leave the terminal"))?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    // The machine's /proc is still there, which shows us as the builder sees us.
    let own = std::fs::read_link("/proc/self").map_err(ImageError::file("read", Path::new("/proc/self")))?;
    let pid = own
        .to_str()
        .and_then(|own| own.parse().ok())
        .ok_or_else(|| ImageError::file("read", &own)(std::io::ErrorKind::InvalidData.into()))?;
    rustix::system::sethostname(HOST_NAME).map_err(failed("set the tree's host name"))?;
    let mut doors = Vec::new();
    if !setup.bare {
        let built = network::build()?;
        doors = vec![built.connections.into(), built.names.into()];
    }
    let upper = setup.upper.as_ref().map(|(upper, work)| Ok::<_, ImageError>((directory(upper)?, directory(work)?))).transpose()?;
    ground::stand_on(setup)?;
    let written = upper.and_then(|(upper, work)| {
        // None where the file system below cannot tell hard links apart (no file handles).
        let index = rustix::fs::openat(&work, "index", DIRECTORY, Mode::empty()).ok()?;
        Some((upper, index))
    });
    for capability in TAKEN {
        // One that this kernel does not know cannot be used either.
        let _ = remove_capability_from_bounding_set(capability);
    }
    Ok((Stood { processes: Processes::new()?, written }, Event::Ready { pid }, doors))
}

fn directory(path: &Path) -> Result<OwnedFd, ImageError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| ImageError::file("open", path)(error.into()))
}

/// Does what the builder asks for, until it ends or leaves.
fn answer(builder: &Wire, stood: &Stood) -> Result<(), ImageError> {
    loop {
        let waiting = stood.processes.waiting();
        let watched: Vec<_> = std::iter::once(builder.as_fd()).chain(waiting.iter().map(|(_, told)| told.as_fd())).collect();
        let ready = wire::readable(&watched, None)?;
        for ((pid, _), _) in waiting.iter().zip(&ready[1..]).filter(|(_, ended)| **ended) {
            stood.processes.give_up(*pid);
        }
        if !ready[0] {
            continue;
        }
        match builder.receive::<Request>() {
            Ok(Some((Request::Exec(exec), descriptors))) => stood.processes.start(&exec, descriptors),
            Ok(Some((Request::Leave, _))) => {
                let still = stood.processes.end_all()?;
                if let Some((upper, index)) = &stood.written {
                    hard_links::keep_together(upper, index)?;
                }
                builder.send(&Event::Left { still }, &[])?;
                return Ok(());
            }
            Ok(None) => return Ok(()),
            // Not understood: its conversation has ended, which is told to whoever had it.
            Err(LabError::Wire(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What ends first.
enum FirstEnd {
    Builder,
    Work,
}

/// Waits for the builder's end, whatever else is being done: the work may be in a wait that has no end. With this thread, the main one, ends the
/// process, and so do all others here.
fn watch(builder: &Wire, over: &OwnedFd) -> FirstEnd {
    let ended = PollFlags::HUP | PollFlags::ERR;
    loop {
        let mut polled = [PollFd::new(builder, PollFlags::empty()), PollFd::new(over, PollFlags::empty())];
        match poll(&mut polled, None) {
            Ok(_) if polled[1].revents().intersects(ended) => return FirstEnd::Work,
            Ok(_) if polled[0].revents().intersects(ended) => return FirstEnd::Builder,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return FirstEnd::Builder,
        }
    }
}

/// The root's own directory, reached without the machine's root.
struct Scratch {
    parent: OwnedFd,
    name: OsString,
}

impl Scratch {
    fn open(path: &Path) -> Result<Self, ImageError> {
        let (parent, name) =
            path.parent().zip(path.file_name()).ok_or_else(|| ImageError::file("open", path)(std::io::ErrorKind::InvalidInput.into()))?;
        Ok(Self { parent: directory(parent)?, name: name.to_owned() })
    }

    /// What cannot be removed is when the store is next opened.
    fn remove(&self) {
        let _ = remove_at(self.parent.as_fd(), &self.name);
    }
}
