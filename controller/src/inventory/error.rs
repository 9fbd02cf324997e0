//! Why a site could not be read at all. What is wrong *in* its files are faults, with places.

use std::io;
use std::path::PathBuf;

/// Why a site could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadSiteError {
    /// No `ostler.yaml` there.
    #[error("find a site at {}: it has no ostler.yaml", path.display())]
    NoSite {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Nothing is there, or no directory.
    #[error("find a site at {}: there is no such directory", path.display())]
    NoDirectory {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file or directory could not be read.
    #[error("read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A link leads out of the site, or to something that is no file.
    #[error("read {}: the link leads to {}, which is not a file of the site", path.display(), target.display())]
    Link {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// A pipe, socket or device stands where a file is wanted.
    #[error("read {}: it is neither a file nor a directory", path.display())]
    Special {
        /// Which.
        path: PathBuf,
    },
    /// A file is too large to be part of a site.
    #[error("read {}: it has {length} bytes, and a file of a site at most {limit}", path.display())]
    Large {
        /// Which.
        path: PathBuf,
        /// Its size in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// More files than a site may have, or deeper.
    #[error("read {}: a site has at most {limit} files, and directories at most {depth} deep", path.display())]
    Many {
        /// Where it was noticed.
        path: PathBuf,
        /// The limit of files.
        limit: usize,
        /// The limit of depth.
        depth: usize,
    },
    /// A name that is not UTF-8.
    #[error("read {}: its name is not UTF-8", path.display())]
    Name {
        /// Which.
        path: PathBuf,
    },
    /// A file that was read changed before its bytes were wanted.
    #[error("read {}: it changed during the run", path.display())]
    Changed {
        /// Which.
        path: PathBuf,
    },
}
