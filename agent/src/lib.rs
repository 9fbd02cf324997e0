//! Makes this node so. Synchronous threads, one static file, one door to the operating system.
//!
//! Arrows: `session` -> `engine` -> `resource` -> `host`. The engine meets the resources through one trait, [`engine::Provider`],
//! so that the protocol and the journal are tested with a fake host.

pub mod engine;
pub mod facts;
pub mod host;
pub mod program;
pub mod resource;
pub mod session;
