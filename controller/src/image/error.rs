//! What can go wrong with an image: one variant per operation, with the path or the command in it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::remains::Remains;
use crate::lab::LabError;

/// A failed operation on an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Namespaces, overlays and owners need root.
    #[error("an image build needs root (namespaces, mounts, owners of files); effective user id is {0}")]
    NeedsRoot(u32),
    /// A program of a build is not installed.
    #[error("program `{program}` is missing; install it with: apt-get install {package}")]
    MissingProgram {
        /// Name looked up in `PATH`.
        program: &'static str,
        /// Debian package that holds it.
        package: &'static str,
    },
    /// The image's description, or what it asks for, cannot be done.
    #[error("{what}")]
    Refused {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file or directory operation failed.
    #[error("{what} {}", path.display())]
    File {
        /// What was being done, as a fragment ("write", "create").
        what: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The system refused something that has no path.
    #[error("{what}")]
    System {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Something did not come in time.
    #[error("{what} took longer than {} s", after.as_secs())]
    Deadline {
        /// What.
        what: String,
        /// The limit.
        after: Duration,
    },
    /// The disk is full.
    #[error("no room is left on the disk of {}", dir.display())]
    Full {
        /// A directory on it.
        dir: PathBuf,
        /// What could not be done for it.
        source: Box<ImageError>,
    },
    /// A layer is not what it should be.
    #[error("the layer {} is damaged; remove that directory, it is made again", .0.display())]
    Damaged(PathBuf),
    /// A root tree could not be set up: the words of its first process.
    #[error("set up the root tree: {0}")]
    Enter(String),
    /// The first process of a root tree has ended, and all others in it with that.
    #[error("the root tree is not there any more: its first process has ended")]
    RootGone,
    /// Something is in the tree that must not be in an image.
    #[error("the image is not sealed, these remain: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Remains(Vec<Remains>),
    /// A booted machine lets nobody in.
    #[error("nobody can get into the booted image; it needs an ssh server that starts with it, and DHCP on its first network interface")]
    NoWayIn(#[source] Box<ImageError>),
    /// A program failed, or what is shared with the lab.
    #[error(transparent)]
    Lab(#[from] LabError),
}

impl ImageError {
    /// A failed operation on a path.
    pub fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }

    /// A failed operation without a path.
    pub fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }

    /// Something that cannot be done, and what to do.
    pub fn refused(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), hint: hint.into() }
    }
}
