//! What a CI master should know of a node, and what comes next: pure; what all masters share, and one file per master.

pub mod buildbot;
pub mod jenkins;
mod standing;

pub use jenkins::{ForeignOwner, Site};
pub use standing::{Difference, Found, Hold, Next, Proof, Stage, Standing, next};
