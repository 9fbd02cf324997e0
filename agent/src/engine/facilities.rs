//! What sessions and runs need from outside: one trait, real in `main`, fake in tests.

use super::{Provider, StatePaths};
use ostler_roles::facts::{Facts, LiveFacts};
use ostler_roles::outcome::Failure;
use ostler_roles::wire::message::Become;
use ostler_roles::words::Digest;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The node and the program around the engine.
pub trait Facilities: Sync {
    /// Reads what is known of the node and holds for the whole run.
    ///
    /// # Errors
    /// When that cannot be read.
    fn facts(&self) -> Result<Facts, Failure>;

    /// Reads what changes all the time; a disk that hangs takes seconds.
    ///
    /// # Errors
    /// When that cannot be read.
    fn live(&self) -> Result<LiveFacts, Failure>;

    /// Gives a provider for one plan or one run; secrets are compared under `secret_key`.
    ///
    /// # Errors
    /// When the node cannot be reached at all.
    fn provider(&self, secret_key: &[u8]) -> Result<Box<dyn Provider + '_>, Failure>;

    /// Where state is kept.
    fn paths(&self) -> &StatePaths;

    /// Digest of the running program's file.
    fn digest(&self) -> Digest;

    /// A copy of the running program that only root can alter, where there is one.
    fn roots_copy(&self) -> Option<PathBuf>;

    /// Makes sure of such a copy and names it: what runners are started from.
    ///
    /// # Errors
    /// When it cannot be made, or the running file is not what its name says.
    fn install(&self) -> Result<PathBuf, super::EngineError>;

    /// Whether this process may change the node.
    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Whether systemd runs the node (sd_booted(3)).
    fn has_systemd(&self) -> bool {
        Path::new("/run/systemd/system").is_dir()
    }

    /// The program that makes someone else of us.
    fn escalator(&self, r#become: Become) -> Option<PathBuf> {
        let name = match r#become {
            Become::Sudo => "sudo",
            Become::Doas => "doas",
        };
        ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin"]
            .iter()
            .map(|directory| Path::new(directory).join(name))
            .find(|path| path.is_file())
    }

    /// What a step gets beyond twice its own time before it is held for one that never comes back.
    fn grace(&self) -> Duration {
        Duration::from_secs(120)
    }

    /// Told at every moment at which being killed must do no harm.
    fn passed(&self, _moment: Moment) {}
}

/// The moments of the decision page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// `Go`: both locks are held.
    Locked,
    /// `Go`: catalog, plan, contents and secrets are written.
    Persisted,
    /// `Go`: the node's record names the run.
    Recorded,
    /// `Go`: the runner may take its lock.
    Released,
    /// `Go`: the runner was started.
    Launched,
    /// `Go`: the runner has begun.
    Begun,
    /// Runner: the actions owed for this step's change are on the disk.
    Marked(u32),
    /// Runner: this step's changes were made.
    Applied(u32),
    /// Runner: this watcher has acted.
    Acted(u32),
    /// Runner: this watcher owes nothing any more.
    Cleared(u32),
    /// JournalThread: what was done is durable, the event of this number is not yet written.
    Synced(u64),
    /// JournalThread: the event of this number is in the journal.
    Journalled(u64),
    /// Runner: the end is in the journal.
    Ended,
}
