//! CI masters: what they say of a node, and how a node becomes one of theirs. One driver a kind of master (`docs/adding-a-master.md`).

mod access;
pub mod buildbot;
mod dial;
pub mod driver;
pub mod files;
pub mod http;
pub mod jenkins;
pub mod register;
mod trust;
pub mod vacancy;
mod wait;
pub mod witness;

pub use wait::Cancellation;
