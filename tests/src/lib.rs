//! Shared test support.

pub mod agent;
pub mod bootable;
pub mod buildbot;
pub mod e2e;
pub mod house;
pub mod jenkins;
pub mod lab;
pub mod library;
pub mod machine;
pub mod nodepool;
pub mod program;
pub mod protocol;
pub mod schema;
pub mod site;
pub mod sshd;
pub mod terminal;
