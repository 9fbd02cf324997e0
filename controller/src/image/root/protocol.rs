//! What the builder and the first process of a root tree tell each other: one packet a message, descriptors beside it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The name of a root's own things below its scratch directory.
pub(super) mod own {
    /// The mount point of the tree.
    pub(in super::super) const TREE: &str = "tree";
    /// What is the tree's /tmp.
    pub(in super::super) const TMP: &str = "tmp";
    /// Files that are bound over the tree's.
    pub(in super::super) const PLANT: &str = "plant";
    /// The lowest layer: mount points that the tree may lack.
    pub(in super::super) const POINTS: &str = "points";
    /// Short names of the layers.
    pub(in super::super) const NAMES: &str = "names";
}

/// Where a process of the builder's side is put: below the tree's own /run, so that nothing of it stays in the tree.
pub(super) const HOME: &str = "/run/ostler-build";

/// A directory or file of the machine in the tree, for as long as the root is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Where it is outside.
    pub from: PathBuf,
    /// Where it is seen in the tree: an absolute path.
    pub to: PathBuf,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// A root tree, as its first process is told it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    /// Lowest first.
    pub(super) layers: Vec<PathBuf>,
    /// Upper and work directory; none: it can only be read.
    pub(super) upper: Option<(PathBuf, PathBuf)>,
    pub(super) binds: Vec<Bind>,
    pub(super) bare: bool,
    /// This root's own directory, for what is in [`own`].
    pub(super) scratch: PathBuf,
}

/// What the builder asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Start a program. With it come its standard input, output and error, and a conversation over which its end is told; it and its group
    /// are killed when that ends first.
    Exec(Exec),
    /// End all processes, put in order what is in the upper directory, and go.
    Leave,
}

/// A program to start.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Exec {
    pub(super) argv: Vec<String>,
    /// All of its environment.
    pub(super) environment: Vec<(String, String)>,
    pub(super) directory: String,
}

/// What the first process tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Event {
    /// The tree is there. With it come the sockets on which the tree's connections and its questions for names arrive, unless it is bare.
    Ready {
        /// The first process, as the builder sees it.
        pid: u32,
    },
    /// It cannot be had.
    Failed(String),
    /// All has ended.
    Left {
        /// Processes that had not ended by themselves.
        still: Vec<String>,
    },
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It could not be started.
    NotStarted {
        /// Why.
        why: String,
        /// Whether there is no such program.
        missing: bool,
    },
}
