//! The site: read once, whole, into memory; nothing later opens a file of it except to send its bytes.
//!
//! `read` gives what people wrote with all its faults, `reach` how a node is reached, `select` which nodes are meant,
//! `revision` which commit it was.

mod error;
mod foreign;
mod reach;
mod read;
mod revision;
mod select;
mod walk;

pub use error::ReadSiteError;
pub use reach::{Become, NodeReach, reach};
pub use read::{Inventory, Reading, SiteFile, find, read};
pub use revision::{Revision, RevisionError, commit_time, revision};
pub use select::{SelectError, select};
pub use walk::{MAX_FILE, MAX_FILES, MAX_TEXT};

#[cfg(test)]
mod tests;
