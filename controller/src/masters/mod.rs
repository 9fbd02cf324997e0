//! CI masters: what they say of a node, and how a node becomes one of theirs. One module per master.

pub mod buildbot;
mod dial;
pub mod http;
pub mod jenkins;
mod trust;
mod wait;
mod way;

pub use wait::Stop;
