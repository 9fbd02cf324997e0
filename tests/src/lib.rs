//! Shared test support.

pub mod agent;
pub mod buildbot;
pub mod house;
pub mod jenkins;
pub mod lab;
pub mod program;
pub mod protocol;
pub mod sshd;
