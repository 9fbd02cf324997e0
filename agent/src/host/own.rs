//! What is ours and nobody else's: files below a directory of our own, opened beneath it, never followed elsewhere, never waited for,
//! and believed only when owner, type and mode of the very thing that was opened say that no other account can have written it.

mod directory;
mod opened;
mod path;
#[cfg(test)]
mod tests;

pub use directory::OwnDirectory;
pub(super) use opened::{beneath, of_descriptor};
pub use path::{Durable, OwnPath};
