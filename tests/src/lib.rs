//! Shared test support.

pub mod jenkins;
pub mod lab;
pub mod sshd;
