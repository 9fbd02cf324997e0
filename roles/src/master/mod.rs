//! What a CI master should know of a node, and what comes next: pure, one file per master.

pub mod buildbot;
pub mod jenkins;
