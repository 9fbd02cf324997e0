//! Root trees: layers mounted on one another in namespaces of their own, programs run in them as if it were their machine.
//!
//! `ostler image-root` is the first process there ([`root_main`]). It watches the conversation with the builder and ends with it, and the
//! kernel then ends every process and mount of the tree: nobody has to clean up after a builder that was killed.

mod command;
mod ground;
mod hard_links;
mod inside;
mod link;
mod names;
mod network;
mod outside;
mod place;
mod processes;
mod protocol;

pub use inside::{ROOT_VERB, root_main};
pub use protocol::Bind;

use std::fmt;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::error::ImageError;
use crate::lab::wire::Wire;
use crate::lab::{LabError, child};
use crate::transport::Link;
use command::Control;
use link::RootLink;
use outside::Outside;
use place::Place;
use protocol::{Event, Request, Setup};

/// How long a tree may take to be there: what is asked of the kernel and two small programs.
const ENTER_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to end: processes that are killed, and hard links of many files.
const LEAVE_LIMIT: Duration = Duration::from_secs(120);
/// How long a program of [`Root::run`] may take.
const RUN_LIMIT: Duration = Duration::from_secs(600);

/// What a root tree is made of.
#[derive(Debug, Clone, Default)]
pub struct RootSpec {
    /// Trees, lowest first.
    pub layers: Vec<PathBuf>,
    /// Upper and work directory of overlayfs; none: the tree can only be read.
    pub upper: Option<(PathBuf, PathBuf)>,
    /// Directories and files of this machine that are seen in it. Nothing of them stays in the upper directory.
    pub binds: Vec<Bind>,
    /// Only the layers and `binds`: no /proc, /dev, /run and network, for whoever reads the tree.
    pub bare: bool,
}

/// What makes a root tree.
#[derive(Debug, Clone)]
pub struct RootSetup {
    /// The `ostler` program.
    pub program: PathBuf,
    /// A directory for what is the root's alone, its /tmp among that: [`super::layers::Store::scratch`].
    pub scratch: PathBuf,
}

/// A root tree that is there. Dropped, it is gone, with all its processes.
pub struct Root {
    /// `unshare`, which waits for the first process.
    carrier: Child,
    pid: u32,
    control: Arc<Control>,
    outside: Option<Outside>,
    _place: Place,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({})", self.pid)
    }
}

impl Root {
    /// Makes the tree.
    ///
    /// # Errors
    /// When it cannot be had; nothing is left of it then.
    pub fn enter(spec: &RootSpec, setup: &RootSetup) -> Result<Self, ImageError> {
        let user = rustix::process::geteuid();
        if !user.is_root() {
            return Err(ImageError::NeedsRoot(user.as_raw()));
        }
        if spec.layers.is_empty() {
            return Err(ImageError::refused("a root tree without a layer", "give at least its base"));
        }
        let place = Place::make(&setup.scratch, &spec.binds, spec.bare)?;
        let told = Setup {
            layers: spec.layers.clone(),
            upper: spec.upper.clone(),
            binds: spec.binds.clone(),
            bare: spec.bare,
            scratch: place.dir.clone(),
        };
        let (wire, theirs) = Wire::pair()?;
        let mut carrier = start(setup, theirs)?;
        match begin(&wire, &told) {
            Ok((pid, outside)) => Ok(Self { carrier, pid, control: Arc::new(Control::new(wire, spec.bare)), outside, _place: place }),
            Err(error) => {
                drop(wire);
                let said = end(&mut carrier);
                Err(if matches!(error, ImageError::RootGone) && !said.is_empty() { ImageError::Enter(said) } else { error })
            }
        }
    }

    /// Returns a way to run an agent in it.
    #[must_use]
    pub fn link(&self) -> Arc<dyn Link> {
        Arc::new(RootLink::new(Arc::clone(&self.control)))
    }

    /// Runs a program in it, as root, and returns how it ended and what it printed.
    ///
    /// # Errors
    /// When it cannot be started, takes longer than ten minutes, or prints too much.
    pub fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<Output, ImageError> {
        self.run_within(argv, env, RUN_LIMIT)
    }

    /// Runs a program as [`Root::run`], which must end within this time.
    ///
    /// # Errors
    /// As [`Root::run`].
    pub fn run_within(&self, argv: &[&str], env: &[(&str, &str)], limit: Duration) -> Result<Output, ImageError> {
        command::run(&self.control, argv, env, limit)
    }

    /// Returns the tree as it is seen from outside, for as long as the root is there. What is mounted in it is seen too.
    #[must_use]
    pub fn tree(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }

    /// Returns its first process, as this machine counts.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns how many bytes came into it from outside.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.outside.as_ref().map_or(0, Outside::fetched)
    }

    /// Ends all its processes and unmounts it. Returns the names of processes that had not ended by themselves.
    ///
    /// # Errors
    /// When not all ends in time, or what was written cannot be put in order; the root is gone all the same.
    pub fn leave(self) -> Result<Vec<String>, ImageError> {
        let wire = self.control.take().ok_or(ImageError::RootGone)?;
        let asked = wire.ask::<_, Event>(&Request::Leave, &[], LEAVE_LIMIT, "the root tree's end");
        drop(wire);
        match asked? {
            Some((Event::Left { still }, _)) => Ok(still),
            Some((Event::Failed(why), _)) => Err(ImageError::Enter(why)),
            Some((Event::Ready { .. }, _)) | None => Err(ImageError::RootGone),
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // The first process sees the end of the conversation, however many links are held.
        drop(self.control.take());
        let _ = end(&mut self.carrier);
        drop(self.outside.take());
    }
}

/// Starts the first process in namespaces of its own. Should `unshare` be killed, so is that.
fn start(setup: &RootSetup, theirs: OwnedFd) -> Result<Child, ImageError> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child=SIGKILL"]);
    command.arg(&setup.program).arg(ROOT_VERB);
    // The builder's terminal interrupts the builder, which knows what to end first.
    command.stdin(theirs).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let shown = child::shown(&command);
    command.spawn().map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ImageError::MissingProgram { program: "unshare", package: "util-linux" },
        _ => LabError::Start { command: shown, source }.into(),
    })
}

/// Tells the first process what tree is wanted and waits for it.
fn begin(wire: &Wire, told: &Setup) -> Result<(u32, Option<Outside>), ImageError> {
    let answer = wire.ask::<_, Event>(told, &[], ENTER_LIMIT, "the root tree");
    match answer? {
        Some((Event::Ready { pid }, doors)) if told.bare && doors.is_empty() => Ok((pid, None)),
        Some((Event::Ready { pid }, doors)) => {
            let [connections, names] = <[OwnedFd; 2]>::try_from(doors).map_err(|_| ImageError::RootGone)?;
            Ok((pid, Some(Outside::serve(connections, names)?)))
        }
        Some((Event::Failed(why), _)) => Err(ImageError::Enter(why)),
        Some((Event::Left { .. }, _)) | None => Err(ImageError::RootGone),
    }
}

/// Waits for the end of all, which the end of the conversation has begun. Returns what was said on standard error.
fn end(carrier: &mut Child) -> String {
    // Late, `unshare` is killed, and with it the first process.
    let _ = child::wait(carrier, "the root tree's first process", LEAVE_LIMIT);
    let mut said = String::new();
    if let Some(errors) = carrier.stderr.take() {
        // No text, or none at all: nothing was said.
        let _ = errors.take(16 << 10).read_to_string(&mut said);
    }
    child::tail(&said)
}
